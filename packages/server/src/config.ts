// Configuration: flags, then environment, then the file `config.json` in the data folder; the first that says something wins.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { parse, Type } from "@writ/core/schema";
import { fault } from "./faults.ts";
import type { Retention } from "./node/retention.ts";

export interface Config {
  /** Absolute path of the data folder. */
  readonly data: string;
  /** 0: any free port. */
  readonly port: number;
  readonly limits?: NodeLimits;
  /** What may be pruned; from the file only. Absent: everything is kept. */
  readonly retention?: Retention;
}

/** How much the node does at once and in a minute; from the file only. What is left out has no bound, or that of the engine. */
export interface NodeLimits {
  /** Runs in memory at once. */
  readonly runsActiveMax?: number;
  readonly effectsActiveMax?: number;
  /** Effects of one session, or of one principal. */
  readonly actionsPerMinuteMax?: number;
  /** Requests with one key. */
  readonly requestsPerMinuteMax?: number;
  /** Units there are of a resource that programs name and share. */
  readonly resources?: Readonly<Record<string, number>>;
}

export type Command =
  | { readonly kind: "start"; readonly config: Config }
  | { readonly kind: "token"; readonly config: Config; readonly person: string }
  | { readonly kind: "restore"; readonly config: Config; readonly file: string }
  | { readonly kind: "help" };

export const portDefault = 3000;

export const help = `Usage: npm start -- [--data DIR] [--port 3000]
       npm start -- token new [--person owner] [--data DIR]
       npm start -- restore FILE [--data DIR]

  --data DIR   data folder of the node (default ~/.writ; WRIT_DATA)
  --port N     port on 127.0.0.1 (default ${portDefault}; 0 takes a free one; WRIT_PORT)

\`token new\` makes a new token for a person, on the machine itself, whether the node runs or not.
\`restore FILE\` unpacks a backup into a data folder that is empty or does not exist.
`;

/** @throws server.flag, core.schema-mismatch */
export function readCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Command {
  const { values, positionals } = readFlags(args);
  if (values.help === true) return { kind: "help" };
  const config = readConfig(values, environment);
  const [command, ...rest] = positionals;
  if (command === undefined) return { kind: "start", config };
  if (command === "token" && rest.length === 1 && rest[0] === "new") {
    return { kind: "token", config, person: values.person ?? "owner" };
  }
  if (command === "restore" && rest.length === 1 && rest[0] !== undefined) {
    return { kind: "restore", config, file: path.resolve(rest[0]) };
  }
  throw fault("server.flag", `Cannot understand \`${positionals.join(" ").slice(0, 200)}\``);
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        data: { type: "string" },
        port: { type: "string" },
        person: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw fault("server.flag", `Cannot understand the flags: ${error instanceof Error ? error.message : ""}`);
  }
}

const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }));
const ConfigFile = Type.Object(
  {
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    retention: Type.Optional(
      Type.Object(
        {
          keepDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 36_500 })),
          keepEntries: limit,
          archive: Type.Union([Type.String({ maxLength: 4096 }), Type.Null()]),
        },
        { additionalProperties: false },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          runsActiveMax: limit,
          effectsActiveMax: limit,
          actionsPerMinuteMax: limit,
          requestsPerMinuteMax: limit,
          resources: Type.Optional(
            Type.Record(Type.String({ maxLength: 256 }), Type.Integer({ minimum: 1, maximum: 1_000_000 })),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

function readConfig(
  flags: { readonly data?: string | undefined; readonly port?: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  const data = path.resolve(flags.data ?? set(environment["WRIT_DATA"]) ?? path.join(homedir(), ".writ"));
  const file = readFile(path.join(data, "config.json"));
  const written = flags.port ?? set(environment["WRIT_PORT"]);
  return {
    data,
    port: written === undefined ? (file.port ?? portDefault) : readPort(written),
    ...(file.limits === undefined ? {} : { limits: file.limits }),
    ...(file.retention === undefined ? {} : { retention: retentionOf(file.retention) }),
  };
}

/** A retention that names no bound would let everything go. */
function retentionOf(retention: Retention): Retention {
  const { keepDays, keepEntries, archive } = retention;
  if (keepDays === undefined && keepEntries === undefined)
    throw fault("server.flag", "Cannot use the retention: it says neither `keepDays` nor `keepEntries`");
  if (archive !== null && !path.isAbsolute(archive))
    throw fault(
      "server.flag",
      `Cannot archive to \`${archive.slice(0, 200)}\`: name the folder by its absolute path`,
    );
  return retention;
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw fault("server.flag", `Cannot listen on the port \`${text.slice(0, 40)}\`: expected 0 to 65535`);
}

function readFile(file: string) {
  try {
    // A file that is there and cannot be read is no default.
    if (!existsSync(file)) return {};
    return parse(ConfigFile, JSON.parse(readFileSync(file, "utf8")), `\`${file}\``);
  } catch (error) {
    throw fault(
      "server.flag",
      `Cannot read \`${file}\`: ${error instanceof Error ? error.message : ""}`,
      { file },
      error,
    );
  }
}

/** An empty variable counts as one that is not set. */
function set(variable: string | undefined): string | undefined {
  return variable === "" ? undefined : variable;
}

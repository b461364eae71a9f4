// Which node, as whom: flags, then environment, then what `writ login` saved, then the data folder on this machine.
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse, Type, type Static } from "@writ/core/schema";
import { fault } from "./faults.ts";
import type { Terminal } from "./terminal.ts";

export const urlDefault = "http://127.0.0.1:3000";

export type Origin = "flag" | "environment" | "login" | "data folder" | "default" | "none";

export interface Settings {
  readonly url: string;
  readonly urlOrigin: Origin;
  readonly token: string | undefined;
  readonly tokenOrigin: Origin;
  /** Data folder of the node on this machine. */
  readonly data: string;
  readonly dataOrigin: Origin;
}

export interface Flags {
  readonly url?: string;
  readonly token?: string;
  readonly data?: string;
  readonly json?: boolean;
}

const Credentials = Type.Object(
  {
    version: Type.Literal(1),
    url: Type.String({ maxLength: 2048 }),
    tokens: Type.Record(Type.String({ maxLength: 2048 }), Type.String({ maxLength: 256 })),
  },
  { additionalProperties: false },
);
type Credentials = Static<typeof Credentials>;

/** @throws command.credentials */
export function readSettings(flags: Flags, terminal: Terminal): Settings {
  const { environment } = terminal;
  const saved = readCredentials(credentialsFile(terminal));
  const [data, dataOrigin] = first<string>(
    [flags.data, "flag"],
    [environment["WRIT_DATA"], "environment"],
    [path.join(terminal.home, ".writ"), "default"],
  );
  const folder = path.resolve(terminal.folder, data ?? "");
  const [url, urlOrigin] = first<string>(
    [flags.url, "flag"],
    [environment["WRIT_URL"], "environment"],
    [saved?.url, "login"],
    [localUrl(folder), "data folder"],
    [urlDefault, "default"],
  );
  const [token, tokenOrigin] = first<string>(
    [flags.token, "flag"],
    [environment["WRIT_TOKEN"], "environment"],
    [saved?.tokens[url ?? ""], "login"],
  );
  return { url: url ?? urlDefault, urlOrigin, token, tokenOrigin, data: folder, dataOrigin };
}

/** Saves the token for the node's address, readable by this user only. Returns the file. */
export function saveToken(url: string, token: string, terminal: Terminal): string {
  const file = credentialsFile(terminal);
  const saved = readCredentials(file);
  const credentials: Credentials = { version: 1, url, tokens: { ...saved?.tokens, [url]: token } };
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  writeFileSync(fresh, `${JSON.stringify(credentials, undefined, 2)}\n`, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, file);
  return file;
}

export function credentialsFile(terminal: Terminal): string {
  const folder = terminal.environment["XDG_CONFIG_HOME"] || path.join(terminal.home, ".config");
  return path.join(folder, "writ", "credentials.json");
}

function readCredentials(file: string): Credentials | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  try {
    return parse(Credentials, JSON.parse(text), `\`${file}\``);
  } catch (error) {
    throw fault("command.credentials", `Cannot read the saved tokens in \`${file}\``, { file }, error);
  }
}

const LocalNode = Type.Object({ port: Type.Integer({ minimum: 1, maximum: 65_535 }) });

/** Where the node of this data folder listens, or listened last. */
function localUrl(data: string): string | undefined {
  const text = readText(path.join(data, "local.json"));
  if (text === undefined) return undefined;
  try {
    return `http://127.0.0.1:${parse(LocalNode, JSON.parse(text), "local.json").port}`;
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function first<Value>(
  ...candidates: readonly (readonly [Value | undefined, Origin])[]
): readonly [Value | undefined, Origin] {
  return candidates.find(([value]) => value !== undefined && value !== "") ?? [undefined, "none"];
}

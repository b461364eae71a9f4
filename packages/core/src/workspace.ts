// The workspace file (`workspace.json`): what a rule may speak of, who the people's roles are and which places may be touched.
// What of it a program used is frozen into the program.
import { fault } from "./faults.ts";
import { checkProgram } from "./workspace-programs.ts";
import { parse, Type, type Static } from "./schema.ts";

/** Name of the workspace file in the workspace's root. No effect writes it. */
export const workspaceFileName = "workspace.json";

const name = Type.String({ pattern: "^[a-z][a-z0-9_-]{0,63}$", maxLength: 64 });
const words = Type.Object(
  {
    en: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 16 })),
    fr: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 16 })),
  },
  { additionalProperties: false },
);
const path = Type.String({ maxLength: 4096, minLength: 1 });
const decimalText = Type.String({ pattern: "^-?\\d+(\\.\\d+)?$", maxLength: 64 });

const place = Type.Object(
  {
    /** Relative to the workspace's root. */
    path,
    /** `read`: nothing may be written there. */
    access: Type.Optional(Type.Enum(["read", "write"])),
    words: Type.Optional(words),
  },
  { additionalProperties: false },
);

const column = Type.Object(
  {
    type: Type.Enum(["decimal", "text", "date"]),
    /** ISO 4217 currency, or a UCUM unit. */
    currency: Type.Optional(Type.String({ pattern: "^[A-Z]{3}$", maxLength: 3 })),
    unit: Type.Optional(Type.String({ maxLength: 32 })),
    min: Type.Optional(decimalText),
    max: Type.Optional(decimalText),
    /** Other headings met for the same column. */
    aliases: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 32 })),
  },
  { additionalProperties: false },
);

const host = Type.Object(
  {
    /** `host:port`, both explicit. */
    host: Type.String({ pattern: "^[A-Za-z0-9.\\-\\[\\]:]+:\\d{1,5}$", maxLength: 300 }),
    scheme: Type.Enum(["http", "https"]),
    risk: Type.Enum(["low", "medium", "high", "critical"]),
    /** True when the receiver performs a request with an `Idempotency-Key` it has seen at most once. */
    idempotent: Type.Optional(Type.Boolean()),
    words: Type.Optional(words),
  },
  { additionalProperties: false },
);

const program = Type.Object(
  {
    /** Absolute path of the executable on the node's machine; outside every workspace, so that no program can replace it. */
    path: Type.String({ pattern: "^/[^\\u0000]*$", maxLength: 4096 }),
    risk: Type.Enum(["low", "medium", "high", "critical"]),
    /** Patterns of `*` and `?`: each argument must match one of them whole. Absent: any argument. */
    arguments: Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 128 })),
    /** True when running the same command again does no harm: after a crash it is, and without a person. */
    idempotent: Type.Optional(Type.Boolean()),
    /** True when it may reach the network from its sandbox. */
    network: Type.Optional(Type.Boolean()),
    /** `required` unless set: without a sandbox the work is refused. `preferred`: then it runs without. `none`: it never has one. */
    sandbox: Type.Optional(Type.Enum(["required", "preferred", "none"])),
  },
  { additionalProperties: false },
);

const device = Type.Object(
  {
    /** Of moving it. Reading it takes that it is listed. */
    risk: Type.Enum(["low", "medium", "high", "critical"]),
    words: Type.Optional(words),
  },
  { additionalProperties: false },
);
const deviceName = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$", maxLength: 64 });

export const WorkspaceFile = Type.Object(
  {
    version: Type.Literal(1),
    name,
    /** IANA time zone in which rules read times of day. */
    zone: Type.String({ maxLength: 64 }),
    /** Currencies rules may speak of. */
    currencies: Type.Array(Type.String({ pattern: "^[A-Z]{3}$", maxLength: 3 }), { maxItems: 32 }),
    folders: Type.Record(name, place),
    files: Type.Record(name, place),
    roles: Type.Record(name, Type.Object({ words: Type.Optional(words) }, { additionalProperties: false })),
    /** Columns of the CSV files in a folder, by folder name. */
    tables: Type.Record(
      name,
      Type.Object(
        { columns: Type.Record(Type.String({ maxLength: 128 }), column) },
        { additionalProperties: false },
      ),
    ),
    hosts: Type.Array(host, { maxItems: 256 }),
    /** Programs of the operating system that commands may run, by name; none unless listed. No shell is one of them. */
    programs: Type.Optional(Type.Record(name, program)),
    /** Devices that effects may read or move, by their name on the node; none unless listed. */
    devices: Type.Optional(Type.Record(deviceName, device)),
    /** Permission profile that applies to rules and plans of this workspace. */
    profile: Type.Enum(["readonly", "local_worker", "power_user", "unrestricted"]),
    /** A file event is raised when the file has been still for this long. */
    settleMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 3_600_000 })),
  },
  { additionalProperties: false },
);
export type WorkspaceFile = Static<typeof WorkspaceFile>;
export type WorkspacePlace = Static<typeof place>;
export type WorkspaceHost = Static<typeof host>;
export type WorkspaceProgram = Static<typeof program>;
export type WorkspaceDevice = Static<typeof device>;
export type WorkspaceColumn = Static<typeof column>;

/** @throws core.schema-mismatch, workspace.file for an unknown zone and a place that does not lie in the workspace by its path */
export function parseWorkspace(input: unknown): WorkspaceFile {
  const file = parse(WorkspaceFile, input, "the workspace file");
  if (!isZone(file.zone)) {
    throw fault("workspace.file", `Cannot use the zone \`${file.zone}\`: it is no IANA time zone`, {
      at: "/zone",
      zone: file.zone,
    });
  }
  for (const [key, each] of Object.entries(file.programs ?? {})) checkProgram(key, each);
  for (const kind of ["folders", "files"] as const) {
    for (const [key, { path: place }] of Object.entries(file[kind])) {
      const why = whyOutside(place);
      if (why === null) continue;
      throw fault("workspace.file", `Cannot use \`${place.slice(0, 200)}\` as \`${key}\`: it ${why}`, {
        at: `/${kind}/${key}/path`,
        place: place.slice(0, 200),
      });
    }
  }
  return file;
}

function isZone(zone: string): boolean {
  // Offsets (`+01:00`) are known to it too, and know no summer.
  if (!/^[A-Za-z]/.test(zone)) return false;
  try {
    Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function whyOutside(place: string): string | null {
  if (place.startsWith("/") || place.startsWith("~") || /^[A-Za-z]:/.test(place))
    return "is not relative to the workspace";
  if (place.split("/").includes("..")) return "leaves the workspace with `..`";
  return /[\\\p{Cc}]/u.test(place) ? "holds a backslash or a control character" : null;
}

/**
 * Whether a file system may take the path, relative to the root, for `workspace.json`: case, compatible letters and letters that
 * are not seen do not count, because on some systems they do not. The verdict must not depend on the system, so this holds on all.
 */
export function isWorkspaceFile(path: string): boolean {
  const [first = ""] = path.split("/").filter((part) => part !== "" && part !== ".");
  const folded = first
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[. ]+$/, "");
  return folded === workspaceFileName;
}

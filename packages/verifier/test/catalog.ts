// A catalog and programs for the verifier's tests, built by hand.
import { createHash } from "node:crypto";
import type { CapabilityDefinition, Catalog, SourceDefinition } from "@writ/core/capability";
import { decimalSchema } from "@writ/core/capability";
import { capabilityId, programHash, roleName, slotName, stepId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import {
  allSteps,
  type Block,
  type FailurePolicy,
  type HashedProgram,
  type Opcode,
  type Operand,
  type Program,
  type ProgramSource,
  type Step,
  type Trigger,
} from "@writ/core/program";
import { capabilitiesOf } from "@writ/core/program-steps";
import type { Value } from "@writ/core/value";
import { parseWorkspace } from "@writ/core/workspace";

const closed = { additionalProperties: false } as const;
const path = (kind: "file" | "folder") => Type.String({ maxLength: 4096, "x-path": kind });
const anyValue = Type.Unsafe<Value>(Type.Object({}));

function define(
  id: string,
  given: Pick<CapabilityDefinition, "params" | "result" | "effect" | "resources"> &
    Partial<CapabilityDefinition>,
): CapabilityDefinition {
  return {
    id: capabilityId(id),
    summary: { en: `Does ${id}.`, fr: `Fait ${id}.` },
    crash: "queryable",
    risk: "low",
    criticality: "safe",
    permission: "test.permission",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 1000,
    resultBytesMax: 1000,
    retryOn: [],
    ...given,
  };
}

const undo = { kind: "write", undo: capabilityId("filesystem.restore_file@1.0.0") } as const;
const done = Type.Object({ sizeBytes: Type.Integer({ minimum: 0 }) }, closed);

export const capabilities: readonly CapabilityDefinition[] = [
  define("filesystem.move_file@1.0.0", {
    summary: { en: "Move a file.", fr: "Déplacer un fichier." },
    params: Type.Object({ source: path("file"), destination: path("file") }, closed),
    result: done,
    effect: undo,
    resources: [
      { kind: "file", param: "source", does: "remove" },
      { kind: "file", param: "destination", does: "create" },
    ],
  }),
  define("filesystem.write_file@1.0.0", {
    summary: { en: "Write a file.", fr: "Écrire un fichier." },
    params: Type.Object({ path: path("file"), content: Type.String({ maxLength: 10_000 }) }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "replace" }],
  }),
  define("filesystem.append_file@1.0.0", {
    summary: { en: "Append to a file.", fr: "Ajouter à un fichier." },
    params: Type.Object({ path: path("file"), content: Type.String({ maxLength: 10_000 }) }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "append" }],
  }),
  define("filesystem.delete_file@1.0.0", {
    summary: { en: "Delete a file.", fr: "Supprimer un fichier." },
    params: Type.Object({ path: path("file") }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "remove" }],
  }),
  define("filesystem.create_directory@1.0.0", {
    params: Type.Object({ path: path("folder") }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "folder", param: "path", does: "create" }],
  }),
  define("filesystem.remove_directory@1.0.0", {
    params: Type.Object({ path: path("folder") }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "folder", param: "path", does: "remove" }],
  }),
  define("filesystem.extract_archive@1.0.0", {
    params: Type.Object({ source: path("file"), destination: path("folder") }, closed),
    result: done,
    effect: undo,
    resources: [
      { kind: "file", param: "source", does: "read" },
      { kind: "folder", param: "destination", does: "replace" },
    ],
  }),
  define("filesystem.read_file@1.0.0", {
    params: Type.Object({ path: path("file") }, closed),
    result: Type.Object(
      { content: Type.String({ maxLength: 10_000 }), sizeBytes: Type.Integer({ minimum: 0 }) },
      closed,
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "path", does: "read" }],
    labels: ["origin:file"],
  }),
  define("csv.read_table@1.0.0", {
    params: Type.Object({ path: path("file") }, closed),
    result: Type.Object(
      { rows: Type.Array(Type.Object({}), { maxItems: 1000 }), count: Type.Integer({ minimum: 0 }) },
      closed,
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "path", does: "read" }],
    labels: ["origin:file"],
  }),
  define("csv.aggregate@1.0.0", {
    params: Type.Object({ path: path("file"), column: Type.String({ maxLength: 100 }) }, closed),
    result: Type.Object(
      { sum: decimalSchema, min: decimalSchema, max: decimalSchema, count: Type.Integer({ minimum: 0 }) },
      closed,
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "path", does: "read" }],
    labels: ["origin:file"],
    nouns: [{ field: "sum", phrases: { en: ["sum of {column}"], fr: ["somme de {column}"] } }],
  }),
  define("csv.append_row@1.0.0", {
    summary: { en: "Append a line to a table.", fr: "Ajouter une ligne à une table." },
    params: Type.Object({ path: path("file"), values: Type.Array(anyValue, { maxItems: 100 }) }, closed),
    result: done,
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "append" }],
  }),
  define("api_http.http_post@1.0.0", {
    params: Type.Object(
      {
        url: Type.String({ maxLength: 8192, "x-host": true }),
        body_json: Type.Unsafe<Value>(Type.Object({})),
        attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 5 })),
      },
      closed,
    ),
    result: Type.Object({ status: Type.Integer({ minimum: 100, maximum: 599 }) }, closed),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "host", param: "url", does: "send" }],
    crash: "neither",
    risk: "medium",
    labels: ["origin:web"],
  }),
  define("api_http.download_file@1.0.0", {
    params: Type.Object(
      { url: Type.String({ maxLength: 8192, "x-host": true }), destination: path("file") },
      closed,
    ),
    result: done,
    effect: undo,
    resources: [
      { kind: "host", param: "url", does: "read" },
      { kind: "file", param: "destination", does: "replace" },
    ],
  }),
  define("vault.read_secret@1.0.0", {
    params: Type.Object({ name: Type.String({ maxLength: 100 }) }, closed),
    result: Type.Object({ value: Type.String({ maxLength: 100 }), isSet: Type.Boolean() }, closed),
    effect: { kind: "read" },
    resources: [],
    labels: ["secret"],
  }),
  define("os_exec.run_command@1.0.0", {
    params: Type.Object(
      {
        command: Type.String({ maxLength: 100 }),
        working_directory: Type.Optional(path("folder")),
        log: Type.Optional(Type.String({ maxLength: 100, "x-path": "file", default: "logs/command.log" })),
      },
      closed,
    ),
    result: done,
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "folder", param: "working_directory", does: "replace" }],
    crash: "neither",
  }),
  define("os_exec.run@1.0.0", {
    params: Type.Object(
      { command: Type.String({ maxLength: 100 }), seconds: Type.Integer({ minimum: 1, maximum: 30 }) },
      closed,
    ),
    result: done,
    effect: { kind: "irreversible", approval: "owner" },
    resources: [],
    crash: "neither",
    risk: "critical",
  }),
];

export const fileArrived: SourceDefinition = {
  id: capabilityId("filesystem.file_arrived@1.0.0"),
  summary: { en: "A file arrived.", fr: "Un fichier est arrivé." },
  config: Type.Object({ folder: path("folder"), pattern: Type.String({ maxLength: 256 }) }, closed),
  event: Type.Object(
    {
      name: Type.String({ maxLength: 255, "x-language": "basename" }),
      path: Type.String({ maxLength: 4096, "x-language": "path" }),
      folder: Type.String({ maxLength: 4096, "x-language": "path" }),
      sizeBytes: Type.Integer({ minimum: 0 }),
      modifiedMs: Type.Integer({ minimum: 0 }),
    },
    closed,
  ),
  phrases: { en: [], fr: [] },
  labels: ["origin:event"],
};

export const workspace = parseWorkspace({
  version: 1,
  name: "invoices",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: { inbox: { path: "inbox" }, approved: { path: "approved" } },
  files: { journal: { path: "journal.csv" } },
  roles: { accountant: {} },
  tables: {
    inbox: { columns: { amount: { type: "decimal", currency: "EUR", min: "-1000000", max: "1000000" } } },
  },
  hosts: [
    { host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true },
    { host: "bank.example:443", scheme: "https", risk: "high" },
  ],
  profile: "local_worker",
});

export const catalog: Catalog = { capabilities, sources: [fileArrived], workspace };

const halt: FailurePolicy = { kind: "safe_halt" };

/** An expression operand. */
export const cel = (text: string): Operand => ({ kind: "expression", text });
export const fixed = (value: Value): Operand => ({ kind: "literal", value });

export function step(
  id: string,
  op: Opcode,
  more: { after?: readonly string[]; tolerates?: readonly string[]; failure?: FailurePolicy } = {},
): Step {
  const { after = [], tolerates = [], failure = halt } = more;
  return {
    id: stepId(id),
    after: after.map((one) => stepId(one)),
    tolerates: tolerates.map((one) => stepId(one)),
    op,
    failure,
    timeoutMs: null,
  };
}

/** Steps one after the other. */
export function inSequence(...steps: readonly Step[]): Block {
  return { steps: steps.map((one, i) => (i === 0 ? one : { ...one, after: [steps[i - 1]?.id ?? one.id] })) };
}

export function call(
  id: string,
  capability: string,
  params: Readonly<Record<string, Operand>>,
  output: string | null = null,
): Step {
  return step(id, {
    op: "call",
    capability: capabilityId(`${capability}@1.0.0`),
    params,
    output: output === null ? null : slotName(output),
    compensation: null,
  });
}

export function load(id: string, capability: string, params: Readonly<Record<string, Operand>>): Step {
  return step(id, {
    op: "load",
    capability: capabilityId(`${capability}@1.0.0`),
    params,
    output: slotName(id),
    freshnessMsMax: null,
  });
}

export function branch(
  id: string,
  arms: readonly (readonly [string, Block])[],
  otherwise: Block = { steps: [] },
): Step {
  return step(id, { op: "branch", arms: arms.map(([when, block]) => ({ when, block })), otherwise });
}

export function approve(id: string, body: Block, otherwise: Block | null = null): Step {
  return step(id, {
    op: "approve",
    role: roleName("accountant"),
    withinMs: 1000,
    message: null,
    body,
    otherwise,
  });
}

export const arrives = (folder = "inbox", pattern = "*.csv", filter: string | null = null): Trigger => ({
  kind: "source",
  source: fileArrived.id,
  config: { folder, pattern },
  filter,
  holdMs: 0,
  throttleMs: 0,
});

export function program(body: Block, more: Partial<Program> = {}): Program {
  const used = allSteps(body).flatMap(capabilitiesOf);
  return {
    format: 1,
    trigger: arrives(),
    windows: [],
    priority: "normal",
    runTimeoutMs: 1000,
    concurrencyMax: 1,
    capabilities: [...new Set(used)].sort(),
    invariants: [{ kind: "writes-within", paths: ["."] }],
    workspace: {
      name: "invoices",
      zone: "Europe/Paris",
      profile: "local_worker",
      folders: [
        { name: "inbox", path: "inbox", access: "write" },
        { name: "approved", path: "approved", access: "write" },
      ],
      files: [{ name: "journal", path: "journal.csv", access: "write" }],
      roles: ["accountant"],
      columns: [
        {
          folder: "inbox",
          column: "amount",
          type: "decimal",
          dimension: "EUR",
          min: "-1000000",
          max: "1000000",
        },
      ],
      hosts: [
        { host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true },
        { host: "127.0.0.1:4001", scheme: "http", risk: "low", idempotent: false },
        { host: "bank.example:443", scheme: "https", risk: "high", idempotent: false },
      ],
    },
    slots: [],
    body,
    ...more,
  };
}

/** Bytes do not matter to the verifier; the hash has to tell programs apart. */
export function hashed(one: Program): HashedProgram {
  const bytes = new TextEncoder().encode(JSON.stringify(one));
  return { hash: programHash(createHash("sha256").update(bytes).digest("hex")), program: one, bytes };
}

export function source(name: string, text = "", spans: ProgramSource["spans"] = {}): ProgramSource {
  return { kind: "rule", name, text, language: "en", spans };
}

/** The invoice rule: read, sum, ask above a limit, move, keep a journal. */
export function story(
  options: { readonly limit?: string; readonly destination?: string; readonly approves?: boolean } = {},
): Program {
  const { limit = "10000", destination = "approved/", approves = true } = options;
  const move = (id: string) =>
    call(id, "filesystem.move_file", {
      source: cel("event.data.path"),
      destination: cel(`${JSON.stringify(destination)} + event.data.name`),
    });
  return program(
    inSequence(
      load("s1", "csv.read_table", { path: cel("event.data.path") }),
      load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
      branch(
        "s3",
        [[`s2.sum > ${limit}`, inSequence(approves ? approve("s4", inSequence(move("s5"))) : move("s5"))]],
        inSequence(move("s6")),
      ),
      call("s7", "csv.append_row", {
        path: fixed("journal.csv"),
        values: cel("[event.data.name, s2.sum, event.time]"),
      }),
    ),
  );
}

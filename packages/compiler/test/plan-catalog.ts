// A small catalog for the tests of plans: the contracts matter, not what would perform them.
import { decimalSchema, type CapabilityDefinition, type Catalog } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import type { WorkspaceFile } from "@writ/core/workspace";

const path = Type.String({ minLength: 1, maxLength: 4096, "x-path": "file" });
const text = Type.String({ maxLength: 10_000_000 });
const closed = { additionalProperties: false };
const base = {
  summary: { en: "For tests", fr: "Pour les tests" },
  risk: "low",
  criticality: "safe",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
} as const;
const written = Type.Object({ path: text, sizeBytes: Type.Integer() }, closed);

export const capabilities: readonly CapabilityDefinition[] = [
  {
    ...base,
    id: capabilityId("filesystem.read_file@1.0.0"),
    params: Type.Object({ path, start_line: Type.Optional(Type.Integer({ minimum: 1 })) }, closed),
    result: Type.Object(
      { path: text, content: text, lines: Type.Array(Type.Object({ text }, closed)) },
      closed,
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "path", does: "read" }],
    crash: "idempotent",
    permission: "filesystem.read",
    labels: ["origin:file"],
    retryOn: ["filesystem.busy"],
  },
  ...(["write_file", "append_file"] as const).map((action): CapabilityDefinition => ({
    ...base,
    id: capabilityId(`filesystem.${action}@1.0.0`),
    params: Type.Object({ path, content: text, create_dirs: Type.Optional(Type.Boolean()) }, closed),
    result: written,
    effect: { kind: "write", undo: capabilityId("filesystem.restore_file@1.0.0") },
    resources: [{ kind: "file", param: "path", does: action === "write_file" ? "replace" : "append" }],
    crash: "queryable",
    permission: "filesystem.write",
    retryOn: ["filesystem.busy"],
  })),
  {
    ...base,
    id: capabilityId("filesystem.delete_file@1.0.0"),
    params: Type.Object({ path }, closed),
    result: Type.Object({ path: text }, closed),
    effect: { kind: "write", undo: capabilityId("filesystem.restore_file@1.0.0") },
    resources: [{ kind: "file", param: "path", does: "remove" }],
    crash: "queryable",
    permission: "filesystem.delete",
    retryOn: [],
  },
  {
    ...base,
    id: capabilityId("filesystem.restore_file@1.0.0"),
    params: Type.Object({ path }, closed),
    result: Type.Object({}, closed),
    effect: { kind: "write", undo: capabilityId("filesystem.restore_file@1.0.0") },
    resources: [],
    crash: "idempotent",
    permission: "filesystem.write",
    retryOn: [],
    internal: true,
  },
  {
    ...base,
    id: capabilityId("filesystem.pack@2.1.0"),
    params: Type.Object(
      {
        sources: Type.Array(Type.Object({ from: path }, closed), { maxItems: 3 }),
        level: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
        amount: Type.Optional(decimalSchema),
      },
      closed,
    ),
    result: Type.Object({ path: text }, closed),
    effect: { kind: "read" },
    resources: [],
    crash: "idempotent",
    permission: "filesystem.read",
    retryOn: [],
  },
  {
    ...base,
    id: capabilityId("csv.aggregate@1.0.0"),
    params: Type.Object({ path, column: Type.String({ maxLength: 128 }) }, closed),
    result: Type.Object(
      { sum: decimalSchema, min: decimalSchema, max: decimalSchema, count: Type.Integer() },
      closed,
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "path", does: "read" }],
    crash: "idempotent",
    permission: "filesystem.read",
    labels: ["origin:file"],
    retryOn: ["filesystem.busy"],
  },
  {
    ...base,
    id: capabilityId("api_http.http_post@1.2.0"),
    params: Type.Object(
      {
        url: Type.String({ maxLength: 8192, "x-host": true }),
        body_json: Type.Optional(Type.Unsafe({})),
        headers: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), text)),
        auth: Type.Optional(Type.Array(text, { maxItems: 2, "x-secret": true })),
        timeout: Type.Optional(Type.Integer({ minimum: 1, maximum: 300 })),
      },
      closed,
    ),
    result: Type.Object({ status: Type.Integer(), body: Type.Unsafe({}) }, closed),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "host", param: "url", does: "send" }],
    crash: "queryable",
    permission: "network.send",
    labels: ["origin:web"],
    retryOn: ["http.timeout", "http.connection", "http.status-5xx"],
  },
  {
    ...base,
    id: capabilityId("plant.open_valve@1.0.0"),
    params: Type.Object({}, closed),
    result: Type.Object({}, closed),
    effect: { kind: "irreversible", approval: "operator" },
    resources: [],
    crash: "neither",
    risk: "critical",
    criticality: "critical",
    permission: "plant.actuate",
    retryOn: [],
  },
];

export const workspace: WorkspaceFile = {
  version: 1,
  name: "invoices",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: { inbox: { path: "inbox", access: "read" }, reports: { path: "reports" } },
  files: { journal: { path: "journal.csv" } },
  roles: { accountant: {} },
  tables: { inbox: { columns: { amount: { type: "decimal", currency: "EUR" } } } },
  hosts: [
    { host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true },
    { host: "127.0.0.1:4000", scheme: "http", risk: "high" },
  ],
  profile: "local_worker",
};

export const catalog: Catalog = { capabilities, sources: [], workspace };

// A catalog of the file domain for the compiler's own tests: data only, nothing here performs anything.
import { Type } from "@writ/core/schema";
import { decimalSchema, type CapabilityDefinition, type Catalog } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import type { WorkspaceFile } from "@writ/core/workspace";

const closed = { additionalProperties: false };
const filePath = Type.String({ maxLength: 4096, "x-path": "file" });

type Draft = Pick<CapabilityDefinition, "params" | "result" | "effect" | "resources" | "phrases"> &
  Partial<CapabilityDefinition>;

function define(id: string, draft: Draft): CapabilityDefinition {
  return {
    id: capabilityId(id),
    summary: { en: id, fr: id },
    crash: "queryable",
    risk: "low",
    criticality: "safe",
    permission: id.slice(0, id.indexOf("@")),
    labels: [],
    timeoutMs: 60_000,
    resultBytesMax: 65_536,
    retryOn: [],
    ...draft,
  };
}

const undo = { kind: "write", undo: capabilityId("filesystem.restore_file@1.0.0") } as const;
const read = { kind: "read" } as const;

export const capabilities: readonly CapabilityDefinition[] = [
  define("filesystem.move_file@1.0.0", {
    params: Type.Object(
      {
        source: filePath,
        destination: Type.String({ maxLength: 4096, "x-path": "file", "x-path-name-of": "source" }),
      },
      closed,
    ),
    result: Type.Object({ path: Type.String({ maxLength: 4096 }) }, closed),
    effect: undo,
    resources: [
      { kind: "file", param: "source", does: "remove" },
      { kind: "file", param: "destination", does: "create" },
    ],
    retryOn: ["filesystem.busy"],
    phrases: {
      en: ["move {source} to {destination}", "move {source} into {destination}"],
      fr: [
        "déplace {source} vers {destination}",
        "déplacer {source} vers {destination}",
        "déplace {source} dans {destination}",
        "déplacer {source} dans {destination}",
      ],
    },
  }),
  define("filesystem.copy_file@1.0.0", {
    params: Type.Object(
      {
        source: filePath,
        destination: Type.String({ maxLength: 4096, "x-path": "file", "x-path-name-of": "source" }),
      },
      closed,
    ),
    result: Type.Object({ path: Type.String({ maxLength: 4096 }) }, closed),
    effect: undo,
    resources: [
      { kind: "file", param: "source", does: "read" },
      { kind: "file", param: "destination", does: "create" },
    ],
    retryOn: ["filesystem.busy"],
    phrases: {
      en: ["copy {source} to {destination}"],
      fr: ["copie {source} vers {destination}", "copier {source} vers {destination}"],
    },
  }),
  define("filesystem.delete_file@1.0.0", {
    params: Type.Object({ path: filePath }, closed),
    result: Type.Object({}, closed),
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "remove" }],
    phrases: { en: ["delete {path}"], fr: ["supprime {path}", "supprimer {path}"] },
  }),
  define("filesystem.write_file@1.0.0", {
    params: Type.Object({ content: Type.String({ maxLength: 1_000_000 }), path: filePath }, closed),
    result: Type.Object({}, closed),
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "replace" }],
    phrases: {
      en: ["write {content} to {path}"],
      fr: ["écris {content} dans {path}", "écrire {content} dans {path}"],
    },
  }),
  define("filesystem.append_file@1.0.0", {
    params: Type.Object({ content: Type.String({ maxLength: 1_000_000 }), path: filePath }, closed),
    result: Type.Object({}, closed),
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "append" }],
    phrases: {
      en: ["append {content} to {path}"],
      fr: ["ajoute {content} à {path}", "ajouter {content} à {path}"],
    },
  }),
  define("csv.read_table@1.0.0", {
    params: Type.Object({ path: filePath }, closed),
    result: Type.Object({ rowCount: Type.Integer({ minimum: 0 }) }, closed),
    effect: read,
    resources: [{ kind: "file", param: "path", does: "read" }],
    labels: ["origin:file"],
    phrases: { en: ["read {path}"], fr: ["lis {path}", "lire {path}"] },
    nouns: [{ field: "rowCount", phrases: { en: ["number of rows"], fr: ["nombre de lignes"] } }],
  }),
  define("csv.aggregate@1.0.0", {
    params: Type.Object({ path: filePath, column: Type.String({ maxLength: 128 }) }, closed),
    result: Type.Object(
      { sum: decimalSchema, min: decimalSchema, max: decimalSchema, count: Type.Integer({ minimum: 0 }) },
      closed,
    ),
    effect: read,
    resources: [{ kind: "file", param: "path", does: "read" }],
    labels: ["origin:file"],
    phrases: { en: [], fr: [] },
    nouns: [
      {
        field: "sum",
        phrases: {
          en: ["sum of {column}", "total of {column}"],
          fr: ["somme de {column}", "total de {column}"],
        },
      },
      {
        field: "min",
        phrases: {
          en: ["minimum of {column}", "least {column}", "smallest {column}"],
          fr: ["minimum de {column}", "plus petit {column}"],
        },
      },
      {
        field: "max",
        phrases: {
          en: ["maximum of {column}", "greatest {column}", "largest {column}"],
          fr: ["maximum de {column}", "plus grand {column}"],
        },
      },
      {
        field: "count",
        phrases: { en: ["count of {column}", "number of {column}"], fr: ["nombre de {column}"] },
      },
    ],
  }),
  define("csv.append_row@1.0.0", {
    params: Type.Object(
      {
        path: filePath,
        values: Type.Array(Type.Union([Type.String({ maxLength: 65_536 }), decimalSchema]), {
          maxItems: 256,
        }),
      },
      closed,
    ),
    result: Type.Object({}, closed),
    effect: undo,
    resources: [{ kind: "file", param: "path", does: "append" }],
    phrases: {
      en: ["append a line with {values} to {path}"],
      fr: ["ajoute une ligne avec {values} à {path}", "ajouter une ligne avec {values} à {path}"],
    },
  }),
  define("api_http.http_post@1.0.0", {
    params: Type.Object(
      { url: Type.String({ maxLength: 8192, "x-host": true }), body_json: Type.Unsafe({}) },
      closed,
    ),
    result: Type.Object({ status: Type.Integer() }, closed),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "host", param: "url", does: "send" }],
    labels: ["origin:web"],
    retryOn: ["api_http.unreachable"],
    phrases: {
      en: ["send {body_json} to {url}"],
      fr: ["envoie {body_json} à {url}", "envoyer {body_json} à {url}"],
    },
  }),
  define("filesystem.restore_file@1.0.0", {
    params: Type.Object({ path: filePath }, closed),
    result: Type.Object({}, closed),
    effect: read,
    resources: [],
    phrases: { en: ["restore {path}"], fr: ["restaure {path}"] },
    internal: true,
  }),
];

export const workspace: WorkspaceFile = {
  version: 1,
  name: "invoices",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  profile: "local_worker",
  folders: {
    inbox: { path: "inbox", words: { en: ["inbox"], fr: ["boîte de réception"] } },
    approved: { path: "approved", words: { en: ["approved"], fr: ["approuvés"] } },
    rejected: { path: "rejected", words: { en: ["rejected"], fr: ["rejetés"] } },
    reports: { path: "reports", words: { en: ["reports"], fr: ["rapports"] } },
    archive: { path: "archive", words: { en: ["archive"], fr: ["archives"] } },
  },
  files: { journal: { path: "journal.csv", words: { en: ["journal.csv"], fr: ["journal.csv"] } } },
  roles: {
    owner: { words: { en: ["owner"], fr: ["propriétaire"] } },
    accountant: { words: { en: ["accountant"], fr: ["comptable"] } },
    operator: { words: { en: ["operator"], fr: ["opérateur"] } },
  },
  tables: {
    inbox: {
      columns: {
        amount: {
          type: "decimal",
          currency: "EUR",
          min: "-1000000000000",
          max: "1000000000000",
          aliases: ["montant"],
        },
        weight: { type: "decimal", unit: "kg" },
        supplier: { type: "text" },
      },
    },
  },
  hosts: [{ host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true }],
};

export const catalog: Catalog = {
  capabilities,
  sources: [
    {
      id: capabilityId("filesystem.file_arrived@1.0.0"),
      summary: { en: "A file arrived", fr: "Un fichier est arrivé" },
      config: Type.Object(
        {
          folder: Type.String({ maxLength: 4096, "x-path": "folder" }),
          pattern: Type.Optional(Type.String({ maxLength: 256 })),
        },
        closed,
      ),
      event: Type.Object(
        {
          path: Type.String({ maxLength: 4096, "x-language": "path" }),
          name: Type.String({ maxLength: 255, "x-language": "basename" }),
          sizeBytes: Type.Integer({ minimum: 0 }),
        },
        closed,
      ),
      phrases: {
        en: ["a file arrives in {folder}", "a {pattern} file arrives in {folder}"],
        fr: ["un fichier arrive dans {folder}", "un fichier {pattern} arrive dans {folder}"],
      },
      labels: ["origin:event"],
    },
    {
      id: capabilityId("clock.tick@1.0.0"),
      summary: { en: "The clock struck", fr: "L'horloge a sonné" },
      config: Type.Object(
        {
          every_ms: Type.Optional(Type.Integer({ minimum: 1000, maximum: 31_622_400_000 })),
          cron: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
          zone: Type.Optional(Type.String({ maxLength: 64 })),
        },
        closed,
      ),
      event: Type.Object({ scheduledMs: Type.Integer(), catchUp: Type.Boolean() }, closed),
      phrases: { en: [], fr: [] },
      labels: [],
    },
  ],
  workspace,
};

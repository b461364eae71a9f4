import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "../filesystem/file-capability.ts";
import { openFile } from "../filesystem/files.ts";
import { filePath, sha256Text } from "../filesystem/params.ts";
import { placeToRead } from "../filesystem/place.ts";
import { inspectRead } from "../filesystem/read-file.ts";
import { csvColumnsMax } from "../limits.ts";
import { readAmount } from "./amount.ts";
import { readRows, type RowReader } from "./table.ts";

export const readTable = fileCapability({
  id: capabilityId("csv.read_table@1.0.0"),
  summary: {
    en: "Reads a CSV file and says what it holds: columns, rows, dialect",
    fr: "Lit un fichier CSV et dit ce qu'il contient : colonnes, lignes, dialecte",
  },
  params: Type.Object({ path: filePath }, { additionalProperties: false }),
  result: Type.Object(
    {
      columns: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: csvColumnsMax }),
      rowCount: Type.Integer({ minimum: 0 }),
      delimiter: Type.Enum([",", ";", "\t", "|"]),
      /** Null when no cell tells, or cells contradict each other. */
      decimalSeparator: Type.Union([Type.Enum([".", ","]), Type.Null()]),
      encoding: Type.String({ maxLength: 64 }),
      sha256: sha256Text,
    },
    { additionalProperties: false },
  ),
  effect: { kind: "read" },
  resources: [{ kind: "file", param: "path", does: "read" }],
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "filesystem.read",
  labels: ["origin:file"],
  phrases: { en: ["read {path}"], fr: ["lis {path}", "lire {path}"] },
  nouns: [
    {
      field: "rowCount",
      phrases: { en: ["number of rows"], fr: ["nombre de lignes"] },
    },
  ],
  timeoutMs: 600_000,
  resultBytesMax: 512 * 1024,
  retryOn: ["filesystem.too-many-open", "filesystem.busy"],
  inspect: ({ path }, context) => inspectRead(path, context),
  async perform({ path }, context) {
    using spot = placeToRead(path, context);
    await using handle = await openFile(spot);
    const read = await readRows(handle, {
      path: spot.relative,
      signal: context.signal,
      reader: decimalEvidence,
    });
    return {
      result: {
        columns: read.columns,
        rowCount: read.rowCount,
        delimiter: read.dialect.delimiter,
        decimalSeparator: read.reader.separator(),
        encoding: read.dialect.encoding,
        sha256: read.sha256,
      },
      undo: null,
      evidence: "observed",
    };
  },
});

/** Counts cells that are numbers under one convention only. */
function decimalEvidence(): RowReader & { separator(): "." | "," | null } {
  let points = 0;
  let commas = 0;
  return {
    header() {},
    row(cells) {
      for (const text of cells) {
        if (!/\d[.,]\d/.test(text)) continue;
        const cell = readAmount(text);
        if (cell.point !== null && cell.comma === null) points++;
        if (cell.comma !== null && cell.point === null) commas++;
      }
    },
    separator: () => (points > 0 === commas > 0 ? null : points > 0 ? "." : ","),
  };
}

import { decimalSchema, type CallContext } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { parse, Type, type Static } from "@writ/core/schema";
import { decimalText, isDecimal, type Value } from "@writ/core/value";
import {
  inspectAppend,
  parseAppendBefore,
  performAppend,
  predictAppend,
  readRange,
  removeAppendedId,
  resolveAppend,
  type AppendBefore,
} from "../filesystem/append.ts";
import { fault } from "../faults.ts";
import { fileCapability } from "../filesystem/file-capability.ts";
import { appended } from "../filesystem/append-file.ts";
import { openFile } from "../filesystem/files.ts";
import { filePath, fileRetries } from "../filesystem/params.ts";
import { placeToRead } from "../filesystem/place.ts";
import { encodeText } from "../filesystem/text.ts";
import { csvRowValuesMax, sampleBytes } from "../limits.ts";
import { delimiters, dialectOf } from "./dialect.ts";

const cell = Type.Union([
  Type.String({ maxLength: 32_768 }),
  Type.Integer(),
  Type.Number(),
  decimalSchema,
  Type.Boolean(),
  Type.Null(),
]);

export const appendRow = fileCapability({
  id: capabilityId("csv.append_row@1.0.0"),
  summary: {
    en: "Appends one row to a CSV file, creating it if needed",
    fr: "Ajoute une ligne à un fichier CSV, créé au besoin",
  },
  params: Type.Object(
    { path: filePath, values: Type.Array(cell, { minItems: 1, maxItems: csvRowValuesMax }) },
    { additionalProperties: false },
  ),
  result: appended,
  effect: { kind: "write", undo: removeAppendedId },
  resources: [{ kind: "file", param: "path", does: "append" }],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["append a line with {values} to {path}"],
    fr: ["ajoute une ligne avec {values} à {path}", "ajouter une ligne avec {values} à {path}"],
  },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(given, context) {
    const inspection = await inspectAppend(given.path, context);
    const dialect = await dialectIn(given.path, inspection.before["ino"] === null, context);
    rowBytes(given, dialect)({ ino: null, offset: 0, isLineOpen: false });
    return { targets: inspection.targets, before: { ...inspection.before, ...dialect } };
  },
  perform: (given, context) => performAppend(given.path, rowBytes(given, recordedDialect(context)), context),
  resolve: (given, context) => resolveAppend(given.path, rowBytes(given, recordedDialect(context)), context),
  async predict(given, context) {
    const { before } = await inspectAppend(given.path, context);
    const dialect = await dialectIn(given.path, before["ino"] === null, context);
    return predictAppend(given.path, rowBytes(given, dialect), context);
  },
});

const RowDialect = Type.Object(
  {
    delimiter: Type.Enum([...delimiters]),
    lineEnd: Type.Enum(["\n", "\r\n"]),
    encoding: Type.String({ maxLength: 64 }),
  },
  { additionalProperties: true },
);
type RowDialect = Static<typeof RowDialect>;

/** A new file gets commas, `\n` and UTF-8; an existing one keeps its own ways. */
async function dialectIn(path: string, isNew: boolean, context: CallContext): Promise<RowDialect> {
  if (isNew) return { delimiter: ",", lineEnd: "\n", encoding: "utf-8" };
  using spot = placeToRead(path, context);
  await using handle = await openFile(spot);
  const { delimiter, lineEnd, encoding } = dialectOf(await readRange(handle, 0, sampleBytes));
  return { delimiter, lineEnd, encoding };
}

function recordedDialect(context: CallContext): RowDialect {
  parseAppendBefore(context);
  return parse(RowDialect, context.before, "the file's dialect before appending");
}

function rowBytes(given: { readonly path: string; readonly values: readonly Value[] }, dialect: RowDialect) {
  const row = given.values.map((value) => cellText(value, dialect.delimiter)).join(dialect.delimiter);
  return (before: AppendBefore) =>
    encodeText(
      (before.isLineOpen ? dialect.lineEnd : "") + row + dialect.lineEnd,
      dialect.encoding,
      given.path,
    );
}

/** RFC 4180, section 2, with `value` as a spreadsheet would show it; texts that a spreadsheet would run get a `'` in front. */
function cellText(value: Value, delimiter: string): string {
  const text = plainText(value);
  return /["\r\n]/.test(text) || text.includes(delimiter) || /^\s|\s$/.test(text)
    ? `"${text.replaceAll('"', '""')}"`
    : text;
}

function plainText(value: Value): string {
  if (value === null) return "";
  if (isDecimal(value)) return decimalText(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") {
    throw fault("csv.not-a-cell", "Cannot write a list, a map or bytes into a cell", {});
  }
  const isNumber = /^[+-]?\d+([.,]\d+)?$/.test(value);
  // OWASP, "CSV Injection": these first characters start a formula.
  return /^[=+\-@\t\r\uFF0B\uFF0D\uFF1D\uFF20]/.test(value) && !isNumber ? `'${value}` : value;
}

import { decimalSchema } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { decimal, decimalText, type Decimal } from "@writ/core/value";
import { fileCapability } from "../filesystem/file-capability.ts";
import { fault } from "../faults.ts";
import { openFile } from "../filesystem/files.ts";
import { filePath, sha256Text } from "../filesystem/params.ts";
import { placeToRead } from "../filesystem/place.ts";
import { inspectRead } from "../filesystem/read-file.ts";
import { readAmount, type Convention } from "./amount.ts";
import { columnIndex, declaredColumn, type DeclaredColumn } from "./column.ts";
import { readRows, type RowReader } from "./table.ts";

export const aggregate = fileCapability({
  id: capabilityId("csv.aggregate@1.0.0"),
  summary: {
    en: "Adds up one column of a CSV file, exactly, and finds its least and greatest number",
    fr: "Additionne exactement une colonne d'un fichier CSV et en trouve le minimum et le maximum",
  },
  params: Type.Object(
    { path: filePath, column: Type.String({ minLength: 1, maxLength: 128 }) },
    { additionalProperties: false },
  ),
  result: Type.Object(
    {
      sum: decimalSchema,
      min: decimalSchema,
      max: decimalSchema,
      /** Rows with a number in the column. */
      count: Type.Integer({ minimum: 0 }),
      rowCount: Type.Integer({ minimum: 0 }),
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
  phrases: {
    en: ["add up {column} of {path}"],
    fr: ["additionne {column} de {path}", "additionner {column} de {path}"],
  },
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
  timeoutMs: 600_000,
  resultBytesMax: 8192,
  retryOn: ["filesystem.too-many-open", "filesystem.busy"],
  inspect: ({ path }, context) => inspectRead(path, context),
  async perform({ path, column }, context) {
    using spot = placeToRead(path, context);
    await using handle = await openFile(spot);
    const declared = declaredColumn(spot.relative, column, context.workspace);
    const reader = () => new ColumnReader(spot.relative, column, declared);
    const read = await readRows(handle, { path: spot.relative, signal: context.signal, reader });
    const totals = read.reader.totals();
    return {
      result: {
        sum: decimal(decimalText(totals.sum)),
        min: totals.min,
        max: totals.max,
        count: totals.count,
        rowCount: read.rowCount,
        sha256: read.sha256,
      },
      undo: null,
      evidence: "observed",
    };
  },
});

interface Totals {
  readonly sum: Decimal;
  readonly min: Decimal;
  readonly max: Decimal;
  readonly count: number;
}

interface Where {
  readonly row: number;
  readonly text: string;
}

/** One reading of the column: with a decimal point, or with a decimal comma. */
interface Reading {
  totals: Totals | null;
  /** First cell that is no number in this reading. */
  failed: Where | null;
  outOfRange: (Where & { readonly bound: string }) | null;
}

/** Reads both conventions side by side and decides at the end, in one pass and constant memory. */
class ColumnReader implements RowReader {
  readonly #path: string;
  readonly #column: string;
  readonly #declared: DeclaredColumn | null;
  readonly #readings: Readonly<Record<Convention, Reading>> = {
    point: { totals: null, failed: null, outOfRange: null },
    comma: { totals: null, failed: null, outOfRange: null },
  };
  readonly #bounds: { readonly min: Decimal | null; readonly max: Decimal | null };
  /** First cell that means something else in each reading. */
  #ambiguous: Where | null = null;
  #currency: (Where & { readonly code: string }) | null = null;
  #index = 0;

  constructor(path: string, column: string, declared: DeclaredColumn | null) {
    this.#path = path;
    this.#column = column;
    this.#declared = declared;
    const { min, max } = declared?.column ?? {};
    this.#bounds = {
      min: min === undefined ? null : decimal(min),
      max: max === undefined ? null : decimal(max),
    };
  }

  header(columns: readonly string[]): void {
    this.#index = columnIndex(columns, { name: this.#column, declared: this.#declared, path: this.#path });
  }

  row(cells: readonly string[], row: number): void {
    const text = cells[this.#index] ?? "";
    if (text.trim() === "") return;
    const where = { row, text: text.slice(0, 200) };
    const cell = readAmount(text);
    if (cell.point === null && cell.comma === null) throw this.#notANumber(where);
    if (cell.currency !== null) this.#checkCurrency(cell.currency, where);
    if (cell.point !== cell.comma && cell.point !== null && cell.comma !== null) this.#ambiguous ??= where;
    this.#take("point", cell.point, where);
    this.#take("comma", cell.comma, where);
    const { point, comma } = this.#readings;
    if (point.failed !== null && comma.failed !== null) {
      const other = point.failed.row === row ? comma.failed : point.failed;
      throw this.#notANumber(where, `; line ${other.row} (\`${other.text}\`) uses another decimal sign`);
    }
  }

  /** @throws csv.empty, csv.ambiguous-decimal, csv.out-of-range */
  totals(): Totals {
    const { point, comma } = this.#readings;
    if (point.failed === null && comma.failed === null && this.#ambiguous !== null) {
      throw fault(
        "csv.ambiguous-decimal",
        `Cannot tell in \`${this.#path}\`, column \`${this.#column}\`, whether \`${this.#ambiguous.text}\` (line ${this.#ambiguous.row}) has decimals or thousands`,
        { path: this.#path, column: this.#column, ...this.#ambiguous },
      );
    }
    const reading = point.failed === null ? point : comma;
    if (reading.totals === null) {
      throw fault("csv.empty", `Cannot add up \`${this.#column}\` of \`${this.#path}\`: it has no numbers`, {
        path: this.#path,
        column: this.#column,
      });
    }
    if (reading.outOfRange !== null) {
      const { row, text, bound } = reading.outOfRange;
      throw fault(
        "csv.out-of-range",
        `Cannot take \`${text}\` in line ${row} of \`${this.#path}\`: \`${this.#column}\` must be ${bound}`,
        { path: this.#path, column: this.#column, row, text, bound },
      );
    }
    return reading.totals;
  }

  #take(convention: Convention, text: string | null, where: Where): void {
    const reading = this.#readings[convention];
    if (reading.failed !== null) return;
    if (text === null) {
      reading.failed = where;
      return;
    }
    const amount = decimal(text);
    const { totals } = reading;
    reading.totals =
      totals === null
        ? { sum: amount, min: amount, max: amount, count: 1 }
        : {
            sum: totals.sum.plus(amount),
            min: amount.lt(totals.min) ? amount : totals.min,
            max: amount.gt(totals.max) ? amount : totals.max,
            count: totals.count + 1,
          };
    const { min, max } = this.#bounds;
    if (min !== null && amount.lt(min))
      reading.outOfRange ??= { ...where, bound: `at least ${decimalText(min)}` };
    if (max !== null && amount.gt(max))
      reading.outOfRange ??= { ...where, bound: `at most ${decimalText(max)}` };
  }

  #checkCurrency(code: string, where: Where): void {
    const expected = this.#declared?.column.currency ?? this.#currency?.code;
    this.#currency ??= { ...where, code };
    if (expected === undefined || expected === code) return;
    throw fault(
      "csv.wrong-currency",
      `Cannot add \`${where.text}\` in line ${where.row} of \`${this.#path}\`: \`${this.#column}\` is in ${expected}`,
      { path: this.#path, column: this.#column, ...where, expected, found: code },
    );
  }

  #notANumber(where: Where, why = "") {
    return fault(
      "csv.not-a-number",
      `Cannot read \`${where.text}\` in line ${where.row} of \`${this.#path}\`, column \`${this.#column}\`, as a number${why}`,
      { path: this.#path, column: this.#column, ...where },
    );
  }
}

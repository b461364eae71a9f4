// Tables: a CSV file read record by record, in constant memory, hashed in the same pass.
import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import type { FileHandle } from "node:fs/promises";
import { parse as csvParser, CsvError, type Options } from "csv-parse";
import type { AbortSignalLike } from "@writ/core/capability";
import { sha256, type Sha256 } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { chunksOf } from "../filesystem/files.ts";
import { readRange } from "../filesystem/append.ts";
import { decodingOf, isUtf8, NotText } from "../filesystem/text.ts";
import { csvColumnsMax, csvRecordBytesMax, sampleBytes } from "../limits.ts";
import { dialectOf, type Dialect } from "./dialect.ts";

/** Receives the header, then each row. A new one is made when the encoding proves to be another. */
export interface RowReader {
  header(columns: readonly string[]): void;
  /** @param number of the line in the file that the row ends in, from 1 */
  row(cells: readonly string[], number: number): void;
}

export interface TableRead<Reader extends RowReader> {
  readonly reader: Reader;
  readonly dialect: Dialect;
  readonly columns: readonly string[];
  readonly rowCount: number;
  readonly sha256: Sha256;
}

/** @throws csv.empty, csv.malformed */
export async function readRows<Reader extends RowReader>(
  handle: FileHandle,
  options: { readonly path: string; readonly signal: AbortSignalLike; readonly reader: () => Reader },
): Promise<TableRead<Reader>> {
  const dialect = dialectOf(await readRange(handle, 0, sampleBytes));
  try {
    return await readAs(handle, dialect, options);
  } catch (error) {
    // UTF-8 as far as the sample went, and not further on: the same file once more in the encoding of older spreadsheets.
    if (!(error instanceof NotText) || !isUtf8(dialect.encoding)) throw error;
    return readAs(handle, { ...dialect, encoding: "windows-1252" }, options);
  }
}

async function readAs<Reader extends RowReader>(
  handle: FileHandle,
  dialect: Dialect,
  options: { readonly path: string; readonly signal: AbortSignalLike; readonly reader: () => Reader },
): Promise<TableRead<Reader>> {
  const hash = createHash("sha256");
  const reader = options.reader();
  let columns: readonly string[] | null = null;
  let rowCount = 0;
  const settings: Options = {
    delimiter: dialect.delimiter,
    bom: true,
    from_line: dialect.hasHint ? 2 : 1,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    relax_quotes: true,
    info: true,
    max_record_size: csvRecordBytesMax,
  };
  try {
    await pipeline(
      decoded(chunksOf(handle, options.signal), { encoding: dialect.encoding, hash }),
      csvParser(settings),
      async (
        records: AsyncIterable<{
          readonly record: readonly string[];
          readonly info: { readonly lines: number };
        }>,
      ) => {
        for await (const { record, info } of records) {
          if (columns === null) {
            columns = record.map((heading) => heading.trim());
            if (columns.length > csvColumnsMax) throw malformed(options.path, info.lines, "too many columns");
            reader.header(columns);
          } else {
            rowCount++;
            reader.row(record, info.lines);
          }
        }
      },
    );
  } catch (error) {
    throw csvFault(error, options.path);
  }
  if (columns === null) {
    throw fault("csv.empty", `Cannot read \`${options.path}\` as a table: it has no header row`, {
      path: options.path,
    });
  }
  return { reader, dialect, columns, rowCount, sha256: sha256(hash.digest("hex")) };
}

async function* decoded(
  chunks: AsyncIterable<Uint8Array>,
  as: { readonly encoding: string; readonly hash: { update(bytes: Uint8Array): unknown } },
): AsyncGenerator<string> {
  const decoding = decodingOf(as.encoding);
  for await (const chunk of chunks) {
    as.hash.update(chunk);
    const text = decoding.write(chunk);
    if (text !== "") yield text;
  }
  const end = decoding.end();
  if (end !== "") yield end;
}

function csvFault(error: unknown, path: string): unknown {
  if (!(error instanceof CsvError)) return error;
  const line = typeof error["lines"] === "number" ? error["lines"] : null;
  const reasons: Readonly<Record<string, string>> = {
    CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: "it has another number of fields than the header",
    CSV_QUOTE_NOT_CLOSED: "a quote is not closed",
    CSV_INVALID_CLOSING_QUOTE: "something follows a closing quote",
    CSV_MAX_RECORD_SIZE: "it is too long",
  };
  return malformed(path, line, reasons[error.code] ?? error.message, error);
}

function malformed(path: string, row: number | null, reason: string, cause?: unknown) {
  const where = row === null ? "" : ` in line ${row}`;
  return fault(
    "csv.malformed",
    `Cannot read \`${path}\` as a table${where}: ${reason}`,
    { path, row, reason },
    cause,
  );
}

// Dialects: what a CSV file's first bytes say about encoding, delimiter and line ends.
//   V1  Quoted fields are read as such: a delimiter or line end inside quotes counts for nothing.
//   V2  The delimiter is the candidate that splits the most records into the same number of fields, more than one; ties go to more fields.
//       A table of one column has the first candidate that stands nowhere in it: the comma of `1,5` is then part of the number.
import { sampleBytes } from "../limits.ts";
import { bomOf, decodingOf, guessEncoding, NotText } from "../filesystem/text.ts";

export type Delimiter = "," | ";" | "\t" | "|";
export const delimiters: readonly Delimiter[] = [",", ";", "\t", "|"];

export interface Dialect {
  readonly encoding: string;
  readonly delimiter: Delimiter;
  readonly lineEnd: "\n" | "\r\n";
  /** An Excel hint `sep=;` stands in the first line. */
  readonly hasHint: boolean;
}

/** @param sample the file's first bytes, at most `sampleBytes` of them */
export function dialectOf(sample: Uint8Array): Dialect {
  const encoding = encodingOf(sample);
  const decoding = decodingOf(encoding);
  const text = decoding.write(sample).replace(/^\uFEFF/, "");
  const lineEnd = /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
  const hint = /^sep=([,;\t|])\r?\n/.exec(text);
  const hinted = delimiters.find((delimiter) => delimiter === hint?.[1]);
  if (hinted !== undefined) return { encoding, delimiter: hinted, lineEnd, hasHint: true };
  const isWhole = sample.length < sampleBytes;
  return { encoding, delimiter: delimiterOf(text, isWhole), lineEnd, hasHint: false };
}

/** utf-8 unless the bytes say otherwise; text that is neither UTF-8 nor marked counts as windows-1252. */
function encodingOf(sample: Uint8Array): string {
  const bom = bomOf(sample);
  if (bom !== null) return bom;
  try {
    decodingOf("utf-8").write(sample);
    const guess = guessEncoding(sample);
    return guess.startsWith("utf-16") ? guess : "utf-8";
  } catch (error) {
    if (!(error instanceof NotText)) throw error;
    const guess = guessEncoding(sample);
    return guess === "binary" ? "windows-1252" : guess;
  }
}

function delimiterOf(text: string, isWhole: boolean): Delimiter {
  let best: { readonly delimiter: Delimiter; readonly agreeing: number; readonly fields: number } = {
    delimiter: ",",
    agreeing: 0,
    fields: 1,
  };
  for (const delimiter of delimiters) {
    const counts = fieldCounts(text, delimiter);
    // The last record of a sample is usually cut.
    if (!isWhole && counts.length > 1) counts.pop();
    const fields = counts[0] ?? 1;
    if (fields < 2) continue;
    const agreeing = counts.filter((count) => count === fields).length / counts.length;
    if (agreeing > best.agreeing || (agreeing === best.agreeing && fields > best.fields)) {
      best = { delimiter, agreeing, fields };
    }
  }
  if (best.agreeing > 0) return best.delimiter;
  return (
    delimiters.find((delimiter) => fieldCounts(text, delimiter).every((count) => count === 1)) ??
    best.delimiter
  );
}

/** Fields of each record that is not empty. */
function fieldCounts(text: string, delimiter: string): number[] {
  const counts: number[] = [];
  let fields = 1;
  let isQuoted = false;
  let isEmpty = true;
  let isFieldStart = true;
  for (const character of text) {
    if (isQuoted) {
      if (character === '"') isQuoted = false;
    } else if (character === '"' && (isFieldStart || !isEmpty)) {
      isQuoted = true;
      isEmpty = false;
    } else if (character === delimiter) {
      fields++;
      isEmpty = false;
    } else if (character === "\n") {
      if (!isEmpty) counts.push(fields);
      fields = 1;
      isEmpty = true;
    } else if (character !== "\r") isEmpty = false;
    isFieldStart = character === delimiter || character === "\n";
  }
  if (!isEmpty) counts.push(fields);
  return counts;
}

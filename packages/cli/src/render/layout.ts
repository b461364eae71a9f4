// Layout of text for terminals.
import { printableJson } from "@writ/core/printable";

/** Columns padded to their widest cell, two spaces apart; the last one is left ragged. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A heading with its text indented below; nothing when there is no text. */
export function section(heading: string, text: string): string {
  return text === "" ? "" : `${heading}\n${indent(text)}\n`;
}

export function indent(text: string, by = "  "): string {
  return text.trimEnd().replaceAll(/^(?=.)/gm, by);
}

/** Parts that say something, with an empty line between them. */
export function paragraphs(...parts: readonly string[]): string {
  return parts
    .map((part) => part.trimEnd())
    .filter((part) => part !== "")
    .join("\n\n");
}

export function shortHash(hash: string): string {
  return hash.slice(0, 12);
}

/** UTC, to the second. */
export function time(ms: number | null): string {
  return ms === null ? "-" : new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** `4 min`, `in 3 h`, for people. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/** JSON on one line, cut when long. */
export function brief(value: unknown, lengthMax = 160): string {
  const text = printableJson(value);
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}

/** One word for a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

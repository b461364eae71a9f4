// Excerpts: the lines of a text with the words in question underlined.

/** Lines that hold a part of the spans, each followed by a line of carets; null when no span lies in the text. */
export function excerptOf(text: string, spans: readonly (readonly [number, number])[]): string | null {
  const marked = spans.filter(([start, end]) => start < end && start < text.length);
  const lines: string[] = [];
  let start = 0;
  for (const line of text.split("\n")) {
    const end = start + line.length;
    const here = marked.filter((span) => span[0] < end && span[1] > start);
    if (here.length > 0) lines.push(line.replaceAll("\t", " "), carets(line, start, here));
    start = end + 1;
  }
  return lines.length === 0 ? null : lines.join("\n");
}

/** Line and column, both from 1, of a character of the text. */
export function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

function carets(line: string, start: number, spans: readonly (readonly [number, number])[]): string {
  let under = "";
  for (let i = 0; i < line.length; i++) {
    const at = start + i;
    // A low surrogate takes no column of its own.
    const code = line.charCodeAt(i);
    if (code >= 0xdc00 && code <= 0xdfff) continue;
    under += spans.some((span) => at >= span[0] && at < span[1]) ? "^" : " ";
  }
  return under.trimEnd();
}

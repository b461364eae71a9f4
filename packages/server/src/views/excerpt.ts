// Excerpts: the lines of a text with the words in question underlined. Long lines (a plan is often one) and long texts are cut.
const lineLengthMax = 240;
const linesMax = 40;
/** Shown of a cut line before its first underlined character. */
const beforeLength = 60;

/** Lines that hold a part of the spans, each followed by a line of carets; null when no span lies in the text. */
export function excerptOf(text: string, spans: readonly (readonly [number, number])[]): string | null {
  const marked = spans.filter(([start, end]) => start < end && start < text.length);
  const lines: string[] = [];
  let start = 0;
  for (const line of text.split("\n")) {
    const end = start + line.length;
    const here = marked.filter((span) => span[0] < end && span[1] > start);
    if (here.length > 0 && lines.length < 2 * linesMax) {
      const from = cutAt(line, Math.min(...here.map(([first]) => first)) - start);
      const shown = line.slice(from, from + lineLengthMax);
      lines.push(shown.replaceAll("\t", " "), carets(shown, start + from, here));
    }
    start = end + 1;
  }
  return lines.length === 0 ? null : lines.join("\n");
}

/** Where the shown part of a line begins: never between the halves of one character. */
function cutAt(line: string, first: number): number {
  if (line.length <= lineLengthMax) return 0;
  const from = Math.max(0, Math.min(first - beforeLength, line.length - lineLengthMax));
  const code = line.charCodeAt(from);
  return code >= 0xdc00 && code <= 0xdfff ? from + 1 : from;
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

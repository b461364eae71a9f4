// What a node answers holds words of people, models and files. Before anything of it is laid out, every text in it is made one visible line.
import { printableLine, quotedLines } from "@writ/core/printable";

/** Fields of answers that hold values of programs and events: no line of them is kept, whatever a member of theirs is called. */
const values: ReadonlySet<string> = new Set(["params", "later", "eventData", "result", "facts", "data"]);
/** Fields whose lines are ours and are kept: the drawing of a graph, lines of a text with what is underlined, a text rendered back. */
const lines: ReadonlySet<string> = new Set(["excerpt", "en", "fr"]);

/** The same data with every text and name in it safe to show, on one line but where lines are kept. */
export function shown<Data>(data: Data): Data {
  return shownAs(data, "", "", false) as Data;
}

function shownAs(data: unknown, name: string, parent: string, isValue: boolean): unknown {
  if (typeof data === "string")
    return hasLines(name, parent) && !isValue ? keptLines(data) : printableLine(data);
  if (typeof data !== "object" || data === null) return data;
  if (Array.isArray(data)) return data.map((item: unknown) => shownAs(item, name, parent, isValue));
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      printableLine(key),
      shownAs(value, key, name, isValue || values.has(key)),
    ]),
  );
}

function hasLines(name: string, parent: string): boolean {
  return lines.has(name) || (name === "text" && (parent === "graph" || parent === "files"));
}

/** Tabs are for layout in a text whose lines are kept. */
function keptLines(text: string): string {
  return text.replaceAll("\t", "    ").trimEnd().split(/\r?\n/).map(printableLine).join("\n");
}

/** A text of several lines, such as a stack, below the name it belongs to. */
export function marked(text: string): string {
  return quotedLines(text).replaceAll("\n", "\n  ");
}

// Text from outside (names, messages, cells, comments) made safe to show: it can neither steer a terminal nor pass for another line.
//   W1  What is shown has no control, format, bidirectional, invisible or line separating character; each stands as `⏎` or `<U+202E>`.
//   W2  One line from outside is one line on the screen. Where lines are kept, every line after the first is marked with `│`.

/** C0, C1, DEL, formatting and bidi marks, line and paragraph separators, zero-width and other invisible characters, lone surrogates. */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** The text on one line; a line break stands as `⏎`, every other hidden character as its code point. */
export function printableLine(text: string): string {
  return text.replaceAll(/\r\n|\n/g, "⏎").replaceAll(hidden, codePoint);
}

/** The text with its line breaks; whoever calls it has made sure that no line is from outside as a whole. */
export function printableLines(text: string): string {
  return text.split("\n").map(printableLine).join("\n");
}

/** The text with its line breaks, each line after the first marked, so that none passes for a line of ours. */
export function quotedLines(text: string): string {
  return text.trimEnd().split(/\r?\n/).map(printableLine).join("\n│ ");
}

/** JSON that reads back as the same value and holds no hidden character but the line breaks between its members. */
export function printableJson(value: unknown, spaces?: number): string {
  const text = JSON.stringify(value, undefined, spaces) ?? "null";
  return text.replaceAll(hidden, (found) => {
    if (found === "\n") return found;
    // JSON writes what is beyond 16 bits as two escapes.
    return found
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join("");
  });
}

function codePoint(character: string): string {
  return `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`;
}

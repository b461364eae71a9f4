// File name patterns as languages: `*` and `?` stay within one name, `**` crosses folders, `[a-c]`, `[!a]`, `{csv,txt}`.
import {
  allBut,
  anything,
  chars,
  complementOf,
  concat,
  star,
  union,
  word,
  type CharSet,
  type Regular,
} from "./regular.ts";

const notSlash = chars(allBut("/"));

export function patternLanguage(pattern: string): Regular {
  return alternatives([...pattern], 0, "").language;
}

/** Reads up to the closing character of a group, or to the end; commas separate alternatives inside a group only. */
function alternatives(
  text: readonly string[],
  start: number,
  close: string,
): { readonly language: Regular; readonly next: number } {
  const options: Regular[] = [];
  let parts: Regular[] = [];
  let at = start;
  while (at < text.length && text[at] !== close) {
    const character = text[at] ?? "";
    if (character === "," && close !== "") {
      options.push(concat(...parts));
      parts = [];
      at++;
    } else if (character === "*") {
      const isDouble = text[at + 1] === "*";
      if (isDouble && text[at + 2] === "/") {
        parts.push(union(word(""), concat(anything, word("/"))));
        at += 3;
      } else {
        parts.push(isDouble ? anything : star(notSlash));
        at += isDouble ? 2 : 1;
      }
    } else if (character === "?") {
      parts.push(notSlash);
      at++;
    } else if (character === "[" && text.indexOf("]", at + 2) > 0) {
      const end = text.indexOf("]", at + 2);
      parts.push(chars(classOf(text.slice(at + 1, end))));
      at = end + 1;
    } else if (character === "{" && text.indexOf("}", at) > 0) {
      const group = alternatives(text, at + 1, "}");
      parts.push(group.language);
      at = group.next + 1;
    } else if (character === "\\" && at + 1 < text.length) {
      parts.push(word(text[at + 1] ?? ""));
      at += 2;
    } else {
      parts.push(word(character));
      at++;
    }
  }
  options.push(concat(...parts));
  return { language: union(...options), next: at };
}

function classOf(text: readonly string[]): CharSet {
  const isNegated = text[0] === "!" || text[0] === "^";
  const items = isNegated ? text.slice(1) : text;
  const set: (readonly [number, number])[] = [];
  for (let i = 0; i < items.length; i++) {
    const low = items[i]?.codePointAt(0) ?? 0;
    const isRange = items[i + 1] === "-" && items[i + 2] !== undefined;
    const high = isRange ? (items[i + 2]?.codePointAt(0) ?? low) : low;
    if (isRange) i += 2;
    set.push([Math.min(low, high), Math.max(low, high)]);
  }
  // A separator is in no class: names are matched one by one.
  return complementOf(isNegated ? [...set, [47, 47]] : [...complementOf(set), [47, 47]]);
}

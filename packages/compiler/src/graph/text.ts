// Values and durations as one line of text, and long lines as several.
import type { Operand } from "@writ/core/program";
import { toHex } from "@writ/core/bytes";
import { decimalText, isMap, isNumeric, toDecimal, type Value } from "@writ/core/value";

const valueCharactersMax = 240;

export function operandText(operand: Operand): string {
  return operand.kind === "literal" ? literalText(operand.value) : shortened(visible(operand.text));
}

/** JSON with sorted fields, so that quotes and line breaks show and one value has one text; numbers plain, bytes as `h'…'`. */
export function literalText(value: Value): string {
  return shortened(visible(jsonOf(value)));
}

function jsonOf(value: Value): string {
  if (isNumeric(value)) return decimalText(toDecimal(value));
  if (value instanceof Uint8Array) return `h'${toHex(value)}'`;
  if (Array.isArray(value)) return `[${value.map((item: Value) => jsonOf(item)).join(", ")}]`;
  if (isMap(value)) {
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, item]) => `${JSON.stringify(key)}: ${jsonOf(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

export function durationText(ms: number): string {
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`;
  }
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}

/** Lines of at most `columns` characters, broken at spaces where there are any. */
export function wrapText(text: string, first: string, rest: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let left = [...visible(text)];
  for (let prefix = first; ; prefix = rest) {
    const room = columns - prefix.length;
    if (left.length <= room) {
      lines.push((prefix + left.join("")).trimEnd());
      return lines;
    }
    const space = left.lastIndexOf(" ", room);
    const cut = space > room / 2 ? space : room;
    lines.push((prefix + left.slice(0, cut).join("")).trimEnd());
    left = left.slice(left[cut] === " " ? cut + 1 : cut);
  }
}

/** Characters that do not show, or turn the direction of text, as their code: what is drawn is what is there. */
function visible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ""}}`,
  );
}

function shortened(text: string): string {
  const characters = [...text];
  if (characters.length <= valueCharactersMax) return text;
  return `${characters.slice(0, valueCharactersMax).join("")}… (${characters.length - valueCharactersMax} more characters)`;
}

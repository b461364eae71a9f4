import fc from "fast-check";
import { expect, test } from "vitest";
import { printableJson, printableLine, printableLines, quotedLines } from "@writ/core/printable";

const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const steering = fc.constantFrom(
  "\n",
  "\r",
  "\r\n",
  "\t",
  "\u001b[2J",
  "\u009b",
  "\u202e",
  "\u2066",
  "\u200b",
  "\u2028",
  "\u{e0041}",
  "\ufeff",
  "\u3164",
  "\ud800",
);
const texts = fc
  .array(fc.oneof(fc.string({ unit: "binary" }), steering), { maxLength: 12 })
  .map((parts) => parts.join(""));

test("W1 no text leaves a control, format or invisible character on the screen", () => {
  fc.assert(
    fc.property(texts, (text) => {
      expect(printableLine(text)).not.toMatch(hidden);
      for (const shown of [printableLines(text), quotedLines(text)])
        expect(shown.replaceAll("\n", "")).not.toMatch(hidden);
    }),
  );
});

test("W1 what people write stays as it is", () => {
  for (const text of ["Éluard 1 234,56 €", "inbox/a.csv", "a\\b <U>", "日本語 🙂"])
    expect(printableLine(text)).toBe(text);
  expect(printableLine("a\r\nb\tc\u202ed\u001b[2J")).toBe("a⏎b<U+0009>c<U+202E>d<U+001B>[2J");
});

test("W2 a line from outside is one line, and lines that are kept are marked", () => {
  expect(printableLine("Pay 5 EUR\na_1: owner must decide")).toBe("Pay 5 EUR⏎a_1: owner must decide");
  fc.assert(
    fc.property(texts, (text) => {
      for (const line of quotedLines(text).split("\n").slice(1)) expect(line).toMatch(/^│ /);
    }),
  );
});

test("W1 JSON reads back as the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), texts, (value, text) => {
      const data = { value, text, [text]: 1 };
      const shown = printableJson(data, 2);
      expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(data)));
      expect(shown.replaceAll("\n", "")).not.toMatch(hidden);
    }),
  );
});

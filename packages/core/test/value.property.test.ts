import fc from "fast-check";
import { expect, test } from "vitest";
import { fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from "@writ/core/bytes";
import { evaluate, parseExpression, renderExpression, type Expression } from "@writ/core/expression";
import { decimal, decimalText, equalValues } from "@writ/core/value";

const bytes = fc.uint8Array({ maxLength: 64 });

test("C10 bytes survive hexadecimal and base64", () => {
  fc.assert(
    fc.property(bytes, (input) => {
      expect(fromHex(toHex(input))).toEqual(input);
      expect(fromBase64(toBase64(input))).toEqual(input);
      expect(toBase64(input)).toBe(Buffer.from(input).toString("base64"));
    }),
  );
});

test("C11 text survives UTF-8 and broken UTF-8 is refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(fromUtf8(utf8(text))).toBe(text.toWellFormed());
    }),
  );
  expect(() => fromUtf8(new Uint8Array([0xff]))).toThrow();
});

const decimalTexts = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 10 }))
  .map(([units, places]) => {
    const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
    const whole = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
    return `${units < 0n ? "-" : ""}${whole}`;
  });

test("V1 a decimal's text reads back as an equal decimal", () => {
  fc.assert(
    fc.property(decimalTexts, (text) => {
      expect(decimal(decimalText(decimal(text))).eq(decimal(text))).toBe(true);
    }),
  );
});

test("V1 sums do not depend on the order", () => {
  const sum = parseExpression("sum(xs)");
  fc.assert(
    fc.property(fc.array(decimalTexts, { maxLength: 20 }), (texts) => {
      const forward = evaluate(sum, { xs: texts.map(decimal) });
      const backward = evaluate(sum, { xs: texts.map(decimal).reverse() });
      expect(equalValues(forward, backward)).toBe(true);
    }),
  );
});

const names = fc.constantFrom("a", "b", "event", "s1");
const expressions: fc.Arbitrary<Expression> = fc.letrec<{ tree: Expression }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom(null, true, false).map((value): Expression => ({ kind: "literal", value })),
      fc.string({ unit: "grapheme" }).map((value): Expression => ({ kind: "literal", value })),
      decimalTexts.map((text): Expression => ({ kind: "literal", value: decimal(text) })),
      names.map((name): Expression => ({ kind: "name", name })),
    ),
    tie("tree").chain((of) =>
      fc.constantFrom("x", "é b", "in").map((field): Expression => ({ kind: "field", of, field })),
    ),
    tie("tree").map((of): Expression => ({ kind: "has", of, field: "x" })),
    fc
      .tuple(tie("tree"), names)
      .map(([of, name]): Expression => ({ kind: "index", of, at: { kind: "name", name } })),
    tie("tree").map((of): Expression => ({ kind: "unary", operator: "!", of })),
    fc
      .tuple(fc.constantFrom("&&", "||", "==", "<", "+", "-", "*", "/", "%", "in"), tie("tree"), tie("tree"))
      .map(([operator, left, right]): Expression => ({
        kind: "binary",
        operator: operator as "&&",
        left,
        right,
      })),
    fc
      .tuple(tie("tree"), tie("tree"), tie("tree"))
      .map(([when, then, otherwise]): Expression => ({ kind: "conditional", when, then, otherwise })),
    tie("tree").map((of): Expression => ({ kind: "call", name: "sum", arguments: [of] })),
    fc.array(tie("tree"), { maxLength: 3 }).map((items): Expression => ({ kind: "list", items })),
    fc
      .array(fc.tuple(fc.string(), tie("tree")), { maxLength: 3 })
      .map((entries): Expression => ({ kind: "map", entries })),
    fc
      .tuple(fc.constantFrom("all", "exists", "map", "filter"), tie("tree"), tie("tree"))
      .map(([macro, over, body]): Expression => ({
        kind: "each",
        macro: macro as "all",
        over,
        name: "r",
        body,
      })),
  ),
})).tree;

test("X1 every tree's text reads back as the same tree", () => {
  fc.assert(
    fc.property(expressions, (tree) => {
      const text = renderExpression(tree);
      expect(renderExpression(parseExpression(text)), text).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test("X3 evaluation ends in a value or a fault with a code", () => {
  fc.assert(
    fc.property(expressions, (tree) => {
      try {
        evaluate(tree, { a: 1, b: "text", event: { x: [1, 2] }, s1: [decimal("0.1")] });
      } catch (error) {
        expect(error).toHaveProperty("code");
      }
    }),
  );
});

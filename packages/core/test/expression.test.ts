import { expect, test } from "vitest";
import { evaluate, freeNames, parseExpression, renderExpression } from "@writ/core/expression";
import { decimal, toJson } from "@writ/core/value";

const value = (text: string, bindings = {}) => toJson(evaluate(parseExpression(text), bindings));

test("X2 sums of decimals are exact", () => {
  expect(
    value('sum(rows.map(r, r.amount)) == decimal("0.3")', {
      rows: [{ amount: decimal("0.1") }, { amount: decimal("0.2") }],
    }),
  ).toBe(true);
});

test("X1 the canonical text reads back as the same tree", () => {
  for (const text of [
    "a && (b || c) ? x.y[0] : -z",
    "rows.filter(r, r.n > 3).exists(q, q in [1, 2])",
    'has(a.b) && a["é b"] == "q\\"x"',
    "1 - (2 - 3) * 4",
  ]) {
    const tree = parseExpression(text);
    expect(parseExpression(renderExpression(tree))).toEqual(tree);
  }
});

test("X3 unknown names and fields are faults that list what there is", () => {
  expect(() => value("nothing", { something: 1 })).toThrow(/nothing/);
  expect(freeNames(parseExpression("a.map(b, b + c)"))).toEqual(["a", "c"]);
});

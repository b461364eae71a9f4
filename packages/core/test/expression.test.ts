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

test("K43 an expression reaches the values it is given and nothing of the host", () => {
  const given = { data: { name: "x" }, list: [1], amount: decimal("1.5") };
  const reaching = [
    "data.constructor",
    "data.__proto__",
    "data.toString",
    'data["constructor"]',
    "list.length",
    "list.constructor",
    "amount.toFixed",
    "amount.c",
    '"a".constructor',
    "constructor",
    "globalThis",
    "process",
    "this",
  ];
  for (const text of reaching) expect(() => value(text, given), text).toThrow();
  for (const text of ["data.toString()", 'data.constructor("return 1")()', 'eval("1")', 'import("fs")'])
    expect(() => parseExpression(text), text).toThrow();
  expect(value('has(data.constructor) || has(data.__proto__) || "constructor" in data', given)).toBe(false);
});

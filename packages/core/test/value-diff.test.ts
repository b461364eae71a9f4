import { expect, test } from "vitest";
import { decimal } from "@writ/core/value";
import { valueChanges } from "@writ/core/value-diff";

test("V3 K118 a difference names each place that was added, removed or changed", () => {
  const before = { sum: decimal("10.50"), rows: [1, 2], note: "a", "a/b~c": true };
  const after = { sum: decimal("10.5"), rows: [1, 3, 4], "a/b~c": false, extra: null };
  expect(valueChanges(before, after)).toEqual([
    { at: "/rows/1", kind: "changed", before: 2, after: 3 },
    { at: "/rows/2", kind: "added", after: 4 },
    { at: "/note", kind: "removed", before: "a" },
    { at: "/a~1b~0c", kind: "changed", before: true, after: false },
    { at: "/extra", kind: "added", after: null },
  ]);
});

test("V3 a difference of other kinds is one change of the whole, and equal values differ nowhere", () => {
  expect(valueChanges({ a: 1 }, [1])).toEqual([{ at: "", kind: "changed", before: { a: 1 }, after: [1] }]);
  expect(valueChanges({ a: decimal("1.0") }, { a: 1 })).toEqual([]);
});

test("V3 no more changes are listed than asked for", () => {
  const many = (n: number) => Array.from({ length: 50 }, () => n);
  expect(valueChanges(many(1), many(2), 7)).toHaveLength(7);
});

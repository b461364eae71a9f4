import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "@writ/core/bytes";
import { cborDepthMax, decodeCbor, encodeCbor } from "@writ/core/cbor";
import { decimal, type Value } from "@writ/core/value";

// RFC 8949, appendix A, as far as the subset goes.
const vectors: readonly (readonly [Value, string])[] = [
  [0, "00"],
  [23, "17"],
  [24, "1818"],
  [255, "18ff"],
  [256, "190100"],
  [1000000, "1a000f4240"],
  [1000000000000, "1b000000e8d4a51000"],
  [9007199254740991, "1b001fffffffffffff"],
  [-1, "20"],
  [-100, "3863"],
  [-1000, "3903e7"],
  [1.1, "fb3ff199999999999a"],
  [1.5, "f93e00"],
  [5.960464477539063e-8, "f90001"],
  [0.00006103515625, "f90400"],
  [-4.1, "fbc010666666666666"],
  [0.333251953125, "f93555"],
  [1e300, "fb7e37e43c8800759c"],
  [3.4028234663852886e38, "fa7f7fffff"],
  [false, "f4"],
  [true, "f5"],
  [null, "f6"],
  ["", "60"],
  ["IETF", "6449455446"],
  ["ü", "62c3bc"],
  ["水", "63e6b0b4"],
  ["\u{10151}", "64f0908591"],
  [fromHex("01020304"), "4401020304"],
  [[], "80"],
  [[1, [2, 3], [4, 5]], "8301820203820405"],
  [{}, "a0"],
  [{ a: 1, b: [2, 3] }, "a26161016162820203"],
  [decimal("273.15"), "c48221196ab3"],
  [decimal("0.00"), "c4820000"],
  [decimal("-1200"), "c482022b"],
  [decimal("18446744073709551616"), "c48200c249010000000000000000"],
];

describe("encoding", () => {
  test.each(vectors)("B1 B2 B3 %j is one sequence of bytes", (value, hex) => {
    expect(toHex(encodeCbor(value))).toBe(hex);
    expect(decodeCbor(fromHex(hex))).toEqual(value);
  });

  test("B1 keys stand in bytewise order of their encodings, whatever order they were given in", () => {
    expect(toHex(encodeCbor({ aa: 1, b: 2, é: 3, a: 4, zz: 5 }))).toBe(
      "a561610461620262616101627a7a0562c3a903",
    );
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${(i * 7919) % 300}`, i]));
    expect(decodeCbor(encodeCbor(many))).toEqual(many);
  });

  test("B2 minus zero is zero; NaN and infinities are refused", () => {
    expect(toHex(encodeCbor(-0))).toBe("00");
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(() => encodeCbor(value)).toThrow(expect.objectContaining({ code: "core.invalid-value" }));
    }
  });

  test("B4 an undefined property is not written, undefined in a list is refused", () => {
    const partial: Record<string, unknown> = { a: 1, b: undefined };
    expect(toHex(encodeCbor(partial as never))).toBe("a1616101");
    expect(() => encodeCbor([undefined] as never)).toThrow(
      expect.objectContaining({ code: "core.invalid-value" }),
    );
  });

  test("B4 what is no value is refused: dates, maps, functions, big integers, half surrogate pairs", () => {
    for (const value of [
      new Map(),
      new Set(),
      () => 1,
      1n,
      "\ud800",
      "x".repeat(100) + "\udfff",
      new Error("no"),
    ]) {
      expect(() => encodeCbor({ value } as never)).toThrow(
        expect.objectContaining({ code: "core.invalid-value" }),
      );
    }
  });

  test("B4 cycles and too deep nesting are refused, not endless", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => encodeCbor(cycle as never)).toThrow(expect.objectContaining({ code: "core.invalid-value" }));
    const deep = fromHex("81".repeat(cborDepthMax + 1) + "00");
    expect(() => decodeCbor(deep)).toThrow(expect.objectContaining({ code: "core.cbor-invalid" }));
  });

  test("B5 a key named __proto__ is data", () => {
    const bytes = encodeCbor(JSON.parse('{"__proto__": {"isOwner": true}}'));
    const value = decodeCbor(bytes) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(value["isOwner"]).toBeUndefined();
    expect(toHex(encodeCbor(value as never))).toBe(toHex(bytes));
  });
});

describe("decoding refuses", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["nothing", ""],
    ["bytes after the value", "0000"],
    ["a long head for a small integer", "1817"],
    ["a long head for a small length", "780161"],
    ["an indefinite list", "9fff"],
    ["an indefinite text", "7f6161ff"],
    ["an undefined", "f7"],
    ["another simple value", "f0"],
    ["a float that is an integer", "f93c00"],
    ["minus zero as a float", "f98000"],
    ["a float longer than needed", "fa3fc00000"],
    ["NaN", "f97e00"],
    ["infinity", "f97c00"],
    ["keys out of order", "a2616201616102"],
    ["a key twice", "a2616101616102"],
    ["a key that is no text", "a10102"],
    ["a date", "c11a514b67b0"],
    ["a big integer outside a decimal", "c249010000000000000000"],
    ["a decimal with trailing zeros", "c482001864"],
    ["a decimal zero with an exponent", "c4820100"],
    ["a decimal with a small big integer", "c48200c24101"],
    ["a decimal with a fraction as exponent", "c482f93e0001"],
    ["an integer beyond 2^53 - 1", "1b0020000000000000"],
    ["a text that is not UTF-8", "62c328"],
    ["a list longer than the bytes", "9affffffff00"],
    ["a text longer than the bytes", "7bffffffffffffffff"],
  ];
  test.each(refused)("B5 %s", (_, hex) => {
    expect(() => decodeCbor(fromHex(hex))).toThrow(expect.objectContaining({ code: "core.cbor-invalid" }));
  });
});

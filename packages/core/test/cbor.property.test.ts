import { encode as oracle, rfc8949EncodeOptions } from "cborg";
import fc from "fast-check";
import { expect, test } from "vitest";
import { toHex } from "@writ/core/bytes";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import { decimal, type Value } from "@writ/core/value";

const text = fc.string({ unit: "grapheme", maxLength: 80 });
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 70_000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -2048, max: 2048 }).map((n) => n / 2 ** 24),
);
const plainLeaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  number.map((n) => (n === 0 ? 0 : n)),
  text,
  fc.uint8Array({ maxLength: 40 }),
);
const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.integer({ min: -30, max: 30 }))
  .map(([mantissa, exponent]) => decimal(`${mantissa}e${exponent}`));

function treeOf(leaf: fc.Arbitrary<Value>): fc.Arbitrary<Value> {
  return fc.letrec<{ tree: Value }>((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.array(tie("tree"), { maxLength: 6 }),
      fc.dictionary(text, tie("tree"), { maxKeys: 6, noNullPrototype: true }),
    ),
  })).tree;
}

/** What the oracle writes otherwise: halves below 2^-14 as singles, integers beyond 2^53 as integers. */
const likeOracle = plainLeaf.filter(
  (value) =>
    typeof value !== "number" ||
    Number.isSafeInteger(value) ||
    (Math.abs(value) >= 2 ** -14 && !Number.isInteger(value)),
);

test("B1 B2 the bytes are those of an independent encoder", () => {
  fc.assert(
    fc.property(treeOf(likeOracle), (value) => {
      expect(toHex(encodeCbor(value))).toBe(toHex(oracle(value, rfc8949EncodeOptions)));
    }),
    { numRuns: 300 },
  );
});

test("B3 B5 decoding gives the value back, and encoding that the same bytes", () => {
  fc.assert(
    fc.property(treeOf(fc.oneof(plainLeaf, decimals)), (value) => {
      const bytes = encodeCbor(value);
      const decoded = decodeCbor(bytes);
      expect(decoded).toEqual(value);
      expect(toHex(encodeCbor(decoded))).toBe(toHex(bytes));
    }),
    { numRuns: 300 },
  );
});

test("B5 changed bytes are refused, or are themselves the one encoding of another value", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(treeOf(fc.oneof(plainLeaf, decimals)), changes, (value, flips) => {
      const bytes = encodeCbor(value);
      for (const [at, mask] of flips) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ mask;
      let decoded: Value;
      try {
        decoded = decodeCbor(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "core.cbor-invalid" });
        return;
      }
      expect(toHex(encodeCbor(decoded))).toBe(toHex(bytes));
    }),
    { numRuns: 1000 },
  );
});

test("B2 every half-precision number is written in two bytes, and read back exactly", () => {
  const view = new DataView(new ArrayBuffer(3));
  view.setUint8(0, 0xf9);
  let count = 0;
  for (let bits = 0; bits < 0x10000; bits++) {
    const exponent = (bits >> 10) & 31;
    const scale = exponent === 0 ? 2 ** -24 : 2 ** (exponent - 25);
    const number = (bits & 0x8000 ? -1 : 1) * ((bits & 1023) + (exponent === 0 ? 0 : 1024)) * scale;
    if (exponent === 31 || Number.isInteger(number)) continue;
    view.setUint16(1, bits);
    const bytes = new Uint8Array(view.buffer);
    if (decodeCbor(bytes) !== number) expect.fail(`${bits} is ${number}`);
    if (toHex(encodeCbor(number)) !== toHex(bytes)) expect.fail(`${number} is ${bits}`);
    count++;
  }
  expect(count).toBeGreaterThan(40_000);
});

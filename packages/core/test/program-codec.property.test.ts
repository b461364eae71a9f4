import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeCbor } from "@writ/core/cbor";
import { decodeCertificate } from "@writ/core/certificate-codec";
import { decodeProgram, encodeProgram, hashProgram } from "@writ/core/program-codec";
import { checkProgram } from "@writ/core/program-check";
import { decodeEnvelope } from "@writ/core/signature";
import { equalValues, parseValue, type Value } from "@writ/core/value";
import { arbitraryCapabilities, programArbitrary, valueArbitrary } from "@writ/testkit/program-arbitrary";

const hasher = { sha256: (bytes: Uint8Array) => createHash("sha256").update(bytes).digest() };
const plain = (data: unknown): Value => parseValue(data);

test("F1 a program survives its bytes, and the bytes survive the program", () => {
  fc.assert(
    fc.property(programArbitrary, (program) => {
      const bytes = encodeProgram(program);
      const decoded = decodeProgram(bytes);
      expect(equalValues(plain(decoded), plain(program))).toBe(true);
      expect(encodeProgram(decoded)).toEqual(bytes);
      expect(hashProgram(bytes, hasher)).toMatch(/^[0-9a-f]{64}$/);
    }),
    { numRuns: 300 },
  );
});

test("F2 whatever one flipped bit yields, it is refused or is another canonical program", () => {
  fc.assert(
    fc.property(programArbitrary, fc.nat(), fc.nat(7), (program, place, bit) => {
      const bytes = encodeProgram(program);
      const changed = bytes.slice();
      const at = place % bytes.length;
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      try {
        expect(encodeProgram(decodeProgram(changed))).toEqual(changed);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^program\.(malformed|version)$/) });
      }
    }),
    { numRuns: 500 },
  );
});

test("F2 arbitrary bytes never crash the decoder", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (tail) => {
      const bytes = Uint8Array.from([8, 1, ...tail]);
      expect(() => decodeProgram(bytes)).toThrow(expect.objectContaining({ code: "program.malformed" }));
    }),
    { numRuns: 500 },
  );
});

test("F2 F4 arbitrary CBOR never crashes the decoders of envelopes and certificates", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), valueArbitrary.map(encodeCbor)), (bytes) => {
      expect(() => decodeEnvelope(bytes)).toThrow(expect.objectContaining({ code: "program.malformed" }));
      expect(() => decodeCertificate(bytes)).toThrow(
        expect.objectContaining({ code: "certificate.malformed" }),
      );
    }),
    { numRuns: 500 },
  );
});

test("P5 to P15 every generated program passes the structural checks", () => {
  fc.assert(
    fc.property(programArbitrary, (program) => {
      expect(checkProgram(program, arbitraryCapabilities)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

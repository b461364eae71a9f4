import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeCbor } from "@writ/core/cbor";
import { decodeCertificate } from "@writ/core/certificate-codec";
import { decodeProgram, encodeProgram, hashProgram } from "@writ/core/program-codec";
import { checkProgram } from "@writ/core/program-check";
import { decodeEnvelope } from "@writ/core/signature";
import { equalValues, parseValue, type Value } from "@writ/core/value";
import {
  arbitraryCapabilities,
  arbitraryCapabilities2,
  program2Arbitrary,
  programArbitrary,
  valueArbitrary,
} from "@writ/testkit/program-arbitrary";

const hasher = { sha256: (bytes: Uint8Array) => createHash("sha256").update(bytes).digest() };
const plain = (data: unknown): Value => parseValue(data);

test.each([
  [1, programArbitrary],
  [2, program2Arbitrary],
])("F1 a program of format %i survives its bytes, and the bytes survive the program", (_, programs) => {
  fc.assert(
    fc.property(programs, (program) => {
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
    fc.property(program2Arbitrary, fc.nat(), fc.nat(7), (program, place, bit) => {
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
    fc.property(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 64 }), (format, tail) => {
      const bytes = Uint8Array.from([8, format, ...tail]);
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

test("P16 to P21 every generated program of format 2 passes the structural checks", () => {
  fc.assert(
    fc.property(program2Arbitrary, (program) => {
      expect(checkProgram(program, arbitraryCapabilities2)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("F5 a program of format 1 with anything of format 2 is neither written, read nor accepted", () => {
  const programs = program2Arbitrary.filter(({ format }) => format === 2);
  fc.assert(
    fc.property(programs, (program) => {
      const bytes = encodeProgram(program);
      expect(() => decodeProgram(Uint8Array.from([8, 1, ...bytes.subarray(2)]))).toThrow(
        expect.objectContaining({ code: "program.malformed" }),
      );
      expect(checkProgram({ ...program, format: 1 }, arbitraryCapabilities2).map(({ rule }) => rule)).toEqual(
        ["P21"],
      );
    }),
    { numRuns: 100 },
  );
});

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { decodeCertificate, encodeCertificate, hashCertificate } from "@writ/core/certificate-codec";
import { encodeCbor } from "@writ/core/cbor";
import { programHash, sha256 } from "@writ/core/ids";
import type { Certificate } from "@writ/core/program";
import { parseValue } from "@writ/core/value";

const hash = (digit: string) => digit.repeat(64);
const certificate: Certificate = {
  v: 1,
  program: programHash(hash("a")),
  verdict: "refused",
  encoder: "writ-smt 1",
  solver: "z3 4.15.1",
  against: [programHash(hash("b"))],
  checks: [
    {
      check: 2,
      name: "no contradiction",
      verdict: "violated",
      claim: "No two deployed programs command opposite things at once.",
      method: "solver",
      query: { text: "(check-sat)", sha256: sha256(hash("c")), result: "sat" },
      counterexample: {
        summary: "A sum of 10000.01 EUR moves the file to two folders.",
        values: [{ name: "sum of amount", value: "10000.01 EUR" }],
        path: ["read", "move"],
        spans: [[3, 14]],
        other: programHash(hash("b")),
      },
    },
    {
      check: 40,
      name: "bounded",
      verdict: "holds",
      claim: "It ends.",
      method: "graph",
      query: null,
      counterexample: null,
    },
  ],
  elapsedMs: 12.5,
};
const malformed = expect.objectContaining({ code: "certificate.malformed" });

test("F4 a certificate survives its bytes and has one hash", () => {
  const bytes = encodeCertificate(certificate);
  expect(decodeCertificate(bytes)).toEqual(certificate);
  expect(encodeCertificate(decodeCertificate(bytes))).toEqual(bytes);
  const hasher = { sha256: (data: Uint8Array) => createHash("sha256").update(data).digest() };
  expect(hashCertificate(bytes, hasher)).toBe(createHash("sha256").update(bytes).digest("hex"));
});

test("F4 anything else is malformed", () => {
  const wrong: readonly unknown[] = [
    { ...certificate, v: 2 },
    { ...certificate, verdict: "probably" },
    { ...certificate, trusted: true },
    { ...certificate, program: "abc" },
    { ...certificate, checks: [{ ...certificate.checks[0], spans: [] }] },
    [],
  ];
  for (const data of wrong) expect(() => decodeCertificate(encodeCbor(parseValue(data)))).toThrow(malformed);
  const bytes = encodeCertificate(certificate);
  expect(() => decodeCertificate(bytes.slice(1))).toThrow(malformed);
  expect(() => decodeCertificate(Uint8Array.from([...bytes, 0]))).toThrow(malformed);
  expect(() => decodeCertificate(Uint8Array.from([0x41]))).toThrow(malformed);
});

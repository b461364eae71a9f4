// Certificates as bytes: deterministic CBOR of the certificate itself, closed and bounded, so that one certificate has one hash.
import { toHex } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { fault } from "./faults.ts";
import { programHash, sha256, type Sha256 } from "./ids.ts";
import type { Hasher } from "./ports.ts";
import type { Certificate } from "./program.ts";
import { Type, schemaProblems, type Static, type TSchema } from "./schema.ts";
import { parseValue } from "./value.ts";

/** A certificate holds the text of every query it asked. */
export const certificateBytesMax = 16 * 1024 * 1024;

export function encodeCertificate(certificate: Certificate): Uint8Array {
  return encodeCbor(parseValue(certificate));
}

/** @throws certificate.malformed */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > certificateBytesMax) {
    throw fault("certificate.malformed", `Cannot take a certificate of ${bytes.length} bytes`, {
      sizeBytes: bytes.length,
      sizeBytesMax: certificateBytesMax,
    });
  }
  try {
    return certificateOf(decodeCbor(bytes));
  } catch (error) {
    throw fault(
      "certificate.malformed",
      "Cannot read the certificate: its bytes are not those of a certificate",
      {
        sizeBytes: bytes.length,
        reason: error instanceof Error ? error.message.slice(0, 500) : "",
      },
      error,
    );
  }
}

/** SHA-256 of the certificate's bytes: what an approval of a program names beside the program's hash. */
export function hashCertificate(bytes: Uint8Array, hasher: Hasher): Sha256 {
  return sha256(toHex(hasher.sha256(bytes)));
}

const closed = { additionalProperties: false };
const text = Type.String();
const hash = Type.String({ pattern: "^[0-9a-f]{64}$" });
const orNull = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

const Counterexample = Type.Object(
  {
    summary: text,
    values: Type.Array(Type.Object({ name: text, value: text }, closed)),
    path: Type.Array(text),
    spans: Type.Array(Type.Tuple([Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })])),
    other: orNull(hash),
  },
  closed,
);

const Check = Type.Object(
  {
    check: Type.Integer({ minimum: 1 }),
    name: text,
    verdict: Type.Enum(["holds", "violated", "unknown", "information"]),
    claim: text,
    method: Type.Enum(["solver", "automata", "graph", "fixpoint", "types"]),
    query: orNull(
      Type.Object({ text, sha256: hash, result: Type.Enum(["sat", "unsat", "unknown"]) }, closed),
    ),
    counterexample: orNull(Counterexample),
  },
  closed,
);

const CertificateSchema = Type.Object(
  {
    v: Type.Literal(1),
    program: hash,
    verdict: Type.Enum(["proved", "refused"]),
    encoder: text,
    solver: orNull(text),
    against: Type.Array(hash),
    checks: Type.Array(Check, { maxItems: 1000 }),
    elapsedMs: Type.Number({ minimum: 0 }),
  },
  closed,
);

function certificateOf(input: unknown): Certificate {
  const [problem] = schemaProblems(CertificateSchema, input);
  if (problem !== undefined) throw new Error(`${problem.at} ${problem.message}`);
  const parsed = input as Static<typeof CertificateSchema>;
  return {
    ...parsed,
    program: programHash(parsed.program),
    against: parsed.against.map(programHash),
    checks: parsed.checks.map((check) => ({
      ...check,
      query: check.query === null ? null : { ...check.query, sha256: sha256(check.query.sha256) },
      counterexample:
        check.counterexample === null
          ? null
          : {
              ...check.counterexample,
              other: check.counterexample.other === null ? null : programHash(check.counterexample.other),
            },
    })),
  };
}

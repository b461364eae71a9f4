// Signatures over programs: DSSE (Dead Simple Signing Envelope, v1.0) with Ed25519 and ML-DSA-65 together.
//   G1  What is signed is PAE(payloadType, payload): the exact bytes that are shipped, and what they are.
//   G2  Both algorithms sign; every signature that is present must verify, under a key of the pinned ring that is not revoked.
//   G3  Nothing inside the envelope or the program (a key, a version, a flag) changes what is verified.
import { concatBytes, utf8 } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { fault } from "./faults.ts";
import { programBytesMax } from "./limits.ts";
import type { KeyRing, Signer } from "./ports.ts";
import type { ProgramSignature, SignedProgram } from "./program.ts";
import { isMap, type Value, type ValueMap } from "./value.ts";

export const programPayloadType = "application/vnd.writ.program.v1+protobuf";

/** One of each algorithm, and as many again while keys rotate. */
const signaturesMax = 4;
/** An ML-DSA-65 signature has 3309 bytes (FIPS 204); the rest is names. */
const envelopeOverheadMax = 64 * 1024;

/** DSSE pre-authentication encoding: `DSSEv1 LEN(type) type LEN(body) body`, lengths in decimal ASCII, one space between. */
export function paeBytes(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concatBytes(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

/** Signs a program's payload bytes (`encodeProgram`) with both of the signer's keys. */
export function signProgram(bytes: Uint8Array, signer: Signer): SignedProgram {
  return {
    payloadType: programPayloadType,
    payload: bytes,
    signatures: signer.sign(paeBytes(programPayloadType, bytes)),
  };
}

/**
 * Returns when the envelope is signed as it must be; says nothing about the payload's content.
 * @throws signature.missing, signature.incomplete, signature.unknown-key, signature.revoked-key, signature.invalid
 */
export function verifySignedProgram(envelope: SignedProgram, keyRing: KeyRing): void {
  const { signatures } = envelope;
  if (signatures.length === 0 || signatures.some(({ signature }) => signature.length === 0)) {
    throw fault("signature.missing", "Cannot accept the program: it carries no signature, or an empty one", {
      count: signatures.length,
    });
  }
  const missing = (["ed25519", "ml-dsa-65"] as const).filter(
    (algorithm) => !signatures.some((signature) => signature.algorithm === algorithm),
  );
  if (missing.length > 0) {
    throw fault(
      "signature.incomplete",
      `Cannot accept the program: no ${missing.join(" and no ")} signature`,
      {
        missing,
      },
    );
  }
  if (signatures.length > signaturesMax) {
    throw fault("signature.invalid", `Cannot accept the program: ${signatures.length} signatures`, {
      count: signatures.length,
      countMax: signaturesMax,
    });
  }
  const signed = paeBytes(programPayloadType, envelope.payload);
  for (const signature of signatures) verifySignature(signature, signed, keyRing);
}

/** The envelope as deterministic CBOR, the form that is stored and sent. */
export function encodeEnvelope(envelope: SignedProgram): Uint8Array {
  return encodeCbor({
    payloadType: envelope.payloadType,
    payload: envelope.payload,
    signatures: envelope.signatures.map(({ keyId, algorithm, signature }) => ({
      keyId,
      algorithm,
      signature,
    })),
  });
}

/** Reads the form only; call `verifySignedProgram` next. @throws program.malformed */
export function decodeEnvelope(bytes: Uint8Array): SignedProgram {
  if (bytes.length > programBytesMax + envelopeOverheadMax)
    throw malformed(`an envelope of ${bytes.length} bytes`);
  const envelope = fields(decoded(bytes), ["payload", "payloadType", "signatures"], "the envelope");
  const { payload, payloadType, signatures } = envelope;
  if (payloadType !== programPayloadType)
    throw malformed("an envelope whose payload is no program of format 1");
  if (!(payload instanceof Uint8Array)) throw malformed("an envelope whose payload is no bytes");
  if (!Array.isArray(signatures)) throw malformed("an envelope whose signatures are no list");
  return { payloadType, payload, signatures: signatures.map((item: Value) => signatureOf(item)) };
}

function verifySignature(
  { keyId, algorithm, signature }: ProgramSignature,
  signed: Uint8Array,
  keyRing: KeyRing,
): void {
  const key = keyRing.find(keyId);
  if (key === undefined) {
    throw fault(
      "signature.unknown-key",
      `Cannot accept the program: the key \`${keyId.slice(0, 80)}\` is not in the key ring`,
      {
        keyId: keyId.slice(0, 80),
      },
    );
  }
  if (key.revoked) {
    throw fault("signature.revoked-key", `Cannot accept the program: the key \`${keyId}\` has been revoked`, {
      keyId,
    });
  }
  if (key.algorithm !== algorithm || !keyRing.verify(key, signed, signature)) {
    throw fault(
      "signature.invalid",
      `Cannot accept the program: the ${algorithm} signature by \`${keyId}\` does not cover its bytes`,
      {
        keyId,
        algorithm,
      },
    );
  }
}

function decoded(bytes: Uint8Array): Value {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    throw fault(
      "program.malformed",
      "Cannot read the signed program: it is not deterministic CBOR",
      {},
      error,
    );
  }
}

function signatureOf(value: Value): ProgramSignature {
  const { keyId, algorithm, signature } = fields(value, ["algorithm", "keyId", "signature"], "a signature");
  if (typeof keyId !== "string" || keyId.length > 128) throw malformed("a signature without a key id");
  if (algorithm !== "ed25519" && algorithm !== "ml-dsa-65")
    throw malformed("a signature of an unknown algorithm");
  if (!(signature instanceof Uint8Array)) throw malformed("a signature that is no bytes");
  return { keyId, algorithm, signature };
}

function fields(value: Value, names: readonly string[], what: string): ValueMap {
  if (!isMap(value) || Object.keys(value).sort().join() !== names.join()) {
    throw malformed(`${what} with other fields than ${names.join(", ")}`);
  }
  return value;
}

function malformed(what: string) {
  return fault("program.malformed", `Cannot read ${what}`, { what });
}

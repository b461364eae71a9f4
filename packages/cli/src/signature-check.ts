// Hashes and signatures with Node's own cryptography, for files that are verified without a node.
import { createHash, createPublicKey, verify } from "node:crypto";
import type { Hasher, KeyRecord } from "@writ/core/ports";

export const nodeHasher: Hasher = {
  sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()),
};

/** True when the signature by this key covers the bytes; a malformed key or signature covers nothing. */
export function verifySignature(
  { algorithm, publicKey }: Pick<KeyRecord, "algorithm" | "publicKey">,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  const raw = Buffer.from(publicKey).toString("base64url");
  const key =
    algorithm === "ed25519"
      ? { kty: "OKP", crv: "Ed25519", x: raw }
      : { kty: "AKP", alg: "ML-DSA-65", pub: raw };
  try {
    return verify(null, bytes, createPublicKey({ key, format: "jwk" }), signature);
  } catch {
    return false;
  }
}

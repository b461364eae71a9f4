// Hashing, randomness and signature checks with the cryptography of Node.
import { createPublicKey, hash, randomBytes, verify, type KeyObject } from "node:crypto";
import type { Entropy, Hasher, KeyRecord } from "@writ/core/ports";

export const nodeHasher: Hasher = {
  sha256(bytes) {
    // As text because the one-shot function returns small texts three times faster than small buffers.
    const text = hash("sha256", bytes, "binary");
    const digest = new Uint8Array(32);
    for (let i = 0; i < 32; i++) digest[i] = text.charCodeAt(i);
    return digest;
  },
};

export const nodeEntropy: Entropy = pooledEntropy(4096);

/** Takes randomness from the system so many bytes at a time: a call of its own for each id costs ten times the id. */
function pooledEntropy(poolBytes: number): Entropy {
  let pool = new Uint8Array(0);
  let used = 0;
  return {
    bytes(count) {
      if (count > poolBytes / 4) return new Uint8Array(randomBytes(count));
      if (used + count > pool.length) {
        pool = new Uint8Array(randomBytes(poolBytes));
        used = 0;
      }
      const taken = pool.slice(used, used + count);
      // What was handed out is not kept: no later reader of this memory finds a key or a token in it.
      pool.fill(0, used, used + count);
      used += count;
      return taken;
    },
  };
}

/** The key as Node uses it. Public keys are raw: 32 bytes (Ed25519), 1,952 bytes (ML-DSA-65). */
export function publicKeyObject(algorithm: KeyRecord["algorithm"], publicKey: Uint8Array): KeyObject {
  const encoded = Buffer.from(publicKey).toString("base64url");
  const key =
    algorithm === "ed25519"
      ? { kty: "OKP", crv: "Ed25519", x: encoded }
      : { kty: "AKP", alg: "ML-DSA-65", pub: encoded };
  return createPublicKey({ key, format: "jwk" });
}

/** True when the signature by this key covers the bytes; a malformed key or signature covers nothing. */
export function verifySignature(
  key: Pick<KeyRecord, "algorithm" | "publicKey">,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verify(null, bytes, publicKeyObject(key.algorithm, key.publicKey), signature);
  } catch {
    return false;
  }
}

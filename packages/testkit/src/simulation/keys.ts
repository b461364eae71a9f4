// Keys that sign in microseconds, always the same: a hash instead of a signature. What is proven by real signatures is proven elsewhere; here
// they would cost more than the whole run, and ML-DSA draws randomness that no seed decides.
import { concatBytes, equalBytes, utf8 } from "@writ/core/bytes";
import { nodeIdOf } from "@writ/core/identity";
import type { KeyRecord } from "@writ/core/ports";
import { foldedKeyRing, keyIdOf, type FoldedKeyRing, type NodeKeys } from "@writ/store/keys";
import { nodeHasher } from "@writ/store/node-crypto";

/** Bytes of a public key and of a signature (FIPS 204, RFC 8032). */
const sizes = { ed25519: [32, 64], "ml-dsa-65": [1952, 3309] } as const;

export function simulatedKeys(): NodeKeys {
  const record = (algorithm: KeyRecord["algorithm"]): KeyRecord => {
    const publicKey = stretched(utf8(`simulated ${algorithm}`), sizes[algorithm][0]);
    return { id: keyIdOf(publicKey), algorithm, publicKey, revoked: false };
  };
  const classic = record("ed25519");
  const postQuantum = record("ml-dsa-65");
  const publicKeys = { ed25519: classic.publicKey, mlDsa65: postQuantum.publicKey };
  return {
    identity: { node: nodeIdOf(publicKeys, nodeHasher), ...publicKeys },
    records: [classic, postQuantum],
    signer: {
      ed25519KeyId: classic.id,
      mlDsa65KeyId: postQuantum.id,
      sign: (bytes) =>
        [classic, postQuantum].map((key) => ({
          keyId: key.id,
          algorithm: key.algorithm,
          signature: signatureOf(key, bytes),
        })),
    },
  };
}

export function simulatedKeyRing(keys: NodeKeys): FoldedKeyRing {
  return { ...foldedKeyRing(keys.records), verify: verifySimulated };
}

export function verifySimulated(
  key: Pick<KeyRecord, "algorithm" | "publicKey">,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  return equalBytes(signature, signatureOf(key, bytes));
}

function signatureOf(
  { algorithm, publicKey }: Pick<KeyRecord, "algorithm" | "publicKey">,
  bytes: Uint8Array,
): Uint8Array {
  return stretched(nodeHasher.sha256(concatBytes(publicKey, bytes)), sizes[algorithm][1]);
}

function stretched(seed: Uint8Array, size: number): Uint8Array {
  const digest = nodeHasher.sha256(seed);
  return Uint8Array.from({ length: size }, (_, i) => digest[i % 32] ?? 0);
}

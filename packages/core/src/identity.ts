// What a node and a key are called: names that commit to public keys, so that whoever knows the name knows the keys.
import { concatBytes, toHex } from "./bytes.ts";
import { keyId, nodeId, type KeyId, type NodeId } from "./ids.ts";
import type { Hasher } from "./ports.ts";

/** The node that these raw public keys belong to (32 bytes of Ed25519, 1,952 of ML-DSA-65). */
export function nodeIdOf(
  keys: { readonly ed25519: Uint8Array; readonly mlDsa65: Uint8Array },
  hasher: Hasher,
): NodeId {
  return nodeId(`n_${digits(concatBytes(keys.ed25519, keys.mlDsa65), hasher)}`);
}

export function keyIdOf(publicKey: Uint8Array, hasher: Hasher): KeyId {
  return keyId(`k_${digits(publicKey, hasher)}`);
}

function digits(bytes: Uint8Array, hasher: Hasher): string {
  return toHex(hasher.sha256(bytes)).slice(0, 32);
}

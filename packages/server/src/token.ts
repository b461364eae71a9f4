// Bearer tokens: `writ_`, 16 digits that name the key, `_`, 43 characters of base64url (256 bits). The node keeps the SHA-256 alone.
import { hash } from "node:crypto";
import { toHex } from "@writ/core/bytes";
import { keyId, sha256, type KeyId, type Sha256 } from "@writ/core/ids";
import type { Entropy } from "@writ/core/ports";
import { tokenBytes } from "./limits.ts";

export interface NewToken {
  /** Shown once and kept nowhere. */
  readonly token: string;
  readonly key: KeyId;
  readonly tokenHash: Sha256;
}

export function newToken(entropy: Entropy): NewToken {
  const id = toHex(entropy.bytes(8));
  const token = `writ_${id}_${Buffer.from(entropy.bytes(tokenBytes)).toString("base64url")}`;
  return { token, key: keyId(`k_${id}`), tokenHash: sha256(hash("sha256", token)) };
}

/** The id of the key a token names, or undefined when the text is no token. */
export function keyOfToken(token: string): KeyId | undefined {
  const id = /^writ_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/.exec(token)?.[1];
  return id === undefined ? undefined : keyId(`k_${id}`);
}

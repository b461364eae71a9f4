// The node's keys: one Ed25519 and one ML-DSA-65 pair in the folder `keys`, readable by this user only. They sign together or not at all.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { concatBytes, fromHex } from "@writ/core/bytes";
import { keyId, type KeyId } from "@writ/core/ids";
import type { KeyRecord, KeyRing, Signer } from "@writ/core/ports";
import { fault } from "../faults.ts";

export type Algorithm = "ed25519" | "ml-dsa-65";

export interface NodeKeys {
  readonly signer: Signer;
  /** Raw public keys: 32 and 1952 bytes. */
  readonly publicKeys: Readonly<Record<Algorithm, { readonly id: KeyId; readonly bytes: Uint8Array }>>;
}

const algorithms: readonly Algorithm[] = ["ed25519", "ml-dsa-65"];

/** SubjectPublicKeyInfo up to the raw key (RFC 8410; RFC 9881). */
const spkiPrefix: Readonly<Record<Algorithm, Uint8Array>> = {
  ed25519: fromHex("302a300506032b6570032100"),
  "ml-dsa-65": fromHex("308207b2300b0609608648016503040312038207a100"),
};

/**
 * Reads the keys of the folder, and makes those that are missing; whether they are the keys the ledger was created with is for the
 * caller to check. @throws server.keys-unreadable
 */
export function openKeys(folder: string): NodeKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const algorithm of algorithms) {
    if (!existsSync(fileOf(folder, algorithm))) createKey(folder, algorithm);
  }
  const ed25519 = readKey(folder, "ed25519");
  const mlDsa65 = readKey(folder, "ml-dsa-65");
  return {
    signer: {
      ed25519KeyId: ed25519.id,
      mlDsa65KeyId: mlDsa65.id,
      sign: (bytes) => [
        {
          keyId: ed25519.id,
          algorithm: "ed25519",
          signature: new Uint8Array(sign(null, bytes, ed25519.privateKey)),
        },
        {
          keyId: mlDsa65.id,
          algorithm: "ml-dsa-65",
          signature: new Uint8Array(sign(null, bytes, mlDsa65.privateKey)),
        },
      ],
    },
    publicKeys: { ed25519, "ml-dsa-65": mlDsa65 },
  };
}

/** A key ring over the pinned keys of the ledger. */
export function keyRingOf(
  find: (id: string) =>
    | {
        readonly id: KeyId;
        readonly algorithm: Algorithm;
        readonly publicKey: string;
        readonly revoked: string | null;
      }
    | undefined,
): KeyRing {
  const imported = new Map<string, KeyObject>();
  return {
    find: (id) => {
      const known = find(id);
      if (known === undefined) return undefined;
      const { algorithm, publicKey, revoked } = known;
      return { id: known.id, algorithm, publicKey: fromHex(publicKey), revoked: revoked !== null };
    },
    verify: (key, bytes, signature) => {
      try {
        const publicKey = imported.get(key.id) ?? importPublicKey(key);
        imported.set(key.id, publicKey);
        return verify(null, bytes, publicKey, signature);
      } catch {
        return false;
      }
    },
  };
}

/** `k_` and the first 32 digits of the SHA-256 of the raw public key. */
export function keyIdOf(publicKey: Uint8Array): KeyId {
  return keyId(`k_${hash("sha256", publicKey).slice(0, 32)}`);
}

function importPublicKey(key: KeyRecord): KeyObject {
  return createPublicKey({
    key: Buffer.from(concatBytes(spkiPrefix[key.algorithm], key.publicKey)),
    format: "der",
    type: "spki",
  });
}

function readKey(folder: string, algorithm: Algorithm) {
  const file = fileOf(folder, algorithm);
  try {
    const privateKey = createPrivateKey(readFileSync(file, "utf8"));
    if (privateKey.asymmetricKeyType !== algorithm) throw new Error(`it is no ${algorithm} key`);
    const der = createPublicKey(privateKey).export({ format: "der", type: "spki" });
    const bytes = new Uint8Array(der.subarray(spkiPrefix[algorithm].length));
    return { id: keyIdOf(bytes), bytes, privateKey };
  } catch (error) {
    throw fault("server.keys-unreadable", `Cannot read the node's key \`${file}\``, { file }, error);
  }
}

function createKey(folder: string, algorithm: Algorithm): void {
  const { privateKey } =
    algorithm === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ml-dsa-65");
  const file = fileOf(folder, algorithm);
  writeDurably(file, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
}

/** Written beside and renamed, so that a key file is whole or absent. */
function writeDurably(file: string, text: string): void {
  const descriptor = openSync(`${file}.new`, "w", 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${file}.new`, file);
  const folder = openSync(path.dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function fileOf(folder: string, algorithm: Algorithm): string {
  return path.join(folder, `${algorithm}.pem`);
}

// The node's identity: an Ed25519 and an ML-DSA-65 key pair, made at the first start, kept in `keys/` and nowhere else.
import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { chmod, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fromHex, utf8 } from "@writ/core/bytes";
import type { Entry } from "@writ/core/entry";
import { keyIdOf as keyIdFrom, nodeIdOf } from "@writ/core/identity";
import type { KeyId } from "@writ/core/ids";
import type { Disk, KeyRecord, KeyRing, Signer } from "@writ/core/ports";
import { fault } from "./faults.ts";
import type { NodeIdentity } from "./ledger.ts";
import { replaceFile } from "./ledger/checkpoint-writer.ts";
import { nodeHasher, verifySignature } from "./node-crypto.ts";
import { attempt } from "./node-disk.ts";

export interface NodeKeys {
  readonly identity: NodeIdentity;
  readonly signer: Signer;
  /** The public halves. */
  readonly records: readonly KeyRecord[];
}

/** Pinned keys, fed by the ledger. */
export interface FoldedKeyRing extends KeyRing {
  /** Takes over what the entry says about keys; any entry may be given, in order. */
  fold(entry: Entry): void;
  all(): readonly KeyRecord[];
}

const algorithms = ["ed25519", "ml-dsa-65"] as const;
type Algorithm = (typeof algorithms)[number];

/** `k_` and the first 32 hexadecimal digits of the SHA-256 of the raw public key. */
export function keyIdOf(publicKey: Uint8Array): KeyId {
  return keyIdFrom(publicKey, nodeHasher);
}

/** New keys, in memory only. */
export function createKeys(): NodeKeys {
  return keysOf(generateKeyPairSync("ed25519").privateKey, generateKeyPairSync("ml-dsa-65").privateKey);
}

/**
 * The keys in the data folder; makes them when there are none and the folder holds no ledger yet.
 * @throws store.keys-missing, store.keys-exposed
 */
export async function openKeys(dataFolder: string, disk: Disk): Promise<NodeKeys> {
  const folder = join(dataFolder, "keys");
  const hasLedger = (await disk.list("ledger")).some((name) => name.endsWith(".segment"));
  const present = await disk.list("keys");
  const missing = algorithms.filter((algorithm) => !present.includes(`${algorithm}.pem`));
  if (missing.length > 0 && hasLedger) {
    throw fault("store.keys-missing", `Cannot find the key \`${missing.join("`, `")}\` of this ledger`, {
      folder: "keys",
      missing,
    });
  }
  await attempt("create the folder", "keys", () => mkdir(folder, { recursive: true, mode: 0o700 }));
  for (const algorithm of missing) {
    const { privateKey } =
      algorithm === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ml-dsa-65");
    await replaceFile(
      disk,
      `keys/${algorithm}.pem`,
      utf8(privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
    );
    await attempt("protect", `keys/${algorithm}.pem`, () => chmod(join(folder, `${algorithm}.pem`), 0o600));
  }
  await assertPrivate(dataFolder, ["keys", ...algorithms.map((algorithm) => `keys/${algorithm}.pem`)]);
  return keysOf(await readKey(folder, "ed25519"), await readKey(folder, "ml-dsa-65"));
}

/** A key ring that trusts these keys from the start. */
export function foldedKeyRing(own: readonly KeyRecord[]): FoldedKeyRing {
  const keys = new Map<string, KeyRecord>(own.map((key) => [key.id, key]));
  return {
    find: (id) => keys.get(id),
    verify: (key, bytes, signature) => verifySignature(key, bytes, signature),
    all: () => [...keys.values()],
    fold(entry) {
      if (entry.kind === "key.added") {
        const { key, algorithm, publicKey } = entry.facts;
        if (!keys.has(key))
          keys.set(key, { id: key, algorithm, publicKey: fromHex(publicKey), revoked: false });
      } else if (entry.kind === "key.revoked") {
        const known = keys.get(entry.facts.key);
        if (known !== undefined) keys.set(known.id, { ...known, revoked: true });
      }
    },
  };
}

function keysOf(ed25519: KeyObject, mlDsa65: KeyObject): NodeKeys {
  const record = (algorithm: Algorithm, publicKey: Uint8Array): KeyRecord => ({
    id: keyIdOf(publicKey),
    algorithm,
    publicKey,
    revoked: false,
  });
  const classic = record("ed25519", rawPublicKey(ed25519));
  const postQuantum = record("ml-dsa-65", rawPublicKey(mlDsa65));
  const pairs = [
    { keyId: classic.id, algorithm: "ed25519", key: ed25519 },
    { keyId: postQuantum.id, algorithm: "ml-dsa-65", key: mlDsa65 },
  ] as const;
  const publicKeys = { ed25519: classic.publicKey, mlDsa65: postQuantum.publicKey };
  return {
    identity: { node: nodeIdOf(publicKeys, nodeHasher), ...publicKeys },
    records: [classic, postQuantum],
    signer: {
      ed25519KeyId: classic.id,
      mlDsa65KeyId: postQuantum.id,
      sign: (bytes) =>
        pairs.map(({ keyId: id, algorithm, key }) => ({
          keyId: id,
          algorithm,
          signature: new Uint8Array(sign(null, bytes, key)),
        })),
      signLater: (bytes) =>
        Promise.all(
          pairs.map(async ({ keyId: id, algorithm, key }) => ({
            keyId: id,
            algorithm,
            signature: new Uint8Array(await signLater(bytes, key)),
          })),
        ),
    },
  };
}

function signLater(bytes: Uint8Array, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(null, bytes, key, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

function rawPublicKey(key: KeyObject): Uint8Array {
  // A private key's JWK holds its public half as `x` (Ed25519) or `pub` (ML-DSA).
  const jwk: Readonly<Record<string, unknown>> = { ...key.export({ format: "jwk" }) };
  const encoded = jwk["x"] ?? jwk["pub"];
  return new Uint8Array(Buffer.from(String(encoded), "base64url"));
}

async function readKey(folder: string, algorithm: Algorithm): Promise<KeyObject> {
  const name = `keys/${algorithm}.pem`;
  const pem = await attempt("read", name, () => readFile(join(folder, `${algorithm}.pem`), "utf8"));
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw fault("store.keys-missing", `Cannot read the key \`${name}\``, { file: name }, error);
  }
}

async function assertPrivate(dataFolder: string, names: readonly string[]): Promise<void> {
  if (process.platform === "win32") return;
  for (const name of names) {
    const { mode } = await attempt("look at", name, () => stat(join(dataFolder, name)));
    if ((mode & 0o077) === 0) continue;
    const shown = (mode & 0o777).toString(8);
    throw fault("store.keys-exposed", `Cannot use \`${name}\`: others may read it (mode ${shown})`, {
      file: name,
      mode: shown,
    });
  }
}

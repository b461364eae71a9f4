// Checkpoints: a signed Merkle tree head of a ledger, as a C2SP tlog-checkpoint in a C2SP signed note (text).
//   H1  Text: origin line, tree size, root in base64; then an empty line and one signature line per algorithm.
//   H2  Both an Ed25519 and an ML-DSA-65 line by trusted keys are needed; lines of others (witnesses) may follow and are kept.
//   H3  A checkpoint that would not be written in exactly these characters is refused, so that every changed byte shows.
import { concatBytes, equalBytes, fromBase64, toBase64, utf8 } from "./bytes.ts";
import type { NodeId } from "./ids.ts";
import type { Hasher, KeyRecord, KeySignature, Signer } from "./ports.ts";

export interface TreeHead {
  /** `writ/` and the node's id. */
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

export interface Checkpoint extends TreeHead {
  /** What the signatures cover. */
  readonly text: string;
  readonly signatures: readonly {
    readonly name: string;
    /** First four bytes of a hash of name, algorithm and public key (C2SP signed-note). */
    readonly keyHash: Uint8Array;
    readonly signature: Uint8Array;
  }[];
}

export interface CheckpointKeys {
  readonly ed25519: Pick<KeyRecord, "publicKey">;
  readonly mlDsa65: Pick<KeyRecord, "publicKey">;
}

export function checkpointOrigin(node: NodeId): string {
  return `writ/${node}`;
}

export function signCheckpoint(head: TreeHead, signer: Signer, keys: CheckpointKeys, hasher: Hasher): string {
  return noteOf(head, signer.sign(utf8(checkpointText(head))), keys, hasher);
}

/** The same, signed beside the thread that asks where the signer can. */
export async function signCheckpointLater(
  head: TreeHead,
  signer: Signer,
  keys: CheckpointKeys,
  hasher: Hasher,
): Promise<string> {
  const bytes = utf8(checkpointText(head));
  return noteOf(head, (await signer.signLater?.(bytes)) ?? signer.sign(bytes), keys, hasher);
}

function noteOf(
  head: TreeHead,
  signatures: readonly KeySignature[],
  keys: CheckpointKeys,
  hasher: Hasher,
): string {
  const text = checkpointText(head);
  const lines = signatures.map(({ algorithm, signature }) => {
    const { publicKey } = algorithm === "ed25519" ? keys.ed25519 : keys.mlDsa65;
    const keyHash = noteKeyHash(head.origin, algorithm, publicKey, hasher);
    return `— ${head.origin} ${toBase64(concatBytes(keyHash, signature))}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

/** The checkpoint as data, signatures not yet checked; undefined when it is malformed. */
export function parseCheckpoint(note: string): Checkpoint | undefined {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || note.length > 1024 * 1024) return undefined;
  const text = note.slice(0, split + 1);
  const [origin, size, root, end, ...more] = text.split("\n");
  if (origin === undefined || size === undefined || root === undefined || end !== "" || more.length > 0)
    return undefined;
  if (!/^(0|[1-9]\d{0,15})$/.test(size)) return undefined;
  try {
    const head = { origin, size: Number(size), root: fromBase64(root) };
    if (head.root.length !== 32 || checkpointText(head) !== text) return undefined;
    const lines = note.slice(split + 2).split("\n");
    if (lines.pop() !== "" || lines.length === 0 || lines.length > 64) return undefined;
    const signatures = lines.map((line) => {
      const [, name = "", encoded = ""] = /^— (\S+) (\S+)$/.exec(line) ?? [];
      const bytes = fromBase64(encoded);
      if (name === "" || bytes.length < 5 || toBase64(bytes) !== encoded) throw new RangeError("signature");
      return { name, keyHash: bytes.slice(0, 4), signature: bytes.slice(4) };
    });
    return { ...head, text, signatures };
  } catch {
    return undefined;
  }
}

export interface SignatureCheck {
  /** Keys that may sign this checkpoint. */
  readonly keys: readonly KeyRecord[];
  readonly hasher: Hasher;
  verify(key: KeyRecord, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** Why the checkpoint's signatures do not hold, or undefined when both do. */
export function signatureProblem(checkpoint: Checkpoint, check: SignatureCheck): string | undefined {
  const bytes = utf8(checkpoint.text);
  const held = new Set<string>();
  for (const { name, keyHash, signature } of checkpoint.signatures) {
    if (name !== checkpoint.origin) continue;
    const key = check.keys.find((candidate) =>
      equalBytes(noteKeyHash(name, candidate.algorithm, candidate.publicKey, check.hasher), keyHash),
    );
    if (key === undefined) return "a signature is by no key that the ledger introduced";
    if (!check.verify(key, bytes, signature)) return `the ${key.algorithm} signature is wrong`;
    held.add(key.algorithm);
  }
  if (!held.has("ed25519")) return "the ed25519 signature is missing";
  if (!held.has("ml-dsa-65")) return "the ml-dsa-65 signature is missing";
  return undefined;
}

function checkpointText(head: TreeHead): string {
  return `${head.origin}\n${head.size}\n${toBase64(head.root)}\n`;
}

// C2SP signed-note assigns 0x01 to Ed25519; ML-DSA-65 over the note's text has no number, so 0xff and a name.
const noteTypes = {
  ed25519: new Uint8Array([1]),
  "ml-dsa-65": concatBytes(new Uint8Array([255]), utf8("writ/ml-dsa-65")),
};

function noteKeyHash(
  name: string,
  algorithm: KeyRecord["algorithm"],
  publicKey: Uint8Array,
  hasher: Hasher,
): Uint8Array {
  return hasher.sha256(concatBytes(utf8(`${name}\n`), noteTypes[algorithm], publicKey)).slice(0, 4);
}

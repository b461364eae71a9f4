// Signs tree heads and keeps them as files, one by one, behind the commits.
import { utf8 } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import { checkpointOrigin, signCheckpointLater } from "@writ/core/checkpoint";
import type { NodeId } from "@writ/core/ids";
import type { MerkleTree } from "@writ/core/merkle";
import type { Disk, Hasher, KeyRing, Signer } from "@writ/core/ports";
import { assert } from "@writ/core/fault";

export interface CheckpointWriter {
  /** Entries that the newest checkpoint covers. */
  size(): number;
  /** Writes a checkpoint in the background; a failure goes to `failed`. Does nothing while one is being written. */
  begin(tree: MerkleTree, failed: (error: unknown) => void): void;
  /** Signs the tree as it is now, unless the newest checkpoint covers it; waits for one that is being written. */
  write(tree: MerkleTree): Promise<SignedHead>;
  settled(): Promise<void>;
}

export interface SignedHead {
  readonly size: number;
  /** The checkpoint's text, as it stands in its file. */
  readonly note: string;
}

export function checkpointWriter(
  options: {
    readonly disk: Disk;
    readonly hasher: Hasher;
    readonly signer: Signer;
    readonly keyRing: KeyRing;
    readonly node: NodeId;
  },
  sizeBefore: number,
): CheckpointWriter {
  const { disk, hasher, signer, keyRing, node } = options;
  let size = sizeBefore;
  let running: Promise<void> | null = null;
  let newest: SignedHead | null = null;

  async function sign(tree: MerkleTree): Promise<SignedHead> {
    const head = { origin: checkpointOrigin(node), size: tree.size(), root: tree.root() };
    const frontier = tree.frontier();
    const ed25519 = keyRing.find(signer.ed25519KeyId);
    const mlDsa65 = keyRing.find(signer.mlDsa65KeyId);
    assert(ed25519 !== undefined && mlDsa65 !== undefined, "the node's own keys are in its key ring");
    size = head.size;
    const note = await signCheckpointLater(head, signer, { ed25519, mlDsa65 }, hasher);
    await replaceFile(disk, checkpointName(head.size), utf8(note));
    await replaceFile(disk, "ledger/frontier", encodeCbor({ size: head.size, hashes: [...frontier] }));
    newest = { size: head.size, note };
    return newest;
  }

  /** One at a time: two would write one file. */
  async function write(tree: MerkleTree): Promise<SignedHead> {
    while (running !== null) await running;
    if (newest?.size === tree.size()) return newest;
    const signing = sign(tree);
    running = signing
      .then(
        () => undefined,
        // Whoever asked hears of it.
        () => undefined,
      )
      .finally(() => {
        running = null;
      });
    return signing;
  }

  return {
    size: () => size,
    begin(tree, failed) {
      if (running !== null) return;
      running = sign(tree)
        .then(() => undefined, failed)
        .finally(() => {
          running = null;
        });
    },
    write,
    async settled() {
      if (running !== null) await running;
    },
  };
}

export function checkpointName(size: number): string {
  return `checkpoints/${String(size).padStart(16, "0")}.txt`;
}

/** Writes a file under a temporary name and moves it into place: there is the old content or the new, never a part. */
export async function replaceFile(disk: Disk, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${name}.new`;
  const file = await disk.open(temporary, true);
  try {
    await file.truncate(0);
    await file.write(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, name);
}

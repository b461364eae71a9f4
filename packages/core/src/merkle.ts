// Merkle tree over entry hashes (RFC 6962, section 2.1), kept as its frontier: the roots of the full subtrees, largest first.
// Leaf: SHA-256(0x00 || entry hash). Node: SHA-256(0x01 || left || right). Empty tree: SHA-256 of nothing.
import type { Hasher } from "./ports.ts";

export interface MerkleTree {
  /** Adds the hash of the next entry (32 bytes). */
  add(entryHash: Uint8Array): void;
  /**
   * Adds the root of a complete subtree of `leaves` (a power of two) in place of its leaves.
   * @throws RangeError when such a subtree does not begin here
   */
  addSubtree(hash: Uint8Array, leaves: number): void;
  size(): number;
  root(): Uint8Array;
  frontier(): readonly Uint8Array[];
}

/** A tree that goes on from a frontier of `size` leaves. @throws RangeError when frontier and size do not fit */
export function merkleTree(hasher: Hasher, size = 0, frontier: readonly Uint8Array[] = []): MerkleTree {
  if (frontier.length !== ones(size) || frontier.some((hash) => hash.length !== 32)) {
    throw new RangeError("the frontier does not belong to a tree of this size");
  }
  const stack = [...frontier];
  const leaf = new Uint8Array(33);
  const node = new Uint8Array(65);
  node[0] = 1;
  let count = size;

  function join(left: Uint8Array, right: Uint8Array): Uint8Array {
    node.set(left, 1);
    node.set(right, 33);
    return hasher.sha256(node);
  }

  return {
    add(entryHash) {
      leaf.set(entryHash, 1);
      let hash = hasher.sha256(leaf);
      // Each trailing one bit of the size is a full subtree as large as the one being added.
      for (let rest = count; rest % 2 === 1; rest = (rest - 1) / 2) {
        hash = join(stack.pop() as Uint8Array, hash);
      }
      stack.push(hash);
      count++;
    },
    addSubtree(root, leaves) {
      if (ones(leaves) !== 1 || count % leaves !== 0)
        throw new RangeError("no subtree of this size begins here");
      let hash = root;
      for (let rest = count / leaves; rest % 2 === 1; rest = (rest - 1) / 2) {
        hash = join(stack.pop() as Uint8Array, hash);
      }
      stack.push(hash);
      count += leaves;
    },
    size: () => count,
    root() {
      if (count === 0) return hasher.sha256(new Uint8Array(0));
      let hash = stack[stack.length - 1] as Uint8Array;
      for (let i = stack.length - 2; i >= 0; i--) hash = join(stack[i] as Uint8Array, hash);
      return hash;
    },
    frontier: () => [...stack],
  };
}

function ones(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

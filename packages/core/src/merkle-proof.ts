// Proofs over the Merkle tree of entry hashes (RFC 6962, section 2.1): that an entry stands in a tree, and that a tree goes on from an
// earlier one. Making a proof reads all entry hashes once, for any number of proofs; checking one needs the proof alone.
import { equalBytes } from "./bytes.ts";
import type { Hasher } from "./ports.ts";

/** Leaves `[start, start + size)`; their hash is the RFC's MTH(D[start:start + size]). */
export interface LeafRange {
  readonly start: number;
  readonly size: number;
}

/** The subtrees whose hashes prove that leaf `index` stands in a tree of `size` leaves, from the leaf upwards (RFC 6962, 2.1.1). */
export function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size)
    throw new RangeError("the leaf is not in the tree");
  const ranges: LeafRange[] = [];
  for (let start = 0, left = size; left > 1;) {
    const half = largestPowerBelow(left);
    if (index < start + half) {
      ranges.unshift({ start: start + half, size: left - half });
      left = half;
    } else {
      ranges.unshift({ start, size: half });
      start += half;
      left -= half;
    }
  }
  return ranges;
}

/** The subtrees whose hashes prove that a tree of `size` leaves goes on from its first `earlier` leaves (RFC 6962, 2.1.2). */
export function consistencyRanges(earlier: number, size: number): readonly LeafRange[] {
  if (!Number.isSafeInteger(earlier) || earlier < 1 || earlier > size)
    throw new RangeError("the earlier tree is empty or larger");
  const ranges: LeafRange[] = [];
  let start = 0;
  let left = size;
  let isWhole = true;
  for (let first = earlier; first < left;) {
    const half = largestPowerBelow(left);
    if (first <= half) {
      ranges.unshift({ start: start + half, size: left - half });
      left = half;
    } else {
      ranges.unshift({ start, size: half });
      start += half;
      left -= half;
      first -= half;
      isWhole = false;
    }
  }
  return isWhole ? ranges : [{ start, size: left }, ...ranges];
}

export interface RangeHasher {
  /** The hash (32 bytes) of the next entry. */
  add(entryHash: Uint8Array): void;
  /** The root of a complete subtree of `size` leaves in place of them; ranges inside of it are not found. */
  addSubtree(root: Uint8Array, size: number): void;
  /** The hashes of the wanted ranges, once all leaves were added, by `rangeKey`. @throws RangeError when leaves are missing */
  finish(): ReadonlyMap<string, Uint8Array>;
}

export function rangeKey({ start, size }: LeafRange): string {
  return `${start}+${size}`;
}

/** Computes the hashes of subtrees in one pass over the leaves; holds as many hashes as are wanted, and the tree's right edge. */
export function rangeHasher(hasher: Hasher, size: number, wanted: Iterable<LeafRange>): RangeHasher {
  const keys = new Set([...wanted].map(rangeKey));
  const found = new Map<string, Uint8Array>();
  const edge: { readonly start: number; readonly size: number; readonly hash: Uint8Array }[] = [];
  let count = 0;
  const push = (one: { readonly start: number; readonly size: number; readonly hash: Uint8Array }): void => {
    const key = rangeKey(one);
    if (keys.has(key)) found.set(key, one.hash);
    const below = edge.at(-1);
    if (below?.size !== one.size) {
      edge.push(one);
      return;
    }
    edge.pop();
    push({ start: below.start, size: 2 * one.size, hash: nodeHash(hasher, below.hash, one.hash) });
  };
  return {
    add(entryHash) {
      push({ start: count, size: 1, hash: leafHash(hasher, entryHash) });
      count++;
    },
    addSubtree(root, leaves) {
      push({ start: count, size: leaves, hash: root });
      count += leaves;
    },
    finish() {
      if (count !== size) throw new RangeError(`${count} leaves were added, not ${size}`);
      // What is left of a tree that is no full one: the edge folded from the right.
      for (let i = edge.length - 2, right = edge.at(-1); i >= 0 && right !== undefined; i--) {
        const left = edge[i];
        if (left === undefined) break;
        right = {
          start: left.start,
          size: left.size + right.size,
          hash: nodeHash(hasher, left.hash, right.hash),
        };
        const key = rangeKey(right);
        if (keys.has(key)) found.set(key, right.hash);
      }
      return found;
    },
  };
}

/** Whether the proof shows that the entry with this hash is leaf `index` of the tree with this root (RFC 9162, 2.1.3.2). */
export function isIncluded(
  leaf: { readonly index: number; readonly entryHash: Uint8Array },
  tree: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
  hasher: Hasher,
): boolean {
  if (!Number.isSafeInteger(leaf.index) || leaf.index < 0 || leaf.index >= tree.size) return false;
  const ranges = inclusionRanges(leaf.index, tree.size);
  if (ranges.length !== proof.length || proof.some((hash) => hash.length !== 32)) return false;
  let hash = leafHash(hasher, leaf.entryHash);
  for (const [i, range] of ranges.entries()) {
    const sibling = proof[i];
    if (sibling === undefined) return false;
    hash = range.start > leaf.index ? nodeHash(hasher, hash, sibling) : nodeHash(hasher, sibling, hash);
  }
  return equalBytes(hash, tree.root);
}

/** Whether the proof shows that the later tree goes on from the earlier one (RFC 9162, 2.1.4.2). */
export function isConsistent(
  earlier: { readonly size: number; readonly root: Uint8Array },
  later: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
  hasher: Hasher,
): boolean {
  if (earlier.size === later.size) return proof.length === 0 && equalBytes(earlier.root, later.root);
  if (earlier.size < 1 || earlier.size > later.size || proof.some((hash) => hash.length !== 32)) return false;
  const isPower = largestPowerBelow(earlier.size * 2) === earlier.size;
  const [first, ...rest] = isPower ? [earlier.root, ...proof] : proof;
  if (first === undefined) return false;
  let node = earlier.size - 1;
  let last = later.size - 1;
  while (node % 2 === 1) {
    node = (node - 1) / 2;
    last = Math.floor(last / 2);
  }
  let before = first;
  let after = first;
  for (const hash of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      before = nodeHash(hasher, hash, before);
      after = nodeHash(hasher, hash, after);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else after = nodeHash(hasher, after, hash);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(before, earlier.root) && equalBytes(after, later.root);
}

export function leafHash(hasher: Hasher, entryHash: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(33);
  bytes.set(entryHash, 1);
  return hasher.sha256(bytes);
}

/** Of an inner node. */
export function nodeHash(hasher: Hasher, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(65);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 33);
  return hasher.sha256(bytes);
}

/** The largest power of two that is smaller. `count` is at least 2. */
function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

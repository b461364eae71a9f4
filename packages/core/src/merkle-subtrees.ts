// Complete subtrees of a Merkle tree: what is kept of entries that are not, so that the tree's heads and proofs stay computable.
import { leafHash, nodeHash } from "./merkle-proof.ts";
import type { Hasher } from "./ports.ts";

/** The largest complete subtrees (sizes are powers of two that divide where they begin) that make up leaves `from` to `to`, in order. */
export function subtreesOf(
  from: number,
  to: number,
): readonly { readonly from: number; readonly size: number }[] {
  const found: { from: number; size: number }[] = [];
  for (let at = from; at < to;) {
    let size = 1;
    while (at % (size * 2) === 0 && at + size * 2 <= to) size *= 2;
    found.push({ from: at, size });
    at += size;
  }
  return found;
}

/** Their roots, from the hashes of all entries in the range. */
export function subtreeRoots(
  from: number,
  entryHashes: readonly Uint8Array[],
  hasher: Hasher,
): readonly Uint8Array[] {
  return subtreesOf(from, from + entryHashes.length).map((place) => {
    const start = place.from - from;
    let level: readonly Uint8Array[] = entryHashes
      .slice(start, start + place.size)
      .map((hash) => leafHash(hasher, hash));
    while (level.length > 1) {
      const below = level;
      level = below.flatMap((left, i) => {
        const right = below[i + 1];
        return i % 2 === 1 || right === undefined ? [] : [nodeHash(hasher, left, right)];
      });
    }
    const [root] = level;
    if (root === undefined) throw new RangeError("a subtree has at least one leaf");
    return root;
  });
}

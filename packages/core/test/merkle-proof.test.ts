import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { merkleTree } from "@writ/core/merkle";
import {
  consistencyRanges,
  inclusionRanges,
  isConsistent,
  isIncluded,
  rangeHasher,
  rangeKey,
  type LeafRange,
} from "@writ/core/merkle-proof";

const hasher = { sha256: (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest()) };
const entryHash = (i: number) => hasher.sha256(new TextEncoder().encode(`entry ${i}`));

function rootOf(size: number): Uint8Array {
  const tree = merkleTree(hasher);
  for (let i = 0; i < size; i++) tree.add(entryHash(i));
  return tree.root();
}

function proofOf(size: number, ranges: readonly LeafRange[]): readonly Uint8Array[] {
  const hashes = rangeHasher(hasher, size, ranges);
  for (let i = 0; i < size; i++) hashes.add(entryHash(i));
  const found = hashes.finish();
  return ranges.map((range) => found.get(rangeKey(range)) ?? new Uint8Array(0));
}

test("A6 every entry of every tree up to 70 entries is proved to stand in it, and nowhere else", () => {
  for (let size = 1; size <= 70; size++) {
    const root = rootOf(size);
    for (let index = 0; index < size; index++) {
      const proof = proofOf(size, inclusionRanges(index, size));
      const leaf = { index, entryHash: entryHash(index) };
      expect(isIncluded(leaf, { size, root }, proof, hasher)).toBe(true);
      expect(isIncluded({ ...leaf, entryHash: entryHash(index + 1) }, { size, root }, proof, hasher)).toBe(
        false,
      );
      if (size > 1)
        expect(isIncluded({ ...leaf, index: (index + 1) % size }, { size, root }, proof, hasher)).toBe(false);
    }
  }
});

test("A6 every tree up to 70 entries is proved to go on from every earlier one", () => {
  for (let size = 1; size <= 70; size++) {
    const later = { size, root: rootOf(size) };
    for (let first = 1; first <= size; first++) {
      const earlier = { size: first, root: rootOf(first) };
      const proof = proofOf(size, consistencyRanges(first, size));
      expect(isConsistent(earlier, later, proof, hasher)).toBe(true);
      const forged = { ...earlier, root: entryHash(first) };
      expect(isConsistent(forged, later, proof, hasher)).toBe(false);
    }
  }
});

test("A6 RFC 6962 section 2.1.3: the proofs of its example tree of seven leaves name the same subtrees", () => {
  const named = (ranges: readonly LeafRange[]) => ranges.map(rangeKey);
  // b h l for d0; c g l for d3; f j k for d4; i k for d6 (a…f leaves 0…5, g h i j k l as drawn there)
  expect(named(inclusionRanges(0, 7))).toEqual(["1+1", "2+2", "4+3"]);
  expect(named(inclusionRanges(3, 7))).toEqual(["2+1", "0+2", "4+3"]);
  expect(named(inclusionRanges(4, 7))).toEqual(["5+1", "6+1", "0+4"]);
  expect(named(inclusionRanges(6, 7))).toEqual(["4+2", "0+4"]);
  expect(named(consistencyRanges(3, 7))).toEqual(["2+1", "3+1", "0+2", "4+3"]);
  expect(named(consistencyRanges(4, 7))).toEqual(["4+3"]);
  expect(named(consistencyRanges(6, 7))).toEqual(["4+2", "6+1", "0+4"]);
});

test("A6 a proof with any byte changed, a hash more or a hash less proves nothing", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 300 }),
      fc.nat(),
      fc.nat(),
      fc.nat({ max: 31 }),
      (size, pick, at, byte) => {
        const index = pick % size;
        const tree = { size, root: rootOf(size) };
        const proof = proofOf(size, inclusionRanges(index, size));
        const leaf = { index, entryHash: entryHash(index) };
        const changed = proof.map((hash, i) =>
          i === at % proof.length ? hash.map((one, j) => (j === byte ? one ^ 1 : one)) : hash,
        );
        expect(isIncluded(leaf, tree, proof, hasher)).toBe(true);
        expect(isIncluded(leaf, tree, changed, hasher)).toBe(false);
        expect(isIncluded(leaf, tree, proof.slice(1), hasher)).toBe(false);
        expect(isIncluded(leaf, tree, [...proof, entryHash(0)], hasher)).toBe(false);
      },
    ),
    { numRuns: 60 },
  );
});

import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { merkleTree } from "@writ/core/merkle";
import { subtreeRoots, subtreesOf } from "@writ/core/merkle-subtrees";
import { decodePruned, encodePruned, type PrunedPart } from "@writ/core/segment-pruned";
import { frameClaim } from "@writ/core/segment";

const hasher = { sha256: (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest()) };
const hashOfEntry = (seq: number) => hasher.sha256(new TextEncoder().encode(`entry ${seq}`));
const roots = (seq: number, count: number) =>
  subtreeRoots(
    seq,
    Array.from({ length: count }, (_, i) => hashOfEntry(seq + i)),
    hasher,
  );

/** Entries that are kept and gaps between them, from some place of a ledger on. */
const batch = fc
  .record({
    firstSeq: fc.nat({ max: 5000 }),
    shape: fc.array(
      fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 40 })),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .map(({ firstSeq, shape }) => {
    let seq = firstSeq;
    const parts = shape.map((one): PrunedPart => {
      const at = seq;
      seq += typeof one === "number" ? one : 1;
      return typeof one === "number"
        ? { kind: "gap", seq: at, count: one, lastHash: hashOfEntry(seq - 1), roots: roots(at, one) }
        : { kind: "kept", seq: at, bytes: one };
    });
    return { firstSeq, parts, count: seq - firstSeq };
  });

test("S4 S5 a pruned batch reads back as it was written, and with any bit changed not at all", () => {
  fc.assert(
    fc.property(batch, fc.integer(), fc.nat(), (given, salt, flip) => {
      const where = { sizeBytes: 64 * 1024, salt: salt >>> 0 };
      const made = encodePruned(given.firstSeq, given.parts, where);
      const bytes = new Uint8Array(where.sizeBytes + 8);
      bytes.set(made, 8);
      const read = decodePruned(bytes, 8, where.salt);
      expect(read).toEqual({ offset: 8, sizeBytes: where.sizeBytes, heldBytes: made.length, ...given });
      expect(frameClaim(bytes, 8)).toEqual({
        firstSeq: given.firstSeq,
        sizeBytes: where.sizeBytes,
        count: given.count,
      });
      const at = 8 + (flip % made.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (flip % 8));
      expect(decodePruned(bytes, 8, where.salt)).toBeUndefined();
      expect(decodePruned(bytes, 8, (where.salt + 1) >>> 0)).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test("S4 a tree made of subtrees in place of their leaves is the tree of the leaves", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 50 })), { maxLength: 12 }),
      (shape) => {
        const whole = merkleTree(hasher);
        const pruned = merkleTree(hasher);
        let seq = 0;
        for (const [isGap, count] of shape) {
          const from = seq;
          for (; seq < from + count; seq++) {
            whole.add(hashOfEntry(seq));
            if (!isGap) pruned.add(hashOfEntry(seq));
          }
          if (!isGap) continue;
          const places = subtreesOf(from, seq);
          roots(from, count).forEach((root, i) => pruned.addSubtree(root, places[i]?.size ?? 0));
        }
        expect(pruned.root()).toEqual(whole.root());
        expect(pruned.frontier()).toEqual(whole.frontier());
      },
    ),
    { numRuns: 100 },
  );
});

/** The test vectors of certificate transparency: these are the roots over leaf hashes, whatever was hashed into them. */
test("S4 the roots of RFC 6962 trees over the well-known leaves are those of the reference", () => {
  const leaves = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ];
  const leaf = (hex: string) => hasher.sha256(new Uint8Array([0, ...Buffer.from(hex, "hex")]));
  const tree = merkleTree(hasher);
  const found = leaves.map((hex) => {
    tree.addSubtree(leaf(hex), 1);
    return Buffer.from(tree.root()).toString("hex");
  });
  expect(found[0]).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  expect(found[1]).toBe("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  expect(found[2]).toBe("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
  expect(found[3]).toBe("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
  expect(found[6]).toBe("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
  expect(found[7]).toBe("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
});

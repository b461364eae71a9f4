import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, toHex } from "@writ/core/bytes";
import { parseCheckpoint, signCheckpoint, signatureProblem } from "@writ/core/checkpoint";
import { crc32 } from "@writ/core/crc32";
import { keyId } from "@writ/core/ids";
import { merkleTree } from "@writ/core/merkle";
import type { Hasher, KeyRecord, Signer } from "@writ/core/ports";
import {
  decodeFrame,
  decodeSegmentHeader,
  encodeFrame,
  encodeSegmentHeader,
  findFrame,
  frameSize,
} from "@writ/core/segment";

const hasher: Hasher = { sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()) };

describe("CRC-32", () => {
  test("S2 is the polynomial of zip, also in parts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
        const split = Math.min(cut, bytes.length);
        expect(crc32(bytes, 0, bytes.length)).toBe(zlibCrc32(bytes));
        expect(crc32(bytes, split, bytes.length, crc32(bytes, 0, split))).toBe(zlibCrc32(bytes));
      }),
    );
  });
});

describe("segments", () => {
  const header = {
    number: 3,
    epoch: 2,
    firstSeq: 2 ** 40,
    previousHash: new Uint8Array(32).fill(5),
    salt: 77,
  };
  const entries = [new Uint8Array([1, 2, 3]), new Uint8Array(0), new Uint8Array(20).fill(9)];

  test("S1 a header comes back; any changed byte shows", () => {
    const bytes = encodeSegmentHeader(header);
    expect(decodeSegmentHeader(bytes)).toEqual(header);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(decodeSegmentHeader(changed)).toBeUndefined();
    }
  });

  test("S2 S3 a batch comes back; any changed or missing byte shows", () => {
    const bytes = encodeFrame(2 ** 33, entries, 77);
    expect(bytes.length).toBe(frameSize(entries));
    expect(bytes.length % 8).toBe(0);
    const frame = decodeFrame(bytes, 0, 77);
    expect(frame?.firstSeq).toBe(2 ** 33);
    const [start = 0] = frame?.bounds ?? [];
    expect(frame?.bounds).toEqual([start, start + 3, start + 3, start + 23]);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(decodeFrame(changed, 0, 77), `byte ${at}`).toBeUndefined();
      expect(decodeFrame(bytes.subarray(0, at), 0, 77)).toBeUndefined();
    }
  });

  test("S2 the same bytes inside an entry of another segment are no batch", () => {
    const inner = encodeFrame(5, entries, 77);
    const outer = encodeFrame(0, [inner], 78);
    expect(findFrame(outer.subarray(8), 0, 78)).toBeUndefined();
    expect(findFrame(concatBytes(new Uint8Array(16), inner), 0, 77)?.offset).toBe(16);
  });
});

describe("Merkle tree", () => {
  /** RFC 6962, section 2.1, as it is written there. */
  function reference(leaves: readonly Uint8Array[]): Uint8Array {
    if (leaves.length === 0) return hasher.sha256(new Uint8Array(0));
    if (leaves.length === 1)
      return hasher.sha256(concatBytes(new Uint8Array([0]), leaves[0] ?? new Uint8Array()));
    const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
    return hasher.sha256(
      concatBytes(new Uint8Array([1]), reference(leaves.slice(0, split)), reference(leaves.slice(split))),
    );
  }

  test("H1 the root is that of RFC 6962 at every size, also going on from a frontier", () => {
    const leaves = Array.from({ length: 70 }, (_, i) => new Uint8Array(32).fill(i));
    const tree = merkleTree(hasher);
    expect(toHex(tree.root())).toBe(toHex(reference([])));
    leaves.forEach((leaf, i) => {
      tree.add(leaf);
      expect(toHex(tree.root())).toBe(toHex(reference(leaves.slice(0, i + 1))));
      const resumed = merkleTree(hasher, tree.size(), tree.frontier());
      expect(toHex(resumed.root())).toBe(toHex(tree.root()));
    });
  });

  test("H1 a frontier of another size is refused", () => {
    expect(() => merkleTree(hasher, 3, [new Uint8Array(32)])).toThrow(RangeError);
  });
});

describe("checkpoints", () => {
  // A toy signature that is right for one key and one text only; real ones are tested where they are made.
  const keyOf = (algorithm: KeyRecord["algorithm"], fill: number): KeyRecord => ({
    id: keyId(`k_${String(fill).padStart(16, "0")}`),
    algorithm,
    publicKey: new Uint8Array(32).fill(fill),
    revoked: false,
  });
  const keys = [keyOf("ed25519", 1), keyOf("ml-dsa-65", 2)];
  const [ed25519, mlDsa65] = keys as [KeyRecord, KeyRecord];
  const toy = (key: KeyRecord, bytes: Uint8Array): Uint8Array =>
    hasher.sha256(concatBytes(key.publicKey, bytes));
  const signer: Signer = {
    ed25519KeyId: ed25519.id,
    mlDsa65KeyId: mlDsa65.id,
    sign: (bytes) =>
      keys.map((key) => ({ keyId: key.id, algorithm: key.algorithm, signature: toy(key, bytes) })),
  };
  const verify = (key: KeyRecord, bytes: Uint8Array, signature: Uint8Array): boolean =>
    toHex(toy(key, bytes)) === toHex(signature);
  const head = { origin: "writ/n_0123456789", size: 4096, root: new Uint8Array(32).fill(3) };
  const note = signCheckpoint(head, signer, { ed25519, mlDsa65 }, hasher);

  test("H1 H2 a checkpoint comes back with both signatures", () => {
    const checkpoint = parseCheckpoint(note);
    expect(checkpoint).toMatchObject(head);
    expect(checkpoint && signatureProblem(checkpoint, { keys, hasher, verify })).toBeUndefined();
    expect(note.split("\n").slice(0, 4)).toEqual([head.origin, "4096", expect.stringMatching(/=$/), ""]);
  });

  test("H2 K50 one signature alone, or one by another key, is refused", () => {
    const lines = note.split("\n");
    for (const missing of [4, 5]) {
      const checkpoint = parseCheckpoint(lines.filter((_, i) => i !== missing).join("\n"));
      expect(checkpoint && signatureProblem(checkpoint, { keys, hasher, verify })).toMatch(/missing/);
    }
    const checkpoint = parseCheckpoint(note);
    const others = [keyOf("ed25519", 3), mlDsa65];
    expect(checkpoint && signatureProblem(checkpoint, { keys: others, hasher, verify })).toMatch(/no key/);
  });

  test("H3 every changed byte shows", () => {
    const bytes = Buffer.from(note);
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [1, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ mask;
        const checkpoint = parseCheckpoint(changed.toString("utf8"));
        const isRefused =
          checkpoint === undefined || signatureProblem(checkpoint, { keys, hasher, verify }) !== undefined;
        expect(isRefused, `byte ${at} mask ${mask}`).toBe(true);
      }
    }
  });

  test("H2 a line of a witness may follow", () => {
    const checkpoint = parseCheckpoint(`${note}— witness.example/w AAAAAAECAw==\n`);
    expect(checkpoint?.signatures).toHaveLength(3);
    expect(checkpoint && signatureProblem(checkpoint, { keys, hasher, verify })).toBeUndefined();
  });
});

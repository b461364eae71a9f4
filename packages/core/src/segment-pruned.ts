// Pruned batches, format 1: what stands in a segment where entries were taken out. It takes the place of one or more batches and claims
// all of their bytes, so that every batch that was kept whole stays where it was; the rest of them are zeros, which need no room on a disk.
//   S4  A pruned batch says of every entry that was in it what it was: the bytes of those that were kept, and for each run of those that
//       were not the hash of the last and the roots of the largest complete Merkle subtrees, in the order of the entries.
//   S5  Its checksum covers its head and its payload, and starts from the segment's salt.
import { crc32 } from "./crc32.ts";
import { subtreesOf } from "./merkle-subtrees.ts";
import { frameHeaderBytes, prunedMagic } from "./segment.ts";

export type PrunedPart =
  | { readonly kind: "kept"; readonly seq: number; readonly bytes: Uint8Array }
  | {
      readonly kind: "gap";
      readonly seq: number;
      readonly count: number;
      /** Hash of the last entry of the gap. */
      readonly lastHash: Uint8Array;
      /** Roots of `subtreesOf(seq, seq + count)`. */
      readonly roots: readonly Uint8Array[];
    };

export interface PrunedBatch {
  readonly offset: number;
  /** Bytes from `offset` to the next batch. */
  readonly sizeBytes: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly parts: readonly PrunedPart[];
  /** Bytes from `offset` that hold it. */
  readonly heldBytes: number;
}

const gapBit = 0x80000000;

/** @throws RangeError when it does not fit into `sizeBytes`, a multiple of 8: it always does in place of entries of 100 bytes or more */
export function encodePruned(
  firstSeq: number,
  parts: readonly PrunedPart[],
  where: { readonly sizeBytes: number; readonly salt: number },
): Uint8Array {
  const payload = parts.reduce(
    (sum, part) => sum + 4 + (part.kind === "kept" ? part.bytes.length : 32 + 32 * part.roots.length),
    0,
  );
  const size = frameHeaderBytes + 4 + payload;
  if (size > where.sizeBytes) throw new RangeError("a pruned batch is larger than what it stands for");
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const count = parts.reduce((sum, part) => sum + (part.kind === "kept" ? 1 : part.count), 0);
  view.setUint32(0, prunedMagic);
  view.setUint32(4, where.sizeBytes - frameHeaderBytes);
  view.setUint32(8, count);
  view.setUint32(12, Math.floor(firstSeq / 0x100000000));
  view.setUint32(16, firstSeq % 0x100000000);
  view.setUint32(frameHeaderBytes, payload);
  let at = frameHeaderBytes + 4;
  const put = (part: Uint8Array): void => {
    bytes.set(part, at);
    at += part.length;
  };
  for (const part of parts) {
    view.setUint32(at, part.kind === "kept" ? part.bytes.length : gapBit + part.count);
    at += 4;
    if (part.kind === "kept") put(part.bytes);
    else [part.lastHash, ...part.roots].forEach(put);
  }
  view.setUint32(20, checksum(bytes, 0, size, where.salt));
  return bytes;
}

/** The pruned batch at the offset, or undefined: damaged, or none. */
export function decodePruned(bytes: Uint8Array, offset: number, salt: number): PrunedBatch | undefined {
  const start = offset + frameHeaderBytes + 4;
  if (start > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(offset) !== prunedMagic) return undefined;
  const sizeBytes = frameHeaderBytes + view.getUint32(offset + 4);
  const end = start + view.getUint32(offset + frameHeaderBytes);
  if (end > bytes.length || end > offset + sizeBytes) return undefined;
  if (view.getUint32(offset + 20) !== checksum(bytes, offset, end, salt)) return undefined;
  const firstSeq = view.getUint32(offset + 12) * 0x100000000 + view.getUint32(offset + 16);
  const parts: PrunedPart[] = [];
  let seq = firstSeq;
  for (let at = start; at < end;) {
    if (at + 4 > end) return undefined;
    const tag = view.getUint32(at);
    at += 4;
    if (tag < gapBit) {
      if (at + tag > end) return undefined;
      parts.push({ kind: "kept", seq, bytes: bytes.subarray(at, at + tag) });
      at += tag;
      seq += 1;
      continue;
    }
    const count = tag - gapBit;
    const size = 32 + 32 * subtreesOf(seq, seq + count).length;
    if (count === 0 || at + size > end) return undefined;
    const hash = (i: number): Uint8Array => bytes.subarray(at + 32 * i, at + 32 * i + 32);
    const roots = Array.from({ length: size / 32 - 1 }, (_, i) => hash(i + 1));
    parts.push({ kind: "gap", seq, count, lastHash: hash(0), roots });
    at += size;
    seq += count;
  }
  const count = view.getUint32(offset + 8);
  if (seq - firstSeq !== count) return undefined;
  return { offset, sizeBytes, firstSeq, count, parts, heldBytes: end - offset };
}

function checksum(bytes: Uint8Array, offset: number, end: number, salt: number): number {
  return crc32(bytes, offset + frameHeaderBytes, end, crc32(bytes, offset, offset + 20, salt));
}

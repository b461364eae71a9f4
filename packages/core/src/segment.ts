// Segment files of a ledger, format 1: a header, then batches one after another, then zeros to the end of the preallocated file.
//   S1  A segment holds one epoch. Its header names its number, epoch, first sequence number and the hash of the entry before it,
//       and is durable before the first batch is written.
//   S2  A batch is one frame: all of its entries are there, or none. Its checksum starts from the segment's salt, which nobody
//       outside knows, so that the content of an entry can never pass for a frame.
//   S3  Frames start at multiples of 8; the checksum covers the zeros up to there. All integers are big-endian.
import { crc32 } from "./crc32.ts";

export const segmentHeaderBytes = 64;
export const frameHeaderBytes = 24;

export interface SegmentHeader {
  readonly number: number;
  readonly epoch: number;
  readonly firstSeq: number;
  /** 32 bytes. */
  readonly previousHash: Uint8Array;
  readonly salt: number;
}

export interface Frame {
  readonly offset: number;
  /** Bytes from `offset` to the next frame. */
  readonly sizeBytes: number;
  readonly firstSeq: number;
  /** Where each entry's bytes start; one more than there are entries: the last is the end. */
  readonly bounds: readonly number[];
}

/** "WPR1": a pruned batch, see `segment-pruned.ts`. */
export const prunedMagic = 0x57505231;
// "WRITSEG1" and "WBC1".
const segmentMagic = [0x57524954, 0x53454731] as const;
const frameMagic = 0x57424331;

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, segmentMagic[0]);
  view.setUint32(4, segmentMagic[1]);
  view.setUint32(8, header.number);
  view.setUint32(12, header.epoch);
  setUint53(view, 16, header.firstSeq);
  bytes.set(header.previousHash, 24);
  view.setUint32(56, header.salt);
  view.setUint32(60, crc32(bytes, 0, 60));
  return bytes;
}

/** The header, or undefined when the bytes are none. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0) !== segmentMagic[0] || view.getUint32(4) !== segmentMagic[1]) return undefined;
  if (view.getUint32(60) !== crc32(bytes, 0, 60)) return undefined;
  return {
    number: view.getUint32(8),
    epoch: view.getUint32(12),
    firstSeq: getUint53(view, 16),
    previousHash: bytes.slice(24, 56),
    salt: view.getUint32(56),
  };
}

/** Bytes that a batch of entries takes in the file. */
export function frameSize(entries: readonly Uint8Array[]): number {
  let size = frameHeaderBytes + 4 * entries.length;
  for (const entry of entries) size += entry.length;
  return aligned(size);
}

/** CRC-32 of the bytes, going on from an earlier result. */
export type Checksum = (bytes: Uint8Array, before: number) => number;

/** `checksum` stands for `crc32` where the platform has a faster one. */
export function encodeFrame(
  firstSeq: number,
  entries: readonly Uint8Array[],
  salt: number,
  checksum: Checksum = (bytes, before) => crc32(bytes, 0, bytes.length, before),
): Uint8Array {
  const bytes = new Uint8Array(frameSize(entries));
  const view = new DataView(bytes.buffer);
  let at = frameHeaderBytes + 4 * entries.length;
  entries.forEach((entry, i) => {
    view.setUint32(frameHeaderBytes + 4 * i, entry.length);
    bytes.set(entry, at);
    at += entry.length;
  });
  view.setUint32(0, frameMagic);
  view.setUint32(4, at - frameHeaderBytes);
  view.setUint32(8, entries.length);
  setUint53(view, 12, firstSeq);
  view.setUint32(20, checksum(bytes.subarray(frameHeaderBytes), checksum(bytes.subarray(0, 20), salt)));
  return bytes;
}

/** What the frame header at the offset claims, unchecked: for hopping from frame to frame and for reading the right number of bytes. */
export function frameClaim(
  bytes: Uint8Array,
  offset: number,
): { readonly firstSeq: number; readonly sizeBytes: number; readonly count: number } | undefined {
  if (offset + frameHeaderBytes > bytes.length) return undefined;
  const view = viewOf(bytes);
  const magic = view.getUint32(offset);
  if (magic !== frameMagic && magic !== prunedMagic) return undefined;
  return {
    firstSeq: getUint53(view, offset + 12),
    sizeBytes: aligned(frameHeaderBytes + view.getUint32(offset + 4)),
    count: view.getUint32(offset + 8),
  };
}

/** The valid frame at the offset, or undefined: torn, rotten, or none. */
export function decodeFrame(bytes: Uint8Array, offset: number, salt: number): Frame | undefined {
  if (offset + frameHeaderBytes > bytes.length) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(offset) !== frameMagic) return undefined;
  const end = offset + frameHeaderBytes + view.getUint32(offset + 4);
  const count = view.getUint32(offset + 8);
  let at = offset + frameHeaderBytes + 4 * count;
  const sizeBytes = aligned(end - offset);
  if (count === 0 || offset + sizeBytes > bytes.length || at > end) return undefined;
  if (view.getUint32(offset + 20) !== frameChecksum(bytes, offset, offset + sizeBytes, salt))
    return undefined;
  const bounds = [at];
  for (let i = 0; i < count; i++) {
    at += view.getUint32(offset + frameHeaderBytes + 4 * i);
    bounds.push(at);
  }
  if (at !== end) return undefined;
  return { offset, sizeBytes, firstSeq: getUint53(view, offset + 12), bounds };
}

/** The first valid frame at or after the offset: its existence turns a torn tail into damage. */
export function findFrame(bytes: Uint8Array, from: number, salt: number): Frame | undefined {
  const view = viewOf(bytes);
  for (let at = aligned(from); at + frameHeaderBytes <= bytes.length; at += 8) {
    if (view.getUint32(at) !== frameMagic) continue;
    const frame = decodeFrame(bytes, at, salt);
    if (frame !== undefined) return frame;
  }
  return undefined;
}

/** Offset of the first byte that is not zero, or -1. */
export function firstWritten(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return at;
  return -1;
}

export function segmentName(number: number): string {
  return `ledger/${String(number).padStart(10, "0")}.segment`;
}

function frameChecksum(bytes: Uint8Array, offset: number, end: number, salt: number): number {
  return crc32(bytes, offset + frameHeaderBytes, end, crc32(bytes, offset, offset + 20, salt));
}

function aligned(size: number): number {
  return Math.ceil(size / 8) * 8;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function setUint53(view: DataView, at: number, n: number): void {
  view.setUint32(at, Math.floor(n / 0x100000000));
  view.setUint32(at + 4, n % 0x100000000);
}

function getUint53(view: DataView, at: number): number {
  return view.getUint32(at) * 0x100000000 + view.getUint32(at + 4);
}

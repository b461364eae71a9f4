// Reads durable entries back from segments. Bounded memory: a few open files, a few frame indexes, one window at a time.
import { toHex } from "@writ/core/bytes";
import { decodeEntry } from "@writ/core/entry-codec";
import type { Entry } from "@writ/core/entry";
import { sha256 } from "@writ/core/ids";
import type { Disk, DiskFile, Hasher } from "@writ/core/ports";
import { decodePruned, type PrunedPart } from "@writ/core/segment-pruned";
import {
  decodeFrame,
  frameClaim,
  frameHeaderBytes,
  segmentHeaderBytes,
  segmentName,
} from "@writ/core/segment";
import { fault } from "../faults.ts";
import { readFilesMax, scanWindowBytes } from "../limits.ts";
import { damaged, entriesOf, type Segment } from "./recover.ts";

/** A batch as it stands on the disk. */
export interface DurableBatch {
  readonly entries: readonly Entry[];
  /** Segment number × 2^32 + offset of the batch in it. */
  readonly position: number;
  /** Entries that were pruned among them, with the roots of their largest complete Merkle subtrees. */
  readonly gaps?: readonly Extract<PrunedPart, { kind: "gap" }>[];
}

export interface LedgerReader {
  read(seq: number): Promise<Entry>;
  /** Position of the batch that holds the entry. */
  positionOf(seq: number): Promise<number>;
  /** The wanted entries of the batch at a position that the projections remember; only those are decoded. */
  entriesAt(position: number, wanted: (seq: number, bytes: Uint8Array) => boolean): Promise<readonly Entry[]>;
  /** Batches that hold entries from `from` on, in order, up to what is durable when it gets there. */
  batches(from: number): AsyncIterable<DurableBatch>;
  /** The file of the segment is another one now. */
  forget(number: number): Promise<void>;
  close(): Promise<void>;
}

export function positionOf(segment: number, offset: number): number {
  return segment * 0x100000000 + offset;
}

interface Place {
  readonly segment: Segment;
  readonly offset: number;
  readonly wanted: (seq: number, bytes: Uint8Array) => boolean;
}

interface OpenFile {
  readonly file: Promise<DiskFile>;
  users: number;
}

interface FrameIndex {
  readonly seqs: number[];
  readonly offsets: number[];
  end: number;
}

export function ledgerReader(disk: Disk, hasher: Hasher, segments: readonly Segment[]): LedgerReader {
  const files = new Map<number, OpenFile>();
  const indexes = new Map<number, FrameIndex>();

  async function readAt(segment: Segment, offset: number, length: number): Promise<Uint8Array> {
    let open = files.get(segment.number);
    if (open === undefined) {
      const file = disk.open(segmentName(segment.number), false);
      open = { file, users: 0 };
      files.set(segment.number, open);
      // Too many open files pass; whoever asks next tries again.
      file.catch(() => files.delete(segment.number));
    }
    open.users++;
    try {
      return await (await open.file).read(offset, length);
    } finally {
      open.users--;
      if (open.users === 0 && files.get(segment.number) !== open) await (await open.file).close();
      await limitFiles();
    }
  }

  /** Forgets the files that were opened first and that nobody reads at the moment. */
  async function limitFiles(): Promise<void> {
    if (files.size <= readFilesMax) return;
    for (const [number, { file, users }] of files) {
      if (users > 0) continue;
      files.delete(number);
      indexes.delete(number);
      await (await file).close();
      return;
    }
  }

  function place(seq: number): number {
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((segments[middle] as Segment).firstSeq <= seq) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Offset of the batch that holds the entry. */
  async function offsetOf(segment: Segment, seq: number): Promise<number> {
    let index = indexes.get(segment.number);
    if (index === undefined) {
      index = { seqs: [], offsets: [], end: segmentHeaderBytes };
      indexes.set(segment.number, index);
    }
    if (index.end < segment.end) await extendIndex(segment, index);
    let low = 0;
    let high = index.seqs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((index.seqs[middle] as number) <= seq) low = middle;
      else high = middle - 1;
    }
    return index.offsets[low] ?? segment.end;
  }

  async function extendIndex(segment: Segment, index: FrameIndex): Promise<void> {
    let at = index.end;
    const seqs: number[] = [];
    const offsets: number[] = [];
    while (at < segment.end) {
      const window = await readAt(segment, at, Math.min(scanWindowBytes, segment.end - at));
      let inside = 0;
      while (inside + frameHeaderBytes <= window.length) {
        const claim = frameClaim(window, inside);
        if (claim === undefined) throw damagedAt(segment, at + inside, segment.firstSeq);
        seqs.push(claim.firstSeq);
        offsets.push(at + inside);
        inside += claim.sizeBytes;
      }
      if (inside === 0) throw damagedAt(segment, at, segment.firstSeq);
      at += inside;
    }
    // Two readers may have extended it at once; the result is the same.
    if (index.end >= at) return;
    const known = index.offsets.at(-1) ?? -1;
    for (const [i, offset] of offsets.entries()) {
      if (offset <= known) continue;
      index.seqs.push(seqs[i] as number);
      index.offsets.push(offset);
    }
    index.end = at;
  }

  function entriesIn(window: Uint8Array, inside: number, place: Place): readonly Entry[] {
    const { segment, offset, wanted } = place;
    const frame = decodeFrame(window, inside, segment.salt);
    const pruned = frame === undefined ? decodePruned(window, inside, segment.salt) : undefined;
    if (pruned !== undefined) {
      return pruned.parts.flatMap((part) =>
        part.kind === "kept" && wanted(part.seq, part.bytes)
          ? [decodeEntry(part.bytes, sha256(toHex(hasher.sha256(part.bytes))))]
          : [],
      );
    }
    if (frame === undefined) throw damagedAt(segment, offset, segment.firstSeq);
    return entriesOf(window, frame)
      .filter((bytes, i) => wanted(frame.firstSeq + i, bytes))
      .map((bytes) => decodeEntry(bytes, sha256(toHex(hasher.sha256(bytes)))));
  }

  async function entriesAtOffset(place: Place): Promise<readonly Entry[]> {
    const { segment, offset } = place;
    let window = await readAt(segment, offset, Math.min(8192, segment.end - offset));
    const claim = frameClaim(window, 0);
    if (claim === undefined || offset + claim.sizeBytes > segment.end)
      throw damagedAt(segment, offset, segment.firstSeq);
    // Of a pruned batch only the beginning may be more than zeros, but it claims everything that it stands for.
    if (claim.sizeBytes > window.length) window = await readAt(segment, offset, claim.sizeBytes);
    return entriesIn(window, 0, place);
  }

  async function* batches(from: number): AsyncGenerator<DurableBatch> {
    let expected = from;
    let skipBefore = 0;
    let lost = -1;
    for (let i = place(from); i < segments.length; i++) {
      let at = await offsetOf(segments[i] as Segment, from);
      for (let end = (segments[i] as Segment).end; at < end; end = (segments[i] as Segment).end) {
        const segment = segments[i] as Segment;
        let window = await readAt(segment, at, Math.min(scanWindowBytes, end - at));
        const claim = frameClaim(window, 0);
        if (claim === undefined) {
          // The segment may have been pruned since its last batch was read: what comes next is inside of a larger one.
          if (lost === at) throw damagedAt(segment, at, expected);
          lost = at;
          skipBefore = expected;
          await forget(segment.number);
          at = await offsetOf(segment, expected);
          continue;
        }
        if (claim.sizeBytes > window.length) window = await readAt(segment, at, claim.sizeBytes);
        let inside = 0;
        while (inside < window.length) {
          const size = frameClaim(window, inside)?.sizeBytes;
          // A batch that the window cuts off is read with the next window, unless it is the first.
          if (inside > 0 && (size === undefined || inside + size > window.length)) break;
          const offset = at + inside;
          const claimed = frameClaim(window, inside);
          const wanted = (seq: number): boolean => seq >= skipBefore;
          const entries = entriesIn(window, inside, { segment, offset, wanted });
          const gaps = gapsIn(window, inside, segment);
          if (claimed !== undefined) expected = claimed.firstSeq + claimed.count;
          yield { entries, position: positionOf(segment.number, offset), ...gaps };
          inside += size ?? window.length;
        }
        at += inside;
      }
    }
  }

  async function forget(number: number): Promise<void> {
    indexes.delete(number);
    const open = files.get(number);
    files.delete(number);
    if (open === undefined || open.users > 0) return;
    await (await open.file).close();
  }

  return {
    forget,
    async positionOf(seq) {
      const segment = segments[place(seq)] as Segment;
      return positionOf(segment.number, await offsetOf(segment, seq));
    },
    async read(seq) {
      const segment = segments[place(seq)] as Segment;
      const offset = await offsetOf(segment, seq);
      const [entry] = await entriesAtOffset({ segment, offset, wanted: (found) => found === seq });
      if (entry === undefined)
        throw fault("ledger.no-entry", `Cannot read entry ${seq}: it was pruned`, { seq, pruned: true });
      return entry;
    },
    async entriesAt(position, wanted) {
      const number = Math.floor(position / 0x100000000);
      const segment = segments.find((candidate) => candidate.number === number);
      if (segment === undefined) throw fault("ledger.no-entry", `Cannot find segment ${number}`, { number });
      return entriesAtOffset({ segment, offset: position % 0x100000000, wanted });
    },
    batches,
    async close() {
      for (const { file } of files.values()) await (await file).close();
      files.clear();
    },
  };
}

function gapsIn(window: Uint8Array, inside: number, segment: Segment): Pick<DurableBatch, "gaps"> {
  const pruned = decodePruned(window, inside, segment.salt);
  return pruned === undefined ? {} : { gaps: pruned.parts.filter((part) => part.kind === "gap") };
}

function damagedAt(segment: Segment, offset: number, seq: number): Error {
  return damaged("a batch is not what was written", {
    segment: segmentName(segment.number).slice("ledger/".length),
    offset,
    seq,
  });
}

// Writes batches into segments, one at a time. Owns the active segment; knows nothing of entries.
//   W1  `write` resolves when the batch is durable and this process is still the newest to have opened the ledger.
//   W2  A batch goes only where zeros were written before, so that a commit overwrites and never extends the file.
//   W3  After a failure the writer must not be used again; nothing is retried.
import { crc32 } from "node:zlib";
import { fromUtf8, utf8 } from "@writ/core/bytes";
import type { Disk, DiskFile, Entropy } from "@writ/core/ports";
import { encodeFrame, encodeSegmentHeader, segmentHeaderBytes, segmentName } from "@writ/core/segment";
import { fault } from "../faults.ts";
import type { LedgerLimits } from "../limits.ts";
import type { Segment } from "./recover.ts";

export interface SegmentWriter {
  /** The entries as one batch. `previousHash` is that of the entry before the first. */
  write(batch: {
    readonly firstSeq: number;
    readonly previousHash: Uint8Array;
    readonly entries: readonly Uint8Array[];
  }): Promise<{ readonly segment: number; readonly offset: number }>;
  /** Gives back the preallocated rest of the active segment. */
  close(): Promise<void>;
  /** Lets go of the files as they are, after a failure. */
  abandon(): Promise<void>;
}

export interface SegmentWriterOptions {
  readonly disk: Disk;
  readonly entropy: Entropy;
  readonly limits: LedgerLimits;
  readonly epoch: number;
  /** Kept up to date: the reader's list of segments. */
  readonly segments: Segment[];
}

const fenceName = "ledger/fence";
/** Written again and again: a buffer of its own for each extension would be megabytes of garbage a second under load. */
const zeros = new Uint8Array(256 * 1024);

/** Begins a new segment for this epoch, after cutting the last one where its valid batches end. */
export async function openSegmentWriter(
  options: SegmentWriterOptions,
  next: { readonly seq: number; readonly hash: Uint8Array },
): Promise<SegmentWriter> {
  const { disk, entropy, limits, epoch, segments } = options;
  const fence = await disk.open(fenceName, true);
  const fenceText = String(epoch).padStart(15, "0") + "\n";
  await fence.write(0, utf8(fenceText));
  await fence.sync();
  await disk.syncFolder("ledger");

  let file: DiskFile;
  let active: Segment;
  let allocated = 0;
  let extending: Promise<void> | null = null;
  let extendFailure: unknown = null;

  /**
   * Also when there is nothing to cut: a process that was killed may have left bytes that only memory has, and after a failed sync memory
   * shows bytes that no later sync writes any more. So what that may be is written once more: the header and the last batch.
   */
  async function cut(segment: Segment): Promise<void> {
    const old = await disk.open(segmentName(segment.number), false);
    try {
      const { end, lastBatchAt = end } = segment;
      if ((await old.size()) > end) await old.truncate(end);
      await old.write(0, await old.read(0, segmentHeaderBytes));
      if (lastBatchAt < end) await old.write(lastBatchAt, await old.read(lastBatchAt, end - lastBatchAt));
      await old.sync();
    } finally {
      await old.close();
    }
  }

  async function begin(firstSeq: number, previousHash: Uint8Array): Promise<void> {
    const number = (segments.at(-1)?.number ?? 0) + 1;
    const salt = new DataView(entropy.bytes(4).slice().buffer).getUint32(0);
    file = await disk.open(segmentName(number), true);
    await file.truncate(0);
    await file.write(0, encodeSegmentHeader({ number, epoch, firstSeq, previousHash, salt }));
    allocated = segmentHeaderBytes;
    await extend();
    await disk.syncFolder("ledger");
    active = { number, epoch, firstSeq, salt, end: segmentHeaderBytes };
    segments.push(active);
  }

  async function extend(): Promise<void> {
    const size = Math.min(limits.preallocateBytes, limits.segmentBytesMax - allocated);
    for (let done = 0; done < size; done += zeros.length)
      await file.write(allocated + done, zeros.subarray(0, size - done));
    await file.sync();
    allocated += size;
  }

  function extendAhead(): void {
    const isNeeded =
      allocated - active.end < limits.preallocateBytes / 2 && allocated < limits.segmentBytesMax;
    if (!isNeeded || extending !== null) return;
    extending = extend()
      .catch((error: unknown) => {
        extendFailure = error;
      })
      .finally(() => {
        extending = null;
      });
  }

  async function room(end: number): Promise<void> {
    while (end > allocated) {
      if (extending === null) await extend();
      else await extending;
      if (extendFailure !== null) throw extendFailure;
    }
  }

  /**
   * One call instead of two where the disk has it: a journey to another thread less for each commit, and zeros written ahead are
   * left to their own sync.
   */
  async function commit(offset: number, frame: Uint8Array): Promise<void> {
    if (file.writeDurably === undefined) {
      await file.write(offset, frame);
      await Promise.all([file.sync(), readFence().then(checkFence)]);
      return;
    }
    await file.writeDurably(offset, frame);
    checkFence(fence.readNow?.(0, 16) ?? (await readFence()));
  }

  const readFence = (): Promise<Uint8Array> => fence.read(0, 16);

  function checkFence(bytes: Uint8Array): void {
    const found = fromUtf8(bytes);
    if (found === fenceText) return;
    throw fault("ledger.stale-epoch", `Cannot append in epoch ${epoch}: the ledger was opened again since`, {
      epoch,
      newest: Number(found),
    });
  }

  async function finish(): Promise<void> {
    if (extending !== null) await extending;
    await file.truncate(active.end);
    await file.sync();
    await file.close();
  }

  const last = segments.at(-1);
  if (last !== undefined) await cut(last);
  await begin(next.seq, next.hash);

  return {
    async write({ firstSeq, previousHash, entries }) {
      if (extendFailure !== null) throw extendFailure;
      let frame = encodeFrame(firstSeq, entries, active.salt, crc32);
      if (active.end + frame.length > limits.segmentBytesMax) {
        await finish();
        await begin(firstSeq, previousHash);
        frame = encodeFrame(firstSeq, entries, active.salt, crc32);
      }
      await room(active.end + frame.length);
      const offset = active.end;
      await commit(offset, frame);
      active = { ...active, end: offset + frame.length };
      segments[segments.length - 1] = active;
      extendAhead();
      return { segment: active.number, offset };
    },
    async close() {
      await finish();
      await fence.close();
    },
    async abandon() {
      await Promise.allSettled([extending, file.close(), fence.close()]);
    },
  };
}

// Limits of what is kept. Relations: a batch always fits into a segment.
import { segmentHeaderBytes } from "@writ/core/segment";
import { assert } from "@writ/core/fault";

export interface LedgerLimits {
  /** Size at which a segment is full and the next one begins. */
  readonly segmentBytesMax: number;
  /** Bytes that one batch (one commit) may take; more waits for the next commit. */
  readonly frameBytesMax: number;
  /** A segment grows by steps of zeros written ahead, so that a commit overwrites and never extends the file. */
  readonly preallocateBytes: number;
  /** Entries between two signed checkpoints. */
  readonly checkpointEntries: number;
  /**
   * Bytes of the newest segments whose every batch is checked when the ledger is opened; older ones that a checkpoint covers are only
   * known to follow each other, and are checked when they are read or verified.
   */
  readonly openCheckBytes: number;
  /** Runs whose last hash is kept in memory; others are looked up in the projections. */
  readonly runTailsMax: number;
}

export const ledgerLimits: LedgerLimits = {
  segmentBytesMax: 16 * 1024 * 1024,
  frameBytesMax: 4 * 1024 * 1024,
  preallocateBytes: 2 * 1024 * 1024,
  checkpointEntries: 4096,
  openCheckBytes: 64 * 1024 * 1024,
  runTailsMax: 20_000,
};

export function assertLimits(limits: LedgerLimits): void {
  assert(
    limits.frameBytesMax + segmentHeaderBytes <= limits.segmentBytesMax,
    "a batch of frameBytesMax fits into a segment",
  );
}

/** Segments that are pruned together: one entry of the ledger and one change of the projections. */
export const pruneSegmentsMax = 8;
/**
 * Events younger than this are kept, because a rebuilt index knows by them what was taken before. Longer than a signed delivery can be
 * repeated (ten minutes: five to either side of the node's clock) and than most senders try again.
 */
export const recentEventMs = 24 * 3_600_000;
/** Blobs whose last use is remembered, and how long one that was put is safe from being collected. */
export const recentBlobsMax = 100_000;
export const recentBlobMs = 3_600_000;
/** Files that hold segments open for reading at once. */
export const readFilesMax = 8;
/** Bytes read at once when scanning. */
export const scanWindowBytes = 1024 * 1024;
/** Entries that may wait for the projections before they are written there. */
export const projectionBatchMax = 1024;
/** Runs whose row is remembered between batches. */
export const runNumbersMax = 20_000;
export const projectionDelayMs = 25;
/** Entries that may wait while SQLite's write-ahead log is emptied. */
export const projectionQueueMax = 16_384;
/** Size at which SQLite's write-ahead log is copied into the database. */
export const projectionLogBytesMax = 16 * 1024 * 1024;
export const blobChunkBytes = 256 * 1024;

/** The longest that a guard counts commands of a device back. */
export const recentCommandMs = 60_000;

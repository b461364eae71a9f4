// The ledger: the one truth. Gives entries their place, makes them durable in groups, and reads them back.
//   L1  `append` is synchronous: sequence number, links and hash are fixed at once; nothing may be acted on before `durable` resolves.
//   L2  Entries appended together (one `appendAll`, or one synchronous stretch) are one batch: durable together or not at all.
//   L3  One sync covers everything that arrived while the last one ran.
//   L4  A torn last batch is dropped when the ledger is opened; damage before the end stops the node with the place named.
//   L5  A failed write or sync is never retried: from then on every call is refused with ledger.stopped.
//   L6  Each opening is a new epoch; a process that opened earlier can make nothing durable any more.
//   L7  Memory does not grow with the number of entries.
import { toHex } from "@writ/core/bytes";
import { decodeEntry, encodeEntry, readEnvelope, recordable } from "@writ/core/entry-codec";
import { isRunEntry, type Entry, type EntryDraft, type RunEntry } from "@writ/core/entry";
import { faultRecord } from "@writ/core/fault";
import { sha256, sha256OfDigest, type NodeId, type RunId, type Sha256 } from "@writ/core/ids";
import { entryBytesMax } from "@writ/core/limits";
import type { Disk, Entropy, Hasher, KeyRing, Ledger, Signer } from "@writ/core/ports";
import { frameSize, segmentName } from "@writ/core/segment";
import { fault } from "./faults.ts";
import { assertLimits, ledgerLimits, type LedgerLimits } from "./limits.ts";
import { checkpointWriter, type SignedHead } from "./ledger/checkpoint-writer.ts";
import { ledgerReader, positionOf, type DurableBatch } from "./ledger/reader.ts";
import { recover, type Segment } from "./ledger/recover.ts";
import { openSegmentWriter } from "./ledger/segment-writer.ts";

export type { DurableBatch } from "./ledger/reader.ts";

/** Who writes: the node's id and public keys, as its first entry states them. */
export interface NodeIdentity {
  readonly node: NodeId;
  readonly ed25519: Uint8Array;
  readonly mlDsa65: Uint8Array;
}

/** What the ledger asks of whoever indexes it, about runs that it no longer holds in memory. */
export interface RunIndex {
  /** Last entry that the index has seen. */
  indexedSeq(): number;
  /** Hash of the last indexed entry of the run, or null when the index knows none. */
  lastHash(run: RunId): Uint8Array | null;
  /** Positions of the batches that hold durable entries of the run, in order. */
  positions(run: RunId): readonly number[];
  /** After which entry the run's last snapshot is, or null. */
  snapshotAfter?(run: RunId): number | null;
}

/** The ledger as its owner sees it. */
export interface OpenLedger extends Ledger {
  readonly epoch: number;
  /** Must be called before the first append of an entry that belongs to a run. */
  useIndex(index: RunIndex): void;
  /** Like `subscribe`, with positions. */
  subscribeBatches(listener: (batch: DurableBatch) => void): () => void;
  batches(from: number): AsyncIterable<DurableBatch>;
  /** Those of the durable entries `seqs` that are in the batch at a position. */
  entriesAt(position: number, seqs: ReadonlySet<number>): Promise<readonly Entry[]>;
  isStopped(): boolean;
  /** What is durable now, as files: entries, and how many bytes of each segment hold them. */
  snapshot(): { readonly entries: number; readonly segments: readonly { name: string; sizeBytes: number }[] };
  /** Segments that nothing is written to any more and that a checkpoint covers, oldest first; `nextSeq` follows their last entry. */
  sealed(): readonly SealedSegment[];
  /**
   * Records that entries of these runs are taken out, and from then on refuses every entry of them, until `forgetPruned`.
   * @throws ledger.run-goes-on when one of them has an entry after `lastSeq`
   */
  recordPruned(draft: EntryDraft<"ledger.pruned">, runs: ReadonlySet<RunId>): Entry;
  /** The index knows the runs no more. */
  forgetPruned(): void;
  /** Puts these pieces in the place of the segment's file, which keeps its length; everything else in it is zeros. */
  replaceSegment(
    number: number,
    pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
  ): Promise<void>;
  /** Stops for good, as after a failed sync. */
  stop(cause: unknown): void;
  /** Signs a tree head over everything that was appended until now, once it is durable. */
  checkpoint(): Promise<SignedHead>;
  /** Makes what was appended durable, signs a checkpoint, closes the files. Rejects when the ledger has stopped. */
  close(): Promise<void>;
}

export interface LedgerOptions {
  readonly disk: Disk;
  readonly hasher: Hasher;
  readonly entropy: Entropy;
  readonly identity: NodeIdentity;
  readonly signer: Signer;
  readonly keyRing: KeyRing;
  /** Time of the first entry of a new ledger. */
  readonly nowMs: number;
  /** An entry that was durable before: a ledger that does not hold it is not touched. Default -1. */
  readonly knownSeq?: number;
  readonly limits?: Partial<LedgerLimits>;
}

export interface SealedSegment extends Segment {
  readonly nextSeq: number;
}

interface Pending {
  readonly entry: Entry;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly previousHash: Uint8Array;
}

/** The last entry of a run. */
interface Tail {
  readonly hash: Uint8Array;
  readonly text: Sha256;
  readonly seq: number;
}

interface Waiter {
  readonly seq: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** @throws ledger.damaged, ledger.truncated, ledger.other-node */
export async function openLedger(options: LedgerOptions): Promise<OpenLedger> {
  const { disk, hasher, entropy, identity, signer, keyRing } = options;
  const { node } = identity;
  const limits = { ...ledgerLimits, ...options.limits };
  assertLimits(limits);

  const keys = [keyRing.find(signer.ed25519KeyId), keyRing.find(signer.mlDsa65KeyId)].filter(
    (key) => key !== undefined,
  );
  const recovered = await recover(
    disk,
    { keys, hasher, verify: (key, bytes, signature) => keyRing.verify(key, bytes, signature) },
    { knownSeq: options.knownSeq ?? -1, openCheckBytes: limits.openCheckBytes },
  );
  if (recovered.genesis !== null) assertSameNode(recovered.genesis, identity);

  const epoch = recovered.epoch + 1;
  const segments = [...recovered.segments];
  const writer = await openSegmentWriter(
    { disk, entropy, limits, epoch, segments },
    { seq: recovered.nextSeq, hash: recovered.lastHash },
  );
  const reader = ledgerReader(disk, hasher, segments);
  const { tree } = recovered;
  const checkpoints = checkpointWriter({ disk, hasher, signer, keyRing, node }, recovered.checkpointSize);

  let nextSeq = recovered.nextSeq;
  let lastHash = recovered.lastHash;
  let lastHashText = sha256OfDigest(lastHash);
  let durable = nextSeq - 1;
  let index: RunIndex | null = null;
  let stopped: Error | null = null;
  let committing = false;
  let scheduled = false;
  /** Entries not yet handed to a commit, and how many of the first of them belong to each batch. */
  let pending: Pending[] = [];
  let groups: { count: number; sizeBytes: number; open: boolean }[] = [];
  let waiters: Waiter[] = [];
  let idle: (() => void) | null = null;
  /** Runs whose entries are being taken out. */
  let pruning: ReadonlySet<RunId> = new Set();
  const tails = new Map<RunId, Tail>();
  const listeners = new Set<(batch: DurableBatch) => void>();

  function append(draft: EntryDraft): Entry {
    const [entry] = appendAll([draft]);
    return entry as Entry;
  }

  function appendAll(drafts: readonly EntryDraft[]): readonly Entry[] {
    if (stopped !== null) throw stopped;
    // Nothing is taken over before every draft is encoded: a draft that is refused leaves no trace.
    const placed: Pending[] = [];
    let hash = lastHash;
    let hashText = lastHashText;
    let sizeBytes = 0;
    const newTails = new Map<RunId, Tail>();
    for (const given of drafts) {
      const draft = recordable(given);
      const { run } = draft;
      const runPrevious = run === null ? null : (newTails.get(run) ?? tailOf(run, draft.kind));
      const seq = nextSeq + placed.length;
      const previousHash = hash;
      const previousText = hashText;
      const bytes = encodeEntry(draft, {
        node,
        epoch,
        seq,
        previousHash,
        runPrevious: runPrevious?.hash ?? null,
      });
      if (bytes.length > entryBytesMax) throw tooLarge(draft.kind, bytes.length, entryBytesMax);
      hash = hasher.sha256(bytes);
      hashText = sha256OfDigest(hash);
      const entry = {
        ...draft,
        v: 1,
        node,
        epoch,
        seq,
        previousHash: previousText,
        runPrevious: runPrevious?.text ?? null,
        hash: hashText,
      } satisfies Entry as Entry;
      if (run !== null) newTails.set(run, { hash, text: hashText, seq });
      placed.push({ entry, bytes, hash, previousHash });
      sizeBytes += bytes.length + 4;
    }
    const frame = frameSize(placed.map(({ bytes }) => bytes));
    if (frame > limits.frameBytesMax) throw tooLarge("a batch", frame, limits.frameBytesMax);
    if (placed.length === 0) return [];

    for (const [run, tail] of newTails) {
      tails.delete(run);
      tails.set(run, tail);
    }
    lastHash = hash;
    lastHashText = hashText;
    nextSeq += placed.length;
    queue(placed, sizeBytes);
    return placed.map(({ entry }) => entry);
  }

  function queue(placed: readonly Pending[], sizeBytes: number): void {
    pending.push(...placed);
    const last = groups.at(-1);
    // A synchronous stretch larger than one batch may be is several; what one `appendAll` brings never is.
    if (last?.open === true && last.sizeBytes + sizeBytes + 64 <= limits.frameBytesMax) {
      last.count += placed.length;
      last.sizeBytes += sizeBytes;
    } else {
      if (last !== undefined) last.open = false;
      groups.push({ count: placed.length, sizeBytes, open: true });
      queueMicrotask(() => {
        for (const group of groups) group.open = false;
      });
    }
    schedule();
  }

  function tailOf(run: RunId, kind: string): Pick<Tail, "hash" | "text"> | null {
    const tail = tails.get(run);
    if (tail !== undefined) return tail;
    if (kind === "run.started") return null;
    if (index === null) throw new Error("Invariant broken: L7 an index is in use before a run goes on");
    const hash = pruning.has(run) ? null : index.lastHash(run);
    if (hash === null)
      throw fault("ledger.run-unknown", `Cannot go on with the run \`${run}\`: the ledger does not hold it`, {
        run,
      });
    return { hash, text: sha256OfDigest(hash) };
  }

  function forgetTails(): void {
    if (index === null) return;
    const indexed = index.indexedSeq();
    for (const [run, { seq }] of tails) {
      if (tails.size <= limits.runTailsMax || seq > indexed) return;
      tails.delete(run);
    }
  }

  function schedule(): void {
    if (scheduled || committing) return;
    scheduled = true;
    // After the current turn of the event loop, so that everybody who was woken by the last commit is in this one.
    setImmediate(() => {
      scheduled = false;
      void commit();
    });
  }

  async function commit(): Promise<void> {
    if (stopped !== null || pending.length === 0) return finishIdle();
    committing = true;
    const batch = takeBatch();
    const first = batch[0] as Pending;
    try {
      const { segment, offset } = await writer.write({
        firstSeq: first.entry.seq,
        previousHash: first.previousHash,
        entries: batch.map(({ bytes }) => bytes),
      });
      if (stopped !== null) return;
      const entries = batch.map(({ entry }) => entry);
      durable = first.entry.seq + batch.length - 1;
      for (const { hash } of batch) tree.add(hash);
      announce({ entries, position: positionOf(segment, offset) });
      if (tree.size() - checkpoints.size() >= limits.checkpointEntries) checkpoints.begin(tree, stop);
      forgetTails();
    } catch (error) {
      stop(error);
    } finally {
      committing = false;
      if (pending.length > 0 && stopped === null) schedule();
      else finishIdle();
    }
  }

  /** Whole groups, as many as fit into one batch, at least one. */
  function takeBatch(): readonly Pending[] {
    let count = 0;
    let sizeBytes = 64;
    let taken = 0;
    for (const group of groups) {
      if (taken > 0 && sizeBytes + group.sizeBytes > limits.frameBytesMax) break;
      count += group.count;
      sizeBytes += group.sizeBytes;
      taken++;
    }
    groups = groups.slice(taken);
    const batch = pending.slice(0, count);
    pending = pending.slice(count);
    return batch;
  }

  function announce(batch: DurableBatch): void {
    for (const listener of listeners) listener(batch);
    const ready = waiters.filter(({ seq }) => seq <= durable);
    waiters = waiters.filter(({ seq }) => seq > durable);
    for (const { resolve } of ready) resolve();
  }

  function stop(cause: unknown): void {
    if (stopped !== null) return;
    const record = faultRecord(cause);
    const reason = record?.code ?? "unknown";
    const why = cause instanceof Error ? cause.message : String(cause);
    const facts = { reason, durableSeq: durable, ...record?.facts };
    stopped = fault("ledger.stopped", `Cannot record any more: ${why}`, facts, cause);
    pending = [];
    groups = [];
    const left = waiters;
    waiters = [];
    for (const { reject } of left) reject(stopped);
    finishIdle();
  }

  function finishIdle(): void {
    if (committing || scheduled) return;
    idle?.();
    idle = null;
  }

  async function settled(): Promise<void> {
    if (pending.length > 0 || committing || scheduled) {
      await new Promise<void>((resolve) => {
        idle = resolve;
      });
    }
  }

  async function* scan(from: number, to = Number.MAX_SAFE_INTEGER): AsyncGenerator<Entry> {
    if (from >= to || from > durable) return;
    for await (const { entries } of reader.batches(from)) {
      for (const entry of entries) {
        if (entry.seq >= to) return;
        if (entry.seq >= from) yield entry;
      }
    }
  }

  function subscribeBatches(listener: (batch: DurableBatch) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  const ledger: OpenLedger = {
    node,
    epoch,
    append,
    appendAll,
    durable(seq) {
      if (seq <= durable) return Promise.resolve();
      if (stopped !== null) return Promise.reject(stopped);
      return new Promise((resolve, reject) => {
        waiters.push({ seq, resolve, reject });
      });
    },
    head: () => ({ seq: nextSeq - 1, hash: lastHashText }),
    durableSeq: () => durable,
    async read(seq) {
      if (seq < 0 || seq > durable) {
        throw fault("ledger.no-entry", `Cannot read entry ${seq}: the ledger holds 0 to ${durable}`, {
          seq,
          durableSeq: durable,
        });
      }
      return reader.read(seq);
    },
    scan,
    async readRun(run, { fromSnapshot = false } = {}) {
      const entries: RunEntry[] = [];
      const after = fromSnapshot ? (index?.snapshotAfter?.(run) ?? null) : null;
      const from = after === null ? 0 : await reader.positionOf(after);
      for (const position of index?.positions(run) ?? []) {
        if (position < from) continue;
        const found = await reader.entriesAt(position, (_, bytes) => readEnvelope(bytes).run === run);
        for (const entry of found) if (isRunEntry(entry)) entries.push(entry);
      }
      return entries;
    },
    subscribe: (listener) => subscribeBatches(({ entries }) => listener(entries)),
    useIndex(given) {
      index = given;
    },
    subscribeBatches,
    batches: (from) => reader.batches(from),
    entriesAt: (position, seqs) => reader.entriesAt(position, (seq) => seqs.has(seq)),
    isStopped: () => stopped !== null,
    snapshot: () => ({
      entries: durable + 1,
      segments: segments.map(({ number, end }) => ({ name: segmentName(number), sizeBytes: end })),
    }),
    sealed: () =>
      segments
        .slice(0, -1)
        .map((segment, i) => ({ ...segment, nextSeq: segments[i + 1]?.firstSeq ?? segment.firstSeq }))
        .filter(({ nextSeq: next }) => next <= checkpoints.size()),
    recordPruned(draft, runs) {
      const goesOn = [...runs].find((run) => (tails.get(run)?.seq ?? -1) > draft.facts.lastSeq);
      if (goesOn !== undefined)
        throw fault("ledger.run-goes-on", `Cannot prune the run \`${goesOn}\`: it goes on`, { run: goesOn });
      const entry = append(draft);
      pruning = runs;
      for (const run of runs) tails.delete(run);
      return entry;
    },
    forgetPruned() {
      pruning = new Set();
    },
    async replaceSegment(number, pieces) {
      const segment = segments.find((candidate) => candidate.number === number);
      if (segment === undefined) throw new Error(`Invariant broken: there is a segment ${number}`);
      const name = segmentName(number);
      const file = await disk.open(`${name}.new`, true);
      try {
        await file.truncate(0);
        await file.truncate(segment.end);
        for (const { offset, bytes } of pieces) await file.write(offset, bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await disk.rename(`${name}.new`, name);
      await reader.forget(number);
    },
    stop,
    async checkpoint() {
      await ledger.durable(nextSeq - 1);
      if (stopped !== null) throw stopped;
      return checkpoints.write(tree);
    },
    async close() {
      await settled();
      const before = stopped;
      stop(fault("ledger.stopped", "the ledger is closed"));
      if (before === null) {
        await checkpoints.settled();
        if (tree.size() > checkpoints.size()) await checkpoints.write(tree);
        await writer.close();
      } else await writer.abandon();
      await reader.close();
      if (before !== null) throw before;
    },
  };

  if (recovered.genesis === null) {
    const { seq } = append({
      kind: "ledger.created",
      run: null,
      cause: null,
      actor: { kind: "node" },
      atMs: options.nowMs,
      facts: { format: 1, node, ed25519: toHex(identity.ed25519), mlDsa65: toHex(identity.mlDsa65) },
    });
    await ledger.durable(seq);
  }
  return ledger;
}

function assertSameNode(bytes: Uint8Array, identity: NodeIdentity): void {
  const genesis = decodeEntry(bytes, sha256("0".repeat(64)));
  const isSame =
    genesis.kind === "ledger.created" &&
    genesis.facts.node === identity.node &&
    genesis.facts.ed25519 === toHex(identity.ed25519) &&
    genesis.facts.mlDsa65 === toHex(identity.mlDsa65);
  if (isSame) return;
  throw fault("ledger.other-node", `Cannot open the ledger of \`${genesis.node}\` as \`${identity.node}\``, {
    ledger: genesis.node,
    node: identity.node,
  });
}

function tooLarge(what: string, sizeBytes: number, sizeBytesMax: number): Error {
  return fault(
    "ledger.too-large",
    `Cannot append \`${what}\` of ${sizeBytes} bytes: at most ${sizeBytesMax}`,
    {
      sizeBytes,
      sizeBytesMax,
    },
  );
}

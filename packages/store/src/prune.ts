// Pruning: entries that nobody needs any more are taken out of old segments, and what stays proves that the ledger is the same.
//   G1  Kept are: everything of runs that have not ended or have an entry outside of what is pruned; keys, people, policies, workspaces,
//       programs, archives, prunings; events of the last day, and the last of each source session. Runs go whole or not at all.
//   G2  `ledger.pruned` is durable and below a checkpoint before the first entry is gone, and an archive is durable before that. Each segment is then replaced
//       by one rename: a crash leaves every segment as it was or as it was recorded.
//   G3  A blob is removed when no entry that is kept refers to it, nor a list in a blob that one refers to, and nobody put it again lately.
import { toHex } from "@writ/core/bytes";
import type { Actor, EntryDraft } from "@writ/core/entry";
import { decodeCbor } from "@writ/core/cbor";
import { readEnvelope } from "@writ/core/entry-codec";
import { runId, sha256, type RunId, type Sha256 } from "@writ/core/ids";
import type { Disk, Hasher, World } from "@writ/core/ports";
import { isMap } from "@writ/core/value";
import {
  decodeFrame,
  decodeSegmentHeader,
  frameClaim,
  segmentHeaderBytes,
  segmentName,
} from "@writ/core/segment";
import { decodePruned } from "@writ/core/segment-pruned";
import { blobName, type CollectedBlobs } from "./blobs.ts";
import { fault } from "./faults.ts";
import type { OpenLedger, SealedSegment } from "./ledger.ts";
import { replaceFile } from "./ledger/checkpoint-writer.ts";
import { pruneSegment, type PrunedSegment } from "./ledger/prune-segment.ts";
import { damaged, entriesOf, readWhole } from "./ledger/recover.ts";
import { pruneSegmentsMax, recentEventMs } from "./limits.ts";
import type { OpenProjections } from "./projections.ts";
import { passingKinds } from "./projections/pruned.ts";

export interface PruneRequest {
  /** Only segments whose every entry is before this one. */
  readonly beforeSeq: number;
  /** Where whole segments are copied first; null: nowhere, what is pruned is gone. */
  readonly archive: { readonly folder: string; readonly disk: Disk } | null;
  readonly by: Actor;
  /** Only says what would go. */
  readonly dryRun: boolean;
}

export interface PruneReport {
  readonly segments: number;
  /** Entries taken out, and those that stay in these segments. */
  readonly entries: number;
  readonly kept: number;
  readonly runs: number;
  readonly freedBytes: number;
  /** Blobs removed; of a dry run, those that only pruned entries may refer to. */
  readonly blobs: number;
  /** Places of the first and last entry of the segments; null when there is none to prune. */
  readonly range: { readonly firstSeq: number; readonly lastSeq: number } | null;
}

export interface PruneParts {
  readonly ledger: OpenLedger;
  readonly projections: Pick<OpenProjections, "pruning" | "run">;
  readonly disk: Disk;
  readonly hasher: Hasher;
  readonly world: World;
  readonly blobs: CollectedBlobs;
}

interface Planned {
  readonly segment: SealedSegment;
  readonly bytes: Uint8Array;
  readonly pruned: PrunedSegment;
}

interface Plan {
  readonly parts: readonly Planned[];
  readonly runs: ReadonlySet<RunId>;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Copies whole sealed segments, without pruning them. @throws ledger.stopped, ledger.archive-failed */
export async function archiveSegments(
  parts: PruneParts,
  request: Omit<PruneRequest, "dryRun" | "archive"> & {
    readonly archive: NonNullable<PruneRequest["archive"]>;
  },
): Promise<{ readonly segments: number; readonly entries: number; readonly sizeBytes: number }> {
  const { ledger, disk } = parts;
  await ledger.checkpoint();
  const wanted = ledger.sealed().filter(({ nextSeq }) => nextSeq <= request.beforeSeq);
  for (let from = 0; from < wanted.length; from += pruneSegmentsMax) {
    const some = wanted.slice(from, from + pruneSegmentsMax);
    const read = some.map(async (segment) => ({
      segment,
      bytes: await readWhole(disk, segmentName(segment.number)),
    }));
    await archive(parts, request, await Promise.all(read));
  }
  return {
    segments: wanted.length,
    entries: wanted.reduce((sum, { firstSeq, nextSeq }) => sum + nextSeq - firstSeq, 0),
    sizeBytes: wanted.reduce((sum, { end }) => sum + end, 0),
  };
}

/** The first entry of the sealed segments, or the one after them, before which everything was recorded before the time. */
export async function seqBefore(ledger: OpenLedger, beforeMs: number): Promise<number> {
  await ledger.checkpoint();
  const sealed = ledger.sealed();
  let low = 0;
  let high = sealed.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const follows = sealed[middle]?.nextSeq ?? 0;
    let atMs = Number.POSITIVE_INFINITY;
    for await (const entry of ledger.scan(follows)) {
      ({ atMs } = entry);
      break;
    }
    if (atMs <= beforeMs) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : (sealed[low - 1]?.nextSeq ?? 0);
}

/** @throws ledger.stopped, ledger.damaged, ledger.run-goes-on, ledger.archive-failed */
export async function prune(parts: PruneParts, request: PruneRequest): Promise<PruneReport> {
  const { ledger, projections, disk, hasher } = parts;
  await ledger.checkpoint();
  const wanted = ledger.sealed().filter(({ nextSeq }) => nextSeq <= request.beforeSeq);
  const total = { segments: 0, entries: 0, kept: 0, runs: 0, freedBytes: 0 };
  const blobs = new Set<string>();
  const bounds: number[] = [];
  for (let from = 0; from < wanted.length; from += pruneSegmentsMax) {
    const plan = await planOf(wanted.slice(from, from + pruneSegmentsMax));
    if (plan === undefined) continue;
    total.segments += plan.parts.length;
    total.runs += plan.runs.size;
    for (const { segment, pruned } of plan.parts) {
      total.entries += pruned.entries;
      total.kept += segment.nextSeq - segment.firstSeq - pruned.entries;
      total.freedBytes += pruned.freedBytes;
    }
    bounds.push(plan.firstSeq, plan.lastSeq);
    if (!request.dryRun) await carryOut(parts, request, plan);
  }
  const gone = request.dryRun ? blobs.size : await collect(parts, blobs, request.archive?.disk);
  const [firstSeq] = bounds;
  const lastSeq = bounds.at(-1);
  const range = firstSeq === undefined || lastSeq === undefined ? null : { firstSeq, lastSeq };
  return { ...total, blobs: gone, range };

  async function planOf(segments: readonly SealedSegment[]): Promise<Plan | undefined> {
    const firstSeq = segments[0]?.firstSeq ?? 0;
    const lastSeq = (segments.at(-1)?.nextSeq ?? 1) - 1;
    const runs = projections.pruning.runsBetween(firstSeq, lastSeq);
    const keeps = (seq: number, bytes: Uint8Array): boolean => {
      const envelope = readEnvelope(bytes);
      const isKept = keepsEntry(envelope, bytes, { seq, runs });
      if (!isKept) for (const blob of envelope.blobs) blobs.add(blob);
      return isKept;
    };
    const planned: Planned[] = [];
    for (const segment of segments) {
      const name = segmentName(segment.number);
      const bytes = await readWhole(disk, name);
      const pruned = pruneSegment(
        bytes,
        { name: name.slice("ledger/".length), end: segment.end, nextSeq: segment.nextSeq },
        { hasher, keeps },
      );
      if (pruned !== undefined && pruned.entries > 0) planned.push({ segment, bytes, pruned });
    }
    return planned.length === 0 ? undefined : { parts: planned, runs, firstSeq, lastSeq };
  }

  function keepsEntry(
    envelope: { readonly run: string | null; readonly kind: string },
    bytes: Uint8Array,
    { seq, runs }: { readonly seq: number; readonly runs: ReadonlySet<RunId> },
  ): boolean {
    const { run, kind } = envelope;
    if (run === null) {
      if (!passingKinds.has(kind)) return true;
      return kind === "event.received" && (projections.pruning.isCursor(seq) || isRecent(bytes));
    }
    // One that is not known at all was pruned before, by a process that died before it came here.
    const id = runId(run);
    return !runs.has(id) && projections.run(id) !== undefined;
  }

  function isRecent(bytes: Uint8Array): boolean {
    const entry = decodeCbor(bytes);
    const atMs = isMap(entry) ? entry["atMs"] : null;
    return typeof atMs !== "number" || atMs > parts.world.nowMs() - recentEventMs;
  }
}

async function carryOut(parts: PruneParts, request: PruneRequest, plan: Plan): Promise<void> {
  const { ledger, projections } = parts;
  if (request.archive !== null) await archive(parts, { ...request, archive: request.archive }, plan.parts);
  const draft = draftOf(parts, request, plan);
  const now = projections.pruning.runsBetween(plan.firstSeq, plan.lastSeq);
  const goesOn = [...plan.runs].find((run) => !now.has(run));
  if (goesOn !== undefined)
    throw fault("ledger.run-goes-on", `Cannot prune the run \`${goesOn}\`: it goes on`, { run: goesOn });
  const { seq } = ledger.recordPruned(draft, plan.runs);
  try {
    await ledger.durable(seq);
    await ledger.checkpoint();
    // The index has caught up when it answers.
    projections.pruning.runsBetween(plan.firstSeq, plan.lastSeq);
  } finally {
    ledger.forgetPruned();
  }
  for (const { segment, pruned } of plan.parts) await ledger.replaceSegment(segment.number, pruned.pieces);
}

function draftOf(
  { world }: PruneParts,
  { by }: PruneRequest,
  { parts, firstSeq, lastSeq }: Plan,
): EntryDraft<"ledger.pruned"> {
  const text = (hash: Uint8Array): Sha256 => sha256(toHex(hash));
  const [first] = parts;
  const last = parts.at(-1);
  const header = first === undefined ? undefined : decodeSegmentHeader(first.bytes);
  if (header === undefined || last === undefined) throw new Error("Invariant broken: a plan has segments");
  return {
    kind: "ledger.pruned",
    run: null,
    cause: null,
    actor: by,
    atMs: world.nowMs(),
    facts: {
      firstSeq,
      lastSeq,
      previousHash: text(header.previousHash),
      lastHash: text(last.pruned.lastHash),
      entries: parts.reduce((sum, { pruned }) => sum + pruned.entries, 0),
      segments: parts.map(({ segment, pruned }) => ({
        number: segment.number,
        firstSeq: segment.firstSeq,
        roots: pruned.roots.map(text),
        digest: text(pruned.digest),
      })),
    },
  };
}

/** Copies whole segments and the newest checkpoint, then records it. An archive that holds them already is left as it is. */
async function archive(
  parts: PruneParts,
  request: { readonly by: Actor; readonly archive: NonNullable<PruneRequest["archive"]> },
  whole: readonly Pick<Planned, "segment" | "bytes">[],
): Promise<void> {
  const { ledger, hasher, world, disk } = parts;
  const { folder, disk: target } = request.archive;
  const known = new Set(await target.list("ledger"));
  const segments: { number: number; sha256: Sha256; sizeBytes: number }[] = [];
  for (const { segment, bytes } of whole) {
    const name = segmentName(segment.number);
    // What was pruned before is in an older archive, or in none.
    if (isPruned(bytes)) continue;
    const content = bytes.subarray(0, segment.end);
    const hash = sha256(toHex(hasher.sha256(content)));
    const before = known.has(name.slice("ledger/".length)) ? await readWhole(target, name) : undefined;
    if (before !== undefined && toHex(hasher.sha256(before)) !== hash)
      throw fault("ledger.archive-failed", `Cannot archive \`${name}\`: \`${folder}\` holds another one`, {
        folder,
        name,
      });
    if (before === undefined) await replaceFile(target, name, content);
    segments.push({ number: segment.number, sha256: hash, sizeBytes: content.length });
  }
  if (segments.length === 0) return;
  const newest = (await disk.list("checkpoints")).filter((name) => name.endsWith(".txt")).at(-1);
  if (newest !== undefined)
    await replaceFile(target, `checkpoints/${newest}`, await readWhole(disk, `checkpoints/${newest}`));
  const { seq } = ledger.append({
    kind: "ledger.archived",
    run: null,
    cause: null,
    actor: request.by,
    atMs: world.nowMs(),
    facts: { folder, segments },
  });
  await ledger.durable(seq);
}

/** Removes what no entry refers to any more. Reads the whole ledger when there is anything to remove. */
async function collect(
  { ledger, disk, blobs }: PruneParts,
  candidates: Set<string>,
  target: Disk | undefined,
): Promise<number> {
  if (candidates.size === 0) return 0;
  const named = new Set<string>();
  for (const { name, sizeBytes } of ledger.snapshot().segments) {
    const bytes = (await readWhole(disk, name)).subarray(0, sizeBytes);
    for (const entry of entriesIn(bytes, name)) {
      for (const blob of readEnvelope(entry).blobs) {
        candidates.delete(blob);
        named.add(blob);
      }
    }
  }
  await spareListed(candidates, named, blobs);
  let gone = 0;
  for (const found of candidates) {
    const hash = sha256(found);
    if (target !== undefined && (await blobs.has(hash)))
      await replaceFile(target, blobName(hash), await blobs.get(hash));
    if (await blobs.collect(hash)) gone++;
  }
  return gone;
}

/** A kept blob may be a list of others, such as the files of a deleted folder: JSON that writes their hashes out. */
async function spareListed(
  candidates: Set<string>,
  named: Iterable<string>,
  blobs: CollectedBlobs,
): Promise<void> {
  for (const name of named) {
    if (candidates.size === 0) return;
    const hash = sha256(name);
    if (!(await blobs.has(hash))) continue;
    let before: string | undefined;
    for await (const chunk of blobs.stream(hash)) {
      const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
      if (before === undefined && !/^[[{]/.test(text)) break;
      const read: string = (before ?? "") + text;
      for (const [listed] of read.matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g))
        candidates.delete(listed);
      // One that the end of the chunk cuts off, with what stands before it.
      before = read.slice(-65);
    }
  }
}

function isPruned(bytes: Uint8Array): boolean {
  const header = decodeSegmentHeader(bytes);
  for (let at = segmentHeaderBytes; header !== undefined && at < bytes.length;) {
    if (decodePruned(bytes, at, header.salt) !== undefined) return true;
    const claim = frameClaim(bytes, at);
    if (claim === undefined) return false;
    at += claim.sizeBytes;
  }
  return false;
}

function* entriesIn(bytes: Uint8Array, name: string): Generator<Uint8Array> {
  const header = decodeSegmentHeader(bytes);
  for (let at = segmentHeaderBytes; header !== undefined && at < bytes.length;) {
    const frame = decodeFrame(bytes, at, header.salt);
    const pruned = frame === undefined ? decodePruned(bytes, at, header.salt) : undefined;
    if (frame === undefined && pruned === undefined)
      throw damaged("a batch is not what was written", { segment: name, offset: at, seq: header.firstSeq });
    if (frame !== undefined) yield* entriesOf(bytes, frame);
    for (const part of pruned?.parts ?? []) if (part.kind === "kept") yield part.bytes;
    at += frame?.sizeBytes ?? pruned?.sizeBytes ?? bytes.length;
  }
}

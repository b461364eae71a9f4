// Recovery: what is really on the disk, read once when the ledger is opened.
//   A batch that does not check, with no valid batch after it, is a write that a crash cut off: dropped. With a valid batch after it, it is
//   damage: the node does not start. Every batch's checksum is checked; hashes are recomputed from the newest checkpoint on.
import { decodeCbor } from "@writ/core/cbor";
import { equalBytes, fromUtf8 } from "@writ/core/bytes";
import {
  parseCheckpoint,
  signatureProblem,
  type Checkpoint,
  type SignatureCheck,
} from "@writ/core/checkpoint";
import { merkleTree, type MerkleTree } from "@writ/core/merkle";
import { subtreesOf } from "@writ/core/merkle-subtrees";
import { decodePruned, type PrunedPart } from "@writ/core/segment-pruned";
import type { Disk, Hasher } from "@writ/core/ports";
import {
  decodeFrame,
  decodeSegmentHeader,
  findFrame,
  firstWritten,
  frameClaim,
  frameHeaderBytes,
  segmentHeaderBytes,
  segmentName,
  type Frame,
  type SegmentHeader,
} from "@writ/core/segment";
import { isMap } from "@writ/core/value";
import { fault } from "../faults.ts";

export interface Segment extends Pick<SegmentHeader, "number" | "epoch" | "firstSeq" | "salt"> {
  /** Where the next batch goes; everything before is valid and durable. */
  readonly end: number;
  /** Where its last batch begins; where the first will be when there is none. Of a segment that was read to its end. */
  readonly lastBatchAt?: number;
}

export interface Recovered {
  readonly segments: readonly Segment[];
  readonly nextSeq: number;
  /** Hash of the last entry; 32 zero bytes when there is none. */
  readonly lastHash: Uint8Array;
  /** Epoch of the last opening, 0 when there was none. */
  readonly epoch: number;
  readonly tree: MerkleTree;
  readonly checkpointSize: number;
  /** Bytes of the first entry, or null when the ledger is empty. */
  readonly genesis: Uint8Array | null;
}

export interface RecoverOptions {
  readonly knownSeq?: number;
  readonly openCheckBytes?: number;
}

/** @throws ledger.damaged, ledger.truncated */
export async function recover(
  disk: Disk,
  check: SignatureCheck,
  options: RecoverOptions = {},
): Promise<Recovered> {
  const checkpoint = await newestCheckpoint(disk, check);
  const cached = checkpoint === undefined ? undefined : await cachedFrontier(disk, check);
  const recovered = await recoverFrom(disk, check, options, { checkpoint, cached });
  if (recovered !== undefined) return recovered;
  // The cache ends within what was pruned since: nobody can go on from there, so the tree is made from the beginning.
  const again = await recoverFrom(disk, check, options, { checkpoint, cached: undefined });
  if (again === undefined) throw new Error("Invariant broken: L4 an empty tree ends within no gap");
  return again;
}

/** Undefined when the cached tree ends inside a pruned gap. */
async function recoverFrom(
  disk: Disk,
  check: SignatureCheck,
  options: RecoverOptions,
  known: { readonly checkpoint: Checkpoint | undefined; readonly cached: MerkleTree | undefined },
): Promise<Recovered | undefined> {
  const { knownSeq = -1, openCheckBytes = Number.POSITIVE_INFINITY } = options;
  const { hasher } = check;
  const { checkpoint, cached } = known;
  const tree = cached ?? merkleTree(hasher);
  const hashFrom = Math.max(0, tree.size() - 1);
  const segments: Segment[] = [];
  const names = await segmentNames(disk);
  const ends = await endsOf(disk, names);
  const passed = passedSegments(ends, { hashFrom, openCheckBytes });
  let nextSeq = 0;
  let epoch = 0;
  let lastHash: Uint8Array = new Uint8Array(32);
  let genesis: Uint8Array | null = null;

  for (const [i, name] of names.entries()) {
    const isLast = i === names.length - 1;
    const { sizeBytes, next: nextHeader } = ends[i] as SegmentEnd;
    const bytes =
      i < passed ? await firstBatch(disk, name, i === 0) : await readWhole(disk, `ledger/${name}`);
    const header = decodeSegmentHeader(bytes);
    if (header === undefined)
      throw damaged("its header is wrong", { segment: name, offset: 0, seq: nextSeq });
    const follows =
      segmentName(header.number) === `ledger/${name}` &&
      header.firstSeq === nextSeq &&
      header.epoch >= epoch &&
      equalBytes(header.previousHash, lastHash);
    if (!follows) {
      const facts = { segment: name, offset: 0, seq: nextSeq };
      throw damaged("it does not follow the segment before it", facts);
    }
    if (i < passed && nextHeader !== undefined) {
      if (i === 0) genesis = genesisOf(bytes, header);
      if (i === 0 && genesis === null)
        throw damaged("a batch is not what was written", {
          segment: name,
          offset: segmentHeaderBytes,
          seq: 0,
        });
      nextSeq = nextHeader.firstSeq;
      lastHash = nextHeader.previousHash;
      epoch = header.epoch;
      segments.push({ ...placeOf(header), end: sizeBytes });
      continue;
    }
    let at = segmentHeaderBytes;
    let lastBatchAt = at;
    let last: Uint8Array | null = null;
    for (;;) {
      if (nextHeader?.firstSeq === nextSeq) break;
      const frame = decodeFrame(bytes, at, header.salt);
      const pruned = frame === undefined ? decodePruned(bytes, at, header.salt) : undefined;
      if (pruned?.firstSeq === nextSeq) {
        for (const part of pruned.parts) {
          if (endsWithin(part, tree)) return undefined;
          addPart(part, tree, hasher);
        }
        const end = pruned.parts.at(-1);
        if (end !== undefined) lastHash = end.kind === "gap" ? end.lastHash : hasher.sha256(end.bytes);
        last = null;
        nextSeq += pruned.count;
        lastBatchAt = at;
        at += pruned.sizeBytes;
        continue;
      }
      if (frame === undefined || frame.firstSeq !== nextSeq) {
        if (isLast && frame === undefined && findFrame(bytes, at, header.salt) === undefined) break;
        throw damaged("a batch is not what was written", { segment: name, offset: at, seq: nextSeq });
      }
      const lastSeq = nextSeq + frame.bounds.length - 2;
      // Before the checkpoint only the first entry and the last of each segment matter.
      const isPassed = lastSeq < hashFrom && nextSeq > 0;
      if (isPassed) last = bytes.subarray(frame.bounds.at(-2), frame.bounds.at(-1));
      for (const [k, entry] of isPassed ? [] : entriesOf(bytes, frame).entries()) {
        const seq = frame.firstSeq + k;
        if (seq === 0) genesis = entry.slice();
        if (seq >= hashFrom) {
          const linked = seq === hashFrom && seq > 0 ? true : endsWith(entry, lastHash);
          if (!linked) throw damaged("an entry does not link", { segment: name, offset: at, seq });
          lastHash = hasher.sha256(entry);
          if (seq >= tree.size()) tree.add(lastHash);
          if (seq + 1 === checkpoint?.size && !equalBytes(tree.root(), checkpoint.root)) {
            throw damaged("the entries are not those of the checkpoint", { segment: name, offset: at, seq });
          }
        }
        last = entry;
      }
      nextSeq = lastSeq + 1;
      lastBatchAt = at;
      at += frame.sizeBytes;
    }
    if (last !== null && nextSeq - 1 < hashFrom) lastHash = hasher.sha256(last);
    epoch = header.epoch;
    segments.push({ ...placeOf(header), end: at, lastBatchAt });
  }

  const checkpointSize = checkpoint?.size ?? 0;
  const durable = Math.max(checkpointSize, knownSeq + 1);
  if (nextSeq < durable) throw truncated(nextSeq, durable);
  return { segments, nextSeq, lastHash, epoch, tree, checkpointSize, genesis };
}

function endsWithin(part: PrunedPart, tree: MerkleTree): boolean {
  return part.kind === "gap" && part.seq < tree.size() && tree.size() < part.seq + part.count;
}

/** What is in the tree already is passed over: a checkpoint covers every pruned batch. */
function addPart(part: PrunedPart, tree: MerkleTree, hasher: Hasher): void {
  if (part.seq < tree.size()) return;
  if (part.kind === "kept") tree.add(hasher.sha256(part.bytes));
  else {
    const places = subtreesOf(part.seq, part.seq + part.count);
    for (const [i, root] of part.roots.entries()) tree.addSubtree(root, places[i]?.size ?? 1);
  }
}

export function truncated(entries: number, known: number): Error {
  return fault(
    "ledger.truncated",
    `Cannot open the ledger: it holds ${entries} entries, but ${known} were durable`,
    { entries, known },
  );
}

export function damaged(
  why: string,
  facts: { readonly segment: string; readonly offset: number; readonly seq: number },
): Error {
  return fault(
    "ledger.damaged",
    `Cannot read the ledger at entry ${facts.seq} (segment \`${facts.segment}\`, byte ${facts.offset}): ${why}`,
    facts,
  );
}

export function entriesOf(bytes: Uint8Array, frame: Frame): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let i = 0; i + 1 < frame.bounds.length; i++)
    entries.push(bytes.subarray(frame.bounds[i], frame.bounds[i + 1]));
  return entries;
}

export async function readWhole(disk: Disk, name: string): Promise<Uint8Array> {
  const file = await disk.open(name, false);
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

/** The segment files, without a last one whose header never became durable: then nothing was written after it either. */
async function segmentNames(disk: Disk): Promise<readonly string[]> {
  const names = (await disk.list("ledger")).filter((name) => /^\d{10}\.segment$/.test(name));
  const last = names.at(-1);
  if (last === undefined) return names;
  const bytes = await readWhole(disk, `ledger/${last}`);
  if (decodeSegmentHeader(bytes) !== undefined || firstWritten(bytes, segmentHeaderBytes) >= 0) return names;
  await disk.remove(`ledger/${last}`);
  return names.slice(0, -1);
}

interface SegmentEnd {
  readonly sizeBytes: number;
  /** Header of the segment after it; undefined for the last, and when it is damaged. */
  readonly next: SegmentHeader | undefined;
}

async function endsOf(disk: Disk, names: readonly string[]): Promise<readonly SegmentEnd[]> {
  const found: { readonly sizeBytes: number; readonly header: SegmentHeader | undefined }[] = [];
  for (const name of names) {
    const file = await disk.open(`ledger/${name}`, false);
    try {
      const header = decodeSegmentHeader(await file.read(0, segmentHeaderBytes));
      found.push({ header, sizeBytes: await file.size() });
    } finally {
      await file.close();
    }
  }
  return found.map(({ sizeBytes }, i) => ({ sizeBytes, next: found[i + 1]?.header }));
}

/** How many of the first segments are not read: a checkpoint covers them, and what follows is long enough. */
function passedSegments(
  ends: readonly SegmentEnd[],
  limits: { readonly hashFrom: number; readonly openCheckBytes: number },
): number {
  let sizeBytes = 0;
  let i = ends.length;
  while (i > 0 && sizeBytes < limits.openCheckBytes) sizeBytes += ends[--i]?.sizeBytes ?? 0;
  while (i > 0 && (ends[i - 1]?.next?.firstSeq ?? Number.POSITIVE_INFINITY) > limits.hashFrom) i--;
  return i;
}

/** The header, and of the first segment its first batch too. */
async function firstBatch(disk: Disk, name: string, isFirst: boolean): Promise<Uint8Array> {
  const file = await disk.open(`ledger/${name}`, false);
  try {
    const head = await file.read(0, segmentHeaderBytes + frameHeaderBytes);
    const sizeBytes = isFirst ? (frameClaim(head, segmentHeaderBytes)?.sizeBytes ?? 0) : 0;
    return sizeBytes === 0 ? head : await file.read(0, segmentHeaderBytes + sizeBytes);
  } finally {
    await file.close();
  }
}

function genesisOf(bytes: Uint8Array, header: SegmentHeader): Uint8Array | null {
  const frame = decodeFrame(bytes, segmentHeaderBytes, header.salt);
  return frame?.firstSeq === 0 ? bytes.slice(frame.bounds[0], frame.bounds[1]) : null;
}

function placeOf({ number, epoch, firstSeq, salt }: SegmentHeader): Omit<Segment, "end"> {
  return { number, epoch, firstSeq, salt };
}

async function newestCheckpoint(disk: Disk, check: SignatureCheck): Promise<Checkpoint | undefined> {
  const name = (await disk.list("checkpoints")).filter((entry) => /^\d{16}\.txt$/.test(entry)).at(-1);
  return name === undefined ? undefined : readCheckpoint(disk, name, check);
}

/** @throws ledger.damaged */
async function readCheckpoint(disk: Disk, name: string, check: SignatureCheck): Promise<Checkpoint> {
  const place = { segment: `checkpoints/${name}`, offset: 0, seq: Number(name.slice(0, 16)) };
  const bytes = await readWhole(disk, `checkpoints/${name}`);
  let checkpoint: Checkpoint | undefined;
  try {
    checkpoint = parseCheckpoint(fromUtf8(bytes));
  } catch (error) {
    throw fault("ledger.damaged", `Cannot read the checkpoint \`${name}\`: it is no text`, place, error);
  }
  if (checkpoint === undefined || checkpoint.size !== place.seq)
    throw damaged("the checkpoint is malformed", place);
  const problem = signatureProblem(checkpoint, check);
  if (problem !== undefined) throw damaged(problem, place);
  return checkpoint;
}

/** The tree at a checkpoint from the cached frontier; the signed root of that checkpoint says whether the cache is right. */
async function cachedFrontier(disk: Disk, check: SignatureCheck): Promise<MerkleTree | undefined> {
  if (!(await disk.list("ledger")).includes("frontier")) return undefined;
  try {
    const cache = decodeCbor(await readWhole(disk, "ledger/frontier"));
    if (!isMap(cache) || typeof cache["size"] !== "number" || !Array.isArray(cache["hashes"]))
      return undefined;
    const size = cache["size"];
    const hashes = cache["hashes"].filter((hash) => hash instanceof Uint8Array);
    const tree = merkleTree(check.hasher, size, hashes);
    // Not always the newest: a crash may have come between the checkpoint and the cache.
    const checkpoint = await readCheckpoint(disk, checkpointFile(size), check);
    return equalBytes(tree.root(), checkpoint.root) ? tree : undefined;
  } catch {
    // Only a cache: without it the tree is computed from the entries.
    return undefined;
  }
}

function checkpointFile(size: number): string {
  return `${String(size).padStart(16, "0")}.txt`;
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  return bytes.length >= end.length && equalBytes(bytes.subarray(bytes.length - end.length), end);
}

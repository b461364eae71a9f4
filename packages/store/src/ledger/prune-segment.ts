// What a segment looks like when the entries that nobody keeps are taken out. Pure: bytes in, bytes out.
import { concatBytes } from "@writ/core/bytes";
import { nodeHash } from "@writ/core/merkle-proof";
import { subtreeRoots, subtreesOf } from "@writ/core/merkle-subtrees";
import type { Hasher } from "@writ/core/ports";
import { decodeFrame, decodeSegmentHeader, segmentHeaderBytes, type Frame } from "@writ/core/segment";
import { decodePruned, encodePruned, type PrunedPart } from "@writ/core/segment-pruned";
import { pieceEntries } from "../limits.ts";
import { damaged, entriesOf } from "./recover.ts";

export interface PrunedSegment {
  /** What stands in the file: its header, batches that were kept whole, pruned batches. */
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Entries taken out. */
  readonly entries: number;
  /** Bytes that are zeros now. */
  readonly freedBytes: number;
  /** Roots of the largest complete Merkle subtrees over all of its entries. */
  readonly roots: readonly Uint8Array[];
  /** SHA-256 of the pruned batches, one after another; of nothing when there is none. */
  readonly digest: Uint8Array;
  readonly lastHash: Uint8Array;
}

interface Told {
  readonly seq: number;
  /** Null of those that go. */
  readonly bytes: Uint8Array | null;
  readonly hash: Uint8Array;
}

/** A power of two. */
const leavesAtOnce = 256;

/**
 * Undefined when entries of it were taken out before. Gives way at least once for every `pieceEntries` entries that it looks at, and as
 * often while it computes their tree.
 * @throws ledger.damaged
 */
export function* pruneSegment(
  bytes: Uint8Array,
  place: { readonly name: string; readonly end: number; readonly nextSeq: number },
  parts: { readonly hasher: Hasher; readonly keeps: (seq: number, bytes: Uint8Array) => boolean },
): Generator<void, PrunedSegment | undefined> {
  const { hasher } = parts;
  const header = decodeSegmentHeader(bytes);
  const wrong = (offset: number, seq: number): Error =>
    damaged("a batch is not what was written", { segment: place.name, offset, seq });
  if (header === undefined) throw wrong(0, 0);
  const pieces: { readonly offset: number; readonly bytes: Uint8Array }[] = [
    { offset: 0, bytes: bytes.slice(0, segmentHeaderBytes) },
  ];
  const held: Uint8Array[] = [];
  const hashes: Uint8Array[] = [];
  let region: { offset: number; sizeBytes: number; entries: Told[] } | null = null;
  let entries = 0;
  const put = function* (where: { offset: number; sizeBytes: number; entries: readonly Told[] }) {
    const [first] = where.entries;
    if (first === undefined) return;
    const made = encodePruned(first.seq, yield* partsOf(where.entries, hasher), {
      sizeBytes: where.sizeBytes,
      salt: header.salt,
    });
    pieces.push({ offset: where.offset, bytes: made });
    held.push(made);
  };
  const close = function* () {
    if (region !== null) yield* put(region);
    region = null;
  };
  let looked = 0;
  let seq = header.firstSeq;
  for (let at = segmentHeaderBytes; seq < place.nextSeq;) {
    if (decodePruned(bytes, at, header.salt) !== undefined) return undefined;
    const frame = decodeFrame(bytes, at, header.salt);
    if (frame === undefined || frame.firstSeq !== seq) throw wrong(at, seq);
    const told = yield* tell(bytes, frame, parts);
    for (const { hash } of told) hashes.push(hash);
    const gone = told.filter((one) => one.bytes === null).length;
    entries += gone;
    if (gone === 0) {
      yield* close();
      pieces.push({ offset: at, bytes: bytes.slice(at, at + frame.sizeBytes) });
    } else if (gone < told.length) {
      // Its own pruned batch, at its own place: whoever remembers where a kept entry stands finds it.
      yield* close();
      yield* put({ offset: at, sizeBytes: frame.sizeBytes, entries: told });
    } else {
      region ??= { offset: at, sizeBytes: 0, entries: [] };
      region.sizeBytes += frame.sizeBytes;
      for (const one of told) region.entries.push(one);
    }
    at += frame.sizeBytes;
    seq += told.length;
  }
  yield* close();
  const keptBytes = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  return {
    pieces,
    entries,
    freedBytes: place.end - keptBytes,
    roots: yield* rootsOf(header.firstSeq, hashes, hasher),
    digest: hasher.sha256(concatBytes(...held)),
    lastHash: hashes.at(-1) ?? header.previousHash,
  };

  function* tell(from: Uint8Array, frame: Frame, { keeps }: typeof parts): Generator<void, readonly Told[]> {
    const told: Told[] = [];
    for (const entry of entriesOf(from, frame)) {
      const place = frame.firstSeq + told.length;
      const isKept = keeps(place, entry);
      told.push({ seq: place, bytes: isKept ? entry.slice() : null, hash: hasher.sha256(entry) });
      looked += 1;
      if (looked % pieceEntries === 0) yield;
    }
    return told;
  }
}

function* partsOf(told: readonly Told[], hasher: Hasher): Generator<void, readonly PrunedPart[]> {
  const parts: PrunedPart[] = [];
  let gap: Told[] = [];
  const close = function* () {
    const [first] = gap;
    const last = gap.at(-1);
    if (first === undefined || last === undefined) return;
    const hashes = gap.map(({ hash }) => hash);
    const roots = yield* rootsOf(first.seq, hashes, hasher);
    parts.push({ kind: "gap", seq: first.seq, count: gap.length, lastHash: last.hash, roots });
    gap = [];
  };
  for (const one of told) {
    if (one.bytes === null) {
      gap.push(one);
      continue;
    }
    yield* close();
    parts.push({ kind: "kept", seq: one.seq, bytes: one.bytes });
  }
  yield* close();
  return parts;
}

/** As `subtreeRoots`, a few leaves at a time: a large subtree is made of small ones, which begin where it divides. */
function* rootsOf(
  from: number,
  hashes: readonly Uint8Array[],
  hasher: Hasher,
): Generator<void, readonly Uint8Array[]> {
  const roots: Uint8Array[] = [];
  for (const place of subtreesOf(from, from + hashes.length)) {
    let level: Uint8Array[] = [];
    const step = Math.min(place.size, leavesAtOnce);
    for (let at = place.from; at < place.from + place.size; at += step) {
      level.push(...subtreeRoots(at, hashes.slice(at - from, at - from + step), hasher));
      if (step === leavesAtOnce) yield;
    }
    while (level.length > 1) {
      const above: Uint8Array[] = [];
      for (let i = 0; i < level.length; i += 2) {
        const [left, right] = [level[i], level[i + 1]];
        if (left !== undefined && right !== undefined) above.push(nodeHash(hasher, left, right));
      }
      level = above;
      yield;
    }
    roots.push(...level);
  }
  return roots;
}

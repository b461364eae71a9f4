// What a segment looks like when the entries that nobody keeps are taken out. Pure: bytes in, bytes out.
import { concatBytes } from "@writ/core/bytes";
import { subtreeRoots } from "@writ/core/merkle-subtrees";
import type { Hasher } from "@writ/core/ports";
import { decodeFrame, decodeSegmentHeader, segmentHeaderBytes, type Frame } from "@writ/core/segment";
import { decodePruned, encodePruned, type PrunedPart } from "@writ/core/segment-pruned";
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
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly isKept: boolean;
}

/** Undefined when entries of it were taken out before. @throws ledger.damaged */
export function pruneSegment(
  bytes: Uint8Array,
  place: { readonly name: string; readonly end: number; readonly nextSeq: number },
  parts: { readonly hasher: Hasher; readonly keeps: (seq: number, bytes: Uint8Array) => boolean },
): PrunedSegment | undefined {
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
  const put = (where: { offset: number; sizeBytes: number; entries: readonly Told[] }): void => {
    const [first] = where.entries;
    if (first === undefined) return;
    const made = encodePruned(first.seq, partsOf(where.entries, hasher), {
      sizeBytes: where.sizeBytes,
      salt: header.salt,
    });
    pieces.push({ offset: where.offset, bytes: made });
    held.push(made);
  };
  const close = (): void => {
    if (region !== null) put(region);
    region = null;
  };
  let seq = header.firstSeq;
  for (let at = segmentHeaderBytes; seq < place.nextSeq;) {
    if (decodePruned(bytes, at, header.salt) !== undefined) return undefined;
    const frame = decodeFrame(bytes, at, header.salt);
    if (frame === undefined || frame.firstSeq !== seq) throw wrong(at, seq);
    const told = tell(bytes, frame, parts);
    hashes.push(...told.map(({ hash }) => hash));
    const gone = told.filter(({ isKept }) => !isKept).length;
    entries += gone;
    if (gone === 0) {
      close();
      pieces.push({ offset: at, bytes: bytes.slice(at, at + frame.sizeBytes) });
    } else if (gone < told.length) {
      // Its own pruned batch, at its own place: whoever remembers where a kept entry stands finds it.
      close();
      put({ offset: at, sizeBytes: frame.sizeBytes, entries: told });
    } else {
      region ??= { offset: at, sizeBytes: 0, entries: [] };
      region.sizeBytes += frame.sizeBytes;
      region.entries.push(...told);
    }
    at += frame.sizeBytes;
    seq += told.length;
  }
  close();
  const keptBytes = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  return {
    pieces,
    entries,
    freedBytes: place.end - keptBytes,
    roots: subtreeRoots(header.firstSeq, hashes, hasher),
    digest: hasher.sha256(concatBytes(...held)),
    lastHash: hashes.at(-1) ?? header.previousHash,
  };

  function tell(from: Uint8Array, frame: Frame, { keeps: isKept }: typeof parts): Told[] {
    return entriesOf(from, frame).map((entry, i) => ({
      seq: frame.firstSeq + i,
      bytes: entry.slice(),
      hash: hasher.sha256(entry),
      isKept: isKept(frame.firstSeq + i, entry),
    }));
  }
}

function partsOf(told: readonly Told[], hasher: Hasher): readonly PrunedPart[] {
  const parts: PrunedPart[] = [];
  let gap: Told[] = [];
  const close = (): void => {
    const [first] = gap;
    const last = gap.at(-1);
    if (first === undefined || last === undefined) return;
    const roots = subtreeRoots(
      first.seq,
      gap.map(({ hash }) => hash),
      hasher,
    );
    parts.push({ kind: "gap", seq: first.seq, count: gap.length, lastHash: last.hash, roots });
    gap = [];
  };
  for (const one of told) {
    if (!one.isKept) {
      gap.push(one);
      continue;
    }
    close();
    parts.push({ kind: "kept", seq: one.seq, bytes: one.bytes });
  }
  close();
  return parts;
}

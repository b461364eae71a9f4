// Proofs that entries stand in the ledger, for those who have only these entries.
import { fromHex } from "@writ/core/bytes";
import { inclusionRanges, rangeHasher, rangeKey } from "@writ/core/merkle-proof";
import { subtreesOf } from "@writ/core/merkle-subtrees";
import type { Hasher } from "@writ/core/ports";
import type { OpenLedger } from "./ledger.ts";

export interface ProvedEntries {
  /** Signed text (C2SP checkpoint) over the first `size` entries. */
  readonly checkpoint: string;
  readonly size: number;
  /** By sequence number: hashes of 32 bytes, from the leaf upwards. */
  readonly proofs: ReadonlyMap<number, readonly Uint8Array[]>;
}

/** Reads the whole ledger once, whatever the number of proofs. @throws RangeError for an entry that is not there */
export async function proveEntries(
  ledger: Pick<OpenLedger, "checkpoint" | "batches">,
  hasher: Hasher,
  seqs: readonly number[],
): Promise<ProvedEntries> {
  const { size, note } = await ledger.checkpoint();
  const paths = seqs.map((seq) => [seq, inclusionRanges(seq, size)] as const);
  const hashes = rangeHasher(
    hasher,
    size,
    paths.flatMap(([, ranges]) => ranges),
  );
  let seq = 0;
  for await (const { entries, gaps = [] } of ledger.batches(0)) {
    for (const part of [...entries, ...gaps].sort((a, b) => a.seq - b.seq)) {
      if (seq >= size) break;
      if ("hash" in part) hashes.add(fromHex(part.hash));
      else {
        const places = subtreesOf(part.seq, part.seq + part.count);
        for (const [i, root] of part.roots.entries()) hashes.addSubtree(root, places[i]?.size ?? 1);
      }
      seq += "hash" in part ? 1 : part.count;
    }
    if (seq >= size) break;
  }
  const found = hashes.finish();
  const proofs = paths.map(
    ([seq, ranges]) => [seq, ranges.flatMap((range) => found.get(rangeKey(range)) ?? [])] as const,
  );
  return { checkpoint: note, size, proofs: new Map(proofs) };
}

// Proofs that entries stand in the ledger, for those who have only these entries.
import { fromHex } from "@writ/core/bytes";
import { inclusionRanges, rangeHasher, rangeKey } from "@writ/core/merkle-proof";
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
  ledger: Pick<OpenLedger, "checkpoint" | "scan">,
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
  for await (const { hash } of ledger.scan(0, size)) hashes.add(fromHex(hash));
  const found = hashes.finish();
  const proofs = paths.map(
    ([seq, ranges]) => [seq, ranges.flatMap((range) => found.get(rangeKey(range)) ?? [])] as const,
  );
  return { checkpoint: note, size, proofs: new Map(proofs) };
}

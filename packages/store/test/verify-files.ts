// Verification of files that are in memory, such as those of a simulated disk.
import { createHash } from "node:crypto";
import {
  verifyLedger,
  type LedgerFiles,
  type NamedBytes,
  type VerifiedLedger,
} from "@writ/core/ledger-verify";
import { nodeHasher, verifySignature } from "@writ/store/node-crypto";

/** Segments, checkpoints or blobs, in the order of their names. */
export function named(files: ReadonlyMap<string, Uint8Array>, folder: string): readonly NamedBytes[] {
  return [...files]
    .filter(([name]) => name.startsWith(`${folder}/`) && /\.(segment|txt)$|\/[0-9a-f]{62}$/.test(name))
    .map(([name, bytes]) => ({ name, bytes }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

export function verifyFiles(files: ReadonlyMap<string, Uint8Array>): Promise<VerifiedLedger> {
  const ledgerFiles: LedgerFiles = {
    segments: each(named(files, "ledger")),
    checkpoints: each(named(files, "checkpoints")),
    blobs: each(
      named(files, "blobs").map(({ name, bytes }) => ({
        name: name.slice("blobs/".length).replace("/", ""),
        found: createHash("sha256").update(bytes).digest("hex"),
      })),
    ),
  };
  return verifyLedger(ledgerFiles, { hasher: nodeHasher, verify: verifySignature });
}

// What the node knows besides its runs, as of the last durable entry: folded from the ledger at the start, then with every batch.
//   S23  A program costs the same whether it is the first or the hundred-thousandth: memory holds those that are deployed and the
//        last that were used, and a start reads no other.
import type { EntryDraft, NodeEntry } from "@writ/core/entry";
import type { Blobs, Hasher, Ledger } from "@writ/core/ports";
import { emptyRegistry, foldRegistry, type Registry } from "@writ/runtime/registry";
import type { ProgramRecords } from "@writ/store/projections";
import { createProgramTable } from "./program-table.ts";

export interface FollowedRegistry {
  readonly now: () => Registry;
  /** When the person was added; 0 for nobody. */
  readonly addedAtMs: (person: string) => number;
  /** The store's blobs, and beside them what entries hold inline of programs. */
  readonly blobs: Blobs;
}

export interface RegistryParts {
  readonly ledger: Pick<Ledger, "read" | "subscribe">;
  readonly blobs: Blobs;
  readonly hasher: Hasher;
  readonly projections: { nodeEntries(): AsyncIterable<NodeEntry>; readonly programs: ProgramRecords };
}

export async function followRegistry(parts: RegistryParts): Promise<FollowedRegistry> {
  const { ledger, blobs, hasher, projections } = parts;
  const table = createProgramTable({ ledger, blobs, hasher, records: projections.programs });
  const { programs } = table;
  const addedAtMs = new Map<string, number>();
  let registry: Registry = { ...emptyRegistry, programs };
  const fold = (entry: EntryDraft): void => {
    if (entry.kind.startsWith("program.")) {
      table.fold(entry);
      return;
    }
    if (entry.kind === "person.added") addedAtMs.set(entry.facts.person, entry.atMs);
    registry = foldRegistry(registry, entry);
  };
  for await (const entry of projections.nodeEntries()) fold(entry);
  ledger.subscribe((entries) => {
    for (const entry of entries) if (entry.run === null) fold(entry);
  });
  return {
    now: () => registry,
    addedAtMs: (person) => addedAtMs.get(person) ?? 0,
    blobs: table.blobs,
  };
}

// Upkeep: the ledger verified from its files, and the data folder copied and put back.
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import type { BodyOf, LedgerReport, ResponseOf } from "@writ/core/api";
import type { Actor } from "@writ/core/entry";
import type { FaultRecord } from "@writ/core/fault";
import type { BadPlace } from "@writ/core/ledger-verify";
import { restore } from "@writ/store/backup";
import { storeFaults } from "@writ/store/faults";
import type { Store } from "@writ/store/open-store";
import { verifyFolder } from "@writ/store/verify-folder";
import { fault } from "../faults.ts";
import { apiFault } from "../views/program.ts";
import { createQueue, type NodeContext } from "./context.ts";

export interface Upkeep {
  /** Reads every byte on the disk; a running node goes on meanwhile. */
  verify(archive?: string): Promise<LedgerReport>;
  /** @throws backup.exists, backup.place */
  backup(file: string): Promise<ResponseOf<"backup">>;
  /** @throws backup.place, ledger.run-goes-on, ledger.archive-failed */
  prune(request: PruneOrder, by: Actor): Promise<ResponseOf<"pruneLedger">>;
  /** @throws backup.place, ledger.archive-failed */
  archive(request: BodyOf<"archiveLedger">, by: Actor): Promise<ResponseOf<"archiveLedger">>;
}

export type PruneOrder = BodyOf<"pruneLedger">;

export function createUpkeep({ world, data }: Pick<NodeContext, "world" | "data">, store: Store): Upkeep {
  // Both read everything there is: one at a time, however many ask.
  const inTurn = createQueue();
  const work: Upkeep = {
    async verify(archive) {
      const startedMs = world.monotonicMs();
      const { bad, entries, runs, checkpoints, blobs, head, prunedEntries } = await verifyFolder(data, {
        node: store.node,
        ...(archive === undefined ? {} : { archive }),
      });
      if (bad !== null) return { kind: "damaged", fault: apiFault(faultOf(bad)), entries };
      return {
        kind: "intact",
        entries,
        runs,
        checkpoints,
        blobs,
        head: entries === 0 ? null : { seq: entries - 1, hash: head },
        elapsedMs: world.monotonicMs() - startedMs,
        ...(prunedEntries === 0 ? {} : { pruned: prunedEntries }),
      };
    },
    async prune({ beforeSeq, beforeMs, archive = null, dryRun = true }, by) {
      if (archive !== null) assertArchive(archive);
      const report = await store.prune({ beforeSeq, beforeMs, archive, by, dryRun });
      const { range, ...counts } = report;
      return {
        dryRun,
        ...counts,
        firstSeq: range?.firstSeq ?? null,
        lastSeq: range?.lastSeq ?? null,
        archive,
      };
    },
    async archive({ folder, beforeSeq, beforeMs }, by) {
      assertArchive(folder);
      return { folder, ...(await store.archive({ beforeSeq, beforeMs, archive: folder, by })) };
    },
    async backup(file) {
      if (!path.isAbsolute(file) || file.includes("\0") || existsSync(file)) {
        throw fault(
          "backup.exists",
          `Cannot write the backup \`${file}\`: name a new file by its absolute path`,
          { file },
        );
      }
      assertPlace(path.dirname(file), realpathSync(data), file);
      const { entries, sizeBytes } = await store.backup(file);
      return { file, sizeBytes, entries };
    },
  };
  const assertArchive = (folder: string): void => {
    if (!path.isAbsolute(folder) || folder.includes("\0"))
      throw fault("backup.place", `Cannot use \`${folder}\` as an archive: name it by its absolute path`, {
        file: folder,
      });
    assertPlace(existsSync(folder) ? folder : path.dirname(folder), realpathSync(data), folder);
  };
  /** Verifications that have not begun, by archive: whoever asks before one begins gets its answer too. */
  const waiting = new Map<string | undefined, Promise<LedgerReport>>();
  const verify = (archive?: string): Promise<LedgerReport> => {
    const known = waiting.get(archive);
    if (known !== undefined) return known;
    const asked = inTurn(() => {
      waiting.delete(archive);
      return work.verify(archive);
    });
    waiting.set(archive, asked);
    return asked;
  };
  return {
    verify,
    backup: (file) => inTurn(() => work.backup(file)),
    prune: (request, by) => inTurn(() => work.prune(request, by)),
    archive: (request, by) => inTurn(() => work.archive(request, by)),
  };
}

/** In a folder that is there and is not the data folder: what does not belong there would keep the node from starting. */
function assertPlace(folder: string, data: string, file: string): void {
  let real: string;
  try {
    real = realpathSync(folder);
  } catch (error) {
    throw fault(
      "backup.place",
      `Cannot write the backup \`${file}\`: its folder cannot be used`,
      { file },
      error,
    );
  }
  if (real !== data && !real.startsWith(data + path.sep)) return;
  throw fault("backup.place", `Cannot write the backup \`${file}\`: it would lie in the data folder`, {
    file,
    data,
  });
}

/** Unpacks a backup into a data folder that is new or empty, and says so. @throws store.* */
export async function restoreBackup(file: string, data: string): Promise<string> {
  const { entries, files } = await restore(file, data);
  return `${entries} entries and ${files} files are back in ${data}; stop the node they came from for good before you start this one`;
}

function faultOf(bad: BadPlace): FaultRecord {
  const code = bad.kind === "blob" ? "store.blob-damaged" : "ledger.damaged";
  const { kind, remedy } = storeFaults[code];
  const { file, offset, seq, message } = bad;
  return { code, kind, remedy, message, facts: { place: bad.kind, file, offset, seq } };
}

// Opens everything a node keeps: ledger, projections, blobs and keys of one data folder, for one process at a time.
import { join } from "node:path";
import type { Blobs, Disk, Entropy, Hasher, Ledger, Signer, World } from "@writ/core/ports";
import type { Actor } from "@writ/core/entry";
import type { NodeId } from "@writ/core/ids";
import { writeBackup, type BackupReport } from "./backup.ts";
import { proveEntries, type ProvedEntries } from "./prove.ts";
import { openBlobs } from "./blobs.ts";
import { fault } from "./faults.ts";
import { lockFolder, type FolderLock } from "./folder-lock.ts";
import { foldedKeyRing, openKeys, type FoldedKeyRing, type NodeKeys } from "./keys.ts";
import { openLedger, type OpenLedger } from "./ledger.ts";
import type { LedgerLimits } from "./limits.ts";
import { nodeHasher } from "./node-crypto.ts";
import { nodeDisk } from "./node-disk.ts";
import { archiveSegments, prune, seqBefore, type PruneReport, type PruneRequest } from "./prune.ts";
import { openProjections, type Projections } from "./projections.ts";

export interface Store {
  readonly node: NodeId;
  /** Number of this opening of the ledger, from 1. */
  readonly epoch: number;
  readonly ledger: Ledger;
  readonly projections: Projections;
  readonly blobs: Blobs;
  readonly signer: Signer;
  /** The node's own keys and those that the ledger introduced; follows the ledger. */
  readonly keyRing: FoldedKeyRing;
  readonly hasher: Hasher;
  /** Null when everything is on a given disk. */
  readonly dataFolder: string | null;
  /**
   * Everything that cannot be rebuilt, as one new file, while the node goes on; it holds the node's private keys.
   * @throws store.no-folder when everything is on a given disk
   */
  backup(file: string): Promise<BackupReport>;
  /** Signs a checkpoint over everything until now and proves of each of the entries that it stands below it. */
  prove(seqs: readonly number[]): Promise<ProvedEntries>;
  /**
   * Takes entries that nobody needs any more out of old segments (see `prune.ts`). One at a time.
   * @throws ledger.stopped, ledger.damaged, ledger.run-goes-on, ledger.archive-failed
   */
  prune(request: StorePrune & { readonly dryRun: boolean }): Promise<PruneReport>;
  /** Copies whole old segments to a folder, where they verify with the ledger. @throws ledger.stopped, ledger.archive-failed */
  archive(
    request: StorePrune,
  ): Promise<{ readonly segments: number; readonly entries: number; readonly sizeBytes: number }>;
  /** Records `node.stopped`, signs a checkpoint and lets go of the folder. Rejects with ledger.stopped when the ledger had stopped. */
  close(reason?: string): Promise<void>;
}

export interface StorePrune {
  /** Only segments whose every entry is before this one; with `beforeMs`, also recorded before that time. Absent: every old segment. */
  readonly beforeSeq?: number | undefined;
  readonly beforeMs?: number | undefined;
  /** A folder (or a disk, in tests); null: none. */
  readonly archive: string | PruneRequest["archive"];
  readonly by: Actor;
}

export type StoreOptions = {
  readonly world: World;
  readonly entropy: Entropy;
  /** Version of Writ, for `node.started`. */
  readonly version: string;
  readonly limits?: Partial<LedgerLimits>;
} & (
  | { /** Absolute path; created when it does not exist. */ readonly dataFolder: string }
  /** Ledger and blobs on this disk (a simulated one), keys as given, projections in memory. */
  | {
      readonly disk: Disk;
      readonly keys: NodeKeys;
      /** Checks what `keys` signs; Node's cryptography when absent. */
      readonly keyRing?: FoldedKeyRing;
    }
);

/**
 * Records `ledger.created` at the first opening and `node.started` at each.
 * @throws store.folder-in-use, store.folder-read-only, store.keys-missing, store.keys-exposed, ledger.damaged, ledger.truncated,
 * ledger.other-node, ledger.disk-full
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  if (!("dataFolder" in options)) return openOn(options, options.disk, options.keys, null);
  const lock = await lockFolder(options.dataFolder);
  try {
    const disk = nodeDisk(options.dataFolder);
    const keys = await openKeys(options.dataFolder, disk);
    return await openOn(options, disk, keys, { lock, dataFolder: options.dataFolder });
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openOn(
  options: StoreOptions,
  disk: Disk,
  keys: NodeKeys,
  folder: { readonly lock: FolderLock; readonly dataFolder: string } | null,
): Promise<Store> {
  const { world, entropy, version } = options;
  const { identity, signer } = keys;
  const keyRing = ("keyRing" in options ? options.keyRing : undefined) ?? foldedKeyRing(keys.records);
  const file = folder === null ? ":memory:" : join(folder.dataFolder, "projections.db");
  const projections = openProjections(file, identity.node, world);
  let opened: OpenLedger | null = null;
  try {
    const ledger = await openLedger({
      disk,
      hasher: nodeHasher,
      entropy,
      identity,
      signer,
      keyRing,
      nowMs: world.nowMs(),
      knownSeq: projections.knownSeq,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    opened = ledger;
    await projections.follow(ledger);
    for await (const entry of projections.nodeEntries(["key.added", "key.revoked"])) keyRing.fold(entry);
    ledger.subscribe((entries) => {
      for (const entry of entries) keyRing.fold(entry);
    });
    const blobs = await openBlobs(disk, entropy, world);
    const base = { run: null, cause: null, actor: { kind: "node" } } as const;
    const { seq } = ledger.append({ ...base, kind: "node.started", atMs: world.nowMs(), facts: { version } });
    await ledger.durable(seq);
    let closing: Promise<void> | null = null;
    async function close(reason: string): Promise<void> {
      try {
        // A ledger that has stopped says so again when it is closed.
        if (!ledger.isStopped()) {
          ledger.append({ ...base, kind: "node.stopped", atMs: world.nowMs(), facts: { reason } });
        }
        await ledger.close();
      } finally {
        projections.close();
        folder?.lock.release();
      }
    }

    const pruneParts = { ledger, projections, disk, hasher: nodeHasher, world, blobs };
    const placeOf = (archive: StorePrune["archive"]): PruneRequest["archive"] =>
      typeof archive === "string" ? { folder: archive, disk: nodeDisk(archive) } : archive;
    const until = async ({
      beforeSeq,
      beforeMs,
    }: Pick<StorePrune, "beforeSeq" | "beforeMs">): Promise<number> =>
      Math.min(
        beforeSeq ?? Number.MAX_SAFE_INTEGER,
        beforeMs === undefined ? Number.MAX_SAFE_INTEGER : await seqBefore(ledger, beforeMs),
      );

    return {
      node: identity.node,
      epoch: ledger.epoch,
      ledger,
      projections,
      blobs,
      signer,
      keyRing,
      hasher: nodeHasher,
      dataFolder: folder?.dataFolder ?? null,
      async backup(file) {
        if (folder === null) throw fault("store.no-folder", "Cannot back up a store without a data folder");
        const checkpoints = (await disk.list("checkpoints"))
          .filter((name) => name.endsWith(".txt"))
          .map((name) => `checkpoints/${name}`);
        const { dataFolder } = folder;
        return writeBackup({ dataFolder, node: identity.node, checkpoints, ...ledger.snapshot() }, file);
      },
      prove: (seqs) => proveEntries(ledger, nodeHasher, seqs),
      async prune({ archive, beforeMs, ...request }) {
        const beforeSeq = await until({ beforeMs, beforeSeq: request.beforeSeq });
        return prune(pruneParts, { ...request, beforeSeq, archive: placeOf(archive) });
      },
      async archive({ archive, beforeMs, beforeSeq: before, by }) {
        const place = placeOf(archive);
        if (place === null) throw new Error("Invariant broken: an archive has a folder");
        const beforeSeq = await until({ beforeMs, beforeSeq: before });
        return archiveSegments(pruneParts, { beforeSeq, by, archive: place });
      },
      close(reason = "asked to stop") {
        return (closing ??= close(reason));
      },
    };
  } catch (error) {
    // Stopped first, so that nothing more is signed; the error on its way says why.
    opened?.stop(error);
    await opened?.close().catch(() => undefined);
    projections.close();
    throw error;
  }
}

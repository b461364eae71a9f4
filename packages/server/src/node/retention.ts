// Retention: what the configuration says need not be kept is archived and pruned, at the start and every day.
//   S95  A node prunes by itself only what its configuration says, each time as its own entry; a failure is logged and tried again.
import type { Store } from "@writ/store/open-store";
import type { World } from "@writ/core/ports";
import type { Log } from "../log.ts";
import { retentionEveryMs } from "../limits.ts";
import type { Upkeep } from "./upkeep.ts";

export interface Retention {
  /** Entries older than so many days may go. */
  readonly keepDays?: number | undefined;
  /** All but the newest so many entries may go. With both, only what both let go. */
  readonly keepEntries?: number | undefined;
  /** Absolute path of the folder that takes whole segments first; null: nowhere, what is pruned is gone. */
  readonly archive: string | null;
}

/** Begins to prune by the policy; the function it returns ends that. */
export function keepRetention(
  retention: Retention,
  parts: { readonly upkeep: Upkeep; readonly store: Store; readonly world: World; readonly log: Log },
): () => Promise<void> {
  const { upkeep, store, world, log } = parts;
  const { keepDays, keepEntries, archive } = retention;
  const stop = new AbortController();
  const once = async (): Promise<void> => {
    const beforeSeq = Math.max(0, store.ledger.durableSeq() + 1 - (keepEntries ?? 0));
    const beforeMs = keepDays === undefined ? undefined : world.nowMs() - keepDays * 24 * 3_600_000;
    const order = { beforeSeq, archive, dryRun: false, ...(beforeMs === undefined ? {} : { beforeMs }) };
    const done = await upkeep.prune(order, { kind: "node" });
    if (done.entries > 0) log.info("ledger.pruned", { ...done });
  };
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await once().catch((error: unknown) => log.error("ledger.prune-failed", { error: String(error) }));
      await world.sleep(retentionEveryMs, stop.signal).catch(() => undefined);
    }
  };
  const done = loop();
  return async () => {
    stop.abort();
    await done;
  };
}

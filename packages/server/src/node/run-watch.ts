// Waiting for a run: until it has ended, waits for a person, or is held. One subscription serves all who wait.
import type { RunId } from "@writ/core/ids";
import type { Ledger, World } from "@writ/core/ports";

export interface RunWatch {
  /** Resolves when the run has come to rest since `run.started`, the time is over, or the signal aborts. Never rejects. */
  settled(run: RunId, timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

const restful: ReadonlySet<string> = new Set(["run.ended", "approval.requested", "effect.held", "undo.held"]);

/** `isAtRest` tells of runs that came to rest before they were watched. */
export function createRunWatch(ledger: Ledger, world: World, isAtRest: (run: RunId) => boolean): RunWatch {
  const waiting = new Map<RunId, Set<() => void>>();
  const unsubscribe = ledger.subscribe((entries) => {
    if (waiting.size === 0) return;
    for (const entry of entries) {
      if (entry.run === null || !restful.has(entry.kind)) continue;
      for (const resolve of waiting.get(entry.run) ?? []) resolve();
    }
  });
  return {
    async settled(run, timeoutMs, signal) {
      if (isAtRest(run)) return;
      const timer = new AbortController();
      const stop = AbortSignal.any([signal, timer.signal]);
      let wake = (): void => {};
      const rested = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const here = waiting.get(run) ?? new Set();
      waiting.set(run, here.add(wake));
      try {
        await Promise.race([rested, world.sleep(timeoutMs, stop).catch(() => {})]);
      } finally {
        timer.abort();
        here.delete(wake);
        if (here.size === 0) waiting.delete(run);
      }
    },
    close: unsubscribe,
  };
}

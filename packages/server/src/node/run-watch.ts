// Waiting for a run: until it has ended, waits for a person, or is held. One subscription and one timer serve all who wait.
import type { RunId } from "@writ/core/ids";
import type { Ledger, World } from "@writ/core/ports";

export interface RunWatch {
  /**
   * Resolves when the run has come to rest, the time is over, or the asker has gone. Never rejects. The time is kept to
   * within `sweepMs`.
   */
  settled(run: RunId, timeoutMs: number, onGone: (listener: () => void) => void): Promise<void>;
  /** Wakes everybody; who asks later is answered at once. */
  close(): void;
}

interface Waiting {
  readonly untilMs: number;
  readonly wake: () => void;
}

const sweepMs = 500;
const restful: ReadonlySet<string> = new Set([
  "run.ended",
  "run.paused",
  "step.intercepted",
  "approval.requested",
  "effect.held",
  "undo.held",
]);

/** `isAtRest` tells of runs that came to rest before they were watched. */
export function createRunWatch(ledger: Ledger, world: World, isAtRest: (run: RunId) => boolean): RunWatch {
  const waiting = new Map<RunId, Set<Waiting>>();
  let isClosed = false;
  let isSweeping = false;
  const unsubscribe = ledger.subscribe((entries) => {
    if (waiting.size === 0) return;
    for (const entry of entries) {
      if (entry.run === null || !restful.has(entry.kind)) continue;
      for (const { wake } of waiting.get(entry.run) ?? []) wake();
    }
  });
  const sweep = async (): Promise<void> => {
    if (isSweeping) return;
    isSweeping = true;
    while (waiting.size > 0) {
      await world.sleep(sweepMs);
      const nowMs = world.monotonicMs();
      for (const here of waiting.values()) for (const { untilMs, wake } of here) if (untilMs <= nowMs) wake();
    }
    isSweeping = false;
  };
  return {
    settled(run, timeoutMs, onGone) {
      if (isClosed || isAtRest(run)) return Promise.resolve();
      return new Promise((resolve) => {
        const here = waiting.get(run) ?? new Set();
        const one: Waiting = {
          untilMs: world.monotonicMs() + timeoutMs,
          wake() {
            if (!here.delete(one)) return;
            if (here.size === 0) waiting.delete(run);
            resolve();
          },
        };
        waiting.set(run, here.add(one));
        onGone(one.wake);
        void sweep();
      });
    },
    close() {
      isClosed = true;
      unsubscribe();
      for (const here of waiting.values()) for (const { wake } of here) wake();
    },
  };
}

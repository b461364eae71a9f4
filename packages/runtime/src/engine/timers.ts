// Timers: one loop that sleeps until the next one is due.
//   W1  A timer is due when its time has passed on either clock: the wall clock (it may have been set, or the machine asleep) or the
//       monotonic one (the wall clock may have jumped back). So no jump makes it hang, and it is removed before it fires, once.
import type { AbortSignalLike } from "@writ/core/capability";
import type { World } from "@writ/core/ports";
import { sleepMsMax } from "../limits.ts";

declare const AbortController: new () => { readonly signal: AbortSignalLike; abort(reason?: unknown): void };

export interface Timers {
  /** Fires once at the wall time, or soon after when it has passed. Returns what takes it back. */
  at(atMs: number, fire: () => void): () => void;
  stop(): void;
}

interface Timer {
  readonly atMs: number;
  readonly dueMs: number;
  readonly fire: () => void;
  gone: boolean;
}

export function createTimers(world: World, failed: (error: unknown) => void): Timers {
  // A binary heap by monotonic due time; timers taken back stay until they surface or outnumber the others.
  let heap: Timer[] = [];
  let goneCount = 0;
  let stopped = false;
  let wake: { readonly signal: AbortSignalLike; abort(reason?: unknown): void } | null = null;
  let sleepsUntilMs = 0;

  const fireDue = (): void => {
    const monoMs = world.monotonicMs();
    const wallMs = world.nowMs();
    for (let next = heap[0]; next !== undefined; next = heap[0]) {
      if (next.dueMs > monoMs && next.atMs > wallMs && !next.gone) break;
      pop(heap);
      if (next.gone) goneCount -= 1;
      else {
        next.gone = true;
        try {
          next.fire();
        } catch (error) {
          failed(error);
        }
      }
    }
  };

  const loop = async (): Promise<void> => {
    while (!stopped && heap.length > 0) {
      fireDue();
      const next = heap[0];
      if (next === undefined || stopped) break;
      const delayMs = Math.max(
        0,
        Math.min(next.dueMs - world.monotonicMs(), next.atMs - world.nowMs(), sleepMsMax),
      );
      wake = new AbortController();
      sleepsUntilMs = world.monotonicMs() + delayMs;
      const { signal } = wake;
      try {
        await world.sleep(Math.ceil(delayMs), signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    wake = null;
  };

  const takeBack = (timer: Timer): void => {
    if (timer.gone) return;
    timer.gone = true;
    goneCount += 1;
    if (goneCount > 1000 && goneCount > heap.length / 2) {
      const left: Timer[] = [];
      for (const kept of heap) if (!kept.gone) push(left, kept);
      heap = left;
      goneCount = 0;
    }
  };

  return {
    at(atMs, fire) {
      const dueMs = world.monotonicMs() + Math.max(0, atMs - world.nowMs());
      const timer: Timer = { atMs, dueMs, fire, gone: false };
      push(heap, timer);
      if (wake === null && !stopped) {
        // Begun on the next turn, so that whoever sets a timer that is due has finished its own work first.
        wake = new AbortController();
        void Promise.resolve().then(loop).catch(failed);
      } else if (dueMs < sleepsUntilMs) wake?.abort();
      return () => takeBack(timer);
    },
    stop() {
      stopped = true;
      heap = [];
      goneCount = 0;
      wake?.abort();
    },
  };
}

function push(heap: Timer[], timer: Timer): void {
  let i = heap.push(timer) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above.dueMs <= timer.dueMs) break;
    heap[i] = above;
    i = parent;
  }
  heap[i] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    const left = heap[child];
    const right = heap[child + 1];
    if (left === undefined) break;
    if (right !== undefined && right.dueMs < left.dueMs) child += 1;
    const smaller = heap[child];
    if (smaller === undefined || smaller.dueMs >= last.dueMs) break;
    heap[i] = smaller;
    i = child;
  }
  heap[i] = last;
}

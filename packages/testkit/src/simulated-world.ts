// A world whose clock, randomness and entropy a seed decides. Time passes only when a test lets it pass.
import type { AbortSignalLike } from "@writ/core/capability";
import type { Entropy, World } from "@writ/core/ports";
import { seededRandom } from "./seeded-random.ts";

export interface SimulatedWorld extends World {
  /** Seeded: for simulations only. */
  readonly entropy: Entropy;
  /** Lets time pass; whoever sleeps until then wakes in order of time, and what they start runs before the next wakes. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, forwards or back, as an administrator or NTP would. */
  jump(ms: number): void;
  /** Milliseconds until the next sleeper wakes, or null when nobody sleeps. */
  nextWakeMs(): number | null;
  /** Lets everything that is ready run, without time passing. */
  settle(): Promise<void>;
}

export interface SimulatedWorldOptions {
  readonly seed: number;
  /** Wall clock at the start; default 1 November 2026, 00:00 UTC. */
  readonly startMs?: number;
  /** When true, time jumps to the next sleeper as soon as nothing else is ready. Default false. */
  readonly automatic?: boolean;
}

interface Sleeper {
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
}

export function simulatedWorld(options: SimulatedWorldOptions): SimulatedWorld {
  const random = seededRandom(options.seed);
  const entropy = random.fork();
  const isAutomatic = options.automatic === true;
  const sleepers: Sleeper[] = [];
  let monotonic = 0;
  let wallOffset = options.startMs ?? 1_793_491_200_000;
  let order = 0;
  let isPumping = false;

  function sleep(ms: number, signal?: AbortSignalLike): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const sleeper: Sleeper = {
        atMs: monotonic + Math.max(0, ms),
        order: order++,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = (): void => {
        const place = sleepers.indexOf(sleeper);
        if (place >= 0) sleepers.splice(place, 1);
        signal?.removeEventListener("abort", abort);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort);
      const place = sleepers.findIndex((other) => other.atMs > sleeper.atMs);
      sleepers.splice(place < 0 ? sleepers.length : place, 0, sleeper);
      if (isAutomatic) void pump();
    });
  }

  /** Wakes the first sleeper if it wakes until then. */
  function wakeFirst(untilMs: number): boolean {
    const [first] = sleepers;
    if (first === undefined || first.atMs > untilMs) return false;
    sleepers.shift();
    monotonic = Math.max(monotonic, first.atMs);
    first.wake();
    return true;
  }

  async function pump(): Promise<void> {
    if (isPumping) return;
    isPumping = true;
    while (sleepers.length > 0) {
      await settle();
      wakeFirst(Number.POSITIVE_INFINITY);
    }
    isPumping = false;
  }

  return {
    entropy: { bytes: (count) => entropy.bytes(count) },
    nowMs: () => wallOffset + monotonic,
    monotonicMs: () => monotonic,
    randomBelow: (below) => random.below(below),
    sleep,
    async advance(ms) {
      const untilMs = monotonic + ms;
      await settle();
      while (wakeFirst(untilMs)) await settle();
      monotonic = untilMs;
      await settle();
    },
    jump(ms) {
      wallOffset += ms;
    },
    nextWakeMs: () => (sleepers[0] === undefined ? null : sleepers[0].atMs - monotonic),
    settle,
  };
}

// Enough turns of the event loop for chains of promises, group commits and simulated disk operations to come to rest.
const settleTurns = 32;

async function settle(): Promise<void> {
  for (let i = 0; i < settleTurns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

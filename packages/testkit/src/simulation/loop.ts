// The event loop of a simulation: one thread, simulated clocks, and processes that may die at any point.
//   SL1  Nothing runs but what the loop lets run: promises, then `setImmediate` callbacks in order, then the next sleeper. So the same
//        seed gives the same history.
//   SL2  Time passes only when nothing else is left to do.
//   SL3  A process that has died does nothing more: its sleepers never wake, its callbacks never run.
import type { AbortSignalLike } from "@writ/core/capability";
import type { Entropy, World } from "@writ/core/ports";
import { seededRandom, type SeededRandom } from "../seeded-random.ts";

export interface SimulatedProcess {
  readonly world: World;
  readonly entropy: Entropy;
  /** Passes a point at which the process may die. False: it is dead, and whoever asked must never go on. */
  reach(point: string): boolean;
  isDead(): boolean;
  die(): void;
}

export interface SimulatedLoop {
  /** Outlives every process: for people, sources and the world. */
  readonly world: World;
  readonly random: SeededRandom;
  process(onPoint: (point: string) => "go" | "die"): SimulatedProcess;
  /** Lets everything happen until `done`; false when nothing was left to happen, or `wakesMax` sleepers woke. */
  run(done: () => boolean, wakesMax: number): Promise<boolean>;
  /** Both clocks go on while nobody looks: a machine that is switched off. */
  pass(ms: number): void;
  /** Moves the wall clock alone. */
  jump(ms: number): void;
  /** Sleepers that woke, and callbacks that ran. */
  readonly turns: () => number;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
  readonly owner: object | null;
}

const startMs = 1_793_491_200_000;

/** Runs the body while `setImmediate` belongs to its loop. One at a time. */
export async function withSimulatedLoop<T>(
  seed: number,
  body: (loop: SimulatedLoop) => Promise<T>,
): Promise<T> {
  const real = globalThis.setImmediate;
  let callbacks: (() => void)[] = [];
  const own = (callback: (...given: readonly unknown[]) => void, ...given: readonly unknown[]): void => {
    callbacks.push(() => callback(...given));
  };
  Object.assign(globalThis, { setImmediate: own });
  try {
    return await body(
      createLoop(seed, real, {
        next: () => callbacks.shift(),
        drop: () => {
          callbacks = [];
        },
      }),
    );
  } finally {
    Object.assign(globalThis, { setImmediate: real });
  }
}

function createLoop(
  seed: number,
  real: typeof setImmediate,
  queue: { readonly next: () => (() => void) | undefined; readonly drop: () => void },
): SimulatedLoop {
  const random = seededRandom(seed);
  const worldRandom = random.fork();
  let sleepers: Sleeper[] = [];
  let monotonic = 0;
  let wallOffset = startMs;
  let turns = 0;

  const promisesRun = (): Promise<void> => new Promise((resolve) => real(resolve));

  const worldOf = (owner: object | null, isDead: () => boolean): World => ({
    nowMs: () => wallOffset + monotonic,
    monotonicMs: () => monotonic,
    randomBelow: (below) => worldRandom.below(below),
    sleep: (ms: number, signal?: AbortSignalLike) =>
      new Promise((resolve, reject) => {
        if (isDead()) return;
        if (signal?.aborted === true) return reject(signal.reason);
        const sleeper: Sleeper = {
          atMs: monotonic + Math.max(0, ms),
          owner,
          wake: () => {
            signal?.removeEventListener("abort", abort);
            resolve();
          },
        };
        const abort = (): void => {
          sleepers = sleepers.filter((other) => other !== sleeper);
          signal?.removeEventListener("abort", abort);
          if (!isDead()) reject(signal?.reason);
        };
        signal?.addEventListener("abort", abort);
        let place = sleepers.length;
        while (place > 0 && (sleepers[place - 1]?.atMs ?? 0) > sleeper.atMs) place--;
        sleepers.splice(place, 0, sleeper);
      }),
  });

  const settle = async (): Promise<void> => {
    for (;;) {
      await promisesRun();
      const next = queue.next();
      if (next === undefined) return;
      turns++;
      next();
    }
  };

  return {
    world: worldOf(null, () => false),
    random,
    process(onPoint) {
      const owner = {};
      let dead = false;
      const entropy = random.fork();
      const die = (): void => {
        dead = true;
        sleepers = sleepers.filter((sleeper) => sleeper.owner !== owner);
        queue.drop();
      };
      return {
        world: worldOf(owner, () => dead),
        entropy: { bytes: (count) => entropy.bytes(count) },
        reach(point) {
          if (!dead && onPoint(point) === "die") die();
          return !dead;
        },
        isDead: () => dead,
        die,
      };
    },
    async run(done, wakesMax) {
      for (let wakes = 0; wakes < wakesMax; wakes++) {
        await settle();
        if (done()) return true;
        const first = sleepers.shift();
        if (first === undefined) return false;
        monotonic = Math.max(monotonic, first.atMs);
        turns++;
        first.wake();
      }
      return false;
    },
    pass(ms) {
      monotonic += ms;
    },
    jump(ms) {
      wallOffset += ms;
    },
    turns: () => turns,
  };
}

/** What a dead process waits for. */
export function never(): Promise<never> {
  return new Promise(() => undefined);
}

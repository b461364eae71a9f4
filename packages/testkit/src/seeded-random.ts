// Randomness that a seed decides: the same seed always draws the same numbers (splitmix32).

export interface SeededRandom {
  /** Uniform integer in [0, below). */
  below(below: number): number;
  /** True with this probability, in [0, 1]. */
  chance(probability: number): boolean;
  bytes(count: number): Uint8Array;
  pick<T>(items: readonly T[]): T;
  /** An independent source, so that drawing from one does not change the other. */
  fork(): SeededRandom;
}

export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  function below(limit: number): number {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError("below must be a positive integer");
    // 53 bits: two draws.
    return Math.floor(((next() * 0x200000 + (next() >>> 11)) / 2 ** 53) * limit);
  }

  return {
    below,
    chance: (probability) => next() < probability * 0x100000000,
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 255),
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
    fork: () => seededRandom(next()),
  };
}

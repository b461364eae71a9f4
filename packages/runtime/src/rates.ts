// Rates: how often something was done in the running minute, by the monotonic clock. What was counted in a minute is forgotten with it.
import { ratedKeysMax } from "./limits.ts";

export interface Rates {
  /** Times in the running minute. */
  count(key: string): number;
  add(key: string): void;
  /** Time until the running minute is over. */
  retryAfterMs(): number;
}

const minuteMs = 60_000;

export function createRates(nowMs: () => number): Rates {
  let minute = Number.NEGATIVE_INFINITY;
  let counts = new Map<string, number>();

  const current = (): Map<string, number> => {
    const now = Math.floor(nowMs() / minuteMs);
    if (now !== minute) {
      minute = now;
      counts = new Map();
    }
    return counts;
  };

  return {
    count: (key) => current().get(key) ?? 0,
    add(key) {
      const known = current();
      // Beyond the bound the oldest is forgotten: too little is counted for it, and memory stays as it is.
      if (known.size >= ratedKeysMax && !known.has(key)) {
        const [oldest] = known.keys();
        if (oldest !== undefined) known.delete(oldest);
      }
      known.set(key, (known.get(key) ?? 0) + 1);
    },
    retryAfterMs: () => Math.ceil(minuteMs - (((nowMs() % minuteMs) + minuteMs) % minuteMs)),
  };
}

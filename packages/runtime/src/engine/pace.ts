// Pace: how fast runs end, measured, so that whoever is refused is told when a place is likely to be free.
import { busyRetryMs, busyRetryMsMax, busyRetryMsMin, paceSamples } from "../limits.ts";

export interface Pace {
  /** A run has ended. */
  ended(): void;
  /** Time until the next end, by the last ones; `busyRetryMs` while nothing was measured. */
  retryAfterMs(): number;
  /** Ends in a second, or null while nothing was measured. */
  perSecond(): number | null;
}

export function createPace(nowMs: () => number): Pace {
  /** Monotonic times of the last ends, as a ring. */
  const ends: number[] = [];
  let next = 0;

  /** Also grows while nothing ends, so that a node that has come to a stop does not call everybody back at once. */
  const meanMs = (): number | null => {
    const oldest = ends.length < paceSamples ? ends[0] : ends[next];
    if (oldest === undefined || ends.length < 2) return null;
    return (nowMs() - oldest) / (ends.length - 1);
  };

  return {
    ended() {
      ends[next] = nowMs();
      next = (next + 1) % paceSamples;
    },
    retryAfterMs() {
      const mean = meanMs();
      if (mean === null) return busyRetryMs;
      return Math.min(busyRetryMsMax, Math.max(busyRetryMsMin, Math.ceil(mean)));
    },
    perSecond() {
      const mean = meanMs();
      return mean === null || mean === 0 ? null : 1000 / mean;
    },
  };
}

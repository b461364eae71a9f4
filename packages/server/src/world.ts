// The only place where the process's clock, timers and randomness are read.
import { randomInt } from "node:crypto";
import type { AbortSignalLike } from "@writ/core/capability";
import type { Entropy, World } from "@writ/core/ports";
import { nodeEntropy } from "@writ/store/node-crypto";

/** Longest single timer of the platform; longer sleeps are chained. */
const timerMsMax = 2 ** 31 - 1;

export const systemWorld: World = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  randomBelow: (below) => randomInt(below),
  async sleep(ms, signal) {
    const until = performance.now() + ms;
    for (let left = ms; left > 0; left = until - performance.now()) {
      await timer(Math.min(left, timerMsMax), signal);
    }
    if (signal?.aborted === true) throw abortReason(signal);
  },
};

export const systemEntropy: Entropy = nodeEntropy;

function timer(ms: number, signal: AbortSignalLike | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = () => {
      clearTimeout(handle);
      reject(abortReason(signal));
    };
    const handle = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort);
  });
}

function abortReason(signal: AbortSignalLike | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error("aborted");
}

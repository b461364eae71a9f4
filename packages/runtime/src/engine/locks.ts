// Locks: one resource, one writer. Held from before the gate looks until the outcome is recorded.
//   L1  Writers exclude everybody; readers exclude writers. Waiters are served in the order in which they came.
//   L2  All locks of a step are taken at once or not at all, so that no two steps can wait for each other.
//   L3  Whoever looked before a writer let go must look again: `changedSince` says so, sometimes needlessly, never too seldom.

import { rememberedLocksMax } from "../limits.ts";

export interface LockRequest {
  readonly key: string;
  readonly exclusive: boolean;
}

export interface Locks {
  /** Takes all or none; returns what gives them back, or undefined when somebody else stands in the way. */
  tryTake(requests: readonly LockRequest[]): (() => void) | undefined;
  /** Waits in line. */
  take(requests: readonly LockRequest[]): Promise<() => void>;
  /** A mark for `changedSince`. */
  mark(): number;
  changedSince(requests: readonly LockRequest[], mark: number): boolean;
  /** Keys that are held now. */
  held(): readonly string[];
}

interface Holder {
  readers: number;
  writer: boolean;
}

export function createLocks(): Locks {
  const holders = new Map<string, Holder>();
  const waiters: {
    readonly requests: readonly LockRequest[];
    readonly grant: (release: () => void) => void;
  }[] = [];
  const written = new Map<string, number>();
  let forgottenBefore = 0;
  let clock = 0;

  const isFree = (requests: readonly LockRequest[]) =>
    requests.every(({ key, exclusive }) => {
      const holder = holders.get(key);
      return holder === undefined || (!holder.writer && !exclusive);
    });

  const hold = (requests: readonly LockRequest[]): (() => void) => {
    for (const { key, exclusive } of requests) {
      const holder = holders.get(key) ?? { readers: 0, writer: false };
      if (exclusive) holder.writer = true;
      else holder.readers += 1;
      holders.set(key, holder);
    }
    let given = false;
    return () => {
      if (given) return;
      given = true;
      clock += 1;
      for (const { key, exclusive } of requests) letGo(key, exclusive);
      serve();
    };
  };

  const letGo = (key: string, exclusive: boolean): void => {
    const holder = holders.get(key);
    if (holder === undefined) return;
    if (exclusive) {
      holder.writer = false;
      written.delete(key);
      written.set(key, clock);
      if (written.size > rememberedLocksMax) {
        const [oldest] = written;
        if (oldest !== undefined) {
          written.delete(oldest[0]);
          forgottenBefore = oldest[1];
        }
      }
    } else holder.readers -= 1;
    if (!holder.writer && holder.readers === 0) holders.delete(key);
  };

  /** In order; one who must wait holds up only those who want the same. */
  const serve = (): void => {
    const wanted = new Set<string>();
    for (let i = 0; i < waiters.length;) {
      const waiter = waiters[i];
      if (waiter === undefined) break;
      const blocked = waiter.requests.some(({ key }) => wanted.has(key));
      if (!blocked && isFree(waiter.requests)) {
        waiters.splice(i, 1);
        waiter.grant(hold(waiter.requests));
      } else {
        for (const { key } of waiter.requests) wanted.add(key);
        i += 1;
      }
    }
  };

  const isWanted = (requests: readonly LockRequest[]) =>
    waiters.some((waiter) =>
      waiter.requests.some(({ key }) => requests.some((request) => request.key === key)),
    );

  return {
    tryTake(requests) {
      const merged = merge(requests);
      return isFree(merged) && !isWanted(merged) ? hold(merged) : undefined;
    },
    take(requests) {
      const merged = merge(requests);
      if (isFree(merged) && !isWanted(merged)) return Promise.resolve(hold(merged));
      return new Promise((grant) => waiters.push({ requests: merged, grant }));
    },
    mark: () => clock,
    changedSince: (requests, mark) =>
      requests.length > 0 &&
      (mark < forgottenBefore || requests.some(({ key }) => (written.get(key) ?? -1) > mark)),
    held: () => [...holders.keys()],
  };
}

function merge(requests: readonly LockRequest[]): readonly LockRequest[] {
  if (requests.length < 2) return requests;
  const keys = new Map<string, boolean>();
  for (const { key, exclusive } of requests) keys.set(key, exclusive || (keys.get(key) ?? false));
  return [...keys].map(([key, exclusive]) => ({ key, exclusive }));
}

// Locks: one path, one writer. Held from before the gate looks until the outcome is recorded.
//   L1  Writers exclude everybody; readers exclude writers. Waiters are served by `order.ts`; a reader never passes a writer that
//       stands before it, so writers do not starve.
//   L2  All locks of a step are taken at once or not at all, so that no two steps can wait for each other.
//   L3  Whoever looked before a writer let go must look again: `changedSince` says so, sometimes needlessly, never too seldom.
//   L4  A lock on a folder (`tree`) stands for everything below it, and excludes as if it named all of it.
//   L5  A waiter only waits for holders and for waiters before it that want the same; it holds nothing. So there is no circle.
// Nobody waits: one look into a map for each key. Trees are few; each is compared with what is held.
import type { RunId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { rememberedLocksMax } from "../limits.ts";
import { dueOf, type Claim } from "./claim.ts";
import type { ActiveRun } from "./core.ts";
import { insert, isBefore, remove, type Ticket } from "./order.ts";

export interface LockRequest {
  readonly key: string;
  readonly exclusive: boolean;
  /** Stands for everything below `key` as well: for `/`-separated keys. */
  readonly tree?: true;
}

/** What is held together and given back together. */
export interface Grant {
  readonly requests: readonly LockRequest[];
  readonly claim: Claim;
}

export interface LockWaiter extends Ticket {
  readonly requests: readonly LockRequest[];
  readonly claim: Claim;
}

export interface Locks {
  /** Takes all or none; undefined when somebody else stands in the way. */
  tryTake(requests: readonly LockRequest[], claim: Claim): Grant | undefined;
  /** Waits in line. @throws runtime.busy when as many wait as may */
  take(requests: readonly LockRequest[], claim: Claim): Promise<Grant>;
  /** Gives back; a second time does nothing. */
  release(grant: Grant): void;
  /** A mark for `changedSince`. */
  mark(): number;
  changedSince(requests: readonly LockRequest[], mark: number): boolean;
  /** Puts the waiters of a run in their place again: its priority has changed, or somebody waits for it. */
  reorder(run: ActiveRun): void;
  /** In the order in which they are served. */
  waiters(): readonly LockWaiter[];
  /** Until `unbar` only steps of this run, and whatever is taken back, get these keys. */
  bar(run: RunId, keys: readonly string[]): void;
  unbar(run: RunId): void;
  /** The node stops: what runs kept for their undo is let go, since that undo comes after the restart, and waiters must not hang. */
  abandon(): void;
  /** Runs that keep something of this for their undo. */
  barrers(waiter: Pick<LockWaiter, "requests">): readonly RunId[];
  /** What is held now, by whom. */
  grants(): readonly Grant[];
  /** The grants that keep this waiter from what it wants. */
  blockers(waiter: Pick<LockWaiter, "requests">): readonly Grant[];
}

export interface LocksOptions {
  readonly nowMs: () => number;
  readonly waitersMax: number;
  readonly retryAfterMs: () => number;
  /** Somebody begins to wait; those who hold what it wants may inherit its place, or have to give way. */
  readonly waits: (waiter: LockWaiter) => void;
}

interface Waiter extends LockWaiter {
  readonly grant: (grant: Grant) => void;
}

interface Holder {
  readers: number;
  writer: boolean;
}

export function createLocks(options: LocksOptions): Locks {
  const holders = new Map<string, Holder>();
  const trees = new Set<LockRequest>();
  const grants = new Set<Grant>();
  /** Every waiter, in order; and the same by key, so that a release looks only at those whom it may concern. */
  const line: Waiter[] = [];
  const byKey = new Map<string, Waiter[]>();
  const bars = new Map<string, RunId>();
  let treesWanted = 0;
  const written = new Map<string, number>();
  let forgottenBefore = 0;
  let treeWrittenAt = -1;
  let clock = 0;
  let numbers = 0;

  /** What is taken back passes every bar: two runs that keep locks for their undo would else wait for each other. */
  const isBarred = (requests: readonly LockRequest[], { run, purpose }: Claim): boolean =>
    purpose !== "undo" && barrersOf(requests).some((owner) => owner !== run.run);

  const barrersOf = (requests: readonly LockRequest[]): readonly RunId[] =>
    [...bars].flatMap(([key, owner]) => (requests.some((request) => covers(request, key)) ? [owner] : []));

  const isFree = (requests: readonly LockRequest[], claim: Claim): boolean => {
    if (bars.size > 0 && isBarred(requests, claim)) return false;
    for (const request of requests) {
      const holder = holders.get(request.key);
      if (holder !== undefined && (holder.writer || request.exclusive)) return false;
      if (trees.size > 0) {
        for (const tree of trees) {
          if ((tree.exclusive || request.exclusive) && isBelow(request.key, tree.key)) return false;
        }
      }
      if (request.tree === true) {
        for (const [key, held] of holders) {
          if ((held.writer || request.exclusive) && isBelow(key, request.key)) return false;
        }
      }
    }
    return true;
  };

  const hold = (requests: readonly LockRequest[], claim: Claim): Grant => {
    for (const request of requests) {
      const holder = holders.get(request.key);
      if (holder === undefined)
        holders.set(request.key, {
          readers: request.exclusive ? 0 : 1,
          writer: request.exclusive,
        });
      else if (request.exclusive) holder.writer = true;
      else holder.readers += 1;
      if (request.tree === true) trees.add(request);
    }
    const grant = { requests, claim };
    grants.add(grant);
    return grant;
  };

  const letGo = (request: LockRequest): void => {
    const { key, exclusive } = request;
    if (request.tree === true) trees.delete(request);
    const holder = holders.get(key);
    if (holder === undefined) return;
    if (exclusive) {
      holder.writer = false;
      remember(key);
      if (request.tree === true) treeWrittenAt = clock;
    } else holder.readers -= 1;
    if (!holder.writer && holder.readers === 0) holders.delete(key);
  };

  const remember = (key: string): void => {
    written.delete(key);
    written.set(key, clock);
    if (written.size <= rememberedLocksMax) return;
    const [oldest] = written;
    if (oldest === undefined) return;
    written.delete(oldest[0]);
    forgottenBefore = oldest[1];
  };

  /** Somebody who stands before wants the same. */
  const isWanted = (requests: readonly LockRequest[], ticket: Ticket): boolean => {
    if (treesWanted > 0 || requests.some(({ tree }) => tree === true)) {
      return line.some((other) => isBefore(other, ticket) && conflict(other.requests, requests));
    }
    return requests.some(({ key, exclusive }) =>
      (byKey.get(key) ?? []).some(
        (other) =>
          isBefore(other, ticket) &&
          other.requests.some((held) => held.key === key && (held.exclusive || exclusive)),
      ),
    );
  };

  const ticketOf = (claim: Claim): Ticket => {
    const arrivedMs = options.nowMs();
    return { arrivedMs, number: numbers++, dueMs: dueOf(claim, arrivedMs) };
  };

  const tryTake = (requests: readonly LockRequest[], claim: Claim): Grant | undefined => {
    if (!isFree(requests, claim)) return undefined;
    return line.length === 0 || !isWanted(requests, ticketOf(claim)) ? hold(requests, claim) : undefined;
  };

  const enlist = (waiter: Waiter): void => {
    insert(line, waiter);
    for (const request of waiter.requests) {
      const queue = byKey.get(request.key);
      if (queue === undefined) byKey.set(request.key, [waiter]);
      else insert(queue, waiter);
      if (request.tree === true) treesWanted += 1;
    }
  };

  const strike = (waiter: Waiter): void => {
    remove(line, waiter);
    for (const request of waiter.requests) {
      const queue = byKey.get(request.key);
      if (queue === undefined) continue;
      remove(queue, waiter);
      if (queue.length === 0) byKey.delete(request.key);
      if (request.tree === true) treesWanted -= 1;
    }
  };

  const serve = (waiter: Waiter): void => {
    strike(waiter);
    waiter.grant(hold(waiter.requests, waiter.claim));
  };

  /** Those who wait for a key that was let go, in order, until the first that bars the others. */
  const serveKey = (key: string): void => {
    for (let i = 0; ;) {
      const waiter = byKey.get(key)?.[i];
      if (waiter === undefined) return;
      if (isFree(waiter.requests, waiter.claim) && !isWanted(waiter.requests, waiter)) serve(waiter);
      else if (waiter.requests.some((request) => request.key === key && request.exclusive)) return;
      else i += 1;
    }
  };

  const serveAll = (): void => {
    for (let i = 0; i < line.length;) {
      const waiter = line[i];
      if (waiter === undefined) return;
      if (isFree(waiter.requests, waiter.claim) && !isWanted(waiter.requests, waiter)) serve(waiter);
      else i += 1;
    }
  };

  return {
    tryTake: (requests, claim) => tryTake(merge(requests), claim),
    take(requests, claim) {
      const merged = merge(requests);
      const taken = tryTake(merged, claim);
      if (taken !== undefined) return Promise.resolve(taken);
      if (claim.purpose === "effect" && line.length >= options.waitersMax) {
        const { waitersMax } = options;
        return Promise.reject(
          fault("runtime.busy", `Cannot wait for what step \`${claim.step}\` would touch: too many wait`, {
            waiting: line.length,
            waitingMax: waitersMax,
            retryAfterMs: options.retryAfterMs(),
          }),
        );
      }
      return new Promise((grant) => {
        const waiter = { ...ticketOf(claim), requests: merged, claim, grant };
        enlist(waiter);
        options.waits(waiter);
      });
    },
    release(grant) {
      if (!grants.delete(grant)) return;
      clock += 1;
      for (const request of grant.requests) letGo(request);
      if (line.length === 0) return;
      if (treesWanted > 0 || grant.requests.some(({ tree }) => tree === true)) serveAll();
      else for (const { key } of grant.requests) serveKey(key);
    },
    mark: () => clock,
    changedSince: (requests, mark) =>
      requests.length > 0 &&
      (mark < forgottenBefore ||
        mark < treeWrittenAt ||
        requests.some(
          ({ key, tree }) =>
            (written.get(key) ?? -1) > mark ||
            (tree === true && [...written].some(([other, at]) => at > mark && isBelow(other, key))),
        )),
    reorder(run) {
      const moved = line.filter((waiter) => waiter.claim.run === run);
      for (const waiter of moved) {
        const dueMs = dueOf(waiter.claim, waiter.arrivedMs);
        if (dueMs === waiter.dueMs) continue;
        strike(waiter);
        waiter.dueMs = dueMs;
        enlist(waiter);
      }
      // Whoever stood behind one that has moved back may be free to go.
      if (moved.length > 0) serveAll();
    },
    bar(run, keys) {
      for (const key of keys) bars.set(key, run);
    },
    unbar(run) {
      for (const [key, owner] of bars) if (owner === run) bars.delete(key);
      serveAll();
    },
    abandon() {
      bars.clear();
      serveAll();
    },
    barrers: ({ requests }) => barrersOf(requests),
    waiters: () => line,
    grants: () => [...grants],
    blockers: ({ requests }) => [...grants].filter((grant) => conflict(grant.requests, requests)),
  };
}

function conflict(held: readonly LockRequest[], wanted: readonly LockRequest[]): boolean {
  return held.some((one) =>
    wanted.some(
      (other) =>
        (one.exclusive || other.exclusive) &&
        (one.key === other.key ||
          (one.tree === true && isBelow(other.key, one.key)) ||
          (other.tree === true && isBelow(one.key, other.key))),
    ),
  );
}

function covers(request: LockRequest, key: string): boolean {
  return request.key === key || (request.tree === true && isBelow(key, request.key));
}

function isBelow(key: string, folder: string): boolean {
  return (
    key.length > folder.length &&
    key.startsWith(folder) &&
    (folder.endsWith("/") || key[folder.length] === "/")
  );
}

function merge(requests: readonly LockRequest[]): readonly LockRequest[] {
  if (requests.length < 2) return requests;
  const keys = new Map<string, LockRequest>();
  for (const request of requests) {
    const known = keys.get(request.key);
    if (known === undefined) keys.set(request.key, request);
    else {
      const exclusive = known.exclusive || request.exclusive;
      const tree = known.tree === true || request.tree === true;
      keys.set(request.key, { key: request.key, exclusive, ...(tree ? { tree } : {}) });
    }
  }
  return [...keys.values()];
}

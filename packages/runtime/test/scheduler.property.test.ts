// The lines of the scheduler on their own, over random arrivals: nobody in the way of anybody, and nobody for ever.
import fc from "fast-check";
import { expect, test } from "vitest";
import { priorities, type Priority } from "@writ/core/event";
import { capabilityId, runId, stepId } from "@writ/core/ids";
import { stuckRuns } from "../src/engine/circle.ts";
import type { Claim } from "../src/engine/claim.ts";
import { createLocks, type Grant, type LockRequest } from "../src/engine/locks.ts";
import { waitMsMax } from "../src/engine/order.ts";
import { createPermits, type Room } from "../src/engine/permits.ts";

/** What a line reads of a run. */
function claim(priority: Priority = "normal", name = "s"): Claim {
  const run = {
    state: { priority, prepared: { steps: new Map() } },
    inheritedDueMs: Number.POSITIVE_INFINITY,
  };
  return { run: run as never, step: stepId(name), purpose: "effect" };
}

function locksAt(nowMs: () => number, waitersMax = 1000) {
  return createLocks({ nowMs, waitersMax, retryAfterMs: () => 7, waits: () => undefined });
}

const request = fc.record({
  key: fc.constantFrom("a", "a/x", "a/x/y", "ab", "b"),
  exclusive: fc.boolean(),
  isTree: fc.boolean(),
});

const requestOf = ({
  key,
  exclusive,
  isTree,
}: {
  readonly key: string;
  readonly exclusive: boolean;
  readonly isTree: boolean;
}): LockRequest => ({ key, exclusive, ...(isTree ? { tree: true } : {}) });

const covers = (one: LockRequest, other: LockRequest): boolean =>
  one.key === other.key || (one.tree === true && other.key.startsWith(`${one.key}/`));

const clash = (one: LockRequest, other: LockRequest): boolean =>
  (one.exclusive || other.exclusive) && (covers(one, other) || covers(other, one));

test("L1 L2 L4 L5 locks: writers alone, readers together, folders with what is below, all at once, everybody served", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          wants: fc.array(request, { minLength: 1, maxLength: 3 }),
          priority: fc.constantFrom(...priorities),
        }),
        { maxLength: 14 },
      ),
      async (arrivals) => {
        let now = 0;
        const locks = locksAt(() => now);
        const holding: Grant[] = [];
        const granted = arrivals.map(async ({ wants, priority }) => {
          now += 100;
          const grant = await locks.take(wants.map(requestOf), claim(priority));
          for (const other of holding) {
            for (const mine of grant.requests)
              for (const theirs of other.requests) expect(clash(mine, theirs)).toBe(false);
          }
          holding.push(grant);
        });
        // L5: who waits holds nothing, so nobody waits in a circle.
        const waiting = new Set(locks.waiters().map((waiter) => waiter.claim));
        for (const grant of locks.grants()) expect(waiting.has(grant.claim)).toBe(false);
        for (let i = 0; i < arrivals.length * 2 + 1; i++) {
          await Promise.resolve();
          await Promise.resolve();
          const done = holding.shift();
          if (done !== undefined) locks.release(done);
        }
        await Promise.all(granted);
        for (const grant of holding) locks.release(grant);
        expect([locks.grants(), locks.waiters()]).toEqual([[], []]);
      },
    ),
  );
});

test("L3 who looked while another wrote is told so, also by what happened to the folder above or the files below", () => {
  const locks = locksAt(() => 0);
  const write = (key: string, tree: boolean): LockRequest[] => [
    { key, exclusive: true, ...(tree ? { tree: true as const } : {}) },
  ];
  const mark = locks.mark();
  const grant = locks.tryTake(write("a", false), claim());
  expect(locks.tryTake([{ key: "a", exclusive: false }], claim())).toBeUndefined();
  if (grant === undefined) throw new Error("not granted");
  locks.release(grant);
  locks.release(grant);
  expect([
    locks.changedSince(write("a", false), mark),
    locks.changedSince(write("a", false), locks.mark()),
    locks.changedSince(write("b", false), mark),
  ]).toEqual([true, false, false]);
  const later = locks.mark();
  const below = locks.tryTake(write("f/x", false), claim());
  if (below === undefined) throw new Error("not granted");
  expect(locks.tryTake([{ key: "f", exclusive: false, tree: true }], claim())).toBeUndefined();
  locks.release(below);
  expect(locks.changedSince([{ key: "f", exclusive: false, tree: true }], later)).toBe(true);
  expect(locks.changedSince([{ key: "f", exclusive: false }], later)).toBe(false);
  const folder = locks.tryTake(write("g", true), claim());
  if (folder === undefined) throw new Error("not granted");
  locks.release(folder);
  expect(locks.changedSince(write("g/deep/file", false), later)).toBe(true);
});

/** One place, arrivals at random times, each served for a while: who was served, in order. */
async function serve(
  arrivals: readonly { readonly afterMs: number; readonly priority: Priority; readonly servedMs: number }[],
): Promise<readonly { readonly number: number; readonly arrivedMs: number; readonly priority: Priority }[]> {
  let now = 0;
  const locks = locksAt(() => now);
  const served: { number: number; arrivedMs: number; priority: Priority }[] = [];
  const current: { grant: Grant; endsMs: number }[] = [];
  let number = 0;
  for (const { afterMs, priority, servedMs } of arrivals) {
    const untilMs = now + afterMs;
    await pass(untilMs);
    now = untilMs;
    const arrived = { number: number++, arrivedMs: now, priority };
    void locks.take([{ key: "k", exclusive: true }], claim(priority)).then((grant) => {
      served.push(arrived);
      current.push({ grant, endsMs: now + servedMs });
    });
    await settle();
  }
  await pass(Number.POSITIVE_INFINITY);
  return served;

  async function settle(): Promise<void> {
    for (let i = 0; i < 4; i++) await Promise.resolve();
  }
  async function pass(untilMs: number): Promise<void> {
    for (let first = current[0]; first !== undefined && first.endsMs <= untilMs; first = current[0]) {
      now = Math.max(now, first.endsMs);
      current.shift();
      locks.release(first.grant);
      await settle();
    }
  }
}

const arrivals = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 4000 }),
    priority: fc.constantFrom(...priorities),
    servedMs: fc.integer({ min: 1, max: 6000 }),
  }),
  { minLength: 2, maxLength: 40 },
);

test("K32 J2 nobody is overtaken by whoever arrives later than its longest wait, over random arrivals", async () => {
  await fc.assert(
    fc.asyncProperty(arrivals, async (given) => {
      const served = await serve(given);
      expect(served.length).toBe(given.length);
      for (const [place, one] of served.entries()) {
        for (const before of served.slice(0, place)) {
          if (before.arrivedMs <= one.arrivedMs) continue;
          expect(before.arrivedMs).toBeLessThan(
            one.arrivedMs + waitMsMax[one.priority] - waitMsMax[before.priority],
          );
        }
      }
    }),
  );
});

test("K31 J1 whoever waits is overtaken by a higher priority that arrives soon enough", async () => {
  const busy = { afterMs: 0, priority: "normal", servedMs: 3000 } as const;
  const all = priorities.map((priority) => ({ afterMs: 1, priority, servedMs: 1 }));
  const served = await serve([busy, ...all.toReversed()]);
  expect(served.slice(1).map(({ priority }) => priority)).toEqual(priorities);
});

test("K32 J2 a flood of critical waiters does not keep a background one waiting for ever", async () => {
  const flood = Array.from({ length: 300 }, () => ({
    afterMs: 500,
    priority: "critical" as const,
    servedMs: 600,
  }));
  const served = await serve([
    { afterMs: 0, priority: "critical", servedMs: 600 },
    { afterMs: 1, priority: "background", servedMs: 1 },
    ...flood,
  ]);
  const place = served.findIndex(({ priority }) => priority === "background");
  expect(place).toBeGreaterThan(200);
  expect(place).toBeLessThan(250);
});

test("L1 readers that keep coming do not starve a writer", async () => {
  let now = 0;
  const locks = locksAt(() => now);
  const order: string[] = [];
  const read = () => locks.take([{ key: "k", exclusive: false }], claim());
  const first = await read();
  const writer = locks.take([{ key: "k", exclusive: true }], claim()).then((grant) => {
    order.push("writer");
    return grant;
  });
  now = 1;
  const reader = read().then(() => order.push("reader"));
  locks.release(first);
  locks.release(await writer);
  await reader;
  expect(order).toEqual(["writer", "reader"]);
});

test("Y5 runs that keep locks for their undo do not wait for each other, and nobody else passes them", () => {
  const locks = locksAt(() => 0);
  const want = [{ key: "k", exclusive: true }];
  const as = (run: string, purpose: "effect" | "undo"): Claim => {
    const made = claim("critical", run);
    return { ...made, purpose, run: { ...made.run, run: runId(run) } };
  };
  locks.bar(runId("r_aaaaaaaa"), ["k"]);
  locks.bar(runId("r_bbbbbbbb"), ["j"]);
  expect(locks.tryTake(want, as("r_cccccccc", "effect"))).toBeUndefined();
  expect(locks.barrers({ requests: want })).toEqual([runId("r_aaaaaaaa")]);
  const undo = locks.tryTake(want, as("r_bbbbbbbb", "undo"));
  if (undo === undefined) throw new Error("the undo waits");
  locks.release(undo);
  locks.unbar(runId("r_aaaaaaaa"));
  expect(locks.tryTake(want, as("r_cccccccc", "effect"))).toBeDefined();
});

test("J3 a waiter whose priority rises, or for whom somebody waits, takes its new place", async () => {
  const locks = locksAt(() => 0);
  const order: string[] = [];
  const first = await locks.take([{ key: "k", exclusive: true }], claim());
  const low = claim("low", "low");
  const wait = (who: Claim) =>
    locks.take([{ key: "k", exclusive: true }], who).then((grant) => {
      order.push(who.step);
      locks.release(grant);
    });
  const waits = [wait(claim("normal", "normal")), wait(low), wait(claim("background", "background"))];
  (low.run as { inheritedDueMs: number }).inheritedDueMs = 500;
  locks.reorder(low.run);
  locks.release(first);
  await Promise.all(waits);
  expect(order).toEqual(["low", "normal", "background"]);
});

test("B2 B3 permits: bounded, in order, cooled down, refused with a time when too many wait", async () => {
  let now = 0;
  const timers: { atMs: number; then: () => void }[] = [];
  const permits = createPermits({
    nowMs: () => now,
    after: (ms, then) => timers.push({ atMs: now + ms, then }),
    activeMax: 3,
    waitersMax: 3,
    retryAfterMs: () => 7,
    limitsOf: (module) => (module === "slow" ? { parallelMax: 2, cooldownMs: 100 } : undefined),
  });
  const slow = capabilityId("slow.act@1.0.0");
  const free = capabilityId("free.act@1.0.0");
  const order: string[] = [];
  const rooms: Room[] = [];
  const take = (priority: Priority) =>
    permits.take(slow, claim(priority)).then((room) => {
      order.push(`${priority} at ${now}`);
      rooms.push(room);
    });
  const pass = async (untilMs: number): Promise<void> => {
    for (let i = 0; i < 8; i++) await Promise.resolve();
    for (;;) {
      timers.sort((a, b) => a.atMs - b.atMs);
      const next = timers[0];
      if (next === undefined || next.atMs > untilMs) break;
      timers.shift();
      now = Math.max(now, next.atMs);
      next.then();
      for (let i = 0; i < 8; i++) await Promise.resolve();
    }
    now = untilMs;
  };
  const waits = [take("normal"), take("low"), take("high"), take("normal")];
  await expect(permits.take(slow, claim())).rejects.toMatchObject({
    code: "runtime.busy",
    facts: { module: "slow", retryAfterMs: 7 },
  });
  await pass(1000);
  expect(order).toEqual(["normal at 0", "high at 100"]);
  // The module is full; the node has one place left.
  const other = permits.tryTake(free);
  expect([other?.name, permits.tryTake(free)]).toEqual(["free", undefined]);
  for (const room of rooms.splice(0)) permits.release(room);
  await pass(1000);
  await pass(2000);
  expect(order.slice(2)).toEqual(["normal at 1000", "low at 1100"]);
  await Promise.all(waits);
  for (const room of rooms) permits.release(room);
  if (other !== undefined) permits.release(other);
  expect(permits.rooms().map(({ name, active, line }) => [name, active, line.length])).toEqual([
    ["", 0, 0],
    ["free", 0, 0],
    ["slow", 0, 0],
  ]);
});

test("J4 runs that wait in a circle are found, and nobody else", () => {
  const all = (run: string, ...runs: readonly string[]) => ({
    run: runId(`r_${run.repeat(8)}`),
    groups: [{ need: "all" as const, runs: runs.map((name) => runId(`r_${name.repeat(8)}`)) }],
  });
  const any = (run: string, ...runs: readonly string[]) => ({
    ...all(run),
    groups: all(run, ...runs).groups.map((group) => ({ ...group, need: "any" as const })),
  });
  const names = (waits: Parameters<typeof stuckRuns>[0]) => stuckRuns(waits).map((run) => run[2]);
  expect(names([all("a", "b"), all("b", "c")])).toEqual([]);
  expect(names([all("a", "b"), all("b", "a"), all("d", "a"), all("e", "f")])).toEqual(["a", "b", "d"]);
  expect(names([all("a", "b"), any("b", "a", "c")])).toEqual([]);
  expect(names([all("a", "b"), any("b", "a", "c"), all("c", "a")])).toEqual(["a", "b", "c"]);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 12 }), (edges) => {
      // Along an order nobody is ever stuck.
      const ordered = edges.filter(([from, to]) => from < to);
      const waits = ordered.map(([from, to]) => all("abcdefgh"[from] ?? "", "abcdefgh"[to] ?? ""));
      expect(names(waits)).toEqual([]);
    }),
  );
});

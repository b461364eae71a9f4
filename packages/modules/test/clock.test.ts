import { expect, test } from "vitest";
import type { EventSource, MissedSightings, Sighting, World } from "@writ/core/ports";
import type { ValueMap } from "@writ/core/value";
import { cron, interval, once, tick } from "@writ/modules/clock";
import { bench } from "./support.ts";

/** A clock that jumps to the end of every sleep, until it reaches a time; then the session is stopped. */
async function ticksUntil(
  config: ValueMap,
  times: { readonly fromMs: number; readonly toMs: number; readonly cursor?: ValueMap },
): Promise<readonly Sighting[]> {
  using b = bench();
  let nowMs = times.fromMs;
  let stop = () => {};
  const ended = new Promise<void>((resolve) => (stop = resolve));
  const world: World = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    randomBelow: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (nowMs + ms > times.toMs) {
          stop();
          signal?.addEventListener("abort", () => reject(new Error("aborted")));
          return;
        }
        nowMs += ms;
        resolve();
      }),
  };
  const sightings: Sighting[] = [];
  const session = await tick.start({
    config,
    workspace: b.context().workspace,
    cursor: times.cursor ?? null,
    world,
    seen: (key) => sightings.some((each) => each.key === key),
    report: async (sighting) => void sightings.push(sighting),
    problem: (error) => {
      throw error;
    },
  });
  await ended;
  await session.stop();
  return sightings;
}

const scheduled = (sightings: readonly Sighting[]) => sightings.map((each) => each.event.data["scheduledMs"]);

test("T1 ticks lie on a fixed grid, whenever the node started", async () => {
  expect(scheduled(await ticksUntil({ every_ms: 60_000 }, { fromMs: 90_000, toMs: 300_000 }))).toEqual([
    120_000, 180_000, 240_000, 300_000,
  ]);
});

test("T2 times missed while nobody listened become one catch-up tick", async () => {
  const sightings = await ticksUntil(
    { every_ms: 60_000 },
    { fromMs: 310_000, toMs: 360_000, cursor: { lastMs: 60_000 } },
  );
  expect(sightings.map((each) => each.event.data)).toEqual([
    { scheduledMs: 300_000, catchUp: true, missed: 3 },
    { scheduledMs: 360_000, catchUp: false, missed: 0 },
  ]);
  expect(sightings.at(-1)?.cursor).toEqual({ lastMs: 360_000 });
});

test("T1 cron times follow the zone over the change to summer time", async () => {
  const from = Date.UTC(2026, 2, 28, 0, 0);
  const sightings = await ticksUntil(
    { cron: "30 8 * * *", zone: "Europe/Paris" },
    { fromMs: from, toMs: from + 2 * 24 * 3_600_000 },
  );
  expect(scheduled(sightings).map((ms) => new Date(Number(ms)).toISOString())).toEqual([
    "2026-03-28T07:30:00.000Z",
    "2026-03-29T06:30:00.000Z",
  ]);
});

test("T3 a clock that jumped back repeats nothing", async () => {
  expect(
    await ticksUntil({ every_ms: 60_000 }, { fromMs: 60_000, toMs: 290_000, cursor: { lastMs: 300_000 } }),
  ).toEqual([]);
});

test("T4 a schedule that is none is a fault", async () => {
  for (const config of [
    {},
    { every_ms: 1000, cron: "* * * * *" },
    { cron: "no" },
    { cron: "* * * * *", zone: "Mars/Base" },
  ]) {
    await expect(ticksUntil(config, { fromMs: 0, toMs: 0 })).rejects.toMatchObject({
      code: "clock.schedule-invalid",
    });
  }
});

interface Kept {
  readonly sightings: Sighting[];
  readonly missed: MissedSightings[];
  cursor: ValueMap | null;
  /** The node dies instead of reporting more than so many. */
  reportsLeft?: number;
}

/** A node's life from one time to another; what it recorded goes on into the next. `sleep` may set the clock. */
async function live(
  source: EventSource,
  config: ValueMap,
  times: { readonly fromMs: number; readonly toMs: number; readonly sinceMs?: number },
  kept: Kept = { sightings: [], missed: [], cursor: null },
  set: (nowMs: number) => number = (nowMs) => nowMs,
): Promise<Kept> {
  using b = bench();
  let nowMs = times.fromMs;
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const session = await source.start({
    config,
    workspace: b.context().workspace,
    cursor: kept.cursor,
    world: {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      randomBelow: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal?.addEventListener("abort", () => reject(new Error("aborted")));
          const at = set(nowMs + ms);
          if (at > times.toMs && at - nowMs === ms) return end();
          nowMs = at;
          resolve();
        }),
    },
    ...(times.sinceMs === undefined ? {} : { sinceMs: times.sinceMs }),
    seen: (key) => kept.sightings.some((each) => each.key === key),
    report: async (sighting) => {
      if (kept.reportsLeft === 0) throw new Error("died");
      if (kept.reportsLeft !== undefined) kept.reportsLeft -= 1;
      kept.sightings.push(sighting);
      kept.cursor = sighting.cursor;
    },
    missed: async (what) => {
      kept.missed.push(what);
      kept.cursor = what.cursor;
    },
    problem: (error) => {
      if (kept.reportsLeft !== 0) throw error;
      end();
    },
  });
  // A schedule that has come to its end sleeps no more.
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
  await session.stop();
  return kept;
}

const minute = 60_000;
const hour = 60 * minute;

test("T2 skip: times while the node was down are recorded as missed and start nothing", async () => {
  const kept = await live(interval, { every_ms: hour, missed: "skip" }, { fromMs: 0, toMs: 2 * hour });
  await live(
    interval,
    { every_ms: hour, missed: "skip" },
    { fromMs: 5 * hour + 30 * minute, toMs: 6 * hour },
    kept,
  );
  expect(scheduled(kept.sightings)).toEqual([hour, 2 * hour, 6 * hour]);
  expect(kept.missed).toMatchObject([
    { policy: "skip", count: 3, reported: 0, fromMs: 3 * hour, toMs: 5 * hour },
  ]);
  // Once recorded, a further restart does not count them again.
  await live(
    interval,
    { every_ms: hour, missed: "skip" },
    { fromMs: 6 * hour + 1, toMs: 7 * hour - 1 },
    kept,
  );
  expect(kept.missed).toHaveLength(1);
});

test("T2 once: of the times while the node was down one run is made up for", async () => {
  const kept = await live(interval, { every_ms: hour }, { fromMs: 0, toMs: hour });
  await live(interval, { every_ms: hour }, { fromMs: 5 * hour + 30 * minute, toMs: 6 * hour }, kept);
  expect(kept.sightings.map(({ event }) => event.data)).toEqual([
    { scheduledMs: hour, catchUp: false, missed: 0 },
    { scheduledMs: 5 * hour, catchUp: true, missed: 3 },
    { scheduledMs: 6 * hour, catchUp: false, missed: 0 },
  ]);
  expect(kept.missed).toMatchObject([{ policy: "once", count: 4, reported: 1 }]);
});

test.each(["once", "all"] as const)(
  "T2 %s: a crash while times are made up for counts none of them again",
  async (missed) => {
    const config = { every_ms: hour, missed };
    const kept = await live(interval, config, { fromMs: 0, toMs: hour });
    const times = { fromMs: 4 * hour + 30 * minute, toMs: 4 * hour + 31 * minute };
    // Dies when the missed times are recorded, then after each one that was made up for.
    for (kept.reportsLeft of [0, 1, 1, 1]) await live(interval, config, times, kept);
    delete kept.reportsLeft;
    expect(scheduled(kept.sightings)).toEqual(
      missed === "all" ? [1, 2, 3, 4].map((n) => n * hour) : [hour, 4 * hour],
    );
    expect(kept.missed).toMatchObject([{ count: 3, fromMs: 2 * hour, toMs: 4 * hour }]);
    // What is missed later is counted by itself.
    await live(interval, config, { fromMs: 6 * hour + 30 * minute, toMs: 6 * hour + 31 * minute }, kept);
    expect(kept.missed).toMatchObject([{ count: 3 }, { count: 2, fromMs: 5 * hour, toMs: 6 * hour }]);
  },
);

test("T2 all: every time is made up for, in order, up to a bound", async () => {
  const kept = await live(interval, { every_ms: hour, missed: "all" }, { fromMs: 0, toMs: hour });
  await live(
    interval,
    { every_ms: hour, missed: "all" },
    { fromMs: 4 * hour + 30 * minute, toMs: 5 * hour },
    kept,
  );
  expect(scheduled(kept.sightings)).toEqual([1, 2, 3, 4, 5].map((n) => n * hour));
  expect(kept.missed).toMatchObject([{ policy: "all", count: 3, reported: 3 }]);
  const many = await live(
    interval,
    { every_ms: minute, missed: "all" },
    { fromMs: 2000 * minute + 1, toMs: 2000 * minute + 2, sinceMs: 0 },
  );
  expect(many.sightings).toHaveLength(1000);
  expect(many.missed).toMatchObject([{ count: 1999, reported: 999, fromMs: minute }]);
});

test("T2 times between deployment and a first start are not lost", async () => {
  const kept = await live(
    cron,
    { cron: "0 * * * *", zone: "UTC" },
    { fromMs: 3.5 * hour, toMs: 3.6 * hour, sinceMs: 0 },
  );
  expect(scheduled(kept.sightings)).toEqual([3 * hour]);
});

test.each(["skip", "once", "all"])(
  "T1 K107 %s: never twice for one instant, wherever the node dies",
  async (missed) => {
    const config = { every_ms: minute, missed };
    const kept = await live(interval, config, { fromMs: 0, toMs: 5 * minute });
    for (let from = 5 * minute; from < 20 * minute; from += 20_000)
      await live(interval, config, { fromMs: from, toMs: from + 25_000 }, kept);
    const keys = kept.sightings.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toHaveLength(20);
  },
);

test("T3 a clock that jumps ahead misses times; set back by days it goes on, and repeats nothing", async () => {
  const day = 24 * hour;
  let jumped = 0;
  const kept = await live(interval, { every_ms: hour }, { fromMs: 0, toMs: 5 * hour }, undefined, (nowMs) => {
    if (nowMs >= 2 * hour && jumped === 0) return (jumped = nowMs + 10 * day);
    if (nowMs >= 10 * day && jumped > 0) return 3 * hour;
    return nowMs;
  });
  const times = scheduled(kept.sightings);
  expect(new Set(times).size).toBe(times.length);
  expect(kept.missed[0]).toMatchObject({ policy: "once", fromMs: 2 * hour });
  expect(times.slice(-2)).toEqual([4 * hour, 5 * hour]);
});

test("T5 one time is told once, with its offset or on the clocks of the zone, also when it had passed", async () => {
  const atMs = Date.UTC(2026, 11, 24, 17);
  for (const config of [
    { at: "2026-12-24T18:00:00+01:00" },
    { at: "2026-12-24T18:00", zone: "Europe/Paris" },
    { at: "2026-12-24T18:00" },
  ]) {
    const kept = await live(once, config, { fromMs: atMs - hour, toMs: atMs + hour });
    expect(scheduled(kept.sightings)).toEqual([atMs]);
    await live(once, config, { fromMs: atMs + 2 * hour, toMs: atMs + 3 * hour }, kept);
    expect(kept.sightings).toHaveLength(1);
  }
  const late = await live(
    once,
    { at: "2026-12-24T17:00:00Z" },
    { fromMs: atMs + hour, toMs: atMs + 2 * hour },
  );
  expect(late.sightings.map(({ event }) => event.data["catchUp"])).toEqual([true]);
  const skipped = await live(
    once,
    { at: "2026-12-24T17:00:00Z", missed: "skip" },
    { fromMs: atMs + hour, toMs: atMs + 2 * hour },
  );
  expect([skipped.sightings.length, skipped.missed.length]).toEqual([0, 1]);
  for (const at of ["tomorrow at six o'clock", "2026-13-01T00:00:00Z", "every 0 8 * * * *****"])
    await expect(live(once, { at }, { fromMs: 0, toMs: 0 })).rejects.toMatchObject({
      code: "clock.schedule-invalid",
    });
});

test("T1 daylight saving: a time that does not exist or comes twice is told once a day", async () => {
  const config = { cron: "30 2 * * *", zone: "Europe/Paris" };
  const spring = Date.UTC(2026, 2, 28, 0);
  const inSpring = await live(cron, config, { fromMs: spring, toMs: spring + 72 * hour });
  expect(inSpring.sightings).toHaveLength(3);
  const autumn = Date.UTC(2026, 9, 24, 0);
  const inAutumn = await live(cron, config, { fromMs: autumn, toMs: autumn + 72 * hour });
  expect(inAutumn.sightings).toHaveLength(3);
});

import { expect, test } from "vitest";
import type { Sighting, World } from "@writ/core/ports";
import type { ValueMap } from "@writ/core/value";
import { tick } from "@writ/modules/clock";
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

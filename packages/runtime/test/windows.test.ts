import fc from "fast-check";
import { expect, test } from "vitest";
import type { TimeWindow } from "@writ/core/program";
import { isInWindow, nextInWindow } from "../src/triggers/windows.ts";

const at = (text: string) => Date.parse(text);
const from = (fromHour: number, toHour: number, zone: string, days: readonly number[] = []): TimeWindow => ({
  fromMinute: fromHour * 60,
  toMinute: toHour * 60,
  days,
  zone,
});
/** Hours of UTC, from the one given on, in which the window is open at half past. */
const openHours = (window: TimeWindow, start: string, hours: number) =>
  Array.from({ length: hours }, (_, hour) => at(start) + hour * 3_600_000 + 1_800_000)
    .filter((atMs) => isInWindow([window], atMs))
    .map((atMs) => new Date(atMs).toISOString().slice(8, 13));

test("K38 a window from 22 to 6 holds through the night, and is one hour shorter or longer where the clocks change", () => {
  const night = from(22, 6, "Europe/Paris");
  expect(openHours(night, "2026-01-10T18:00:00Z", 14)).toHaveLength(8);
  // Paris goes forward on 2026-03-29 at 01:00 UTC, back on 2026-10-25 at 01:00 UTC.
  expect(openHours(night, "2026-03-28T18:00:00Z", 14)).toEqual([
    "28T21",
    "28T22",
    "28T23",
    "29T00",
    "29T01",
    "29T02",
    "29T03",
  ]);
  expect(openHours(night, "2026-10-24T18:00:00Z", 14)).toHaveLength(9);
  // New York: forward on 2026-03-08 at 07:00 UTC, back on 2026-11-01 at 06:00 UTC.
  const american = from(22, 6, "America/New_York");
  expect(openHours(american, "2026-03-08T00:00:00Z", 18)).toHaveLength(7);
  expect(openHours(american, "2026-11-01T00:00:00Z", 18)).toHaveLength(9);
});

test("K39 a window is that of its own zone, and a night belongs to the day on which it began", () => {
  const friday = from(22, 6, "Europe/Paris", [5]);
  expect(isInWindow([friday], at("2026-01-02T21:30:00Z"))).toBe(true);
  expect(isInWindow([friday], at("2026-01-03T04:30:00Z"))).toBe(true);
  expect(isInWindow([friday], at("2026-01-03T21:30:00Z"))).toBe(false);
  expect(isInWindow([from(22, 6, "America/New_York", [5])], at("2026-01-02T21:30:00Z"))).toBe(false);
});

test.each([
  ["tonight", from(22, 6, "Europe/Paris"), "2026-01-10T12:00:00Z", "2026-01-10T21:00:00Z"],
  ["at once inside", from(22, 6, "Europe/Paris"), "2026-01-10T23:10:20Z", "2026-01-10T23:10:20Z"],
  ["on its day", from(8, 9, "Europe/Paris", [1]), "2026-01-06T12:00:00Z", "2026-01-12T07:00:00Z"],
  ["before the change", from(3, 4, "Europe/Paris"), "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"],
  ["after the change", from(12, 13, "Europe/Paris"), "2026-03-29T00:30:00Z", "2026-03-29T10:00:00Z"],
  ["after the fall", from(12, 13, "America/New_York"), "2026-11-01T04:30:00Z", "2026-11-01T17:00:00Z"],
] as const)("K38 a window opens %s", (_, window, now, opens) => {
  expect(new Date(nextInWindow([window], at(now)) ?? 0).toISOString()).toBe(
    new Date(at(opens)).toISOString(),
  );
});

test("K38 a window that begins in the hour that the clocks skip opens where they land", () => {
  // There is no 02:30 in Paris on 2026-03-29: 01:59 is followed by 03:00.
  const window: TimeWindow = { fromMinute: 150, toMinute: 240, days: [], zone: "Europe/Paris" };
  expect(nextInWindow([window], at("2026-03-28T22:00:00Z"))).toBe(at("2026-03-29T01:00:00Z"));
  const gone: TimeWindow = { fromMinute: 130, toMinute: 170, days: [], zone: "Europe/Paris" };
  expect(nextInWindow([gone], at("2026-03-29T00:00:00Z"))).toBe(at("2026-03-30T00:10:00Z"));
});

test("K38 what opens next is open then, and was not open a minute before", () => {
  const zones = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"];
  const window = fc.record({
    fromMinute: fc.integer({ min: 0, max: 1439 }),
    toMinute: fc.integer({ min: 0, max: 1439 }),
    days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { maxLength: 3 }),
    zone: fc.constantFrom(...zones),
  });
  // Around the changes of 2026, to the minute.
  const moments = fc
    .tuple(
      fc.constantFrom(
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-11-01T06:00:00Z",
      ),
      fc.integer({ min: -3000, max: 3000 }),
    )
    .map(([change, minutes]) => at(change) + minutes * 60_000);
  fc.assert(
    fc.property(window, moments, (one, nowMs) => {
      const opens = nextInWindow([one], nowMs);
      // One that lies wholly in an hour that is skipped may not open on the one day that it names.
      if (opens === null) return one.days.length > 0;
      if (!isInWindow([one], opens)) return false;
      return opens === nowMs || !isInWindow([one], opens - 60_000);
    }),
    { numRuns: 60 },
  );
});

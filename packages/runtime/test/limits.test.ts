import { expect, test } from "vitest";
import { priorities } from "@writ/core/event";
import { runsActiveMax } from "@writ/core/limits";
import {
  busyRetryMs,
  busyRetryMsMax,
  busyRetryMsMin,
  graceMs,
  lookBackChunk,
  lookBackEntriesMax,
  recentSightingsMax,
  stopGraceMs,
} from "@writ/runtime/limits";
import { waitMsMax } from "../src/engine/order.ts";

test("Q1 the limits fit together", () => {
  expect(graceMs).toBeLessThan(stopGraceMs);
  expect(lookBackChunk).toBeLessThan(lookBackEntriesMax);
  expect(recentSightingsMax).toBeGreaterThan(runsActiveMax);
});

test("Q1 J1 the longest waits grow as the priority falls, and times to try again have their bounds in order", () => {
  const waits = priorities.map((priority) => waitMsMax[priority]);
  expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  expect(waits[0]).toBeLessThanOrEqual(2000);
  expect(busyRetryMsMin).toBeLessThan(busyRetryMs);
  expect(busyRetryMs).toBeLessThan(busyRetryMsMax);
});

import { expect, test } from "vitest";
import { runsActiveMax } from "@writ/core/limits";
import {
  graceMs,
  lookBackChunk,
  lookBackEntriesMax,
  recentSightingsMax,
  stopGraceMs,
} from "@writ/runtime/limits";

test("Q1 the limits fit together", () => {
  expect(graceMs).toBeLessThan(stopGraceMs);
  expect(lookBackChunk).toBeLessThan(lookBackEntriesMax);
  expect(recentSightingsMax).toBeGreaterThan(runsActiveMax);
});

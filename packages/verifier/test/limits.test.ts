import { expect, test } from "vitest";
import * as limits from "@writ/verifier/limits";

test("V7 every limit is a positive number, and a query is given up before its thread", () => {
  for (const [name, value] of Object.entries(limits)) expect([name, value > 0]).toEqual([name, true]);
  expect(limits.solverGraceMs).toBeLessThan(limits.queryTimeoutMs);
  expect(limits.queryTimeoutMs).toBeLessThan(limits.solverStartMs);
});

import { expect, test, vi } from "vitest";
import { reasonToInstall } from "../scripts/setup.mjs";
import { countEffects } from "../scripts/count-effects.ts";
import { finish, newTally } from "../scripts/stages.mjs";

function lastLineOf(tally: ReturnType<typeof newTally>): {
  readonly status: number;
  readonly lines: readonly string[];
} {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  try {
    return { status: finish(tally), lines };
  } finally {
    log.mockRestore();
  }
}

test("N1 passed tests alone end well", () => {
  expect(lastLineOf({ ...newTally(), passed: 3 })).toEqual({
    status: 0,
    lines: ["3 passed, 0 failed, 0 skipped"],
  });
});

test("N1 a failed test, a failed stage and a run without tests end with a non-zero status", () => {
  expect(lastLineOf({ ...newTally(), passed: 3, failed: 1 }).status).toBe(1);
  expect(lastLineOf({ ...newTally(), passed: 3, failures: ["lint"] }).status).toBe(1);
  expect(lastLineOf(newTally()).status).toBe(1);
});

test("N2 K220 K224 a skipped test is printed with its reason and never counts as passed", () => {
  const { lines } = lastLineOf({
    ...newTally(),
    passed: 1,
    skipped: 1,
    skips: [{ name: "X", reason: "no kernel" }],
  });
  expect(lines).toEqual(["skipped, counted as missing: X: no kernel", "1 passed, 0 failed, 1 skipped"]);
});

test("N3 an installation is complete, stale, partial or absent", () => {
  const wanted = {
    "": { version: "0.1.0" },
    "packages/core": { version: "0.1.0" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "2.0.0", optional: true },
  };
  expect(reasonToInstall(wanted, undefined)).toBe("first start");
  expect(reasonToInstall(wanted, { "node_modules/a": { version: "1.0.0" } })).toBeNull();
  expect(reasonToInstall(wanted, { "node_modules/a": { version: "0.9.0" } })).toContain("a differs");
  expect(reasonToInstall(wanted, { "node_modules/b": { version: "2.0.0" } })).toContain("a differs");
});

test("N4 the kill campaign names every effect that is lost, doubled, half done or not taken back", () => {
  const well = {
    files: ["a.csv", "b.csv"],
    reportsAnswered: ["report-1"],
    reportsUnanswered: ["report-2", "report-3"],
    inApproved: ["a.csv", "b.csv"],
    journal: ["a.csv,1", "b.csv,2", ""],
    inReports: ["report-1.txt", "report-3.txt"],
    received: ["report-1", "report-3"],
  };
  expect(countEffects(well)).toEqual([]);
  const cases: readonly (readonly [Partial<typeof well>, RegExp])[] = [
    [{ inApproved: ["a.csv"] }, /lost: b.csv/],
    [{ journal: ["a.csv,1"] }, /lost: no journal line for b.csv/],
    [{ journal: ["a.csv,1", "b.csv,2", "b.csv,2"] }, /doubled: 2 journal lines/],
    [{ inApproved: ["a.csv", "b.csv", "a (1).csv"] }, /nobody's/],
    [{ received: ["report-1", "report-1", "report-3"] }, /doubled: report-1 was received 2 times/],
    [{ received: ["report-3"], inReports: ["report-3.txt"] }, /lost: report-1/],
    [{ inReports: ["report-1.txt"] }, /half done: report-3/],
    [{ inReports: ["report-1.txt", "report-3.txt", "failing-4-a.txt"] }, /not taken back: failing-4/],
  ];
  for (const [change, problem] of cases)
    expect(countEffects({ ...well, ...change }).join("\n")).toMatch(problem);
});

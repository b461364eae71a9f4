// Writes what a test run found as one JSON file: vitest's own JSON report knows neither the reason of a skip nor a file that
// could not be loaded.
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

interface SerializedProblem {
  readonly message?: string;
  readonly stack?: string;
  readonly diff?: string;
}

export default class TestReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedProblem[]): void {
    let passed = 0;
    const failed: { name: string; errors: string[] }[] = [];
    const skipped: { name: string; reason: string }[] = [];
    for (const module of modules) {
      const broken = module.errors();
      if (broken.length > 0) failed.push({ name: module.relativeModuleId, errors: broken.map(textOf) });
      for (const test of module.children.allTests()) {
        const name = `${module.relativeModuleId}: ${test.fullName}`;
        const result = test.result();
        if (result.state === "passed") passed++;
        else if (result.state === "failed") failed.push({ name, errors: result.errors.map(textOf) });
        else {
          const note = result.state === "skipped" ? result.note : "did not end";
          skipped.push({ name, reason: note ?? "no reason given" });
        }
      }
      for (const suite of module.children.allSuites()) {
        const errors = suite.errors();
        if (errors.length > 0)
          failed.push({ name: `${module.relativeModuleId}: ${suite.fullName}`, errors: errors.map(textOf) });
      }
    }
    if (unhandled.length > 0) failed.push({ name: "outside any test", errors: unhandled.map(textOf) });
    const report = process.env.WRIT_TEST_REPORT;
    if (report === undefined) throw new Error("WRIT_TEST_REPORT names no file");
    writeFileSync(report, JSON.stringify({ passed, failed, skipped }));
  }
}

const diffLinesMax = 60;

/** Message, difference and the lines of our own files: enough to find the place without running again. */
function textOf(error: SerializedProblem): string {
  const message = error.message ?? JSON.stringify(error);
  const diff = (error.diff ?? "").split("\n").slice(0, diffLinesMax);
  const places = (error.stack ?? "")
    .split("\n")
    .filter(
      (line) =>
        /^\s+at /.test(line) &&
        !line.includes("node_modules") &&
        !line.includes("node:") &&
        line.includes("/"),
    );
  return [message, ...diff, ...places].filter((line) => line !== "").join("\n");
}

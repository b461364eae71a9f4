// Stages of check and test: each is a command that passes or fails. All of them run, so that one report shows every failure.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root } from "./setup.mjs";

/**
 * What every full run adds up: tests by outcome, and stages that are no tests but failed.
 * @returns {{ passed: number, failed: number, skipped: number, skips: { name: string, reason: string }[], failures: string[] }}
 */
export function newTally() {
  return { passed: 0, failed: 0, skipped: 0, skips: [], failures: [] };
}

/** Runs one command; its output is shown when it fails, or as it comes when `live`. */
export async function runStage(tally, context, { name, command, live = false }) {
  const startedMs = Date.now();
  const { status, output } = await run(context, command, live);
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (status !== 0) {
    if (!live) console.log(output.trimEnd());
    tally.failures.push(name);
  }
  return status === 0;
}

/** Runs one vitest project and adds its tests to the tally. A file that cannot be loaded is a failure. */
export async function runTests(tally, context, project, extra = []) {
  const folder = mkdtempSync(path.join(tmpdir(), "writ-tests-"));
  const report = path.join(folder, "report.json");
  try {
    const startedMs = Date.now();
    const { status, output } = await run(
      { ...context, environment: { ...context.environment, WRIT_TEST_REPORT: report } },
      [
        tool("vitest/vitest.mjs"),
        "run",
        "--project",
        project,
        "--reporter=./scripts/test-reporter.ts",
        ...extra,
      ],
      false,
    );
    const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
    const result = readReport(report);
    tally.passed += result.passed;
    tally.failed += result.failed.length;
    tally.skipped += result.skipped.length;
    tally.skips.push(...result.skipped);
    const good = status === 0 && result.failed.length === 0;
    // A run that broke without naming a test (a crash of the runner) must still show.
    if (!good && result.failed.length === 0) tally.failures.push(`${project} tests`);
    const sums = `${result.passed} passed, ${result.failed.length} failed, ${result.skipped.length} skipped`;
    console.log(`${good ? "ok  " : "FAIL"} ${project} tests (${seconds} s): ${sums}`);
    for (const { name, errors } of result.failed) console.log(`  ✗ ${name}\n${indent(errors.join("\n"))}`);
    if (!good && result.failed.length === 0) console.log(output.trimEnd());
    return good;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prints skips and sums, the last line by itself, and returns the exit status. */
export function finish(tally) {
  for (const { name, reason } of tally.skips) console.log(`skipped, counted as missing: ${name}: ${reason}`);
  for (const name of tally.failures) console.log(`failed stage: ${name}`);
  const failed = tally.failed + tally.failures.length;
  if (tally.passed === 0 && failed === 0) console.log("no test ran, which is a failure");
  console.log(`${tally.passed} passed, ${failed} failed, ${tally.skipped} skipped`);
  return failed === 0 && tally.passed > 0 ? 0 : 1;
}

/** Path of a tool's script, run by our Node and not by whichever one its first line finds. */
export function tool(place) {
  return path.join(root, "node_modules", place);
}

function run({ node, environment }, command, live) {
  return new Promise((resolve) => {
    const child = spawn(node, command, {
      cwd: root,
      env: { ...environment, CI: environment.CI ?? "true", NO_COLOR: "1" },
      stdio: ["ignore", live ? "inherit" : "pipe", live ? "inherit" : "pipe"],
    });
    const chunks = [];
    child.stdout?.on("data", (chunk) => chunks.push(chunk));
    child.stderr?.on("data", (chunk) => chunks.push(chunk));
    child.on("error", (error) => resolve({ status: 1, output: error.message }));
    child.on("close", (code) =>
      resolve({ status: code ?? 1, output: Buffer.concat(chunks).toString("utf8") }),
    );
  });
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, failed: [], skipped: [] };
  }
}

function indent(text) {
  return text.replaceAll(/^/gm, "    ");
}

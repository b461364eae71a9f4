// Control over runs through a real node: its API, its files, its restarts.
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestNode, until, type TestNode } from "./harness.ts";

const file = "low-office-supplies.csv";
let node: TestNode;
let root: string;
let hash: string;
beforeEach(async () => {
  node = await openTestNode();
  root = (await node.call("listWorkspaces")).workspaces[0]?.root ?? "";
  hash = await deployed("When a CSV file arrives in the inbox, move it to approved.");
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

async function approved(text: string): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  await node.call("approveProgram", { params: { hash: outcome.program.hash } });
  return outcome.program.hash;
}
const next = "When a CSV file arrives in the inbox, move it to rejected.";
async function replacing(text: string, replaces: string): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text, replaces } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  await node.call("approveProgram", { params: { hash: outcome.program.hash } });
  return outcome.program.hash;
}
async function deployed(text: string): Promise<string> {
  const made = await approved(text);
  await node.call("deployProgram", { params: { hash: made } });
  return made;
}
/** A run of the sample, which stops before it moves the file. */
async function stopped(): Promise<string> {
  copyFileSync(path.join(root, "samples", file), path.join(root, "samples", "copy.csv"));
  const data = { path: "samples/copy.csv", name: "copy.csv", folder: "samples", sizeBytes: 1, modifiedMs: 0 };
  const started = await node.call("startRun", {
    params: { hash },
    query: { wait: true },
    body: { data, breakpoints: ["filesystem.*"] },
  });
  return started.run;
}
const show = (run: string) => node.call("getRun", { params: { run } });
const ended = (run: string) =>
  until(async () => {
    const shown = await show(run);
    return shown.endedAtMs === null ? undefined : shown;
  }, "the end of the run");

test("S85 a run stops at a breakpoint, is paused over a restart, and goes on with other parameters", async () => {
  const run = await stopped();
  const before = await show(run);
  const step = before.steps.find(({ intercepted }) => intercepted !== undefined);
  expect(before).toMatchObject({ status: "waiting", breakpoints: [{ where: "filesystem.*" }] });
  expect(step?.intercepted?.effect).toMatchObject({ params: { source: "samples/copy.csv" } });
  expect(existsSync(path.join(root, "samples", "copy.csv"))).toBe(true);
  expect(await node.call("pauseRun", { params: { run }, body: { reason: "lunch" } })).toMatchObject({
    status: "paused",
  });
  await node.restart();
  expect((await node.call("listRuns", { query: { status: "paused" } })).runs.map(({ id }) => id)).toEqual([
    run,
  ]);
  await expect(node.call("pauseRun", { params: { run } })).rejects.toMatchObject({ code: "run.paused" });
  await node.call("setPriority", { params: { run }, body: { priority: "high" } });
  await node.call("releaseStep", {
    params: { run, step: step?.id ?? "" },
    body: { params: { destination: "rejected/other.csv" }, comment: "not this one" },
  });
  await node.call("resumeRun", { params: { run } });
  const approval = await until(async () => {
    const { approvals } = await node.call("listApprovals");
    return approvals.find((one) => one.run === run);
  }, "the approval of the change");
  expect(approval.effects[0]?.params).toMatchObject({ destination: "rejected/other.csv" });
  await node.call("decideApproval", { params: { approval: approval.id }, body: { decision: "approve" } });
  const after = await ended(run);
  expect(after.status).toBe("finished");
  expect(after.steps.find(({ id }) => id === step?.id)?.changed).toMatchObject({
    params: { destination: "rejected/other.csv" },
  });
  expect(readFileSync(path.join(root, "rejected", "other.csv"))).toEqual(
    readFileSync(path.join(root, "samples", file)),
  );
});

test("S85 a step at a breakpoint is skipped with a reason that the record keeps", async () => {
  const run = await stopped();
  const step = (await show(run)).steps.find(({ intercepted }) => intercepted !== undefined)?.id ?? "";
  await node.call("skipStep", { params: { run, step }, body: { reason: "already filed" } });
  const after = await ended(run);
  expect(after.entries.map(({ text }) => text).join("\n")).toContain("already filed");
  expect(existsSync(path.join(root, "samples", "copy.csv"))).toBe(true);
});

test("S85 a run that failed goes on from the failed step, also after a restart", async () => {
  const started = await node.call("startRun", {
    params: { hash },
    query: { wait: true },
    body: {
      data: { path: "inbox/later.csv", name: "later.csv", folder: "inbox", sizeBytes: 1, modifiedMs: 0 },
    },
  });
  expect(started.status).toBe("failed");
  const { run } = started;
  const failed = (await show(run)).steps.find(({ state }) => state === "FAILED")?.id ?? "";
  await node.call("pauseProgram", { params: { hash } });
  copyFileSync(path.join(root, "samples", file), path.join(root, "inbox", "later.csv"));
  await node.restart();
  await node.call("retryStep", { params: { run, step: failed }, body: { reason: "it is there now" } });
  const after = await ended(run);
  expect(after).toMatchObject({ status: "finished", fault: null });
  expect(existsSync(path.join(root, "approved", "later.csv"))).toBe(true);
  await expect(node.call("retryStep", { params: { run, step: failed } })).rejects.toMatchObject({
    code: "run.order",
  });
});

test("S86 a version replaces another in one commit; runs that have not begun what differs are moved, others are named", async () => {
  const moved = await stopped();
  await expect(approved(next)).rejects.toThrow("refused");
  const target = await replacing(next, hash);
  const answer = await node.call("deployProgram", {
    params: { hash: target },
    body: { replaces: hash, migrate: true },
  });
  expect(answer.state).toBe("deployed");
  expect((await node.call("getProgram", { params: { hash } })).state).toBe("undeployed");
  // It stands before the very step that differs: that has begun.
  expect(answer.runs).toMatchObject({ migrated: [], stay: [{ run: moved }] });
  copyFileSync(path.join(root, "samples", file), path.join(root, "inbox", "new.csv"));
  await until(
    async () => (existsSync(path.join(root, "rejected", "new.csv")) ? true : undefined),
    "the move",
  );
  const entries = await node.call("listRuns", { query: { program: target } });
  expect(entries.runs).toHaveLength(1);
  await expect(
    node.call("migrateRun", { params: { run: moved }, body: { program: target } }),
  ).rejects.toMatchObject({ code: "run.migration" });
  await node.call("cancelRun", { params: { run: moved } });
});

test("S85 K42 a run is forked from one of its entries, as a simulation that says so and then for real", async () => {
  const run = await stopped();
  const step = (await show(run)).steps.find(({ intercepted }) => intercepted !== undefined)?.id ?? "";
  const at = (await show(run)).entries.find(({ kind }) => kind === "step.intercepted")?.seq ?? 0;
  await expect(node.call("forkRun", { params: { run }, body: { at } })).rejects.toMatchObject({
    code: "run.not-ended",
  });
  await node.call("skipStep", { params: { run, step }, body: { reason: "not yet" } });
  await ended(run);
  const simulated = await node.call("forkRun", { params: { run }, body: { at, simulate: true } });
  expect(simulated).toMatchObject({
    kind: "simulated",
    result: { simulated: true, preview: { steps: [{ id: step, forecast: "would-run" }] } },
  });
  expect(existsSync(path.join(root, "samples", "copy.csv"))).toBe(true);
  const real = await node.call("forkRun", { params: { run }, body: { at } });
  if (real.kind !== "started") throw new Error("not started");
  expect(await ended(real.run.id)).toMatchObject({ status: "finished", forkedFrom: { run, seq: at } });
  expect(existsSync(path.join(root, "approved", "copy.csv"))).toBe(true);
});

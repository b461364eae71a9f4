// Floods through a real node: more than it can do at once, by its API and by a source. Memory stays bounded, nothing is lost, and nothing
// is refused without a reason and a time to come back.
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { openTestNode, until, type TestNode } from "./harness.ts";

async function deployed(node: TestNode, text: string): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  const { hash } = outcome.program;
  await node.call("approveProgram", { params: { hash } });
  await node.call("deployProgram", { params: { hash } });
  return hash;
}

const rule = "When a CSV file arrives in the inbox, move it to approved.";

test("S54 S53 K81 a flood by HTTP: what does not fit is refused with a time, and fits when something has ended", async () => {
  await using node = await openTestNode({ limits: { runsActiveMax: 4 } });
  const root = (await node.call("listWorkspaces")).workspaces[0]?.root ?? "";
  const hash = await deployed(node, rule);
  copyFileSync(path.join(root, "samples", "low-office-supplies.csv"), path.join(root, "samples", "copy.csv"));
  const data = { path: "samples/copy.csv", name: "copy.csv", folder: "samples", sizeBytes: 1, modifiedMs: 0 };
  const start = () =>
    fetch(`${node.url}/programs/${hash}/runs`, {
      method: "POST",
      headers: { authorization: `Bearer ${node.token}`, "content-type": "application/json" },
      // A run that stops before its effect keeps its place.
      body: JSON.stringify({ data, breakpoints: ["filesystem.*"] }),
    });
  const answers = await Promise.all(Array.from({ length: 20 }, start));
  const accepted = answers.filter(({ ok }) => ok);
  expect(accepted.length).toBe(4);
  for (const refused of answers.filter(({ ok }) => !ok)) {
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    const problem = (await refused.json()) as { code: string; facts: Record<string, unknown> };
    expect(problem).toMatchObject({
      code: "runtime.busy",
      facts: { active: 4, activeMax: 4, retryAfterMs: 1000 },
    });
  }
  expect((await node.call("status")).runs.active).toBe(4);
  const runs = await Promise.all(
    accepted.map(async (answer) => ((await answer.json()) as { run: string }).run),
  );
  for (const run of runs) await node.call("cancelRun", { params: { run }, body: { reason: "enough" } });
  await until(async () => ((await node.call("status")).runs.active === 0 ? true : undefined), "the ends");
  const after = await start();
  expect(after.ok).toBe(true);
  // Who was refused left nothing behind.
  expect((await node.call("listRuns", { query: { limit: 100 } })).runs.length).toBe(5);
});

test("S54 a flood by a source: it waits for places, and every file is carried through once", async () => {
  await using node = await openTestNode({ limits: { runsActiveMax: 2, effectsActiveMax: 1 } });
  const root = (await node.call("listWorkspaces")).workspaces[0]?.root ?? "";
  await deployed(node, rule);
  const sample = readFileSync(path.join(root, "samples", "low-office-supplies.csv"));
  const names = Array.from({ length: 12 }, (_, i) => `flood-${i}.csv`);
  for (const name of names) writeFileSync(path.join(root, "inbox", name), sample);
  let activeMax = 0;
  await until(async () => {
    const { runs, schedule } = await node.call("status");
    activeMax = Math.max(activeMax, runs.active, schedule.effects.active);
    const arrived = readdirSync(path.join(root, "approved")).filter((name) => name.startsWith("flood-"));
    return arrived.length === names.length && runs.active === 0 ? true : undefined;
  }, "every file");
  expect(activeMax).toBeLessThanOrEqual(2);
  const { runs } = await node.call("listRuns", { query: { limit: 100 } });
  expect(runs.filter(({ status }) => status === "finished").length).toBe(names.length);
  expect(runs.length).toBe(names.length);
  expect(readdirSync(path.join(root, "inbox")).filter((name) => name.startsWith("flood-"))).toEqual([]);
});

test("S53 the requests of a key are counted by the minute, those of another on their own", async () => {
  await using node = await openTestNode({ limits: { requestsPerMinuteMax: 5 } });
  const get = () => fetch(`${node.url}/status`, { headers: { authorization: `Bearer ${node.token}` } });
  const statuses: number[] = [];
  for (let i = 0; i < 7; i++) statuses.push((await get()).status);
  // A minute may end in between; then it goes on for as many again.
  expect(statuses.slice(0, 5)).toEqual([200, 200, 200, 200, 200]);
  const refused = await until(async () => {
    const answer = await get();
    return answer.status === 429 ? answer : undefined;
  }, "the refusal");
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ code: "request.rate", facts: { countMax: 5 } });
  expect((await fetch(`${node.url}/health`)).status).toBe(200);
});

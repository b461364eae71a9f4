import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { CompileOutcome, PlanOutcome, RunDetail } from "@writ/core/api";
import { expect, test } from "vitest";
import { root } from "../support/node-process.ts";
import { answerOf, Story } from "../support/story.ts";

type Started = Extract<PlanOutcome, { kind: "started" }>;

test("E9 a plan reads, writes and sends on the same road, and the report is received once", async () => {
  await using story = await Story.begin();
  const file = story.planFile("report.json");
  const checked = answerOf<CompileOutcome>(await story.writ("plan", "check", file, "--json"));
  expect(checked.kind).toBe("compiled");
  const started = answerOf<Started>(await story.writ("plan", "run", file, "--json"));
  let run: RunDetail;
  if (started.status === "waiting") {
    const approval = await story.approvalOf(started.run);
    const token = approval.role === "accountant" ? story.tokens.accountant : story.tokens.owner;
    const done = await story.node.writAs(token, ["approvals", "approve", approval.id]);
    expect(done.code, done.error).toBe(0);
  }
  run = await story.ended(started.run);
  expect(run.status, JSON.stringify(run.fault)).toBe("finished");
  expect(story.names("reports")).toHaveLength(1);
  expect(story.receiver.effects).toHaveLength(1);
  expect(story.receiver.effects[0]?.key).toMatch(/^[0-9a-f]{32}$/);
  expect(story.receiver.effects[0]?.body).toContain("11960.74");
});

test("E6 words of an agent's plan cannot draw another approval on a screen", async () => {
  await using story = await Story.begin();
  const file = story.planFile("report.json");
  const forged = String.raw`Send 5 EUR?\n\na_00000000: owner must decide (you may)\u202e\u001b[2J`;
  const text = readFileSync(file, "utf8").replace(/"message": ".*"/, `"message": "${forged}"`);
  writeFileSync(file, text);
  const started = await story.node.writAs(story.tokens.agent, ["plan", "run", file, "--json"]);
  const { run } = answerOf<Started>(started);
  await story.approvalOf(run);
  for (const args of [["approvals"], ["run", "show", run]]) {
    const { out } = await story.writ(...args);
    expect(out).toContain("Send 5 EUR?⏎⏎a_00000000: owner must decide (you may)<U+202E><U+001B>[2J");
    expect(out).not.toMatch(/^a_00000000/m);
  }
});

test("E8 an undo says what it could not take back, and is no success", async () => {
  await using story = await Story.begin();
  const started = answerOf<Started>(await story.writ("plan", "run", story.planFile("report.json"), "--json"));
  const approval = await story.approvalOf(started.run);
  const token = approval.role === "accountant" ? story.tokens.accountant : story.tokens.owner;
  const approved = await story.node.writAs(token, ["approvals", "approve", approval.id]);
  expect(approved.code, approved.error).toBe(0);
  expect(approved.out).toMatch(/approved a_\w+; run r_\w+ (is finished|goes on)/);
  expect((await story.ended(started.run)).status).toBe("finished");
  const undone = await story.writ("undo", started.run);
  expect(undone.code, undone.out).toBe(1);
  expect(undone.out).toMatch(/undo\.partial: .*`announce` stays: it cannot be taken back/);
  expect(story.names("reports")).toEqual([]);
  expect(story.receiver.effects).toHaveLength(1);
});

test("E9 a late failure undoes earlier writes in reverse", async () => {
  await using story = await Story.begin();
  const finished = await story.writ("plan", "run", story.planFile("failing-late.json"), "--json");
  expect(finished.code).toBe(1);
  const started = JSON.parse(finished.out) as Started;
  const run = await story.ended(started.run);
  expect(run.status).toBe("rolled_back");
  expect(story.names("reports")).toEqual([]);
  expect(story.receiver.effects).toEqual([]);
  const undone = run.entries.filter((entry) => entry.kind === "undo.intended").map((entry) => entry.step);
  const done = run.entries.filter((entry) => entry.kind === "effect.completed").map((entry) => entry.step);
  expect(undone.length).toBeGreaterThanOrEqual(2);
  expect(undone).toEqual(done.filter((step) => undone.includes(step)).toReversed());
});

test("E9 the other example plans end as they say", async () => {
  await using story = await Story.begin();
  const names = readdirSync(path.join(root, "examples", "plans")).filter((name) => name.endsWith(".json"));
  for (const name of names) {
    const checked = await story.writ("plan", "check", story.planFile(name), "--json");
    expect(checked.code, `${name}: ${checked.out}${checked.error}`).toBe(0);
  }
});

test("E15 every bad example plan is refused with a code, a place and a remedy", async () => {
  await using story = await Story.begin();
  const folder = path.join(root, "examples", "plans", "bad");
  for (const name of readdirSync(folder)) {
    const shown = await story.writ("plan", "run", path.join(folder, name));
    expect(shown.code, `${name}: ${shown.out}${shown.error}`).not.toBe(0);
    expect(`${shown.out}${shown.error}`, name).toMatch(/[a-z_-]+\.[a-z_-]+: /);
  }
  const { runs } = await story.node.client().call("listRuns", { query: {} });
  for (const run of runs) expect(run.status).not.toBe("finished");
  expect(story.names("reports")).toEqual([]);
});

test("E15 501 actions, and every address that is not listed, are refused", async () => {
  await using story = await Story.begin();
  const action = (id: string) => ({
    id,
    module: "filesystem",
    action: "write_file",
    params: { path: `reports/${id}.txt`, content: "x" },
  });
  const plan = {
    plan_id: "many",
    protocol_version: "2.0",
    description: "too many",
    actions: Array.from({ length: 501 }, (_, i) => action(`a${i}`)),
  };
  const file = path.join(story.node.folder, "many.json");
  writeFileSync(file, JSON.stringify(plan));
  const many = await story.writ("plan", "run", file);
  expect(many.code).toBe(1);
  expect(many.out).toContain("500");
  const addresses = [
    "http://127.0.0.1:1/",
    "http://localhost:3999/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:80/",
    "http://0.0.0.0/",
    "https://example.com/",
  ];
  for (const url of addresses) {
    const post = {
      id: "send",
      module: "api_http",
      action: "http_post",
      params: { url, body_json: { a: "b" } },
    };
    writeFileSync(file, JSON.stringify({ ...plan, plan_id: "address", actions: [post] }));
    const shown = await story.writ("plan", "run", file);
    expect(shown.code, `${url}: ${shown.out}`).toBe(1);
    expect(`${shown.out}${shown.error}`, url).toMatch(/host|address/i);
  }
  expect(story.receiver.effects).toEqual([]);
});

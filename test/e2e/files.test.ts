import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import type { Approval, RunDetail, RunSummary } from "@writ/core/api";
import { expect, test } from "vitest";
import { storyRule } from "../support/rules.ts";
import { eventually, pause } from "../support/node-process.ts";
import { answerOf, samples, Story } from "../support/story.ts";

const high = "high-machine-parts.csv";
const low = "low-office-supplies.csv";

test("E5 a low sum is moved at once and journalled once, in every form an invoice comes in", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  const sums = new Map([
    [low, "1518.55"],
    ["exactly-10000.csv", "10000"],
    ["french-decimals.csv", "3334.46"],
    ["quoted-fields.csv", "1749.5"],
    ["byte-order-mark.csv", "385.25"],
    ["credit-notes.csv", "8300"],
    ["latin-1.csv", "760.35"],
  ]);
  for (const name of sums.keys()) story.drop(name);
  for (const [name, sum] of sums) {
    const run = await story.runOf(name, "finished", "failed", "waiting");
    expect(run.status, `${name}: ${JSON.stringify(run.fault)}`).toBe("finished");
    expect(readFileSync(story.at(`approved/${name}`))).toEqual(readFileSync(`${samples}/${name}`));
    expect(story.has(`inbox/${name}`)).toBe(false);
    const lines = story.journalled(name);
    expect(lines, name).toHaveLength(1);
    expect(lines[0]).toContain(sum);
  }
  await pause(1500);
  for (const name of sums.keys()) expect(story.journalled(name)).toHaveLength(1);
});

test("E6 a high sum waits for the accountant, who sees exactly what will be done", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const approval = await story.approvalOf(run.id);
  expect(approval).toMatchObject({ role: "accountant", run: run.id, state: "waiting", mayDecide: false });
  const shown = await story.node.writAs(story.tokens.accountant, ["approvals", "--mine"]);
  for (const part of [approval.id, `inbox/${high}`, `approved/${high}`, story.at(`inbox/${high}`)]) {
    expect(shown.out).toContain(part);
  }
  const wrongRole = await story.node.writAs(story.tokens.owner, ["approvals", "approve", approval.id]);
  expect(wrongRole.code).toBe(4);
  expect(wrongRole.error).toContain("approval.wrong-role");
  const agent = await story.node.writAs(story.tokens.agent, ["approvals", "approve", approval.id]);
  expect(agent.code).toBe(4);
  expect(story.has(`approved/${high}`)).toBe(false);
  const done = await story.node.writAs(story.tokens.accountant, [
    "approvals",
    "approve",
    approval.id.slice(0, 10),
    "--comment",
    "checked",
  ]);
  expect(done.code, done.error).toBe(0);
  const ended = await story.ended(run.id);
  expect(ended.status, JSON.stringify(ended.fault)).toBe("finished");
  expect(story.has(`approved/${high}`)).toBe(true);
  expect(story.journalled(high)).toHaveLength(1);
  const text = (await story.writ("run", "show", run.id)).out;
  expect(text).toContain("finished");
});

test("E7 a rejected approval moves nothing", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const approval = await story.approvalOf(run.id);
  const done = await story.node.writAs(story.tokens.accountant, [
    "approvals",
    "reject",
    approval.id,
    "--comment",
    "no order",
  ]);
  expect(done.code, done.error).toBe(0);
  const ended = await story.ended(run.id);
  expect(["failed", "cancelled", "rolled_back", "finished"]).toContain(ended.status);
  expect(story.has(`inbox/${high}`)).toBe(true);
  expect(story.has(`approved/${high}`)).toBe(false);
  const late = await story.node.writAs(story.tokens.accountant, ["approvals", "approve", approval.id]);
  expect(late.code).toBe(5);
});

test("E7 an approval expires, and nothing was moved", async () => {
  await using story = await Story.begin();
  await story.deploy(
    storyRule().replace(
      "ask the accountant for approval",
      "ask the accountant for approval within 2 seconds",
    ),
  );
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const ended = await story.ended(run.id);
  expect(ended.status).not.toBe("waiting");
  expect(JSON.stringify(ended.entries)).toMatch(/expire/i);
  expect(story.has(`inbox/${high}`)).toBe(true);
  expect(story.has(`approved/${high}`)).toBe(false);
});

test("E7 a file changed after it was shown needs another approval", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const first = await story.approvalOf(run.id);
  appendFileSync(story.at(`inbox/${high}`), "F-2026-0999,2026-11-19,Somebody else,900000.00\n");
  await story.node.writAs(story.tokens.accountant, ["approvals", "approve", first.id]);
  // Either it asks again for what is there now, or it ends without moving: the old approval is for another file.
  const state = await eventually(async () => {
    const found = await story.node.client().call("getRun", { params: { run: run.id } });
    const again = found.approvals.find(
      (approval: Approval) => approval.id !== first.id && approval.state === "waiting",
    );
    if (again !== undefined) return "asked again";
    return found.endedAtMs === null ? undefined : found.status;
  }, "another approval or an end");
  expect(["asked again", "failed", "rolled_back"]).toContain(state);
  expect(story.has(`approved/${high}`)).toBe(false);
});

test("E7 a move whose destination is taken is asked of nobody, and moves nothing once the place is free", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  mkdirSync(story.at("approved"), { recursive: true });
  writeFileSync(story.at(`approved/${high}`), "somebody else's\n");
  story.drop(high);
  const run = await story.runOf(high, "failed", "rolled_back", "waiting", "finished");
  expect(["failed", "rolled_back"], run.status).toContain(run.status);
  expect(run.approvals).toEqual([]);
  expect(story.read(`approved/${high}`)).toBe("somebody else's\n");
  rmSync(story.at(`approved/${high}`));
  await pause(1000);
  expect(story.has(`inbox/${high}`)).toBe(true);
  expect(story.has(`approved/${high}`)).toBe(false);
  expect(story.journalled(high)).toEqual([]);
});

test("E8 undo takes a finished run back, and holds what somebody else has changed since", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(low, "first.csv");
  const first = await story.runOf("first.csv", "finished");
  story.drop(low, "second.csv");
  const second = await story.runOf("second.csv", "finished");
  await story.writ("pause", first.program.slice(0, 12));
  const undone = answerOf<RunDetail>(await story.writ("undo", first.id, "--reason", "test", "--json"));
  expect(undone.steps.every((step) => step.held === null)).toBe(true);
  expect(story.has("inbox/first.csv")).toBe(true);
  expect(story.has("approved/first.csv")).toBe(false);
  expect(story.journalled("first.csv")).toEqual([]);
  expect(story.journalled("second.csv")).toHaveLength(1);
  writeFileSync(story.at("approved/second.csv"), "somebody else's\n");
  const held = await story.writ("undo", second.id, "--json");
  expect(held.code).toBe(1);
  expect((JSON.parse(held.out) as RunDetail).steps.some((step) => step.held?.what === "undo")).toBe(true);
  expect(story.read("approved/second.csv")).toBe("somebody else's\n");
});

test("E5 runs are listed, shown and cancelled", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const listed = answerOf<readonly RunSummary[]>(await story.writ("runs", "--status", "waiting", "--json"));
  expect(listed.map(({ id }) => id)).toEqual([run.id]);
  const cancelled = await story.writ("run", "cancel", run.id, "--undo", "--json");
  expect(["cancelled", "rolled_back"]).toContain(answerOf<RunDetail>(cancelled).status);
  expect(story.has(`inbox/${high}`)).toBe(true);
  expect(answerOf<readonly Approval[]>(await story.writ("approvals", "--json"))).toEqual([]);
});

test("E15 each bad file has its fault, and none is moved or lost", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  const bad = [
    "wrong-columns.csv",
    "not-a-number.csv",
    "too-large-amount.csv",
    "empty.csv",
    "header-only.csv",
  ];
  for (const name of bad) story.drop(name);
  for (const name of bad) {
    const run = await story.runOf(name, "failed", "rolled_back", "finished", "waiting", "held");
    expect(["failed", "rolled_back"], `${name} ${run.status}`).toContain(run.status);
    const code = run.fault?.code ?? run.steps.find((step) => step.fault !== null)?.fault?.code;
    expect(code, name).toMatch(/^csv\.|^module\.|^filesystem\.|^expression\.|^gate\./);
    expect(story.has(`inbox/${name}`)).toBe(true);
    expect(story.journalled(name)).toEqual([]);
  }
});

test("E15 a folder that is swapped for a link to the outside leads nowhere", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  const outside = path.join(story.node.folder, "outside");
  mkdirSync(outside);
  rmSync(story.at("approved"), { recursive: true, force: true });
  symlinkSync(outside, story.at("approved"));
  story.drop(low);
  const run = await story.runOf(low, "failed", "rolled_back", "finished", "held");
  expect(run.status).not.toBe("finished");
  expect(readdirSync(outside)).toEqual([]);
  expect(story.has(`inbox/${low}`)).toBe(true);
  expect(story.journalled(low)).toEqual([]);
});

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { storyRule } from "../support/rules.ts";
import { pause, root } from "../support/node-process.ts";
import { Story } from "../support/story.ts";

const high = "high-machine-parts.csv";
const low = "low-office-supplies.csv";

test("E10 a run that waits for approval survives SIGKILL and goes on once approved", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(high);
  const run = await story.runOf(high, "waiting");
  const approval = await story.approvalOf(run.id);
  await story.node.kill();
  await story.node.start();
  expect((await story.approvalOf(run.id)).id).toBe(approval.id);
  const done = await story.node.writAs(story.tokens.accountant, ["approvals", "approve", approval.id]);
  expect(done.code, done.error).toBe(0);
  expect((await story.ended(run.id)).status).toBe("finished");
  expect(story.names("approved")).toEqual([high]);
  expect(story.journalled(high)).toHaveLength(1);
});

test("E10 files that arrive while the node is killed are each taken once", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  const names: string[] = [];
  for (let round = 0; round < 4; round++) {
    for (let file = 0; file < 3; file++) {
      const name = `round-${round}-${file}.csv`;
      names.push(name);
      story.drop(low, name);
    }
    await pause(150 + round * 180);
    await story.node.kill();
    story.drop(low, `down-${round}.csv`);
    names.push(`down-${round}.csv`);
    await story.node.start();
  }
  for (const name of names) await story.runOf(name, "finished");
  expect(story.names("approved").toSorted()).toEqual(names.toSorted());
  for (const name of names) expect(story.journalled(name), name).toHaveLength(1);
  const { runs } = await story.node.client().call("listRuns", { query: { limit: 500 } });
  expect(runs).toHaveLength(names.length);
});

test("E10 a deployed program is verified and armed again after a restart", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  expect(await story.node.stop()).toBe(0);
  story.drop(low);
  await story.node.start();
  expect((await story.runOf(low, "finished")).status).toBe("finished");
});

test("E21 the crash demonstration: counting goes on through kills, no line lost, none twice, and is taken back whole", async () => {
  await using story = await Story.begin();
  const client = story.node.client();
  const text = readFileSync(path.join(root, "examples", "programs", "count-to-fifty.program.json"), "utf8");
  const outcome = await client.call("compileProgram", {
    body: { kind: "program", text: text.replace('"ms": 200', '"ms": 40') },
  });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  const params = { hash: outcome.program.hash };
  await client.call("approveProgram", { params, body: {} });
  await client.call("deployProgram", { params, body: {} });
  const { run } = await client.call("startRun", { params, query: {}, body: {} });
  for (let kill = 0; kill < 3; kill++) {
    await pause(300 + 170 * kill);
    await story.node.kill();
    await story.node.start();
  }
  expect((await story.ended(run)).status).toBe("finished");
  const lines = story.read("reports/count.txt").trimEnd().split("\n");
  expect(lines).toEqual(Array.from({ length: 50 }, (_, i) => String(i + 1)));
  const undone = await story.writ("undo", run);
  expect(undone.code, undone.out + undone.error).toBe(0);
  expect(story.has("reports/count.txt")).toBe(false);
});

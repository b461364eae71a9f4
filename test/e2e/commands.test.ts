// Programs of the operating system through a real node: allowed by the owner, approved, run, killed half-way.
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { PlanOutcome } from "@writ/core/api";
import { expect, test } from "vitest";
import { eventually } from "../support/node-process.ts";
import { answerOf, Story } from "../support/story.ts";

type Started = Extract<PlanOutcome, { kind: "started" }>;

/** The workspace's profile and programs as the owner sets them. */
async function allow(story: Story, programs: object): Promise<void> {
  const file = story.at("workspace.json");
  const known = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...known, profile: "power_user", programs }));
  await story.node.client().call("addWorkspace", { body: { root: story.workspace, confirm: true } });
}

const planOf = (command: readonly string[], more: object = {}) => ({
  plan_id: "p",
  protocol_version: "2.0",
  description: "Run a program",
  actions: [{ id: "go", module: "os_exec", action: "run_command", params: { command, ...more } }],
});

/** Hands in the plan and approves what it asks. */
async function begin(story: Story, plan: object): Promise<string> {
  const client = story.node.client();
  const outcome = await client.call("runPlan", { body: { plan: plan as never } });
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  const approval = await story.approvalOf(outcome.run);
  expect(approval.role).toBe("owner");
  await client.call("decideApproval", { params: { approval: approval.id }, body: { decision: "approve" } });
  return outcome.run;
}

const runOf = (story: Story, run: string) => story.node.client().call("getRun", { params: { run } });

test("K110 K175 a command is refused until the owner lists its program, and no shell is ever listed", async () => {
  await using story = await Story.begin();
  const file = path.join(story.node.folder, "plan.json");
  writeFileSync(file, JSON.stringify(planOf(["echo", "x"])));
  const refused = answerOf<Started>(await story.writ("plan", "run", file, "--json"), 1);
  expect((await story.ended(refused.run)).fault?.code).toBe("exec.program-unknown");

  symlinkSync("/bin/sh", path.join(story.node.folder, "harmless"));
  for (const at of ["/bin/sh", path.join(story.node.folder, "harmless")]) {
    await expect(allow(story, { tool: { path: at, risk: "low" } })).rejects.toMatchObject({
      code: "workspace.file",
    });
  }
  writeFileSync(story.at("tool"), "#!/bin/true\n", { mode: 0o755 });
  await expect(allow(story, { tool: { path: story.at("tool"), risk: "low" } })).rejects.toMatchObject({
    code: "workspace.file",
  });

  await allow(story, { echo: { path: "/bin/echo", risk: "low", sandbox: "none" } });
  const run = await begin(story, planOf(["echo", "$(id)", "; rm -rf *"]));
  const ended = await story.ended(run);
  expect(ended.status, JSON.stringify(ended.fault)).toBe("finished");
  const shown = await story.writ("run", "show", run);
  expect(shown.out).toContain(`"phase":"starting","program":"echo"`);
  const { entries } = await story.node.client().call("readLedger", { query: { from: 0, limit: 1000 } });
  const completed = entries.find((entry) => entry.run === run && entry.kind === "effect.completed");
  expect(JSON.stringify(completed?.facts)).toContain("$(id) ; rm -rf *");
});

test("E10 a command that the node's death cut off is held, or done again when its program allows it", async () => {
  await using story = await Story.begin();
  const sleep = { path: "/bin/sleep", risk: "low", sandbox: "none" };
  await allow(story, { sleep, again: { ...sleep, idempotent: true } });
  const once = await begin(story, planOf(["sleep", "300"], { working_directory: "approved" }));
  const again = await begin(story, planOf(["again", "5"], { working_directory: "inbox" }));
  const isRunning = async (run: string) => {
    const progress = (await runOf(story, run)).steps.find(
      ({ progress: said }) => said !== undefined,
    )?.progress;
    return JSON.stringify(progress ?? "").includes('"pid"') ? true : undefined;
  };
  await eventually(() => isRunning(once), "a command that runs");
  await eventually(() => isRunning(again), "the other command that runs");
  await story.node.kill();
  await story.node.start();
  const held = await eventually(async () => {
    const run = await runOf(story, once);
    return run.status === "held" ? run : undefined;
  }, "a held run");
  const reason = held.steps.find(({ held: why }) => why !== null)?.held?.reason ?? "";
  // It writes nothing, so the node's death did not end it.
  const pid = Number(/still runs as process (\d+)/.exec(reason)?.[1]);
  expect(pid, reason).toBeGreaterThan(1);
  process.kill(pid, "SIGKILL");
  expect((await story.ended(again)).status).toBe("finished");
  const intents = (await runOf(story, again)).entries.filter(({ kind }) => kind === "effect.intended");
  expect(intents).toHaveLength(1);
  const settled = await story.writ("run", "settle", once, "go", "failed");
  expect(settled.code, settled.error).toBe(0);
});

test("E30 cancelling a run ends its command", async () => {
  await using story = await Story.begin();
  await allow(story, { sleep: { path: "/bin/sleep", risk: "low", sandbox: "none", idempotent: true } });
  const run = await begin(story, planOf(["sleep", "60"]));
  const pid = await eventually(async () => {
    const said = JSON.stringify((await runOf(story, run)).steps);
    return /"pid":(\d+)/.exec(said)?.[1];
  }, "a command that runs");
  const cancelled = await story.writ("run", "cancel", run);
  expect(cancelled.code, cancelled.error).toBe(0);
  expect((await story.ended(run)).status).toBe("cancelled");
  expect(() => process.kill(Number(pid), 0)).toThrow();
});

// Kills a real node at seeded random moments, and at each of its syncs (before, inside, after), while files arrive and plans run, and then counts: every file moved exactly once, one
// journal line for each, every report received with one effect, every failed plan taken back, the ledger intact.
//   npm run campaign -- kill --seed 7 --runs 500
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { faultRecord } from "@writ/core/fault";
import type { Client } from "@writ/sdk/client";
import { startReceiver, type Receiver } from "../test/support/receiver.ts";
import { countEffects } from "./count-effects.ts";
import { eventually, NodeProcess, pause } from "../test/support/node-process.ts";
import { storyRule } from "../test/support/rules.ts";

const settleMs = 50;
/** Counting in between finds a loss near the kill that caused it. */
const killsBetweenCounts = 25;
const restTimeoutMs = 60_000;
/** Long enough for kills to fall between an effect at the receiver and its answer. */
const receiverDelayMs = 80;
const answersTimeoutMs = 10_000;
/** Syncs of one life at which a node ends itself: those of its start and of the first runs. */
const syncsMax = 40;
/** A node that has nothing left to sync does not end by itself: it is ended from outside. */
const ownKillTimeoutMs = 1500;

interface Load {
  readonly files: string[];
  /** Plans whose submission was answered, by the name of what they write. */
  readonly reports: Set<string>;
  readonly failing: Set<string>;
  /** Submissions that a kill left without an answer: their plan may or may not have run. */
  readonly unanswered: Set<string>;
  readonly pending: Set<Promise<void>>;
  count: number;
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string", default: "20" },
    parallel: { type: "string", default: "1" },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const killCount = Number(values.runs);
const parallel = Number(values.parallel);
if (
  !Number.isSafeInteger(seed) ||
  !Number.isSafeInteger(killCount) ||
  killCount < 1 ||
  !(parallel >= 1 && parallel <= 8)
) {
  console.error("usage: kill-campaign [--seed N] [--runs K] [--parallel P]");
  process.exit(2);
}
console.log(`kill campaign: seed ${seed}, ${killCount} kills`);
const startedMs = Date.now();
try {
  // Several nodes side by side, each with its own folder, receiver and seed.
  const each = Math.ceil(killCount / parallel);
  const all = await Promise.all(Array.from({ length: parallel }, (_, i) => campaign(seed + i, each)));
  console.log(
    JSON.stringify({
      campaign: "kill",
      seed,
      parallel,
      ...all.reduce(added),
      seconds: Math.round((Date.now() - startedMs) / 1000),
    }),
  );
} catch (error) {
  console.error(
    `kill campaign FAILED; replay with: npm run campaign -- kill --seed ${seed} --runs ${killCount} --parallel ${parallel}`,
  );
  console.error(error);
  process.exitCode = 1;
}

type Figures = Awaited<ReturnType<typeof campaign>>;

function added(one: Figures, other: Figures): Figures {
  return {
    kills: one.kills + other.kills,
    killsAtStart: one.killsAtStart + other.killsAtStart,
    killsAtSync: one.killsAtSync + other.killsAtSync,
    files: one.files + other.files,
    plans: one.plans + other.plans,
    plansUnanswered: one.plansUnanswered + other.plansUnanswered,
    requestsRepeated: one.requestsRepeated + other.requestsRepeated,
    entries: one.entries + other.entries,
    lost: one.lost + other.lost,
    doubled: one.doubled + other.doubled,
    held: one.held + other.held,
  };
}

async function campaign(seed: number, kills: number) {
  const below = randomOf(seed);
  const folder = mkdtempSync(path.join(tmpdir(), "writ-kill-"));
  await using receiver = await startReceiver(receiverDelayMs);
  const workspace = makeWorkspace(folder, receiver.port);
  await using node = new NodeProcess(folder);
  node.isKept = true;
  await node.start();
  await prepare(node, workspace);
  const load: Load = {
    files: [],
    reports: new Set(),
    failing: new Set(),
    unanswered: new Set(),
    pending: new Set(),
    count: 0,
  };
  let killsAtStart = 0;
  let killsAtSync = 0;
  let killsFromOutside = 0;
  // What this start compiled is kept at its end, so that those that follow cost less.
  await node.stop();
  await node.start();
  for (let kill = 1; kill <= kills; kill++) {
    // Every other kill is the node's own, at its n-th sync, one after the other; the others come from outside, at any moment.
    const isAtSync = kill % 2 === 0;
    if (isAtSync) {
      const syncs = kill / 2 - 1;
      const moment = ["before", "inside", "after"][syncs % 3] ?? "before";
      await node.kill();
      killsFromOutside++;
      node.killAt = `${moment} ${1 + (Math.floor(syncs / 3) % syncsMax)}`;
      await node.start().catch((error: unknown) => {
        // It may end before it listens; anything else is a failure.
        if (!node.isGone || !String(error).includes("SIGKILL")) throw error;
      });
    }
    const client = node.client();
    const beats = 1 + below(3);
    for (let beat = 0; beat < beats; beat++) {
      if (!node.isGone) addLoad(load, workspace, client, receiver.port, below);
      await pause(below(60));
    }
    if (isAtSync) {
      for (let waitedMs = 0; !node.isGone && waitedMs < ownKillTimeoutMs; waitedMs += 10) await pause(10);
    } else if (below(2) === 0) {
      // Half of these come when the plans have just begun to act, the others at any moment, also while plans are being proven.
      await Promise.race([Promise.allSettled(load.pending), pause(answersTimeoutMs)]);
      await pause(below(120));
    } else await pause(below(400));
    if (node.isGone) killsAtSync++;
    else killsFromOutside++;
    await node.kill();
    if (below(5) === 0) {
      // Also while it comes up again, when it resolves what the last kill left open.
      killsAtStart++;
      const coming = node.start().catch(() => {});
      await pause(below(900));
      await node.kill();
      await coming;
    }
    await node.start();
    if (kill % killsBetweenCounts === 0 || kill === kills) {
      await Promise.all(load.pending);
      await count(node, workspace, receiver, load, `after kill ${kill}`);
      console.log(
        `seed ${seed}, after ${kill} kills: ${load.files.length} files and ${load.reports.size} reports, all accounted for`,
      );
    }
  }
  const report = await node.client().call("verifyLedger", { body: {} });
  if (report.kind !== "intact") throw new Error(`the ledger is damaged: ${JSON.stringify(report)}`);
  await node.stop();
  node.isKept = false;
  return {
    kills: killsFromOutside + killsAtStart + killsAtSync,
    killsAtStart,
    killsAtSync,
    files: load.files.length,
    plans: load.reports.size + load.failing.size,
    plansUnanswered: load.unanswered.size,
    requestsRepeated: [...receiver.repeats.values()].reduce((sum, times) => sum + times, 0),
    entries: report.entries,
    lost: 0,
    doubled: 0,
    held: 0,
  };
}

function makeWorkspace(folder: string, port: number): string {
  const workspace = path.join(folder, "workspace");
  for (const name of ["inbox", "approved", "rejected", "reports", "archive"]) {
    mkdirSync(path.join(workspace, name), { recursive: true });
  }
  const example = path.join(import.meta.dirname, "..", "examples", "workspace", "workspace.json");
  const file = JSON.parse(readFileSync(example, "utf8")) as { hosts: { host: string }[] };
  const hosts = file.hosts.map((host) => ({ ...host, host: `127.0.0.1:${port}` }));
  writeFileSync(
    path.join(workspace, "workspace.json"),
    JSON.stringify({ ...file, name: "campaign", settleMs, hosts }, undefined, 2),
  );
  return workspace;
}

/** Adds the workspace and deploys the rule. */
async function prepare(node: NodeProcess, root: string): Promise<void> {
  const client = node.client();
  await client.call("addWorkspace", { body: { root } });
  const outcome = await client.call("compileProgram", {
    body: { kind: "rule", text: storyRule(), language: "en", workspace: "campaign", name: "campaign" },
  });
  if (outcome.kind !== "compiled") throw new Error(`the rule does not compile: ${JSON.stringify(outcome)}`);
  const params = { hash: outcome.program.hash };
  await client.call("approveProgram", { params, body: {} });
  await client.call("deployProgram", { params, body: {} });
}

function addLoad(
  load: Load,
  workspace: string,
  client: Client,
  port: number,
  below: (limit: number) => number,
): void {
  for (let files = 1 + below(3); files > 0; files--) {
    const name = `f-${String(load.files.length).padStart(6, "0")}.csv`;
    load.files.push(name);
    dropFile(workspace, name, below);
  }
  if (below(2) === 0)
    submit(load, client, reportPlan(load.count, port), `report-${load.count++}`, load.reports);
  if (below(3) === 0)
    submit(load, client, failingPlan(load.count, port), `failing-${load.count++}`, load.failing);
}

/** Some files appear whole, others grow in the inbox. */
function dropFile(workspace: string, name: string, below: (limit: number) => number): void {
  const text = `invoice,amount\n${name},${1 + below(900)}.${10 + below(89)}\n`;
  const target = path.join(workspace, "inbox", name);
  if (below(2) === 0) {
    writeFileSync(target, text);
    return;
  }
  const aside = path.join(workspace, name);
  writeFileSync(aside, text);
  renameSync(aside, target);
}

type Plan = { readonly [key: string]: string | Plan | readonly (string | Plan)[] };

function reportPlan(number: number, port: number): Plan {
  return {
    plan_id: `report-${number}`,
    protocol_version: "2.0",
    description: "Write a report and send it",
    actions: [
      {
        id: "write",
        module: "filesystem",
        action: "write_file",
        params: { path: `reports/report-${number}.txt`, content: `report ${number}\n` },
      },
      {
        id: "send",
        module: "api_http",
        action: "http_post",
        params: { url: `http://127.0.0.1:${port}/reports`, body_json: { report: `report-${number}` } },
        depends_on: ["write"],
      },
    ],
  };
}

function failingPlan(number: number, port: number): Plan {
  return {
    plan_id: `failing-${number}`,
    protocol_version: "2.0",
    description: "Write two files, then fail: both are taken back",
    actions: [
      {
        id: "first",
        module: "filesystem",
        action: "write_file",
        params: { path: `reports/failing-${number}-a.txt`, content: "a\n" },
      },
      {
        id: "second",
        module: "filesystem",
        action: "write_file",
        params: { path: `reports/failing-${number}-b.txt`, content: "b\n" },
        depends_on: ["first"],
      },
      {
        id: "send",
        module: "api_http",
        action: "http_post",
        params: { url: `http://127.0.0.1:${port}/fail`, body_json: { report: "none" } },
        depends_on: ["second"],
        on_error: "rollback",
      },
    ],
  };
}

function submit(load: Load, client: Client, plan: Plan, name: string, answered: Set<string>): void {
  const sent = client.call("runPlan", { body: { plan, workspace: "campaign", wait: false } }).then(
    (outcome) => {
      if (outcome.kind !== "started") throw new Error(`${name} was not started: ${JSON.stringify(outcome)}`);
      answered.add(name);
    },
    (error: unknown) => {
      // The kill came first. Whether the plan was taken in is for the ledger to say.
      if (faultRecord(error)?.code !== "client.unreachable") throw error;
      load.unanswered.add(name);
    },
  );
  load.pending.add(sent);
  void sent.finally(() => load.pending.delete(sent)).catch(() => {});
}

/** Waits until nothing moves, then counts every effect. @throws Error naming what was lost or doubled */
async function count(
  node: NodeProcess,
  workspace: string,
  receiver: Receiver,
  load: Load,
  when: string,
): Promise<void> {
  const client = node.client();
  await eventually(
    async () => {
      const { runs } = await client.call("status", {});
      const left = readdirSync(path.join(workspace, "inbox")).length;
      return runs.active + runs.waiting + runs.held === 0 && left === 0 ? true : undefined;
    },
    `${when}: every file taken from the inbox and every run at its end`,
    restTimeoutMs,
  ).catch(async (error: unknown) => {
    const { runs } = await client.call("listRuns", { query: { limit: 500 } });
    const open = runs
      .filter((run) => run.endedAtMs === null)
      .map((run) => `${run.id} ${run.status} ${run.event.subject ?? ""}`);
    const left = readdirSync(path.join(workspace, "inbox"));
    throw new Error(
      `${String(error)}\nopen runs: ${open.join("; ")}\ninbox: ${left.join(", ")}\ndata in ${node.folder}`,
    );
  });
  const problems = countEffects({
    files: load.files,
    reportsAnswered: [...load.reports],
    reportsUnanswered: [...load.unanswered].filter((name) => name.startsWith("report-")),
    inApproved: readdirSync(path.join(workspace, "approved")),
    journal: readFileSync(path.join(workspace, "journal.csv"), "utf8").split("\n"),
    inReports: readdirSync(path.join(workspace, "reports")),
    received: receiver.effects.map(({ body }) => String((JSON.parse(body) as { report?: unknown }).report)),
  });
  if (problems.length > 0) {
    throw new Error(`${when} (everything is kept in ${node.folder}):\n${problems.slice(0, 50).join("\n")}`);
  }
}

/** Uniform integers below a limit, the same for the same seed (mulberry32). */
function randomOf(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

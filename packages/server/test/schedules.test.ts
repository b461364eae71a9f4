// Schedules as people write them, from the sentence to the run, on a node whose clock the test sets.
import { afterEach, expect, test } from "vitest";
import type { World } from "@writ/core/ports";
import { systemWorld } from "../src/world.ts";
import { openTestNode, until, type TestNode } from "./harness.ts";

let node: TestNode | undefined;
afterEach(async () => {
  await node?.[Symbol.asyncDispose]();
  node = undefined;
});

/** The real clock, shifted; whoever sleeps looks again soon. */
function shiftedWorld() {
  let shiftMs = 0;
  const world: World = {
    ...systemWorld,
    nowMs: () => systemWorld.nowMs() + shiftMs,
    sleep: (ms, signal) => systemWorld.sleep(Math.min(ms, 20), signal),
  };
  return { world, set: (atMs: number) => void (shiftMs = atMs - systemWorld.nowMs()) };
}

async function deploy(text: string, language: "en" | "fr"): Promise<string> {
  if (node === undefined) throw new Error("no node");
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text, language } });
  if (outcome.kind !== "compiled") throw new Error(`${text}: ${JSON.stringify(outcome).slice(0, 2000)}`);
  const params = { hash: outcome.program.hash };
  await node.call("approveProgram", { params });
  await node.call("deployProgram", { params });
  return params.hash;
}

const runsOf = async (program: string) => (await node?.call("listRuns", { query: { program } }))?.runs ?? [];

test.each([
  ["en", 'Every day at 8:00, append a line with "open" to journal.csv.', "2026-12-02T07:00:00Z"],
  ["fr", "Tous les jours à 8h00, ajoute une ligne avec « open » à journal.csv.", "2026-12-02T07:00:00Z"],
  ["en", 'Every 5 minutes, append a line with "beat" to journal.csv.', "2026-12-02T06:05:00Z"],
  ["fr", "Toutes les 5 minutes, ajoute une ligne avec « beat » à journal.csv.", "2026-12-02T06:05:00Z"],
  ["en", 'At 9:30 on Mondays, append a line with "week" to journal.csv.', "2026-12-07T08:30:00Z"],
  ["fr", "À 9h30 le lundi, ajoute une ligne avec « week » à journal.csv.", "2026-12-07T08:30:00Z"],
] as const)("S90 %s: %s", async (language, text, due) => {
  const clock = shiftedWorld();
  clock.set(Date.parse("2026-12-02T06:00:30Z"));
  node = await openTestNode({ world: clock.world });
  const program = await deploy(text, language);
  clock.set(Date.parse(due) - 2000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = (await runsOf(program)).length;
  clock.set(Date.parse(due) + 100);
  await until(
    async () => (await runsOf(program)).find(({ status }) => status === "finished"),
    "a finished run",
  );
  expect(await runsOf(program)).toHaveLength(before + 1);
  // The same instant after a restart starts nothing again.
  await node.restart();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await runsOf(program)).toHaveLength(before + 1);
});

test("S90 times missed while the node was down are told in the ledger, and one run is made up for", async () => {
  const clock = shiftedWorld();
  clock.set(Date.parse("2026-12-02T06:00:30Z"));
  node = await openTestNode({ world: clock.world });
  const program = await deploy('Every 5 minutes, append a line with "beat" to journal.csv.', "en");
  clock.set(Date.parse("2026-12-02T09:03:00Z"));
  await node.restart();
  await until(
    async () => (await runsOf(program)).find(({ status }) => status === "finished"),
    "a finished run",
  );
  expect(await runsOf(program)).toHaveLength(1);
  const { entries } = await node.call("readLedger", { query: { from: 0, limit: 1000 } });
  const missed = entries.filter(({ kind }) => kind === "source.missed");
  expect(missed.map(({ facts }) => [facts["count"], facts["reported"], facts["policy"]])).toEqual([
    [36, 1, "once"],
  ]);
});

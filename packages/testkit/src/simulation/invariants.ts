// What must hold when everything has come to rest.
//   SF1  Every run has ended, and nothing waits, is held or is locked.
//   SF2  Every effect in the world has its intent in the ledger, and none happened twice unless its contract allows it.
//   SF3  What was acknowledged is there: every start, every event once, and the runs that events start.
//   SF4  What is rolled back has left nothing in the world.
//   SF5  The files of the ledger verify by themselves.
import { evaluate, parseExpression } from "@writ/core/expression";
import { eventSlot } from "@writ/core/event";
import { capabilityId, eventId, runId, stepId, type RunId } from "@writ/core/ids";
import { verifyLedger, type NamedBytes } from "@writ/core/ledger-verify";
import { toHex } from "@writ/core/bytes";
import { hashedProgram } from "@writ/core/program-codec";
import type { HashedProgram, Program } from "@writ/core/program";
import { nodeHasher } from "@writ/store/node-crypto";
import type { SimulatedDisk } from "../simulated-disk.ts";
import { verifySimulated } from "./keys.ts";
import { owner, workspaceName, type SimulatedNode } from "./node.ts";
import type { Oracle } from "./oracle.ts";
import { putStep } from "./programs.ts";
import type { Scenario } from "./scenario.ts";
import type { Watch } from "./watch.ts";

interface Final {
  readonly node: SimulatedNode;
  readonly watch: Watch;
  readonly oracle: Oracle;
  readonly scenario: Pick<Scenario, "happenings" | "actions" | "programs">;
  readonly programs: readonly HashedProgram[];
  readonly probe: HashedProgram;
  readonly acknowledged: ReadonlySet<string>;
  readonly startsAcknowledged: ReadonlySet<RunId>;
}

export const finalProblems = {
  async node(final: Final): Promise<void> {
    runsEnded(final);
    effectsOnce(final);
    nothingLost(final);
    rolledBack(final);
    projectionsEmpty(final);
    await replays(final);
    await everythingFree(final);
  },

  async files(disk: SimulatedDisk, watch: Watch): Promise<void> {
    const files = disk.files();
    const named = async function* (folder: string, pattern: RegExp): AsyncGenerator<NamedBytes> {
      for (const name of [...files.keys()].toSorted()) {
        const bytes = files.get(name);
        if (name.startsWith(folder) && pattern.test(name) && bytes !== undefined) yield { name, bytes };
      }
    };
    const blobs = async function* (): AsyncGenerator<{ readonly name: string; readonly found: string }> {
      for await (const { name, bytes } of named("blobs/", /\/[0-9a-f]{62}$/))
        yield { name: name.slice("blobs/".length).replace("/", ""), found: toHex(nodeHasher.sha256(bytes)) };
    };
    const verified = await verifyLedger(
      {
        segments: named("ledger/", /\.segment$/),
        checkpoints: named("checkpoints/", /\.txt$/),
        blobs: blobs(),
      },
      { hasher: nodeHasher, verify: verifySimulated },
    );
    if (verified.bad !== null)
      watch.problem(`SF5 the ledger does not verify: ${JSON.stringify(verified.bad)}`);
    // `node.stopped` is written after the last subscription has ended.
    if (verified.bad === null && verified.entries < watch.entries.length)
      watch.problem(`SF5 the files hold ${verified.entries} of ${watch.entries.length} entries`);
  },
};

function runsEnded({ watch, node }: Final): void {
  for (const [run, state] of watch.runs)
    if (state.ended === null || state.ending !== null) watch.problem(`SF1 run ${run} has not ended`);
  for (const { run, fault } of node.engine.broken())
    watch.problem(`SF1 run ${run} is broken: ${fault.message}`);
}

function effectsOnce({ watch, oracle }: Final): void {
  const contracts = /^sim\.(append|note|count|send|restore)$/;
  const counts = new Map<string, number>();
  const intended = new Set(
    watch.entries.flatMap((entry) =>
      entry.kind === "effect.intended" || entry.kind === "undo.intended" ? [entry.facts.key] : [],
    ),
  );
  for (const { capability, key, times } of oracle.deeds) {
    if (!intended.has(key)) watch.problem(`SF2 ${capability} was done without an intent in the ledger`);
    if (contracts.test(capability))
      counts.set(`${capability} ${key}`, (counts.get(`${capability} ${key}`) ?? 0) + times);
  }
  for (const [deed, times] of counts) {
    const key = deed.split(" ")[1] ?? "";
    if (times > 1 && !oracle.lies.has(key)) watch.problem(`SF2 ${deed} was done ${times} times`);
  }
}

function nothingLost({ watch, scenario, programs, acknowledged, startsAcknowledged }: Final): void {
  for (const run of startsAcknowledged)
    if (!watch.runs.has(run)) watch.problem(`SF3 run ${run} was acknowledged and is lost`);
  const received = new Map<string, number>();
  const started = new Map<string, number>();
  for (const entry of watch.entries) {
    if (entry.kind === "event.received")
      received.set(entry.facts.event.id, (received.get(entry.facts.event.id) ?? 0) + 1);
    if (entry.kind === "run.started") {
      const id = `${entry.facts.program} ${entry.facts.event.id}`;
      started.set(id, (started.get(id) ?? 0) + 1);
    }
  }
  for (const each of acknowledged) {
    const [channel = "", index = ""] = each.split(" ");
    if (received.get(`e-${channel}-${index}`) !== 1)
      watch.problem(
        `SF3 event ${each} was acknowledged and is recorded ${received.get(`e-${channel}-${index}`) ?? 0} times`,
      );
  }
  // A run that gave way to another was taken back whole and begins again under the same event.
  const again = new Map<string, number>();
  for (const { program, event, ended } of watch.runs.values()) {
    if (ended?.fault?.code !== "runtime.preempted" || ended.status !== "rolled_back") continue;
    const id = `${program} ${event?.id ?? ""}`;
    again.set(id, (again.get(id) ?? 0) + 1);
  }
  for (const [id, times] of started)
    if (times - (again.get(id) ?? 0) > 1) watch.problem(`SF3 ${times} runs were started for ${id}`);
  const changes = scenario.actions.some(({ kind }) =>
    ["pause", "resume", "undeploy", "revoke", "restore"].includes(kind),
  );
  if (changes) return;
  for (const entry of watch.entries) {
    if (entry.kind !== "event.received") continue;
    for (const { hash, program } of programs) {
      if (!takesEvery(program, entry.facts.event.source)) continue;
      const { trigger } = program;
      const { event } = entry.facts;
      const isTaken =
        trigger.kind === "source" &&
        (trigger.filter === null ||
          evaluate(parseExpression(trigger.filter), { event: eventSlot(event) }) === true);
      if (isTaken !== started.has(`${hash} ${event.id}`))
        watch.problem(`SF3 event ${event.id} ${isTaken ? "did not start" : "started"} ${hash.slice(0, 8)}`);
    }
  }
}

function takesEvery({ trigger, conflict }: Program, source: string): boolean {
  return (
    conflict === undefined &&
    trigger.kind === "source" &&
    typeof trigger.config["channel"] === "string" &&
    source === `/sources/${trigger.config["channel"]}` &&
    trigger.holdMs === 0 &&
    trigger.throttleMs === 0
  );
}

function rolledBack({ watch, oracle }: Final): void {
  const ended = new Set(
    [...watch.runs.values()].filter(({ ended }) => ended?.status === "rolled_back").map(({ run }) => run),
  );
  const standing = [...oracle.files].flatMap(([name, content]) =>
    content.map((line) => ({ name, key: line.slice(line.lastIndexOf(" ") + 1) })),
  );
  for (const entry of watch.entries) {
    if (entry.kind !== "effect.intended" || entry.facts.effect !== "write" || !ended.has(entry.run)) continue;
    const { key, step } = entry.facts;
    if (oracle.lies.has(key)) continue;
    const left = standing.find((line) => line.key === key);
    // Whoever takes back what he wrote over it puts it back: that is his undo, not this one's.
    const isPutBack = oracle.deeds.some(
      ({ capability, name, run }) =>
        capability === "sim.restore" && name === `undo ${left?.name ?? ""}` && run !== entry.run,
    );
    if (left !== undefined && !isPutBack && !undoLied(entry.run, step, watch, oracle))
      watch.problem(`SF4 run ${entry.run} is rolled back and its step ${step} left a line in ${left.name}`);
  }
}

function undoLied(run: RunId, step: string, watch: Watch, oracle: Oracle): boolean {
  return watch.entries.some(
    (entry) =>
      entry.kind === "undo.intended" &&
      entry.run === run &&
      entry.facts.step === step &&
      oracle.lies.has(entry.facts.key),
  );
}

function projectionsEmpty({ node, watch }: Final): void {
  const { projections } = node.store;
  const left = [
    ...projections.unfinishedRuns(),
    ...projections.pendingApprovals().map(({ facts }) => facts.approval),
    ...projections.held().map(({ run }) => run),
  ];
  if (left.length > 0) watch.problem(`SF1 the projections still show ${left.slice(0, 5).join(", ")}`);
}

async function replays({ node, watch }: Final): Promise<void> {
  for (const run of [...watch.runs.keys()].slice(-3)) {
    const { divergence } = await node.engine.replay(run);
    if (divergence !== null) watch.problem(`SV3 the replay of ${run} diverges: ${divergence.fault.message}`);
  }
}

/** Whoever comes next gets every lock. */
async function everythingFree({ node, watch, oracle, probe }: Final): Promise<void> {
  if ([...node.registry().revokedCapabilities.keys()].length > 0) return;
  oracle.behave();
  const { run } = node.engine.startRun({
    program: probe,
    event: {
      specversion: "1.0",
      id: eventId("probe"),
      source: "/people/olga",
      type: "sim.asked",
      time: "2026-11-01T00:00:00.000Z",
      data: {},
    },
    labels: [],
    principal: owner,
    workspace: workspaceName,
  });
  const { status, fault } = await node.engine.ended(runId(run));
  if (status !== "finished")
    watch.problem(`SF1 a run that touches everything ${status}: ${fault?.message ?? ""}`);
}

/** A program that touches every file that the others share or own. */
export function probeOf(programs: readonly Program[]): HashedProgram {
  const [first] = programs;
  if (first === undefined) throw new Error("a scenario has a program");
  const names = ["a", "b", ...programs.map((_, i) => `own${i}`)];
  const { conflict: _, resources: __, onPreempted: ___, ...plain } = first;
  return hashedProgram(
    {
      ...plain,
      format: 1,
      trigger: { kind: "manual" },
      runTimeoutMs: 60_000,
      concurrencyMax: 100,
      capabilities: [capabilityId("sim.put@1.0.0")],
      body: { steps: names.map((name, i) => putStep(stepId(`probe-${i}`), name)) },
      slots: [],
    },
    nodeHasher,
  );
}

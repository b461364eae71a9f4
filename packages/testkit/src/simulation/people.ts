// People: they look now and then, and answer, keep silent, settle what is held after looking at the world, and repair by hand.
import { faultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import type { Value } from "@writ/core/value";
import type { RunState, StepState } from "@writ/runtime/state";
import type { SeededRandom } from "../seeded-random.ts";
import type { SimulatedProcess } from "./loop.ts";
import { accountant, owner, type SimulatedNode } from "./node.ts";
import type { Oracle } from "./oracle.ts";
import type { Scenario } from "./scenario.ts";

export interface PeopleParts {
  readonly node: SimulatedNode;
  readonly process: SimulatedProcess;
  readonly oracle: Oracle;
  /** Runs that have not ended, as the ledger tells of them: also those that are not in memory. */
  readonly unfinished: () => readonly RunState[];
  readonly random: SeededRandom;
  readonly temper: Scenario["people"];
  /** The story is over: everything that waits for a person is answered. */
  readonly isLate: () => boolean;
  readonly problem: (text: string) => void;
}

/** What a person may be told without anything being wrong. */
const expected: ReadonlySet<string> = new Set([
  "approval.closed",
  "approval.unknown",
  "run.ended",
  "run.not-ended",
  "run.nothing-held",
  "run.decision",
  "run.unknown",
  "run.paused",
  "run.not-paused",
  "run.order",
  "run.breakpoint",
  "emergency.unknown",
  "runtime.full",
  "runtime.conflict",
  "runtime.busy",
  "runtime.stopped",
  "ledger.stopped",
]);

/** Rounds in which somebody who has nothing else to do still says yes; a step whose approval is stale asks for ever. */
const patientRounds = 40;

export function startPeople(parts: PeopleParts): void {
  const { node, process, random, temper, isLate, problem } = parts;
  let lateRounds = 0;
  const live = async (): Promise<void> => {
    for (;;) {
      // In the end soon, then seldom: a clock that was set back by a day makes a timer that was just being set a day late.
      const everyMs = isLate() ? (lateRounds < 2 * patientRounds ? 500 : 60_000) : temper.everyMs;
      await process.world.sleep(everyMs / 2 + random.below(everyMs));
      if (isLate()) lateRounds++;
      const answers = isLate() ? 1 : temper.answers;
      const approves = isLate() ? (lateRounds < patientRounds ? 1 : 0) : temper.approves;
      if (isLate()) release(parts);
      for (const { approval, role } of node.engine.approvals()) {
        if (!random.chance(answers)) continue;
        const decision = random.chance(approves) ? "approve" : "reject";
        attempt(
          node.engine.decideApproval(approval, decision, role === "accountant" ? accountant : owner, ""),
          problem,
        );
      }
      for (const state of parts.unfinished()) {
        for (const [id, step] of state.steps) {
          if (random.chance(answers)) settle(parts, state, id, step);
        }
      }
    }
  };
  live().catch((error: unknown) => problem(`people: ${String(error)}`));
}

/** What somebody stopped on purpose goes on: it would wait for ever otherwise. */
function release({ node, unfinished, problem }: PeopleParts): void {
  const { engine } = node;
  for (const { stop } of engine.emergencies()) attempt(engine.clearEmergency(stop, owner, "over"), problem);
  for (const state of unfinished()) {
    if (state.control.paused !== null) attempt(engine.resumeRun(state.run, owner, "go on"), problem);
    for (const [id, step] of state.steps) {
      if (step.phase.kind !== "intercepted") continue;
      attempt(engine.releaseStep(state.run, id, owner, { params: null, comment: "" }), problem);
    }
  }
}

/** Notes what should not happen. A call that a crash cuts off is never answered. */
export function attempt(call: Promise<unknown>, problem: (text: string) => void): void {
  call.catch((error: unknown) => {
    const code = faultRecord(error)?.code;
    if (code === undefined || !expected.has(code)) problem(`a person was told: ${stackOf(error)}`);
  });
}

export function stackOf(error: unknown): string {
  return error instanceof Error
    ? (error.stack ?? error.message).split("\n").slice(0, 6).join("\n")
    : String(error);
}

function settle(parts: PeopleParts, state: RunState, id: StepId, step: StepState): void {
  const { node, oracle, random, problem } = parts;
  const { engine } = node;
  if (step.phase.kind === "held" && step.effect !== null) {
    const { key, capability } = step.effect;
    // Nobody decides on what may still be going on.
    if (oracle.acting.has(key)) return;
    if (oracle.isDone(key)) {
      attempt(engine.settle(state.run, id, "done", owner, resultOf(capability)), problem);
      return;
    }
    const decision = random.pick(
      state.ending === null && !step.aborting
        ? (["failed", "again", "skip"] as const)
        : (["failed", "skip"] as const),
    );
    attempt(engine.settle(state.run, id, decision, owner), problem);
    return;
  }
  if (step.undo?.phase !== "held") return;
  if (step.undo.effect !== null && oracle.acting.has(step.undo.effect.key)) return;
  const isDone = step.undo.effect !== null && oracle.isDone(step.undo.effect.key);
  const decision = isDone ? "done" : random.pick(["leave", "again", "done"] as const);
  if (decision === "done") repair(oracle, step);
  attempt(engine.settle(state.run, id, decision, owner), problem);
}

/** By hand: what the step wrote is taken out. */
function repair(oracle: Oracle, step: StepState): void {
  const key = step.effect?.key;
  if (key === undefined) return;
  for (const [name, content] of oracle.files) {
    const kept = content.filter((line) => !line.endsWith(` ${key}`));
    if (kept.length === 0) oracle.files.delete(name);
    else oracle.files.set(name, kept);
  }
}

function resultOf(capability: string): Value {
  if (capability.startsWith("sim.send@")) return { status: 200 };
  if (capability.startsWith("sim.count@")) return { count: 0 };
  if (capability.startsWith("sim.read@")) return { content: [], size: 0 };
  return { lines: 0 };
}

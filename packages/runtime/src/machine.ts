// The machine: the only thing that changes the state of a run, one entry at a time.
//   M1  `decide` is pure: no clock, no randomness, no I/O. The same entries give the same states and commands.
//   M2  A step moves only as the table in `state.ts` says; anything else is refused and changes nothing.
//   M3  A slot is written once; its labels are those of what it was computed from and of what decided that it was.
//   M4  A failure goes to the step's policy, then to the policies of the steps around it, and at the top it ends the run.
//   M5  A run ends only when nothing is under way or held, and then no step is PENDING, WAITING or RUNNING.
//   M6  An entry the machine did not wait for is refused, never skipped.
import type { EntryDraft, RunEnd, RunEntryKind } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import type { FaultRecord } from "@writ/core/fault";
import type { RoleName, RunId, StepId } from "@writ/core/ids";
import type { Value } from "@writ/core/value";
import { fault } from "./faults.ts";
import { applyEntry } from "./machine/apply.ts";
import { Draft } from "./machine/draft.ts";
import { childDeadlineRuns } from "./machine/child.ts";
import { guardWaitsUntil } from "./machine/guard.ts";
import { advance, emittedEvent } from "./machine/advance.ts";
import { mayWhilePaused, resumedCommands } from "./machine/control.ts";
import { noControl } from "./machine/control-state.ts";
import type { PreparedProgram } from "./program-index.ts";
import { freshStep, type RunState } from "./state.ts";

export type Command =
  /** Resolve the operands, inspect, ask the gate; then append `effect.intended`, `effect.refused` or `approval.requested`. */
  | { readonly kind: "attempt"; readonly step: StepId }
  /** The intent is recorded: perform as soon as it is durable, then append the outcome. */
  | { readonly kind: "perform"; readonly step: StepId }
  /** Abort the effect that is under way; its outcome is still awaited. */
  | { readonly kind: "abort"; readonly step: StepId }
  | {
      readonly kind: "set-timer" | "await-timer";
      readonly step: StepId;
      readonly attempt: number;
      readonly atMs: number;
      readonly why: "wait" | "retry" | "timeout" | "loop";
    }
  | {
      readonly kind: "request-approval";
      readonly step: StepId;
      readonly why: "program" | "failure";
      readonly role: RoleName;
      readonly expiresAtMs: number;
    }
  | { readonly kind: "await-approval"; readonly step: StepId; readonly expiresAtMs: number }
  /** The guard's wait is over at this time, at the earliest. */
  | { readonly kind: "await-guard"; readonly step: StepId; readonly attempt: number; readonly atMs: number }
  /** Read until the world agrees or the time is over. */
  | { readonly kind: "read-back"; readonly step: StepId }
  | { readonly kind: "emit"; readonly step: StepId; readonly event: Event }
  /** Record that the wait begins; then listen, and set its times. */
  | { readonly kind: "begin-wait" | "await-event"; readonly step: StepId; readonly attempt: number }
  /** The run it started is to be as this one is: cancelled, paused, as urgent; and its end is awaited. */
  | { readonly kind: "await-child"; readonly step: StepId }
  | { readonly kind: "undo"; readonly step: StepId }
  | { readonly kind: "perform-undo"; readonly step: StepId }
  | {
      readonly kind: "end";
      readonly status: RunEnd;
      readonly result: Value;
      readonly hasResult: boolean;
      readonly fault: FaultRecord | null;
    };

/** What the machine reads of an entry: all of a run's entry but its links, so that it can be asked before the entry is appended. */
export type MachineEntry<Kind extends RunEntryKind = RunEntryKind> = EntryDraft<Kind> & {
  readonly seq: number;
};

export interface Decision {
  readonly state: RunState;
  readonly commands: readonly Command[];
}

/** The state of a run before its first entry. */
export function initialState(run: RunId, prepared: PreparedProgram): RunState {
  return {
    run,
    prepared,
    program: prepared.hashed.hash,
    event: null,
    workspace: "",
    principal: { kind: "node" },
    priority: prepared.hashed.program.priority,
    startedAtMs: 0,
    seq: -1,
    atMs: 0,
    steps: new Map([...prepared.steps.keys()].map((id) => [id, freshStep])),
    blocks: prepared.blocks.map(() => ({ status: "idle", control: [], fault: null })),
    slots: new Map(),
    approvals: new Map(),
    ending: null,
    ended: null,
    control: noControl,
  };
}

/**
 * The state after one more entry of the run, and what to do now. `stored` is the value of the entry's result where the entry holds
 * only its hash; `target` the program that `run.migrated` names.
 * @throws runtime.unknown-entry, runtime.diverged, runtime.illegal-transition, runtime.slot-taken
 */
export function decide(
  state: RunState,
  entry: MachineEntry,
  stored?: Value,
  target?: PreparedProgram,
): Decision {
  if (entry.run !== state.run || entry.seq <= state.seq) {
    throw fault(
      "runtime.diverged",
      `Cannot fold entry ${entry.seq}: it does not follow ${state.seq} in run \`${state.run}\``,
      {
        run: state.run,
        seq: entry.seq,
      },
    );
  }
  // It says what is known already.
  if (entry.kind === "run.snapshot")
    return { state: { ...state, seq: entry.seq, atMs: entry.atMs }, commands: [] };
  const draft = new Draft(state, entry);
  applyEntry(draft, entry, stored, target);
  advance(draft);
  const decision = draft.finish();
  // What was not begun while it was paused begins now, together with what follows.
  const isFork = entry.kind === "run.started" && entry.facts.forkedFrom !== undefined;
  return entry.kind === "run.resumed" || isFork
    ? { ...decision, commands: resumedCommands(outstanding(decision.state)) }
    : decision;
}

/** Everything a state waits for, as after the commands that led to it: where a run goes on after a restart. */
export function outstanding(
  state: RunState,
): readonly (Command | { readonly kind: "resolve" | "resolve-undo"; readonly step: StepId })[] {
  const commands: (Command | { readonly kind: "resolve" | "resolve-undo"; readonly step: StepId })[] = [];
  for (const [id, step] of state.steps) {
    const { phase, attempt, deadline, undo } = step;
    if (phase.kind === "attempting") commands.push({ kind: "attempt", step: id });
    if (phase.kind === "intended") commands.push({ kind: "resolve", step: id });
    if (phase.kind === "timer") {
      const { atMs, why } = phase;
      commands.push({ kind: phase.set ? "await-timer" : "set-timer", step: id, attempt, atMs, why });
    }
    if (phase.kind === "approval") {
      const { why, role, expiresAtMs } = phase;
      if (phase.approval !== null) commands.push({ kind: "await-approval", step: id, expiresAtMs });
      else if (why !== "gate") commands.push({ kind: "request-approval", step: id, why, role, expiresAtMs });
    }
    const waitsUntilMs = guardWaitsUntil(phase);
    if (waitsUntilMs !== null) commands.push({ kind: "await-guard", step: id, attempt, atMs: waitsUntilMs });
    if (phase.kind === "read-back") commands.push({ kind: "read-back", step: id });
    if (phase.kind === "event")
      commands.push({ kind: phase.begun ? "await-event" : "begin-wait", step: id, attempt });
    if (phase.kind === "emitting") commands.push({ kind: "emit", step: id, event: emittedEvent(state, id) });
    if (phase.kind === "child") commands.push({ kind: "await-child", step: id });
    const isChild = state.prepared.steps.get(id)?.step.op.op === "run";
    if (deadline !== null && (phase.kind === "blocks" || (isChild && childDeadlineRuns(step)))) {
      const { atMs } = deadline;
      commands.push({
        kind: deadline.set ? "await-timer" : "set-timer",
        step: id,
        attempt,
        atMs,
        why: "timeout",
      });
    }
    if (step.loop?.pause != null && phase.kind === "blocks") {
      const { atMs, set } = step.loop.pause;
      commands.push({ kind: set ? "await-timer" : "set-timer", step: id, attempt, atMs, why: "loop" });
    }
    if (undo?.phase === "asked") commands.push({ kind: "undo", step: id });
    if (undo?.phase === "intended") commands.push({ kind: "resolve-undo", step: id });
  }
  if (state.ending?.asked === true) {
    const { status, result, hasResult, fault: why } = state.ending;
    commands.push({ kind: "end", status, result, hasResult, fault: why });
  }
  return state.control.paused === null ? commands : commands.filter(mayWhilePaused);
}

// Sub-programs: a step that runs another program. The child is a run of its own; here is only what its parent knows of it.
//   S1  A step has one child at a time; each attempt starts another one.
//   S2  A child that has begun ends before its step does, also when nobody wants it any more: what it did is known.
//   S3  What a child did is taken back by taking back the child, all attempts of it, at the step's place in the reverse order.
import type { RunId, StepId } from "@writ/core/ids";
import { joinLabels } from "@writ/core/label";
import type { Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { MachineEntry } from "../machine.ts";
import type { Phase, StepState, UndoState } from "../state.ts";
import type { Draft } from "./draft.ts";
import { completeStep, failStep, record, settleFailed, toRunning } from "./failure.ts";

export type ChildPhase = Extract<Phase, { kind: "child" }>;

export function childStarted(draft: Draft, { facts }: MachineEntry<"child.started">): void {
  const { step: id, attempt, run } = facts;
  const { phase, attempt: current, deadline } = draft.step(id);
  const { op, timeoutMs } = draft.index(id).step;
  if (op.op !== "run" || phase.kind !== "attempting" || attempt !== current)
    throw draft.diverged(`step \`${id}\` was not about to start a run`);
  toRunning(draft, id);
  draft.change(id, { phase: { kind: "child", run, isLate: false } });
  draft.command({ kind: "await-child", step: id });
  if (timeoutMs === null || deadline !== null) return;
  const atMs = draft.atMs + timeoutMs;
  draft.change(id, { deadline: { atMs, set: false } });
  draft.command({ kind: "set-timer", step: id, attempt, atMs, why: "timeout" });
}

export function childEnded(
  draft: Draft,
  { facts, seq }: MachineEntry<"child.ended">,
  stored: Value | undefined,
): void {
  const { step: id, attempt, run, status, result, labels } = facts;
  const { phase, attempt: current, control, aborting, undo } = draft.step(id);
  if (phase.kind !== "child" || phase.run !== run || attempt !== current)
    throw draft.diverged(`step \`${id}\` does not wait for the run \`${run}\``);
  const value = result?.kind === "inline" ? result.value : (stored ?? null);
  if (result?.kind === "blob" && stored === undefined)
    throw fault(
      "runtime.value-not-recorded",
      `Cannot fold entry ${seq}: the value of its result is missing`,
      {
        run: draft.base.run,
        seq,
      },
    );
  // What decided inside the child decided how this step ended.
  draft.change(id, { control: joinLabels(control, labels) });
  if (labels.includes("simulated")) draft.head = { ...draft.head, simulated: true };
  if (status !== "rolled_back") draft.change(id, { undo: withChild(undo, { run, seq }) });
  if (status === "finished") {
    completeStep(draft, id, { value, labels });
    return;
  }
  const why =
    phase.isLate && !aborting
      ? record("runtime.timeout", `Step \`${id}\` did not end in time`, { step: id, run })
      : (facts.fault ??
        record("child.ended", `Cannot complete step \`${id}\`: the run \`${run}\` ended as ${status}`, {
          step: id,
          run,
          status,
        }));
  // It did something, and ends as what can be taken back.
  if (aborting) {
    draft.change(id, { fault: why });
    settleFailed(draft, id, null);
  } else failStep(draft, id, why, { attempted: true, retryable: !phase.isLate });
}

function withChild(
  undo: UndoState | null,
  { run, seq }: { readonly run: RunId; readonly seq: number },
): UndoState {
  const children = [...(undo?.children ?? []), run];
  return { call: null, completedSeq: seq, phase: "open", effect: null, fault: null, children };
}

/** Its time has passed. True when the step is one that runs a program. */
export function childTimedOut(draft: Draft, id: StepId): boolean {
  const { phase } = draft.step(id);
  if (draft.index(id).step.op.op !== "run") return false;
  draft.change(id, { deadline: null });
  if (phase.kind === "child") {
    draft.change(id, { phase: { ...phase, isLate: true } });
    draft.command({ kind: "await-child", step: id });
    return true;
  }
  const late = record("runtime.timeout", `Step \`${id}\` did not end in time`, { step: id });
  failStep(draft, id, late, { attempted: true, retryable: false });
  return true;
}

/** Every child of the step was taken back; `stays`: what could not be is left as it is. */
export function childrenUndone(
  draft: Draft,
  { facts }: MachineEntry<"undo.completed">,
  undo: UndoState,
): void {
  const { step, stays } = facts;
  draft.move(step, "UNDOING");
  if (stays === undefined) draft.move(step, "ROLLED_BACK");
  else draft.move(step, "HELD", "COMPLETED");
  draft.change(step, {
    undo: { ...undo, phase: stays === undefined ? "done" : "left", fault: stays ?? null },
  });
}

/** The timeout of the step is running, whatever it does now. */
export function childDeadlineRuns({ phase }: StepState): boolean {
  return phase.kind === "child" || phase.kind === "attempting" || phase.kind === "timer";
}

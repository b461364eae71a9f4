// Orders of people while a run runs: pause, resume, priority, retry, skip.
//   C1  While a run is paused nothing begins, fires, ends or is taken back; what is under way is let finish and recorded.
//   C3  A skipped step behaves as with policy `skip`: not attempted → SKIPPED, attempted → FAILED with the outcome `skipped`.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import type { MachineEntry } from "../machine.ts";
import type { RunState } from "../state.ts";
import type { Draft } from "./draft.ts";
import { applyIntercept } from "./intercept.ts";
import { record, settleFailed, skipStep } from "./failure.ts";
import { reopen, reopenProblem, retryOrdered, retryProblem } from "./reopen.ts";

export type ControlKind =
  | "run.paused"
  | "run.resumed"
  | "run.priority-set"
  | "step.retry-ordered"
  | "step.skip-ordered"
  | "breakpoint.set"
  | "breakpoint.cleared"
  | "step.intercepted"
  | "step.released";

/** What an order is judged by. */
export type Ordered = Pick<
  RunState,
  "steps" | "blocks" | "ending" | "ended" | "control" | "prepared" | "parent"
>;

/** The entries by which a run that has ended goes on. */
export function reopens(kind: string): boolean {
  return kind === "undo.requested" || kind === "step.retry-ordered" || kind === "step.skip-ordered";
}

export function applyControl(draft: Draft, entry: MachineEntry<ControlKind>): void {
  const refused = (why: FaultRecord | null): void => {
    if (why !== null) throw draft.diverged(why.message);
  };
  const run = orderedOf(draft);
  switch (entry.kind) {
    case "run.paused": {
      const { by, reason } = entry.facts;
      refused(pauseProblem(run));
      draft.control = { ...draft.control, paused: { by, reason, atMs: entry.atMs } };
      return;
    }
    case "run.resumed":
      refused(resumeProblem(run));
      draft.control = { ...draft.control, paused: null };
      return;
    case "run.priority-set":
      refused(priorityProblem(run));
      draft.head = { ...draft.head, priority: entry.facts.priority };
      return;
    case "step.retry-ordered": {
      const { step } = entry.facts;
      refused(retryProblem(run, step));
      retryOrdered(draft, step);
      return;
    }
    case "step.skip-ordered": {
      const { step, reason } = entry.facts;
      refused(skipProblem(run, step));
      skipOrdered(draft, step, reason);
      return;
    }
    case "breakpoint.set":
    case "breakpoint.cleared":
    case "step.intercepted":
    case "step.released":
      applyIntercept(draft, entry);
  }
}

function orderedOf({ steps, blocks, ending, ended, control, base, head }: Draft): Ordered {
  return { steps, blocks, ending, ended, control, prepared: base.prepared, parent: head.parent };
}

/** The entries that begin, fire or end something; none of them follows while the run is paused. */
const begins: ReadonlySet<string> = new Set([
  "effect.intended",
  "step.intercepted",
  "undo.intended",
  "timer.fired",
  "guard.announced",
  "guard.postponed",
  "guard.passed",
  "approval.expired",
  "event.emitted",
  "run.ended",
]);

export function assertNotPaused(draft: Draft, entry: MachineEntry): void {
  if (draft.control.paused !== null && begins.has(entry.kind))
    throw draft.diverged(`the run is paused, yet \`${entry.kind}\` follows`);
}

/** What is under way is let finish, and times are set so that they count. */
const whilePaused: ReadonlySet<string> = new Set([
  "perform",
  "perform-undo",
  "abort",
  "resolve",
  "resolve-undo",
  "set-timer",
  "await-timer",
  "request-approval",
  "await-approval",
  "await-guard",
  "read-back",
  "begin-wait",
  "await-event",
  "await-child",
]);

export function mayWhilePaused(command: { readonly kind: string }): boolean {
  return whilePaused.has(command.kind);
}

/** All that a state waits for, but what is under way already: that was never stopped. */
export function resumedCommands<C extends { readonly kind: string }>(
  commands: readonly C[],
): readonly Exclude<C, { readonly kind: "resolve" | "resolve-undo" }>[] {
  return commands.filter(isResumed);
}

function isResumed<C extends { readonly kind: string }>(
  command: C,
): command is Exclude<C, { readonly kind: "resolve" | "resolve-undo" }> {
  return command.kind !== "resolve" && command.kind !== "resolve-undo";
}

/** Why the run cannot be paused now, or null. */
export function pauseProblem(run: Ordered): FaultRecord | null {
  if (isOver(run)) return record("run.ended", "Cannot pause the run: it has ended", {});
  return run.control.paused === null
    ? null
    : record("run.paused", "Cannot pause the run: it is paused already", {});
}

export function resumeProblem(run: Ordered): FaultRecord | null {
  return run.control.paused === null
    ? record("run.not-paused", "Cannot resume the run: it is not paused", {})
    : null;
}

export function priorityProblem(run: Ordered): FaultRecord | null {
  return isOver(run) ? record("run.ended", "Cannot change the priority: the run has ended", {}) : null;
}

function isOver({ ending, ended }: Ordered): boolean {
  return ending === null ? ended !== null : ending.asked;
}

/** Why nobody can go on without the step now, or null. */
export function skipProblem(run: Ordered, id: StepId): FaultRecord | null {
  const step = run.steps.get(id);
  const why = (message: string): FaultRecord =>
    record("run.order", `Cannot skip step \`${id}\`: ${message}`, {
      step: id,
      state: step?.status ?? "",
    });
  if (step === undefined) return why("the program has no such step");
  if (step.phase.kind === "settled" && step.status === "FAILED") return reopenProblem(run, id, "skip");
  if (run.ending !== null || run.ended !== null)
    return record("run.ended", `Cannot skip step \`${id}\`: the run is ending or has ended`, { step: id });
  switch (step.phase.kind) {
    case "blocked":
      return step.status === "WAITING" || step.status === "FAILED"
        ? null
        : why("the block it stands in has not begun");
    case "attempting":
    case "intercepted":
    case "timer":
    case "postponed":
    case "countdown":
      return step.unsure !== undefined
        ? why("its last attempt may have been done; the next one finds out, or cancel the run")
        : null;
    case "approval":
    case "held":
      return null;
    case "intended":
    case "read-back":
    case "emitting":
    case "child":
      return why("it is under way; wait for its outcome, or cancel the run");
    case "settled":
      return why("it has ended");
    default:
      return why("steps inside it are under way; skip those");
  }
}

function skipOrdered(draft: Draft, id: StepId, reason: string): void {
  const { status, fault, phase } = draft.step(id);
  if (phase.kind === "settled") reopen(draft, id);
  if (status === "WAITING" || status === "AWAITING_APPROVAL" || status === "HELD") skipStep(draft, id);
  else {
    if (fault === null) {
      const skipped = record("run.step-skipped", `Step \`${id}\` was skipped: ${reason}`, { step: id });
      draft.change(id, { fault: skipped });
    }
    settleFailed(draft, id, "skipped");
  }
  draft.change(id, { outcome: "skipped" });
}

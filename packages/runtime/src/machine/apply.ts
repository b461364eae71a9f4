// What each kind of entry does to a run. An entry the step did not wait for is a divergence.
import { eventSlot } from "@writ/core/event";
import type { StepId } from "@writ/core/ids";
import type { Value, ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { Opcode } from "@writ/core/program";
import { faultRecord } from "@writ/core/fault";
import { isEffect } from "@writ/core/program-steps";
import { computeOperands } from "./operands.ts";
import type { EffectState, SlotState, UndoState } from "../state.ts";
import type { MachineEntry } from "../machine.ts";
import type { Draft } from "./draft.ts";
import {
  beginReadBack,
  guardAnnounced,
  guardDecided,
  guardPassed,
  guardPostponed,
  guardReadBack,
  readUnknown,
  readBackOf,
} from "./guard.ts";
import { preempted } from "./preemption.ts";
import { eventTimerFired, waitBegun, waitMatched, waitMissed } from "./wait.ts";
import { loopTimerFired, loopTimerSet } from "./loop.ts";
import { effectProgress } from "./progress.ts";
import { childDeadlineRuns, childEnded, childrenUndone, childStarted, childTimedOut } from "./child.ts";
import { startFork } from "./fork.ts";
import { runMigrated } from "./migrate.ts";
import type { PreparedProgram } from "../program-index.ts";
import { applyControl, assertNotPaused, reopens } from "./control.ts";
import {
  abortBlock,
  completeStep,
  endRun,
  enterBlock,
  failBlock,
  failStep,
  record,
  settleCompleted,
  settleFailed,
  skipBlock,
  skipStep,
  toRunning,
} from "./failure.ts";

/** A run that waits for its turn may have these; they begin nothing. */
const leavesWaiting: ReadonlySet<string> = new Set([
  "run.started",
  "run.cancel-requested",
  "run.preempted",
  "run.paused",
  "run.resumed",
  "run.priority-set",
  "step.skip-ordered",
  "step.retry-ordered",
  "breakpoint.set",
  "breakpoint.cleared",
  "run.migrated",
]);

export function applyEntry(
  draft: Draft,
  entry: MachineEntry,
  stored: Value | undefined,
  target?: PreparedProgram,
): void {
  if ((draft.head.event === null) !== (entry.kind === "run.started")) {
    throw draft.diverged(`\`${entry.kind}\` is not how a run goes on here`);
  }
  if (draft.ended !== null && draft.ending === null && !reopens(entry.kind)) {
    throw draft.diverged(`the run has ended, yet \`${entry.kind}\` follows`);
  }
  assertNotPaused(draft, entry);
  // A run that goes on after its end, or as one of another version, waits for a turn like a new one.
  const isNew = (draft.ended !== null && draft.ending === null) || entry.kind === "run.migrated";
  if (isNew) draft.head = { ...draft.head, begun: undefined };
  if (draft.head.begun !== true && !leavesWaiting.has(entry.kind))
    draft.head = { ...draft.head, begun: true };
  switch (entry.kind) {
    case "run.started": {
      const { event, labels, priority, principal, workspace, program, again, parent } = entry.facts;
      if (program !== draft.base.program) throw draft.diverged("it is a run of another program");
      draft.head = {
        event,
        workspace,
        principal,
        priority,
        startedAtMs: entry.atMs,
        preemptions: again?.times,
        ...(parent === undefined ? {} : { parent }),
      };
      if (entry.facts.forkedFrom !== undefined) startFork(draft, entry, stored);
      else draft.writeSlot("event", eventSlot(event), labels);
      draft.control = { ...draft.control, breakpoints: entry.facts.breakpoints ?? [] };
      if ([...draft.slots.values()].some((slot) => slot.labels.includes("simulated")))
        draft.head = { ...draft.head, simulated: true };
      if (entry.facts.forkedFrom === undefined) enterBlock(draft, 0, []);
      return;
    }
    case "effect.intended":
      effectIntended(draft, entry, stored);
      return;
    case "effect.completed":
      effectCompleted(draft, entry, stored);
      return;
    case "effect.progress":
      effectProgress(draft, entry);
      return;
    case "effect.failed":
      expectPhase(draft, entry.facts.step, "intended", entry.facts.attempt);
      effectFailed(draft, entry);
      return;
    case "effect.refused":
      effectRefused(draft, entry);
      return;
    case "effect.held": {
      const { step, attempt, reason, readBack } = entry.facts;
      expectPhase(draft, step, "intended", attempt);
      if (readBack === true) {
        draft.move(step, "UNKNOWN");
        readUnknown(draft, step, { reason, output: { value: null, labels: [] } });
        draft.change(step, { undo: draft.step(step).undo ?? undoOfUnknown(draft, entry, null) });
        return;
      }
      draft.move(step, "UNKNOWN", "HELD");
      draft.change(step, { phase: { kind: "held", reason } });
      return;
    }
    case "effect.settled":
      effectSettled(draft, entry);
      return;
    case "approval.requested":
      approvalRequested(draft, entry);
      return;
    case "approval.decided":
      approvalClosed(draft, entry, entry.facts.decision === "approve" ? "approved" : "rejected");
      return;
    case "approval.expired":
      approvalClosed(draft, entry, "expired");
      return;
    case "timer.set":
      timerSet(draft, entry);
      return;
    case "timer.fired":
      timerFired(draft, entry);
      return;
    case "guard.announced":
      guardAnnounced(draft, entry);
      return;
    case "guard.postponed":
      guardPostponed(draft, entry);
      return;
    case "guard.passed":
      guardPassed(draft, entry);
      return;
    case "guard.read-back":
      guardReadBack(draft, entry);
      return;
    case "guard.decided":
      guardDecided(draft, entry);
      return;
    case "wait.begun":
      waitBegun(draft, entry);
      return;
    case "wait.matched":
      waitMatched(draft, entry);
      return;
    case "wait.missed":
      waitMissed(draft, entry);
      return;
    case "child.started":
      childStarted(draft, entry);
      return;
    case "child.ended":
      childEnded(draft, entry, stored);
      return;
    case "event.emitted":
      expectPhase(draft, entry.facts.step, "emitting", null);
      completeStep(draft, entry.facts.step, null);
      return;
    case "run.cancel-requested": {
      if (draft.ending !== null) throw draft.diverged("the run is ending already");
      const { undo, reason } = entry.facts;
      draft.control = { ...draft.control, paused: null };
      const cancelled = record("runtime.cancelled", `The run was cancelled: ${reason}`, { reason });
      endRun(draft, {
        status: "cancelled",
        result: null,
        hasResult: false,
        fault: cancelled,
        undo,
        asked: false,
      });
      return;
    }
    case "run.migrated":
      runMigrated(draft, entry, target);
      return;
    case "run.paused":
    case "run.resumed":
    case "run.priority-set":
    case "step.retry-ordered":
    case "step.skip-ordered":
    case "breakpoint.set":
    case "breakpoint.cleared":
    case "step.intercepted":
    case "step.released":
      applyControl(draft, entry);
      return;
    case "run.snapshot":
      return;
    case "run.preempted":
      preempted(draft, entry);
      return;
    case "undo.requested": {
      if (draft.ended === null || draft.ending !== null)
        throw draft.diverged("only an ended run can be undone");
      const { status, result, fault: was, labels } = draft.ended;
      const carried = labels === undefined ? {} : { labels };
      draft.ending = {
        status,
        result,
        hasResult: result !== null,
        fault: was,
        undo: true,
        asked: false,
        ...carried,
      };
      return;
    }
    case "undo.intended": {
      const { step, params, targets, before, key, capability } = entry.facts;
      const undo = expectUndo(draft, step, ["asked"]);
      if (draft.step(step).status !== "UNDOING") draft.move(step, "UNDOING");
      const effect: EffectState = {
        capability,
        params: paramsOf(params, stored),
        targets,
        before,
        key,
        effect: "write",
      };
      draft.change(step, { undo: { ...undo, phase: "intended", effect } });
      draft.command({ kind: "perform-undo", step });
      return;
    }
    case "undo.completed": {
      const { children } = draft.step(entry.facts.step).undo ?? {};
      const undo = expectUndo(draft, entry.facts.step, [children === undefined ? "intended" : "asked"]);
      if (children !== undefined) {
        childrenUndone(draft, entry, undo);
        return;
      }
      draft.move(entry.facts.step, "ROLLED_BACK");
      draft.change(entry.facts.step, { undo: { ...undo, phase: "done" } });
      return;
    }
    case "undo.held": {
      const { step, fault: why } = entry.facts;
      const undo = expectUndo(draft, step, ["asked", "intended"]);
      if (draft.step(step).status !== "UNDOING") draft.move(step, "UNDOING");
      draft.move(step, "HELD");
      draft.change(step, { undo: { ...undo, phase: "held", fault: why } });
      return;
    }
    case "undo.settled":
      undoSettled(draft, entry);
      return;
    case "run.ended": {
      const { status, fault: why } = entry.facts;
      if (draft.ending?.asked !== true) throw draft.diverged("the run was not about to end");
      if (draft.ending.status !== status)
        throw draft.diverged(`the run ends \`${draft.ending.status}\`, not \`${status}\``);
      const { result, labels } = draft.ending;
      const carried = labels === undefined ? {} : { labels };
      draft.ended = { status, result, fault: why, atMs: entry.atMs, ...carried };
      draft.ending = null;
      return;
    }
    default:
      throw unknownEntry(entry);
  }
}

function unknownEntry(entry: never) {
  const { kind, seq } = entry as { readonly kind?: unknown; readonly seq?: unknown };
  return fault(
    "runtime.unknown-entry",
    `Cannot fold entry ${String(seq)}: its kind \`${String(kind)}\` is unknown`,
    {
      kind: String(kind),
      seq: Number(seq),
    },
  );
}

function effectIntended(
  draft: Draft,
  entry: MachineEntry<"effect.intended">,
  stored: Value | undefined,
): void {
  const { step, attempt, capability, params, targets, before, key, effect } = entry.facts;
  expectPhase(draft, step, "attempting", attempt);
  // The same effect again, by its key, goes on where it was.
  const known = draft.step(step).effect;
  const progress = known?.key === key ? known.progress : undefined;
  if (entry.facts.simulated === true) draft.head = { ...draft.head, simulated: true };
  toRunning(draft, step);
  draft.change(step, {
    phase: { kind: "intended" },
    effect: {
      capability,
      params: paramsOf(params, stored),
      targets,
      before,
      key,
      effect,
      ...(progress === undefined ? {} : { progress }),
    },
  });
  draft.command({ kind: "perform", step });
}

/** An outcome that nobody knows is found out by the next attempt, with the same key; without one it is held. */
function effectFailed(draft: Draft, { facts }: MachineEntry<"effect.failed">): void {
  const { step: id, fault: why, retryable } = facts;
  const isUnknown = why.facts["outcome"] === "unknown" && draft.step(id).effect?.effect !== "read";
  if (isUnknown && retryable === true) draft.change(id, { unsure: draft.step(id).unsure ?? why.message });
  failStep(draft, id, why, { attempted: true, retryable: retryable === true });
}

/** Also of a step that would ask for an approval of what cannot be shown; that one cannot be tried again. */
function effectRefused(draft: Draft, entry: MachineEntry<"effect.refused">): void {
  const { step: id, attempt, fault: why } = entry.facts;
  const { phase, attempt: current } = draft.step(id);
  const isAsking = phase.kind === "approval" && phase.why === "program" && phase.approval === null;
  if (!isAsking || attempt !== current) expectPhase(draft, id, "attempting", attempt);
  failStep(draft, id, why, { attempted: false, retryable: !isAsking });
}

function effectCompleted(
  draft: Draft,
  entry: MachineEntry<"effect.completed">,
  stored: Value | undefined,
): void {
  const { step, attempt, result, labels, undo, resolved } = entry.facts;
  expectPhase(draft, step, "intended", attempt);
  const value = result.kind === "inline" ? result.value : stored;
  if (value === undefined) {
    throw fault(
      "runtime.value-not-recorded",
      `Cannot fold entry ${entry.seq}: the value of its result is missing`,
      {
        run: draft.base.run,
        seq: entry.seq,
      },
    );
  }
  const { op } = draft.index(step).step;
  const { undo: earlier, aborting } = draft.step(step);
  draft.change(step, { unsure: undefined });
  if (readBackOf(op) !== undefined && !aborting) {
    if (resolved) draft.move(step, "UNKNOWN", "RUNNING");
    beginReadBack(draft, step, { value, labels });
    // An attempt before this one was commanded too and never seen to be done: what was before that one is to be restored.
    if (earlier?.phase === "open") return;
  } else {
    if (resolved) draft.move(step, "UNKNOWN", "COMPLETED");
    else draft.move(step, "COMPLETED");
    settleCompleted(draft, step, { value, labels });
  }
  if (op.op === "call" && op.compensation !== null) {
    const { call, fault: why } = compensationOf(draft, op, value);
    draft.change(step, { undo: { call, completedSeq: entry.seq, phase: "open", effect: null, fault: why } });
  } else if (undo !== null) {
    draft.change(step, {
      undo: { call: undo, completedSeq: entry.seq, phase: "open", effect: null, fault: null },
    });
  }
}

/** Its parameters are computed when the step completes, from what it saw: slots may be replaced later. */
function compensationOf(
  draft: Draft,
  op: Extract<Opcode, { op: "call" }>,
  result: Value,
): Pick<UndoState, "call" | "fault"> {
  if (op.compensation === null) return { call: null, fault: null };
  const own = op.output === null ? [] : ([[op.output, { value: result, labels: [] }]] as const);
  const slots = new Map<string, SlotState>([...draft.slots, ...own]);
  try {
    const { value: params } = computeOperands(op.compensation.params, {
      slots,
      prepared: draft.base.prepared,
    });
    return { call: { capability: op.compensation.capability, params }, fault: null };
  } catch (error) {
    const why = faultRecord(error);
    if (why === undefined) throw error;
    return { call: null, fault: why };
  }
}

function effectSettled(draft: Draft, entry: MachineEntry<"effect.settled">): void {
  const { step: id, attempt, decision, result, readBack } = entry.facts;
  expectPhase(draft, id, "held", attempt);
  const step = draft.step(id);
  if (decision !== "again") draft.change(id, { unsure: undefined });
  switch (decision) {
    case "done":
      if (readBack === true) {
        draft.move(id, "RUNNING", "UNKNOWN");
        const reason = "a person said that it was done";
        readUnknown(draft, id, { reason, output: { value: result, labels: ["origin:person"] } });
      } else {
        draft.move(id, "COMPLETED");
        settleCompleted(draft, id, { value: result, labels: ["origin:person"] });
      }
      draft.change(id, { undo: undoOfUnknown(draft, entry, result) });
      return;
    case "skip":
      skipStep(draft, id);
      draft.change(id, { outcome: "skipped" });
      return;
    case "failed":
      draft.move(id, "RUNNING");
      failStep(draft, id, heldFault(draft, id), { attempted: true, retryable: false });
      return;
    case "again":
      if (draft.ending !== null) throw draft.diverged("nothing is done again in a run that is ending");
      if (step.aborting) throw draft.diverged("nothing is done again for a group that was given up");
      draft.move(id, "RUNNING");
      draft.change(id, { phase: { kind: "attempting" }, attempt: step.attempt + 1 });
      draft.command({ kind: "attempt", step: id });
  }
}

/** What its author wrote; without that nobody knows how to take it back, and it stays. */
function undoOfUnknown(
  draft: Draft,
  { seq, facts }: MachineEntry<"effect.settled" | "effect.held">,
  result: Value,
): UndoState | null {
  const { op } = draft.index(facts.step).step;
  const open = { completedSeq: seq, effect: null } as const;
  if (op.op === "call" && op.compensation !== null) {
    return { ...open, ...compensationOf(draft, op, result), phase: "open" };
  }
  if (draft.step(facts.step).effect?.effect === "read") return null;
  return { ...open, call: null, fault: null, phase: "left" };
}

function heldFault(draft: Draft, id: StepId) {
  const known = draft.step(id).fault;
  return (
    known ??
    record("runtime.settled-failed", `Step \`${id}\` failed: a person found that it was not done`, {
      step: id,
    })
  );
}

function approvalRequested(draft: Draft, entry: MachineEntry<"approval.requested">): void {
  const { approval, step: id, role, message, effects, expiresAtMs, onExpiry, reason } = entry.facts;
  const step = draft.step(id);
  const asked = step.phase;
  let why: "program" | "gate" | "failure";
  if (asked.kind === "approval" && asked.approval === null) why = asked.why;
  else if (asked.kind === "attempting" && reason === "gate") why = "gate";
  else throw draft.diverged(`step \`${id}\` did not wait to ask anybody`);
  // A failed step that a person ordered again stays FAILED until its attempt begins.
  if (why === "gate" && step.status === "WAITING") draft.move(id, "AWAITING_APPROVAL");
  draft.change(id, { phase: { kind: "approval", why, role, approval, expiresAtMs, reason: message } });
  draft.setApproval({
    approval,
    step: id,
    why,
    role,
    message,
    effects,
    requestedAtMs: entry.atMs,
    expiresAtMs,
    onExpiry,
    state: "waiting",
    by: null,
    ...(entry.facts.notBy === undefined ? {} : { notBy: entry.facts.notBy }),
  });
  draft.command({ kind: "await-approval", step: id, expiresAtMs });
}

function approvalClosed(
  draft: Draft,
  entry: MachineEntry<"approval.decided"> | MachineEntry<"approval.expired">,
  state: "approved" | "rejected" | "expired",
): void {
  const { approval: id, step } = entry.facts;
  const approval = draft.approvals.get(id);
  const { phase } = draft.step(step);
  if (approval?.state !== "waiting" || phase.kind !== "approval" || phase.approval !== id) {
    throw draft.diverged(`the approval \`${id}\` does not wait`);
  }
  draft.setApproval({ ...approval, state, by: entry.kind === "approval.decided" ? entry.facts.by : null });
  if (state === "approved") approved(draft, step, phase.why);
  else if (state === "expired" && approval.onExpiry === "skip" && phase.why !== "failure") {
    if (draft.step(step).status === "FAILED") settleFailed(draft, step, "skipped");
    else skipStep(draft, step);
    draft.change(step, { outcome: "skipped" });
  } else notApproved(draft, step, { state, why: phase.why });
}

function approved(draft: Draft, id: StepId, why: "program" | "gate" | "failure"): void {
  const { op } = draft.index(id).step;
  if (why === "program") {
    const [body, otherwise] = draft.index(id).blocks;
    if (op.op !== "approve" || body === undefined)
      throw draft.diverged(`step \`${id}\` has nothing to approve`);
    draft.move(id, "RUNNING");
    draft.change(id, { phase: { kind: "blocks", of: "op" } });
    if (otherwise !== undefined) skipBlock(draft, otherwise);
    enterBlock(draft, body, draft.step(id).control);
    return;
  }
  if (why === "failure" && !isEffect(op) && op.op !== "run") {
    // A step with blocks, or one that computes, cannot be done again; the person's order is to go on without it.
    settleFailed(draft, id, "continued");
    return;
  }
  const step = draft.step(id);
  draft.change(id, {
    phase: { kind: "attempting" },
    ...(why === "failure" ? { attempt: step.attempt + 1, group: step.group + 1, tries: 1 } : {}),
  });
  draft.command({ kind: "attempt", step: id });
}

function notApproved(
  draft: Draft,
  id: StepId,
  how: { readonly state: "rejected" | "expired"; readonly why: "program" | "gate" | "failure" },
): void {
  const { step, blocks, block } = draft.index(id);
  const known = draft.step(id).fault;
  if (how.why === "failure" && known !== null) {
    settleFailed(draft, id, null);
    failBlock(draft, block, known);
    return;
  }
  const [body, otherwise] = blocks;
  if (how.why === "program" && step.op.op === "approve" && body !== undefined && otherwise !== undefined) {
    draft.move(id, "RUNNING");
    draft.change(id, { phase: { kind: "blocks", of: "op" } });
    skipBlock(draft, body);
    enterBlock(draft, otherwise, draft.step(id).control);
    return;
  }
  const refused =
    how.state === "expired"
      ? record("approval.expired", `Cannot run step \`${id}\`: nobody approved it in time`, { step: id })
      : record("approval.rejected", `Cannot run step \`${id}\`: its approval was rejected`, { step: id });
  failStep(draft, id, refused, { attempted: false, retryable: false });
}

function timerSet(draft: Draft, entry: MachineEntry<"timer.set">): void {
  const { step: id, attempt, atMs, why } = entry.facts;
  if (why === "loop") {
    loopTimerSet(draft, entry);
    return;
  }
  const step = draft.step(id);
  if (why === "timeout") {
    if (step.deadline === null || step.deadline.set)
      throw draft.diverged(`step \`${id}\` has no deadline to set`);
    draft.change(id, { deadline: { atMs, set: true } });
  } else {
    const { phase } = step;
    if (phase.kind !== "timer" || phase.why !== why || phase.set || attempt !== step.attempt) {
      throw draft.diverged(`step \`${id}\` did not ask for a timer`);
    }
    draft.change(id, { phase: { ...phase, atMs, set: true } });
  }
  draft.command({ kind: "await-timer", step: id, attempt, atMs, why });
}

function timerFired(draft: Draft, entry: MachineEntry<"timer.fired">): void {
  const { step: id, attempt, why } = entry.facts;
  if (why === "loop") {
    loopTimerFired(draft, entry);
    return;
  }
  if (why !== "timeout" && eventTimerFired(draft, entry)) return;
  const step = draft.step(id);
  if (why === "timeout") {
    if (step.deadline?.set === true && childDeadlineRuns(step) && childTimedOut(draft, id)) return;
    if (step.deadline?.set !== true || step.phase.kind !== "blocks")
      throw draft.diverged(`step \`${id}\` has no deadline`);
    draft.change(id, { deadline: null });
    const { blocks, degrade } = draft.index(id);
    for (const number of degrade === null ? blocks : [...blocks, degrade]) abortBlock(draft, number);
    const late = record("runtime.timeout", `Step \`${id}\` did not end in time`, { step: id });
    failStep(draft, id, late, { attempted: true, retryable: false });
    return;
  }
  if (step.phase.kind !== "timer" || step.phase.why !== why || !step.phase.set || attempt !== step.attempt) {
    throw draft.diverged(`step \`${id}\` does not wait for this timer`);
  }
  if (why === "wait") completeStep(draft, id, { value: null, labels: [] });
  else {
    draft.change(id, { phase: { kind: "attempting" } });
    draft.command({ kind: "attempt", step: id });
  }
}

function undoSettled(draft: Draft, entry: MachineEntry<"undo.settled">): void {
  const { step, decision } = entry.facts;
  const undo = expectUndo(draft, step, ["held"]);
  draft.move(step, "COMPLETED");
  switch (decision) {
    case "done":
      draft.move(step, "UNDOING", "ROLLED_BACK");
      draft.change(step, { undo: { ...undo, phase: "done" } });
      return;
    case "again":
      draft.change(step, { undo: { ...undo, phase: "asked", effect: null } });
      draft.command({ kind: "undo", step });
      return;
    case "leave":
      draft.change(step, { undo: { ...undo, phase: "left" } });
  }
}

function expectPhase(
  draft: Draft,
  id: StepId,
  kind: "attempting" | "intended" | "held" | "emitting",
  attempt: number | null,
): void {
  const step = draft.step(id);
  if (step.phase.kind !== kind || (attempt !== null && attempt !== step.attempt)) {
    throw draft.diverged(`step \`${id}\` is ${step.status} (${step.phase.kind}, attempt ${step.attempt})`);
  }
}

function expectUndo(draft: Draft, id: StepId, phases: readonly UndoState["phase"][]): UndoState {
  const { undo } = draft.step(id);
  if (undo === null || !phases.includes(undo.phase))
    throw draft.diverged(`step \`${id}\` is not being undone`);
  return undo;
}

function paramsOf(params: ValueMap | { readonly $blob: unknown }, stored: Value | undefined): ValueMap {
  if (!Object.hasOwn(params, "$blob") || stored === undefined) return params as ValueMap;
  return stored as ValueMap;
}

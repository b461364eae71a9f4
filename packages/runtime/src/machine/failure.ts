// Ends of steps and blocks: completion, skipping, failure policies, aborting, and the end of the run.
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { freeNames } from "@writ/core/expression";
import { joinLabels, type Label } from "@writ/core/label";
import type { FailurePolicy } from "@writ/core/program";
import { textsOf } from "@writ/core/program-check";
import { loopSlotsOf, outputSlotOf } from "@writ/core/program-steps";
import type { Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { BlockState, Ending, StepState, StepStatus } from "../state.ts";
import type { Draft } from "./draft.ts";
import { expressionOf, type Scope } from "./operands.ts";

const settled = { kind: "settled" } as const;

/** The step did what it should. `output` is written to its slot, if it has one. */
export function completeStep(
  draft: Draft,
  id: StepId,
  output: { readonly value: Value; readonly labels: readonly Label[] } | null,
): void {
  toRunning(draft, id);
  draft.move(id, "COMPLETED");
  settleCompleted(draft, id, output);
}

/** For a step that is COMPLETED already. */
export function settleCompleted(
  draft: Draft,
  id: StepId,
  output: { readonly value: Value; readonly labels: readonly Label[] } | null,
): void {
  draft.change(id, { phase: settled });
  const slot = outputSlotOf(draft.index(id).step.op);
  if (slot === null || output === null) return;
  const labels = joinLabels(output.labels, draft.step(id).control);
  // An effect that was not wanted any more leaves its slot to what replaced it.
  if (draft.step(id).aborting) {
    const late = new Map(draft.control.late).set(id, { value: output.value, labels });
    draft.control = { ...draft.control, late };
  } else draft.writeSlot(slot, output.value, labels);
}

/** The step and every step inside it is not run. */
export function skipStep(draft: Draft, id: StepId): void {
  draft.move(id, "SKIPPED");
  draft.change(id, { phase: settled });
  const { blocks, degrade } = draft.index(id);
  for (const number of degrade === null ? blocks : [...blocks, degrade]) skipBlock(draft, number);
}

export function skipBlock(draft: Draft, number: number): void {
  for (const id of stepsOf(draft, number)) {
    if (draft.step(id).status === "PENDING") skipStep(draft, id);
  }
}

/**
 * Hands a failure to the step's policy. `attempted`: its effect was under way; `retryable`: it may be tried again.
 * The step is in any state that is not settled.
 */
export function failStep(
  draft: Draft,
  id: StepId,
  record: FaultRecord,
  how: { readonly attempted: boolean; readonly retryable: boolean },
): void {
  const step = draft.step(id);
  draft.change(id, { fault: record });
  if (step.aborting && holdUnsure(draft, id)) return;
  if (step.aborting) {
    toRunning(draft, id);
    draft.move(id, "ABORTED");
    draft.change(id, { phase: settled });
    return;
  }
  const declared = draft.index(id).step.failure;
  const degraded = step.phase.kind === "blocks" && step.phase.of === "degrade";
  let policy: FailurePolicy = degraded ? { kind: "safe_halt" } : declared;
  while (policy.kind === "retry") {
    if (how.retryable && step.tries < policy.attemptsMax && policy.on.includes(record.code)) {
      retryStep(draft, id, policy);
      return;
    }
    policy = policy.then;
  }
  if (holdUnsure(draft, id)) return;
  applyPolicy(draft, id, policy, { record, attempted: how.attempted });
}

/** What an earlier attempt may have done is neither failed nor undone: a person looks. True when there is such an attempt. */
export function holdUnsure(draft: Draft, id: StepId): boolean {
  const { unsure } = draft.step(id);
  if (unsure === undefined) return false;
  toRunning(draft, id);
  draft.move(id, "UNKNOWN", "HELD");
  draft.change(id, { phase: { kind: "held", reason: `${unsure}; it may have been done all the same` } });
  return true;
}

/** The block cannot complete: its owner decides, or the run fails. */
export function failBlock(draft: Draft, number: number, record: FaultRecord): void {
  if (draft.block(number).status !== "active") return;
  draft.changeBlock(number, { status: "failed", fault: record });
  abortSteps(draft, number);
  const owner = ownerOf(draft, number);
  if (owner === null) {
    endRun(draft, {
      status: "failed",
      result: null,
      hasResult: false,
      fault: record,
      undo: false,
      asked: false,
    });
    return;
  }
  const { op } = draft.index(owner).step;
  if (op.op === "parallel" && draft.index(owner).degrade !== number) joinParallel(draft, owner);
  else failStep(draft, owner, record, { attempted: true, retryable: false });
}

/** Every step of the block has ended. */
export function completeBlock(draft: Draft, number: number): void {
  draft.changeBlock(number, { status: "completed" });
  const owner = ownerOf(draft, number);
  if (owner === null) {
    endRun(draft, {
      status: "finished",
      result: null,
      hasResult: false,
      fault: null,
      undo: false,
      asked: false,
    });
    return;
  }
  const { step, degrade } = draft.index(owner);
  if (degrade === number) {
    draft.change(owner, { outcome: "degraded" });
    completeStep(draft, owner, null);
  } else if (step.op.op === "parallel") joinParallel(draft, owner);
  // A loop goes on when nothing of the iteration is under way (`machine/loop.ts`).
  else if (step.op.op !== "loop") completeStep(draft, owner, null);
}

/** Decides a parallel group by what its branches came to. */
export function joinParallel(draft: Draft, id: StepId): void {
  const { step, blocks } = draft.index(id);
  if (step.op.op !== "parallel" || draft.step(id).phase.kind !== "blocks") return;
  const branches = blocks.map((number) => draft.block(number));
  const verdict = joinVerdict(step.op.join, branches);
  if (verdict === "open") return;
  for (const number of blocks) abortBlock(draft, number);
  if (verdict === "completed") {
    completeStep(draft, id, null);
    return;
  }
  failStep(draft, id, groupFault(id, branches), { attempted: true, retryable: false });
}

function joinVerdict(
  join: { readonly kind: "all" | "first" | "race" } | { readonly kind: "quorum"; readonly count: number },
  branches: readonly BlockState[],
): "open" | "completed" | "failed" {
  const completed = branches.filter((branch) => branch.status === "completed").length;
  const failed = branches.filter((branch) => branch.status === "failed").length;
  const needed =
    join.kind === "all"
      ? branches.length
      : join.kind === "quorum"
        ? join.count
        : Math.min(1, branches.length);
  if (completed >= needed) return "completed";
  if (join.kind === "race" ? failed > 0 : branches.length - failed < needed) return "failed";
  return "open";
}

function groupFault(id: StepId, branches: readonly BlockState[]): FaultRecord {
  const faults = branches.flatMap((branch) => (branch.fault === null ? [] : [branch.fault]));
  const [first] = faults;
  if (first !== undefined && faults.length === 1) return first;
  return record(
    "runtime.group-failed",
    `Cannot complete the group \`${id}\`: ${faults.length} of ${branches.length} branches failed`,
    {
      step: id,
      codes: faults.map(({ code }) => code),
    },
  );
}

function retryStep(draft: Draft, id: StepId, policy: Extract<FailurePolicy, { kind: "retry" }>): void {
  const step = draft.step(id);
  toRunning(draft, id);
  draft.move(id, "RETRYING");
  const delayMs = Math.min(policy.delayMsMax, Math.round(policy.delayMs * policy.factor ** (step.tries - 1)));
  const atMs = draft.atMs + delayMs;
  const attempt = step.attempt + 1;
  draft.change(id, {
    attempt,
    tries: step.tries + 1,
    phase: { kind: "timer", why: "retry", atMs, set: false },
  });
  draft.command({ kind: "set-timer", step: id, attempt, atMs, why: "retry" });
}

function applyPolicy(
  draft: Draft,
  id: StepId,
  policy: Exclude<FailurePolicy, { kind: "retry" }>,
  failure: { readonly record: FaultRecord; readonly attempted: boolean },
): void {
  switch (policy.kind) {
    case "safe_halt":
      settleFailed(draft, id, null);
      failBlock(draft, draft.index(id).block, failure.record);
      return;
    case "continue":
      settleFailed(draft, id, "continued");
      return;
    case "skip": {
      const { status } = draft.step(id);
      const untouched = !failure.attempted && (status === "WAITING" || status === "AWAITING_APPROVAL");
      if (untouched) skipStep(draft, id);
      else settleFailed(draft, id, "skipped");
      draft.change(id, { outcome: "skipped" });
      return;
    }
    case "safe_value":
      draft.change(id, { outcome: "safe_value" });
      completeStep(draft, id, { value: policy.value, labels: readLabels(draft, id) });
      return;
    case "degrade": {
      const { degrade } = draft.index(id);
      if (degrade === null) throw draft.diverged(`step \`${id}\` has no alternative block`);
      toRunning(draft, id);
      draft.change(id, { control: joinLabels(draft.step(id).control, readLabels(draft, id)) });
      for (const number of draft.index(id).blocks) dropSlots(draft, number);
      for (const slot of ownSlotsOf(draft, id)) draft.dropSlot(slot);
      draft.change(id, { phase: { kind: "blocks", of: "degrade" } });
      enterBlock(draft, degrade, decidedBy(draft, id));
      return;
    }
    case "ask_person":
    case "recompile": {
      toRunning(draft, id);
      draft.move(id, "FAILED");
      const expiresAtMs = draft.atMs + policy.withinMs;
      draft.change(id, {
        phase: {
          kind: "approval",
          why: "failure",
          role: policy.role,
          approval: null,
          expiresAtMs,
          reason: failure.record.message,
        },
      });
      draft.command({ kind: "request-approval", step: id, why: "failure", role: policy.role, expiresAtMs });
      return;
    }
    case "ask_model":
      throw draft.diverged(`step \`${id}\` has the policy \`${policy.kind}\``);
    case "compensate":
      settleFailed(draft, id, null);
      endRun(draft, {
        status: "failed",
        result: null,
        hasResult: false,
        fault: failure.record,
        undo: true,
        asked: false,
      });
  }
}

/** Labels of what the step, and the steps inside it, read: that decided that it failed. */
function readLabels(draft: Draft, id: StepId): readonly Label[] {
  const { step, blocks } = draft.index(id);
  const scope: Scope = { slots: draft.slots, prepared: draft.base.prepared };
  const names = textsOf(step).flatMap((text) => freeNames(expressionOf(text, scope)));
  const read = step.op.op === "check" ? [...names, step.op.slot] : names;
  const own = read.map((name) => draft.slots.get(name)?.labels ?? []);
  const inner = blocks.flatMap((number) => stepsOf(draft, number)).map((each) => readLabels(draft, each));
  return joinLabels(...own, ...inner);
}

/** What a step with blocks wrote before it failed is not there for what replaces it. */
export function dropSlots(draft: Draft, number: number): void {
  for (const id of stepsOf(draft, number)) {
    for (const slot of ownSlotsOf(draft, id)) draft.dropSlot(slot);
    const { blocks, degrade } = draft.index(id);
    for (const inner of degrade === null ? blocks : [...blocks, degrade]) dropSlots(draft, inner);
  }
}

/** From whatever it was, the step is FAILED and its dependents may look at it. */
export function settleFailed(draft: Draft, id: StepId, outcome: "continued" | "skipped" | null): void {
  if (draft.step(id).status !== "FAILED") {
    toRunning(draft, id);
    draft.move(id, "FAILED");
  }
  draft.change(id, { phase: settled, outcome });
}

/** Steps that never ran on their own pass through RUNNING, so that the table holds for them too. */
export function toRunning(draft: Draft, id: StepId): void {
  if (draft.step(id).status !== "RUNNING") draft.move(id, "RUNNING");
}

export function enterBlock(draft: Draft, number: number, control: readonly Label[]): void {
  draft.changeBlock(number, { status: "active", control });
  for (const id of stepsOf(draft, number)) draft.move(id, "WAITING");
}

/** What decided how the step ended, the steps inside it included. */
export function decidedBy(draft: Draft, id: StepId): readonly Label[] {
  const { blocks, degrade } = draft.index(id);
  let control = draft.step(id).control;
  for (const number of degrade === null ? blocks : [...blocks, degrade]) {
    for (const inner of stepsOf(draft, number)) control = joinLabels(control, decidedBy(draft, inner));
  }
  return control;
}

/** Stops a block that is not needed any more; effects under way are aborted and their outcome is awaited. */
export function abortBlock(draft: Draft, number: number): void {
  const { status } = draft.block(number);
  if (status === "idle") return;
  if (status === "active") draft.changeBlock(number, { status: "aborted" });
  abortSteps(draft, number);
}

function abortSteps(draft: Draft, number: number): void {
  for (const id of stepsOf(draft, number)) {
    abortStep(draft, id, "ABORTED");
    const { blocks, degrade } = draft.index(id);
    for (const inner of degrade === null ? blocks : [...blocks, degrade]) {
      if (draft.block(inner).status === "active") draft.changeBlock(inner, { status: "aborted" });
      abortSteps(draft, inner);
    }
  }
}

function abortStep(draft: Draft, id: StepId, idle: "ABORTED" | "SKIPPED"): void {
  const step = draft.step(id);
  if (step.phase.kind === "settled" || step.aborting) return;
  if (step.phase.kind === "intended") {
    draft.change(id, { aborting: true });
    draft.command({ kind: "abort", step: id });
    return;
  }
  if (step.phase.kind === "held") {
    draft.change(id, { aborting: true });
    return;
  }
  if (abortChild(draft, id)) return;
  if (abortable(step) && holdUnsure(draft, id)) {
    draft.change(id, { aborting: true });
    return;
  }
  if (step.phase.kind === "read-back" && step.phase.unknown !== undefined) {
    draft.move(id, "HELD");
    draft.change(id, { aborting: true, phase: { kind: "held", reason: step.phase.unknown } });
    draft.command({ kind: "abort", step: id });
    return;
  }
  if (step.phase.kind === "read-back") {
    // It was performed, and nobody will know whether it did what it should: not completed, and to be taken back like one that was.
    draft.change(id, {
      fault: record("guard.unverified", `Nobody waited for the read-back of step \`${id}\``, { step: id }),
    });
    settleFailed(draft, id, null);
    draft.command({ kind: "abort", step: id });
    return;
  }
  const to: StepStatus | null = step.status === "PENDING" ? idle : abortable(step) ? "ABORTED" : null;
  if (to !== null) draft.move(id, to);
  draft.change(id, { phase: settled });
}

/** Nobody waits for the step any more. True when its child is cancelled, or what an earlier attempt did is kept to be taken back. */
function abortChild(draft: Draft, id: StepId): boolean {
  const { phase, undo, status } = draft.step(id);
  if (phase.kind === "child") {
    draft.change(id, { aborting: true });
    draft.command({ kind: "await-child", step: id });
    return true;
  }
  if (undo?.children === undefined || status === "FAILED" || phase.kind === "settled") return false;
  settleFailed(draft, id, null);
  return true;
}

/** A FAILED step that waits for a person's order stays FAILED. */
function abortable(step: StepState): boolean {
  return ["WAITING", "AWAITING_APPROVAL", "RUNNING", "RETRYING"].includes(step.status);
}

/** The first reason to end wins. Nothing new begins; what is under way is aborted and awaited. */
export function endRun(draft: Draft, ending: Ending): void {
  if (draft.ending !== null) return;
  draft.ending = ending;
  for (const id of draft.steps.keys())
    abortStep(draft, id, ending.status === "finished" ? "SKIPPED" : "ABORTED");
  for (const [number, block] of draft.blocks.entries()) {
    if (block.status === "active") draft.changeBlock(number, { status: "aborted" });
  }
}

export function record(
  code: Parameters<typeof fault>[0],
  message: string,
  facts: FaultRecord["facts"],
): FaultRecord {
  const made = fault(code, message, facts);
  return { code: made.code, kind: made.kind, message: made.message, remedy: made.remedy, facts };
}

function ownSlotsOf(draft: Draft, id: StepId): readonly string[] {
  const { op } = draft.index(id).step;
  if (op.op === "loop") return loopSlotsOf(op);
  const output = outputSlotOf(op);
  return output === null ? [] : [output];
}

function stepsOf(draft: Draft, number: number): readonly StepId[] {
  return draft.base.prepared.blocks[number]?.steps ?? [];
}

function ownerOf(draft: Draft, number: number): StepId | null {
  return draft.base.prepared.blocks[number]?.owner ?? null;
}

/** Faults that data can cause; anything else thrown here is a bug of ours and stops the run where it is. */
export function expressionFault(error: unknown): FaultRecord | undefined {
  const known = faultRecord(error);
  if (known === undefined) return undefined;
  return known.code.startsWith("expression.") ||
    known.code === "core.invalid-value" ||
    known.code === "runtime.time-invalid"
    ? known
    : undefined;
}

// Going on from a failed step: its block, the blocks around it and what fell with them come back; what was done stays done.
//   C6  A step that was skipped or aborted gets a new instance, whose attempts go on counting; nothing else moves out of a final state.
//   C7  What came after the step and happened all the same, or was taken back, stands in the way.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import type { FailurePolicy } from "@writ/core/program";
import { outputSlotOf } from "@writ/core/program-steps";
import type { RunState } from "../state.ts";
import { noStepControl } from "./control-state.ts";
import type { Ordered } from "./control.ts";
import type { Draft } from "./draft.ts";
import { record } from "./failure.ts";
import { renewBlock, renewed } from "./instances.ts";
import { setStepControl } from "./intercept.ts";

interface Plan {
  /** From the innermost; each is failed, aborted or completed and becomes active. */
  readonly blocks: readonly number[];
  /** Steps around it that failed with it and run again. */
  readonly owners: readonly StepId[];
  /** Steps after it, or after a step around it, that were skipped because of it. */
  readonly after: readonly StepId[];
}

export function retryProblem(run: Ordered, id: StepId): FaultRecord | null {
  const step = run.steps.get(id);
  const why = (message: string): FaultRecord =>
    record("run.order", `Cannot try step \`${id}\` again: ${message}`, {
      step: id,
      state: step?.status ?? "",
    });
  if (step === undefined) return why("the program has no such step");
  if (step.status !== "FAILED")
    return why(`it is ${step.status}, and only a step that has failed is tried again`);
  const inner = failedInside(run, id);
  if (inner.length > 0) return why(`it failed because of ${named(inner)}; try that again`);
  // It waits for a person already; the order is the answer.
  if (step.phase.kind === "approval" && step.phase.why === "failure" && run.ending === null) return null;
  if (step.phase.kind !== "settled") return why("it is about to be tried");
  return reopenProblem(run, id, "try again");
}

/** Why nobody can go on from the settled failed step, or null. */
export function reopenProblem(run: Ordered, id: StepId, verb: "skip" | "try again"): FaultRecord | null {
  const plan = planOf(run, id);
  const why = (message: string): FaultRecord =>
    record(
      "run.order",
      `Cannot ${verb === "skip" ? "skip" : "try"} step \`${id}\`${verb === "skip" ? "" : " again"}: ${message}`,
      {
        step: id,
        state: run.steps.get(id)?.status ?? "",
      },
    );
  if (run.ending !== null) return why("the run is ending; wait until it has ended");
  if (run.ended !== null && run.ended.status !== "failed")
    return why(`the run ended as ${run.ended.status}, and only one that failed goes on`);
  // Its resources are its parent's, and nobody would hear of its other end.
  if (run.ended !== null && run.parent !== undefined)
    return why(
      `the run \`${run.parent.run}\` that started it has gone on; try its step \`${run.parent.step}\` again`,
    );
  if (isUndone(run)) return why("effects of the run were taken back, or are being");
  if (typeof plan === "string") return why(plan);
  if (verb === "skip" && run.steps.get(id)?.outcome === "skipped") return why("it was skipped already");
  const inTheWay = plan.after.filter((after) => standsInTheWay(run, after));
  if (inTheWay.length > 0) return why(`${named(inTheWay)} came after it and stands in the way`);
  const others = plan.blocks
    .flatMap((block) => run.prepared.blocks[block]?.steps ?? [])
    .filter((other) => other !== id && !plan.owners.includes(other) && failedForGood(run, other));
  if (others.length > 0) return why(`${named(others)} failed too; go on from there`);
  return null;
}

/** A person's order: a new attempt of a new group, begun when the run goes on. */
export function retryOrdered(draft: Draft, id: StepId): void {
  const { phase, attempt, group } = draft.step(id);
  if (phase.kind === "settled") reopen(draft, id);
  if (hasBegunBlocks(draft, id)) {
    resumeOwner(draft, id);
    return;
  }
  // Its blocks never began, and what fell inside them begins with it.
  renewInside(draft, id);
  const known = draft.control.steps.get(id) ?? noStepControl;
  setStepControl(draft, id, { ...known, changed: null, orderedGroup: group + 1 });
  // FAILED until its attempt begins; it begins as every step does, once the run may go on.
  draft.change(id, {
    phase: { kind: "blocked" },
    attempt: attempt + 1,
    group: group + 1,
    tries: 1,
    aborting: false,
    deadline: null,
    outcome: null,
  });
}

/** Brings back what fell with the step, which itself stays as it is. */
export function reopen(draft: Draft, id: StepId): void {
  const { steps, blocks, ended, ending, control, base } = draft;
  const plan = planOf({ steps, blocks, ended, ending, control, prepared: base.prepared }, id);
  if (typeof plan === "string") throw draft.diverged(plan);
  if (draft.ended !== null) {
    draft.ended = null;
    draft.control = { ...draft.control, clockFromMs: draft.atMs };
  }
  for (const number of plan.blocks) draft.changeBlock(number, { status: "active", fault: null });
  for (const owner of plan.owners) resumeOwner(draft, owner);
  for (const number of plan.blocks) reviveBlock(draft, number);
  for (const after of plan.after) {
    if (draft.step(after).status === "SKIPPED") startAfresh(draft, after);
  }
}

/** The step runs its blocks again: those that were aborted go on, those that have ended stay. */
function resumeOwner(draft: Draft, id: StepId): void {
  const { step, blocks, degrade } = draft.index(id);
  const isDegraded = degrade !== null && draft.block(degrade).status !== "idle";
  draft.move(id, "RUNNING");
  draft.change(id, {
    phase: { kind: "blocks", of: isDegraded ? "degrade" : "op" },
    aborting: false,
    outcome: null,
    fault: null,
  });
  if (step.timeoutMs !== null) {
    const atMs = draft.atMs + step.timeoutMs;
    draft.change(id, { deadline: { atMs, set: false } });
    draft.command({ kind: "set-timer", step: id, attempt: draft.step(id).attempt, atMs, why: "timeout" });
  }
  const { loop } = draft.step(id);
  if (loop?.pause != null) {
    // It stood between two iterations.
    const { atMs } = loop.pause;
    draft.change(id, { loop: { ...loop, pause: { atMs, set: false } } });
    draft.command({ kind: "set-timer", step: id, attempt: draft.step(id).attempt, atMs, why: "loop" });
  }
  for (const number of isDegraded ? [degrade] : blocks) {
    if (draft.block(number).status !== "aborted") continue;
    draft.changeBlock(number, { status: "active" });
    reviveBlock(draft, number);
  }
}

function reviveBlock(draft: Draft, number: number): void {
  for (const id of draft.base.prepared.blocks[number]?.steps ?? []) {
    const step = draft.step(id);
    if (step.status === "ABORTED") revive(draft, id);
    else if (step.status === "COMPLETED" && step.aborting) takeLate(draft, id);
    else if (step.status === "FAILED" && step.phase.kind === "settled" && step.outcome === null)
      askAgain(draft, id);
  }
}

function revive(draft: Draft, id: StepId): void {
  if (!hasBegunBlocks(draft, id)) {
    startAfresh(draft, id);
    return;
  }
  const { loop, control } = draft.step(id);
  draft.renew(id, { ...renewed(draft.step(id)), control, ...(loop === undefined ? {} : { loop }) });
  draft.move(id, "WAITING");
  resumeOwner(draft, id);
}

/** A new instance of the step, and of every step inside it. */
function startAfresh(draft: Draft, id: StepId): void {
  renewInside(draft, id);
  draft.renew(id, renewed(draft.step(id)));
  draft.move(id, "WAITING");
}

function renewInside(draft: Draft, id: StepId): void {
  const { blocks, degrade } = draft.index(id);
  for (const number of degrade === null ? blocks : [...blocks, degrade]) {
    draft.changeBlock(number, { status: "idle", control: [], fault: null });
    renewBlock(draft, number);
  }
}

/** Its effect finished when nobody wanted it any more; now it is wanted. */
function takeLate(draft: Draft, id: StepId): void {
  draft.change(id, { aborting: false });
  const known = draft.control.late.get(id);
  const slot = outputSlotOf(draft.index(id).step.op);
  if (known === undefined || slot === null) return;
  const late = new Map(draft.control.late);
  late.delete(id);
  draft.control = { ...draft.control, late };
  draft.writeSlot(slot, known.value, known.labels);
}

/** A person was asked about its failure when the run ended, and is asked again. */
function askAgain(draft: Draft, id: StepId): void {
  const policy = lastPolicy(draft.index(id).step.failure);
  if (policy.kind !== "ask_person" && policy.kind !== "recompile") return;
  const expiresAtMs = draft.atMs + policy.withinMs;
  const reason = draft.step(id).fault?.message ?? "";
  const { role } = policy;
  draft.change(id, {
    phase: { kind: "approval", why: "failure", role, approval: null, expiresAtMs, reason },
  });
  draft.command({ kind: "request-approval", step: id, why: "failure", role, expiresAtMs });
}

/** What going on from the step takes, or why it is impossible. */
function planOf(run: Ordered, id: StepId): Plan | string {
  const blocks: number[] = [];
  const owners: StepId[] = [];
  const after: StepId[] = [...stepsAfter(run, id)];
  for (let at = id; ;) {
    const place = run.prepared.steps.get(at);
    if (place === undefined) return "the program has no such step";
    const block = run.blocks[place.block];
    if (block === undefined || block.status === "idle") return "the block it stands in never began";
    if (block.status === "active") return { blocks, owners, after };
    blocks.push(place.block);
    const owner = run.prepared.blocks[place.block]?.owner ?? null;
    if (owner === null) return { blocks, owners, after };
    const around = run.steps.get(owner);
    const degrade = run.prepared.steps.get(owner)?.degrade ?? null;
    if (degrade !== null && degrade !== place.block && run.blocks[degrade]?.status !== "idle")
      return `the alternative of \`${owner}\` ran instead`;
    if (around?.status === "RUNNING") return { blocks, owners, after };
    const isAsked = around?.phase.kind === "approval" && around.phase.why === "failure";
    if (around?.status !== "FAILED" || (around.phase.kind !== "settled" && !isAsked))
      return `\`${owner}\`, in which it stands, is ${around?.status ?? "gone"}; go on from the step that failed the run`;
    owners.push(owner);
    after.push(...stepsAfter(run, owner));
    at = owner;
  }
}

/** Steps of the same block that come after it, directly or not. */
function stepsAfter(run: Ordered, id: StepId): readonly StepId[] {
  const block = run.prepared.steps.get(id)?.block ?? 0;
  const reached = new Set<StepId>([id]);
  for (let grew = true; grew;) {
    grew = false;
    for (const other of run.prepared.blocks[block]?.steps ?? []) {
      const before = run.prepared.steps.get(other)?.step.after ?? [];
      if (reached.has(other) || !before.some((one) => reached.has(one))) continue;
      reached.add(other);
      grew = true;
    }
  }
  reached.delete(id);
  return [...reached];
}

/** It was attempted, or decided on by a person: it is not there to be started afresh. */
function standsInTheWay(run: Ordered, id: StepId): boolean {
  const step = run.steps.get(id);
  if (step === undefined) return true;
  if (step.status === "SKIPPED") return step.outcome === "skipped";
  if (step.status === "ABORTED") return step.effect !== null || begunBlocks(run, id);
  return step.status !== "PENDING" && (step.status !== "WAITING" || step.phase.kind !== "blocked");
}

/** Failed with nobody left to ask, which is what failed its block. */
function failedForGood(run: Ordered, id: StepId): boolean {
  const step = run.steps.get(id);
  if (step?.status !== "FAILED" || step.phase.kind !== "settled" || step.outcome !== null) return false;
  const failure = run.prepared.steps.get(id)?.step.failure;
  const policy = failure === undefined ? null : lastPolicy(failure);
  return policy?.kind !== "ask_person" && policy?.kind !== "recompile";
}

function failedInside(run: Ordered, id: StepId): readonly StepId[] {
  const found: StepId[] = [];
  const index = run.prepared.steps.get(id);
  const open =
    index === undefined ? [] : [...index.blocks, ...(index.degrade === null ? [] : [index.degrade])];
  for (const number of open) {
    if (run.blocks[number]?.status === "idle") continue;
    for (const inner of run.prepared.blocks[number]?.steps ?? []) {
      const step = run.steps.get(inner);
      if (step?.status !== "FAILED" || step.outcome !== null) continue;
      const deeper = failedInside(run, inner);
      found.push(...(deeper.length > 0 ? deeper : [inner]));
    }
  }
  return found;
}

function isUndone({ steps, ended }: Ordered): boolean {
  if (ended?.fault != null && Object.hasOwn(ended.fault.facts, "stays")) return true;
  return [...steps.values()].some(
    ({ status, undo }) =>
      status === "UNDOING" ||
      status === "ROLLED_BACK" ||
      (undo !== null && undo.phase !== "open" && undo.phase !== "left"),
  );
}

function begunBlocks({ prepared, blocks }: Pick<RunState, "prepared" | "blocks">, id: StepId): boolean {
  const index = prepared.steps.get(id);
  const own =
    index === undefined ? [] : [...index.blocks, ...(index.degrade === null ? [] : [index.degrade])];
  return own.some((number) => blocks[number]?.status !== "idle");
}

function hasBegunBlocks(draft: Draft, id: StepId): boolean {
  return begunBlocks({ prepared: draft.base.prepared, blocks: draft.blocks }, id);
}

function lastPolicy(policy: FailurePolicy): FailurePolicy {
  let last = policy;
  while (last.kind === "retry") last = last.then;
  return last;
}

function named(steps: readonly StepId[]): string {
  return steps
    .slice(0, 5)
    .map((step) => `\`${step}\``)
    .join(", ");
}

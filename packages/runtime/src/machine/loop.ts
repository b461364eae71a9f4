// Loops: the body runs once per iteration (K24).
//   I1  An iteration begins when nothing of the one before it is under way or held, so that no outcome is lost to a new instance.
//   I2  What an iteration did can be taken back: what a new instance replaces is kept in `past`, in order.
//   I3  One entry leads to at most `loopTurnsMax` iterations; then the loop waits for a timer, so that it starves nobody.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { joinLabels, type Label } from "@writ/core/label";
import type { Loop } from "@writ/core/program";
import type { Value } from "@writ/core/value";
import { loopTurnsMax } from "../limits.ts";
import type { MachineEntry } from "../machine.ts";
import type { LoopState, SlotState } from "../state.ts";
import type { Draft } from "./draft.ts";
import {
  abortBlock,
  completeStep,
  decidedBy,
  dropSlots,
  enterBlock,
  expressionFault,
  failStep,
  record,
  skipBlock,
} from "./failure.ts";
import { renewBlock } from "./instances.ts";
import { computeOperand, computeText, type Computed, type Scope } from "./operands.ts";

export function startLoop(draft: Draft, id: StepId, op: Loop): void {
  const scope: Scope = { slots: draft.slots, prepared: draft.base.prepared };
  const list = op.over === null ? null : computeOperand(op.over.list, scope);
  const items = list === null ? null : list.value;
  if (items !== null && !isList(items)) {
    fail(draft, id, typeFault(id, "what it runs over is no list"));
    return;
  }
  if (items !== null && items.length > op.iterationsMax) {
    const facts = { step: id, count: items.length, iterationsMax: op.iterationsMax };
    const message = `Cannot run \`${id}\` over ${items.length} elements: it may run ${op.iterationsMax} times`;
    fail(draft, id, record("loop.too-long", message, facts));
    return;
  }
  const carried = op.carry.map(({ initial }) => computeOperand(initial, scope));
  const control = joinLabels(draft.step(id).control, list?.labels ?? []);
  draft.move(id, "RUNNING");
  draft.change(id, {
    phase: { kind: "blocks", of: "op" },
    control,
    loop: { iteration: -1, items, labels: list?.labels ?? [], pause: null },
  });
  writeCarried(draft, op, carried, control);
  nextIteration(draft, id, op);
}

/** Goes on with every loop whose iteration has come to its end. True when one did. */
export function continueLoops(draft: Draft): boolean {
  let moved = false;
  for (const id of draft.base.prepared.loops) {
    const { phase, loop } = draft.step(id);
    const { step, blocks } = draft.index(id);
    const [body] = blocks;
    if (step.op.op !== "loop" || body === undefined || loop === undefined || loop.pause !== null) continue;
    if (phase.kind !== "blocks" || phase.of !== "op" || draft.block(body).status !== "completed") continue;
    if (isBusy(draft, body)) continue;
    endIteration(draft, id, step.op);
    moved = true;
    if (draft.ending !== null) break;
  }
  return moved;
}

export function loopTimerSet(draft: Draft, { facts }: MachineEntry<"timer.set">): void {
  const { step: id, attempt, atMs } = facts;
  const { loop } = draft.step(id);
  if (loop?.pause?.set !== false) throw draft.diverged(`step \`${id}\` did not ask for a pause`);
  draft.change(id, { loop: { ...loop, pause: { atMs, set: true } } });
  draft.command({ kind: "await-timer", step: id, attempt, atMs, why: "loop" });
}

export function loopTimerFired(draft: Draft, { facts }: MachineEntry<"timer.fired">): void {
  const { step: id } = facts;
  const { loop, phase } = draft.step(id);
  const { op } = draft.index(id).step;
  if (op.op !== "loop" || loop?.pause?.set !== true || phase.kind !== "blocks")
    throw draft.diverged(`step \`${id}\` does not pause`);
  draft.change(id, { loop: { ...loop, pause: null } });
  nextIteration(draft, id, op);
}

function nextIteration(draft: Draft, id: StepId, op: Loop): void {
  const loop = loopOf(draft, id);
  const [body] = draft.index(id).blocks;
  if (body === undefined) throw draft.diverged(`the loop \`${id}\` has no body`);
  const iteration = loop.iteration + 1;
  if (iteration >= (loop.items?.length ?? op.iterationsMax)) {
    if (iteration === 0) skipBlock(draft, body);
    endLoop(draft, id, op, false);
    return;
  }
  if (draft.loopTurns >= loopTurnsMax) {
    const atMs = draft.atMs;
    draft.change(id, { loop: { ...loop, pause: { atMs, set: false } } });
    draft.command({ kind: "set-timer", step: id, attempt: draft.step(id).attempt, atMs, why: "loop" });
    return;
  }
  draft.loopTurns += 1;
  const { control } = draft.step(id);
  if (iteration > 0) {
    dropSlots(draft, body);
    renewBlock(draft, body);
  }
  draft.change(id, { loop: { ...loop, iteration } });
  if (op.over !== null) write(draft, op.over.item, loop.items?.[iteration] ?? null, [loop.labels, control]);
  if (op.index !== null) write(draft, op.index, iteration, [control]);
  enterBlock(draft, body, control);
}

/** Every `next` sees the slots as they are; `until` sees what they give. */
function endIteration(draft: Draft, id: StepId, op: Loop): void {
  const slots = new Map<string, SlotState>(draft.slots);
  const scope: Scope = { slots, prepared: draft.base.prepared };
  let carried: readonly Computed[];
  let until: Computed;
  try {
    carried = op.carry.map(({ next }) => computeText(next, scope));
    for (const [i, { slot }] of op.carry.entries()) {
      const computed = carried[i];
      if (computed !== undefined) slots.set(slot, computed);
    }
    until = op.until === null ? { value: false, labels: [] } : computeText(op.until, scope);
  } catch (error) {
    const known = expressionFault(error);
    if (known === undefined) throw error;
    fail(draft, id, known);
    return;
  }
  // How often it runs is decided by what ended each iteration, so that this labels all that comes after.
  const control = joinLabels(decidedBy(draft, id), until.labels);
  draft.change(id, { control });
  writeCarried(draft, op, carried, control);
  if (typeof until.value !== "boolean") fail(draft, id, typeFault(id, "its `until` is no truth value"));
  else if (until.value) endLoop(draft, id, op, true);
  else nextIteration(draft, id, op);
}

function endLoop(draft: Draft, id: StepId, op: Loop, converged: boolean): void {
  if (converged || !op.mustConverge) {
    completeStep(draft, id, null);
    return;
  }
  const iterations = loopOf(draft, id).iteration + 1;
  const message = `Cannot end \`${id}\`: \`${op.until ?? ""}\` was not true after ${iterations} iterations`;
  fail(draft, id, record("loop.not-converged", message, { step: id, iterations }));
}

function fail(draft: Draft, id: StepId, why: FaultRecord): void {
  for (const number of draft.index(id).blocks) abortBlock(draft, number);
  failStep(draft, id, why, { attempted: draft.step(id).status === "RUNNING", retryable: false });
}

function writeCarried(draft: Draft, op: Loop, carried: readonly Computed[], control: readonly Label[]): void {
  for (const [i, { slot }] of op.carry.entries()) {
    const computed = carried[i];
    if (computed !== undefined) write(draft, slot, computed.value, [computed.labels, control]);
  }
}

/** Item, index and carried slots are replaced from one iteration to the next. */
function write(draft: Draft, slot: string, value: Value, labels: readonly (readonly Label[])[]): void {
  draft.dropSlot(slot);
  draft.writeSlot(slot, value, joinLabels(...labels));
}

/** An effect of the body that was not wanted any more may still be under way, or held. */
function isBusy(draft: Draft, number: number): boolean {
  const { prepared } = draft.base;
  return (prepared.blocks[number]?.steps ?? []).some((id) => {
    const { kind } = draft.step(id).phase;
    if (kind === "intended" || kind === "held" || kind === "child") return true;
    const { blocks, degrade } = draft.index(id);
    return blocks.some((inner) => isBusy(draft, inner)) || (degrade !== null && isBusy(draft, degrade));
  });
}

function loopOf(draft: Draft, id: StepId): LoopState {
  const { loop } = draft.step(id);
  if (loop === undefined) throw draft.diverged(`step \`${id}\` is no loop`);
  return loop;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function typeFault(id: StepId, why: string): FaultRecord {
  return {
    code: "expression.type",
    kind: "rejected",
    message: `Cannot run the loop \`${id}\`: ${why}`,
    remedy: "Convert the value, or compare values of one type.",
    facts: { step: id },
  };
}

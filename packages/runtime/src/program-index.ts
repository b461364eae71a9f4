// A program made ready to run: every step and block found by id or number, every expression parsed once. Pure.
import { parseExpression, type Expression } from "@writ/core/expression";
import { fault as coreFault } from "@writ/core/faults";
import type { StepId } from "@writ/core/ids";
import {
  blocksOf,
  type Block,
  type FailurePolicy,
  type HashedProgram,
  type Operand,
  type Step,
} from "@writ/core/program";
import { textsOf } from "@writ/core/program-check";
import { effectCallOf, loopSlotsOf, outputSlotOf, type EffectCall } from "@writ/core/program-steps";
import { fault } from "./faults.ts";

export interface StepIndex {
  readonly step: Step;
  /** Number of the block it stands in. */
  readonly block: number;
  /** Numbers of the opcode's own blocks, in operand order. */
  readonly blocks: readonly number[];
  /** Number of the block of policy `degrade`, or null. */
  readonly degrade: number | null;
  /** It stands inside a loop, however deep. */
  readonly inLoop: boolean;
}

export interface BlockIndex {
  /** The step whose block it is, or null for the body. */
  readonly owner: StepId | null;
  readonly steps: readonly StepId[];
}

export interface PreparedProgram {
  readonly hashed: HashedProgram;
  readonly steps: ReadonlyMap<StepId, StepIndex>;
  /** Number 0 is the program's body. */
  readonly blocks: readonly BlockIndex[];
  readonly expressions: ReadonlyMap<string, Expression>;
  /** The steps that are loops, inner before outer. */
  readonly loops: readonly StepId[];
  /** The steps that run another program. */
  readonly calls: readonly StepId[];
}

/** What the step performs itself, or null. */
export function effectAt(state: { readonly prepared: PreparedProgram }, id: StepId): EffectCall | null {
  const op = state.prepared.steps.get(id)?.step.op;
  return op === undefined ? null : effectCallOf(op);
}

const opcodes: ReadonlySet<string> = new Set([
  "load",
  "eval",
  "check",
  "call",
  "branch",
  "parallel",
  "wait",
  "approve",
  "emit",
  "fail",
  "finish",
  "loop",
  "ask",
  "recall",
  "remember",
  "run",
]);

/** @throws runtime.unknown-opcode, program.malformed (a step named twice, `after` of a step that is not there), expression.* */
export function prepareProgram(hashed: HashedProgram): PreparedProgram {
  const steps = new Map<StepId, StepIndex>();
  const blocks: BlockIndex[] = [];
  const expressions = new Map<string, Expression>();
  const loops: StepId[] = [];
  const calls: StepId[] = [];
  const pending: { readonly block: Block; readonly number: number; readonly inLoop: boolean }[] = [];
  const enter = (block: Block, owner: StepId | null, inLoop: boolean): number => {
    const number = blocks.length;
    blocks.push({ owner, steps: block.steps.map((step) => step.id) });
    pending.push({ block, number, inLoop });
    return number;
  };
  const learn = (text: string): void => {
    if (!expressions.has(text)) expressions.set(text, parseExpression(text));
  };
  enter(hashed.program.body, null, false);
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    const known = new Set(next.block.steps.map((step) => step.id));
    for (const step of next.block.steps) {
      checkStep(step, known, steps);
      expressionsOf(step).forEach(learn);
      const { inLoop } = next;
      if (step.op.op === "loop") loops.unshift(step.id);
      if (step.op.op === "run") calls.push(step.id);
      const isInside = inLoop || step.op.op === "loop";
      const blockNumbers = blocksOf(step.op).map((block) => enter(block, step.id, isInside));
      const degraded = degradeOf(step.failure);
      steps.set(step.id, {
        step,
        block: next.number,
        blocks: blockNumbers,
        degrade: degraded === null ? null : enter(degraded, step.id, inLoop),
        inLoop,
      });
    }
    checkAcyclic(next.block);
  }
  slotsWritten(hashed.program.body);
  return { hashed, steps, blocks, expressions, loops, calls };
}

function checkStep(step: Step, known: ReadonlySet<StepId>, steps: ReadonlyMap<StepId, StepIndex>): void {
  const unknown = unknownPart(step);
  if (unknown !== null) {
    throw fault("runtime.unknown-opcode", `Cannot run step \`${step.id}\`: ${unknown} is unknown`, {
      step: step.id,
      opcode: step.op.op,
    });
  }
  if (steps.has(step.id)) throw malformed(`step \`${step.id}\` is there twice`, step.id);
  for (const before of step.after) {
    if (!known.has(before))
      throw malformed(`step \`${step.id}\` waits for \`${before}\`, which is not in its block`, step.id);
  }
}

/** What of the step this runtime does not know, in words, or null. */
function unknownPart({ op, failure }: Step): string | null {
  if (!opcodes.has(op.op)) return `the opcode \`${op.op}\``;
  const last = failure.kind === "retry" ? failure.then : failure;
  return last.kind === "ask_model" ? `the policy \`${last.kind}\`` : null;
}

/** Slots a block may write. @throws program.malformed when two steps on one path write the same one */
function slotsWritten(block: Block): ReadonlySet<string> {
  const written = new Set<string>(["event"]);
  for (const step of block.steps) {
    for (const slot of slotsOfStep(step)) {
      if (written.has(slot)) throw malformed(`slot \`${slot}\` is written twice on one path`, step.id);
      written.add(slot);
    }
  }
  written.delete("event");
  return written;
}

function slotsOfStep(step: Step): ReadonlySet<string> {
  const { op } = step;
  const output = outputSlotOf(op);
  const slots = new Set<string>(output === null ? [] : [output]);
  for (const slot of op.op === "loop" ? loopSlotsOf(op) : []) slots.add(slot);
  for (const block of blocksOf(op)) {
    for (const slot of slotsWritten(block)) {
      if ((op.op === "parallel" || op.op === "loop") && slots.has(slot))
        throw malformed(`slot \`${slot}\` is written by two branches, or by a loop and its body`, step.id);
      slots.add(slot);
    }
  }
  // The alternative replaces the step: what the step wrote is dropped when it is entered.
  const degraded = degradeOf(step.failure);
  if (degraded !== null) for (const slot of slotsWritten(degraded)) slots.add(slot);
  return slots;
}

function checkAcyclic(block: Block): void {
  const left = new Map(block.steps.map((step) => [step.id, new Set(step.after)]));
  for (let removed = true; removed && left.size > 0;) {
    removed = false;
    const free = [...left].filter(([, after]) => after.size === 0).map(([id]) => id);
    for (const id of free) {
      left.delete(id);
      removed = true;
    }
    for (const after of left.values()) for (const id of free) after.delete(id);
  }
  const [first] = left.keys();
  if (first !== undefined) throw malformed(`step \`${first}\` waits for itself in a circle`, first);
}

function degradeOf(policy: FailurePolicy): Block | null {
  let last = policy;
  while (last.kind === "retry") last = last.then;
  return last.kind === "degrade" ? last.block : null;
}

function expressionsOf(step: Step): readonly string[] {
  const { op } = step;
  const ofOperands = (operands: readonly (Operand | null)[]): readonly string[] =>
    operands.flatMap((operand) => (operand?.kind === "expression" ? [operand.text] : []));
  switch (op.op) {
    case "load":
      return ofOperands(Object.values(op.params));
    case "eval":
      return [op.expression];
    case "call":
      return ofOperands([...Object.values(op.params), ...Object.values(op.compensation?.params ?? {})]);
    case "branch":
      return op.arms.map((arm) => arm.when);
    case "wait":
      return textsOf(step);
    case "approve":
      return ofOperands([op.message]);
    case "emit":
      return ofOperands(Object.values(op.data));
    case "fail":
      return ofOperands([op.message]);
    case "finish":
      return ofOperands([op.result]);
    case "check":
    case "parallel":
      return [];
    case "loop":
      return [
        ...textsOf(step),
        ...op.carry.map(({ next }) => next),
        ...(op.until === null ? [] : [op.until]),
      ];
    case "ask":
    case "recall":
    case "remember":
    case "run":
      return textsOf(step);
  }
}

function malformed(what: string, step: StepId) {
  return coreFault("program.malformed", `Cannot run the program: ${what}`, { step });
}

// What a step performs and writes, whatever its opcode: the one place that knows which opcodes are effects in another form.
import { capabilityId, type CapabilityId, type SlotName } from "./ids.ts";
import type { Compensation, Loop, Opcode, Operand, Operands, Step } from "./program.ts";
import { parseValue, type Value } from "./value.ts";

export const askCapability = capabilityId("model.ask@1.0.0");
export const recallCapability = capabilityId("memory.recall@1.0.0");
export const restoreMemoryCapability = capabilityId("memory.restore@1.0.0");
export const rememberCapability = capabilityId("memory.remember@1.0.0");

/** The capability a step performs and with what, for every opcode that is an effect or a read; null for the others. */
export interface EffectCall {
  readonly capability: CapabilityId;
  readonly params: Operands;
  readonly output: SlotName | null;
  readonly compensation: Compensation | null;
}

export function effectCallOf(op: Opcode): EffectCall | null {
  switch (op.op) {
    case "load":
      return { capability: op.capability, params: op.params, output: op.output, compensation: null };
    case "call":
      return op;
    case "ask": {
      const { model, context, schema, attemptsMax } = op;
      const params: Operands = {
        model: literal(model),
        context: literal(context),
        prompt: op.prompt,
        schema: literal(parseValue(schema)),
        attemptsMax: literal(attemptsMax),
      };
      return { capability: askCapability, params, output: op.output, compensation: null };
    }
    case "recall": {
      const params: Operands = { scope: literal(op.scope), key: op.key };
      return { capability: recallCapability, params, output: op.output, compensation: null };
    }
    case "remember": {
      const params: Operands = { scope: literal(op.scope), key: op.key, value: op.value };
      return { capability: rememberCapability, params, output: null, compensation: null };
    }
    case "eval":
    case "check":
    case "branch":
    case "parallel":
    case "wait":
    case "approve":
    case "emit":
    case "fail":
    case "finish":
    case "loop":
    case "run":
      return null;
  }
}

function literal(value: Value): Operand {
  return { kind: "literal", value };
}

/** The slots a loop writes itself: those of each iteration, then the carried ones. */
export function loopSlotsOf({ over, index, carry }: Loop): readonly SlotName[] {
  return [
    ...(over === null ? [] : [over.item]),
    ...(index === null ? [] : [index]),
    ...carry.map(({ slot }) => slot),
  ];
}

/** Whether the step performs a capability itself. */
export function isEffect(op: Opcode): boolean {
  return (
    op.op === "call" || op.op === "load" || op.op === "ask" || op.op === "recall" || op.op === "remember"
  );
}

/** The slot that holds what the step gave once it has completed, or null. A loop's carried slots are its own (`Loop.carry`). */
export function outputSlotOf(op: Opcode): SlotName | null {
  switch (op.op) {
    case "load":
    case "call":
    case "eval":
    case "ask":
    case "recall":
    case "run":
      return op.output;
    case "wait":
      return op.output ?? null;
    case "remember":
    case "check":
    case "branch":
    case "parallel":
    case "approve":
    case "emit":
    case "fail":
    case "finish":
    case "loop":
      return null;
  }
}

/** The capabilities that a step may perform by itself: its own, its compensation's, its guard's, its policy's. */
export function capabilitiesOf(step: Step): readonly CapabilityId[] {
  const { op } = step;
  const call = effectCallOf(op);
  const all: CapabilityId[] = [];
  if (call !== null) all.push(call.capability);
  if (call !== null && call.compensation !== null) all.push(call.compensation.capability);
  if (op.op === "call" && op.guard?.readBack !== undefined) all.push(op.guard.readBack.capability);
  const last = step.failure.kind === "retry" ? step.failure.then : step.failure;
  if (last.kind === "ask_model") all.push(askCapability);
  return all;
}

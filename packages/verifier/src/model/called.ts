// A called program in the place where it is called: its steps, slots and expressions under names of their own, so that they stand beside
// those of its caller without meeting them.
//   M6  What a called program does counts as its caller's, at that place; its branches are free choices there, like those of a loop's body.
import { parseExpression, renderExpression, type Expression } from "@writ/core/expression";
import { readBackNames } from "@writ/core/guard-rules";
import { slotName, stepId, type SlotName, type StepId } from "@writ/core/ids";
import {
  allSteps,
  type Block,
  type FailurePolicy,
  type Guard,
  type Opcode,
  type Operand,
  type Operands,
  type Program,
  type SlotDeclaration,
  type Step,
} from "@writ/core/program";

export interface CalledBody {
  readonly body: Block;
  readonly slots: readonly SlotDeclaration[];
  /** The slot that holds its event. */
  readonly event: SlotName;
}

/**
 * @param prefix begins the names of its slots; no slot of the caller begins so
 * @throws core.invalid-id, expression.* when a name under the prefix is too long, or an expression cannot be read
 */
export function calledBody(program: Program, call: Step, prefix: string): CalledBody {
  const name = (slot: string): SlotName => slotName(`${prefix}${slot}`);
  const id = (step: string): StepId => stepId(`${call.id}.${step}`);
  const text = (source: string): string =>
    renderExpression(renamed(parseExpression(source), name, new Set()));
  const maybe = (source: string | null): string | null => (source === null ? null : text(source));
  const operand = (one: Operand): Operand =>
    one.kind === "literal" ? one : { kind: "expression", text: text(one.text) };
  const operands = (all: Operands): Operands =>
    Object.fromEntries(Object.entries(all).map(([key, one]) => [key, operand(one)]));
  const guard = (one: Guard): Guard => ({
    ...one,
    ...(one.preconditions === undefined ? {} : { preconditions: one.preconditions.map(text) }),
    ...(one.readBack === undefined
      ? {}
      : {
          readBack: {
            ...one.readBack,
            params: operands(one.readBack.params),
            check: renderExpression(
              renamed(parseExpression(one.readBack.check), name, new Set(readBackNames)),
            ),
          },
        }),
  });
  const block = ({ steps }: Block): Block => ({ steps: steps.map(step) });
  const policy = (one: FailurePolicy): FailurePolicy => {
    if (one.kind === "retry") return { ...one, then: policy(one.then) };
    return one.kind === "degrade" ? { ...one, block: block(one.block) } : one;
  };
  const step = (one: Step): Step => ({
    ...one,
    id: id(one.id),
    after: one.after.map(id),
    tolerates: one.tolerates.map(id),
    op: opcode(one.op),
    failure: policy(one.failure),
  });
  const opcode = (op: Opcode): Opcode => {
    switch (op.op) {
      case "load":
        return { ...op, params: operands(op.params), output: name(op.output) };
      case "eval":
        return { ...op, expression: text(op.expression), output: name(op.output) };
      case "check":
        return { ...op, slot: name(op.slot) };
      case "call":
        return {
          ...op,
          params: operands(op.params),
          output: op.output === null ? null : name(op.output),
          compensation:
            op.compensation === null
              ? null
              : { ...op.compensation, params: operands(op.compensation.params) },
          ...(op.guard === undefined ? {} : { guard: guard(op.guard) }),
        };
      case "branch":
        return {
          ...op,
          arms: op.arms.map((arm) => ({ when: text(arm.when), block: block(arm.block) })),
          otherwise: block(op.otherwise),
        };
      case "parallel":
        return { ...op, branches: op.branches.map(block) };
      case "wait": {
        const output = op.output === undefined ? {} : { output: name(op.output) };
        const { until } = op;
        // `event` in a filter is the event that is waited for.
        const heard = (source: string): string =>
          renderExpression(renamed(parseExpression(source), name, new Set(["event"])));
        if (until.kind === "time") return { ...op, ...output, until: { ...until, at: operand(until.at) } };
        if (until.kind === "event")
          return {
            ...op,
            ...output,
            until: { ...until, filter: until.filter === null ? null : heard(until.filter) },
          };
        if (until.kind === "condition")
          return { ...op, ...output, until: { ...until, condition: heard(until.condition) } };
        return { ...op, ...output };
      }
      case "approve":
        return {
          ...op,
          message: op.message === null ? null : operand(op.message),
          body: block(op.body),
          otherwise: op.otherwise === null ? null : block(op.otherwise),
        };
      case "emit":
        return { ...op, data: operands(op.data) };
      case "fail":
        return { ...op, message: operand(op.message) };
      case "finish":
        return { ...op, result: operand(op.result) };
      case "loop":
        return {
          ...op,
          body: block(op.body),
          over: op.over === null ? null : { list: operand(op.over.list), item: name(op.over.item) },
          index: op.index === null ? null : name(op.index),
          carry: op.carry.map((one) => ({
            slot: name(one.slot),
            initial: operand(one.initial),
            next: text(one.next),
          })),
          until: maybe(op.until),
        };
      case "ask":
        return { ...op, prompt: operand(op.prompt), output: name(op.output) };
      case "recall":
        return { ...op, key: operand(op.key), output: name(op.output) };
      case "remember":
        return { ...op, key: operand(op.key), value: operand(op.value) };
      case "run":
        return { ...op, input: operands(op.input), output: op.output === null ? null : name(op.output) };
    }
  };
  return {
    body: block(program.body),
    slots: program.slots.map((slot) => ({ ...slot, name: name(slot.name) })),
    event: name("event"),
  };
}

/** A prefix for the slots of a call that no name of the program begins with, and none for another call. */
export function prefixOf(program: Program, number: number): string {
  const text = JSON.stringify([program.slots, allSteps(program.body)]);
  let prefix = `c${number}_`;
  while (text.includes(prefix)) prefix = `c${prefix}`;
  return prefix;
}

function renamed(whole: Expression, name: (slot: string) => string, bound: ReadonlySet<string>): Expression {
  const inner = (one: Expression): Expression => renamed(one, name, bound);
  switch (whole.kind) {
    case "literal":
      return whole;
    case "name":
      return bound.has(whole.name) ? whole : { ...whole, name: name(whole.name) };
    case "field":
    case "has":
    case "unary":
      return { ...whole, of: inner(whole.of) };
    case "index":
      return { ...whole, of: inner(whole.of), at: inner(whole.at) };
    case "binary":
      return { ...whole, left: inner(whole.left), right: inner(whole.right) };
    case "conditional":
      return {
        ...whole,
        when: inner(whole.when),
        then: inner(whole.then),
        otherwise: inner(whole.otherwise),
      };
    case "call":
      return { ...whole, arguments: whole.arguments.map(inner) };
    case "list":
      return { ...whole, items: whole.items.map(inner) };
    case "map":
      return { ...whole, entries: whole.entries.map(([key, item]) => [key, inner(item)] as const) };
    case "each":
      return {
        ...whole,
        over: inner(whole.over),
        body: renamed(whole.body, name, new Set([...bound, whole.name])),
      };
  }
}

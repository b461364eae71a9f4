// The program as the checks see it: every place where something is done, and the formula under which it is reached.
//   M1  Reach over-approximates: a step that can run is never said to be unreachable. Failures and approvals are free choices.
//   M2  `fail` and `finish` end a run; a step ordered after them is not reached.
//   M4  A loop's body may run any number of times: what decides inside it is a free choice of its own at every place, so that no two places
//       exclude each other and nothing that held in one iteration is taken to hold in another, or after the loop.
//   M6  A program that is called is visited in its caller's place, under names of its own; one that is not known is a structural problem.
//   M7  A slot whose step has a safe value holds that or what the step gives; no bound of either is taken for the other.
//   M3  An expression that cannot be read is a structural problem, never skipped.
import type { CapabilityDefinition, Catalog, SourceDefinition } from "@writ/core/capability";
import { parseExpression, renderExpression, type Expression } from "@writ/core/expression";
import { faultRecord } from "@writ/core/fault";
import type { ProgramHash } from "@writ/core/ids";
import { childDepthMax } from "@writ/core/limits";
import {
  allSteps,
  blocksOf,
  type Block,
  type FailurePolicy,
  type HashedProgram,
  type Loop,
  type Opcode,
  type Operand,
  type Operands,
  type Program,
  type ProgramSource,
  type SlotDeclaration,
  type Step,
} from "@writ/core/program";
import { textsOf } from "@writ/core/program-check";
import { effectCallOf, outputSlotOf } from "@writ/core/program-steps";
import { isDecimal, isMap, toDecimal, type Value } from "@writ/core/value";
import { calledBody, prefixOf, type CalledBody } from "./called.ts";
import { always, and, never, not, or, type Formula } from "./formula.ts";

export interface Subject {
  readonly hash: HashedProgram["hash"];
  readonly program: Program;
  readonly source?: ProgramSource;
}

export interface Action {
  readonly definition: CapabilityDefinition;
  readonly params: ReadonlyMap<string, Expression>;
  /** It takes back, or reads back, what the step did: no step of the normal run. */
  readonly isCompensation: boolean;
}

/** One step in its place. */
export interface Site {
  readonly step: Step;
  readonly reach: Formula;
  /** Ids of the steps around it, outermost first, then its own. */
  readonly path: readonly string[];
  /** The blocks around it, outermost first. */
  readonly blocks: readonly Block[];
  readonly action: Action | null;
  readonly isInDegrade: boolean;
  /** Ids of the loops around it, and of the steps that call the program it stands in, outermost first. */
  readonly loops: readonly string[];
  /** Ids of the steps that call the program it stands in, outermost first. */
  readonly calls: readonly string[];
}

/** One way through a branch, or the block of an approval. */
export interface Arm {
  readonly step: Step;
  readonly index: number;
  readonly reach: Formula;
  readonly block: Block;
  readonly kind: "arm" | "otherwise";
}

export interface StructuralProblem {
  readonly step: string | null;
  readonly message: string;
}

export interface Analysis {
  readonly subject: Subject;
  readonly program: Program;
  readonly catalog: Catalog;
  readonly name: string;
  readonly sites: readonly Site[];
  readonly arms: readonly Arm[];
  readonly filter: Formula;
  readonly source: SourceDefinition | null;
  readonly writers: ReadonlyMap<string, readonly Site[]>;
  /** What is not one value for the whole run (item, index, carried), or comes from elsewhere: event, another run, memory. */
  readonly varying: ReadonlyMap<string, VaryingSlot>;
  readonly problems: readonly StructuralProblem[];
  /** The programs that it calls, however deep, by hash. */
  readonly called: readonly ProgramHash[];
  /** Every one of them was known. */
  readonly isComplete: boolean;
  expressionOf(text: string): Expression;
}

export interface VaryingSlot {
  readonly site: Site;
  /** What it is computed from, in any iteration. */
  readonly from: readonly Expression[];
  /** Elements of this list, where that is what it is. */
  readonly elementOf: Expression | null;
  /** Whoever wrote it may have known anything. */
  readonly isForeign: boolean;
}

/** `known` gives the programs that may be called. */
export function analyse(
  subject: Subject,
  catalog: Catalog,
  known: (hash: ProgramHash) => Program | undefined = () => undefined,
): Analysis {
  const { program } = subject;
  const problems: StructuralProblem[] = [];
  const definitions = new Map(catalog.capabilities.map((definition) => [String(definition.id), definition]));
  const parsed = new Map<string, Expression>();
  const read = (text: string, step: string | null): Expression => {
    const present = parsed.get(text);
    if (present !== undefined) return present;
    let expression: Expression;
    try {
      expression = parseExpression(text);
    } catch (error) {
      problems.push({
        step,
        message: faultRecord(error)?.message ?? `Cannot read the expression \`${text}\``,
      });
      expression = { kind: "literal", value: null };
    }
    parsed.set(text, expression);
    return expression;
  };
  const condition = (text: string, step: string): Formula => {
    const expression = read(text, step);
    if (expression.kind === "literal" && typeof expression.value === "boolean") {
      return expression.value ? always : never;
    }
    return { kind: "condition", expression, at: step };
  };
  const operand = (value: Operand, step: string): Expression =>
    value.kind === "expression" ? read(value.text, step) : literalExpression(value.value);

  const sites: Site[] = [];
  const arms: Arm[] = [];
  const completion = new Map<Step, Formula>();

  const action = (
    capability: string,
    params: Operands,
    step: Step,
    isCompensation: boolean,
  ): Action | null => {
    const definition = definitions.get(capability);
    if (definition === undefined) {
      problems.push({ step: step.id, message: `Cannot find the capability \`${capability}\`` });
      return null;
    }
    const entries = Object.entries(params).map(([name, value]) => [name, operand(value, step.id)] as const);
    return { definition, params: new Map(entries), isCompensation };
  };

  const completes = (step: Step): Formula => completion.get(step) ?? always;
  const blockCompletes = (block: Block): Formula => and(...block.steps.map(completes));

  interface Around {
    readonly reach: Formula;
    readonly path: readonly string[];
    readonly blocks: readonly Block[];
    readonly isInDegrade: boolean;
    readonly loops: readonly string[];
    readonly calls: readonly string[];
  }
  const varying = new Map<string, VaryingSlot>();
  // Blocks nest at most `blockDepthMax` deep (the decoder refuses more), so the recursion is bounded.
  const visitBlock = (block: Block, around: Around): void => {
    const byId = new Map(block.steps.map((step) => [String(step.id), step]));
    for (const step of inOrder(block.steps)) {
      const before = step.after
        .filter((id) => !step.tolerates.includes(id))
        .map((id) => byId.get(id))
        .filter((one) => one !== undefined);
      const reach = and(around.reach, ...before.map(completes));
      const path = [...around.path, step.id];
      visitStep(step, {
        reach,
        path,
        blocks: [...around.blocks, block],
        isInDegrade: around.isInDegrade,
        loops: around.loops,
        calls: around.calls,
      });
      // A step that was skipped skips those that wait for it.
      completion.set(step, and(...before.map(completes), completes(step)));
    }
  };
  const visitStep = (step: Step, around: Around): void => {
    const { op } = step;
    const inner = (reach: Formula): Around => ({ ...around, reach });
    const performed = effectCallOf(op);
    const own = performed === null ? null : action(performed.capability, performed.params, step, false);
    const site: Site = { ...around, step, action: own };
    sites.push(site);
    const foreign = foreignSlotOf(step);
    if (foreign !== null) varying.set(foreign, { site, from: [], elementOf: null, isForeign: true });
    const safe = safeValueOf(step);
    if (safe !== null) {
      const computed = op.op === "eval" ? [read(op.expression, step.id)] : [...(own?.params.values() ?? [])];
      const from = [...computed, literalExpression(safe.value)];
      varying.set(safe.slot, { site, from, elementOf: null, isForeign: false });
    }
    if (op.op === "call" && op.compensation !== null) {
      const undo = action(op.compensation.capability, op.compensation.params, step, true);
      const reach = and(around.reach, { kind: "choice", name: `undone ${step.id}` });
      sites.push({ ...around, step, reach, action: undo });
    }
    const { readBack } = op.op === "call" ? (op.guard ?? {}) : {};
    if (readBack !== undefined) {
      const reading = action(readBack.capability, readBack.params, step, true);
      sites.push({ ...around, step, action: reading });
      read(readBack.check, step.id);
    }
    let completed: Formula = always;
    switch (op.op) {
      case "branch": {
        if (around.loops.length > 0) {
          for (const [index, block] of blocksOf(op).entries())
            visitBlock(block, inner(and(around.reach, { kind: "choice", name: `turn ${step.id} ${index}` })));
          for (const arm of op.arms) read(arm.when, step.id);
          break;
        }
        let passed = around.reach;
        const ends: Formula[] = [];
        let missed: Formula = always;
        for (const [index, arm] of op.arms.entries()) {
          const when = condition(arm.when, step.id);
          const reach = and(passed, when);
          arms.push({ step, index, reach, block: arm.block, kind: "arm" });
          visitBlock(arm.block, inner(reach));
          ends.push(and(missed, when, blockCompletes(arm.block)));
          passed = and(passed, not(when));
          missed = and(missed, not(when));
        }
        arms.push({ step, index: op.arms.length, reach: passed, block: op.otherwise, kind: "otherwise" });
        visitBlock(op.otherwise, inner(passed));
        ends.push(and(missed, blockCompletes(op.otherwise)));
        const isAll = [...op.arms.map((arm) => arm.block), op.otherwise].every(
          (block) => blockCompletes(block).kind === "true",
        );
        completed = isAll ? always : or(...ends);
        break;
      }
      case "parallel":
        for (const branch of op.branches) visitBlock(branch, around);
        completed = op.join.kind === "all" ? and(...op.branches.map(blockCompletes)) : always;
        break;
      case "approve": {
        const approved: Formula = { kind: "choice", name: `approved ${step.id}` };
        visitBlock(op.body, inner(and(around.reach, approved)));
        if (op.otherwise !== null) visitBlock(op.otherwise, inner(and(around.reach, not(approved))));
        completed = or(
          and(approved, blockCompletes(op.body)),
          op.otherwise === null ? never : and(not(approved), blockCompletes(op.otherwise)),
        );
        break;
      }
      case "fail":
      case "finish":
        completed = never;
        break;
      case "load":
      case "eval":
      case "check":
      case "call":
      case "wait":
      case "emit":
        break;
      case "loop": {
        const list = op.over === null ? null : operand(op.over.list, step.id);
        const varies = { site, elementOf: null, isForeign: false };
        if (op.over !== null && list !== null)
          varying.set(op.over.item, { ...varies, from: [list], elementOf: list });
        if (op.index !== null) varying.set(op.index, { ...varies, from: list === null ? [] : [list] });
        for (const { slot, initial, next } of op.carry)
          varying.set(slot, { ...varies, from: [operand(initial, step.id), read(next, step.id)] });
        const enters: Formula = { kind: "choice", name: `turn ${step.id}` };
        visitBlock(op.body, { ...inner(and(around.reach, enters)), loops: [...around.loops, step.id] });
        break;
      }
      case "ask":
      case "recall":
      case "remember":
        break;
      case "run":
        visitCalled(step, op, site, around);
        break;
    }
    const unproven = unprovenPart(step);
    if (unproven !== null)
      problems.push({ step: step.id, message: `has ${unproven}, which this verifier cannot prove` });
    for (const policy of policiesOf(step.failure)) {
      if (policy.kind === "degrade") {
        const failed: Formula = { kind: "choice", name: `failed ${step.id}` };
        visitBlock(policy.block, { ...inner(and(around.reach, failed)), isInDegrade: true });
      }
      if (op.op !== "fail" && op.op !== "finish" && goesOn(policy)) completed = always;
    }
    completion.set(step, completed);
    for (const text of expressionsOf(step)) read(text, step.id);
  };

  const called = new Set<ProgramHash>();
  const slots: SlotDeclaration[] = [];
  let isComplete = true;
  /** What is called stands in the step's place, entered or not, and whatever ends it ends only the step. */
  const visitCalled = (step: Step, op: Extract<Opcode, { op: "run" }>, site: Site, around: Around): void => {
    const refuse = (message: string): void => void problems.push({ step: step.id, message });
    const target = known(op.program);
    if (target === undefined) {
      isComplete = false;
      refuse(`runs the program \`${op.program}\`, which is not known here as an approved one`);
      return;
    }
    if (around.calls.length >= childDepthMax) return refuse(`is a call more than ${childDepthMax} deep`);
    if (target.workspace.name !== program.workspace.name)
      return refuse(`runs a program of the workspace \`${target.workspace.name}\``);
    if (allSteps(program.body).some(({ id }) => id.startsWith(`${step.id}.`)))
      return refuse(
        "is called like the beginning of another step's id, under which what it runs would stand",
      );
    let body: CalledBody;
    try {
      body = calledBody(target, step, prefixOf(program, slots.length + called.size + sites.length));
    } catch (error) {
      return refuse(faultRecord(error)?.message ?? "runs a program that cannot be read");
    }
    called.add(op.program);
    slots.push(...body.slots);
    const from = Object.values(op.input).map((one) => operand(one, step.id));
    varying.set(body.event, { site, from, elementOf: null, isForeign: false });
    visitBlock(body.body, {
      ...around,
      reach: and(around.reach, { kind: "choice", name: `turn ${step.id}` }),
      loops: [...around.loops, step.id],
      calls: [...around.calls, step.id],
    });
  };

  const { trigger } = program;
  const filter =
    trigger.kind === "source" && trigger.filter !== null ? condition(trigger.filter, "trigger") : always;
  const source =
    trigger.kind === "source"
      ? (catalog.sources.find((definition) => definition.id === trigger.source) ?? null)
      : null;
  if (trigger.kind === "source" && source === null) {
    problems.push({ step: null, message: `Cannot find the event source \`${trigger.source}\`` });
  }
  visitBlock(program.body, { reach: filter, path: [], blocks: [], isInDegrade: false, loops: [], calls: [] });

  const writers = new Map<string, Site[]>();
  for (const site of sites) {
    if (site.action?.isCompensation === true) continue;
    const slot = outputOf(site.step);
    if (slot !== null) writers.set(slot, [...(writers.get(slot) ?? []), site, ...standIns(site)]);
  }
  return {
    subject,
    program: slots.length === 0 ? program : { ...program, slots: [...program.slots, ...slots] },
    catalog,
    name: subject.source?.name ?? `program ${subject.hash.slice(0, 8)}`,
    sites,
    arms,
    filter,
    source,
    writers,
    varying,
    problems,
    called: [...called].sort(),
    isComplete,
    expressionOf: (text) => read(text, null),
  };
}

export function outputOf(step: Step): string | null {
  return outputSlotOf(step.op);
}

/** The slot that holds what somebody else gave: an event, another run, what was remembered. */
function foreignSlotOf({ op }: Step): string | null {
  return op.op === "wait" || op.op === "recall" || op.op === "run" ? outputSlotOf(op) : null;
}

/** The value that stands for the output of a step that fails. */
function safeValueOf(step: Step): { readonly slot: string; readonly value: Value } | null {
  const slot = outputSlotOf(step.op);
  const policy = policiesOf(step.failure).find(({ kind }) => kind === "safe_value");
  return slot === null || policy?.kind !== "safe_value" ? null : { slot, value: policy.value };
}

/** The safe value of a computed slot, as another one who writes it. */
function standIns(site: Site): readonly Site[] {
  const { step } = site;
  const safe = step.op.op === "eval" ? safeValueOf(step) : null;
  if (safe === null || step.op.op !== "eval") return [];
  const expression = renderExpression(literalExpression(safe.value));
  return [{ ...site, step: { ...step, op: { ...step.op, expression } } }];
}

/** What decides at the end of each iteration, and what it goes over. */
export function loopExpressions(op: Loop): readonly string[] {
  const list = op.over?.list.kind === "expression" ? [op.over.list.text] : [];
  return [...list, ...(op.until === null ? [] : [op.until])];
}

/** Every policy of a chain of retries. */
export function policiesOf(policy: FailurePolicy): readonly FailurePolicy[] {
  const chain: FailurePolicy[] = [];
  for (
    let next: FailurePolicy | null = policy;
    next !== null;
    next = next.kind === "retry" ? next.then : null
  ) {
    chain.push(next);
  }
  return chain;
}

/** What of format 2 a known opcode has that is not modelled. */
function unprovenPart({ failure }: Step): string | null {
  const policy = policiesOf(failure).find(({ kind }) => kind === "ask_model" || kind === "recompile");
  return policy === undefined ? null : `the policy \`${policy.kind}\``;
}

function goesOn(policy: FailurePolicy): boolean {
  return (
    policy.kind === "continue" ||
    policy.kind === "skip" ||
    policy.kind === "degrade" ||
    policy.kind === "safe_value"
  );
}

/** Texts of the CEL expressions a step reads itself. */
export function expressionsOf(step: Step): readonly string[] {
  const { op } = step;
  const operands = (all: readonly (Operand | null)[]) =>
    all.flatMap((operand) => (operand?.kind === "expression" ? [operand.text] : []));
  switch (op.op) {
    case "load":
      return operands(Object.values(op.params));
    case "call":
      return operands([
        ...Object.values(op.params),
        ...(op.compensation === null ? [] : Object.values(op.compensation.params)),
        ...(op.guard?.preconditions ?? []).map((text) => ({ kind: "expression", text }) as const),
      ]);
    case "eval":
      return [op.expression];
    case "branch":
      return op.arms.map((arm) => arm.when);
    case "loop":
      return [...textsOf(step), ...loopExpressions(op), ...op.carry.map(({ next }) => next)];
    case "wait":
    case "ask":
    case "recall":
    case "remember":
    case "run":
      return textsOf(step);
    case "approve":
      return operands([op.message]);
    case "emit":
      return operands(Object.values(op.data));
    case "fail":
      return operands([op.message]);
    case "finish":
      return operands([op.result]);
    case "check":
    case "parallel":
      return [];
  }
}

export function literalExpression(value: Value): Expression {
  if (value === null || typeof value === "boolean" || typeof value === "string") {
    return { kind: "literal", value };
  }
  if (typeof value === "number" || isDecimal(value)) return { kind: "literal", value: toDecimal(value) };
  if (Array.isArray(value)) {
    return { kind: "list", items: value.map((item: Value) => literalExpression(item)) };
  }
  if (isMap(value)) {
    return {
      kind: "map",
      entries: Object.entries(value).map(([key, item]) => [key, literalExpression(item)] as const),
    };
  }
  return { kind: "literal", value: null };
}

/** Steps of a block so that each comes after those it waits for; in a cycle, as written. */
export function inOrder(steps: readonly Step[]): readonly Step[] {
  const present = new Set<string>(steps.map((step) => step.id));
  const done = new Set<string>();
  const ordered: Step[] = [];
  let waiting = [...steps];
  while (waiting.length > 0) {
    const ready = waiting.filter((step) => step.after.every((id) => done.has(id) || !present.has(id)));
    if (ready.length === 0) return [...ordered, ...waiting];
    for (const step of ready) {
      done.add(step.id);
      ordered.push(step);
    }
    waiting = waiting.filter((step) => !done.has(step.id));
  }
  return ordered;
}

/** True when `first` always ends before `second` begins. */
export function comesBefore(first: Site, second: Site): boolean {
  let depth = 0;
  while (first.blocks[depth] !== undefined && first.blocks[depth] === second.blocks[depth]) depth++;
  const shared = first.blocks[depth - 1];
  const [a, b] = [first.path[depth - 1], second.path[depth - 1]];
  return shared !== undefined && a !== undefined && b !== undefined && a !== b && reachesBack(shared, b, a);
}

/** True when `first` always ends before `second` begins, or both can never run in one run. */
export function areOrdered(first: Site, second: Site): boolean {
  let depth = 0;
  while (first.blocks[depth] !== undefined && first.blocks[depth] === second.blocks[depth]) depth++;
  const shared = first.blocks[depth - 1];
  if (shared === undefined) return false;
  const [a, b] = [first.path[depth - 1], second.path[depth - 1]];
  if (a === undefined || b === undefined) return true;
  if (a !== b) return reachesBack(shared, a, b) || reachesBack(shared, b, a);
  const around = shared.steps.find((step) => step.id === a);
  if (around === undefined || first.step === second.step) return true;
  // One step holds both: its own blocks exclude each other, except those of a parallel step.
  return around.op.op !== "parallel" || !blocksOf(around.op).includes(first.blocks[depth] as Block);
}

/** Steps that a step waits for, directly or through others, as bits by position in the block. */
interface Order {
  readonly positions: ReadonlyMap<string, number>;
  readonly before: readonly Uint32Array[];
}

const orders = new WeakMap<Block, Order>();

function orderOf(block: Block): Order {
  const known = orders.get(block);
  if (known !== undefined) return known;
  const steps = inOrder(block.steps);
  const positions = new Map(steps.map((step, i) => [String(step.id), i]));
  const before = steps.map(() => new Uint32Array(Math.ceil(steps.length / 32)));
  for (const [i, step] of steps.entries()) {
    const bits = before[i];
    for (const id of step.after) {
      const at = positions.get(id);
      if (at === undefined || bits === undefined) continue;
      for (const [word, others] of (before[at] ?? []).entries()) bits[word] = (bits[word] ?? 0) | others;
      bits[at >> 5] = (bits[at >> 5] ?? 0) | (1 << (at & 31));
    }
  }
  const order = { positions, before };
  orders.set(block, order);
  return order;
}

function reachesBack(block: Block, from: string, to: string): boolean {
  const { positions, before } = orderOf(block);
  const [start, end] = [positions.get(from), positions.get(to)];
  if (start === undefined || end === undefined) return false;
  return start === end || (((before[start]?.[end >> 5] ?? 0) >>> (end & 31)) & 1) === 1;
}

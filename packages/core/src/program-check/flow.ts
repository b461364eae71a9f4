// Order and slots: what has ended, and what is filled, wherever a step begins.
//   A step of `after` that is not tolerated has COMPLETED. One that is tolerated may also have FAILED or been SKIPPED, unless it is *certain*:
//   its policy lets nothing pass but success, and it waits only for certain or tolerated steps.
// Sets of steps of one block are bit sets in a bigint.
import { readBackNames } from "../guard-rules.ts";
import {
  blocksOf,
  type Block,
  type FailurePolicy,
  type Loop,
  type Opcode,
  type Program,
  type Step,
} from "../program.ts";
import type { Report } from "./report.ts";
import { outputSlotOf } from "../program-steps.ts";
import { expressionNames, textsOf } from "./steps.ts";

/** `never`: the block ends the run, so nothing follows it. */
type Filled = ReadonlySet<string> | "never";

export function flowProblems(program: Program, steps: readonly Step[], report: Report): void {
  const declared = new Set<string>(program.slots.map(({ name }) => name));
  const written = checkWrites(program.body, report);
  for (const name of written) {
    if (!declared.has(name))
      report("P7", "program", `Cannot find a declaration of the slot \`${name}\``, { slot: name });
  }
  for (const name of declared) {
    if (!written.has(name) && name !== "event")
      report("P7", "program", `Cannot declare the slot \`${name}\`: no step writes it`, { slot: name });
  }
  const readsOf = new Map(steps.map((step) => [step, readsOfStep(step, report)]));
  fillBlock(program.body, (name) => name === "event", readsOf, report);
}

/** The slots a block writes. Two steps that may both run write different slots; arms of one branch may write the same one. */
function checkWrites(block: Block, report: Report): ReadonlySet<string> {
  const written = new Set<string>();
  for (const step of block.steps) {
    for (const name of checkStepWrites(step, report)) {
      if (written.has(name) || name === "event")
        report("P7", step.id, `Cannot write the slot \`${name}\` twice`, { slot: name });
      written.add(name);
    }
  }
  return written;
}

function checkStepWrites(step: Step, report: Report): ReadonlySet<string> {
  const { op } = step;
  const blocks = blocksOf(op).map((block) => checkWrites(block, report));
  const written = new Set<string>(blocks.flatMap((names) => [...names]));
  if (op.op === "parallel" && written.size < blocks.reduce((sum, names) => sum + names.size, 0)) {
    report("P7", step.id, `Cannot write one slot in two branches of \`${step.id}\`: both may run`);
  }
  const output = outputSlotOf(op);
  if (output !== null) written.add(output);
  for (const name of loopSlots(op)) {
    if (written.has(name) || name === "event")
      report("P7", step.id, `Cannot write the slot \`${name}\` twice`, { slot: name });
    written.add(name);
  }
  const { degraded } = lastPolicy(step.failure);
  if (degraded !== null) for (const name of checkWrites(degraded, report)) written.add(name);
  return written;
}

interface Reads {
  readonly before: readonly string[];
  /** What the compensation reads, after the step has completed. */
  readonly after: readonly string[];
  /** What a loop reads at the end of each iteration. */
  readonly ending: readonly string[];
}

function until(op: Loop): readonly string[] {
  return op.until === null ? [] : [op.until];
}

/** What a loop writes itself: it fills the carried ones before the first iteration, the others with each. */
function loopSlots(op: Opcode): readonly string[] {
  if (op.op !== "loop") return [];
  return [...inIteration(op), ...op.carry.map(({ slot }) => slot)];
}

function inIteration({ over, index }: Loop): readonly string[] {
  return [...(over === null ? [] : [over.item]), ...(index === null ? [] : [index])];
}

function readsOfStep(step: Step, report: Report): Reads {
  const { op, id } = step;
  const namesOf = (texts: readonly string[]) => texts.flatMap((text) => expressionNames(text, id, report));
  const operands = op.op === "call" && op.compensation !== null ? Object.values(op.compensation.params) : [];
  const { readBack } = op.op === "call" ? (op.guard ?? {}) : {};
  operands.push(...Object.values(readBack?.params ?? {}));
  const after = operands.flatMap((operand) => (operand.kind === "expression" ? [operand.text] : []));
  const before = namesOf(textsOf(step));
  return {
    before: op.op === "check" ? [...before, op.slot] : before,
    after: [
      ...namesOf(after),
      ...(readBack === undefined
        ? []
        : namesOf([readBack.check]).filter((name) => !readBackNames.includes(name))),
    ],
    ending: op.op === "loop" ? namesOf([...op.carry.map(({ next }) => next), ...until(op)]) : [],
  };
}

/** Whether a slot is filled where a step begins. */
type IsFilled = (name: string) => boolean;

/** The slots that a block fills by itself once it has completed. */
function fillBlock(
  block: Block,
  isFilledOutside: IsFilled,
  readsOf: ReadonlyMap<Step, Reads>,
  report: Report,
): Filled {
  const places = new Map<string, number>(block.steps.map(({ id }, place) => [id, place]));
  const order = orderOf(block, places, report);
  if (order === null) return new Set();
  const done: bigint[] = [];
  const fillers = new Map<string, bigint>();
  let certain = 0n;
  let endsRun = false;
  for (const place of order) {
    const step = block.steps[place] as Step;
    let ended = 0n;
    let isReached = true;
    const tolerated = new Set(step.tolerates);
    for (const id of step.after) {
      const other = places.get(id) as number;
      const isTolerated = tolerated.has(id);
      const isCertain = (certain & bit(other)) !== 0n;
      if (!isCertain && !isTolerated) isReached = false;
      const otherDone = done[other] ?? 0n;
      ended |= isCertain || !isTolerated ? otherDone | bit(other) : otherDone & certain;
    }
    done[place] = ended;
    const isFilled: IsFilled = (name) => ((fillers.get(name) ?? 0n) & ended) !== 0n || isFilledOutside(name);
    const fill = fillStep(step, isFilled, readsOf, report);
    if (isReached && lastPolicy(step.failure).isStrict) certain |= bit(place);
    if (isReached && fill === "never") endsRun = true;
    if (fill !== "never") for (const name of fill) fillers.set(name, (fillers.get(name) ?? 0n) | bit(place));
  }
  if (endsRun) return "never";
  return new Set([...fillers].flatMap(([name, by]) => ((by & certain) === 0n ? [] : [name])));
}

/** The slots that a step fills once it has completed. */
function fillStep(step: Step, isFilled: IsFilled, readsOf: ReadonlyMap<Step, Reads>, report: Report): Filled {
  const { op, id } = step;
  const output = outputSlotOf(op);
  const reads = readsOf.get(step) ?? { before: [], after: [], ending: [] };
  const missing = new Set([
    ...reads.before.filter((name) => !isFilled(name)),
    ...reads.after.filter((name) => !isFilled(name) && name !== output),
  ]);
  const reportMissing = (names: Iterable<string>): void => {
    for (const name of names) {
      report(
        "P7",
        id,
        `Cannot read the slot \`${name}\` in step \`${id}\`: it is not filled on every path that leads there`,
        { slot: name },
      );
    }
  };
  reportMissing(missing);
  if (op.op === "loop") {
    const own = new Set(loopSlots(op));
    const isFilledInside: IsFilled = (name) => own.has(name) || isFilled(name);
    const body = fillBlock(op.body, isFilledInside, readsOf, report);
    const isFilledAfter: IsFilled = (name) => body === "never" || body.has(name) || isFilledInside(name);
    reportMissing(new Set(reads.ending.filter((name) => !isFilledAfter(name))));
    const carried = new Set<string>(op.carry.map(({ slot }) => slot));
    const { degraded } = lastPolicy(step.failure);
    return degraded === null ? carried : common([carried, fillBlock(degraded, isFilled, readsOf, report)]);
  }
  const inner = blocksOf(op).map((block) => fillBlock(block, isFilled, readsOf, report));
  let fill: Filled = new Set<string>(output === null ? [] : [output]);
  if (op.op === "fail" || op.op === "finish") fill = "never";
  if (op.op === "branch" || op.op === "approve") fill = common(inner);
  if (op.op === "parallel") fill = op.join.kind === "all" ? union(inner) : new Set<string>();
  const { degraded } = lastPolicy(step.failure);
  return degraded === null ? fill : common([fill, fillBlock(degraded, isFilled, readsOf, report)]);
}

/** Places in an order in which every step follows those it waits for, or null (with a problem) when there is none. */
function orderOf(
  block: Block,
  places: ReadonlyMap<string, number>,
  report: Report,
): readonly number[] | null {
  const waiting = block.steps.map(({ after }) => new Set<string>(after));
  const followers = new Map<string, number[]>();
  let isWhole = true;
  for (const [place, { id, after, tolerates }] of block.steps.entries()) {
    for (const other of after) {
      if (!places.has(other)) {
        report("P5", id, `Cannot run \`${id}\` after \`${other}\`: its block has no such step`, {
          after: other,
        });
        isWhole = false;
      }
      const list = followers.get(other);
      if (list === undefined) followers.set(other, [place]);
      else list.push(place);
    }
    if (new Set(after).size !== after.length)
      report("P5", id, `Cannot name one step twice in \`after\` of \`${id}\``);
    if (tolerates.some((other) => !after.includes(other)))
      report("P5", id, `Cannot tolerate in \`${id}\` a step that is not in its \`after\``);
  }
  if (!isWhole) return null;
  const order: number[] = [];
  const ready = block.steps.flatMap((_, place) => (waiting[place]?.size === 0 ? [place] : []));
  for (let place = ready.shift(); place !== undefined; place = ready.shift()) {
    order.push(place);
    const id = block.steps[place]?.id as string;
    for (const follower of followers.get(id) ?? []) {
      const left = waiting[follower];
      if (left?.delete(id) === true && left.size === 0) ready.push(follower);
    }
  }
  if (order.length === block.steps.length) return order;
  const stuck = block.steps.filter((_, place) => !order.includes(place)).map(({ id }) => id);
  report(
    "P5",
    stuck[0] ?? "program",
    `Cannot order the steps ${stuck.slice(0, 10).join(", ")}: they wait for each other`,
    { steps: stuck.slice(0, 50) },
  );
  return null;
}

/** `isStrict`: when the step has ended and the run goes on, it completed. */
function lastPolicy(policy: FailurePolicy): { readonly isStrict: boolean; readonly degraded: Block | null } {
  const last = policy.kind === "retry" ? policy.then : policy;
  return {
    isStrict:
      last.kind === "safe_halt" ||
      last.kind === "compensate" ||
      last.kind === "safe_value" ||
      last.kind === "ask_model" ||
      last.kind === "recompile" ||
      last.kind === "degrade",
    degraded: last.kind === "degrade" ? last.block : null,
  };
}

function common(all: readonly Filled[]): Filled {
  const [first, ...rest] = all.filter((filled) => filled !== "never");
  if (first === undefined) return "never";
  return new Set([...first].filter((name) => rest.every((filled) => filled.has(name))));
}

function union(all: readonly Filled[]): Filled {
  const ending = all.some((filled) => filled === "never");
  return ending ? "never" : new Set(all.flatMap((filled) => (filled === "never" ? [] : [...filled])));
}

function bit(place: number): bigint {
  return 1n << BigInt(place);
}

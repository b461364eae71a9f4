// The drawing of a program for people: one line per step, its operands and edges below it, blocks inside it as branches of a tree. The same program
// always gives the same text; nothing that decides what a run does is left out, and long values are shortened with the number of characters left.
import type {
  FailurePolicy,
  Invariant,
  Loop,
  Opcode,
  Operands,
  Program,
  Step,
  TimeWindow,
  Trigger,
  Block,
} from "@writ/core/program";
import { allSteps } from "@writ/core/program";
import { freeNames, parseExpression } from "@writ/core/expression";
import { guardText } from "@writ/core/guard-text";
import { faultRecord } from "@writ/core/fault";
import { textsOf } from "@writ/core/program-check";
import { loopSlotsOf, outputSlotOf } from "@writ/core/program-steps";
import { parseValue } from "@writ/core/value";
import { durationText, literalText, operandText, wrapText } from "./graph/text.ts";

export const graphColumnsMax = 100;
/** Guides of blocks that are nested deeper are drawn no further to the right. */
const guideColumnsMax = 48;

interface Node {
  readonly head: string;
  readonly details: readonly string[];
  readonly children: readonly Node[];
}

export function drawGraph(program: Program): string {
  const writers = new Map<string, string[]>();
  for (const { id, op } of allSteps(program.body)) {
    const output = outputSlotOf(op);
    const written = [...(output === null ? [] : [output]), ...(op.op === "loop" ? loopSlotsOf(op) : [])];
    for (const slot of written) writers.set(slot, [...(writers.get(slot) ?? []), id]);
  }
  const lines: string[] = [];
  const head = [...triggerLines(program.trigger), ...program.windows.map(windowText)];
  for (const [i, text] of head.entries())
    lines.push(...wrapText(text, i === 0 ? "● " : "│   ", "│   ", graphColumnsMax));
  lines.push("│");
  drawNodes(blockNodes(program.body, writers), "", lines);
  for (const invariant of program.invariants)
    lines.push(...wrapText(invariantText(invariant), "! ", "  ", graphColumnsMax));
  return `${lines.join("\n")}\n`;
}

function drawNodes(nodes: readonly Node[], prefix: string, lines: string[]): void {
  for (const [i, { head, details, children }] of nodes.entries()) {
    const isLast = i === nodes.length - 1;
    const isDeep = prefix.length >= guideColumnsMax;
    const inner = isDeep ? prefix : `${prefix}${isLast ? "   " : "│  "}`;
    const below = children.length > 0 ? `${inner}│  ` : `${inner}   `;
    lines.push(...wrapText(head, `${prefix}${isLast ? "└─ " : "├─ "}`, below, graphColumnsMax));
    for (const detail of details) lines.push(...wrapText(detail, below, `${below}  `, graphColumnsMax));
    drawNodes(children, inner, lines);
  }
}

type Writers = ReadonlyMap<string, readonly string[]>;

function blockNodes(block: Block, writers: Writers): readonly Node[] {
  return block.steps.map((step, place) => stepNode(step, block.steps[place - 1], writers));
}

function group(head: string, block: Block, writers: Writers): Node {
  return { head, details: block.steps.length === 0 ? ["nothing"] : [], children: blockNodes(block, writers) };
}

function stepNode(step: Step, previous: Step | undefined, writers: Writers): Node {
  const { verb, details, children } = opNode(step, writers);
  const edges = [...readLines(step, writers), ...orderLines(step, previous)];
  const failure = failureNode(step.failure, writers);
  return {
    head: `${step.id}  ${verb}`,
    details: [...details, ...edges, ...failure.details],
    children: [...children, ...failure.children],
  };
}

function opNode(
  { op }: Step,
  writers: Writers,
): { readonly verb: string; readonly details: readonly string[]; readonly children: readonly Node[] } {
  switch (op.op) {
    case "load": {
      const fresh = op.freshnessMsMax === null ? [] : [`not older than ${durationText(op.freshnessMsMax)}`];
      return {
        verb: `load ${op.capability} → ${op.output}`,
        details: [...operandLines(op.params), ...fresh],
        children: [],
      };
    }
    case "call": {
      const back =
        op.compensation === null
          ? []
          : [
              `taken back by ${op.compensation.capability}`,
              ...operandLines(op.compensation.params).map((line) => `  ${line}`),
            ];
      return {
        verb: `call ${op.capability}${op.output === null ? "" : ` → ${op.output}`}`,
        details: [...operandLines(op.params), ...guardText(op.guard), ...back],
        children: [],
      };
    }
    case "eval":
      return { verb: `eval → ${op.output}`, details: [`= ${op.expression}`], children: [] };
    case "check":
      return {
        verb: `check ${op.slot}`,
        details: [`is ${literalText(parseValue(op.schema))}`],
        children: [],
      };
    case "branch":
      return {
        verb: "branch",
        details: [],
        children: [
          ...op.arms.map(({ when, block }) => group(`when ${when}`, block, writers)),
          group("otherwise", op.otherwise, writers),
        ],
      };
    case "parallel": {
      const join = op.join.kind === "quorum" ? `${op.join.count} of ${op.branches.length}` : op.join.kind;
      return {
        verb: `parallel, until ${join}`,
        details: [],
        children: op.branches.map((block, i) => group(`branch ${i + 1}`, block, writers)),
      };
    }
    case "wait":
      return { ...waitText(op), children: [] };
    case "approve":
      return {
        verb: `approve by ${op.role} within ${durationText(op.withinMs)}`,
        details: op.message === null ? [] : [`asks ${operandText(op.message)}`],
        children: [
          group("when approved", op.body, writers),
          ...(op.otherwise === null ? [] : [group("when rejected or expired", op.otherwise, writers)]),
        ],
      };
    case "emit":
      return { verb: `emit ${op.type}`, details: operandLines(op.data), children: [] };
    case "fail":
      return { verb: `fail ${op.code}`, details: [operandText(op.message)], children: [] };
    case "finish":
      return { verb: "finish", details: [`= ${operandText(op.result)}`], children: [] };
    case "loop":
      return loopNode(op, writers);
    case "ask":
      return {
        verb: `ask model ${op.model} → ${op.output}`,
        details: [
          `at most ${op.attemptsMax} answers`,
          ...(op.context === "" ? [] : [`context ${literalText(op.context)}`]),
          `prompt ${operandText(op.prompt)}`,
          `is ${literalText(parseValue(op.schema))}`,
        ],
        children: [],
      };
    case "recall":
      return {
        verb: `recall → ${op.output}`,
        details: [`from the memory of the ${op.scope}`, `key = ${operandText(op.key)}`],
        children: [],
      };
    case "remember":
      return {
        verb: "remember",
        details: [
          `in the memory of the ${op.scope}`,
          `key = ${operandText(op.key)}`,
          `value = ${operandText(op.value)}`,
        ],
        children: [],
      };
    case "run":
      return {
        verb: `run program ${op.program}${op.output === null ? "" : ` → ${op.output}`}`,
        details: operandLines(op.input),
        children: [],
      };
  }
}

function loopNode(op: Loop, writers: Writers) {
  return {
    verb:
      op.over === null
        ? `loop at most ${op.iterationsMax} times`
        : `loop over ${operandText(op.over.list)}, each as ${op.over.item}, at most ${op.iterationsMax} times`,
    details: [
      ...(op.index === null ? [] : [`number of the iteration in ${op.index}`]),
      ...op.carry.map(({ slot, initial, next }) => `${slot} = ${operandText(initial)}, then ${next}`),
      ...(op.until === null ? [] : [`until ${op.until}`]),
      ...(op.mustConverge ? ["fails when that has not become true"] : []),
    ],
    children: [group("each time", op.body, writers)],
  };
}

function waitText({ until, missed, output }: Extract<Opcode, { op: "wait" }>): {
  readonly verb: string;
  readonly details: readonly string[];
} {
  const to = output === undefined ? "" : ` → ${output}`;
  const late = missed === undefined ? [] : [`when missed: ${missed === "fail" ? "fails" : "goes on"}`];
  switch (until.kind) {
    case "duration":
      return { verb: `wait ${durationText(until.ms)}${to}`, details: late };
    case "time":
      return { verb: `wait until ${operandText(until.at)}${to}`, details: late };
    case "event":
    case "condition": {
      const what = until.kind === "event" ? until.filter : until.condition;
      return {
        verb: `wait for ${until.type ?? "an event"} of ${until.source ?? "another run"}${to}`,
        details: [
          ...operandLines(
            Object.fromEntries(
              Object.entries(until.config).map(([name, value]) => [name, { kind: "literal", value }]),
            ),
          ),
          ...(what === null ? [] : [`when ${what}`]),
          ...(until.kind === "condition" && until.holdMs > 0
            ? [`held for ${durationText(until.holdMs)}; time while the node is down ${until.down}`]
            : []),
          `within ${durationText(until.withinMs)}`,
          ...late,
        ],
      };
    }
  }
}

function operandLines(operands: Operands): readonly string[] {
  return Object.entries(operands)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, operand]) => `${name} = ${operandText(operand)}`);
}

/** The data edges into a step: which slot, written where. */
function readLines(step: Step, writers: Writers): readonly string[] {
  const { op } = step;
  const ending =
    op.op === "loop" ? [...op.carry.map(({ next }) => next), ...(op.until === null ? [] : [op.until])] : [];
  const names = new Set([...textsOf(step), ...ending].flatMap(namesIn));
  if (op.op === "check") names.add(op.slot);
  if (names.size === 0) return [];
  const edges = [...names].sort().map((name) => {
    const from = writers.get(name);
    return from === undefined ? name : `${name} of ${from.join(" or ")}`;
  });
  return [`reads ${edges.join(", ")}`];
}

function namesIn(text: string): readonly string[] {
  try {
    return freeNames(parseExpression(text));
  } catch (error) {
    if (faultRecord(error) === undefined) throw error;
    return [];
  }
}

/** The control edges, where they are not simply "after the step above". */
function orderLines({ after, tolerates }: Step, previous: Step | undefined): readonly string[] {
  const isPlain =
    previous === undefined ? after.length === 0 : after.length === 1 && after[0] === previous.id;
  const order = isPlain ? [] : [after.length === 0 ? "begins at once" : `after ${after.join(", ")}`];
  return tolerates.length === 0
    ? order
    : [...order, `also when ${tolerates.join(", ")} failed or was skipped`];
}

function failureNode(
  policy: FailurePolicy,
  writers: Writers,
): { readonly details: readonly string[]; readonly children: readonly Node[] } {
  switch (policy.kind) {
    case "safe_halt":
      return { details: [], children: [] };
    case "retry": {
      const { attemptsMax, delayMs, factor, delayMsMax, on, then, jitter } = policy;
      const delays = `${durationText(delayMs)}, ×${factor}, at most ${durationText(delayMsMax)}${jitter === undefined ? "" : `, up to ${jitter} of it drawn`}`;
      const last = failureNode(then, writers);
      return {
        details: [`on ${on.join(", ")}: up to ${attemptsMax} attempts (${delays})`, ...last.details],
        children: last.children,
      };
    }
    case "safe_value":
      return { details: [`on failure: goes on with ${literalText(policy.value)}`], children: [] };
    case "degrade":
      return { details: [], children: [group("on failure instead", policy.block, writers)] };
    case "skip":
      return { details: ["on failure: skipped, with what depends on it"], children: [] };
    case "continue":
      return { details: ["on failure: the others go on"], children: [] };
    case "ask_person":
      return {
        details: [`on failure: asks ${policy.role}, within ${durationText(policy.withinMs)}`],
        children: [],
      };
    case "compensate":
      return { details: ["on failure: everything the run did is taken back, last first"], children: [] };
    case "ask_model":
      return {
        details: [
          `on failure: asks model ${policy.model}, at most ${policy.attemptsMax} answers`,
          ...(policy.context === "" ? [] : [`  context ${literalText(policy.context)}`]),
          `  is ${literalText(parseValue(policy.schema))}`,
        ],
        children: [],
      };
    case "recompile":
      return {
        details: [
          `on failure: waits for ${policy.role} to give another version, within ${durationText(policy.withinMs)}`,
        ],
        children: [],
      };
  }
}

function triggerLines(trigger: Trigger): readonly string[] {
  if (trigger.kind === "manual") return ["started by hand"];
  const { source, config, filter, holdMs, throttleMs } = trigger;
  return [
    `event of ${source}`,
    ...Object.entries(config)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name} = ${literalText(value)}`),
    ...(filter === null ? [] : [`when ${filter}`]),
    ...(holdMs === 0 ? [] : [`held for ${durationText(holdMs)}`]),
    ...(throttleMs === 0 ? [] : [`at most once per ${durationText(throttleMs)}`]),
  ];
}

const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

function windowText({ fromMinute, toMinute, days, zone }: TimeWindow): string {
  const clock = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const on = days.length === 0 ? "every day" : days.map((day) => dayNames[day] ?? String(day)).join(", ");
  return `between ${clock(fromMinute)} and ${clock(toMinute)} (${zone}), ${on}`;
}

function invariantText(invariant: Invariant): string {
  switch (invariant.kind) {
    case "writes-within":
      return `writes only within ${invariant.paths.join(", ")}`;
    case "never-writes":
      return `never writes ${invariant.paths.join(", ")}`;
    case "never-calls":
      return `never calls ${invariant.capability}`;
    case "never-sends":
      return "never sends anything";
  }
}

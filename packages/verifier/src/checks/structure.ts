// Check 35: the graph is acyclic, its edges have types, every input is bound, and only known capabilities are called. Graph work.
import type { Expression } from "@writ/core/expression";
import { freeNames } from "@writ/core/expression";
import { allSteps, blocksOf, type Block, type Loop, type Step } from "@writ/core/program";
import { textsOf } from "@writ/core/program-check";
import { capabilitiesOf, loopSlotsOf } from "@writ/core/program-steps";
import {
  inOrder,
  outputOf,
  policiesOf,
  expressionsOf,
  type Analysis,
  type StructuralProblem,
} from "../model/analysis.ts";
import {
  accessPath,
  kindOf,
  present,
  schemaData,
  schemaOf,
  type Kind,
  type SchemaData,
} from "../model/typing.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

const base = {
  check: 35,
  name: "acyclic, typed, bound",
  claim:
    "For all runs: the steps form no cycle, every value is written before it is read, and every parameter has its type",
  method: "graph",
} as const;

export function checkStructure(analysis: Analysis): readonly Result[] {
  const problems = [
    ...analysis.problems,
    ...duplicates(analysis),
    ...order(analysis.program.body),
    ...listed(analysis),
  ];
  // Binding and types are only told apart in a graph that is one.
  if (problems.length === 0) problems.push(...bindings(analysis), ...parameters(analysis));
  if (problems.length === 0) return [holds(base)];
  return problems.slice(0, 20).map(({ step, message }) =>
    violated(
      base,
      "verifier.malformed-program",
      counterexample(analysis, {
        summary: step === null ? message : `Step \`${step}\`: ${message}`,
        path: step === null ? [] : [step],
        keys: step === null ? ["trigger"] : [step],
      }),
    ),
  );
}

function duplicates(analysis: Analysis): readonly StructuralProblem[] {
  const seen = new Set<string>();
  return allSteps(analysis.program.body).flatMap((step) => {
    const isRepeated = seen.has(step.id);
    seen.add(step.id);
    return isRepeated ? [{ step: step.id, message: "two steps have this id" }] : [];
  });
}

function order(body: Block): readonly StructuralProblem[] {
  return everyBlock(body).flatMap((block) => {
    const ids = new Set<string>(block.steps.map((step) => step.id));
    const problems: StructuralProblem[] = [];
    const done = new Set<string>();
    for (const step of inOrder(block.steps)) {
      for (const id of step.after) {
        if (!ids.has(id))
          problems.push({ step: step.id, message: `waits for \`${id}\`, which is no step beside it` });
        else if (!done.has(id))
          problems.push({ step: step.id, message: `waits for \`${id}\`, which waits for it: a cycle` });
      }
      for (const id of step.tolerates) {
        if (!step.after.includes(id)) {
          problems.push({ step: step.id, message: `tolerates \`${id}\` but does not wait for it` });
        }
      }
      done.add(step.id);
    }
    return problems;
  });
}

function listed(analysis: Analysis): readonly StructuralProblem[] {
  const used = new Set<string>();
  for (const step of allSteps(analysis.program.body)) for (const id of capabilitiesOf(step)) used.add(id);
  const declared = new Set<string>(analysis.program.capabilities);
  return [...used]
    .filter((id) => !declared.has(id))
    .map((id) => ({
      step: null,
      message: `\`${id}\` is called but not listed among the program's capabilities`,
    }));
}

/** Steps that have surely completed whenever a step after them begins: a failure of theirs ends the run or is made up for, and nothing before them skips them. */
function certainSteps(block: Block): ReadonlySet<string> {
  const certain = new Set<string>();
  for (const { id, after, tolerates, failure } of inOrder(block.steps)) {
    const last = failure.kind === "retry" ? failure.then : failure;
    const passesOver = last.kind === "skip" || last.kind === "continue" || last.kind === "ask_person";
    if (!passesOver && after.every((other) => certain.has(other) || tolerates.includes(other)))
      certain.add(id);
  }
  return certain;
}

/** Slots that are certainly written before a step begins; a step that reads another one is a problem. */
function bindings(analysis: Analysis): readonly StructuralProblem[] {
  const problems: StructuralProblem[] = [];
  const require = (step: Step, expression: Expression, known: ReadonlySet<string>): void => {
    for (const name of freeNames(expression)) {
      if (known.has(name)) continue;
      const message = analysis.writers.has(name)
        ? `reads \`${name}\`, which is not written on every way to it`
        : `reads \`${name}\`, which no step writes`;
      problems.push({ step: step.id, message });
    }
  };
  const visit = (block: Block, before: ReadonlySet<string>): ReadonlySet<string> => {
    const after = new Map<string, ReadonlySet<string>>();
    const all = new Set(before);
    const certain = certainSteps(block);
    for (const step of inOrder(block.steps)) {
      const known = new Set(before);
      for (const id of step.after) {
        if (step.tolerates.includes(id) && !certain.has(id)) continue;
        for (const name of after.get(id) ?? []) known.add(name);
      }
      for (const text of step.op.op === "loop" ? textsOf(step) : expressionsOf(step)) {
        const expression = analysis.expressionOf(text);
        const own = step.op.op === "call" && step.op.compensation !== null ? step.op.output : null;
        require(step, expression, own === null ? known : new Set([...known, own]));
      }
      if (step.op.op === "check" && !known.has(step.op.slot)) {
        problems.push({
          step: step.id,
          message: `checks \`${step.op.slot}\`, which is not written before it`,
        });
      }
      const written = new Set([...known, ...writes(step, known)]);
      after.set(step.id, written);
      // A step that may fail and be passed over leaves its slots open for whatever comes after the block.
      if (certain.has(step.id)) for (const name of written) all.add(name);
    }
    return all;
  };
  const writes = (step: Step, known: ReadonlySet<string>): ReadonlySet<string> => {
    const { op } = step;
    if (op.op === "loop") return loopWrites(step, op, known);
    const inner = blocksOf(op).map((block) => ({ block, names: visit(block, known) }));
    const degraded = policiesOf(step.failure).flatMap((policy) =>
      policy.kind === "degrade" ? [visit(policy.block, known)] : [],
    );
    const own = outputOf(step);
    let names: ReadonlySet<string>;
    if (op.op === "parallel") {
      names = op.join.kind === "all" ? new Set(inner.flatMap(({ names: one }) => [...one])) : new Set();
    } else if (op.op === "approve" && op.otherwise === null) {
      names = inner[0]?.names ?? new Set();
    } else {
      const ends = inner.filter(
        ({ block }) => !block.steps.some((one) => one.op.op === "fail" || one.op.op === "finish"),
      );
      names = intersection(ends.map((end) => end.names));
    }
    const all = new Set([...names, ...(own === null ? [] : [own])]);
    if (degraded.length > 0) return intersection([all, ...degraded]);
    return all;
  };
  /** Item and index are there in each iteration, carried slots always; the body's own only until the iteration's end. */
  const loopWrites = (step: Step, op: Loop, known: ReadonlySet<string>): ReadonlySet<string> => {
    const carried = op.carry.map(({ slot }) => slot);
    const inside = new Set<string>([...known, ...loopSlotsOf(op)]);
    const after = new Set([...inside, ...visit(op.body, inside)]);
    for (const text of [...op.carry.map(({ next }) => next), ...(op.until === null ? [] : [op.until])])
      require(step, analysis.expressionOf(text), after);
    const degraded = policiesOf(step.failure).flatMap((policy) =>
      policy.kind === "degrade" ? [visit(policy.block, known)] : [],
    );
    return degraded.length > 0 ? intersection([new Set(carried), ...degraded]) : new Set(carried);
  };
  visit(analysis.program.body, new Set(["event"]));
  const { trigger } = analysis.program;
  if (trigger.kind === "source" && trigger.filter !== null) {
    for (const name of freeNames(analysis.expressionOf(trigger.filter))) {
      if (name !== "event")
        problems.push({ step: null, message: `the trigger reads \`${name}\`, but knows only \`event\`` });
    }
  }
  return problems;
}

function intersection(sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  const [first, ...rest] = sets;
  return new Set([...(first ?? [])].filter((name) => rest.every((other) => other.has(name))));
}

function parameters(analysis: Analysis): readonly StructuralProblem[] {
  const problems: StructuralProblem[] = [];
  for (const site of analysis.sites) {
    if (site.action === null) continue;
    const { definition, params } = site.action;
    const schema = schemaData(definition.params);
    const properties: unknown = schema["properties"];
    if (typeof properties !== "object" || properties === null) continue;
    const required: readonly unknown[] = Array.isArray(schema["required"]) ? schema["required"] : [];
    for (const name of required) {
      if (typeof name === "string" && !params.has(name)) {
        problems.push({
          step: site.step.id,
          message: `\`${definition.id}\` needs the parameter \`${name}\``,
        });
      }
    }
    for (const [name, expression] of params) {
      if (!Object.hasOwn(properties, name)) {
        problems.push({ step: site.step.id, message: `\`${definition.id}\` has no parameter \`${name}\`` });
        continue;
      }
      const wanted = Reflect.get(properties, name) as SchemaData;
      const message = mismatch(analysis, wanted, expression);
      if (message !== null)
        problems.push({ step: site.step.id, message: `the parameter \`${name}\` ${message}` });
    }
  }
  return problems;
}

const says: Readonly<Record<Kind, string>> = {
  number: "a number",
  integer: "a number",
  boolean: "a truth value",
  text: "a text",
  list: "a list",
  map: "an object",
  unknown: "something",
};

function mismatch(analysis: Analysis, schema: SchemaData, expression: Expression): string | null {
  const wanted = kindOf(schema);
  const given = kindOfExpression(analysis, expression);
  if (wanted === "unknown" || given === "unknown" || Array.isArray(present(schema)["anyOf"])) return null;
  if (isNumber(wanted) && isNumber(given)) return null;
  if (wanted !== given) return `takes ${says[wanted]}, not ${says[given]}`;
  const options: unknown = present(schema)["enum"];
  if (Array.isArray(options) && expression.kind === "literal" && typeof expression.value === "string") {
    return options.includes(expression.value)
      ? null
      : `takes one of ${options.map(String).join(", ")}, not \`${expression.value}\``;
  }
  return null;
}

function isNumber(kind: Kind): boolean {
  return kind === "number" || kind === "integer";
}

/** The kind of value an expression gives, as far as it is certain. */
export function kindOfExpression(analysis: Analysis, expression: Expression): Kind {
  switch (expression.kind) {
    case "literal":
      if (expression.value === null) return "unknown";
      return typeof expression.value === "boolean"
        ? "boolean"
        : typeof expression.value === "string"
          ? "text"
          : "number";
    case "name":
    case "field": {
      const path = accessPath(expression);
      if (path === null) return "unknown";
      const evals = (analysis.writers.get(path.root) ?? []).map((site) => site.step.op);
      const [only] = evals;
      if (path.fields.length === 0 && evals.length === 1 && only?.op === "eval") {
        return kindOfExpression(analysis, analysis.expressionOf(only.expression));
      }
      return kindOf(schemaOf(analysis, path));
    }
    case "has":
      return "boolean";
    case "unary":
      return expression.operator === "!" ? "boolean" : "number";
    case "binary":
      switch (expression.operator) {
        case "+": {
          const [left, right] = [expression.left, expression.right].map((side) =>
            kindOfExpression(analysis, side),
          );
          if (left !== undefined && right !== undefined && isNumber(left) && isNumber(right)) return "number";
          return left === right && left !== undefined ? left : "unknown";
        }
        case "-":
        case "*":
        case "/":
        case "%":
          return "number";
        default:
          return "boolean";
      }
    case "conditional": {
      const then = kindOfExpression(analysis, expression.then);
      return then === kindOfExpression(analysis, expression.otherwise) ? then : "unknown";
    }
    case "call":
      return callKinds[expression.name] ?? "unknown";
    case "list":
      return "list";
    case "map":
      return "map";
    case "index":
      return "unknown";
    case "each":
      return expression.macro === "map" || expression.macro === "filter" ? "list" : "boolean";
  }
}

const callKinds: Readonly<Record<string, Kind>> = {
  decimal: "number",
  string: "text",
  size: "number",
  sum: "number",
  min: "number",
  max: "number",
  count: "number",
  contains: "boolean",
  startsWith: "boolean",
  endsWith: "boolean",
  lower: "text",
  upper: "text",
  trim: "text",
  join: "text",
  split: "list",
  replace: "text",
  round: "number",
  abs: "number",
  basename: "text",
  json: "text",
  merge: "map",
};

function everyBlock(body: Block): readonly Block[] {
  const blocks: Block[] = [];
  const pending = [body];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    blocks.push(next);
    for (const step of next.steps) {
      pending.push(...blocksOf(step.op));
      for (const policy of policiesOf(step.failure))
        if (policy.kind === "degrade") pending.push(policy.block);
    }
  }
  return blocks;
}

// Check 2: no parameter leaves the range that its capability's contract or its step's guard gives, for any value that can arrive there.
import type { Expression } from "@writ/core/expression";
import { evaluate } from "@writ/core/expression";
import { decimal, isDecimal, isNumeric, toDecimal } from "@writ/core/value";
import { symbolsOf } from "../encode/ask.ts";
import { createEncoder, smtNumber } from "../encode/encoder.ts";
import { pathsRead, replayOf, valuesRead } from "../encode/replay.ts";
import { conjunction, createScript, disjunction, type Owner } from "../encode/script.ts";
import type { Analysis, Site } from "../model/analysis.ts";
import { conditionsOf, holds as isTrue } from "../model/formula.ts";
import { kindOf, present, schemaData, schemaOf, type SchemaData } from "../model/typing.ts";
import { kindOfExpression } from "./structure.ts";
import { counterexample, holds, sayValues, unknown, violated, type Context, type Result } from "./result.ts";

interface Bounded {
  readonly site: Site;
  readonly param: string;
  readonly expression: Expression;
  readonly schema: SchemaData;
}

const base = {
  check: 2,
  name: "parameters in range",
  claim:
    "For all values within the ranges of contracts and workspace: every number given to a capability is in its range",
  method: "solver",
} as const;

const problemsMax = 5;

export async function checkRanges(context: Context): Promise<readonly Result[]> {
  const { subject } = context;
  let open = boundedParams(subject);
  if (open.length === 0) return [holds({ ...base, method: "types" })];
  const results: Result[] = [];
  for (let round = 0; round < problemsMax && open.length > 0; round++) {
    const script = createScript("Check 2: a parameter out of its range; sat means a violation");
    const owner: Owner = { prefix: "p", analysis: subject };
    const encoder = createEncoder(script, owner, owner);
    const terms = open.map(({ site, expression, schema }) => {
      const value = encoder.term(expression);
      const outside = value.kind === "number" ? disjunction(outsideTerms(value.smt, schema)) : "false";
      return conjunction([
        encoder.trigger(),
        encoder.formula(subject.filter),
        encoder.formula(site.reach),
        outside,
      ]);
    });
    const selectors = terms.map((term, index) => {
      const selector = script.declare(`parameter ${index}`, "Bool", { kind: "selector", index });
      script.assert(`(=> ${selector} ${term})`, `parameter ${index} means`, "");
      return selector;
    });
    script.assert(disjunction(selectors), "some parameter", "");
    const chosen = (truths: ReadonlyMap<string, boolean>) =>
      open.findIndex((_, index) => truths.get(`parameter ${index}`) === true);
    const answer = await context.ask({
      script,
      relevant: (truths) => symbolsOf(terms[chosen(truths)] ?? ""),
    });
    const asked = { ...base, answer };
    if (answer.result === "unknown") return [...results, unknown(asked, answer.reason)];
    if (answer.result === "unsat") return results.length === 0 ? [holds(asked)] : results;
    const found = open[chosen(answer.solution.truths)];
    if (found === undefined) return [...results, unknown(asked, "the answer names no parameter")];
    const { bindings, choices } = replayOf(script, owner, owner, answer.solution);
    results.push(violationOf(subject, found, asked, bindings, choices));
    open = open.filter((one) => one !== found);
  }
  return results;
}

function violationOf(
  subject: Analysis,
  found: Bounded,
  asked: Parameters<typeof violated>[0],
  bindings: Parameters<typeof evaluate>[1],
  choices: ReadonlyMap<string, boolean>,
): Result {
  const { site, param, expression, schema } = found;
  let given: string;
  try {
    const value = evaluate(expression, bindings);
    const isReached = isTrue(site.reach, bindings, choices) && isTrue(subject.filter, bindings, choices);
    if (!isReached || !isNumeric(value) || isInside(toDecimal(value), schema)) {
      return unknown(asked, `a value of \`${param}\` out of range could not be replayed`);
    }
    given = toDecimal(value).toFixed();
  } catch (error) {
    return unknown(asked, error instanceof Error ? error.message : String(error));
  }
  const conditions = conditionsOf(site.reach);
  const paths = pathsRead(subject, [...conditions.map((condition) => condition.expression), expression]);
  const values = [...valuesRead(subject, bindings, paths), { name: param, value: given }];
  const keys = [site.step.id, ...conditions.map((condition) => condition.at)];
  return violated(
    asked,
    "verifier.parameter-range",
    counterexample(subject, {
      summary: `Step \`${site.step.id}\` of “${subject.name}” would give \`${param}\` ${given}, which is ${sayRange(schema)}: ${sayValues(values)}`,
      values,
      path: site.path,
      keys,
    }),
  );
}

function boundedParams(analysis: Analysis): readonly Bounded[] {
  return analysis.sites.flatMap((site) => {
    if (site.action === null) return [];
    const properties: unknown = schemaData(site.action.definition.params)["properties"];
    if (typeof properties !== "object" || properties === null) return [];
    return [...site.action.params].flatMap(([param, expression]) => {
      const schema = Reflect.get(properties, param) as SchemaData | undefined;
      if (schema === undefined) return [];
      const kind = kindOf(schema);
      if (kind !== "number" && kind !== "integer") return [];
      const given = kindOfExpression(analysis, expression);
      // A value of unknown kind has no range to compare: the gate checks it when it is there.
      if (given !== "number" && given !== "integer") return [];
      const guard = guardRange(analysis, site, param, expression);
      const ranges = [...(rangeOf(schema).length === 0 ? [] : [schema]), ...(guard === null ? [] : [guard])];
      return ranges.map((range) => ({ site, param, expression, schema: range }));
    });
  });
}

/** The guard's range, where every value the parameter is computed from has one; what has none is the guard's to refuse when it comes. */
function guardRange(
  analysis: Analysis,
  site: Site,
  param: string,
  expression: Expression,
): SchemaData | null {
  const { op } = site.step;
  if (op.op !== "call" || site.action?.isCompensation === true) return null;
  const range = op.guard?.ranges?.find((one) => one.param === param);
  if (range === undefined) return null;
  const isBounded = pathsRead(analysis, [expression]).every((path) => {
    const schema = schemaOf(analysis, path);
    return schema !== null && rangeOf(schema).length > 0;
  });
  if (!isBounded) return null;
  const { min, max } = range;
  return { ...(min === null ? {} : { minimum: min }), ...(max === null ? {} : { maximum: max }) };
}

const comparisons = {
  minimum: ["<", "below"],
  exclusiveMinimum: ["<=", "not above"],
  maximum: [">", "above"],
  exclusiveMaximum: [">=", "not below"],
} as const;

function rangeOf(schema: SchemaData) {
  const one = present(schema);
  return Object.entries(comparisons).flatMap(([key, [operator, word]]) => {
    const value = one[key];
    if (isDecimal(value)) return [{ operator, word, value }];
    return typeof value === "number" ? [{ operator, word, value: decimal(value) }] : [];
  });
}

function outsideTerms(smt: string, schema: SchemaData): readonly string[] {
  return rangeOf(schema).map(({ operator, value }) => `(${operator} ${smt} ${smtNumber(value)})`);
}

function isInside(value: ReturnType<typeof decimal>, schema: SchemaData): boolean {
  return rangeOf(schema).every(({ operator, value: bound }) => {
    const order = value.cmp(bound);
    switch (operator) {
      case "<":
        return order >= 0;
      case "<=":
        return order > 0;
      case ">":
        return order <= 0;
      case ">=":
        return order < 0;
    }
  });
}

function sayRange(schema: SchemaData): string {
  return `out of its range (${rangeOf(schema)
    .map(({ word, value }) => `refused when ${word} ${value.toFixed()}`)
    .join(", ")})`;
}

// Runs a solver's answer through the evaluator the machine uses: a counterexample that does not replay is none.
import { children as childrenOf, evaluate, type Bindings, type Expression } from "@writ/core/expression";
import { decimal, decimalText, isDecimal, isMap, toJson, type Value } from "@writ/core/value";
import { accepts, machineOf, shortestWord } from "../automata/machine.ts";
import type { Analysis } from "../model/analysis.ts";
import { sharedReads } from "../model/reads.ts";
import {
  accessPath,
  dimensionOf,
  languageOfPath,
  nameOfPath,
  pathText,
  present,
  schemaData,
  triggerLanguage,
  watchedFolder,
  watchesOneFolder,
  type AccessPath,
  type SchemaData,
} from "../model/typing.ts";
import type { Solution } from "./ask.ts";
import type { Owner, Script } from "./script.ts";

export interface Replay {
  readonly bindings: Bindings;
  readonly choices: ReadonlyMap<string, boolean>;
}

const eventName: AccessPath = { root: "event", fields: ["data", "name"] };

/** The values of one program under a solution; what the solution leaves open is filled from the schemas. */
export function replayOf(script: Script, owner: Owner, eventOwner: Owner, solution: Solution): Replay {
  const { analysis } = owner;
  const roots: Record<string, Value> = { event: sampleEvent(analysis) };
  for (const [slot, sites] of analysis.writers) {
    const definition = sites[0]?.action?.definition;
    const declared = analysis.program.slots.find((one) => one.name === slot)?.schema;
    const schema = definition?.result ?? declared;
    roots[slot] = schema === undefined ? null : sample(schemaData(schema));
  }
  const shared = owner === eventOwner ? new Map<string, string>() : sharedReads(analysis);
  /** Where the value stands in this program: a shared reading may have another slot here than where it was first met. */
  const placesOf = (where: {
    readonly owner: Owner;
    readonly path: AccessPath;
    readonly reading: string | null;
  }): readonly AccessPath[] => {
    const { path, reading } = where;
    if (reading !== null) {
      return [...shared].flatMap(([root, read]) => (read === reading ? [{ ...path, root }] : []));
    }
    return where.owner.prefix === (path.root === "event" ? eventOwner.prefix : owner.prefix) ? [path] : [];
  };
  for (const [name, meaning] of script.meanings) {
    if (meaning.kind !== "number" && meaning.kind !== "boolean") continue;
    const value = meaning.kind === "number" ? solution.numbers.get(name) : solution.truths.get(name);
    if (value !== undefined) for (const path of placesOf(meaning)) place(roots, path, value);
  }
  for (const variable of script.texts.values()) {
    const value = solution.texts.get(variable.name);
    if (value !== undefined) for (const path of placesOf(variable)) place(roots, path, value);
  }
  agreeOnPath(analysis, roots);
  for (const site of analysis.sites) {
    const { op } = site.step;
    if (op.op !== "eval") continue;
    try {
      roots[op.output] = evaluate(analysis.expressionOf(op.expression), roots);
    } catch {
      // A slot of a way not taken may have no value; whoever reads it will not replay.
      delete roots[op.output];
    }
  }
  const choices = new Map<string, boolean>();
  for (const [name, meaning] of script.meanings) {
    if (meaning.kind === "choice" && meaning.owner.prefix === owner.prefix) {
      choices.set(meaning.choice, solution.truths.get(name) ?? false);
    }
  }
  return { bindings: roots, choices };
}

/** True when the trigger's own pattern lets the replayed event through. */
export function triggerAccepts(analysis: Analysis, bindings: Bindings): boolean {
  const language = triggerLanguage(analysis, eventName);
  const name = valueAt(bindings, eventName);
  return language === null || typeof name !== "string" || accepts(machineOf(language), name);
}

/** The named values that conditions read, as a person reads them: `sum of amount = 10000.01 EUR`. */
export function valuesRead(
  analysis: Analysis,
  bindings: Bindings,
  paths: readonly AccessPath[],
): readonly { readonly name: string; readonly value: string }[] {
  const values = new Map<string, string>();
  for (const path of paths) {
    const value = valueAt(bindings, path);
    if (value === undefined || isMap(value) || Array.isArray(value)) continue;
    values.set(nameOfPath(analysis, path), renderValue(value, dimensionOf(analysis, path)));
  }
  return [...values].map(([name, value]) => ({ name, value }));
}

export function renderValue(value: Value, dimension: string | null): string {
  if (typeof value === "string") return value;
  if (isDecimal(value) || typeof value === "number") {
    const text = decimalText(isDecimal(value) ? value : decimal(value));
    return dimension === null ? text : `${text} ${dimension}`;
  }
  return JSON.stringify(toJson(value));
}

/** Every access path that an expression reads, through the expressions of computed slots. */
export function pathsRead(analysis: Analysis, expressions: readonly Expression[]): readonly AccessPath[] {
  const found = new Map<string, AccessPath>();
  const pending = [...expressions];
  const visited = new Set<string>();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const path = accessPath(next);
    if (path === null) {
      pending.push(...childrenOf(next));
      continue;
    }
    const evals = (analysis.writers.get(path.root) ?? []).flatMap((site) =>
      site.step.op.op === "eval" ? [site.step.op.expression] : [],
    );
    if (evals.length === 0) found.set(pathText(path), path);
    else if (!visited.has(path.root)) {
      visited.add(path.root);
      pending.push(...evals.map((text) => analysis.expressionOf(text)));
    }
  }
  return [...found.values()].sort((a, b) => (pathText(a) < pathText(b) ? -1 : 1));
}

/** Every access path written in the expression itself. */
export function pathsReadDirectly(expression: Expression): readonly AccessPath[] {
  const found: AccessPath[] = [];
  const pending: { readonly expression: Expression; readonly bound: readonly string[] }[] = [
    { expression, bound: [] },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const path = accessPath(next.expression);
    if (path !== null) {
      if (!next.bound.includes(path.root)) found.push(path);
      continue;
    }
    const bound = next.expression.kind === "each" ? [...next.bound, next.expression.name] : next.bound;
    for (const child of childrenOf(next.expression)) pending.push({ expression: child, bound });
  }
  return found;
}

export function valueAt(bindings: Bindings, path: AccessPath): Value | undefined {
  let value: Value | undefined = Object.hasOwn(bindings, path.root) ? bindings[path.root] : undefined;
  for (const field of path.fields) {
    value = value !== undefined && isMap(value) && Object.hasOwn(value, field) ? value[field] : undefined;
  }
  return value;
}

function place(roots: Record<string, Value>, path: AccessPath, value: Value): void {
  const [last, ...before] = path.fields.toReversed();
  if (last === undefined) {
    roots[path.root] = value;
    return;
  }
  const rebuild = (at: Value | undefined, fields: readonly string[]): Value => {
    const map = at !== undefined && isMap(at) ? at : {};
    const [field, ...rest] = fields;
    if (field === undefined) return { ...map, [last]: value };
    return { ...map, [field]: rebuild(map[field], rest) };
  };
  roots[path.root] = rebuild(roots[path.root], before.toReversed());
}

/** A file's path is its folder and its name; the solver knows the name alone. */
function agreeOnPath(analysis: Analysis, roots: Record<string, Value>): void {
  const folder = watchedFolder(analysis);
  const name = valueAt(roots, eventName);
  const hasPath = valueAt(roots, { root: "event", fields: ["data", "path"] }) !== undefined;
  if (folder === null || typeof name !== "string" || !hasPath || !watchesOneFolder(analysis)) return;
  place(roots, { root: "event", fields: ["data", "path"] }, folder === "" ? name : `${folder}/${name}`);
  place(roots, { root: "event", fields: ["data", "folder"] }, folder);
}

function sampleEvent(analysis: Analysis): Value {
  const data = analysis.source === null ? {} : sample(schemaData(analysis.source.event));
  const event: Record<string, Value> = {
    event: {
      id: "event-1",
      type: String(analysis.source?.id ?? "manual"),
      source: "/",
      time: "2026-01-05T09:00:00Z",
      data,
    },
  };
  const machines = [languageOfPath(analysis, eventName, false), triggerLanguage(analysis, eventName)]
    .filter((language) => language !== null)
    .map(machineOf);
  const name = shortestWord({ in: machines });
  if (valueAt(event, eventName) !== undefined && name.kind === "word") place(event, eventName, name.word);
  return event["event"] ?? null;
}

/** Some value of a schema: the smallest that its ranges allow. */
function sample(schema: SchemaData): Value {
  const one = present(schema);
  if (one["x-decimal"] === true) return decimal(0);
  if (one["const"] !== undefined) return one["const"] as Value;
  const options: unknown = one["enum"];
  if (Array.isArray(options) && options.length > 0) return options[0] as Value;
  switch (one["type"]) {
    case "number":
    case "integer": {
      const [low, high] = [one["minimum"], one["maximum"]];
      if (typeof low === "number" && low > 0) return decimal(low);
      if (typeof high === "number" && high < 0) return decimal(high);
      return decimal(0);
    }
    case "boolean":
      return false;
    case "string":
      return one["x-language"] === "text" ? "text" : "a";
    case "array":
      return [];
    case "object": {
      const properties: unknown = one["properties"];
      if (typeof properties !== "object" || properties === null) return {};
      return Object.fromEntries(
        Object.entries(properties).map(([key, inner]) => [key, sample(inner as SchemaData)]),
      );
    }
    default:
      return null;
  }
}

// Forms of JSON: what a value must look like and what it becomes. A form never throws; what is wrong is added to the problems, with its
// place, and the value is undefined.
import type { FaultFacts } from "@writ/core/fault";
import type { JsonNode } from "../plan/json.ts";
import { closest, suggestion, type PlanProblem } from "../plan/problem.ts";
import { programTextFaults } from "./faults.ts";

export type Form<T> = (node: JsonNode, problems: PlanProblem[]) => T | undefined;

/** A field of a record. Without `absent` it must be there; a field that is null counts as absent unless its form takes null. */
export interface Field<T> {
  readonly form: Form<T>;
  readonly absent: { readonly value: T } | "required" | "left-out";
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

type Read<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never;
};

export function required<T>(form: Form<T>): Field<T> {
  return { form, absent: "required" };
}

export function optional<T>(form: Form<T>, value: T): Field<T> {
  return { form, absent: { value } };
}

/** A field that is not there at all when it is not written. */
export function omissible<T>(form: Form<T>): Field<T> {
  return { form, absent: "left-out" };
}

export function refuse(
  problems: PlanProblem[],
  code: keyof typeof programTextFaults,
  at: string,
  what: { readonly message: string; readonly facts?: FaultFacts },
): undefined {
  const { remedy } = programTextFaults[code];
  problems.push({ code, at, span: null, remedy, message: what.message, facts: what.facts ?? {} });
}

export function wrong(node: JsonNode, problems: PlanProblem[], expected: string): undefined {
  const at = node.at === "" ? "the program" : `\`${node.at}\``;
  return refuse(problems, "program.field", node.at, {
    message: `Cannot read ${at}: expected ${expected}`,
    facts: { expected },
  });
}

export const text =
  (expected = "a text", pattern: RegExp | null = null, lengthMax = 10_000): Form<string> =>
  (node, problems) => {
    const value = node.kind === "scalar" ? node.value : null;
    if (typeof value !== "string" || value.length > lengthMax || pattern?.test(value) === false)
      return wrong(node, problems, expected);
    return value;
  };

export const whole =
  (min: number, max: number): Form<number> =>
  (node, problems) => {
    const value = node.kind === "scalar" ? node.value : null;
    return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? value
      : wrong(node, problems, `a whole number from ${min} to ${max}`);
  };

export const number =
  (min: number, max: number): Form<number> =>
  (node, problems) => {
    const value = node.kind === "scalar" ? node.value : null;
    return typeof value === "number" && value >= min && value <= max
      ? value
      : wrong(node, problems, `a number from ${min} to ${max}`);
  };

export const truth: Form<boolean> = (node, problems) =>
  node.kind === "scalar" && typeof node.value === "boolean"
    ? node.value
    : wrong(node, problems, "true or false");

export const choice =
  <const Choice extends string>(...choices: readonly Choice[]): Form<Choice> =>
  (node, problems) =>
    choices.find((one) => node.kind === "scalar" && node.value === one) ??
    wrong(node, problems, `one of ${choices.join(", ")}`);

export const orNull =
  <T>(form: Form<T>): Form<T | null> =>
  (node, problems) =>
    isNull(node) ? null : form(node, problems);

export const list =
  <T>(form: Form<T>): Form<readonly T[]> =>
  (node, problems) => {
    if (node.kind !== "list") return wrong(node, problems, "a list");
    const items = node.items.map((item) => form(item, problems));
    return items.every((item) => item !== undefined) ? items : undefined;
  };

/** An object whose field names are free. */
export const mapOf =
  <T>(form: Form<T>): Form<Readonly<Record<string, T>>> =>
  (node, problems) => {
    if (node.kind !== "object") return wrong(node, problems, "an object");
    const read: [string, T][] = [];
    for (const [name, item] of node.fields) {
      const value = form(item, problems);
      if (value !== undefined) read.push([name, value]);
    }
    return read.length === node.fields.size ? Object.fromEntries(read) : undefined;
  };

/** A closed object: an unknown field is a problem, never ignored. */
export const record =
  <const F extends Fields>(what: string, fields: F): Form<Read<F>> =>
  (node, problems) => {
    if (node.kind !== "object") return wrong(node, problems, `an object: ${what}`);
    refuseUnknown(node.fields, Object.keys(fields), what, problems);
    return readFields(node, fields, what, problems);
  };

/** One of several objects, told apart by the field `tag`. One that needs no other field may be written as its name alone. */
export const oneOf =
  <T>(what: string, tag: string, kinds: Readonly<Record<string, Fields>>): Form<T> =>
  (node, problems) => {
    const names = Object.keys(kinds);
    const named = node.kind === "object" ? node.fields.get(tag) : node;
    const name =
      named?.kind === "scalar" && typeof named.value === "string" && Object.hasOwn(kinds, named.value)
        ? named.value
        : undefined;
    if (name === undefined) {
      return wrong(named ?? node, problems, `${what}: \`${tag}\` is one of ${names.join(", ")}`);
    }
    const fields = kinds[name] ?? {};
    if (node.kind !== "object") return readFields(emptyAt(node), fields, what, problems, { [tag]: name });
    refuseUnknown(node.fields, [tag, ...Object.keys(fields)], `\`${name}\``, problems);
    return readFields(node, fields, `\`${name}\``, problems, { [tag]: name });
  };

function emptyAt(node: JsonNode): JsonNode {
  return { kind: "object", fields: new Map(), start: node.start, end: node.end, at: node.at };
}

function refuseUnknown(
  fields: ReadonlyMap<string, JsonNode>,
  known: readonly string[],
  what: string,
  problems: PlanProblem[],
): void {
  for (const [name, item] of fields) {
    if (known.includes(name)) continue;
    const near = closest(name, known, problems);
    refuse(problems, "program.unknown-field", item.at, {
      message: `Cannot use \`${name.slice(0, 80)}\` in ${what}: there is no such field${suggestion(near)}`,
      facts: { field: name.slice(0, 200), closest: near, known },
    });
  }
}

function readFields<T>(
  node: JsonNode,
  fields: Fields,
  what: string,
  problems: PlanProblem[],
  read: Record<string, unknown> = {},
): T | undefined {
  let isWhole = true;
  for (const [name, { form, absent }] of Object.entries(fields)) {
    const item = node.kind === "object" ? node.fields.get(name) : undefined;
    if (item === undefined || (isNull(item) && absent === "left-out")) {
      if (absent === "required") {
        isWhole = false;
        refuse(problems, "program.missing-field", node.at, {
          message: `Cannot read ${node.at === "" ? "the program" : `\`${node.at}\``}: ${what} needs \`${name}\``,
          facts: { field: name },
        });
      } else if (absent !== "left-out") read[name] = absent.value;
      continue;
    }
    const value = form(item, problems);
    if (value === undefined) isWhole = false;
    else read[name] = value;
  }
  // The fields' forms gave every value its type.
  return isWhole ? (read as T) : undefined;
}

function isNull(node: JsonNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

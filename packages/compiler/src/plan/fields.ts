// Fields of a plan: each has a form, and a wrong one is named.
import type { JsonNode } from "./json.ts";
import { closest, problem, suggestion, type PlanProblem } from "./problem.ts";

export type FieldReader = ReturnType<typeof fieldReader>;

/** Readers of one field each. An absent or null field is undefined; a wrong one is a problem and undefined. */
export function fieldReader(problems: PlanProblem[]) {
  const isAbsent = (node: JsonNode | undefined): node is undefined =>
    node === undefined || (node.kind === "scalar" && node.value === null);
  const wrong = (node: JsonNode, expected: string): undefined => {
    problems.push(
      problem("plan.field", node.at, `Cannot read \`${node.at}\`: expected ${expected}`, { expected }),
    );
  };

  return {
    text(
      node: JsonNode | undefined,
      { pattern, form, lengthMax = 10_000 }: { pattern?: RegExp; form?: string; lengthMax?: number },
    ): string | undefined {
      if (isAbsent(node)) return undefined;
      const value = node.kind === "scalar" ? node.value : null;
      if (typeof value !== "string" || (pattern !== undefined && !pattern.test(value)))
        return wrong(node, form ?? "a text");
      return value.length > lengthMax ? wrong(node, `at most ${lengthMax} characters`) : value;
    },
    number(
      node: JsonNode | undefined,
      { min, max, whole = false }: { min: number; max: number; whole?: boolean },
    ): number | undefined {
      if (isAbsent(node)) return undefined;
      const value = node.kind === "scalar" ? node.value : null;
      const fits =
        typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value));
      return fits ? value : wrong(node, `a ${whole ? "whole " : ""}number from ${min} to ${max}`);
    },
    truth(node: JsonNode | undefined): boolean | undefined {
      if (isAbsent(node)) return undefined;
      return node.kind === "scalar" && typeof node.value === "boolean"
        ? node.value
        : wrong(node, "true or false");
    },
    choice<const Choice extends string>(
      node: JsonNode | undefined,
      choices: readonly Choice[],
    ): Choice | undefined {
      if (isAbsent(node)) return undefined;
      const found = choices.find((choice) => node.kind === "scalar" && node.value === choice);
      return found ?? wrong(node, `one of ${choices.join(", ")}`);
    },
    list(node: JsonNode | undefined): readonly JsonNode[] | undefined {
      if (isAbsent(node)) return undefined;
      return node.kind === "list" ? node.items : wrong(node, "a list");
    },
    /** `known` null: any field names. `unsupported` fields are fine while they are null. */
    object(
      node: JsonNode | undefined,
      what: string,
      known: readonly string[] | null,
      unsupported: Readonly<Record<string, string>>,
    ): ReadonlyMap<string, JsonNode> | undefined {
      if (isAbsent(node)) return undefined;
      if (node.kind !== "object") return wrong(node, "an object");
      if (known !== null) {
        for (const [name, item] of node.fields) {
          if (known.includes(name)) continue;
          if (Object.hasOwn(unsupported, name)) {
            if (isAbsent(item)) continue;
            problems.push(
              problem(
                "plan.unsupported",
                item.at,
                `Cannot use \`${name}\` in ${what}: ${unsupported[name]}`,
                { field: name },
              ),
            );
            continue;
          }
          const near = closest(name, known, problems);
          problems.push(
            problem(
              "plan.unknown-field",
              item.at,
              `Cannot use \`${name.slice(0, 80)}\` in ${what}: there is no such field${suggestion(near)}`,
              {
                field: name.slice(0, 200),
                closest: near,
                known,
              },
            ),
          );
        }
      }
      return node.fields;
    },
  };
}

/** The field, or a problem when it is absent or null. */
export function required(
  fields: ReadonlyMap<string, JsonNode>,
  name: string,
  at: string,
  problems: PlanProblem[],
): JsonNode | undefined {
  const node = fields.get(name);
  if (node === undefined || (node.kind === "scalar" && node.value === null)) {
    problems.push(
      problem(
        "plan.missing-field",
        at,
        `Cannot read ${at === "" ? "the plan" : `\`${at}\``}: \`${name}\` is missing`,
        { field: name },
      ),
    );
    return undefined;
  }
  return node;
}

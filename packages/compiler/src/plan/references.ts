// References to results: found in texts, checked against the plan and the schemas of what they name.
import { capabilityName } from "@writ/core/ids";
import type { Schema } from "@writ/core/schema";
import type { JsonNode } from "./json.ts";
import { fieldSchema, shapeOf } from "./params.ts";
import { closest, problem, suggestion, type PlanProblem } from "./problem.ts";
import type { Plan } from "./read.ts";
import type { ResolvedAction } from "./resolve.ts";
import { readTemplates, type PathPart, type Reference } from "./templates.ts";

export interface PlacedReference {
  readonly reference: Reference;
  readonly at: string;
}

/** All references in the texts of a node; unreadable ones, and templates in field names, become problems. */
export function referencesIn(node: JsonNode, problems: PlanProblem[]): PlacedReference[] {
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" ? textReferences(node.value, node.at, problems) : [];
    case "list":
      return node.items.flatMap((item) => referencesIn(item, problems));
    case "object":
      return [...node.fields].flatMap(([key, item]) => {
        if (key.includes("{{"))
          problems.push(
            problem(
              "plan.template",
              item.at,
              `Cannot use a template in the field name \`${key.slice(0, 80)}\``,
            ),
          );
        return referencesIn(item, problems);
      });
  }
}

export function textReferences(text: string, at: string, problems: PlanProblem[]): PlacedReference[] {
  const read = readTemplates(text, at);
  if ("problem" in read) {
    problems.push(read.problem);
    return [];
  }
  return read.parts.flatMap((part) => (part.kind === "reference" ? [{ reference: part.reference, at }] : []));
}

interface ReferenceScope {
  readonly plan: Plan;
  readonly known: ReadonlyMap<string, ResolvedAction>;
  readonly compensating: ReadonlySet<string>;
  readonly problems: PlanProblem[];
}

/** The other actions whose results an action or its compensation reads; wrong references become problems. */
export function referencedIds(
  { action, reads, undoReads }: ResolvedAction,
  scope: ReferenceScope,
): readonly string[] {
  const { compensating, problems } = scope;
  const idsOf = (placed: readonly PlacedReference[], own: "refused" | "allowed") =>
    placed.flatMap(({ reference, at }) => {
      if (reference.root !== "result" || !checkReference(reference, at, scope)) return [];
      const { id } = reference;
      if (id === action.id && own === "allowed") return [];
      if (id !== action.id && !compensating.has(id)) return [id];
      const [code, why] =
        id === action.id
          ? (["plan.reference-order", ` in \`${id}\` itself`] as const)
          : (["plan.rollback", ": it runs only to take something back"] as const);
      problems.push(problem(code, at, `Cannot read the result of \`${id}\`${why}`, { action: id }));
      return [];
    });
  return [...idsOf(reads, "refused"), ...idsOf(undoReads, "allowed")];
}

/** Whether the reference names an action and a field its result may have. */
function checkReference(
  reference: Extract<Reference, { root: "result" }>,
  at: string,
  { plan, known, problems }: ReferenceScope,
): boolean {
  const target = known.get(reference.id);
  if (target === undefined) {
    const ids = plan.actions.map(({ id }) => id);
    // It is there, but what it does is unknown: that is a problem of its own.
    if (ids.includes(reference.id)) return true;
    const near = closest(reference.id, ids, problems);
    problems.push(
      problem(
        "plan.unknown-reference",
        at,
        `Cannot find the action \`${reference.id}\` whose result is read${suggestion(near)}`,
        {
          closest: near,
          known: ids.slice(0, 50),
        },
      ),
    );
    return false;
  }
  const missing = missingField(target.definition.result, reference.path);
  if (missing === null) return true;
  const near = closest(String(missing.part), missing.available, problems);
  problems.push(
    problem(
      "plan.unknown-result-field",
      at,
      `Cannot read \`${String(missing.part)}\` of the result of \`${reference.id}\` (\`${capabilityName(target.definition.id)}\`)${suggestion(near)}`,
      {
        available: missing.available,
        closest: near,
      },
    ),
  );
  return false;
}

/** The first part of a path that no value of the schema has, or null. */
function missingField(
  schema: Schema,
  path: readonly PathPart[],
): { readonly part: PathPart; readonly available: readonly string[] } | null {
  let current = schema;
  for (const [i, part] of path.entries()) {
    const shape = shapeOf(current);
    if (shape.anyOf !== undefined) {
      const tries = shape.anyOf.map((alternative) => missingField(alternative, path.slice(i)));
      return tries.includes(null)
        ? null
        : { part, available: tries.flatMap((missing) => missing?.available ?? []) };
    }
    if (shape["x-decimal"] === true) return { part, available: [] };
    if (shape.type === undefined) return null;
    if (shape.type === "array" && typeof part === "number") current = shape.items ?? {};
    else if (shape.type === "object" && typeof part === "string") {
      const inner = fieldSchema(shape, part);
      if (inner === undefined) return { part, available: Object.keys(shape.properties) };
      current = inner;
    } else return { part, available: shape.type === "array" ? ["[0]"] : Object.keys(shape.properties) };
  }
  return null;
}

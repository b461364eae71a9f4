// What a step does to which place: the resource uses of its capability with the expressions that name the places.
import type { ResourceUse } from "@writ/core/capability";
import type { Expression } from "@writ/core/expression";
import type { Action, Analysis, Site } from "../model/analysis.ts";
import { schemaData } from "../model/typing.ts";

export interface Use {
  readonly analysis: Analysis;
  readonly site: Site;
  readonly action: Action;
  readonly kind: ResourceUse["kind"];
  readonly does: ResourceUse["does"];
  readonly param: string;
  readonly place: Expression;
}

const known = new WeakMap<Analysis, readonly Use[]>();

export function usesOf(analysis: Analysis): readonly Use[] {
  let uses = known.get(analysis);
  if (uses === undefined) {
    uses = collect(analysis);
    known.set(analysis, uses);
  }
  return uses;
}

function collect(analysis: Analysis): readonly Use[] {
  return analysis.sites.flatMap((site) => {
    const { action } = site;
    if (action === null) return [];
    const declared = action.definition.resources;
    // A writing capability that names a path without saying what it does there is taken to replace it.
    const undeclared = pathParams(action)
      .filter((param) => !declared.some((use) => use.param === param))
      .map((param): ResourceUse => ({ kind: "file", param, does: "replace" }));
    const all = action.definition.effect.kind === "read" ? declared : [...declared, ...undeclared];
    return all.flatMap(({ kind, does, param }) => {
      const given = action.params.get(param);
      const named = given === undefined ? absentPlace(action, { kind, param }) : { kind, place: given };
      return named === null ? [] : [{ analysis, site, action, does, param, ...named }];
    });
  });
}

/** C4: a path that is left out is the schema's default, and without one the folder in which everything lies. */
function absentPlace(
  action: Action,
  { kind, param }: Pick<Use, "kind" | "param">,
): Pick<Use, "kind" | "place"> | null {
  if (kind !== "file" && kind !== "folder") return null;
  const schema: unknown = propertiesOf(action)[param];
  const byDefault: unknown =
    typeof schema === "object" && schema !== null ? Reflect.get(schema, "default") : null;
  return typeof byDefault === "string"
    ? { kind, place: { kind: "literal", value: byDefault } }
    : { kind: "folder", place: { kind: "literal", value: "." } };
}

export function isWrite(use: Pick<Use, "does">): boolean {
  return use.does !== "read" && use.does !== "list" && use.does !== "send";
}

export function isPlace(use: Use): boolean {
  return use.kind === "file" || use.kind === "folder";
}

function pathParams(action: Action): readonly string[] {
  return Object.entries(propertiesOf(action)).flatMap(([name, schema]) =>
    typeof schema === "object" && schema !== null && Reflect.has(schema, "x-path") ? [name] : [],
  );
}

function propertiesOf(action: Action): Readonly<Record<string, unknown>> {
  const properties: unknown = schemaData(action.definition.params)["properties"];
  return typeof properties === "object" && properties !== null
    ? Object.fromEntries<unknown>(Object.entries(properties))
    : {};
}

/** What the capability does, as a verb phrase a person reads. */
export function sayAction(action: Action): string {
  return action.definition.summary.en.replace(/\.$/, "").toLowerCase();
}

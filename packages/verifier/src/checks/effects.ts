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
      const place = action.params.get(param);
      return place === undefined ? [] : [{ analysis, site, action, kind, does, param, place }];
    });
  });
}

export function isWrite(use: Pick<Use, "does">): boolean {
  return use.does !== "read" && use.does !== "list" && use.does !== "send";
}

export function isPlace(use: Use): boolean {
  return use.kind === "file" || use.kind === "folder";
}

function pathParams(action: Action): readonly string[] {
  const properties: unknown = schemaData(action.definition.params)["properties"];
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties).flatMap(([name, schema]: [string, unknown]) =>
    typeof schema === "object" && schema !== null && Reflect.has(schema, "x-path") ? [name] : [],
  );
}

/** What the capability does, as a verb phrase a person reads. */
export function sayAction(action: Action): string {
  return action.definition.summary.en.replace(/\.$/, "").toLowerCase();
}

// Which steps are consequential, by the definition in core that the gate asks too: irreversible, or leaving containment (network, a
// person outside, a device that moves). A reversible step inside the workspace is not.
import { isConsequential as isConsequentialOf } from "@writ/core/consequence";
import { askCapability } from "@writ/core/program-steps";
import { schemaData } from "../model/typing.ts";
import type { Analysis, Site } from "../model/analysis.ts";
import { usesOf } from "./effects.ts";

export function isConsequential(analysis: Analysis, site: Site): boolean {
  if (site.action === null) return false;
  const { definition } = site.action;
  return isConsequentialOf(definition, definition.resources) || leavesContainment(analysis, site);
}

/** True when something of the step goes to the network or to a person. */
export function leavesContainment(analysis: Analysis, site: Site): boolean {
  if (site.action === null) return false;
  const { definition } = site.action;
  return (
    definition.resources.some((use) => use.kind === "host" || use.kind === "person" || use.does === "send") ||
    usesOf(analysis).some((use) => use.site === site && (use.kind === "host" || use.kind === "person")) ||
    paramsWith(definition.params, "x-host").length > 0
  );
}

/** Every program of the workspace may recall what is remembered for all of them. */
function isShared({ step: { op } }: Site): boolean {
  return op.op === "remember" && op.scope === "workspace";
}

/** True when what the step is given is seen outside of the node: also by a model, whose answer is data and changes nothing. */
export function isSeenOutside(analysis: Analysis, site: Site): boolean {
  return site.action?.definition.id === askCapability || isShared(site) || leavesContainment(analysis, site);
}

/** Names of the parameters whose schema has the annotation. */
export function paramsWith(params: Parameters<typeof schemaData>[0], annotation: string): readonly string[] {
  const properties: unknown = schemaData(params)["properties"];
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties).flatMap(([name, schema]: [string, unknown]) =>
    typeof schema === "object" && schema !== null && Reflect.get(schema, annotation) !== undefined
      ? [name]
      : [],
  );
}

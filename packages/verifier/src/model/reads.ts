// Readings that two programs share: rules that one event starts look at the same snapshot, so the same reading gives the same value.
import { freeNames, renderExpression, type Expression } from "@writ/core/expression";
import { capabilityName } from "@writ/core/ids";
import { comesBefore, type Analysis } from "./analysis.ts";

const known = new WeakMap<Analysis, ReadonlyMap<string, string>>();

/**
 * Slots that hold a reading any program started by the same event would get, with what was read: `csv.aggregate(column: "amount",
 * path: event.data.path)`. Only readings made before the program itself changes anything count.
 */
export function sharedReads(analysis: Analysis): ReadonlyMap<string, string> {
  let reads = known.get(analysis);
  if (reads === undefined) {
    reads = collect(analysis);
    known.set(analysis, reads);
  }
  return reads;
}

function collect(analysis: Analysis): ReadonlyMap<string, string> {
  const reads = new Map<string, string>();
  const changes = analysis.sites.filter(
    (site) => site.action !== null && site.action.definition.effect.kind !== "read",
  );
  for (const [slot, writers] of analysis.writers) {
    const [site, ...others] = writers;
    if (site?.action == null || others.length > 0 || site.action.definition.effect.kind !== "read") continue;
    // Read again in each iteration, and a loop may have changed it meanwhile; what was remembered, or a model says, is no file.
    if (site.loops.length > 0 || site.step.op.op !== "load") continue;
    if (!changes.every((change) => comesBefore(site, change))) continue;
    const params = [...site.action.params].sort(([a], [b]) => (a < b ? -1 : 1));
    if (!params.every(([, expression]) => dependsOnEvent(expression))) continue;
    const written = params.map(([name, expression]) => `${name}: ${renderExpression(expression)}`).join(", ");
    reads.set(slot, `${capabilityName(site.action.definition.id)}(${written})`);
  }
  return reads;
}

/** True when the expression reads nothing but the event. */
function dependsOnEvent(expression: Expression): boolean {
  return freeNames(expression).every((name) => name === "event");
}

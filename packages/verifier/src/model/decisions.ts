// What decides whether a step's turn comes, beside the conditions around it: the branches and checks of the steps before it.
import type { Expression } from "@writ/core/expression";
import { comesBefore, type Analysis, type Site } from "./analysis.ts";

export interface Decision {
  readonly expression: Expression;
  /** The step that decides. */
  readonly at: string;
}

/**
 * The decisions of the steps that a step, or one around it, comes after, however far before and however deep inside: they may have ended
 * the run, or had the step skipped. The same rule as the one by which a run labels its steps.
 */
export function decisionsBefore(analysis: Analysis): (site: Site) => readonly Decision[] {
  const deciding = analysis.sites.flatMap((site) => {
    const decisions = decisionsOf(analysis, site);
    return decisions.length === 0 ? [] : [{ site, decisions }];
  });
  const known = new Map<Site, readonly Decision[]>();
  return (site) => {
    let found = known.get(site);
    if (found === undefined) {
      found = deciding.flatMap((earlier) => (comesBefore(earlier.site, site) ? earlier.decisions : []));
      known.set(site, found);
    }
    return found;
  };
}

function decisionsOf(analysis: Analysis, { step: { id, op } }: Site): readonly Decision[] {
  if (op.op === "check") return [{ expression: { kind: "name", name: op.slot }, at: id }];
  if (op.op !== "branch") return [];
  return op.arms.map(({ when }) => ({ expression: analysis.expressionOf(when), at: id }));
}

// What decides whether a step's turn comes, beside the conditions around it: the branches and checks of the steps before it.
import { freeNames, type Expression } from "@writ/core/expression";
import { textsOf } from "@writ/core/program-check";
import { comesBefore, loopExpressions, type Analysis, type Site } from "./analysis.ts";

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
  // In a loop what decides anywhere in it decides also about what comes before it, in the next iteration.
  const isInOneLoop = (one: Site, other: Site): boolean =>
    one.loops.some((loop) => other.loops.includes(loop)) || other.loops.includes(one.step.id);
  const deciding = analysis.sites.flatMap((site) => {
    const decisions = decisionsOf(analysis, site);
    return decisions.length === 0 ? [] : [{ site, decisions }];
  });
  const known = new Map<Site, readonly Decision[]>();
  return (site) => {
    let found = known.get(site);
    if (found === undefined) {
      found = deciding.flatMap((earlier) =>
        comesBefore(earlier.site, site) || isInOneLoop(earlier.site, site) ? earlier.decisions : [],
      );
      known.set(site, found);
    }
    return found;
  };
}

function decisionsOf(analysis: Analysis, { step }: Site): readonly Decision[] {
  const { id, op } = step;
  if (op.op === "check") return [{ expression: { kind: "name", name: op.slot }, at: id }];
  if (op.op === "loop")
    return loopExpressions(op).map((text) => ({ expression: analysis.expressionOf(text), at: id }));
  if (op.op === "wait") {
    // That an event came steers nothing: the wait, like the trigger, is what the person approved.
    const names = textsOf(step).flatMap((text) => freeNames(analysis.expressionOf(text)));
    return names.flatMap((name) =>
      name === "event" ? [] : [{ expression: { kind: "name", name } as const, at: id }],
    );
  }
  if (op.op !== "branch") return [];
  return op.arms.map(({ when }) => ({ expression: analysis.expressionOf(when), at: id }));
}

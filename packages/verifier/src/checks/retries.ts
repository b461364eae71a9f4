// Check 36: nothing is tried twice that would be done twice. What may be tried again is one rule, in core: the machine asks the same.
import { isRepeatable } from "@writ/core/program-check";
import { policiesOf, type Analysis, type Site } from "../model/analysis.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

const base = {
  check: 36,
  name: "retry safe",
  claim: "For all runs: a step is tried again only where the world performs the same effect once",
  method: "graph",
} as const;

export function checkRetries(analysis: Analysis): readonly Result[] {
  const found = analysis.sites.flatMap((site) => {
    const { action, step } = site;
    if (step.op.op === "run") return retriedCalls(analysis, site);
    if (action === null || action.isCompensation) return [];
    if (step.op.op !== "call" && step.op.op !== "load") return [];
    const isRetried = policiesOf(step.failure).some(
      (policy) => policy.kind === "retry" && policy.attemptsMax > 1,
    );
    const { definition } = action;
    if (!isRetried || isRepeatable(definition, step.op.params, analysis.program.workspace.hosts)) return [];
    const summary = `Step \`${step.id}\` of “${analysis.name}” is retried, but \`${definition.id}\` may have acted before it failed and would act twice`;
    return [
      violated(
        base,
        "verifier.unsafe-retry",
        counterexample(analysis, { summary, path: site.path, keys: [step.id] }),
      ),
    ];
  });
  return found.length === 0 ? [holds(base)] : found;
}

/** Another attempt is another run, with keys of its own: nothing in it may have acted. */
function retriedCalls(analysis: Analysis, { step, path }: Site): readonly Result[] {
  if (!policiesOf(step.failure).some((policy) => policy.kind === "retry" && policy.attemptsMax > 1))
    return [];
  const acting = analysis.sites.find(
    ({ action, calls }) =>
      calls.includes(step.id) && action !== null && action.definition.effect.kind !== "read",
  );
  if (acting === undefined) return [];
  const summary = `Step \`${step.id}\` of “${analysis.name}” is retried, but the program that it runs may have acted in \`${acting.step.id}\` before it failed and would act twice`;
  return [
    violated(
      base,
      "verifier.unsafe-retry",
      counterexample(analysis, { summary, path: [...path, acting.step.id], keys: [step.id] }),
    ),
  ];
}

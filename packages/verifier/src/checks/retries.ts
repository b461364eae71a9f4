// Check 36: nothing is tried twice that would be done twice.
import type { Analysis } from "../model/analysis.ts";
import { policiesOf } from "../model/analysis.ts";
import { hostOf } from "./approval.ts";
import { usesOf, type Use } from "./effects.ts";
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
    if (action === null || action.isCompensation) return [];
    const isRetried = policiesOf(step.failure).some(
      (policy) => policy.kind === "retry" && policy.attemptsMax > 1,
    );
    const { definition } = action;
    if (!isRetried || definition.effect.kind === "read" || definition.crash === "idempotent") return [];
    const honours = (use: Use) => hostOf(analysis, use)?.isIdempotent === true;
    const hosts = usesOf(analysis).filter((use) => use.site === site && use.kind === "host");
    // What can be asked about is asked before it is tried again; a host can only be asked when it honours the key of the request.
    const isSettled =
      definition.crash === "queryable" ? hosts.every(honours) : hosts.length > 0 && hosts.every(honours);
    if (isSettled) return [];
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

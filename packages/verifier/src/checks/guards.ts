// Check 8: what moves something is guarded as the integrity level of its capability demands. One rule, in core: the gate asks the same.
import { guardProblems } from "@writ/core/guard-rules";
import type { Analysis } from "../model/analysis.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

const base = {
  check: 8,
  name: "guarded",
  claim:
    "For all runs: what moves something has the preconditions, window, countdown and read-back of its integrity level",
  method: "graph",
} as const;

export function checkGuards(analysis: Analysis): readonly Result[] {
  const found = analysis.sites.flatMap((site) => {
    const { action, step } = site;
    if (action === null || action.isCompensation) return [];
    const guard = step.op.op === "call" ? step.op.guard : undefined;
    return guardProblems(action.definition, { guard, failure: step.failure }).map(({ message, missing }) =>
      violated(
        base,
        "verifier.unguarded",
        counterexample(analysis, {
          summary: `Step \`${step.id}\` of “${analysis.name}” moves something by \`${action.definition.id}\` (${action.definition.criticality}): ${message}`,
          values: [{ name: "missing", value: missing }],
          path: site.path,
          keys: [step.id],
        }),
      ),
    );
  });
  return found.length === 0 ? [holds(base)] : found;
}

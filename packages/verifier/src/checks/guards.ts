// Check 8: what moves something is guarded as the integrity level of its capability demands. One rule, in core: the gate asks the same.
import { guardProblems, isActuator } from "@writ/core/guard-rules";
import type { Analysis } from "../model/analysis.ts";
import { counterexample, holds, information, violated, type Result } from "./result.ts";

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
  return [...(found.length === 0 ? [holds(base)] : found), ...singleReadings(analysis)];
}

/** A sensor that lies is believed: whoever approves the program of something critical is told what it rests on. */
function singleReadings(analysis: Analysis): readonly Result[] {
  return analysis.sites.flatMap(({ action, step, path }) => {
    const readBack = step.op.op === "call" ? step.op.guard?.readBack : undefined;
    if (action === null || action.isCompensation || readBack === undefined) return [];
    const { definition } = action;
    if (definition.criticality !== "critical" || !isActuator(definition)) return [];
    const claim = `That step \`${step.id}\` has moved something critical rests on one reading, \`${readBack.capability}\`: a sensor that lies is believed`;
    const values = [{ name: "reading", value: readBack.capability }];
    return [
      information(
        { ...base, name: "rests on one reading", claim },
        counterexample(analysis, { summary: claim, values, path, keys: [step.id] }),
      ),
    ];
  });
}

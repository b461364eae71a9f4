// What the integrity level of a capability demands of the step that uses it. One rule for the verifier and for the gate.
//   I1  The levels bind what moves something (an effect on a device): guarded needs preconditions; controlled also a window and a
//       read-back with a check; critical also a countdown. What leads to a safe state needs only the read-back.
//   I2  A check that does not look at what was read is no check.
//   I3  No value stands for what a device did not do, and nothing goes on as if it had: `safe_value` and `continue` are refused.
import type { CapabilityDefinition, Criticality } from "./capability.ts";
import { isMoving } from "./consequence.ts";
import { freeNames, parseExpression } from "./expression.ts";
import { faultRecord } from "./fault.ts";
import type { FailurePolicy, Guard } from "./program.ts";

/** Names that a read-back's check may use beside slots: what was read, and the guard's `tolerance`. */
export const readBackNames: readonly string[] = ["result", "tolerance"];

export interface GuardProblem {
  readonly missing: "precondition" | "window" | "check" | "countdown" | "acknowledgment" | "policy";
  /** What is wrong, after the words “Cannot move something by `x`: ”. */
  readonly message: string;
}

const levels: readonly Criticality[] = ["safe", "guarded", "controlled", "critical"];

/** It moves something. */
export function isActuator(definition: Pick<CapabilityDefinition, "effect" | "resources">): boolean {
  return definition.effect.kind !== "read" && definition.resources.some(isMoving);
}

/** What the step lacks, or an empty list. */
export function guardProblems(
  definition: Pick<CapabilityDefinition, "effect" | "resources" | "criticality" | "leadsToSafeState">,
  step: { readonly guard: Guard | undefined; readonly failure: FailurePolicy },
): readonly GuardProblem[] {
  if (!isActuator(definition)) return [];
  const { guard, failure } = step;
  const level = levels.indexOf(definition.criticality);
  const isBound = definition.leadsToSafeState !== true;
  const problems: GuardProblem[] = [];
  const lacks = (missing: GuardProblem["missing"], message: string) => problems.push({ missing, message });
  if (isBound && level >= 1 && (guard?.preconditions ?? []).length === 0)
    lacks("precondition", "it has no precondition");
  if (isBound && level >= 2 && guard?.window === undefined)
    lacks("window", "nothing says when it may move (a time window, and what happens outside it)");
  if (level >= 2 && !looksAtReading(guard?.readBack?.check))
    lacks("check", "no check of a read-back says whether it moved (a postcondition without a check is none)");
  const countdown = guard?.countdown;
  if (isBound && level >= 3 && countdown === undefined)
    lacks("countdown", "it is critical, and nothing announces it before it moves");
  if (level >= 3 && countdown?.requiresAcknowledgment === true && countdown.onMissed === "execute")
    lacks(
      "acknowledgment",
      "it is critical and waits for an acknowledgment, and would be done without one (`onMissed` is `execute`)",
    );
  const policy = policiesOf(failure).find(({ kind }) => kind === "safe_value" || kind === "continue");
  if (policy !== undefined)
    lacks(
      "policy",
      `the failure policy \`${policy.kind}\` would go on as if it had moved; the default is \`safe_halt\``,
    );
  return problems;
}

function looksAtReading(check: string | undefined): boolean {
  if (check === undefined) return false;
  try {
    return freeNames(parseExpression(check)).includes("result");
  } catch (error) {
    if (faultRecord(error) === undefined) throw error;
    return false;
  }
}

function policiesOf(failure: FailurePolicy): readonly FailurePolicy[] {
  const policies: FailurePolicy[] = [failure];
  for (let next = failure; next.kind === "retry"; next = next.then) policies.push(next.then);
  return policies;
}

// `on_error` and `retry` to failure policies.
import type { CapabilityDefinition } from "@writ/core/capability";
import { stepTimeoutMsMax } from "@writ/core/limits";
import type { FailurePolicy, Operands } from "@writ/core/program";
import { isRepeatable, isRetryCode, stepTimeoutCode } from "@writ/core/program-check";
import type { WorkspaceFile } from "@writ/core/workspace";
import { retryDelayMsMax } from "./limits.ts";
import { pointer, problem, type PlanProblem } from "./problem.ts";
import type { OnError, PlanAction, PlanRetry } from "./read.ts";

/** Which faults an error class of a plan stands for. Of these, a capability is retried on those it declares, and on the step's timeout. */
const retryClasses: Readonly<Record<string, readonly string[]>> = {
  TimeoutError: ["http.timeout", stepTimeoutCode],
  ConnectionError: ["http.connection"],
};

export interface FailureChoice {
  readonly action: PlanAction;
  readonly definition: CapabilityDefinition;
  readonly params: Operands;
  readonly workspace: WorkspaceFile;
  readonly problems: PlanProblem[];
}

/** What happens when the last attempt has failed. */
export function lastPolicy(onError: OnError): FailurePolicy {
  switch (onError) {
    case "abort":
    case "retry":
      return { kind: "safe_halt" };
    case "continue":
      return { kind: "continue" };
    case "skip":
      return { kind: "skip" };
    case "rollback":
      return { kind: "compensate" };
  }
}

/** The policy, with the retries before it. */
export function failureOf(then: FailurePolicy, choice: FailureChoice): FailurePolicy {
  const { retry } = choice.action;
  if (retry === null) return then;
  const on = retryCodes(retry, choice);
  return {
    kind: "retry",
    attemptsMax: retry.attemptsMax,
    delayMs: retry.delayMs,
    factor: retry.factor,
    delayMsMax: Math.min(stepTimeoutMsMax, Math.max(retryDelayMsMax, retry.delayMs)),
    on,
    then,
  };
}

function retryCodes(
  retry: PlanRetry,
  { action, definition, params, workspace, problems }: FailureChoice,
): readonly string[] {
  const name = `${action.module}.${action.action}`;
  const codes = new Set<string>();
  for (const [i, wanted] of retry.on.entries()) {
    const named = Object.hasOwn(retryClasses, wanted) ? retryClasses[wanted] : undefined;
    if (named === undefined && !isRetryCode(definition, wanted)) {
      problems.push(
        problem(
          "plan.retry-class",
          pointer(pointer(retry.at, "retry_on"), i),
          `Cannot retry \`${name}\` on \`${wanted}\``,
          {
            classes: Object.keys(retryClasses),
            codes: definition.retryOn,
          },
        ),
      );
      continue;
    }
    for (const code of named ?? [wanted]) if (isRetryCode(definition, code)) codes.add(code);
  }
  const hosts = workspace.hosts.map(({ host, scheme, risk, idempotent = false }) => ({
    host,
    scheme,
    risk,
    idempotent,
  }));
  if (!isRepeatable(definition, params, hosts)) {
    problems.push(
      problem(
        "plan.retry-unsafe",
        retry.at,
        `Cannot retry \`${name}\`: performing it again could repeat its effect`,
        {
          hint: "a host that performs each idempotency key at most once may be declared `idempotent` in the workspace file",
        },
      ),
    );
  } else if (codes.size === 0 && retry.on.every((wanted) => Object.hasOwn(retryClasses, wanted))) {
    problems.push(
      problem(
        "plan.retry-unsafe",
        retry.at,
        `Cannot retry \`${name}\` on ${retry.on.join(", ") || "nothing"}: none of its faults is of that kind`,
        {
          codes: definition.retryOn,
        },
      ),
    );
  }
  return [...codes].sort();
}

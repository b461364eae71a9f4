// Checks of one step by itself: operands, contracts, bounds, failure policy.
import { freeNames, parseExpression, renderExpression } from "../expression.ts";
import { faultRecord } from "../fault.ts";
import { approvalTimeoutMsMax, retryAttemptsMax, stepTimeoutMsMax } from "../limits.ts";
import type { FailurePolicy, Operand, Step, WaitUntil } from "../program.ts";
import { effectCallOf } from "../program-steps.ts";
import { policy2Problems, step2Problems } from "./format2.ts";
import { checkParams, checkRole, within, type StepCheck } from "./contract.ts";
import { isWhole, type Report } from "./report.ts";
import { isRepeatable, isRetryCode } from "./repeatable.ts";

export function stepProblems(check: StepCheck): void {
  const { step, program, known, report } = check;
  const { op, id } = step;
  if (step.timeoutMs !== null && !within(step.timeoutMs, stepTimeoutMsMax)) {
    report("P13", id, `Cannot give step \`${id}\` ${step.timeoutMs} ms: at most ${stepTimeoutMsMax}`);
  }
  switch (op.op) {
    case "load":
    case "call":
    case "ask":
    case "recall":
    case "remember": {
      step2Problems(check);
      const call = effectCallOf(op);
      if (call === null) break;
      const definition = known.get(call.capability);
      if (definition !== undefined) {
        if (op.op !== "call" && op.op !== "remember" && definition.effect.kind !== "read") {
          report("P10", id, `Cannot load through \`${call.capability}\`: it does not only read`);
        }
        checkParams(call.params, definition, id, report);
      }
      if (op.op !== "call" && op.op !== "load") break;
      if (op.op === "load") {
        if (op.freshnessMsMax !== null && !isWhole(op.freshnessMsMax))
          report("P13", id, "Cannot take this freshness bound");
        break;
      }
      const compensating = op.compensation === null ? undefined : known.get(op.compensation.capability);
      if (definition?.effect.kind === "read" && op.compensation !== null) {
        report("P10", id, `Cannot compensate \`${op.capability}\`: it only reads`);
      }
      if (op.compensation !== null && compensating !== undefined) {
        checkParams(op.compensation.params, compensating, id, report);
      }
      break;
    }
    case "check":
    case "eval":
    case "finish":
      break;
    case "loop":
    case "run":
      step2Problems(check);
      break;
    case "branch":
      if (op.arms.length === 0) report("P12", id, `Cannot branch in \`${id}\` without a condition`);
      break;
    case "parallel": {
      const count = op.branches.length;
      if (count === 0) report("P12", id, `Cannot run \`${id}\` without branches`);
      if (
        op.join.kind === "quorum" &&
        (!isWhole(op.join.count) || op.join.count < 1 || op.join.count > count)
      ) {
        report("P12", id, `Cannot wait for ${op.join.count} of ${count} branches in \`${id}\``);
      }
      break;
    }
    case "wait":
      step2Problems(check);
      if (op.until.kind === "duration" && !within(op.until.ms, program.runTimeoutMs)) {
        report(
          "P13",
          id,
          `Cannot wait ${op.until.ms} ms in \`${id}\`: the run may last ${program.runTimeoutMs} ms`,
        );
      }
      break;
    case "approve":
      checkRole(op.role, check);
      if (!within(op.withinMs, approvalTimeoutMsMax))
        report("P13", id, `Cannot wait ${op.withinMs} ms for an approval in \`${id}\``);
      break;
    case "emit":
      if (op.type === "" || op.type.length > 256)
        report("P15", id, `Cannot emit an event without a type in \`${id}\``);
      break;
    case "fail":
      if (!/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$/.test(op.code))
        report("P15", id, `Cannot fail with the code \`${op.code.slice(0, 80)}\`: a code is \`area.reason\``);
      break;
  }
  checkFailure(step.failure, check);
}

/** The names an expression reads; problems when it does not parse or is not in canonical form (P8). */
export function expressionNames(text: string, at: string, report: Report): readonly string[] {
  try {
    const tree = parseExpression(text);
    const canonical = renderExpression(tree);
    if (canonical !== text)
      report(
        "P8",
        at,
        `Cannot accept the expression \`${text.slice(0, 200)}\`: its canonical form is \`${canonical.slice(0, 200)}\``,
        { canonical },
      );
    return freeNames(tree);
  } catch (error) {
    const record = faultRecord(error);
    if (record === undefined) throw error;
    report("P8", at, record.message, record.facts);
    return [];
  }
}

function checkFailure(policy: FailurePolicy, check: StepCheck): void {
  const { step, program, known, report } = check;
  const { op, id } = step;
  if (policy.kind === "ask_person") {
    checkRole(policy.role, check);
    if (!within(policy.withinMs, approvalTimeoutMsMax))
      report("P13", id, `Cannot wait ${policy.withinMs} ms for a person in \`${id}\``);
  }
  if (policy.kind === "ask_model" || policy.kind === "recompile") policy2Problems(policy, check);
  const isRead = effectCallOf(op) !== null && op.op !== "call" && op.op !== "remember";
  if (policy.kind === "safe_value" && !isRead && op.op !== "eval") {
    report(
      "P14",
      id,
      `Cannot give step \`${id}\` a safe value: only a read or a computation may be replaced by one`,
    );
  }
  if (policy.kind !== "retry") return;
  const { attemptsMax, delayMs, factor, delayMsMax, on, then, jitter = 0 } = policy;
  if (then.kind === "retry") report("P14", id, `Cannot retry step \`${id}\` inside a retry`);
  else checkFailure(then, check);
  if (
    !within(attemptsMax, retryAttemptsMax) ||
    !isWhole(delayMs) ||
    !isWhole(delayMsMax) ||
    delayMs > delayMsMax ||
    !(factor >= 1 && factor <= 10) ||
    !(jitter >= 0 && jitter <= 1)
  ) {
    report("P14", id, `Cannot retry step \`${id}\` like this`, {
      attemptsMax,
      delayMs,
      factor,
      delayMsMax,
      retryAttemptsMax,
    });
  }
  const call = effectCallOf(op);
  if (call === null) {
    report("P14", id, `Cannot retry step \`${id}\`: only a call or a load is retried`);
    return;
  }
  const definition = known.get(call.capability);
  if (definition === undefined) return;
  const undeclared = on.filter((code) => !isRetryCode(definition, code));
  if (on.length === 0 || undeclared.length > 0) {
    report(
      "P14",
      id,
      `Cannot retry step \`${id}\` on ${undeclared.join(", ") || "nothing"}: \`${call.capability}\` declares ${definition.retryOn.join(", ") || "no fault that passes"}`,
      {
        undeclared,
        declared: definition.retryOn,
      },
    );
  }
  if (!isRepeatable(definition, call.params, program.workspace.hosts)) {
    report(
      "P14",
      id,
      `Cannot retry step \`${id}\`: performing \`${call.capability}\` again could repeat its effect`,
      { crash: definition.crash },
    );
  }
}

/** The operands a step reads itself before it begins (not those of its blocks). */
export function operandsOf({ op }: Step): readonly Operand[] {
  switch (op.op) {
    case "load":
    case "call":
    case "ask":
    case "recall":
    case "remember":
      return Object.values(effectCallOf(op)?.params ?? {});
    case "emit":
      return Object.values(op.data);
    case "fail":
      return [op.message];
    case "finish":
      return [op.result];
    case "wait":
      return op.until.kind === "time" ? [op.until.at] : [];
    case "approve":
      return op.message === null ? [] : [op.message];
    case "loop":
      return [...(op.over === null ? [] : [op.over.list]), ...op.carry.map(({ initial }) => initial)];
    case "run":
      return Object.values(op.input);
    case "eval":
    case "check":
    case "branch":
    case "parallel":
      return [];
  }
}

/** The CEL texts a step reads before it begins; what it reads later (a compensation, the end of an iteration) is not among them. */
export function textsOf(step: Step): readonly string[] {
  const { op } = step;
  const texts = operandsOf(step).flatMap((operand) => (operand.kind === "expression" ? [operand.text] : []));
  if (op.op === "eval") texts.push(op.expression);
  if (op.op === "branch") texts.push(...op.arms.map(({ when }) => when));
  if (op.op === "wait") texts.push(...waitTexts(op.until));
  if (op.op === "call") texts.push(...(op.guard?.preconditions ?? []));
  return texts;
}

function waitTexts(until: WaitUntil): readonly string[] {
  if (until.kind === "event") return until.filter === null ? [] : [until.filter];
  return until.kind === "condition" ? [until.condition] : [];
}

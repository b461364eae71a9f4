// Checks of what only format 2 has: loops, waits on events, models, memory, sub-programs, guards, resources (rules P16 to P20).
import {
  approvalTimeoutMsMax,
  askAttemptsMax,
  askContextLengthMax,
  listensPerProgramMax,
  loopIterationsMax,
  loopIterationsTotalMax,
  resourcesPerProgramMax,
} from "../limits.ts";
import { blocksOf, type Block, type FailurePolicy, type Guard, type Program, type Step } from "../program.ts";
import { isWhole, type Report } from "./report.ts";
import { checkParams, checkRole, within, type StepCheck } from "./contract.ts";

/** What stands beside the steps: sources that stay open, the queue, resources. */
export function headProblems(program: Program, steps: readonly Step[], report: Report): void {
  const { listens = [], queueMax, resources = [] } = program;
  if (listens.length > listensPerProgramMax)
    report("P17", "program", `Cannot listen to ${listens.length} sources`, { listensPerProgramMax });
  const waited = steps.flatMap(({ op }) =>
    op.op === "wait" && (op.until.kind === "event" || op.until.kind === "condition") ? [op.until.source] : [],
  );
  for (const { source } of listens) {
    if (!waited.includes(source))
      report("P17", "program", `Cannot listen to \`${source}\`: no step waits for its events`, { source });
  }
  if (queueMax !== undefined && !isWhole(queueMax))
    report("P20", "program", `Cannot queue ${queueMax} events`);
  const names = resources.map(({ name }) => name);
  if (resources.length > resourcesPerProgramMax || new Set(names).size !== names.length)
    report("P20", "program", "Cannot take these resources: too many, or one of them twice", {
      resourcesPerProgramMax,
    });
  for (const { name, count, leaseMs } of resources) {
    if (!/^[a-z][a-z0-9_.-]{0,63}$/.test(name))
      report(
        "P20",
        "program",
        `Cannot name a resource \`${name.slice(0, 80)}\`: a name starts with a small letter a-z and goes on with up to 63 of a-z, 0-9, \`_\`, \`.\` and \`-\``,
      );
    else if (!within(count, 1_000_000) || !within(leaseMs, Number.MAX_SAFE_INTEGER))
      report(
        "P20",
        "program",
        `Cannot take ${count} of the resource \`${name.slice(0, 80)}\` for ${leaseMs} ms`,
      );
  }
}

export function step2Problems(check: StepCheck): void {
  const { step, program, report } = check;
  const { op, id } = step;
  if (op.op === "loop") {
    if (!within(op.iterationsMax, loopIterationsMax))
      report("P16", id, `Cannot run \`${id}\` ${op.iterationsMax} times`, { loopIterationsMax });
    if (op.mustConverge && op.until === null)
      report("P16", id, `Cannot tell when \`${id}\` has converged: it has no \`until\``);
  }
  if (op.op === "wait" && (op.until.kind === "event" || op.until.kind === "condition")) {
    const { until } = op;
    if (!within(until.withinMs, program.runTimeoutMs))
      report(
        "P17",
        id,
        `Cannot wait ${until.withinMs} ms in \`${id}\`: the run may last ${program.runTimeoutMs} ms`,
      );
    if (until.kind === "condition" && !(isWhole(until.holdMs) && until.holdMs <= until.withinMs))
      report("P17", id, `Cannot hold for ${until.holdMs} ms within ${until.withinMs} ms in \`${id}\``);
    if (until.source === null && Object.keys(until.config).length > 0)
      report("P17", id, `Cannot configure a source in \`${id}\` without naming it`);
  }
  if (op.op === "ask") checkAsk(op, id, report);
  if (op.op === "call" && op.guard !== undefined) checkGuard(op.guard, check);
}

export function policy2Problems(
  policy: Extract<FailurePolicy, { kind: "ask_model" | "recompile" }>,
  check: StepCheck,
): void {
  const { step, report } = check;
  if (policy.kind === "ask_model") {
    checkAsk(policy, step.id, report);
    const { op } = step;
    if (op.op !== "load" && op.op !== "eval" && op.op !== "ask" && op.op !== "recall")
      report(
        "P14",
        step.id,
        `Cannot let a model answer for \`${step.id}\`: it does not only read or compute`,
      );
    return;
  }
  checkRole(policy.role, check);
  if (!within(policy.withinMs, approvalTimeoutMsMax))
    report("P13", step.id, `Cannot wait ${policy.withinMs} ms for another version in \`${step.id}\``);
}

function checkAsk(
  {
    model,
    context,
    attemptsMax,
  }: { readonly model: string; readonly context: string; readonly attemptsMax: number },
  id: string,
  report: Report,
): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/.test(model))
    report("P18", id, `Cannot ask the model \`${model.slice(0, 80)}\``);
  if (context.length > askContextLengthMax)
    report("P18", id, `Cannot give a model ${context.length} characters of context`, { askContextLengthMax });
  if (!within(attemptsMax, askAttemptsMax))
    report("P18", id, `Cannot ask a model ${attemptsMax} times in \`${id}\``, { askAttemptsMax });
}

function checkGuard(guard: Guard, check: StepCheck): void {
  const { step, known, report } = check;
  const { id } = step;
  const { window, countdown, rate, ranges = [], readBack } = guard;
  const times = [
    window?.queueMs,
    countdown?.ms,
    rate?.cooldownMs,
    rate?.perMinuteMax,
    readBack?.pollMs,
    readBack?.timeoutMs,
  ];
  if (times.some((ms) => ms !== undefined && !isWhole(ms)))
    report("P19", id, `Cannot take a negative or broken time in the guard of \`${id}\``);
  if (countdown !== undefined) checkRole(countdown.role, check);
  const params = step.op.op === "call" ? step.op.params : {};
  for (const { param } of ranges) {
    if (!Object.hasOwn(params, param))
      report(
        "P19",
        id,
        `Cannot bound \`${param.slice(0, 80)}\` in \`${id}\`: it is no parameter of the step`,
      );
  }
  if (readBack === undefined) return;
  const definition = known.get(readBack.capability);
  if (definition === undefined) return;
  if (definition.effect.kind !== "read")
    report("P19", id, `Cannot read back through \`${readBack.capability}\`: it does not only read`);
  checkParams(readBack.params, definition, id, report);
}

/** Loops inside loops multiply; what they come to together is bounded too. Depth was looked at before. */
export function loopProblems(body: Block, report: Report): void {
  const pending: { readonly block: Block; readonly times: number }[] = [{ block: body, times: 1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const { id, op, failure } of next.block.steps) {
      const times = op.op === "loop" ? next.times * Math.max(1, op.iterationsMax) : next.times;
      if (op.op === "loop" && times > loopIterationsTotalMax)
        report("P16", id, `Cannot run \`${id}\` ${times} times in all`, { loopIterationsTotalMax });
      else for (const block of blocksOf(op)) pending.push({ block, times });
      const last = failure.kind === "retry" ? failure.then : failure;
      if (last.kind === "degrade") pending.push({ block: last.block, times: next.times });
    }
  }
}

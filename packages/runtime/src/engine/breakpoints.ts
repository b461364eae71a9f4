// What a person asks for at breakpoints, checked before it is recorded.
import { effectCallOf } from "@writ/core/program-steps";
import { toHex } from "@writ/core/bytes";
import type { Breakpoint } from "@writ/core/entry";
import { stepId, type StepId } from "@writ/core/ids";
import { inlineBytesMax } from "@writ/core/limits";
import { computeOperands } from "../machine/operands.ts";
import type { ValueMap } from "@writ/core/value";
import type { EngineOptions } from "../engine.ts";
import { fault } from "../faults.ts";
import { problemsOf } from "../fit.ts";
import { matches } from "../machine/intercept.ts";
import { effectAt, type PreparedProgram } from "../program-index.ts";
import type { RunState } from "../state.ts";
import { sizeOf, type Core } from "./core.ts";
import { fitted } from "./job.ts";

/** @throws run.breakpoint when it would never stop anything */
export function breakpointAt(
  where: string,
  prepared: PreparedProgram,
  { entropy }: Pick<EngineOptions, "entropy">,
): Breakpoint {
  const breakpoint = `b_${toHex(entropy.bytes(6))}`;
  const calls = [...prepared.steps.values()].flatMap(({ step: { id, op } }) => {
    const call = effectCallOf(op);
    return call === null ? [] : [{ id, capability: call.capability }];
  });
  if (calls.some(({ id }) => id === where)) return { breakpoint, step: stepId(where), capability: null };
  if (calls.some(({ capability }) => matches(where, capability)))
    return { breakpoint, step: null, capability: where };
  const steps = calls.slice(0, 50).map(({ id }): string => id);
  throw fault(
    "run.breakpoint",
    `Cannot stop at \`${where.slice(0, 200)}\`: no step of the program would ever be stopped by it`,
    { steps },
  );
}

/** Parameters as a person wants them: they must be what the capability takes. The gate looks at everything else again. */
export function checkParams(core: Core, state: RunState, id: StepId, params: ValueMap): void {
  const op = effectAt(state, id);
  if (op === null) throw new Error(`Invariant broken: step ${id} performs nothing`);
  if (sizeOf(params) > inlineBytesMax) {
    throw fault("runtime.parameter-too-large", `Cannot set parameters of about ${sizeOf(params)} bytes`, {
      step: id,
      sizeBytesMax: inlineBytesMax,
    });
  }
  const definition = core.options.modules.find(op.capability);
  if (definition === undefined) return;
  const kept = Object.entries(op.params).filter(([name]) => !Object.hasOwn(params, name));
  const { value } = computeOperands(Object.fromEntries(kept), state);
  const problems = problemsOf(definition.params, fitted(definition.params, { ...value, ...params }));
  if (problems.length === 0) return;
  const found = problems
    .map(({ at, message }) => `${at === "" ? "they" : `\`${at}\``} ${message}`)
    .join("; ");
  throw fault("gate.params-invalid", `Cannot use \`${op.capability}\` with these parameters: ${found}`, {
    capability: op.capability,
    problems: problems.map(({ at, message }) => ({ at, message })),
  });
}

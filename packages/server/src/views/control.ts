// What is shown of orders to a run: breakpoints, what stands at them, and what a person changed, beside what the author wrote.
import type { RunDetail } from "@writ/core/api";
import type { Operand, Step } from "@writ/core/program";
import { toJson, type Json } from "@writ/core/value";
import type { RunState } from "@writ/runtime/state";
import { actorText } from "./entry.ts";
import { apiEffect } from "./effect.ts";

type JsonObject = { readonly [key: string]: Json };
type StepView = RunDetail["steps"][number];

export function controlOfStep(
  state: RunState,
  { id, op }: Step,
): Pick<StepView, "intercepted"> & Pick<StepView, "changed"> {
  const phase = state.steps.get(id)?.phase;
  const changed = state.control.steps.get(id)?.changed ?? null;
  const written = op.op === "call" || op.op === "load" ? op.params : {};
  return {
    ...(phase?.kind === "intercepted"
      ? { intercepted: { breakpoint: phase.breakpoint, effect: apiEffect(phase.effect) } }
      : {}),
    ...(changed === null
      ? {}
      : {
          changed: {
            by: actorText(changed.by),
            params: toJson(changed.params) as JsonObject,
            written: Object.fromEntries(
              Object.keys(changed.params).map((name) => [name, textOf(written[name])]),
            ),
          },
        }),
  };
}

export function breakpointsOf({ control }: RunState): NonNullable<RunDetail["breakpoints"]> {
  return control.breakpoints.map(({ breakpoint, step, capability }) => ({
    id: breakpoint,
    where: step ?? capability ?? "",
  }));
}

function textOf(operand: Operand | undefined): Json {
  if (operand === undefined) return null;
  return operand.kind === "literal" ? toJson(operand.value) : operand.text;
}

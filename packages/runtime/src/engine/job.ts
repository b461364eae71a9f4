// What a step asks for: the operands resolved, with everything the gate wants to know about them.
import type { Capability, WorkspaceContext } from "@writ/core/capability";
import { guardText } from "@writ/core/guard-text";
import type { CapabilityId, StepId } from "@writ/core/ids";
import { joinLabels, type Label } from "@writ/core/label";
import type { FailurePolicy, Guard, Operands } from "@writ/core/program";
import { isMap, type ValueMap } from "@writ/core/value";
import { fit } from "../fit.ts";
import type { GateOrder, GivenApproval } from "../gate.ts";
import type { StepControl } from "../machine/control-state.ts";
import { computeOperands, type Computed } from "../machine/operands.ts";
import type { RunState, StepState } from "../state.ts";
import { effectAt } from "../program-index.ts";
import { effectKey, type ActiveRun, type Core } from "./core.ts";

/** What is to be done, before anybody looked. */
export interface Job {
  readonly run: ActiveRun;
  readonly step: StepId;
  readonly capability: CapabilityId;
  readonly definition: Capability | undefined;
  readonly params: ValueMap;
  readonly paramLabels: readonly Label[];
  readonly controlLabels: readonly Label[];
  readonly approvals: readonly GivenApproval[];
  readonly purpose: "effect" | "undo";
  /** What the step says of its guard and its failures; absent for undo and for reading back. */
  readonly guarded?: { readonly guard: Guard | undefined; readonly failure: FailurePolicy };
  readonly key: string;
  readonly workspace: WorkspaceContext;
  readonly order?: GateOrder;
}

/** The operands, resolved and shaped for the capability. @throws expression.* */
export function jobOf(core: Core, run: ActiveRun, id: StepId, workspace: Job["workspace"]): Job {
  const { state } = run;
  const op = effectAt(state, id);
  if (op === null) throw new Error(`Invariant broken: step ${id} performs nothing`);
  const definition = core.options.modules.find(op.capability);
  const { value, labels } = computeParams(op.params, state, id);
  const order = orderOf(state, id);
  const step = stepOf(run, id);
  return {
    run,
    step: id,
    capability: op.capability,
    definition,
    params: definition === undefined ? value : fitted(definition.params, value),
    paramLabels: labels,
    controlLabels: step.control,
    approvals: approvalsFor(state, id),
    purpose: "effect",
    guarded: guardedOf(state, id),
    key: effectKey([state.run, id, step.group], core.options),
    workspace,
    ...(order === undefined ? {} : { order }),
  };
}

/** What the author wrote, with what a person put in its place. @throws expression.* */
export function computeParams(operands: Operands, state: RunState, id: StepId): Computed<ValueMap> {
  const changed = changedOf(state, id);
  if (changed === null) return computeOperands(operands, state);
  const kept = Object.entries(operands).filter(([name]) => !Object.hasOwn(changed.params, name));
  const { value, labels } = computeOperands(Object.fromEntries(kept), state);
  return { value: { ...value, ...changed.params }, labels: joinLabels(labels, ["origin:person"]) };
}

/** A person's order that the gate has to know of: other parameters, or another try. */
export function orderOf(state: RunState, id: StepId): GateOrder | undefined {
  const group = state.steps.get(id)?.group;
  if (state.control.steps.get(id)?.orderedGroup !== group) return undefined;
  return { changedBy: changedOf(state, id)?.by ?? null };
}

function changedOf(state: RunState, id: StepId): StepControl["changed"] {
  const changed = state.control.steps.get(id)?.changed ?? null;
  return changed?.group === state.steps.get(id)?.group ? changed : null;
}

/** What the step says of its guard and its failures. */
export function guardedOf(state: RunState, id: StepId): NonNullable<Job["guarded"]> {
  const step = state.prepared.steps.get(id)?.step;
  if (step === undefined) throw new Error(`Invariant broken: no step ${id}`);
  return { guard: step.op.op === "call" ? step.op.guard : undefined, failure: step.failure };
}

/** What an approver and a preview are shown of the guard. */
export function guardOfPreview({ guarded }: Pick<Job, "guarded">): { readonly guard?: readonly string[] } {
  const guard = guardText(guarded?.guard);
  return guard.length === 0 ? {} : { guard };
}

export function fitted(schema: Parameters<typeof fit>[0], value: ValueMap): ValueMap {
  const shaped = fit(schema, value);
  return isMap(shaped) ? shaped : value;
}

/** Approvals that were given for the step, oldest first. */
export function approvalsFor(state: RunState, id: StepId): readonly GivenApproval[] {
  return [...state.approvals.values()].flatMap((given) => {
    if (given.state !== "approved") return [];
    const index = given.effects.findIndex((effect) => effect.step === id);
    return index < 0
      ? []
      : [{ approval: given.approval, role: given.role, by: given.by, effects: given.effects, index }];
  });
}

/** Labels of the parameters, computed again from the slots. */
export function labelsOf(state: RunState, id: StepId): Computed<ValueMap> {
  const op = effectAt(state, id);
  if (op === null) throw new Error(`Invariant broken: step ${id} performs nothing`);
  return computeParams(op.params, state, id);
}

export function stepOf(run: ActiveRun, id: StepId): StepState {
  const step = run.state.steps.get(id);
  if (step === undefined) throw new Error(`Invariant broken: run ${run.run} has no step ${id}`);
  return step;
}

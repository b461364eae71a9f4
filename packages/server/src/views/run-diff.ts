// Where two runs part: what they began with, step by step, and how they ended.
import type { RunDiff } from "@writ/core/api";
import { stepId, type StepId } from "@writ/core/ids";
import { toJson, type Value, type ValueMap } from "@writ/core/value";
import { valueChanges, type ValueChange } from "@writ/core/value-diff";
import type { RunState } from "@writ/runtime/state";
import { runSummary, type NameOf } from "./run.ts";
import { visibleValue } from "./slot.ts";

export function runDiff(a: RunState, b: RunState, nameOf: NameOf): RunDiff {
  const ids = new Set<StepId>([...a.prepared.steps.keys(), ...b.prepared.steps.keys()]);
  const steps = [...ids].flatMap((id) => stepDiff(a, b, id));
  return {
    a: runSummary(a, nameOf),
    b: runSummary(b, nameOf),
    sameProgram: a.program === b.program,
    event: changes(a.event?.data ?? null, b.event?.data ?? null),
    steps,
    result: changes(endOf(a), endOf(b)),
    first: steps[0]?.step ?? null,
  };
}

function stepDiff(a: RunState, b: RunState, id: StepId): RunDiff["steps"] {
  const [ofA, ofB] = [a.steps.get(id)?.status ?? null, b.steps.get(id)?.status ?? null];
  const found = ofA === null || ofB === null ? [] : changes(factsOf(a, id), factsOf(b, id));
  return ofA === ofB && found.length === 0 ? [] : [{ step: stepId(id), a: ofA, b: ofB, changes: found }];
}

/** What of a step does not name the run, its times or its keys. */
function factsOf(state: RunState, id: StepId): ValueMap {
  const step = state.steps.get(id);
  const op = state.prepared.steps.get(id)?.step.op;
  const output = op !== undefined && "output" in op ? op.output : null;
  const slot = output === null || output === undefined ? undefined : state.slots.get(output);
  return {
    attempt: step?.attempt ?? 0,
    params: step?.effect?.params ?? null,
    targets: (step?.effect?.targets ?? []).map(({ name, state: hash }) => ({ name, state: hash })),
    result: slot === undefined ? null : visibleValue(slot),
    fault: step?.fault == null ? null : { code: step.fault.code, message: step.fault.message },
  };
}

function endOf({ ended }: RunState): ValueMap {
  return {
    status: ended?.status ?? null,
    result: ended?.result ?? null,
    fault: ended?.fault == null ? null : { code: ended.fault.code, message: ended.fault.message },
  };
}

function changes(before: Value, after: Value): RunDiff["event"] {
  return valueChanges(before, after).map(({ at, kind, before: was, after: is }: ValueChange) => ({
    at: at.slice(0, 1024),
    kind,
    before: was === undefined ? null : toJson(was),
    after: is === undefined ? null : toJson(is),
  }));
}

// Where a run stood after one of its entries, for a new run that begins there, or for one that is only simulated.
import type { RunEntry } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import type { CapabilityId, RunId, StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import { equalValues, type Value, type ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { carriedOf, forkProblem } from "../machine/fork.ts";
import type { PreparedProgram } from "../program-index.ts";
import type { RunState } from "../state.ts";

export interface ForkPoint {
  readonly run: RunId;
  readonly seq: number;
  readonly prepared: PreparedProgram;
  readonly event: Event;
  readonly labels: readonly Label[];
  readonly workspace: string;
  readonly carried: Value;
  /** What a read gave the run with exactly these parameters, at any time, or undefined. */
  readonly read: (step: StepId, capability: CapabilityId, params: ValueMap) => Value | undefined;
}

/** @throws run.fork-point with the last earlier entry from which it is possible */
export function forkPoint(
  run: RunId,
  steps: readonly { readonly entry: RunEntry; readonly state: RunState }[],
  at: number,
): ForkPoint {
  const started = steps[0]?.entry;
  let chosen: { readonly seq: number; readonly state: RunState } | undefined;
  let earlier: number | null = null;
  for (const { entry, state } of steps) {
    if (entry.seq > at) break;
    chosen = { seq: entry.seq, state };
    if (forkProblem(state) === null) earlier = entry.seq;
  }
  if (chosen === undefined || started?.kind !== "run.started") {
    throw fault("run.fork-point", `Cannot fork the run \`${run}\` from entry ${at}: it had not begun`, {
      run,
      earliest: started?.seq ?? null,
    });
  }
  const problem = forkProblem(chosen.state);
  if (problem !== null) {
    const message = `Cannot fork the run \`${run}\` from entry ${at}: ${problem}`;
    throw fault("run.fork-point", message, { run, earlier });
  }
  const { event, labels, workspace } = started.facts;
  return {
    run,
    seq: chosen.seq,
    prepared: chosen.state.prepared,
    event,
    labels,
    workspace,
    carried: carriedOf(chosen.state),
    read: readsOf(steps),
  };
}

function readsOf(
  steps: readonly { readonly entry: RunEntry; readonly state: RunState }[],
): ForkPoint["read"] {
  return (step, capability, params) => {
    for (const { entry, state } of steps) {
      if (entry.kind !== "effect.completed" || entry.facts.step !== step) continue;
      const effect = state.steps.get(step)?.effect;
      if (effect?.effect !== "read" || effect.capability !== capability) continue;
      // A large result stands in a blob; then the world is asked.
      if (equalValues(effect.params, params) && entry.facts.result.kind === "inline")
        return entry.facts.result.value;
    }
    return undefined;
  };
}

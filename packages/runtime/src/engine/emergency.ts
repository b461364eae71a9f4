// Emergency stop: a person's word that nothing in a scope begins, and that what waits in it is taken away first.
//   D2  It is in force from the moment it is appended, before it is durable; it is over only when its clearing is durable.
//   D3  What waits in its scope is cancelled for good: it does not come back when the stop is cleared.
import { toHex } from "@writ/core/bytes";
import type { Capability, Target } from "@writ/core/capability";
import type { Actor, EmergencyScope, EntryDraft } from "@writ/core/entry";
import { Fault } from "@writ/core/fault";
import type { RunId, StepId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { stopOf, stoppedFault } from "../gate/emergency.ts";
import { isStoppable } from "../machine/guard.ts";
import { computeKnown } from "../machine/operands.ts";
import type { EmergencyStop } from "../registry.ts";
import { effectAt } from "../program-index.ts";
import { recordOf, type ActiveRun, type Core } from "./core.ts";
import { targetsWithoutInspection } from "./look.ts";

export interface StoppedEverything {
  readonly stop: EmergencyStop;
  /** Steps that waited and were taken away. */
  readonly cancelled: readonly { readonly run: RunId; readonly step: StepId }[];
  /** Effects that had begun; `aborted`: it can be interrupted and was told to. What each did is recorded when it has ended. */
  readonly underWay: readonly { readonly run: RunId; readonly step: StepId; readonly aborted: boolean }[];
  /** Place of the last entry. */
  readonly seq: number;
}

/** Records the stop and takes away everything that waits in its scope, in one tick. */
export function emergencyStop(
  core: Core,
  given: { readonly scope: EmergencyScope; readonly actor: Actor; readonly reason: string },
): StoppedEverything {
  const { ledger, world, entropy } = core.options;
  const { scope, actor } = given;
  const reason = given.reason.slice(0, 1024).toWellFormed();
  if (core.halted() !== null)
    throw fault("runtime.stopped", "Cannot record anything: the engine has halted", {});
  const stop: EmergencyStop = {
    stop: `s_${toHex(entropy.bytes(10))}`,
    scope,
    reason,
    by: actor,
    atMs: world.nowMs(),
  };
  core.stops.add(stop);
  const draft: EntryDraft<"emergency.stopped"> = {
    kind: "emergency.stopped",
    run: null,
    cause: null,
    actor,
    atMs: stop.atMs,
    facts: { stop: stop.stop, scope, reason },
  };
  let { seq } = ledger.append(draft);
  const cancelled: { run: RunId; step: StepId }[] = [];
  const underWay: { run: RunId; step: StepId; aborted: boolean }[] = [];
  for (const run of core.runs.values()) {
    for (const step of run.state.steps.keys()) {
      const what = coveredBy(core, run, step, stop);
      if (what === "waiting") {
        const taken = tryTake(core, run, step, stop);
        if (taken === undefined) continue;
        seq = taken;
        cancelled.push({ run: run.run, step });
      } else if (what === "under-way") {
        underWay.push({ run: run.run, step, aborted: abort(run, step, stop) });
      }
    }
  }
  const where = scope.kind === "everything" ? "everything" : `${scope.kind} ${scope.name}`;
  core.notify(
    "operator",
    "Emergency stop",
    `${stop.stop}: ${where} is stopped${reason === "" ? "" : `: ${reason}`}. ${cancelled.length} steps were cancelled, ${underWay.length} are under way`,
  );
  return { stop, cancelled, underWay, seq };
}

/** Resolves when the stop is over. @throws emergency.unknown */
export async function clearEmergency(
  core: Core,
  given: { readonly stop: string; readonly actor: Actor; readonly reason: string },
): Promise<EmergencyStop> {
  const { ledger, world } = core.options;
  const { stop, actor, reason } = given;
  const known = core.stops.now().find((one) => one.stop === stop);
  if (known === undefined) {
    throw fault("emergency.unknown", `Cannot find an emergency stop \`${stop}\` in force`, { stop });
  }
  const draft: EntryDraft<"emergency.cleared"> = {
    kind: "emergency.cleared",
    run: null,
    cause: null,
    actor,
    atMs: world.nowMs(),
    facts: { stop, reason: reason.slice(0, 1024).toWellFormed() },
  };
  await ledger.durable(ledger.append(draft).seq);
  core.stops.remove(stop);
  core.notify(
    "operator",
    "Emergency stop cleared",
    `${stop} was cleared${reason === "" ? "" : `: ${reason}`}`,
  );
  return known;
}

/** One step that cannot be taken away (its run is broken, say) keeps no other from being stopped; nothing of it is performed while the stop is in force. */
function tryTake(core: Core, run: ActiveRun, step: StepId, stop: EmergencyStop): number | undefined {
  try {
    return take(core, run, step, stop);
  } catch (error) {
    if (core.halted() !== null) throw error;
    core.options.log?.error("emergency.not-taken", { run: run.run, step, fault: recordOf(error) });
    return undefined;
  }
}

function take(core: Core, run: ActiveRun, step: StepId, stop: EmergencyStop): number | undefined {
  const current = run.state.steps.get(step);
  // What was taken away before may have ended the run or aborted this step.
  if (current === undefined || !isStoppable(current.phase)) return undefined;
  return core.apply(
    run,
    {
      kind: "guard.decided",
      facts: {
        step,
        attempt: current.attempt,
        countdown: null,
        decision: "stop",
        by: stop.by,
        reason: `emergency stop ${stop.stop}${stop.reason === "" ? "" : `: ${stop.reason}`}`,
      },
    },
    { actor: stop.by },
  );
}

/** What cannot be interrupted is let finish, so that what it did is known. */
function abort(run: ActiveRun, step: StepId, stop: EmergencyStop): boolean {
  const flight = run.inFlight.get(step);
  if (flight?.capability.interruptible !== true) return false;
  flight.abort(new Fault(stoppedFault(flight.capability.id, stop)));
  return true;
}

/** What the stop means for the step, by what it touches or, as far as that can be known, would touch. */
function coveredBy(
  core: Core,
  run: ActiveRun,
  id: StepId,
  stop: EmergencyStop,
): "waiting" | "under-way" | undefined {
  const step = run.state.steps.get(id);
  if (step === undefined) return undefined;
  const flying = step.phase.kind === "intended" || step.undo?.phase === "intended";
  if (!flying && !isStoppable(step.phase)) return undefined;
  const effect = step.undo?.phase === "intended" ? step.undo.effect : step.effect;
  if (flying && effect !== null) {
    const definition = core.options.modules.find(effect.capability);
    if (definition === undefined) return undefined;
    const { workspace } = run.state;
    return stopOf([stop], { definition, workspace, targets: effect.targets }) === undefined
      ? undefined
      : "under-way";
  }
  const op = effectAt(run.state, id);
  if (op === null) return undefined;
  const definition = core.options.modules.find(op.capability);
  if (definition === undefined) return undefined;
  const targets = wouldTouch(core, run, id, { definition, params: op.params });
  const found = stopOf([stop], { definition, workspace: run.state.workspace, targets });
  return found === undefined ? undefined : "waiting";
}

function wouldTouch(
  core: Core,
  run: ActiveRun,
  id: StepId,
  what: { readonly definition: Capability; readonly params: Parameters<typeof computeKnown>[0] },
): readonly Target[] {
  const approved = [...run.state.approvals.values()].flatMap(({ effects }) =>
    effects.filter((effect) => effect.step === id).flatMap(({ targets }) => targets),
  );
  const workspace = core.workspace(run.state.workspace);
  if (workspace === undefined) return approved;
  try {
    const { params } = computeKnown(what.params, run.state);
    return [...approved, ...targetsWithoutInspection({ definition: what.definition, params, workspace })];
  } catch (error) {
    // Parameters that cannot be computed: the step will fail for that, with the same reason, before it touches anything.
    recordOf(error);
    return approved;
  }
}

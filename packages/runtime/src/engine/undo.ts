// Undo: a saga in reverse order of completion. The machine says which step is next; each passes the gate like any effect.
//   U1  An undo is performed once its intent is durable, once.
//   U2  What cannot be taken back as it was done (the world moved on, the gate says no, the capability failed) is held for a person.
import { encodeCbor } from "@writ/core/cbor";
import type { UndoCall } from "@writ/core/capability";
import { Fault, type FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { inlineBytesMax } from "@writ/core/limits";
import { fault } from "../faults.ts";
import { stoppedFault } from "../gate/emergency.ts";
import type { RunState } from "../state.ts";
import { effectKey, recordOf, sizeOf, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { isOpen, withDeadline } from "./deadline.ts";
import { fitted, stepOf, type Job } from "./job.ts";
import { judge, lockRequests, look, releaseOf } from "./look.ts";

export function attemptUndo(core: Core, run: ActiveRun, id: StepId): void {
  if (core.phase() === "running") core.track(lookAndIntend(core, run, id));
}

async function lookAndIntend(core: Core, run: ActiveRun, id: StepId): Promise<void> {
  const isWanted = (): boolean =>
    core.phase() === "running" &&
    run.state.control.paused === null &&
    stepOf(run, id).undo?.phase === "asked";
  let release = (): void => undefined;
  try {
    const call = undoCallOf(run.state, id);
    const workspace = await core.loadWorkspace(run.state.workspace);
    const definition = core.options.modules.find(call.capability);
    const job: Job = {
      run,
      step: id,
      capability: call.capability,
      definition,
      params: definition === undefined ? call.params : fitted(definition.params, call.params),
      paramLabels: [],
      controlLabels: [],
      approvals: [],
      purpose: "undo",
      key: effectKey([run.run, id, "undo", ...attemptOf(run, id)], core.options),
      workspace,
    };
    const looked = await look(core, job, isWanted);
    if (looked === undefined) return;
    release = looked.release;
    const { inspection } = looked;
    const large = looked.verdict.kind === "allow" && sizeOf(job.params) > inlineBytesMax;
    const params = large
      ? { $blob: (await core.options.blobs.put(encodeCbor(job.params))).sha256 }
      : job.params;
    if (!isWanted()) {
      release();
      return;
    }
    // Storing takes its time; something may have been revoked meanwhile.
    const [attempt] = attemptOf(run, id);
    const verdict = large ? judge(core, job, inspection.targets) : looked.verdict;
    if (verdict.kind !== "allow" || definition === undefined) {
      release();
      hold(
        core,
        run,
        id,
        verdict.kind === "deny"
          ? verdict.fault
          : needsFault(id, verdict.kind === "needs" ? verdict.reason : ""),
      );
      return;
    }
    run.inFlight.set(id, {
      capability: definition,
      workspace,
      params: job.params,
      before: inspection.before,
      labels: [],
      key: job.key,
      timeoutMs: definition.timeoutMs,
      release,
      abort: () => undefined,
    });
    core.apply(
      run,
      {
        kind: "undo.intended",
        facts: {
          step: id,
          ...(attempt === undefined ? {} : { attempt }),
          capability: call.capability,
          params,
          verdict,
          targets: inspection.targets,
          before: inspection.before,
          key: job.key,
        },
      },
      large ? { stored: job.params } : {},
    );
  } catch (error) {
    run.inFlight.delete(id);
    release();
    if (core.halted() !== null) throw error;
    if (isWanted()) hold(core, run, id, recordOf(error));
  }
}

/** Which of its attempts, where there may be several: of a step inside a loop. */
function attemptOf(run: ActiveRun, id: StepId): readonly number[] {
  return run.state.prepared.steps.get(id)?.inLoop === true ? [stepOf(run, id).attempt] : [];
}

/** What takes the step back: what its author wrote, else what the capability said when it was done. */
function undoCallOf(state: RunState, id: StepId): UndoCall {
  const undo = state.steps.get(id)?.undo;
  if (undo?.fault !== null && undo?.fault !== undefined && undo.call === null) throw new Fault(undo.fault);
  if (undo?.call === null || undo?.call === undefined)
    throw new Error(`Invariant broken: step ${id} has nothing to take back`);
  return undo.call;
}

function needsFault(id: StepId, reason: string): FaultRecord {
  return recordOf(
    fault("gate.policy-denied", `Cannot take back step \`${id}\` without a person: ${reason}`, { step: id }),
  );
}

export function performUndo(core: Core, run: ActiveRun, id: StepId): void {
  const flight = run.inFlight.get(id);
  if (flight === undefined) throw new Error(`Invariant broken: U1 step ${id} is undone without an intent`);
  core.track(core.options.ledger.durable(run.state.seq).then(() => perform(core, run, id, flight)));
}

async function perform(core: Core, run: ActiveRun, id: StepId, flight: InFlight): Promise<void> {
  if (core.phase() !== "running") {
    flight.release();
    return;
  }
  const { capability, params } = flight;
  const targets = stepOf(run, id).undo?.effect?.targets ?? [];
  const stop = core.stops.on(capability, flight.workspace.name, targets);
  if (stop !== undefined) {
    close(core, run, id, stoppedFault(capability.id, stop));
    return;
  }
  const called = await withDeadline(core, run, id, flight, (context) => capability.perform(params, context));
  // The node is going down: what it did is found out after the restart.
  if (core.halted() !== null || (isOpen(called) && core.phase() !== "running")) flight.release();
  else if (called.kind === "returned") close(core, run, id, null);
  else if (called.kind === "threw" && called.fault.code !== "runtime.bug") close(core, run, id, called.fault);
  else if (capability.resolve === undefined) close(core, run, id, called.fault);
  else await ask(core, run, id, { flight, otherwise: () => close(core, run, id, called.fault) });
}

/** After a restart: an undo whose intent is recorded and whose outcome is not. */
export function resolveUndo(core: Core, run: ActiveRun, id: StepId): void {
  core.track(resolveAfterCrash(core, run, id));
}

async function resolveAfterCrash(core: Core, run: ActiveRun, id: StepId): Promise<void> {
  const effect = stepOf(run, id).undo?.effect;
  if (effect === null || effect === undefined)
    throw new Error(`Invariant broken: the undo of step ${id} has no effect`);
  // Asked for before anything is awaited, so that no run that begins now comes in between.
  const claim = { run, step: id, purpose: "undo" as const };
  const locks = core.locks.take(lockRequests(effect.targets), claim);
  const capability = core.options.modules.find(effect.capability);
  const workspace = await core.loadWorkspace(run.state.workspace).catch(() => undefined);
  const grant = await locks;
  const room = core.permits.tryTake(effect.capability) ?? (await core.permits.take(effect.capability, claim));
  const release = releaseOf(core, grant, room);
  if (core.phase() !== "running" || capability === undefined || workspace === undefined) {
    release();
    if (core.phase() !== "running") return;
    hold(core, run, id, unknownFault(id, `\`${effect.capability}\` or its workspace is not there any more`));
    return;
  }
  const flight: InFlight = {
    capability,
    workspace,
    params: effect.params,
    before: effect.before,
    labels: [],
    key: effect.key,
    timeoutMs: capability.timeoutMs,
    release,
    abort: () => undefined,
  };
  run.inFlight.set(id, flight);
  const verdict = judge(
    core,
    {
      run,
      step: id,
      capability: effect.capability,
      definition: capability,
      params: effect.params,
      paramLabels: [],
      controlLabels: [],
      approvals: [],
      purpose: "undo",
      key: effect.key,
      workspace,
    },
    effect.targets,
  );
  const again = async (): Promise<void> => {
    if (verdict.kind === "allow") await perform(core, run, id, flight);
    else close(core, run, id, verdict.kind === "deny" ? verdict.fault : needsFault(id, verdict.reason));
  };
  if (capability.crash === "idempotent") await again();
  else if (capability.resolve !== undefined) await ask(core, run, id, { flight, otherwise: again });
  else
    close(
      core,
      run,
      id,
      unknownFault(id, "the node stopped while it was taken back, and the system cannot be asked"),
    );
}

async function ask(
  core: Core,
  run: ActiveRun,
  id: StepId,
  what: { readonly flight: InFlight; readonly otherwise: () => void | Promise<void> },
): Promise<void> {
  const { flight, otherwise } = what;
  const { capability, params } = flight;
  const asked = await withDeadline(core, run, id, flight, (context) =>
    capability.resolve === undefined
      ? Promise.resolve({ kind: "unknown", reason: "it cannot be asked" } as const)
      : capability.resolve(params, context),
  );
  if (core.phase() !== "running") flight.release();
  else if (asked.kind !== "returned") close(core, run, id, asked.fault);
  else if (asked.value.kind === "done") close(core, run, id, null);
  else if (asked.value.kind === "not-done") await otherwise();
  else close(core, run, id, unknownFault(id, asked.value.reason));
}

function unknownFault(id: StepId, reason: string): FaultRecord {
  return recordOf(
    fault("runtime.outcome-unknown", `Cannot tell whether step \`${id}\` was taken back: ${reason}`, {
      step: id,
    }),
  );
}

function close(core: Core, run: ActiveRun, id: StepId, why: FaultRecord | null): void {
  const flight = run.inFlight.get(id);
  run.inFlight.delete(id);
  try {
    if (why === null) core.apply(run, { kind: "undo.completed", facts: { step: id } });
    else hold(core, run, id, why);
  } finally {
    flight?.release();
  }
}

function hold(core: Core, run: ActiveRun, id: StepId, why: FaultRecord): void {
  core.apply(run, { kind: "undo.held", facts: { step: id, fault: why } });
  core.notify("operator", "An undo is held", `Run ${run.run}, step ${id}: ${why.message}`);
}

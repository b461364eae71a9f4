// Effects: from the machine's wish to the outcome.
//   X1  Nothing is performed before its intent is durable.
//   X2  What is not known to have happened is never called failed: the world is asked, or a person.
//   X3  The locks of a step are given back when its outcome is recorded, and in every other case.
import type { Target } from "@writ/core/capability";
import { encodeCbor } from "@writ/core/cbor";
import type { FaultRecord } from "@writ/core/fault";
import type { Sha256, StepId } from "@writ/core/ids";
import { inlineBytesMax } from "@writ/core/limits";
import { isRepeatable, isRetryCode } from "@writ/core/program-check";
import type { ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { stoppedFault } from "../gate/emergency.ts";
import { unknownTriesMax } from "../limits.ts";
import { effectAt } from "../program-index.ts";
import { requestGateApproval } from "./approvals.ts";
import {
  isRefusedEntry,
  recordOf,
  sizeOf,
  unknownWorkspace,
  type ActiveRun,
  type Core,
  type InFlight,
} from "./core.ts";
import { stopsAtBreakpoint } from "./intercept.ts";
import { isOpen, withDeadline, type Called } from "./deadline.ts";
import { guardNow, recordGuard } from "./guard.ts";
import { endReadBack } from "./read-back.ts";
import { jobOf, stepOf, type Job } from "./job.ts";
import { countIntent, judge, look, lookNow, type Looked } from "./look.ts";
import { askWorld, cancelledFault, close, failed, hold, recordPerformed } from "./outcome.ts";

/** Resolve the operands, look, ask the gate, record the intent or the refusal. */
export function attemptEffect(core: Core, run: ActiveRun, id: StepId): void {
  if (core.phase() !== "running") return;
  const { attempt } = stepOf(run, id);
  const isWanted = (): boolean => {
    const { steps, control } = run.state;
    const step = steps.get(id);
    if (core.phase() !== "running" || control.paused !== null) return false;
    return step?.phase.kind === "attempting" && step.attempt === attempt;
  };
  if (!isWanted()) return;
  const workspace = core.workspace(run.state.workspace);
  if (workspace === undefined) {
    if (core.options.registry().workspaces.has(run.state.workspace)) {
      const loaded = core.loadWorkspace(run.state.workspace).then(
        () => attemptEffect(core, run, id),
        (error: unknown) => {
          if (isWanted()) refuse(core, run, id, recordOf(error));
        },
      );
      core.track(loaded);
    } else refuse(core, run, id, recordOf(unknownWorkspace(run.state.workspace)));
    return;
  }
  let job: Job;
  try {
    job = jobOf(core, run, id, workspace);
  } catch (error) {
    refuse(core, run, id, recordOf(error));
    return;
  }
  const looked = lookNow(core, job);
  if (looked !== undefined) intend(core, job, looked, isWanted);
  else core.track(lookAndIntend(core, job, isWanted));
}

async function lookAndIntend(core: Core, job: Job, isWanted: () => boolean): Promise<void> {
  let looked: Looked | undefined;
  try {
    looked = await look(core, job, isWanted);
  } catch (error) {
    if (isWanted()) refuse(core, job.run, job.step, recordOf(error));
    return;
  }
  if (looked === undefined) return;
  // Somebody may have ordered otherwise since the gate looked.
  if (isWanted()) intend(core, job, looked, isWanted);
  else looked.release();
}

/** `stored` stands for parameters that are too large for an entry, once they are durable. */
function intend(
  core: Core,
  job: Job,
  looked: Looked,
  isWanted: () => boolean,
  stored?: { readonly $blob: Sha256 },
): void {
  const { run, step: id } = job;
  const { verdict, inspection, release } = looked;
  if (verdict.kind === "deny") {
    release();
    refuse(core, run, id, verdict.fault);
    return;
  }
  if (stopsAtBreakpoint(core, job, inspection.targets)) {
    release();
    return;
  }
  if (verdict.kind === "needs") {
    release();
    const { status } = stepOf(run, id);
    // A failed step that a person ordered again may ask anew.
    const isOrdered = status === "FAILED" && job.order !== undefined;
    if (status === "WAITING" || status === "AWAITING_APPROVAL" || isOrdered)
      requestGateApproval(core, job, inspection, verdict);
    else {
      const late = fault(
        "approval.stale",
        `Cannot try \`${job.capability}\` again without a new approval: ${verdict.reason}`,
        {
          step: id,
          role: verdict.role,
        },
      );
      refuse(core, run, id, recordOf(late));
    }
    return;
  }
  const guarded = guardNow(core, job, looked);
  switch (guarded.kind) {
    case "pass":
      break;
    case "load": {
      // Reading back takes its time; the gate is asked again, since something may have been revoked meanwhile.
      const { targets } = inspection;
      const loading = core.guardHistory.load(targets, core.options.world.nowMs()).then(() => {
        if (isWanted())
          intend(core, job, { ...looked, verdict: judge(core, job, targets) }, isWanted, stored);
        else release();
      });
      core.track(
        loading.catch((error: unknown) => {
          release();
          throw error;
        }),
      );
      return;
    }
    case "deny":
      release();
      refuse(core, run, id, guarded.fault);
      return;
    default:
      release();
      recordGuard(core, job, looked, guarded);
      return;
  }
  if (stored !== undefined || sizeOf(job.params) <= inlineBytesMax) {
    tryRecordIntent(core, job, looked, stored ?? job.params);
    return;
  }
  const putting = core.options.blobs.put(encodeCbor(job.params)).then(({ sha256 }) => {
    // Storing takes its time; the gate is asked again, since something may have been revoked meanwhile.
    const again = { ...looked, verdict: judge(core, job, inspection.targets) };
    if (isWanted()) intend(core, job, again, isWanted, { $blob: sha256 });
    else release();
  });
  core.track(
    putting.catch((error: unknown) => {
      release();
      if (isWanted()) refuse(core, run, id, recordOf(error));
    }),
  );
}

/** An intent that the ledger does not take (too many targets, too large) is a refusal. */
function tryRecordIntent(core: Core, job: Job, looked: Looked, params: ValueMap): void {
  try {
    recordIntent(core, job, looked, params);
  } catch (error) {
    if (!isRefusedEntry(error)) throw error;
    job.run.inFlight.delete(job.step);
    looked.release();
    refuse(core, job.run, job.step, recordOf(error));
  }
}

function recordIntent(core: Core, job: Job, looked: Looked, params: ValueMap): void {
  const { run, step: id, definition } = job;
  const { inspection, verdict, release } = looked;
  if (definition === undefined) throw new Error("Invariant broken: the gate let an unknown capability pass");
  const step = stepOf(run, id);
  countIntent(core, job, inspection.targets);
  run.inFlight.set(id, {
    capability: definition,
    workspace: job.workspace,
    params: job.params,
    before: inspection.before,
    labels: job.paramLabels,
    key: job.key,
    timeoutMs: timeoutOf(run, id, definition.timeoutMs),
    release,
    abort: () => undefined,
    reports: true,
    ...(step.effect?.key !== job.key || step.effect.progress === undefined
      ? {}
      : { lastProgress: step.effect.progress }),
  });
  core.apply(
    run,
    {
      kind: "effect.intended",
      facts: {
        step: id,
        attempt: step.attempt,
        capability: job.capability,
        params,
        verdict,
        targets: inspection.targets,
        before: inspection.before,
        key: job.key,
        effect: definition.effect.kind,
        ...(definition.labels.includes("simulated") ? { simulated: true as const } : {}),
      },
    },
    params === job.params ? {} : { stored: job.params },
  );
}

export function timeoutOf(run: ActiveRun, id: StepId, timeoutMs: number): number {
  return run.state.prepared.steps.get(id)?.step.timeoutMs ?? timeoutMs;
}

function refuse(core: Core, run: ActiveRun, id: StepId, why: FaultRecord): void {
  core.apply(run, {
    kind: "effect.refused",
    facts: { step: id, attempt: stepOf(run, id).attempt, fault: why },
  });
}

/** The machine saw the intent: perform as soon as it is durable. */
export function performEffect(core: Core, run: ActiveRun, id: StepId): void {
  const flight = run.inFlight.get(id);
  if (flight === undefined) throw new Error(`Invariant broken: X1 step ${id} is performed without an intent`);
  core.track(core.options.ledger.durable(run.state.seq).then(() => perform(core, run, id, flight, "first")));
}

export async function perform(
  core: Core,
  run: ActiveRun,
  id: StepId,
  flight: InFlight,
  time: "first" | "again",
): Promise<void> {
  if (core.phase() !== "running") {
    flight.release();
    return;
  }
  if (time === "first" && stepOf(run, id).aborting) {
    // Cancelled before it began: nothing was done.
    close(core, run, id, failed(run, id, cancelledFault(id), false));
    return;
  }
  const { capability, params } = flight;
  for (let tries = 1; ; tries++) {
    const stop = core.stops.on(capability, flight.workspace.name, targetsOf(run, id));
    if (stop !== undefined) {
      // Stopped between the gate and this moment. What was performed before, and nobody knows how it ended, is for a person.
      const why = stoppedFault(capability.id, stop);
      if (time === "first" && tries === 1) close(core, run, id, failed(run, id, why, false));
      else hold(core, run, id, why.message);
      return;
    }
    const called = await withDeadline(core, run, id, flight, (context) =>
      capability.perform(params, context),
    );
    if (core.halted() !== null || (isOpen(called) && core.phase() !== "running")) {
      // The node is going down: what it did is found out after the restart.
      flight.release();
      return;
    }
    if (called.kind === "returned") {
      await recordPerformed(core, run, id, { flight, performed: called.value, resolved: false });
      return;
    }
    const said = saidAtLast(flight, called);
    const why = said !== undefined && isCertain(said) ? said : called.fault;
    // A try after one whose outcome is unknown, also that of before a crash, says nothing of that one.
    const isFirst = tries === 1 && (time === "first" || capability.crash !== "idempotent");
    const isRead = capability.effect.kind === "read";
    if (isRead || (said !== undefined && isCertain(said) && isFirst)) {
      close(core, run, id, failed(run, id, why, mayRetry(run, id, flight, why)));
      return;
    }
    if (capability.crash === "idempotent" && willRetry(run, id, flight, why)) {
      close(core, run, id, failed(run, id, { ...why, facts: { ...why.facts, outcome: "unknown" } }, true));
      return;
    }
    if (capability.crash !== "idempotent" || tries === unknownTriesMax || stepOf(run, id).aborting) {
      await resolveUnknown(core, run, id, { flight, why, mayStillAct: called.kind === "silent" });
      return;
    }
    // Idempotent, and nobody knows: performing it again with the same key is how to find out.
  }
}

/**
 * The fault that says what it did: the one it ended with of itself, or, of a capability that can be interrupted, with which it answered
 * being told to stop.
 */
function saidAtLast({ capability }: InFlight, called: Called<unknown>): FaultRecord | undefined {
  if (called.kind === "threw") return called.fault;
  return called.kind === "late" && capability.interruptible === true ? called.said : undefined;
}

function targetsOf(run: ActiveRun, id: StepId): readonly Target[] {
  return stepOf(run, id).effect?.targets ?? [];
}

/** The step's policy has it performed again, with the same key, so that its outcome is found out then. */
function willRetry(run: ActiveRun, id: StepId, flight: InFlight, why: FaultRecord): boolean {
  const failure = run.state.prepared.steps.get(id)?.step.failure;
  const { tries, aborting } = stepOf(run, id);
  if (failure?.kind !== "retry" || aborting || !mayRetry(run, id, flight, why)) return false;
  return failure.on.includes(why.code) && tries < failure.attemptsMax;
}

/** A fault with a code says that the effect did not happen, unless it says that it does not know. */
function isCertain(why: FaultRecord): boolean {
  return why.code !== "runtime.bug" && why.facts["outcome"] !== "unknown";
}

function mayRetry(run: ActiveRun, id: StepId, { capability }: InFlight, why: FaultRecord): boolean {
  const { hashed } = run.state.prepared;
  const op = effectAt(run.state, id);
  if (op === null) return false;
  return (
    why.kind === "transient" &&
    isRetryCode(capability, why.code) &&
    isRepeatable(capability, op.params, hashed.program.workspace.hosts)
  );
}

/** The outcome is not known: the world is asked, or a person. */
async function resolveUnknown(
  core: Core,
  run: ActiveRun,
  id: StepId,
  what: { readonly flight: InFlight; readonly why: FaultRecord; readonly mayStillAct: boolean },
): Promise<void> {
  const { flight, why, mayStillAct } = what;
  if (flight.capability.resolve === undefined) {
    hold(core, run, id, why.message);
    return;
  }
  const asked = await askWorld(core, run, id, flight);
  if (core.halted() !== null || (isOpen(asked) && core.phase() !== "running")) flight.release();
  else if (asked.kind !== "returned") hold(core, run, id, asked.fault.message);
  else if (asked.value.kind === "done") {
    await recordPerformed(core, run, id, { flight, performed: asked.value.performed, resolved: true });
  } else if (asked.value.kind === "unknown") hold(core, run, id, asked.value.reason);
  else if (mayStillAct) hold(core, run, id, `${why.message}; it was not done, and may still be`);
  else {
    // The world says that it was not done.
    const { outcome: _, ...facts } = why.facts;
    close(core, run, id, failed(run, id, { ...why, facts }, mayRetry(run, id, flight, why)));
  }
}

/**
 * Reads, and writes that say they can be interrupted, are told to stop; any other effect is let finish, so that what it did is known and
 * can be taken back.
 */
export function abortEffect(run: ActiveRun, id: StepId): void {
  endReadBack(run, id);
  const flight = run.inFlight.get(id);
  if (flight === undefined) return;
  const { effect, interruptible } = flight.capability;
  if (effect.kind === "read" || interruptible === true) flight.abort(cancelledFault(id));
}

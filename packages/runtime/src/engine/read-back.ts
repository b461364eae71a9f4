// Reading back: an effect with a read-back has succeeded when the world shows it, not when it was told to.
//   B9  The target stays locked until the read-back has ended, so that what is read is what this step did.
//   B10 Recorded are the first reading, those that differ from the one recorded before, and the last.
import type { Capability } from "@writ/core/capability";
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { inlineBytesMax } from "@writ/core/limits";
import { equalValues, type Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import { holds, readBackOf } from "../machine/guard.ts";
import { computeOperands } from "../machine/operands.ts";
import { effectKey, recordOf, sizeOf, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { withDeadline } from "./deadline.ts";
import { fitted, stepOf, type Job } from "./job.ts";
import { inspect, judge, lockRequests } from "./look.ts";
import { shapedResult } from "./outcome.ts";

interface Reading {
  readonly value: Value;
  readonly fault: FaultRecord | null;
}

/** Reads until the check holds or the time is over, then says which. */
export function beginReadBack(core: Core, run: ActiveRun, id: StepId): void {
  const { phase, effect } = stepOf(run, id);
  if (phase.kind !== "read-back") return;
  const { world } = core.options;
  const dueMs = world.monotonicMs() + Math.max(0, phase.untilMs - world.nowMs());
  const time = { dueMs, polls: phase.polls };
  const known = run.readBacks.get(id);
  if (known !== undefined) {
    if (known.isReading) return;
    known.isReading = true;
    core.track(poll(core, run, id, time));
    return;
  }
  // After a restart: what the effect held is asked for before anything is awaited.
  const locked = core.locks.take(lockRequests(effect?.targets ?? []), { run, step: id }).then((grant) => {
    run.readBacks.set(id, { release: () => core.locks.release(grant), isReading: true });
    return poll(core, run, id, time);
  });
  core.track(locked);
}

export function endReadBack(run: ActiveRun, id: StepId): void {
  run.timers.get(`read-back ${id}`)?.();
  run.timers.delete(`read-back ${id}`);
  run.readBacks.get(id)?.release();
  run.readBacks.delete(id);
}

function isWanted(core: Core, run: ActiveRun, id: StepId): boolean {
  return core.phase() === "running" && run.state.steps.get(id)?.phase.kind === "read-back";
}

async function poll(
  core: Core,
  run: ActiveRun,
  id: StepId,
  time: { readonly dueMs: number; readonly polls: number },
): Promise<void> {
  if (!isWanted(core, run, id)) return endReadBack(run, id);
  const { world } = core.options;
  const { op } = stepProgram(run, id);
  const readBack = readBackOf(op);
  if (readBack === undefined) throw new Error(`Invariant broken: step ${id} reads nothing back`);
  const polls = time.polls + 1;
  const reading = await read(core, run, id, readBack);
  const { phase, attempt } = stepOf(run, id);
  if (!isWanted(core, run, id) || phase.kind !== "read-back") return endReadBack(run, id);
  const scope = { slots: run.state.slots, prepared: run.state.prepared };
  const given = { reading: reading.value, output: phase.output, scope };
  const isDone = reading.fault === null && holds(op, given);
  const isLate = world.monotonicMs() >= time.dueMs;
  const outcome = isDone ? "observed" : isLate ? "failed" : "open";
  const facts = {
    step: id,
    attempt,
    poll: polls,
    reading: reading.value,
    fault: reading.fault,
    outcome,
  } as const;
  const isNews = phase.polls === 0 || reading.fault !== null || !equalValues(phase.last, reading.value);
  if (outcome !== "open") {
    try {
      core.apply(run, { kind: "guard.read-back", facts });
    } finally {
      endReadBack(run, id);
    }
    if (outcome === "failed") {
      const { capability } = readBack;
      const title = phase.unknown === undefined ? "An effect was not seen" : "A step is held";
      core.notify(
        "operator",
        title,
        `Run ${run.run}, step ${id}: it was commanded, and \`${capability}\` does not show it after ${polls} readings`,
      );
    }
    return;
  }
  if (isNews) core.apply(run, { kind: "guard.read-back", facts });
  const waitMs = Math.max(1, Math.min(readBack.pollMs, Math.ceil(time.dueMs - world.monotonicMs())));
  run.timers.set(
    `read-back ${id}`,
    core.timers.at(world.nowMs() + waitMs, () => core.track(poll(core, run, id, { ...time, polls }))),
  );
}

function stepProgram(run: ActiveRun, id: StepId) {
  const found = run.state.prepared.steps.get(id);
  if (found === undefined) throw new Error(`Invariant broken: run ${run.run} has no step ${id}`);
  return found.step;
}

/** One reading through the gate; what goes wrong is a reading too. */
async function read(
  core: Core,
  run: ActiveRun,
  id: StepId,
  readBack: NonNullable<ReturnType<typeof readBackOf>>,
): Promise<Reading> {
  try {
    const capability = core.options.modules.find(readBack.capability);
    if (capability === undefined)
      throw fault(
        "guard.reading",
        `Cannot read back: this node does not have \`${readBack.capability}\``,
        {},
      );
    const job = await jobOf(core, run, id, { capability, params: readBack.params });
    const { targets, before } = await inspect(core, job);
    const verdict = judge(core, job, targets);
    if (verdict.kind === "deny") return { value: null, fault: verdict.fault };
    if (verdict.kind === "needs")
      throw fault("guard.reading", `Cannot read back without asking a person: ${verdict.reason}`, {});
    const flight: InFlight = {
      capability,
      workspace: job.workspace,
      params: job.params,
      before,
      labels: [],
      key: job.key,
      timeoutMs: Math.min(capability.timeoutMs, readBack.timeoutMs),
      release: () => undefined,
      abort: () => undefined,
    };
    const called = await withDeadline(core, run, id, flight, (context) =>
      capability.perform(job.params, context),
    );
    if (called.kind !== "returned") return { value: null, fault: called.fault };
    const value = shapedResult(capability, called.value.result);
    if (sizeOf(value) > inlineBytesMax)
      throw fault("guard.reading", `Cannot read back: the reading has about ${sizeOf(value)} bytes`, {});
    return { value, fault: null };
  } catch (error) {
    return { value: null, fault: recordOf(error) };
  }
}

async function jobOf(
  core: Core,
  run: ActiveRun,
  id: StepId,
  what: { readonly capability: Capability; readonly params: Parameters<typeof computeOperands>[0] },
): Promise<Job> {
  const { state } = run;
  const { capability } = what;
  const step = stepOf(run, id);
  const { value, labels } = computeOperands(what.params, state);
  return {
    run,
    step: id,
    capability: capability.id,
    definition: capability,
    params: fitted(capability.params, value),
    paramLabels: labels,
    controlLabels: step.control,
    approvals: [],
    purpose: "effect",
    key: effectKey([state.run, id, step.group, "read-back"], core.options),
    workspace: await core.loadWorkspace(state.workspace),
  };
}

// After a restart: effects whose intent is recorded and whose outcome is not, by the contract of their capability.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { recordOf, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { perform, timeoutOf } from "./effects.ts";
import { guardNow, loadHistory } from "./guard.ts";
import { approvalsFor, guardedOf, labelsOf, orderOf, stepOf, type Job } from "./job.ts";
import { inspect, judge, lockRequests, releaseOf, type Looked } from "./look.ts";
import { askWorld, close, failed, hold, recordPerformed } from "./outcome.ts";

/** After a restart: an effect whose intent is recorded and whose outcome is not. */
export function resolveEffect(core: Core, run: ActiveRun, id: StepId): void {
  core.track(resolveAfterCrash(core, run, id));
}

async function resolveAfterCrash(core: Core, run: ActiveRun, id: StepId): Promise<void> {
  const step = stepOf(run, id);
  const { effect } = step;
  if (effect === null) throw new Error(`Invariant broken: step ${id} is intended without an effect`);
  // Asked for before anything is awaited, so that no run that begins now comes in between.
  const claim = { run, step: id };
  const locks = core.locks.take(lockRequests(effect.targets), claim);
  const capability = core.options.modules.find(effect.capability);
  const workspace = await core.loadWorkspace(run.state.workspace).catch(() => undefined);
  const grant = await locks;
  const room = core.permits.tryTake(effect.capability) ?? (await core.permits.take(effect.capability, claim));
  const release = releaseOf(core, grant, room);
  if (core.phase() !== "running" || capability === undefined || workspace === undefined) {
    release();
    if (core.phase() !== "running") return;
    hold(core, run, id, `\`${effect.capability}\` or its workspace is not there any more`);
    return;
  }
  const { labels } = labelsOf(run.state, id);
  const order = orderOf(run.state, id);
  const job: Job = {
    run,
    step: id,
    capability: effect.capability,
    definition: capability,
    params: effect.params,
    paramLabels: labels,
    controlLabels: step.control,
    approvals: approvalsFor(run.state, id),
    purpose: "effect",
    guarded: guardedOf(run.state, id),
    key: effect.key,
    workspace,
    ...(order === undefined ? {} : { order }),
  };
  const flight: InFlight = {
    capability,
    workspace,
    params: effect.params,
    before: effect.before,
    labels,
    key: effect.key,
    timeoutMs: timeoutOf(run, id, capability.timeoutMs),
    release,
    abort: () => undefined,
    reports: true,
    ...(effect.progress === undefined ? {} : { lastProgress: effect.progress }),
  };
  run.inFlight.set(id, flight);
  const isRead = capability.effect.kind === "read";
  if (!isRead && capability.resolve !== undefined && capability.crash !== "idempotent") {
    const asked = await askWorld(core, run, id, flight);
    if (core.phase() !== "running") {
      release();
      return;
    }
    if (asked.kind !== "returned") {
      hold(core, run, id, asked.fault.message);
      return;
    }
    if (asked.value.kind === "done") {
      await recordPerformed(core, run, id, { flight, performed: asked.value.performed, resolved: true });
      return;
    }
    if (asked.value.kind === "unknown") {
      hold(core, run, id, asked.value.reason);
      return;
    }
    const moved = await movedOn(core, job, effect.targets);
    if (moved !== undefined) {
      close(core, run, id, failed(run, id, moved, false));
      return;
    }
  } else if (!isRead && capability.crash !== "idempotent") {
    hold(
      core,
      run,
      id,
      "the node stopped while it was under way, and the system that was called cannot be asked",
    );
    return;
  }
  const verdict = judge(core, job, effect.targets);
  if (verdict.kind !== "allow") {
    const why = verdict.kind === "deny" ? verdict.fault.message : verdict.reason;
    if (isRead && verdict.kind === "deny") close(core, run, id, failed(run, id, verdict.fault, false));
    else hold(core, run, id, `it may not be done again: ${why}`);
    return;
  }
  await loadHistory(core, job, effect.targets);
  const guarded = guardNow(
    core,
    job,
    { inspection: { targets: effect.targets, before: effect.before } },
    true,
  );
  if (guarded.kind !== "pass") {
    const why = guarded.kind === "deny" ? guarded.fault.message : "its guard does not let it move now";
    hold(core, run, id, `it may not be done again: ${why}`);
    return;
  }
  await perform(core, run, id, flight, "again");
}

/** Not done, and now something else stands where it was to be done. */
async function movedOn(
  core: Core,
  job: Job,
  targets: Looked["inspection"]["targets"],
): Promise<FaultRecord | undefined> {
  try {
    const now = await inspect(core, job);
    const same =
      now.targets.length === targets.length &&
      targets.every(({ kind, name, resolved, state, does }, i) => {
        const target = now.targets[i];
        if (kind === "host" || kind === "device" || kind === "memory") return target?.name === name;
        return target?.resolved === resolved && (target.state === state || does === "append");
      });
    if (same) return undefined;
    return recordOf(
      fault(
        "runtime.target-changed",
        `Cannot go on with \`${job.capability}\`: what it touches changed while the node was down`,
        {
          step: job.step,
        },
      ),
    );
  } catch (error) {
    return recordOf(error);
  }
}

// The guard at work: what it decides is recorded, what it waits for is awaited, and people stop what is announced.
//   B7  A countdown runs from its durable announcement; it needs no notification channel, and a restart does not shorten it.
//   B8  Anybody with the role, and every operator, cancels a countdown by its id; only the role acknowledges.
import { toHex } from "@writ/core/bytes";
import type { Target } from "@writ/core/capability";
import type { Actor, EffectPreview } from "@writ/core/entry";
import { faultRecord } from "@writ/core/fault";
import { roleName, type RoleName, type RunId, type StepId } from "@writ/core/ids";
import type { Guard } from "@writ/core/program";
import { bindingTargets, effectHash } from "../effect-hash.ts";
import { fault } from "../faults.ts";
import { guardVerdict, needsHistory, type GuardVerdict } from "../gate/guard.ts";
import { guardStateOf, guardWaitsUntil, isUnacknowledged } from "../machine/guard.ts";
import type { Command } from "../machine.ts";
import { hasRole, rolesOf } from "../registry.ts";
import type { CountdownState, RunState } from "../state.ts";
import { shownParams } from "./approvals.ts";
import { recordOf, type ActiveRun, type Core } from "./core.ts";
import { movedTargets } from "./guard-history.ts";
import { guardOfPreview, stepOf, type Job } from "./job.ts";
import type { Looked } from "./look.ts";

/** What the guard says of the effect as it was looked at; `load`: the last effects on its targets have to be read first. */
export function guardNow(
  core: Core,
  job: Job,
  looked: Pick<Looked, "inspection">,
  isRepeated = false,
): GuardVerdict | { readonly kind: "load" } {
  const guard = job.guarded?.guard;
  if (guard === undefined) return { kind: "pass" };
  const { targets } = looked.inspection;
  if (needsHistory(guard) && !core.guardHistory.knows(targets)) return { kind: "load" };
  const { run, step } = job;
  const state = stepOf(run, step);
  const history = movedTargets(targets).map((target) =>
    core.guardHistory
      .of(target)
      .filter(
        (effect) => !isRepeated || effect.run !== run.run || effect.step !== step || effect.state !== "open",
      ),
  );
  try {
    return guardVerdict({
      step,
      guard,
      params: job.params,
      scope: { slots: run.state.slots, prepared: run.state.prepared },
      nowMs: core.options.world.nowMs(),
      state: guardStateOf(state),
      history,
      hash: hashOf(core, job, looked),
      isRepeated,
    });
  } catch (error) {
    const known = faultRecord(error);
    if (known === undefined) throw error;
    return { kind: "deny", fault: recordOf(error) };
  }
}

/** Reads what the guard has to know of the targets, where it has to know anything. */
export async function loadHistory(
  core: Core,
  job: Pick<Job, "guarded">,
  targets: readonly Target[],
): Promise<void> {
  const guard = job.guarded?.guard;
  if (guard !== undefined && needsHistory(guard))
    await core.guardHistory.load(targets, core.options.world.nowMs());
}

function hashOf(core: Core, { capability, params }: Job, { inspection }: Pick<Looked, "inspection">) {
  const targets = bindingTargets(inspection.targets, []);
  return effectHash({ capability, params, targets }, core.options.hasher);
}

/** Records that it waits, is announced or is skipped. The locks were given back. */
export function recordGuard(
  core: Core,
  job: Job,
  looked: Pick<Looked, "inspection">,
  verdict: Extract<GuardVerdict, { kind: "postpone" | "announce" | "skip" }>,
): void {
  const { run, step } = job;
  const { attempt } = stepOf(run, step);
  switch (verdict.kind) {
    case "skip": {
      const { reason } = verdict;
      core.apply(run, {
        kind: "guard.decided",
        facts: { step, attempt, countdown: null, decision: "skip", by: { kind: "node" }, reason },
      });
      return;
    }
    case "postpone": {
      const { untilMs, queueEndsAtMs, why, reason } = verdict;
      const facts = { step, attempt, untilMs, queueEndsAtMs, why, reason };
      core.apply(run, { kind: "guard.postponed", facts });
      if (why === "window")
        core.notify("operator", "A step waits", `Run ${run.run}, step ${step}: ${reason}`);
      return;
    }
    case "announce":
      core.track(announce(core, job, looked, verdict.countdown));
  }
}

async function announce(
  core: Core,
  job: Job,
  looked: Pick<Looked, "inspection">,
  countdown: NonNullable<Guard["countdown"]>,
): Promise<void> {
  const { run, step, capability } = job;
  const { attempt } = stepOf(run, step);
  const params = await shownParams(core, job.params);
  const now = stepOf(run, step);
  const { control } = run.state;
  if (core.phase() !== "running" || control.paused !== null) return;
  if (now.phase.kind !== "attempting" || now.attempt !== attempt) return;
  const targets = bindingTargets(looked.inspection.targets, []);
  const hash = hashOf(core, job, looked);
  const effect: EffectPreview = {
    step,
    capability,
    params,
    later: {},
    targets,
    ...guardOfPreview(job),
    hash,
  };
  recordAnnouncement(core, run, { effect, attempt, ...countdown, escalated: false });
}

function recordAnnouncement(
  core: Core,
  run: ActiveRun,
  what: {
    readonly effect: EffectPreview;
    readonly attempt: number;
    readonly ms: number;
    readonly role: RoleName;
    readonly requiresAcknowledgment: boolean;
    readonly onMissed: CountdownState["onMissed"];
    readonly escalated: boolean;
  },
): void {
  const { effect, ms, role, ...facts } = what;
  const { step } = effect;
  const countdown = `c_${toHex(core.options.entropy.bytes(10))}`;
  const endsAtMs = core.options.world.nowMs() + ms;
  core.apply(run, { kind: "guard.announced", facts: { ...facts, step, effect, role, countdown, endsAtMs } });
  const targets = effect.targets.map(({ does, name }) => `${does} ${name}`).join(", ");
  core.notify(
    role,
    "A countdown runs",
    `${countdown} of run ${run.run}: ${effect.capability} ${targets} in ${Math.ceil(ms / 1000)} s unless somebody cancels it${facts.requiresAcknowledgment ? "; it waits for an acknowledgment" : ""}`,
  );
}

/** Waits for the wall clock and, in this process, for the monotonic one: a clock that is set forward shortens no countdown. */
export function awaitGuard(
  core: Core,
  run: ActiveRun,
  { step, attempt, atMs }: Extract<Command, { kind: "await-guard" }>,
): void {
  const { world } = core.options;
  const dueMs = world.monotonicMs() + Math.max(0, atMs - world.nowMs());
  const key = `guard ${step}`;
  const fire = (): void => {
    run.timers.delete(key);
    const now = run.state.steps.get(step);
    if (core.phase() !== "running" || run.state.control.paused !== null) return;
    if (now?.attempt !== attempt || guardWaitsUntil(now.phase) !== atMs) return;
    const leftMs = Math.max(atMs - world.nowMs(), dueMs - world.monotonicMs());
    if (leftMs > 0) arm(world.nowMs() + leftMs);
    else pass(core, run, step);
  };
  const arm = (untilMs: number): void => {
    run.timers.get(key)?.();
    run.timers.set(key, core.timers.at(untilMs, fire));
  };
  arm(atMs);
}

function pass(core: Core, run: ActiveRun, step: StepId): void {
  const { phase, attempt } = stepOf(run, step);
  if (phase.kind !== "countdown") {
    core.apply(run, { kind: "guard.passed", facts: { step, attempt, countdown: null, why: "reached" } });
    return;
  }
  const known = phase.countdown;
  const { countdown, onMissed, acknowledgedBy, escalated } = known;
  const isMissed = isUnacknowledged(known);
  if (!isMissed || onMissed === "execute") {
    const why = isMissed ? "missed" : acknowledgedBy === null ? "elapsed" : "acknowledged";
    core.apply(run, { kind: "guard.passed", facts: { step, attempt, countdown, why } });
    return;
  }
  if (onMissed === "escalate" && !escalated) {
    const { effect, requiresAcknowledgment, endsAtMs, announcedAtMs } = known;
    const ms = endsAtMs - announcedAtMs;
    const role = roleName("owner");
    recordAnnouncement(core, run, {
      effect,
      attempt,
      ms,
      role,
      requiresAcknowledgment,
      onMissed,
      escalated: true,
    });
    return;
  }
  const reason = "nobody acknowledged it in time";
  core.apply(run, {
    kind: "guard.decided",
    facts: { step, attempt, countdown, decision: "missed", by: { kind: "node" }, reason },
  });
  core.notify("operator", "A countdown was missed", `Run ${run.run}, step ${step}: ${reason}`);
}

export type RunningCountdown = CountdownState & {
  readonly run: RunId;
  readonly step: StepId;
  readonly program: RunState["program"];
  readonly workspace: string;
};

/** Countdowns that run, the one that ends first in front. */
export function countdowns(core: Core): readonly RunningCountdown[] {
  return [...core.runs.values()]
    .flatMap(({ run, state }) =>
      [...state.steps].flatMap(([step, { phase }]) =>
        phase.kind === "countdown"
          ? [{ ...phase.countdown, run, step, program: state.program, workspace: state.workspace }]
          : [],
      ),
    )
    .sort((a, b) => a.endsAtMs - b.endsAtMs);
}

/** @throws countdown.unknown, countdown.wrong-role */
export function decideCountdown(
  core: Core,
  given: {
    readonly countdown: string;
    readonly decision: "cancel" | "acknowledge";
    readonly actor: Actor;
    readonly reason: string;
  },
): { readonly run: RunId; readonly step: StepId; readonly seq: number } {
  const { countdown, decision, actor, reason } = given;
  const known = countdowns(core).find((one) => one.countdown === countdown);
  const run = known === undefined ? undefined : core.runs.get(known.run);
  if (known === undefined || run === undefined)
    throw fault("countdown.unknown", `Cannot find a countdown \`${countdown}\` that runs`, { countdown });
  const { role, step } = known;
  const roles = rolesOf(core.options.registry(), actor);
  const may =
    hasRole(roles, role) ||
    (decision === "cancel" && (hasRole(roles, "operator") || roles.includes("owner")));
  if (actor.kind !== "person" || !may) {
    throw fault(
      "countdown.wrong-role",
      `Cannot ${decision} the countdown \`${countdown}\`: it takes the role \`${role}\``,
      { countdown, role, roles: [...roles] },
    );
  }
  const { attempt } = stepOf(run, step);
  const facts = {
    step,
    attempt,
    countdown,
    decision,
    by: actor,
    reason: reason.slice(0, 1024).toWellFormed(),
  };
  return { run: run.run, step, seq: core.apply(run, { kind: "guard.decided", facts }, { actor }) };
}

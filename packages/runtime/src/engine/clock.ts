// The machine's timers: recorded, then awaited, then recorded as fired.
import type { StepId } from "@writ/core/ids";
import type { Command } from "../machine.ts";
import { childDeadlineRuns } from "../machine/child.ts";
import type { ActiveRun, Core } from "./core.ts";

type TimerCommand = Extract<Command, { kind: "set-timer" | "await-timer" }>;

export function setTimer(core: Core, run: ActiveRun, { step, attempt, atMs, why }: TimerCommand): void {
  if (!isWanted(run, { step, attempt, why, set: false })) return;
  // A duration begins when it is recorded: a run may have waited for its turn since the machine asked.
  const op = run.state.prepared.steps.get(step)?.step.op;
  const lasts = why === "wait" && op?.op === "wait" && op.until.kind === "duration" ? op.until.ms : null;
  const at =
    lasts === null ? atMs - drawn(core, run, { step, atMs, why }) : core.options.world.nowMs() + lasts;
  core.apply(run, { kind: "timer.set", facts: { step, attempt, atMs: at, why } });
}

/** Part of a retry's delay is drawn, so that what failed together is not tried together; the drawn time is what is recorded. */
function drawn(
  core: Core,
  run: ActiveRun,
  { step, atMs, why }: Pick<TimerCommand, "step" | "atMs" | "why">,
): number {
  const failure = run.state.prepared.steps.get(step)?.step.failure;
  if (why !== "retry" || failure?.kind !== "retry" || failure.jitter === undefined) return 0;
  const delayMs = Math.max(0, atMs - run.state.atMs);
  return core.options.world.randomBelow(Math.floor(delayMs * failure.jitter) + 1);
}

export function awaitTimer(core: Core, run: ActiveRun, { step, attempt, atMs, why }: TimerCommand): void {
  const key = `${why} ${step}`;
  run.timers.get(key)?.();
  run.timers.set(
    key,
    core.timers.at(atMs, () => {
      run.timers.delete(key);
      // What comes due while the run is paused fires when it is resumed: it is awaited anew then.
      if (core.phase() !== "running" || run.state.control.paused !== null) return;
      if (!isWanted(run, { step, attempt, why, set: true })) return;
      const op = run.state.prepared.steps.get(step)?.step.op;
      if (why === "wait" && op?.op === "wait" && op.missed !== undefined && atMs <= core.startedAtMs) {
        core.apply(run, { kind: "wait.missed", facts: { step, attempt, what: "time" } });
        return;
      }
      core.apply(run, { kind: "timer.fired", facts: { step, attempt, why } });
    }),
  );
}

/** A step that ended meanwhile does not want its timer any more. */
function isWanted(
  run: ActiveRun,
  timer: {
    readonly step: StepId;
    readonly attempt: number;
    readonly why: TimerCommand["why"];
    readonly set: boolean;
  },
): boolean {
  const step = run.state.steps.get(timer.step);
  if (step === undefined) return false;
  if (timer.why === "timeout") {
    const isChild = run.state.prepared.steps.get(timer.step)?.step.op.op === "run";
    const isRunning = step.phase.kind === "blocks" || (isChild && childDeadlineRuns(step));
    return isRunning && step.deadline?.set === timer.set;
  }
  const { phase } = step;
  if (timer.why === "loop") return phase.kind === "blocks" && step.loop?.pause?.set === timer.set;
  return (
    phase.kind === "timer" &&
    phase.why === timer.why &&
    phase.set === timer.set &&
    step.attempt === timer.attempt
  );
}

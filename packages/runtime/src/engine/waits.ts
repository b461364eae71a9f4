// Waits on events: who waits for what, and what an event means to them. What is found is appended with the event, in one commit.
import { eventSlot, type Event } from "@writ/core/event";
import type { StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import { computeText } from "../machine/operands.ts";
import { eventWaitOf, heldLongest } from "../machine/wait.ts";
import type { RunState } from "../state.ts";
import { holdKey } from "../triggers/condition.ts";
import { recordOf, type ActiveRun, type Core, type RunChange } from "./core.ts";
import { stepOf } from "./job.ts";

/** What the event means to the step, or undefined when it means nothing to it. */
export function matchOf(
  core: Core,
  state: RunState,
  id: StepId,
  seen: { readonly event: Event; readonly labels: readonly Label[] },
): RunChange | undefined {
  const { event, labels } = seen;
  const step = state.steps.get(id);
  const until = eventWaitOf(state.prepared.steps.get(id)?.step.op, step);
  if (until === undefined || step?.phase.kind !== "event" || !step.phase.begun || state.ending !== null)
    return undefined;
  if (until.type !== null && until.type !== event.type) return undefined;
  const text = until.kind === "event" ? until.filter : until.condition;
  let holds = text === null;
  if (text !== null) {
    const slots = new Map([...state.slots, ["event", { value: eventSlot(event), labels }] as const]);
    try {
      holds = computeText(text, { slots, prepared: state.prepared }).value === true;
    } catch (error) {
      core.options.log?.warn("wait.filter-failed", { run: state.run, step: id, fault: recordOf(error) });
    }
  }
  const key = holdKey(event);
  const isHeld = step.phase.holding.some((each) => each.key === key);
  if (until.kind === "event" || until.holdMs === 0 ? !holds : holds === isHeld) return undefined;
  return {
    kind: "wait.matched",
    facts: { step: id, attempt: step.attempt, event, labels, holds, key },
  };
}

/** The time to wait begins when it is recorded: a run may have waited for its turn since the machine asked. */
export function beginWait(core: Core, run: ActiveRun, id: StepId): void {
  const { phase, attempt } = stepOf(run, id);
  const until = eventWaitOf(run.state.prepared.steps.get(id)?.step.op, stepOf(run, id));
  if (until === undefined || phase.kind !== "event" || phase.begun) return;
  const untilMs = core.options.world.nowMs() + until.withinMs;
  core.apply(run, { kind: "wait.begun", facts: { step: id, attempt, untilMs } });
}

/** Listens, and sets the times at which the window ends and a condition has held long enough. */
export function awaitEvent(core: Core, run: ActiveRun, id: StepId): void {
  const step = stepOf(run, id);
  const { phase, attempt } = step;
  const op = run.state.prepared.steps.get(id)?.step.op;
  const until = eventWaitOf(op, step);
  if (until === undefined || phase.kind !== "event" || !phase.begun || op?.op !== "wait") return;
  const missed = (what: "window" | "hold"): void => {
    core.apply(run, { kind: "wait.missed", facts: { step: id, attempt, what } });
  };
  if (until.kind === "condition" && until.down === "restarts") {
    if (phase.holding.some(({ sinceMs }) => sinceMs < core.startedAtMs)) return missed("hold");
  }
  core.waits.add(run, id);
  const set = (why: "wait" | "hold", atMs: number): void => {
    const key = `${why} ${id}`;
    run.timers.get(key)?.();
    const fire = (): void => {
      run.timers.delete(key);
      const now = stepOf(run, id);
      if (core.phase() !== "running" || run.state.control.paused !== null) return;
      if (now.phase.kind !== "event" || now.attempt !== attempt) return;
      if (why === "wait" && op.missed !== undefined && atMs <= core.startedAtMs) missed("window");
      else core.apply(run, { kind: "timer.fired", facts: { step: id, attempt, why } });
    };
    run.timers.set(key, core.timers.at(atMs, fire));
  };
  run.timers.get(`hold ${id}`)?.();
  run.timers.delete(`hold ${id}`);
  const first = heldLongest(phase);
  // The window may end while the condition holds: what is recorded first decides.
  if (first !== undefined && until.kind === "condition") set("hold", first.sinceMs + until.holdMs);
  set("wait", phase.untilMs);
}

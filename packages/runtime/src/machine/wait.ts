// Waits on events and conditions: begun, matched, missed, timed out. What an event means to a wait is decided outside, with the event,
// and recorded; the machine only keeps what follows.
import { eventSlot } from "@writ/core/event";
import { freeNames } from "@writ/core/expression";
import type { StepId } from "@writ/core/ids";
import { joinLabels } from "@writ/core/label";
import type { Opcode, WaitUntil } from "@writ/core/program";
import type { MachineEntry } from "../machine.ts";
import type { EventPhase, StepState } from "../state.ts";
import type { Draft } from "./draft.ts";
import { completeStep, failStep, record } from "./failure.ts";
import { expressionOf } from "./operands.ts";

type EventWait = Extract<WaitUntil, { kind: "event" | "condition" }>;

export function startEventWait(draft: Draft, id: StepId, until: EventWait): void {
  const untilMs = draft.atMs + until.withinMs;
  // Its filter decides which event it is, and when it goes on.
  const text = until.kind === "event" ? until.filter : until.condition;
  const scope = { slots: draft.slots, prepared: draft.base.prepared };
  const names = text === null ? [] : freeNames(expressionOf(text, scope)).filter((name) => name !== "event");
  const labels = names.map((name) => draft.slots.get(name)?.labels ?? []);
  draft.change(id, { control: joinLabels(draft.step(id).control, ...labels) });
  draft.move(id, "RUNNING");
  draft.change(id, { phase: { kind: "event", untilMs, begun: false, holding: [] } });
  draft.command({ kind: "begin-wait", step: id, attempt: draft.step(id).attempt });
}

export function waitBegun(draft: Draft, { facts }: MachineEntry<"wait.begun">): void {
  const { step: id, attempt, untilMs } = facts;
  const phase = expectWait(draft, id, attempt, false);
  draft.change(id, { phase: { ...phase, begun: true, untilMs } });
  draft.command({ kind: "await-event", step: id, attempt });
}

export function waitMatched(draft: Draft, { facts, atMs }: MachineEntry<"wait.matched">): void {
  const { step: id, attempt, event, labels, holds, key } = facts;
  const phase = expectWait(draft, id, attempt, true);
  const { until } = waitOf(draft, id);
  const others = phase.holding.filter((each) => each.key !== key);
  if (!holds) {
    draft.change(id, { phase: { ...phase, holding: others } });
    draft.command({ kind: "await-event", step: id, attempt });
    return;
  }
  if (until.kind !== "condition" || until.holdMs === 0) {
    completeStep(draft, id, { value: eventSlot(event), labels });
    return;
  }
  const known = phase.holding.find((each) => each.key === key);
  const holding = { key, sinceMs: known?.sinceMs ?? atMs, event, labels };
  draft.change(id, { phase: { ...phase, holding: [...others, holding] } });
  draft.command({ kind: "await-event", step: id, attempt });
}

/** What came due while nobody could see it, by the step's `missed`; or the hold time that begins again, by its `down`. */
export function waitMissed(draft: Draft, { facts, atMs }: MachineEntry<"wait.missed">): void {
  const { step: id, attempt, what } = facts;
  const { op } = draft.index(id).step;
  if (what === "hold") {
    const phase = expectWait(draft, id, attempt, true);
    const holding = phase.holding.map((each) => ({ ...each, sinceMs: atMs }));
    draft.change(id, { phase: { ...phase, holding } });
    draft.command({ kind: "await-event", step: id, attempt });
    return;
  }
  const { phase } = draft.step(id);
  const isTimer = phase.kind === "timer" && phase.why === "wait" && phase.set;
  if (what === "time" ? !isTimer : phase.kind !== "event")
    throw draft.diverged(`step \`${id}\` does not wait so`);
  if (op.op === "wait" && op.missed === "go-on") {
    completeStep(draft, id, { value: null, labels: [] });
    return;
  }
  const why = record("wait.missed", `What \`${id}\` waited for came due while the node was down`, {
    step: id,
  });
  failStep(draft, id, why, { attempted: true, retryable: false });
}

/** The window has passed, or a condition has held long enough. True when the timer was one of an event wait. */
export function eventTimerFired(draft: Draft, { facts }: MachineEntry<"timer.fired">): boolean {
  const { step: id, attempt, why } = facts;
  const { phase } = draft.step(id);
  if (phase.kind !== "event") return false;
  expectWait(draft, id, attempt, true);
  if (why === "hold") {
    const first = heldLongest(phase);
    if (first === undefined) throw draft.diverged(`nothing holds for step \`${id}\``);
    completeStep(draft, id, { value: eventSlot(first.event), labels: first.labels });
    return true;
  }
  const late = record("wait.timed-out", `What \`${id}\` waited for did not happen in time`, { step: id });
  failStep(draft, id, late, { attempted: true, retryable: false });
  return true;
}

export function heldLongest(phase: EventPhase): EventPhase["holding"][number] | undefined {
  return phase.holding.reduce<EventPhase["holding"][number] | undefined>(
    (first, each) => (first === undefined || each.sinceMs < first.sinceMs ? each : first),
    undefined,
  );
}

/** What the wait is for, of a step that waits for an event now. */
export function eventWaitOf(op: Opcode | undefined, step: StepState | undefined): EventWait | undefined {
  if (op?.op !== "wait" || step?.phase.kind !== "event") return undefined;
  return op.until.kind === "event" || op.until.kind === "condition" ? op.until : undefined;
}

function waitOf(draft: Draft, id: StepId): { readonly until: EventWait } {
  const until = eventWaitOf(draft.index(id).step.op, draft.step(id));
  if (until === undefined) throw draft.diverged(`step \`${id}\` does not wait for an event`);
  return { until };
}

function expectWait(draft: Draft, id: StepId, attempt: number, begun: boolean): EventPhase {
  const { phase, attempt: current } = draft.step(id);
  if (phase.kind !== "event" || phase.begun !== begun || attempt !== current)
    throw draft.diverged(`step \`${id}\` does not wait for an event so`);
  return phase;
}

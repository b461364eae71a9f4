// When a program's trigger fires: filter, hold time, throttle and windows, as a small state machine that is rebuilt from the ledger.
//   C1  Without a hold time an event fires at once when the filter holds; with one, when it has held so long without interruption,
//       once until it stops holding. Each `event.data.key` holds on its own.
//   C2  At most one run per throttle time; outside the windows nothing fires. What does not fire then does not fire later.
import { evaluate, parseExpression, type Expression } from "@writ/core/expression";
import { eventSlot, type Event } from "@writ/core/event";
import type { Program, Trigger } from "@writ/core/program";
import { isInWindow } from "./windows.ts";

export interface Holding {
  readonly sinceMs: number;
  /** The latest event with which the filter held. */
  event: Event;
  fired: boolean;
  /** Takes back the timer. */
  cancel: () => void;
}

export interface Condition {
  readonly trigger: Extract<Trigger, { kind: "source" }>;
  readonly filter: Expression | null;
  readonly holding: Map<string, Holding>;
  lastStartMs: number;
}

export function createCondition(trigger: Extract<Trigger, { kind: "source" }>): Condition {
  const filter = trigger.filter === null ? null : parseExpression(trigger.filter);
  return { trigger, filter, holding: new Map(), lastStartMs: Number.NEGATIVE_INFINITY };
}

/** Whether the filter holds; a filter that cannot be computed for this event does not, and the problem is told. */
export function holds(condition: Condition, event: Event, problem: (error: unknown) => void): boolean {
  if (condition.filter === null) return true;
  try {
    return evaluate(condition.filter, { event: eventSlot(event) }) === true;
  } catch (error) {
    problem(error);
    return false;
  }
}

/** Whether a run may start now. */
export function mayStart(condition: Condition, program: Program, atMs: number): boolean {
  const { throttleMs } = condition.trigger;
  // A clock that was set back must not silence a trigger for longer than its throttle time.
  const sinceMs = Math.abs(atMs - condition.lastStartMs);
  return (throttleMs === 0 || sinceMs >= throttleMs) && isInWindow(program.windows, atMs);
}

/** What holds on its own. */
export function holdKey(event: Event): string {
  const key = event.data["key"];
  return typeof key === "string" ? key : "";
}

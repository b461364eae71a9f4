// Order: who goes first where something is waited for. One rule for every line of the node (turns, resources, locks, permits):
//   Whoever has to wait is due at `arrival + longest wait of its priority`, and the line is served by that time, earliest first.
// That is earliest-deadline-first with the table of the five levels as deadlines, and it has three consequences:
//   J1  A higher priority overtakes a lower one that arrived at the same time or up to the difference of their waits before (K31).
//   J2  Ageing is built in: a waiter of priority p that arrived at time a is never overtaken by anybody who arrives after
//       `a + waitMsMax[p] - waitMsMax.critical`. Whoever was before it is a finite number, so every waiter is served after finitely
//       many others, however many keep arriving (K32).
//   J3  The place in a line never changes by itself: nothing is sorted again as time passes. It changes only when the priority does,
//       or when a holder inherits the place of somebody more urgent who waits for it.
// Times are monotonic; ties go by arrival. Where nobody waits no ticket is made and nothing is compared.
import type { Priority } from "@writ/core/event";

/** Longest wait before a waiter of this priority stands before every newcomer, whatever the newcomer's priority. */
export const waitMsMax: Readonly<Record<Priority, number>> = {
  critical: 500,
  high: 2000,
  normal: 10_000,
  low: 30_000,
  background: 120_000,
};

/** Runs of these give way to a higher priority, unless a step says otherwise. */
export const isPreemptible: Readonly<Record<Priority, boolean>> = {
  critical: false,
  high: false,
  normal: true,
  low: true,
  background: true,
};

/** 0 is the most urgent. */
export const rankOf: Readonly<Record<Priority, number>> = {
  critical: 0,
  high: 1,
  normal: 2,
  low: 3,
  background: 4,
};

export interface Ticket {
  readonly arrivedMs: number;
  /** Of arrival, distinct in one line. */
  readonly number: number;
  /** Changed only by whoever takes it out of its line first. */
  dueMs: number;
}

export function isBefore(a: Ticket, b: Ticket): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.number < b.number);
}

/** Puts it in its place. The line is short or this is rare: whoever need not wait never gets here. */
export function insert<T extends Ticket>(line: T[], ticket: T): void {
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = line[middle];
    if (other !== undefined && isBefore(other, ticket)) low = middle + 1;
    else high = middle;
  }
  line.splice(low, 0, ticket);
}

/** Takes it out; false when it was not there. */
export function remove<T extends Ticket>(line: T[], ticket: T): boolean {
  const at = line.indexOf(ticket);
  if (at < 0) return false;
  line.splice(at, 1);
  return true;
}

/** Gives it another time, in its new place. */
export function reorder<T extends Ticket>(line: T[], ticket: T, dueMs: number): void {
  if (ticket.dueMs === dueMs || !remove(line, ticket)) return;
  ticket.dueMs = dueMs;
  insert(line, ticket);
}

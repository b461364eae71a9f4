// What is waited for on the node, for people.
import type { ScheduleView } from "@writ/core/api";
import { indent } from "./layout.ts";

/** Waiters shown of one line; the others are counted. */
const waitersShownMax = 5;
/** Lines shown; the longest. */
const linesShownMax = 10;

/** One line: how busy the node is. */
export function renderLoad({ effects, turnsWaiting, endsPerSecond }: ScheduleView): string {
  const pace = endsPerSecond === null ? "" : `; ${endsPerSecond.toFixed(1)} runs end in a second`;
  return `effects ${effects.active} of ${effects.activeMax} under way, ${effects.waiting} waiting; ${turnsWaiting} runs wait for their turn${pace}`;
}

/** Every line in which somebody waits, the longest first; empty when nobody does. */
export function renderLines({ lines }: ScheduleView): string {
  const long = lines.filter(({ waiting }) => waiting > 0).toSorted((a, b) => b.waiting - a.waiting);
  const shown = long.slice(0, linesShownMax).map(renderLine);
  const more = long.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more lines`] : [])].join("\n");
}

function renderLine({ kind, name, held, heldMax, waiting, holders, waiters }: ScheduleView["lines"][number]) {
  const what = name === "" ? kind : `${kind} ${name}`;
  const places = heldMax === null ? `${held} held` : `${held} of ${heldMax} held`;
  const by = holders.slice(0, waitersShownMax).map(who).join(", ");
  const rows = waiters
    .slice(0, waitersShownMax)
    .map((waiter) => `${who(waiter)} (${waiter.priority}) for ${seconds(waiter.waitedMs)}`);
  const more = waiting - rows.length;
  return [
    `${what}: ${places}${by === "" ? "" : ` by ${by}`}, ${waiting} waiting`,
    ...rows.map((row) => indent(row)),
    ...(more > 0 ? [indent(`${more} more`)] : []),
  ].join("\n");
}

function who({ run, step }: { readonly run: string; readonly step: string | null }): string {
  return step === null ? run : `${run} step ${step}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

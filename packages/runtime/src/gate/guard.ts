// The guard of a step: whether what the gate allows may move now. Pure, and asked again after every wait.
//   B3  The order is preconditions, ranges, window, rate, countdown; the first that does not hold decides.
//   B4  A step is measured from what was commanded last, and from everything commanded since whose outcome is not known.
//   B5  Outside its window a step queues, is refused or is skipped, as its guard says; one that would queue too long is refused at once.
import { faultRecord, type FaultFacts, type FaultRecord } from "@writ/core/fault";
import type { Sha256 } from "@writ/core/ids";
import { windowText } from "@writ/core/guard-text";
import type { Guard } from "@writ/core/program";
import { decimal, decimalText, isDecimal, type Decimal, type Value, type ValueMap } from "@writ/core/value";
import { fault, type runtimeFaults } from "../faults.ts";
import { announcedValidMs, announcementsMax, guardQueueMsDefault } from "../limits.ts";
import { computeText, type Scope } from "../machine/operands.ts";
import { isInWindow, nextInWindow } from "../triggers/windows.ts";
import type { GuardState } from "../state.ts";

/** An effect that was commanded on a target. */
export interface Commanded {
  readonly run: string;
  readonly step: string;
  readonly atMs: number;
  readonly params: ValueMap;
  /** `open`: its outcome is not recorded, or not known; `failed`: it did not happen. */
  readonly state: "open" | "done" | "failed";
}

export interface GuardInput {
  readonly step: string;
  readonly guard: Guard;
  readonly params: ValueMap;
  readonly scope: Scope;
  readonly nowMs: number;
  readonly state: GuardState;
  /** What was commanded on each target before, oldest first, without this attempt itself. */
  readonly history: readonly (readonly Commanded[])[];
  /** Of the effect as it would be done now. */
  readonly hash: Sha256;
  /** After a crash: what was announced before its intent was recorded stands. */
  readonly isRepeated: boolean;
}

export type GuardVerdict =
  | { readonly kind: "pass" }
  | { readonly kind: "deny"; readonly fault: FaultRecord }
  | { readonly kind: "skip"; readonly reason: string }
  | {
      readonly kind: "postpone";
      readonly untilMs: number;
      readonly queueEndsAtMs: number;
      readonly why: "window" | "rate";
      readonly reason: string;
    }
  | { readonly kind: "announce"; readonly countdown: NonNullable<Guard["countdown"]> };

export function guardVerdict(input: GuardInput): GuardVerdict {
  return (
    preconditionVerdict(input) ??
    rangeVerdict(input) ??
    windowVerdict(input) ??
    rateVerdict(input) ??
    countdownVerdict(input) ?? { kind: "pass" }
  );
}

/** What the last effects on the targets have to be known for. */
export function needsHistory({ rate, ranges = [] }: Guard): boolean {
  return rate !== undefined || ranges.some(({ stepMax }) => stepMax !== null);
}

/** @throws expression.* */
function preconditionVerdict({ guard, scope, step }: GuardInput): GuardVerdict | undefined {
  for (const text of guard.preconditions ?? []) {
    const { value } = computeText(text, scope);
    if (value === true) continue;
    return deny("guard.precondition", `Cannot run step \`${step}\`: \`${text}\` does not hold`, {
      step,
      precondition: text,
    });
  }
  return undefined;
}

function rangeVerdict({ guard, params, history, step }: GuardInput): GuardVerdict | undefined {
  for (const { param, min, max, stepMax } of guard.ranges ?? []) {
    const value = numberOf(params[param]);
    const facts = { step, param, min, max, stepMax, value: value ?? null };
    const bounds = [
      ...(min === null ? [] : [`at least ${decimalText(min)}`]),
      ...(max === null ? [] : [`at most ${decimalText(max)}`]),
    ].join(" and ");
    if (value === undefined)
      return deny("guard.range", `Cannot run step \`${step}\`: \`${param}\` is no number`, facts);
    if ((min !== null && value.lt(min)) || (max !== null && value.gt(max))) {
      const message = `Cannot run step \`${step}\`: \`${param}\` is ${decimalText(value)}, and must be ${bounds}`;
      return deny("guard.range", message, facts);
    }
    if (stepMax === null) continue;
    for (const before of history.flatMap((effects) => lastCommanded(effects, param))) {
      if (value.minus(before).abs().lte(stepMax)) continue;
      const message = `Cannot run step \`${step}\`: \`${param}\` would go from ${decimalText(before)} to ${decimalText(value)}, more than ${decimalText(stepMax)} at once`;
      return deny("guard.range", message, { ...facts, before });
    }
  }
  return undefined;
}

/** The newest value that was surely commanded, and those after it that may have been. */
function lastCommanded(effects: readonly Commanded[], param: string): readonly Decimal[] {
  const values: Decimal[] = [];
  for (const { params, state } of effects.toReversed()) {
    const value = numberOf(params[param]);
    if (value === undefined || state === "failed") continue;
    values.push(value);
    if (state === "done") break;
  }
  return values;
}

function windowVerdict(input: GuardInput): GuardVerdict | undefined {
  const { guard, nowMs, step } = input;
  if (guard.window === undefined) return undefined;
  const { window, outside, queueMs } = guard.window;
  if (isInWindow([window], nowMs)) return undefined;
  const reason = `it is outside its time window (${windowText(window)})`;
  const facts = { step, window: windowText(window) };
  if (outside === "skip") return { kind: "skip", reason };
  if (outside === "refuse") return deny("guard.window", `Cannot run step \`${step}\`: ${reason}`, facts);
  const opensMs = nextInWindow([window], nowMs);
  const queueEndsAtMs = input.state.queueEndsAtMs ?? nowMs + queueMs;
  if (opensMs === null || opensMs > queueEndsAtMs) {
    const message = `Cannot run step \`${step}\`: ${reason}, and it opens later than the step may wait`;
    return deny("guard.window", message, { ...facts, opensMs, queueEndsAtMs });
  }
  return { kind: "postpone", untilMs: opensMs, queueEndsAtMs, why: "window", reason };
}

const minuteMs = 60_000;

function rateVerdict(input: GuardInput): GuardVerdict | undefined {
  const { guard, nowMs, step, history } = input;
  if (guard.rate === undefined) return undefined;
  const { cooldownMs, perMinuteMax } = guard.rate;
  const waits = history.map((effects) => {
    // A clock that was set back makes nothing later than now.
    const times = effects.filter(({ state }) => state !== "failed").map(({ atMs }) => Math.min(atMs, nowMs));
    const recent = times.filter((atMs) => atMs > nowMs - minuteMs);
    const cooled = Math.max(Number.NEGATIVE_INFINITY, ...times) + cooldownMs;
    // The effect that leaves the last minute as the one that makes room.
    const isFree = perMinuteMax === 0 || recent.length < perMinuteMax;
    const room = isFree ? undefined : recent.sort((a, b) => a - b).at(-perMinuteMax);
    return Math.max(cooled, room === undefined ? Number.NEGATIVE_INFINITY : room + minuteMs);
  });
  const untilMs = Math.max(Number.NEGATIVE_INFINITY, ...waits);
  const facts = { step, cooldownMs, perMinuteMax };
  if (untilMs <= nowMs) return undefined;
  const reason = `its target was moved less than ${cooldownMs} ms ago, or ${perMinuteMax} times in a minute`;
  const queueMs = guard.window?.outside === "queue" ? guard.window.queueMs : guardQueueMsDefault;
  const queueEndsAtMs = input.state.queueEndsAtMs ?? nowMs + queueMs;
  if (untilMs > queueEndsAtMs) {
    const message = `Cannot run step \`${step}\` now: ${reason}`;
    return deny("guard.rate", message, { ...facts, retryAfterMs: untilMs - nowMs });
  }
  return { kind: "postpone", untilMs, queueEndsAtMs, why: "rate", reason };
}

function countdownVerdict({
  guard,
  state,
  nowMs,
  hash,
  step,
  isRepeated,
}: GuardInput): GuardVerdict | undefined {
  const { countdown } = guard;
  if (countdown === undefined) return undefined;
  const { passed, announcements } = state;
  // What was announced is done at the end of its countdown, not long after, when nobody looks any more.
  const isFresh = passed !== null && nowMs <= passed.endsAtMs + announcedValidMs;
  if (isFresh && passed.hash === hash) return undefined;
  if (isRepeated || announcements >= announcementsMax) {
    const why = isRepeated ? "it was announced too long ago" : "what it would do keeps changing";
    return deny("guard.unsettled", `Cannot run step \`${step}\`: ${why}`, { step, announcements });
  }
  return { kind: "announce", countdown };
}

function numberOf(value: Value | undefined): Decimal | undefined {
  if (isDecimal(value)) return value;
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return decimal(value);
}

function deny(code: keyof typeof runtimeFaults, message: string, facts: FaultFacts): GuardVerdict {
  const record = faultRecord(fault(code, message, facts));
  if (record === undefined) throw new Error("a fault of our own table has a code");
  return { kind: "deny", fault: record };
}

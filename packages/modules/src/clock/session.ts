// A schedule that is kept: one loop for every source of the clock.
//   T1  A time has one key for ever, so it is reported once, whatever restarts and clocks do.
//   T2  A time that passed while nobody was there to see it (the node was down or frozen, or the clock jumped ahead) is missed. What becomes
//       of missed times is the trigger's: `skip` reports none, `once` the last of them, `all` each up to a bound. That times were missed,
//       and how many, is recorded before anything is reported.
//       The cursor says up to where they were counted, so that a crash while they are made up for counts none of them again.
//   T3  A clock that jumps back repeats nothing; after a jump of more than a day the schedule goes on from the new time.
import { eventId } from "@writ/core/ids";
import type { EventSource, SourceSession } from "@writ/core/ports";
import { Type, type Static } from "@writ/core/schema";
import type { ValueMap } from "@writ/core/value";
import { catchUpRunsMax } from "../limits.ts";
import type { Schedule } from "./schedule.ts";

export const Missed = Type.Enum(["skip", "once", "all"]);
export type Missed = Static<typeof Missed>;

/** What the event of a time says. */
export const TimeEvent = Type.Object(
  {
    /** The time that was meant, milliseconds since 1970. */
    scheduledMs: Type.Integer(),
    catchUp: Type.Boolean(),
    /** Times that passed unreported, this one not counted; at most 10 000 are counted. */
    missed: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);

/** The wall clock is looked at again at least this often, since it may be set. */
const sleepMsMax = 30_000;
/** Missed times are counted up to this number. */
const missedMax = 10_000;
/** A time this late is still on time: a busy machine, a restart, a look at the clock in between. */
const lateMsMax = 60_000;
const jumpBackMsMax = 24 * 3_600_000;

type Options = Parameters<EventSource["start"]>[0];

export interface SessionPlan {
  /** Type of the events, such as `clock.tick`. */
  readonly type: string;
  readonly next: Schedule;
  readonly missed: Missed;
  /** Where a session without a cursor begins; a time before it is not looked for. */
  readonly fromMs: number;
}

export function startSession(options: Options, plan: SessionPlan): SourceSession {
  const stopped = new AbortController();
  const loop = keep(options, plan, stopped.signal);
  return {
    async stop() {
      stopped.abort();
      await loop;
    },
  };
}

async function keep(options: Options, plan: SessionPlan, signal: AbortSignal): Promise<void> {
  const { world, cursor } = options;
  const { lastMs: known, countedMs: counted } = cursor ?? {};
  let lastMs = typeof known === "number" ? known : plan.fromMs;
  const countedMs = typeof counted === "number" ? counted : null;
  let isFirst = true;
  while (!signal.aborted) {
    const nowMs = world.nowMs();
    if (lastMs - nowMs > jumpBackMsMax) lastMs = nowMs;
    const dueMs = plan.next(lastMs);
    if (dueMs === null) return;
    const leftMs = dueMs - nowMs;
    try {
      if (leftMs > 0) await world.sleep(Math.min(leftMs, sleepMsMax), signal);
      else lastMs = await reportDue(options, plan, { dueMs, nowMs, isFirst, countedMs, signal });
    } catch (error) {
      if (signal.aborted) return;
      options.problem(error);
      return;
    }
    isFirst = false;
  }
}

interface Due {
  readonly dueMs: number;
  readonly nowMs: number;
  readonly isFirst: boolean;
  /** Times up to here were recorded as missed before; null: none. */
  readonly countedMs: number | null;
  readonly signal: AbortSignal;
}

/** Reports what is due by the policy; the last time that needs no further look. */
async function reportDue(options: Options, plan: SessionPlan, due: Due): Promise<number> {
  const { dueMs, nowMs, isFirst, signal } = due;
  const times: number[] = [dueMs];
  for (
    let next = plan.next(dueMs);
    next !== null && next <= nowMs && times.length <= missedMax;
    next = plan.next(next)
  ) {
    times.push(next);
  }
  const isCut = times.length > missedMax;
  const last = times.at(-1) ?? dueMs;
  const isLate = nowMs - last > lateMsMax;
  const reported =
    plan.missed === "all" ? times.slice(-catchUpRunsMax) : plan.missed === "once" || !isLate ? [last] : [];
  const unreported = times.slice(0, times.length - reported.length);
  const isFresh = (ms: number): boolean => due.countedMs === null || ms > due.countedMs;
  const missed = (isLate ? times : times.slice(0, -1)).filter(isFresh);
  const [fromMs] = missed;
  const toMs = missed.at(-1);
  const countedMs = Math.max(due.countedMs ?? 0, isCut ? nowMs : (toMs ?? 0));
  const cursorAt = (lastMs: number) => (lastMs < countedMs ? { lastMs, countedMs } : { lastMs });
  if (fromMs !== undefined && toMs !== undefined) {
    await options.missed?.({
      policy: plan.missed,
      count: missed.length,
      reported: reported.filter((ms) => ms <= toMs && isFresh(ms)).length,
      fromMs,
      toMs,
      cursor: cursorAt(unreported.at(-1) ?? dueMs - 1),
    });
  }
  for (const scheduledMs of reported) {
    if (signal.aborted) return scheduledMs;
    const isLast = scheduledMs === last;
    await report(options, plan, {
      scheduledMs,
      catchUp: isFirst || !isLast || times.length > 1 || isLate,
      missed: plan.missed === "all" ? 0 : unreported.length,
      cursor: cursorAt(isLast && isCut ? nowMs : scheduledMs),
    });
  }
  return isCut ? nowMs : last;
}

async function report(
  options: Options,
  plan: SessionPlan,
  time: {
    readonly scheduledMs: number;
    readonly catchUp: boolean;
    readonly missed: number;
    readonly cursor: ValueMap;
  },
): Promise<void> {
  const { scheduledMs, catchUp, missed } = time;
  const key = `tick-${scheduledMs}`;
  if (options.seen(key)) return;
  await options.report({
    event: {
      specversion: "1.0",
      id: eventId(key),
      source: `/sources/${encodeURIComponent(options.workspace.name)}/clock`,
      type: plan.type,
      time: new Date(options.world.nowMs()).toISOString(),
      data: { scheduledMs, catchUp, missed },
    },
    cursor: time.cursor,
    key,
  });
}

// When times come: a period, one time, or a cron pattern in a time zone. Pure: nothing waits here.
import { Cron } from "croner";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { everyMsMin } from "../limits.ts";

/** The first scheduled time after a time (milliseconds since 1970), or null when there is none. */
export type Schedule = (afterMs: number) => number | null;

export const everyMs = Type.Integer({ minimum: everyMsMin, maximum: 366 * 24 * 3_600_000 });
/** Five or six fields, as croner reads them. */
export const cronPattern = Type.String({ minLength: 1, maxLength: 256 });
/** IANA zone; the workspace's unless given. */
export const zoneName = Type.String({ maxLength: 64 });

/** Multiples of the period since 1970, so that a restart keeps the beat. */
export function periodSchedule(periodMs: number): Schedule {
  return (afterMs) => (Math.floor(afterMs / periodMs) + 1) * periodMs;
}

/** The pattern's times on the clocks of the zone. @throws clock.schedule-invalid */
export function cronSchedule(pattern: string, timezone: string): Schedule {
  try {
    const cron = new Cron(pattern, { timezone, paused: true });
    cron.nextRun();
    return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() ?? null;
  } catch (error) {
    const facts = { cron: pattern, zone: timezone };
    throw fault(
      "clock.schedule-invalid",
      `Cannot read the schedule \`${pattern}\` in \`${timezone}\``,
      facts,
      error,
    );
  }
}

const local = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/;
const withOffset = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/;

/** One time: RFC 3339 with its offset, or without one on the clocks of the zone. @throws clock.schedule-invalid */
export function onceSchedule(at: string, timezone: string): Schedule {
  const atMs = withOffset.test(at) ? Date.parse(at) : local.test(at) ? localTime(at, timezone) : Number.NaN;
  if (!Number.isFinite(atMs)) {
    const facts = { at, zone: timezone };
    throw fault("clock.schedule-invalid", `Cannot read the time \`${at}\` in \`${timezone}\``, facts);
  }
  return (afterMs) => (afterMs < atMs ? atMs : null);
}

function localTime(at: string, timezone: string): number {
  try {
    const text = at.length === 16 ? `${at}:00` : at;
    return new Cron(text, { timezone, paused: true }).nextRun(new Date(0))?.getTime() ?? Number.NaN;
  } catch {
    return Number.NaN;
  }
}

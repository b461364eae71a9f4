// The three schedules under names of their own, for plans and programs that are not written as sentences.
import type { SourceDefinition } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import type { EventSource } from "@writ/core/ports";
import { parse, Type } from "@writ/core/schema";
import { cronPattern, cronSchedule, everyMs, onceSchedule, periodSchedule, zoneName } from "./schedule.ts";
import { Missed, startSession, TimeEvent } from "./session.ts";

const closed = { additionalProperties: false } as const;
const IntervalConfig = Type.Object({ every_ms: everyMs, missed: Type.Optional(Missed) }, closed);
const CronConfig = Type.Object(
  { cron: cronPattern, zone: Type.Optional(zoneName), missed: Type.Optional(Missed) },
  closed,
);
const OnceConfig = Type.Object(
  {
    /** RFC 3339 with an offset, or `2026-12-24T18:00` on the clocks of the zone. */
    at: Type.String({ minLength: 16, maxLength: 40 }),
    zone: Type.Optional(zoneName),
    missed: Type.Optional(Missed),
  },
  closed,
);

/** Every so many milliseconds. */
export const interval: EventSource = {
  definition: definitionOf("interval", IntervalConfig, "A period has passed", "Une période est écoulée"),
  async start(options) {
    const config = parse(IntervalConfig, options.config, "the configuration of clock.interval");
    return startSession(options, {
      type: "clock.interval",
      next: periodSchedule(config.every_ms),
      missed: config.missed ?? "once",
      fromMs: options.sinceMs ?? options.world.nowMs(),
    });
  },
};

/** By a cron pattern. */
export const cron: EventSource = {
  definition: definitionOf(
    "cron",
    CronConfig,
    "A time of the schedule has come",
    "Une heure du calendrier est venue",
  ),
  async start(options) {
    const config = parse(CronConfig, options.config, "the configuration of clock.cron");
    return startSession(options, {
      type: "clock.cron",
      next: cronSchedule(config.cron, config.zone ?? options.workspace.file.zone),
      missed: config.missed ?? "once",
      fromMs: options.sinceMs ?? options.world.nowMs(),
    });
  },
};

/** At one time and never again, also when that time had passed before anybody listened, unless missed times are skipped. */
export const once: EventSource = {
  definition: definitionOf("once", OnceConfig, "The time has come", "L'heure est venue"),
  async start(options) {
    const config = parse(OnceConfig, options.config, "the configuration of clock.once");
    return startSession(options, {
      type: "clock.once",
      next: onceSchedule(config.at, config.zone ?? options.workspace.file.zone),
      missed: config.missed ?? "once",
      fromMs: 0,
    });
  },
};

function definitionOf(
  name: string,
  config: SourceDefinition["config"],
  en: string,
  fr: string,
): SourceDefinition {
  return {
    id: capabilityId(`clock.${name}@1.0.0`),
    summary: { en, fr },
    config,
    event: TimeEvent,
    phrases: { en: [], fr: [] },
    labels: [],
  };
}

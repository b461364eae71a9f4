// The clock as rules speak of it: every so many milliseconds, or by a cron pattern in a time zone.
import type { SourceDefinition } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import type { EventSource } from "@writ/core/ports";
import { parse, Type, type Static } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { cronPattern, cronSchedule, everyMs, periodSchedule, zoneName, type Schedule } from "./schedule.ts";
import { Missed, startSession, TimeEvent } from "./session.ts";

const Config = Type.Object(
  {
    every_ms: Type.Optional(everyMs),
    cron: Type.Optional(cronPattern),
    zone: Type.Optional(zoneName),
    /** What becomes of times that nobody was there to see; `once` unless given. */
    missed: Type.Optional(Missed),
  },
  { additionalProperties: false },
);

const definition: SourceDefinition = {
  id: capabilityId("clock.tick@1.0.0"),
  summary: { en: "A time has come", fr: "Une heure est venue" },
  config: Config,
  event: TimeEvent,
  // `every {duration}` and `at {time}` belong to the grammar.
  phrases: { en: [], fr: [] },
  labels: [],
};

export const tick: EventSource = {
  definition,
  async start(options) {
    const config = parse(Config, options.config, "the configuration of clock.tick");
    return startSession(options, {
      type: "clock.tick",
      next: scheduleOf(config, options.workspace.file.zone),
      missed: config.missed ?? "once",
      fromMs: options.sinceMs ?? options.world.nowMs(),
    });
  },
};

/** @throws clock.schedule-invalid */
function scheduleOf({ every_ms: period, cron, zone }: Static<typeof Config>, zoneDefault: string): Schedule {
  if (period !== undefined && cron === undefined) return periodSchedule(period);
  if (period === undefined && cron !== undefined) return cronSchedule(cron, zone ?? zoneDefault);
  throw fault(
    "clock.schedule-invalid",
    "Cannot keep a schedule without exactly one of `every_ms` and `cron`",
  );
}

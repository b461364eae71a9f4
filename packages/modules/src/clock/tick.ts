// The clock as a source: every so many milliseconds, or by a cron pattern in a time zone.
//   T1  Times lie on a fixed grid (multiples of the period since 1970, or the pattern's times), so a restart keeps the beat and a time
//       has one key for ever.
//   T2  Times that passed while nobody listened become one catch-up tick that says how many there were.
//   T3  A clock that jumps back repeats nothing: only times after the last reported one count.
import { Cron } from "croner";
import type { SourceDefinition } from "@writ/core/capability";
import { capabilityId, eventId } from "@writ/core/ids";
import type { EventSource, SourceSession } from "@writ/core/ports";
import { parse, Type, type Static } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { everyMsMin } from "../limits.ts";

/** The wall clock is looked at again at least this often, since it may be set. */
const sleepMsMax = 30_000;
/** Missed times are counted up to this number. */
const missedMax = 10_000;

const Config = Type.Object(
  {
    every_ms: Type.Optional(Type.Integer({ minimum: everyMsMin, maximum: 366 * 24 * 3_600_000 })),
    /** Five or six fields, as croner reads them. */
    cron: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** IANA zone; the workspace's unless given. */
    zone: Type.Optional(Type.String({ maxLength: 64 })),
  },
  { additionalProperties: false },
);

const definition: SourceDefinition = {
  id: capabilityId("clock.tick@1.0.0"),
  summary: { en: "A time has come", fr: "Une heure est venue" },
  config: Config,
  event: Type.Object(
    {
      /** The time that was meant, milliseconds since 1970. */
      scheduledMs: Type.Integer(),
      catchUp: Type.Boolean(),
      /** Times that passed unreported, this one not counted; at most 10 000 are counted. */
      missed: Type.Integer({ minimum: 0 }),
    },
    { additionalProperties: false },
  ),
  // `every {duration}` and `at {time}` belong to the grammar.
  phrases: { en: [], fr: [] },
  labels: [],
};

export const tick: EventSource = {
  definition,
  async start(options) {
    const config = parse(Config, options.config, "the configuration of clock.tick");
    const next = scheduleOf(config, options.workspace.file.zone);
    const { lastMs } = options.cursor ?? {};
    return new TickSession(
      options,
      next,
      typeof lastMs === "number" ? lastMs : options.world.nowMs(),
    ).begin();
  },
};

/** The first scheduled time after a time, or null when there is none. */
type Schedule = (afterMs: number) => number | null;

/** @throws clock.schedule-invalid */
function scheduleOf(config: Static<typeof Config>, zoneDefault: string): Schedule {
  const { every_ms: everyMs, cron } = config;
  if ((everyMs === undefined) === (cron === undefined)) {
    throw fault(
      "clock.schedule-invalid",
      "Cannot keep a schedule without exactly one of `every_ms` and `cron`",
    );
  }
  if (everyMs !== undefined) return (afterMs) => (Math.floor(afterMs / everyMs) + 1) * everyMs;
  const timezone = config.zone ?? zoneDefault;
  try {
    const pattern = new Cron(cron ?? "", { timezone, paused: true });
    pattern.nextRun();
    return (afterMs) => pattern.nextRun(new Date(afterMs))?.getTime() ?? null;
  } catch (error) {
    const facts = { cron, zone: timezone };
    throw fault(
      "clock.schedule-invalid",
      `Cannot read the schedule \`${cron ?? ""}\` in \`${timezone}\``,
      facts,
      error,
    );
  }
}

class TickSession implements SourceSession {
  readonly #options: Parameters<EventSource["start"]>[0];
  readonly #next: Schedule;
  readonly #stopped = new AbortController();
  #lastMs: number;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: Parameters<EventSource["start"]>[0], next: Schedule, lastMs: number) {
    this.#options = options;
    this.#next = next;
    this.#lastMs = lastMs;
  }

  begin(): this {
    this.#loop = this.#run();
    return this;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { world } = this.#options;
    let isFirst = true;
    while (!this.#stopped.signal.aborted) {
      const dueMs = this.#next(this.#lastMs);
      if (dueMs === null) return;
      const leftMs = dueMs - world.nowMs();
      try {
        if (leftMs > 0) await world.sleep(Math.min(leftMs, sleepMsMax), this.#stopped.signal);
        else await this.#report(dueMs, isFirst);
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        this.#options.problem(error);
        return;
      }
      isFirst = false;
    }
  }

  /** Reports the last of the times that have passed; those before it were missed. */
  async #report(dueMs: number, isFirst: boolean): Promise<void> {
    const { world, workspace } = this.#options;
    const nowMs = world.nowMs();
    let scheduledMs = dueMs;
    let missed = 0;
    for (
      let next = this.#next(scheduledMs);
      next !== null && next <= nowMs && missed < missedMax;
      next = this.#next(next)
    ) {
      scheduledMs = next;
      missed++;
    }
    this.#lastMs = missed === missedMax ? nowMs : scheduledMs;
    const key = `tick-${scheduledMs}`;
    if (this.#options.seen(key)) return;
    await this.#options.report({
      event: {
        specversion: "1.0",
        id: eventId(key),
        source: `/sources/${encodeURIComponent(workspace.name)}/clock`,
        type: "clock.tick",
        time: new Date(nowMs).toISOString(),
        data: { scheduledMs, catchUp: isFirst || missed > 0, missed },
      },
      cursor: { lastMs: this.#lastMs },
      key,
    });
  }
}

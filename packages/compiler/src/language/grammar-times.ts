// Times of day, days of the week and durations.
import { take, type GrammarBuilder } from "./builder.ts";
import type { Build, Fields } from "./chart.ts";
import type { Token } from "./token.ts";

export function times(builder: GrammarBuilder): void {
  const { surface } = builder;
  builder.template("Time", "#time:t", (fields) => minuteOfDay(Number(take<Token>(fields, "t").text)));
  const hours =
    (plus: number, min: number, max: number): Build =>
    (fields) => {
      const hour = Number(take<string>(fields, "n"));
      return Number.isInteger(hour) && hour >= min && hour <= max
        ? minuteOfDay((hour + plus) * 60)
        : undefined;
    };
  builder.construct("Time", "am", hours(0, 0, 11));
  builder.construct("Time", "pm", hours(12, 1, 11));
  builder.construct("Time", "hour", hours(0, 0, 24));
  builder.construct("Time", "noon", () => 720);
  builder.construct("Time", "midnight", () => 0);

  surface.days.forEach((words, day) => {
    for (const word of words) builder.words("Day", [word.toLowerCase()], [day]);
  });
  builder.construct("Weekdays", "weekdays", () => [1, 2, 3, 4, 5]);
  builder.construct("Days", "weekdays", () => [1, 2, 3, 4, 5]);
  builder.construct("Days", "weekends", () => [0, 6]);
  const days: Build = (fields) =>
    daySet([fields["first"], fields["rest"], fields["only"]].flatMap((part) => (part ?? []) as number[]));
  builder.construct("Days", "dayList", days);
  builder.construct("Days.list", "dayTail", days);
  builder.construct("EveryDay", "everyDay", () => []);
  builder.construct("OnDays", "onDays", (fields) => fields["days"]);
  builder.construct("EachDays", "eachDays", (fields) => fields["days"]);

  for (const [ms, words] of surface.durations)
    for (const word of words) {
      builder.words("TimeUnit", [word], ms);
    }
  const duration: Build = (fields) => {
    const ms = Number(fields["n"]) * take<number>(fields, "unit");
    return Number.isSafeInteger(ms) && ms > 0 ? ms : undefined;
  };
  builder.template("Duration", "{Number:n} {TimeUnit:unit}", duration);
  builder.construct("Duration", "oneOf", (fields) => fields["ms"]);
  builder.template("Span", "{Number:n} {TimeUnit:unit}", duration);
  builder.template("Span", "{TimeUnit:unit}", (fields) => fields["unit"]);
  builder.template("Delay", "ART {Duration:ms}", (fields) => fields["ms"]);
}

export function window(fields: Fields): { from: number; to: number; days: readonly number[] } {
  const from = take<number>(fields, "from");
  return {
    from: from % 1440,
    to: take<number>(fields, "to") % 1440,
    days: daysAt(from, take<readonly number[] | undefined>(fields, "days") ?? []),
  };
}

/** The days on which that minute falls: 24:00 is midnight at the end of a day, so on the next one. */
export function daysAt(minute: number, days: readonly number[]): readonly number[] {
  return minute < 1440 ? days : days.map((day) => (day + 1) % 7).toSorted((a, b) => a - b);
}

/** Minutes of the day, 0…1440; a later one is no time. */
function minuteOfDay(minute: number): number | undefined {
  return minute <= 1440 ? minute : undefined;
}

/** Days of the week, sorted and distinct; all seven are every day. */
function daySet(days: readonly number[]): readonly number[] {
  const sorted = [...new Set(days)].sort((a, b) => a - b);
  return sorted.length === 7 ? [] : sorted;
}

// Whether two cron patterns can name one minute. Only what is plainly written is understood; the rest may meet.

/** False when minutes, hours or week days of the two patterns have nothing in common. Both are read in one zone. */
export function cronsMayMeet(left: string, right: string): boolean {
  const [a, b] = [fieldsOf(left), fieldsOf(right)];
  if (a === null || b === null) return true;
  const isApart = (field: "minute" | "hour" | "day") => {
    const [x, y] = [a[field], b[field]];
    return x !== null && y !== null && ![...x].some((value) => y.has(value));
  };
  return !isApart("minute") && !isApart("hour") && !isApart("day");
}

interface Fields {
  /** Null where every value, or one that is not understood, is meant. */
  readonly minute: ReadonlySet<number> | null;
  readonly hour: ReadonlySet<number> | null;
  readonly day: ReadonlySet<number> | null;
}

function fieldsOf(pattern: string): Fields | null {
  const fields = pattern.trim().split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) return null;
  const [minute = "*", hour = "*", dayOfMonth = "*", month = "*", weekDay = "*"] = fields.slice(
    fields.length - 5,
  );
  // With a day of the month as well, cron means either of both days.
  const isWeekly = dayOfMonth === "*" && month === "*";
  return {
    minute: valuesOf(minute, 0, 59),
    hour: valuesOf(hour, 0, 23),
    day: isWeekly ? sundayOnce(valuesOf(weekDay.toUpperCase().replace(/[A-Z]{3}/g, dayNumber), 0, 7)) : null,
  };
}

const dayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

function dayNumber(name: string): string {
  const index = dayNames.indexOf(name);
  return index < 0 ? name : String(index);
}

function sundayOnce(days: ReadonlySet<number> | null): ReadonlySet<number> | null {
  return days === null ? null : new Set([...days].map((day) => day % 7));
}

function valuesOf(field: string, min: number, max: number): ReadonlySet<number> | null {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(?:(\d{1,2})(?:-(\d{1,2}))?|\*)(?:\/(\d{1,2}))?$/.exec(part);
    if (match === null) return null;
    const [, from, to, every] = match;
    const step = every === undefined ? 1 : Number(every);
    const low = from === undefined ? min : Number(from);
    const high = to !== undefined ? Number(to) : from === undefined || every !== undefined ? max : low;
    if (step === 0 || low > high || high > max) return null;
    for (let value = low; value <= high; value += step) values.add(value);
  }
  return values;
}

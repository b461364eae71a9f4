// Time windows: minutes of the day in the program's own zone, also across midnight and changes of daylight saving.
import type { TimeWindow } from "@writ/core/program";

/** True when the time lies in one of the windows, or there is none. A window across midnight belongs to the day it began. */
export function isInWindow(windows: readonly TimeWindow[], atMs: number): boolean {
  return windows.length === 0 || windows.some((window) => isInside(window, atMs));
}

function isInside({ fromMinute, toMinute, days, zone }: TimeWindow, atMs: number): boolean {
  const { minute, day } = localTime(zone, atMs);
  const on = (wanted: number) => days.length === 0 || days.includes(wanted);
  if (fromMinute === toMinute) return on(day);
  if (fromMinute < toMinute) return on(day) && minute >= fromMinute && minute < toMinute;
  return minute >= fromMinute ? on(day) : minute < toMinute && on((day + 6) % 7);
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Wall clock in an IANA zone. */
function localTime(zone: string, atMs: number): { readonly minute: number; readonly day: number } {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    hour: "2-digit",
    minute: "2-digit",
    weekday: "short",
  }).formatToParts(atMs);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return {
    minute: Number(part("hour")) * 60 + Number(part("minute")),
    day: weekdays.indexOf(part("weekday")),
  };
}

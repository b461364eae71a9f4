// Time windows: minutes of the day in the program's own zone, also across midnight and changes of daylight saving.
import type { TimeWindow } from "@writ/core/program";

/** True when the time lies in one of the windows, or there is none. A window across midnight belongs to the day it began. */
export function isInWindow(windows: readonly TimeWindow[], atMs: number): boolean {
  return windows.length === 0 || windows.some((window) => isInside(window, atMs));
}

function isInside(window: TimeWindow, atMs: number): boolean {
  return isInsideAt(window, clockOf(window.zone)(atMs));
}

function isInsideAt({ fromMinute, toMinute, days }: TimeWindow, { minute, day }: LocalTime): boolean {
  const on = (wanted: number) => days.length === 0 || days.includes(wanted);
  if (fromMinute === toMinute) return on(day);
  if (fromMinute < toMinute) return on(day) && minute >= fromMinute && minute < toMinute;
  return minute >= fromMinute ? on(day) : minute < toMinute && on((day + 6) % 7);
}

const minuteMs = 60_000;
const stepMinutesMax = 15;
const weekMinutes = 8 * 24 * 60;

/**
 * The first minute from `fromMs` on that lies in one of the windows: `fromMs` itself when it does, null when none opens within eight
 * days. Steps never pass a change of daylight saving unseen: they are short, and the last one goes back to where the window opened.
 */
export function nextInWindow(windows: readonly TimeWindow[], fromMs: number): number | null {
  if (isInWindow(windows, fromMs)) return fromMs;
  const clocks = windows.map((window) => ({ window, local: clockOf(window.zone) }));
  const isOpen = (atMs: number) => clocks.some(({ window, local }) => isInsideAt(window, local(atMs)));
  let atMs = Math.floor(fromMs / minuteMs) * minuteMs;
  for (const endMs = atMs + weekMinutes * minuteMs; atMs < endMs;) {
    const opensIn = clocks.map(
      ({ window, local }) => (window.fromMinute - local(atMs).minute + 1440) % 1440 || 1440,
    );
    const previousMs = atMs;
    atMs += Math.min(stepMinutesMax, ...opensIn) * minuteMs;
    if (!isOpen(atMs)) continue;
    while (atMs - minuteMs > previousMs && isOpen(atMs - minuteMs)) atMs -= minuteMs;
    return Math.max(atMs, fromMs);
  }
  return null;
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

interface LocalTime {
  readonly minute: number;
  readonly day: number;
}

/** Wall clock in an IANA zone. */
function clockOf(zone: string): (atMs: number) => LocalTime {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    hour: "2-digit",
    minute: "2-digit",
    weekday: "short",
  });
  return (atMs) => {
    const parts = format.formatToParts(atMs);
    const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
    return {
      minute: Number(part("hour")) * 60 + Number(part("minute")),
      day: weekdays.indexOf(part("weekday")),
    };
  };
}

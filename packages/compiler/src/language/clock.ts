/** Minutes of the day, 0…1440; a later one is no time. */
export function timesOf(minute: number): number | undefined {
  return minute <= 1440 ? minute : undefined;
}

/** Days of the week, sorted and distinct; all seven are every day. */
export function dayMinutes(days: readonly number[]): readonly number[] {
  const sorted = [...new Set(days)].sort((a, b) => a - b);
  return sorted.length === 7 ? [] : sorted;
}

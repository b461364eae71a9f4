import type { ScheduleView } from "@writ/core/api";
import type { Schedule } from "@writ/runtime/engine";

export function scheduleView({ lines, ...counts }: Schedule): ScheduleView {
  return {
    ...counts,
    lines: lines.map(({ holders, waiters, ...line }) => ({
      ...line,
      holders: [...holders],
      waiters: [...waiters],
    })),
  };
}

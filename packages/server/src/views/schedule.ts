import type { ScheduleView } from "@writ/core/api";
import type { Schedule } from "@writ/runtime/engine";

export function scheduleView({ lines, rejected, stuck, ...counts }: Schedule): ScheduleView {
  return {
    ...counts,
    rejected: [...rejected],
    stuck: [...stuck],
    lines: lines.map(({ holders, waiters, ...line }) => ({
      ...line,
      holders: [...holders],
      waiters: [...waiters],
    })),
  };
}

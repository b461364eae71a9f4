// Leases: how long a run may have its resources.
//   A5  When the shortest lease of a run is over it is cancelled, with undo where its program uses `compensate`. The resources are free
//       when it has ended. After a restart the time begins again: when the turn was given is not recorded.
import type { ActiveRun, Core } from "./core.ts";
import { needsOf } from "./resources.ts";

export function limitLease(core: Core, run: ActiveRun, end: (run: ActiveRun, reason: string) => void): void {
  const needs = needsOf(run);
  if (needs.length === 0) return;
  const shortest = needs.reduce((least, need) => (need.leaseMs < least.leaseMs ? need : least));
  run.timers.set(
    "lease",
    core.timers.at(core.options.world.nowMs() + shortest.leaseMs, () => {
      run.timers.delete("lease");
      if (run.state.ending !== null || run.state.ended !== null) return;
      core.notify(
        "operator",
        "A lease is over",
        `Run ${run.run} has \`${shortest.name}\` for longer than ${shortest.leaseMs} ms and is cancelled`,
      );
      end(run, `its lease of \`${shortest.name}\` was over after ${shortest.leaseMs} ms`);
    }),
  );
}

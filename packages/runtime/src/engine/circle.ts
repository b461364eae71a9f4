// Circles: runs that wait for each other and for nobody else. The order in which a run takes what it needs (schedule.ts) leaves no room
// for one among locks and permits; turns, resources and sub-programs could make one, and are checked here.
import type { RunId } from "@writ/core/ids";

/** What a run needs before it can go on: every group, of each group all of its runs or any one of them. */
export interface Wait {
  readonly run: RunId;
  readonly groups: readonly { readonly need: "all" | "any"; readonly runs: readonly RunId[] }[];
}

/**
 * Runs that can never go on, in the order given. A run that waits for nobody goes on by itself; so does whoever waits only for such
 * runs. What is left waits in a circle, or for one.
 */
export function stuckRuns(waits: readonly Wait[]): readonly RunId[] {
  let left = waits;
  for (;;) {
    const open = new Set(left.map(({ run }) => run));
    const goesOn = (run: RunId): boolean => !open.has(run);
    const still = left.filter(
      ({ groups }) =>
        !groups.every(({ need, runs }) =>
          need === "all" ? runs.every(goesOn) : runs.length === 0 || runs.some(goesOn),
        ),
    );
    if (still.length === left.length) return still.map(({ run }) => run);
    left = still;
  }
}

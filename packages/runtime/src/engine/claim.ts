// A claim: who asks for a lock or a permit, or holds one. A job is a claim; so is what a restart finds under way.
import type { Priority } from "@writ/core/event";
import type { StepId } from "@writ/core/ids";
import type { ActiveRun } from "./core.ts";
import { waitMsMax } from "./order.ts";

export interface Claim {
  readonly run: ActiveRun;
  readonly step: StepId;
  /** Only a new effect is refused when too many wait; what was begun, or is taken back, waits in any case. */
  readonly purpose?: "effect" | "undo";
}

/** What the step says of itself, else what counts for its run now. */
export function priorityOf({ run, step }: Claim): Priority {
  return run.state.prepared.steps.get(step)?.step.priority ?? run.state.priority;
}

/** When a claim that arrived then has to be served; earlier where somebody more urgent waits for its run. */
export function dueOf(claim: Claim, arrivedMs: number): number {
  // What is taken back goes first: others wait for what it frees, and nothing may come in between.
  if (claim.purpose === "undo") return Number.NEGATIVE_INFINITY;
  return Math.min(arrivedMs + waitMsMax[priorityOf(claim)], claim.run.inheritedDueMs);
}

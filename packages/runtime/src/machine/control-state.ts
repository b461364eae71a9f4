// What people ordered while a run runs, as part of its state.
import type { Actor, Breakpoint } from "@writ/core/entry";
import type { RunId, Sha256, StepId } from "@writ/core/ids";
import type { ValueMap } from "@writ/core/value";
import type { SlotState } from "../state.ts";

export interface ControlState {
  /** Nothing new begins while it is not null. */
  readonly paused: { readonly by: Actor; readonly atMs: number; readonly reason: string } | null;
  readonly breakpoints: readonly Breakpoint[];
  readonly steps: ReadonlyMap<StepId, StepControl>;
  /** Results of effects that finished when they were not wanted any more; their slots are written if the run goes on after all. */
  readonly late: ReadonlyMap<StepId, SlotState>;
  /** When the run's time limit begins: when it was reopened; null for its start. */
  readonly clockFromMs: number | null;
  /** Where it begins, when it is a fork. */
  readonly forkedFrom: { readonly run: RunId; readonly seq: number } | null;
}

export interface StepControl {
  /** The attempt that a person let go on from a breakpoint, and the hash of what was shown; null when an approval binds it. */
  readonly released: { readonly attempt: number; readonly hash: Sha256 | null } | null;
  /** Parameters that replace those of the author, for the attempts of one group. */
  readonly changed: { readonly group: number; readonly params: ValueMap; readonly by: Actor } | null;
  /** Group of attempts that a person ordered: an approval that does not cover it any more is asked for again. */
  readonly orderedGroup: number;
}

export const noControl: ControlState = {
  paused: null,
  breakpoints: [],
  steps: new Map(),
  late: new Map(),
  clockFromMs: null,
  forkedFrom: null,
};
export const noStepControl: StepControl = { released: null, changed: null, orderedGroup: 0 };

// What people ordered while a run runs, as part of its state.
import type { Actor } from "@writ/core/entry";

export interface ControlState {
  /** Nothing new begins while it is not null. */
  readonly paused: { readonly by: Actor; readonly atMs: number; readonly reason: string } | null;
}

export const noControl: ControlState = { paused: null };

// Values of a run as anybody with a key may see them.
//   S101  A value that is labelled secret is named and not shown: not in a replay, a difference of runs or the causes of a step.
import { toJson, type Json, type Value } from "@writ/core/value";
import type { RunState } from "@writ/runtime/state";

type Slot = RunState["slots"] extends ReadonlyMap<string, infer Kept> ? Kept : never;

const hidden = "(secret, not shown)";

/** The slot's value, or a note in place of a secret one. */
export function visibleValue({ value, labels }: Pick<Slot, "value" | "labels">): Value {
  return labels.includes("secret") ? hidden : value;
}

export function slotViews(
  slots: ReadonlyMap<string, Pick<Slot, "value" | "labels">>,
): { name: string; value: Json; labels: string[] }[] {
  return [...slots].map(([name, slot]) => ({
    name,
    value: toJson(visibleValue(slot)) as Json,
    labels: [...slot.labels],
  }));
}

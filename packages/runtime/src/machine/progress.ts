// Progress of an effect under way: the last value stays with the effect, for people and for what goes on after a crash.
import type { MachineEntry } from "../machine.ts";
import type { Draft } from "./draft.ts";

export function effectProgress(draft: Draft, entry: MachineEntry<"effect.progress">): void {
  const { step: id, attempt, value } = entry.facts;
  const { phase, attempt: current, effect, status } = draft.step(id);
  if (phase.kind !== "intended" || effect === null || attempt !== current) {
    throw draft.diverged(`step \`${id}\` is ${status}, yet its attempt ${attempt} reports progress`);
  }
  draft.change(id, { effect: { ...effect, progress: value } });
}

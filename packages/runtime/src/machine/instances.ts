// Instances: what a step was in the iterations of a loop before the one it is in now.
import type { StepId } from "@writ/core/ids";
import { freshStep, type PastStep, type StepState } from "../state.ts";
import type { Draft } from "./draft.ts";

/** Gives every step of the block, however deep inside, a new instance; attempts and groups go on counting. */
export function renewBlock(draft: Draft, number: number): void {
  for (const id of draft.base.prepared.blocks[number]?.steps ?? []) {
    const { blocks, degrade } = draft.index(id);
    for (const inner of degrade === null ? blocks : [...blocks, degrade]) {
      draft.changeBlock(inner, { status: "idle", control: [], fault: null });
      renewBlock(draft, inner);
    }
    draft.forgetApprovals(id);
    draft.renew(id, renewed(draft.step(id)));
  }
}

export function renewed(step: StepState): StepState {
  const { past = [] } = step;
  const mayStand = step.undo !== null || step.effect?.effect === "irreversible";
  const kept = mayStand ? [...past, instanceOf(step)] : past;
  return {
    ...freshStep,
    attempt: step.attempt + 1,
    group: step.group + 1,
    ...(kept.length === 0 ? {} : { past: kept }),
  };
}

function instanceOf({ status, attempt, group, fault, outcome, effect, undo }: StepState): PastStep {
  return { status, attempt, group, fault, outcome, effect, undo };
}

/**
 * The effect that was completed last of those that are still to be taken back, in whichever iteration. An earlier instance takes the
 * place of the step's present one, which is over, so that everything about an undo is about one instance.
 */
export function nextToUndo(draft: Draft): StepId | undefined {
  let found: { readonly id: StepId; readonly seq: number; readonly place: number | null } | undefined;
  for (const [id, { undo, past = [] }] of draft.steps) {
    if (undo?.phase === "open" && undo.completedSeq > (found?.seq ?? -1))
      found = { id, seq: undo.completedSeq, place: null };
    for (let place = past.length - 1; place >= 0; place--) {
      const seq = past[place]?.undo?.phase === "open" ? (past[place]?.undo?.completedSeq ?? 0) : -1;
      if (seq < 0) continue;
      if (seq > (found?.seq ?? -1)) found = { id, seq, place };
      break;
    }
  }
  if (found !== undefined && found.place !== null) recall(draft, found.id, found.place);
  return found?.id;
}

function recall(draft: Draft, id: StepId, place: number): void {
  const step = draft.step(id);
  const { past = [] } = step;
  const instance = past[place];
  if (instance === undefined) return;
  draft.renew(id, { ...step, ...instance, past: past.with(place, instanceOf(step)) });
}

/** Every instance of a step, the present one last. */
export function instancesOf(step: StepState): readonly PastStep[] {
  return step.past === undefined ? [step] : [...step.past, step];
}

// Forks: a new run that begins where another stood after one of its entries.
//   C10  What the other had done is taken over as done, with its values; it is neither done nor taken back again. What it was about to
//        do, waited for or was asked about begins anew.
import { isMap, parseValue, type Value, type ValueMap } from "@writ/core/value";
import type { StepId } from "@writ/core/ids";
import type { MachineEntry } from "../machine.ts";
import {
  freshStep,
  transitions,
  type BlockState,
  type RunState,
  type SlotState,
  type StepState,
} from "../state.ts";
import type { Draft } from "./draft.ts";

/** Why nobody can begin where the run stands, or null. */
export function forkProblem({ steps, prepared, ending, ended }: RunState): string | null {
  if (ending !== null || ended !== null) return "the run was ending there";
  for (const [id, { phase, status, unsure }] of steps) {
    if (unsure !== undefined) return `nobody knew whether \`${id}\` had been done`;
    switch (phase.kind) {
      case "blocked":
      case "settled":
      case "attempting":
      case "intercepted":
      case "timer":
      case "emitting":
        break;
      case "approval":
        if (status === "FAILED") return `\`${id}\` had failed and waited for a person`;
        break;
      case "blocks":
        if (prepared.steps.get(id)?.step.op.op === "approve")
          return `\`${id}\` had been approved for that run, and what it covers was under way`;
        break;
      case "held":
        return `\`${id}\` was held for a person`;
      default:
        return `\`${id}\` was under way`;
    }
  }
  return null;
}

/** What a fork takes over, as a value of its first entry. */
export function carriedOf(state: RunState): Value {
  const steps: Record<string, unknown> = {};
  for (const [id, step] of state.steps) steps[id] = carriedStep(step);
  const slots: Record<string, unknown> = {};
  for (const [name, { value, labels }] of state.slots) slots[name] = { value, labels };
  return parseValue({ steps, slots, blocks: state.blocks });
}

function carriedStep(step: StepState): Omit<StepState, "past" | "unsure"> {
  const { past: _, unsure: __, ...own } = step;
  switch (step.phase.kind) {
    case "settled":
      // Whoever did it takes it back.
      return { ...own, effect: null, undo: null };
    case "blocked":
    case "blocks":
      return { ...own, effect: null, undo: null, tries: 1 };
    default:
      return { ...freshStep, status: "WAITING" };
  }
}

export function startFork(draft: Draft, entry: MachineEntry<"run.started">, stored: Value | undefined): void {
  const from = entry.facts.forkedFrom;
  const value = from?.state.kind === "inline" ? from.state.value : stored;
  if (from === undefined || value === undefined || !isMap(value))
    throw draft.diverged("what it takes over is missing");
  const { steps, slots, blocks } = value;
  if (!isMap(steps) || !isMap(slots) || !Array.isArray(blocks))
    throw draft.diverged("what it takes over is malformed");
  draft.adopt(
    draft.base.prepared,
    stepsOf(draft, steps),
    blocks as readonly unknown[] as readonly BlockState[],
  );
  if (blocks.length !== draft.base.prepared.blocks.length)
    throw draft.diverged("it is a fork of another program");
  for (const [name, slot] of Object.entries(slots)) {
    const { value: content, labels } = slot as unknown as SlotState;
    draft.writeSlot(name, content, labels);
  }
  for (const [id, { phase, deadline }] of draft.steps) {
    const { timeoutMs } = draft.index(id).step;
    if (phase.kind === "blocks" && deadline !== null && timeoutMs !== null)
      draft.change(id, { deadline: { atMs: draft.atMs + timeoutMs, set: false } });
    const { loop } = draft.step(id);
    if (loop?.pause != null) draft.change(id, { loop: { ...loop, pause: { atMs: draft.atMs, set: false } } });
  }
  draft.control = { ...draft.control, forkedFrom: { run: from.run, seq: from.seq } };
}

function stepsOf(draft: Draft, steps: ValueMap): Map<StepId, StepState> {
  const found = new Map<StepId, StepState>();
  for (const id of draft.base.prepared.steps.keys()) {
    const step = steps[id] as unknown as StepState | undefined;
    if (step === undefined || !Object.hasOwn(transitions, step.status))
      throw draft.diverged(`it takes over nothing for step \`${id}\``);
    found.set(id, step);
  }
  return found;
}

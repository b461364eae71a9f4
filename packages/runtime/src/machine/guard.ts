// What the guard's entries do to a run.
import type { FaultRecord } from "@writ/core/fault";
import type { MachineEntry } from "../machine.ts";
import type { Draft } from "./draft.ts";
import { failStep, record } from "./failure.ts";

/** A decision on a step that has not begun. */
export function guardDecided(draft: Draft, entry: MachineEntry<"guard.decided">): void {
  const { step: id, attempt, decision, reason } = entry.facts;
  const step = draft.step(id);
  if (attempt !== step.attempt) throw draft.diverged(`step \`${id}\` is at attempt ${step.attempt}`);
  switch (decision) {
    case "stop": {
      const { kind } = step.phase;
      const isOpen =
        kind === "attempting" ||
        (kind === "approval" && step.phase.why !== "program") ||
        (kind === "timer" && step.phase.why === "retry");
      if (!isOpen) throw draft.diverged(`step \`${id}\` is ${step.status} (${kind}) and cannot be stopped`);
      closeApproval(draft, entry);
      failStep(draft, id, stopped(id, reason), { attempted: false, retryable: false });
      return;
    }
    case "cancel":
    case "acknowledge":
    case "missed":
    case "skip":
      throw draft.diverged(`step \`${id}\` has no countdown`);
  }
}

/** Nobody decides any more on what was stopped. */
function closeApproval(draft: Draft, { facts }: MachineEntry<"guard.decided">): void {
  const { phase } = draft.step(facts.step);
  if (phase.kind !== "approval" || phase.approval === null) return;
  const approval = draft.approvals.get(phase.approval);
  if (approval !== undefined) draft.setApproval({ ...approval, state: "rejected", by: facts.by });
}

function stopped(id: string, reason: string): FaultRecord {
  return record("gate.emergency-stop", `Step \`${id}\` was stopped: ${reason}`, { step: id });
}

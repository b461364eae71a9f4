// A run that gives way to a more urgent one: like a cancelled one it begins nothing more and takes back what it did; what it was
// stopped for, and whether it starts again, stands in its fault.
import type { MachineEntry } from "../machine.ts";
import type { Draft } from "./draft.ts";
import { endRun, record } from "./failure.ts";

export function preempted(draft: Draft, { facts }: MachineEntry<"run.preempted">): void {
  if (draft.ending !== null) throw draft.diverged("the run is ending already");
  const { by, on, names, again, times } = facts;
  draft.head = { ...draft.head, preemptions: times };
  const why = record("runtime.preempted", `The run gave way to \`${by}\``, { by, on, names, again });
  endRun(draft, { status: "failed", result: null, hasResult: false, fault: why, undo: true, asked: false });
}

// Replay: every state of a run, derived again from its entries. Nothing is performed and nothing is asked.
import type { RunEntry } from "@writ/core/entry";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import type { HashedProgram } from "@writ/core/program";
import type { Value } from "@writ/core/value";
import { decide, initialState } from "./machine.ts";
import { prepareProgram, type PreparedProgram } from "./program-index.ts";
import type { RunState } from "./state.ts";

export interface ReplayStep {
  readonly entry: RunEntry;
  /** After the entry. */
  readonly state: RunState;
}

export interface Replay {
  readonly steps: readonly ReplayStep[];
  /** The first entry that the machine did not expect, or null. */
  readonly divergence: { readonly seq: number; readonly fault: FaultRecord } | null;
}

/** `stored` gives the value of an entry that holds only its hash, `target` the program that a migration names. */
export function replay(
  entries: readonly RunEntry[],
  program: HashedProgram | PreparedProgram,
  stored: (entry: RunEntry) => Value | undefined = () => undefined,
  target: (entry: RunEntry) => PreparedProgram | undefined = () => undefined,
): Replay {
  const [first] = entries;
  if (first === undefined) return { steps: [], divergence: null };
  const steps: ReplayStep[] = [];
  let state = initialState(first.run, "hashed" in program ? program : prepareProgram(program));
  for (const entry of entries) {
    try {
      ({ state } = decide(state, entry, stored(entry), target(entry)));
    } catch (error) {
      const fault = faultRecord(error);
      if (fault === undefined) throw error;
      return { steps, divergence: { seq: entry.seq, fault } };
    }
    steps.push({ entry, state });
  }
  return { steps, divergence: null };
}

// Replay: every state of a run, derived again from its entries. Nothing is performed and nothing is asked.
import type { RunEntry } from "@writ/core/entry";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import type { HashedProgram } from "@writ/core/program";
import type { Value } from "@writ/core/value";
import { equalBytes } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import { fault } from "./faults.ts";
import { encodeState } from "./state-codec.ts";
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
      const value = stored(entry);
      if (entry.kind === "run.snapshot") compare(entry, value, steps);
      ({ state } = decide(state, entry, value, target(entry)));
    } catch (error) {
      const record = faultRecord(error);
      if (record === undefined) throw error;
      return { steps, divergence: { seq: entry.seq, fault: record } };
    }
    steps.push({ entry, state });
  }
  return { steps, divergence: null };
}

/** @throws runtime.diverged when the snapshot is not the state that the entries gave */
function compare(
  { seq, run, facts }: Extract<RunEntry, { kind: "run.snapshot" }>,
  value: Value | undefined,
  steps: readonly ReplayStep[],
): void {
  const known = facts.state.kind === "inline" ? facts.state.value : value;
  const then = steps.findLast(({ entry }) => entry.seq === facts.after)?.state;
  if (known === undefined || then === undefined || !isSame(known, encodeState(then))) {
    throw fault(
      "runtime.diverged",
      `Cannot fold entry ${seq} of run \`${run}\`: its snapshot is not what the entries give`,
      {
        run,
        seq,
      },
    );
  }
}

function isSame(a: Value, b: Value): boolean {
  return equalBytes(encodeCbor(a), encodeCbor(b));
}

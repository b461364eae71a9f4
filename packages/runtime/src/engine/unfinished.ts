// The first fold of a restart. Runs that only wait go back to the index one batch after another, so that memory holds what it would have
// held without the restart, also when the index was lost and every run that has not ended is folded.
import type { FaultRecord } from "@writ/core/fault";
import type { ProgramHash, RunId } from "@writ/core/ids";
import type { ParkedRun, ParkedRuns } from "@writ/core/ports";
import { parkAfterMs, recoveredBatch } from "../limits.ts";
import type { RunState } from "../state.ts";
import { sleepsUntil } from "./parking.ts";

export interface UnfinishedParts {
  readonly fold: (run: RunId) => Promise<RunState>;
  /** Absent: every run stays in memory. */
  readonly parked: ParkedRuns | undefined;
  readonly activeMax: number;
  readonly nowMs: number;
  /** The run keeps its turn. */
  readonly countParked: (program: ProgramHash, count: number) => void;
  /** It cannot be folded: it stands where it is. */
  readonly broken: (run: RunId, error: unknown) => FaultRecord;
}

export interface Unfinished {
  /** Those that go on in memory: with something under way or to be done, or whose time has come, while there is room. */
  readonly states: readonly RunState[];
  readonly broken: readonly { readonly run: RunId; readonly fault: FaultRecord }[];
  /** Those that were parked. */
  readonly parked: number;
}

export async function foldUnfinished(runs: readonly RunId[], parts: UnfinishedParts): Promise<Unfinished> {
  const { parked, activeMax, nowMs } = parts;
  const busy: RunState[] = [];
  const due: { readonly state: RunState; readonly waits: ParkedRun }[] = [];
  const broken: { run: RunId; fault: FaultRecord }[] = [];
  let batch: ParkedRun[] = [];
  let count = 0;

  const write = (): void => {
    if (batch.length > 0) parked?.park(batch);
    batch = [];
  };
  const park = (run: ParkedRun): void => {
    parts.countParked(run.program, 1);
    count += 1;
    batch.push(run);
    if (batch.length >= recoveredBatch) write();
  };

  for (const run of runs) {
    let state: RunState;
    try {
      state = await parts.fold(run);
    } catch (error) {
      broken.push({ run, fault: parts.broken(run, error) });
      continue;
    }
    if (state.ended !== null && state.ending === null) continue;
    const waits = parked === undefined ? undefined : waitsOnly(state);
    if (waits === undefined) busy.push(state);
    else if (waits.wakeAtMs !== null && waits.wakeAtMs - nowMs < parkAfterMs) due.push({ state, waits });
    else park(waits);
    // Whoever has something under way comes first; the index wakes the others as there is room.
    const last = busy.length + due.length > activeMax ? due.pop() : undefined;
    if (last !== undefined) park(last.waits);
  }
  write();
  return { states: [...busy, ...due.map(({ state }) => state)], broken, parked: count };
}

/** Undefined for a run that has to be in memory. */
function waitsOnly(state: RunState): ParkedRun | undefined {
  // One that waits for its turn has none to keep; one that gave way still keeps others from the lock.
  if (state.begun !== true || state.ending?.fault?.code === "runtime.preempted") return undefined;
  const wakeAtMs = sleepsUntil(state);
  return wakeAtMs === undefined
    ? undefined
    : { run: state.run, program: state.program, seq: state.seq, wakeAtMs };
}

// Parked runs in memory: the contract of the port, over a ledger in memory. What was parked survives a restart like a file would.
import type { EntryFacts } from "@writ/core/entry";
import type { ProgramHash, RunId } from "@writ/core/ids";
import type { ParkedRun, ParkedRuns } from "@writ/core/ports";
import type { MemoryLedger } from "./memory-ledger.ts";

export interface MemoryParkedRuns extends ParkedRuns {
  /** Runs that are unfinished and not parked: what a restart folds. */
  unparked(): readonly RunId[];
}

/** Those of `before` whose last entry is still what it was, as projections find them when they are opened. */
export function memoryParkedRuns(ledger: MemoryLedger, before?: MemoryParkedRuns): MemoryParkedRuns {
  const parked = new Map<RunId, ParkedRun>();
  const lastSeq = (run: RunId): number => ledger.entries().findLast((entry) => entry.run === run)?.seq ?? -1;
  for (const run of before === undefined ? [] : ledger.unfinishedRuns()) {
    const known = before?.has(run) === true ? parkedOf.get(before)?.get(run) : undefined;
    if (known?.seq === lastSeq(run)) parked.set(run, known);
  }
  const waiting = (run: RunId) => {
    const asked = new Map<
      string,
      { readonly atMs: number; readonly facts: EntryFacts["approval.requested"] }
    >();
    let workspace = "";
    for (const entry of ledger.entries()) {
      if (entry.run !== run) continue;
      if (entry.kind === "run.started") ({ workspace } = entry.facts);
      if (entry.kind === "approval.requested") asked.set(entry.facts.approval, entry);
      if (entry.kind === "approval.decided" || entry.kind === "approval.expired")
        asked.delete(entry.facts.approval);
    }
    return { workspace, asked: [...asked.values()] };
  };
  const index: MemoryParkedRuns = {
    counts() {
      const counts = new Map<ProgramHash, number>();
      for (const { program } of parked.values()) counts.set(program, (counts.get(program) ?? 0) + 1);
      return counts;
    },
    has: (run) => parked.has(run),
    park(runs) {
      for (const run of runs) parked.set(run.run, run);
    },
    unpark: (run) => parked.delete(run),
    nextWakeMs() {
      const times = [...parked.values()].flatMap(({ wakeAtMs }) => (wakeAtMs === null ? [] : [wakeAtMs]));
      return times.length === 0 ? null : Math.min(...times);
    },
    due: (untilMs, limit) =>
      [...parked.values()]
        .filter(({ wakeAtMs }) => wakeAtMs !== null && wakeAtMs <= untilMs)
        .sort((a, b) => (a.wakeAtMs ?? 0) - (b.wakeAtMs ?? 0))
        .slice(0, limit)
        .map(({ run }) => run),
    approvals: () =>
      [...parked.values()].flatMap(({ run, program }) => {
        const { workspace, asked } = waiting(run);
        return asked.map(({ atMs, facts }) => ({ run, program, workspace, requestedAtMs: atMs, facts }));
      }),
    runOfApproval: (approval) => index.approvals().find(({ facts }) => facts.approval === approval)?.run,
    unparked: () => ledger.unfinishedRuns().filter((run) => !parked.has(run)),
  };
  parkedOf.set(index, parked);
  return index;
}

const parkedOf = new WeakMap<MemoryParkedRuns, ReadonlyMap<RunId, ParkedRun>>();

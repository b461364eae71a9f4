// Parked runs: which only wait, and until when. Written by the engine, which has folded them; good only while no entry followed.
import type { DatabaseSync } from "node:sqlite";
import { programHash, runId } from "@writ/core/ids";
import type { ParkedRuns } from "@writ/core/ports";
import type { PendingApproval } from "../projections.ts";

export interface OpenParkedRuns {
  readonly index: ParkedRuns;
  /** Forgets runs that have ended or went on since they were parked: after a crash, what was written last may be missing. */
  forgetStale(): void;
}

export function parkedRuns(
  db: DatabaseSync,
  parts: {
    readonly flush: () => void;
    readonly attempt: <T>(operation: () => T) => T;
    readonly approvals: () => readonly PendingApproval[];
  },
): OpenParkedRuns {
  const { flush, attempt, approvals } = parts;
  const selects = {
    has: db.prepare("SELECT 1 FROM parked WHERE run_no = (SELECT no FROM run WHERE id = ?)"),
    counts: db.prepare("SELECT program, count(*) AS count FROM parked GROUP BY program"),
    next: db.prepare("SELECT min(wake_ms) AS wake FROM parked WHERE wake_ms IS NOT NULL"),
    due: db.prepare(
      "SELECT run.id FROM parked JOIN run ON run.no = run_no WHERE wake_ms <= ? ORDER BY wake_ms LIMIT ?",
    ),
    ofApproval: db.prepare(
      "SELECT run.id FROM approval JOIN parked ON parked.run_no = approval.run_no JOIN run ON run.no = approval.run_no WHERE approval.id = ?",
    ),
  };
  const insert = db.prepare(
    "INSERT OR REPLACE INTO parked (run_no, program, seq, wake_ms) SELECT no, ?, ?, ? FROM run WHERE id = ?",
  );
  const remove = db.prepare("DELETE FROM parked WHERE run_no = (SELECT no FROM run WHERE id = ?)");
  const removeStale = db.prepare(
    "DELETE FROM parked WHERE NOT EXISTS (SELECT 1 FROM run WHERE no = run_no AND is_open = 1 AND last_seq = parked.seq)",
  );

  const index: ParkedRuns = {
    counts: () =>
      new Map(selects.counts.all().map((row) => [programHash(String(row["program"])), Number(row["count"])])),
    has: (run) => selects.has.get(run) !== undefined,
    park(runs) {
      flush();
      attempt(() => {
        db.exec("BEGIN");
        for (const { run, program, seq, wakeAtMs } of runs) insert.run(program, seq, wakeAtMs, run);
        db.exec("COMMIT");
      });
    },
    unpark: (run) => attempt(() => Number(remove.run(run).changes) > 0),
    nextWakeMs: () => {
      const wake = selects.next.get()?.["wake"];
      return typeof wake === "number" ? wake : null;
    },
    due: (untilMs, limit) => selects.due.all(untilMs, limit).map((row) => runId(String(row["id"]))),
    approvals() {
      flush();
      return approvals();
    },
    runOfApproval(approval) {
      flush();
      const row = selects.ofApproval.get(approval);
      return row === undefined ? undefined : runId(String(row["id"]));
    },
  };
  return { index, forgetStale: () => attempt(() => removeStale.run()) };
}

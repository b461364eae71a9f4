// What the projections say of entries that may be taken out of the ledger, and what they forget when they were. Runs are taken out whole.
import type { DatabaseSync } from "node:sqlite";
import type { EntryFacts } from "@writ/core/entry";
import { runId, type RunId } from "@writ/core/ids";

export interface PruneIndex {
  /** The run has ended, and all of its entries are between these two. */
  isWhollyBetween(run: string, firstSeq: number, lastSeq: number): boolean;
  /** The last event of a source session: where the source goes on. */
  isCursor(seq: number): boolean;
  /** Runs that have ended with all of their entries between these two. */
  runsBetween(firstSeq: number, lastSeq: number): ReadonlySet<RunId>;
}

/** Of no run, and nobody asks for them again. */
export const passingKinds: ReadonlySet<string> = new Set([
  "node.started",
  "node.stopped",
  "notification.sent",
  "event.received",
]);

// The runs that wrote what is remembered now are kept, their entries are the value; so are those that commanded a device last.
const kept = "SELECT holder FROM memory UNION SELECT run_no FROM commanded";
const whole = `is_open = 0 AND no BETWEEN ? AND ? AND last_seq <= ? AND no NOT IN (${kept})`;

export function pruneIndex(db: DatabaseSync, flush: () => void): PruneIndex {
  const run = db.prepare(`SELECT 1 FROM run WHERE id = ? AND ${whole}`);
  const runs = db.prepare(`SELECT id FROM run WHERE ${whole}`);
  const cursor = db.prepare("SELECT 1 FROM last_event WHERE seq = ?");
  return {
    isWhollyBetween: (id, first, last) => run.get(id, first, last, last) !== undefined,
    isCursor: (seq) => cursor.get(seq) !== undefined,
    runsBetween(first, last) {
      flush();
      return new Set(runs.all(first, last, last).map((row) => runId(String(row["id"]))));
    },
  };
}

export function removePruned(
  db: DatabaseSync,
  { firstSeq, lastSeq }: Pick<EntryFacts["ledger.pruned"], "firstSeq" | "lastSeq">,
): void {
  db.prepare(
    `DELETE FROM run_batch WHERE run_no BETWEEN ? AND ? AND run_no IN (SELECT no FROM run WHERE ${whole})`,
  ).run(firstSeq, lastSeq, firstSeq, lastSeq, lastSeq);
  db.prepare(`DELETE FROM run WHERE ${whole}`).run(firstSeq, lastSeq, lastSeq);
  db.prepare(
    "DELETE FROM node_entry WHERE seq BETWEEN ? AND ? AND kind IN ('node.started', 'node.stopped')",
  ).run(firstSeq, lastSeq);
}

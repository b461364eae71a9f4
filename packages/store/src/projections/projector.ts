// What each durable entry changes in the projections.
import type { DatabaseSync } from "node:sqlite";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import { isRunEntry, type Entry, type NodeEntry, type RunEntry } from "@writ/core/entry";
import { sessionOfSourceKey, type Event } from "@writ/core/event";
import { isMap, type Value } from "@writ/core/value";
import type { DurableBatch } from "../ledger.ts";
import { runNumbersMax } from "../limits.ts";
import { commandedProjector, commandedSchema } from "./commanded.ts";
import { memoryProjector, memorySchema } from "./memory.ts";
import { removePruned } from "./pruned.ts";
import { isProgramEntry, programProjector, programSchema } from "./programs.ts";

/** Raised whenever a table or its meaning changes: older projections are then rebuilt. */
export const schemaVersion = 8;

export const schema = `
  BEGIN;
  CREATE TABLE head (node TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL);
  CREATE TABLE run (
    no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, program TEXT NOT NULL, workspace TEXT NOT NULL,
    status TEXT NOT NULL, is_open INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER,
    event TEXT NOT NULL, fault TEXT, last_hash TEXT NOT NULL, last_seq INTEGER NOT NULL, snapshot_after INTEGER
  );
  CREATE INDEX run_open ON run (no) WHERE is_open = 1;
  CREATE INDEX run_program ON run (program, no);
  CREATE INDEX run_status ON run (status, no);
  CREATE TABLE run_batch (run_no INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (run_no, position)) WITHOUT ROWID;
  CREATE TABLE node_entry (seq INTEGER PRIMARY KEY, position INTEGER NOT NULL, kind TEXT NOT NULL);
  CREATE TABLE approval (
    id TEXT PRIMARY KEY, run_no INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, facts BLOB NOT NULL
  );
  CREATE INDEX approval_run ON approval (run_no);
  CREATE TABLE held (
    run_no INTEGER NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL, attempt INTEGER, reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (run_no, step, kind)
  );
  CREATE TABLE event (source_key TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE last_event (session TEXT PRIMARY KEY, seq INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE parked (
    run_no INTEGER PRIMARY KEY, program TEXT NOT NULL, seq INTEGER NOT NULL, wake_ms INTEGER
  );
  CREATE INDEX parked_wake ON parked (wake_ms) WHERE wake_ms IS NOT NULL;
  ${programSchema}
  ${memorySchema}
  ${commandedSchema}
  CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TRIGGER run_begins AFTER INSERT ON run BEGIN
    INSERT INTO tally VALUES (new.status, 1) ON CONFLICT DO UPDATE SET count = count + 1;
  END;
  CREATE TRIGGER run_moves AFTER UPDATE OF status ON run WHEN old.status <> new.status BEGIN
    UPDATE tally SET count = count - 1 WHERE name = old.status;
    INSERT INTO tally VALUES (new.status, 1) ON CONFLICT DO UPDATE SET count = count + 1;
  END;
  CREATE TRIGGER run_goes AFTER DELETE ON run BEGIN
    UPDATE tally SET count = count - 1 WHERE name = old.status;
  END;
  CREATE TRIGGER event_comes AFTER INSERT ON event BEGIN
    INSERT INTO tally VALUES (' events', 1) ON CONFLICT DO UPDATE SET count = count + 1;
  END;
  PRAGMA user_version = ${schemaVersion};
  COMMIT;
`;

export interface Projector {
  /** Last projected entry. */
  seq(): number;
  /** Projects the batches in one transaction; entries that are projected already are passed over. */
  batches(batches: readonly DurableBatch[]): void;
}

export function projector(db: DatabaseSync): Projector {
  const insertRun = db.prepare(
    "INSERT INTO run (no, id, program, workspace, status, is_open, started_ms, event, last_hash, last_seq) VALUES (?, ?, ?, ?, 'running', 1, ?, ?, '', -1)",
  );
  const runNo = db.prepare("SELECT no FROM run WHERE id = ?");
  const setLast = db.prepare("UPDATE run SET last_hash = ?, last_seq = ? WHERE no = ?");
  const setSnapshot = db.prepare("UPDATE run SET snapshot_after = ? WHERE no = ?");
  const insertBatch = db.prepare("INSERT OR IGNORE INTO run_batch (run_no, position) VALUES (?, ?)");
  const endRun = db.prepare("UPDATE run SET status = ?, is_open = 0, ended_ms = ?, fault = ? WHERE no = ?");
  const reopenRun = db.prepare("UPDATE run SET status = 'undoing', is_open = 1 WHERE no = ? AND is_open = 0");
  const moveRun = db.prepare("UPDATE run SET program = ? WHERE no = ?");
  const goOnRun = db.prepare(
    "UPDATE run SET status = 'running', is_open = 1, ended_ms = NULL, fault = NULL WHERE no = ? AND is_open = 0",
  );
  // An open run is held, waiting, or otherwise what it was (undoing or running).
  const settleStatus = db.prepare(`
    UPDATE run SET status = CASE
      WHEN EXISTS (SELECT 1 FROM held WHERE run_no = no) THEN 'held'
      WHEN EXISTS (SELECT 1 FROM approval WHERE run_no = no) THEN 'waiting'
      WHEN ended_ms IS NOT NULL THEN 'undoing'
      ELSE 'running' END
    WHERE no = ? AND is_open = 1`);
  const insertApproval = db.prepare(
    "INSERT OR REPLACE INTO approval (id, run_no, seq, at_ms, facts) VALUES (?, ?, ?, ?, ?)",
  );
  const removeApproval = db.prepare("DELETE FROM approval WHERE id = ?");
  const approvalsOfRun = db.prepare("SELECT id, facts FROM approval WHERE run_no = ?");
  const removeApprovals = db.prepare("DELETE FROM approval WHERE run_no = ?");
  const insertHeld = db.prepare(
    "INSERT OR REPLACE INTO held (run_no, step, kind, attempt, reason, at_ms, seq) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const removeHeld = db.prepare("DELETE FROM held WHERE run_no = ? AND step = ? AND kind = ?");
  const removeAllHeld = db.prepare("DELETE FROM held WHERE run_no = ?");
  const insertNodeEntry = db.prepare("INSERT INTO node_entry (seq, position, kind) VALUES (?, ?, ?)");
  const projectProgram = programProjector(db);
  const memory = memoryProjector(db);
  const commanded = commandedProjector(db);
  const insertEvent = db.prepare("INSERT OR IGNORE INTO event (source_key) VALUES (?)");
  const setLastEvent = db.prepare(
    "INSERT OR REPLACE INTO last_event (session, seq, position) VALUES (?, ?, ?)",
  );
  const setHead = db.prepare("UPDATE head SET seq = ?, hash = ?");
  let seq = Number(db.prepare("SELECT seq FROM head").get()?.["seq"] ?? -1);

  /** Nobody is asked any more about a step that somebody ordered otherwise about. */
  function removeStepApprovals(no: number, step: string): void {
    for (const { id, facts } of approvalsOfRun.all(no)) {
      const known = facts instanceof Uint8Array ? decodeCbor(facts) : null;
      if (isMap(known) && known["step"] === step) removeApproval.run(String(id));
    }
  }

  /** Rows of runs that went on lately, so that they are not looked up for each batch. */
  const numbers = new Map<string, number>();
  /** Whether there ever was a row that the end of a run has to remove: most nodes run for weeks without. */
  let isAnyWaiting =
    db.prepare("SELECT EXISTS (SELECT 1 FROM approval) OR EXISTS (SELECT 1 FROM held) AS any").get()?.[
      "any"
    ] === 1;

  function projectNodeEntry(entry: NodeEntry, position: number): void {
    if (entry.kind === "event.received") {
      const { sourceKey } = entry.facts;
      insertEvent.run(sourceKey);
      setLastEvent.run(sessionOfSourceKey(sourceKey), entry.seq, position);
    } else if (isProgramEntry(entry)) projectProgram(entry);
    else if (entry.kind === "memory.forgotten") {
      memory.forget(entry.facts);
      insertNodeEntry.run(entry.seq, position, entry.kind);
    } else if (entry.kind === "ledger.pruned") {
      numbers.clear();
      removePruned(db, entry.facts);
      insertNodeEntry.run(entry.seq, position, entry.kind);
    } else if (entry.kind !== "notification.sent") insertNodeEntry.run(entry.seq, position, entry.kind);
  }

  function projectRunEntry(entry: RunEntry, no: number): void {
    isAnyWaiting ||= entry.kind === "approval.requested" || entry.kind.endsWith(".held");
    commanded.project(entry, no);
    switch (entry.kind) {
      case "effect.held":
        insertHeld.run(
          no,
          entry.facts.step,
          "effect",
          entry.facts.attempt,
          entry.facts.reason,
          entry.atMs,
          entry.seq,
        );
        break;
      case "undo.held":
        insertHeld.run(no, entry.facts.step, "undo", null, entry.facts.fault.message, entry.atMs, entry.seq);
        break;
      case "effect.settled":
        removeHeld.run(no, entry.facts.step, "effect");
        break;
      case "undo.settled":
        removeHeld.run(no, entry.facts.step, "undo");
        break;
      case "approval.requested":
        insertApproval.run(
          entry.facts.approval,
          no,
          entry.seq,
          entry.atMs,
          encodeCbor(entry.facts as unknown as Value),
        );
        break;
      case "approval.decided":
      case "approval.expired":
        removeApproval.run(entry.facts.approval);
        break;
      case "run.migrated":
        moveRun.run(entry.facts.target, no);
        return;
      case "step.retry-ordered":
      case "step.skip-ordered":
        goOnRun.run(no);
        removeHeld.run(no, entry.facts.step, "effect");
        removeStepApprovals(no, entry.facts.step);
        break;
      case "run.snapshot":
        setSnapshot.run(entry.facts.after, no);
        return;
      case "undo.requested":
        reopenRun.run(no);
        break;
      case "run.ended":
        if (isAnyWaiting) {
          removeApprovals.run(no);
          removeAllHeld.run(no);
        }
        endRun.run(entry.facts.status, entry.atMs, entry.facts.fault?.code ?? null, no);
        return;
      case "effect.intended":
      case "effect.completed":
      case "effect.failed":
      case "undo.intended":
      case "undo.completed":
        memory.project(entry, no);
        return;
      case "run.started":
      case "effect.progress":
      case "effect.refused":
      case "timer.set":
      case "timer.fired":
      case "event.emitted":
      case "run.cancel-requested":
      case "wait.begun":
      case "wait.matched":
      case "wait.missed":
      case "child.started":
      case "child.ended":
      case "guard.announced":
      case "guard.decided":
      case "guard.passed":
      case "guard.postponed":
      case "guard.read-back":
      case "run.paused":
      case "run.resumed":
      case "run.preempted":
      case "run.priority-set":
      case "breakpoint.set":
      case "breakpoint.cleared":
      case "step.intercepted":
      case "step.released":
        return;
    }
    settleStatus.run(no);
  }

  function projectAll(batches: readonly DurableBatch[]): void {
    if (numbers.size > runNumbersMax) numbers.clear();
    const last = new Map<number, RunEntry>();
    const lastPosition = new Map<number, number>();
    let lastEntry: Entry | null = null;
    for (const { entries, position } of batches) {
      for (const entry of entries) {
        if (entry.seq <= seq) continue;
        lastEntry = entry;
        if (!isRunEntry(entry)) {
          projectNodeEntry(entry, position);
          continue;
        }
        let no = numbers.get(entry.run);
        if (no === undefined) {
          const known = entry.kind === "run.started" ? beginRun(entry) : runNo.get(entry.run)?.["no"];
          // Only where a ledger was pruned by another hand than ours.
          if (typeof known !== "number") continue;
          no = known;
          numbers.set(entry.run, no);
        }
        if (lastPosition.get(no) !== position) insertBatch.run(no, position);
        lastPosition.set(no, position);
        last.set(no, entry);
        projectRunEntry(entry, no);
        if (entry.kind === "run.ended") numbers.delete(entry.run);
      }
    }
    for (const [no, { hash, seq: at }] of last) setLast.run(hash, at, no);
    if (lastEntry === null) return;
    setHead.run(lastEntry.seq, lastEntry.hash);
    seq = lastEntry.seq;
  }

  function beginRun(entry: Entry<"run.started">): number {
    const { program, workspace, event } = entry.facts;
    insertRun.run(entry.seq, entry.run, program, workspace, entry.atMs, summaryOf(event));
    return entry.seq;
  }

  return {
    seq: () => seq,
    batches(batches) {
      const before = seq;
      db.exec("BEGIN");
      try {
        projectAll(batches);
        db.exec("COMMIT");
      } catch (error) {
        seq = before;
        numbers.clear();
        // A full disk makes SQLite roll back by itself; a second complaint must not hide the first.
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
  };
}

/** Type of the event and what it is about: its subject, or the path or name in its data; an id tells nobody anything. */
function summaryOf(event: Event): string {
  const about = [event.subject, event.data["path"], event.data["name"]].find(
    (part) => typeof part === "string",
  );
  return typeof about === "string" ? `${event.type} ${about}` : event.type;
}

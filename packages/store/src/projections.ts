// Projections: what is asked of the ledger, kept in SQLite behind it and rebuilt from it at will. Never the truth.
//   P1  Only durable entries are projected, in order, in batches; a query first catches up with what is durable.
//   P2  Projections of another node, of another version or of a broken file are thrown away and rebuilt.
//   P3  Projections that are ahead of the ledger prove that it lost durable entries: ledger.truncated.
import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fromHex } from "@writ/core/bytes";
import { decodeCbor } from "@writ/core/cbor";
import type { EntryFacts, NodeEntry, NodeEntryKind, RunEnd } from "@writ/core/entry";
import {
  programHash,
  runId,
  stepId,
  type ApprovalId,
  type NodeId,
  type ProgramHash,
  type RunId,
  type StepId,
} from "@writ/core/ids";
import type { Memory, ParkedRuns, World } from "@writ/core/ports";
import { fault } from "./faults.ts";
import type { DurableBatch, OpenLedger, RunIndex } from "./ledger.ts";
import { damaged, truncated } from "./ledger/recover.ts";
import { projectionBatchMax, projectionDelayMs, projectionQueueMax } from "./limits.ts";
import { parkedRuns } from "./projections/parked.ts";
import { writeAheadLog, type WriteAheadLog } from "./projections/write-ahead-log.ts";
import { programRecords, type ProgramRecords } from "./projections/programs.ts";
import { memoryRecords } from "./projections/memory.ts";
import { pruneIndex, type PruneIndex } from "./projections/pruned.ts";
import { projector, schema, schemaVersion, type Projector } from "./projections/projector.ts";

export type { ProgramRecords } from "./projections/programs.ts";

/** `held` waits for a person after a crash or an undo, `waiting` for an approval, `undoing` takes effects back after the end. */
export type RunStatus = "running" | "waiting" | "held" | "undoing" | RunEnd;

export interface RunRow {
  readonly run: RunId;
  readonly program: ProgramHash;
  readonly workspace: string;
  readonly status: RunStatus;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** Type and subject of the event that started it. */
  readonly eventSummary: string;
  readonly faultCode: string | null;
  /** Sequence number of its first entry: newer runs have larger ones. */
  readonly startedSeq: number;
}

export interface RunQuery {
  readonly status?: RunStatus;
  readonly program?: ProgramHash;
  readonly workspace?: string;
  /** Rows at most. */
  readonly limit: number;
  /** Only runs with a smaller `startedSeq`, for the next page. */
  readonly before?: number;
}

export interface PendingApproval {
  readonly run: RunId;
  readonly program: ProgramHash;
  readonly workspace: string;
  readonly requestedAtMs: number;
  readonly seq: number;
  readonly facts: EntryFacts["approval.requested"];
}

/** An effect or an undo that waits for a person. */
export interface HeldEffect {
  readonly run: RunId;
  readonly program: ProgramHash;
  readonly workspace: string;
  readonly kind: "effect" | "undo";
  readonly step: StepId;
  /** Null for an undo. */
  readonly attempt: number | null;
  /** Reason, or the message of the fault that held the undo. */
  readonly reason: string;
  readonly heldAtMs: number;
  readonly seq: number;
}

export interface Counts {
  readonly entries: number;
  readonly events: number;
  readonly approvals: number;
  readonly held: number;
  /** Runs by status; statuses that no run has are absent. */
  readonly runs: Readonly<Partial<Record<RunStatus, number>>>;
}

/** Every query @throws store.projections-failed */
export interface Projections {
  /** Runs that have not ended, or whose effects are being taken back, and are not parked; oldest first. */
  unfinishedRuns(): readonly RunId[];
  /** Newest first. */
  runs(query: RunQuery): readonly RunRow[];
  run(id: RunId): RunRow | undefined;
  /** Requested, not decided, not expired, of runs that have not ended; oldest first. */
  pendingApprovals(): readonly PendingApproval[];
  pendingApproval(id: ApprovalId): PendingApproval | undefined;
  /** Oldest first. */
  held(): readonly HeldEffect[];
  /** Whether an `event.received` with this key is recorded. */
  eventSeen(sourceKey: string): boolean;
  /**
   * Entries of no run that make up the node's registry, in order: all kinds but notifications and those of programs, and of the events
   * only the last of each source session (whose key is the source key up to its `#`), which holds where the source goes on. With
   * `kinds`, only these.
   */
  nodeEntries(kinds?: readonly NodeEntryKind[]): AsyncIterable<NodeEntry>;
  /** What the entries of programs say. */
  readonly programs: ProgramRecords;
  /** Runs of the workspace that have not ended, or whose effects are being taken back; oldest first. */
  unfinishedIn(workspace: string, limit: number): readonly RunId[];
  counts(): Counts;
  /** Runs that only wait; what is kept of one whose last entry is another by now is forgotten when the projections are opened. */
  readonly parked: ParkedRuns;
  readonly memory: Memory;
}

/** Projections as their owner sees them. */
export interface OpenProjections extends Projections, RunIndex {
  /** Last entry that is on the disk of the projections: the ledger must hold it. -1 when there is none. */
  readonly knownSeq: number;
  /** Catches up and then follows. @throws ledger.truncated, ledger.damaged */
  follow(ledger: OpenLedger): Promise<void>;
  readonly pruning: PruneIndex;
  close(): void;
}

/** `file` is a path, or `:memory:`. */
export function openProjections(file: string, node: NodeId, world: World): OpenProjections {
  const db = openDb(file, node);
  const project: Projector = projector(db);
  const head = db.prepare("SELECT seq, hash FROM head").get();
  const knownSeq = Number(head?.["seq"] ?? -1);
  const knownHash = String(head?.["hash"] ?? "");
  let ledger: OpenLedger | null = null;
  let unsubscribe: (() => void) | null = null;
  let queue: DurableBatch[] = [];
  let queued = 0;
  let isTimerSet = false;
  let isFlushSet = false;
  let failure: Error | null = null;
  let isClosed = false;
  let log: WriteAheadLog | null = null;

  /** Everything durable into SQLite, in one transaction. */
  function flush(): void {
    if (failure !== null) throw failure;
    if (queued === 0) return;
    const batches = queue;
    queue = [];
    queued = 0;
    attempt(() => project.batches(batches));
    log?.written();
  }

  function attempt<T>(operation: () => T): T {
    try {
      return operation();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      failure = fault("store.projections-failed", `Cannot project the ledger: ${why}`, { why }, error);
      ledger?.stop(failure);
      throw failure;
    }
  }

  function flushLater(): void {
    if (isClosed) return;
    // While the log is being emptied nothing is added to it, or it would never be empty; a query does not wait.
    if (log?.isEmptying() === true && queued < projectionQueueMax) return;
    try {
      flush();
    } catch {
      // `failure` holds it, and the ledger has stopped.
    }
  }

  function take(batch: DurableBatch): void {
    queue.push(batch);
    queued += batch.entries.length;
    if (queued >= projectionBatchMax) return flushSoon();
    if (isTimerSet) return;
    isTimerSet = true;
    void world.sleep(projectionDelayMs).then(() => {
      isTimerSet = false;
      flushLater();
    });
  }

  /** Two turns later: whoever waited for these entries goes on first, and the next commit is on its way to the disk. */
  function flushSoon(): void {
    if (isFlushSet) return;
    isFlushSet = true;
    setImmediate(() =>
      setImmediate(() => {
        isFlushSet = false;
        flushLater();
      }),
    );
  }

  const runColumns = "id, program, workspace, status, started_ms, ended_ms, event, fault, no";
  const selects = {
    unfinished: db.prepare(
      "SELECT id FROM run WHERE is_open = 1 AND no NOT IN (SELECT run_no FROM parked) ORDER BY no",
    ),
    run: db.prepare(`SELECT ${runColumns} FROM run WHERE id = ?`),
    approvals: db.prepare(
      "SELECT run.id AS run, program, workspace, seq, at_ms, facts FROM approval JOIN run ON run.no = run_no ORDER BY seq",
    ),
    parkedApprovals: db.prepare(
      "SELECT run.id AS run, run.program, workspace, approval.seq, at_ms, facts FROM approval JOIN parked ON parked.run_no = approval.run_no JOIN run ON run.no = approval.run_no ORDER BY approval.seq",
    ),
    approval: db.prepare(
      "SELECT run.id AS run, program, workspace, seq, at_ms, facts FROM approval JOIN run ON run.no = run_no WHERE approval.id = ?",
    ),
    held: db.prepare(
      "SELECT run.id AS run, program, workspace, kind, step, attempt, reason, at_ms, seq FROM held JOIN run ON run.no = run_no ORDER BY seq",
    ),
    event: db.prepare("SELECT 1 FROM event WHERE source_key = ?"),
    snapshotAfter: db.prepare("SELECT snapshot_after FROM run WHERE id = ?"),
    lastHash: db.prepare("SELECT last_hash FROM run WHERE id = ?"),
    positions: db.prepare(
      "SELECT position FROM run_batch WHERE run_no = (SELECT no FROM run WHERE id = ?) ORDER BY position",
    ),
    nodeEntries: db.prepare(
      "SELECT seq, position FROM node_entry UNION ALL SELECT seq, position FROM last_event ORDER BY seq",
    ),
    nodeEntriesOf: db.prepare(
      "SELECT seq, position FROM node_entry WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY seq",
    ),
    unfinishedIn: db.prepare("SELECT id FROM run WHERE is_open = 1 AND workspace = ? ORDER BY no LIMIT ?"),
    statuses: db.prepare("SELECT name, count FROM tally WHERE count > 0 AND name <> ' events'"),
    counts: db.prepare(
      "SELECT (SELECT seq + 1 FROM head) AS entries, (SELECT count FROM tally WHERE name = ' events') AS events, (SELECT count(*) FROM approval) AS approvals, (SELECT count(*) FROM held) AS held",
    ),
  };

  const parked = parkedRuns(db, {
    flush,
    attempt,
    approvals: () => selects.parkedApprovals.all().map(approvalRow),
  });

  return {
    knownSeq,
    parked: parked.index,
    async follow(given) {
      ledger = given;
      if (knownSeq > given.durableSeq()) throw truncated(given.durableSeq() + 1, knownSeq + 1);
      if (knownSeq >= 0) {
        const entry = await given.read(knownSeq);
        if (entry.hash !== knownHash) {
          const place = { segment: "", offset: 0, seq: knownSeq };
          throw damaged("it is not the entry that was durable", place);
        }
      }
      unsubscribe = given.subscribeBatches(take);
      let waiting: DurableBatch[] = [];
      let count = 0;
      for await (const batch of given.batches(knownSeq + 1)) {
        waiting.push(batch);
        count += batch.entries.length;
        if (count < 4 * projectionBatchMax) continue;
        const full = waiting;
        attempt(() => project.batches(full));
        waiting = [];
        count = 0;
      }
      attempt(() => project.batches(waiting));
      parked.forgetStale();
      given.useIndex(this);
      if (file !== ":memory:") log = writeAheadLog(db, file, flushLater);
    },
    close() {
      if (isClosed) return;
      log?.close();
      unsubscribe?.();
      if (failure === null) flushLater();
      isClosed = true;
      db.close();
    },
    indexedSeq: () => project.seq(),
    lastHash(run) {
      flush();
      const row = selects.lastHash.get(run);
      return row === undefined ? null : fromHex(String(row["last_hash"]));
    },
    snapshotAfter(run) {
      flush();
      const after = selects.snapshotAfter.get(run)?.["snapshot_after"];
      return typeof after === "number" ? after : null;
    },
    positions(run) {
      flush();
      return selects.positions.all(run).map((row) => Number(row["position"]));
    },
    unfinishedRuns() {
      flush();
      return selects.unfinished.all().map((row) => runId(String(row["id"])));
    },
    runs(query) {
      flush();
      const filters = [
        ["status = ?", query.status],
        ["program = ?", query.program],
        ["workspace = ?", query.workspace],
        ["no < ?", query.before],
      ] as const;
      const used = filters.filter(([, value]) => value !== undefined);
      const where = used.length === 0 ? "" : `WHERE ${used.map(([text]) => text).join(" AND ")}`;
      const statement = db.prepare(`SELECT ${runColumns} FROM run ${where} ORDER BY no DESC LIMIT ?`);
      return statement.all(...used.map(([, value]) => value ?? null), query.limit).map(runRow);
    },
    run(id) {
      flush();
      const row = selects.run.get(id);
      return row === undefined ? undefined : runRow(row);
    },
    pendingApprovals() {
      flush();
      return selects.approvals.all().map(approvalRow);
    },
    pendingApproval(id) {
      flush();
      const row = selects.approval.get(id);
      return row === undefined ? undefined : approvalRow(row);
    },
    held() {
      flush();
      return selects.held.all().map(heldRow);
    },
    eventSeen(sourceKey) {
      flush();
      return selects.event.get(sourceKey) !== undefined;
    },
    programs: programRecords(db, flush),
    pruning: pruneIndex(db, flush),
    memory: memoryRecords(db, flush),
    unfinishedIn(workspace, limit) {
      flush();
      return selects.unfinishedIn.all(workspace, limit).map((row) => runId(String(row["id"])));
    },
    async *nodeEntries(kinds) {
      flush();
      const read = ledger;
      if (read === null) return;
      const seqsAt = new Map<number, Set<number>>();
      const rows =
        kinds === undefined ? selects.nodeEntries.all() : selects.nodeEntriesOf.all(JSON.stringify(kinds));
      for (const { seq, position } of rows) {
        const seqs = seqsAt.get(Number(position));
        if (seqs === undefined) seqsAt.set(Number(position), new Set([Number(seq)]));
        else seqs.add(Number(seq));
      }
      for (const [position, seqs] of seqsAt) {
        for (const entry of await read.entriesAt(position, seqs)) {
          if (entry.run === null) yield entry as NodeEntry;
        }
      }
    },
    counts() {
      flush();
      const row = selects.counts.get();
      const runs = selects.statuses.all().map((found) => [found["name"], found["count"]]);
      return {
        entries: Number(row?.["entries"] ?? 0),
        events: Number(row?.["events"] ?? 0),
        approvals: Number(row?.["approvals"] ?? 0),
        held: Number(row?.["held"] ?? 0),
        runs: Object.fromEntries(runs) as Counts["runs"],
      };
    },
  };
}

function openDb(file: string, node: NodeId): DatabaseSync {
  for (const isFirst of [true, false]) {
    let db: DatabaseSync | null = null;
    try {
      db = new DatabaseSync(file);
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000");
      const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
      const found =
        version === schemaVersion ? db.prepare("SELECT node FROM head").get()?.["node"] : undefined;
      if (found === node) return db;
      if (version === 0 && found === undefined) {
        db.exec(schema);
        db.prepare("INSERT INTO head (node, seq, hash) VALUES (?, -1, '')").run(node);
        return db;
      }
    } catch (error) {
      if (!isFirst) {
        const why = error instanceof Error ? error.message : String(error);
        throw fault("store.projections-failed", `Cannot open the projections: ${why}`, { file, why }, error);
      }
    }
    db?.close();
    // Of another node, another version, or broken: rebuilt from the ledger.
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
  }
  throw fault("store.projections-failed", "Cannot open the projections", { file });
}

type Row = Readonly<Record<string, unknown>>;

function runRow(row: Row): RunRow {
  return {
    run: runId(String(row["id"])),
    program: programHash(String(row["program"])),
    workspace: row["workspace"] as string,
    status: row["status"] as RunStatus,
    startedAtMs: row["started_ms"] as number,
    endedAtMs: row["ended_ms"] as number | null,
    eventSummary: row["event"] as string,
    faultCode: row["fault"] as string | null,
    startedSeq: row["no"] as number,
  };
}

function approvalRow(row: Row): PendingApproval {
  return {
    run: runId(String(row["run"])),
    program: programHash(String(row["program"])),
    workspace: row["workspace"] as string,
    requestedAtMs: row["at_ms"] as number,
    seq: row["seq"] as number,
    facts: decodeCbor(row["facts"] as Uint8Array) as unknown as PendingApproval["facts"],
  };
}

function heldRow(row: Row): HeldEffect {
  return {
    run: runId(String(row["run"])),
    program: programHash(String(row["program"])),
    workspace: row["workspace"] as string,
    kind: row["kind"] as HeldEffect["kind"],
    step: stepId(String(row["step"])),
    attempt: row["attempt"] as number | null,
    reason: row["reason"] as string,
    heldAtMs: row["at_ms"] as number,
    seq: row["seq"] as number,
  };
}

// SQLite's write-ahead log, emptied into the database by a thread of its own: that needs two syncs, and a node that waits for a busy disk
// in them answers nobody for that long. The thread starts when the log has first grown to `projectionLogBytesMax`.
import { statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { projectionLogBytesMax } from "../limits.ts";

export interface WriteAheadLog {
  /** Something was written: looks how large the log is, and has it emptied when it is time. */
  written(): void;
  isEmptying(): boolean;
  close(): void;
}

/** `emptied` is called each time after the log was being emptied. */
export function writeAheadLog(
  db: DatabaseSync,
  file: string,
  emptied: () => void,
  bytesMax = projectionLogBytesMax,
): WriteAheadLog {
  let worker: Worker | null = null;
  let isEmptying = false;
  let isClosed = false;
  // Once everything is in the database the log begins anew, cut to nothing.
  db.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 0");

  const done = (): void => {
    isEmptying = false;
    if (!isClosed) emptied();
  };
  /** Without its thread the log is emptied as SQLite does by itself. */
  const lost = (): void => {
    worker = null;
    if (isClosed) return;
    db.exec("PRAGMA wal_autocheckpoint = 1000");
    done();
  };
  const startThread = (): Worker => {
    const isSource = import.meta.url.endsWith(".ts");
    const script = new URL(isSource ? "./empty-log.ts" : "./empty-log.js", import.meta.url);
    const started = new Worker(script, {
      workerData: file,
      execArgv: ["--disable-warning=ExperimentalWarning"],
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    started.unref();
    started.on("message", done);
    started.on("error", lost);
    return started;
  };

  return {
    isEmptying: () => isEmptying,
    written() {
      if (isEmptying || isClosed || sizeOf(`${file}-wal`) < bytesMax) return;
      isEmptying = true;
      worker ??= startThread();
      worker.postMessage(null);
    },
    close() {
      isClosed = true;
      void worker?.terminate();
    },
  };
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

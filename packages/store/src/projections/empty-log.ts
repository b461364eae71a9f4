// The thread that copies the projections' write-ahead log into their database, whenever it is asked to.
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

const db = new DatabaseSync(String(workerData));
db.exec("PRAGMA synchronous = NORMAL");
parentPort?.on("message", () => {
  db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  parentPort?.postMessage(null);
});

// One process per data folder: an exclusive SQLite transaction on `lock.db`, which the operating system ends with the process.
import { DatabaseSync } from "node:sqlite";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "./faults.ts";
import { attempt } from "./node-disk.ts";

export interface FolderLock {
  release(): void;
}

/** @throws store.folder-in-use, store.folder-read-only, ledger.disk-full */
export async function lockFolder(dataFolder: string): Promise<FolderLock> {
  await attempt("create the data folder", dataFolder, () =>
    mkdir(dataFolder, { recursive: true, mode: 0o700 }),
  );
  const path = join(dataFolder, "lock.db");
  // SQLite would not say why it cannot open a file.
  await attempt("write in the data folder", dataFolder, async () => (await open(path, "a", 0o600)).close());
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    throw fault(
      "store.folder-in-use",
      `Cannot use the data folder \`${dataFolder}\`: another node has it open`,
      { dataFolder },
      error,
    );
  }
  return { release: () => db.close() };
}

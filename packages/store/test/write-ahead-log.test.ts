import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { nodeDisk } from "../src/node-disk.ts";
import { writeAheadLog } from "../src/projections/write-ahead-log.ts";

test("P5 a thread empties the write-ahead log, and the next write begins it anew", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "writ-wal-"));
  const file = path.join(folder, "projections.db");
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA journal_mode = WAL; CREATE TABLE row (text TEXT)");
    let isDone = (): void => undefined;
    const log = writeAheadLog(db, file, () => isDone(), 100_000);
    const insert = db.prepare("INSERT INTO row VALUES (?)");
    insert.run("small");
    log.written();
    expect(log.isEmptying()).toBe(false);

    insert.run("x".repeat(200_000));
    const emptied = new Promise<void>((resolve) => (isDone = resolve));
    log.written();
    expect(log.isEmptying()).toBe(true);
    await emptied;
    expect(log.isEmptying()).toBe(false);
    insert.run("after");
    expect((await stat(`${file}-wal`)).size).toBeLessThan(100_000);
    expect((await stat(file)).size).toBeGreaterThan(200_000);
    log.close();
  } finally {
    db.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test("L3 a write that is its own sync puts the same bytes in the same place", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "writ-disk-"));
  try {
    const file = await nodeDisk(folder).open("ledger/one", true);
    await file.write(0, new Uint8Array(8));
    await file.writeDurably?.(2, Uint8Array.of(1, 2, 3));
    if (file.writeDurably === undefined) await file.write(2, Uint8Array.of(1, 2, 3));
    expect([...(await file.read(0, 16))]).toEqual([0, 0, 1, 2, 3, 0, 0, 0]);
    expect([...(file.readNow?.(1, 4) ?? [])]).toEqual([0, 1, 2, 3]);
    await file.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

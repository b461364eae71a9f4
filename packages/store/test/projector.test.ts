import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { projector, schema } from "../src/projections/projector.ts";
import type { DurableBatch } from "@writ/store/ledger";

test("P1 an error after which SQLite has rolled back by itself is the one that is told", () => {
  const db = new DatabaseSync(":memory:");
  db.exec(schema);
  const project = projector(db);
  const batches = {
    [Symbol.iterator]() {
      db.exec("ROLLBACK");
      throw new Error("database or disk is full");
    },
  } as unknown as readonly DurableBatch[];
  expect(() => project.batches(batches)).toThrow("database or disk is full");
  expect([project.seq(), db.isTransaction]).toEqual([-1, false]);
});

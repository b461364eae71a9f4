// The ledger of a real node, archived and pruned over HTTP.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rotation } from "../src/rotate.ts";
import { addPerson, openTestNode, type TestNode } from "./harness.ts";

const folder = mkdtempSync(path.join(tmpdir(), "writ-prune-"));
let node: TestNode;
beforeAll(async () => {
  node = await openTestNode();
  // A start begins a new segment: what was before may be pruned.
  for (let i = 0; i < 3; i++) await node.restart();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const everything = { beforeSeq: 1_000_000 };

test("S94 a pruning says first what would go and changes nothing", async () => {
  const before = await node.call("verifyLedger", { body: {} });
  const plan = await node.call("pruneLedger", { body: everything });
  expect(plan).toMatchObject({ dryRun: true, archive: null });
  expect(plan.entries).toBeGreaterThan(3);
  const after = await node.call("verifyLedger", { body: {} });
  expect(after).toMatchObject({ kind: "intact", entries: before.entries });
  expect(after).not.toHaveProperty("pruned");
});

test("S94 nobody but an owner prunes or archives, or has the node read an archive", async () => {
  const token = await addPerson(node, "otto", "operator");
  for (const [name, body] of [
    ["pruneLedger", everything],
    ["archiveLedger", { folder }],
    ["verifyLedger", { archive: folder }],
  ] as const) {
    await expect(node.call(name, { body, token })).rejects.toMatchObject({ status: 403 });
  }
});

test("S94 an archive does not lie in the data folder", async () => {
  for (const place of [node.data, path.join(node.data, "ledger"), "relative"]) {
    await expect(node.call("archiveLedger", { body: { folder: place } })).rejects.toMatchObject({
      code: "backup.place",
    });
  }
});

test("S94 what was pruned is gone, the ledger says so and verifies, and with the archive all of it does", async () => {
  const archive = path.join(folder, "archive");
  const archived = await node.call("archiveLedger", { body: { folder: archive } });
  expect(archived.segments).toBeGreaterThan(2);
  const done = await node.call("pruneLedger", { body: { ...everything, archive, dryRun: false } });
  expect(done).toMatchObject({ dryRun: false, firstSeq: 0, archive });
  expect(existsSync(path.join(archive, "ledger", "0000000001.segment"))).toBe(true);
  const report = await node.call("verifyLedger", { body: {} });
  expect(report).toMatchObject({ kind: "intact", pruned: done.entries });
  const whole = await node.call("verifyLedger", { body: { archive } });
  expect(whole).toMatchObject({ kind: "intact", entries: report.entries });
  expect(whole).not.toHaveProperty("pruned");
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  expect(entries.some(({ kind }) => kind === "ledger.pruned")).toBe(true);
  expect(entries.filter(({ kind }) => kind === "person.added").length).toBeGreaterThan(0);
  expect(entries.length).toBeLessThan(report.entries);

  // It starts again from what is left, and a backup of it is restored and verified like any other.
  await node.restart();
  expect((await node.call("status")).node).toMatch(/^n_/);
  const file = path.join(folder, "backup.tar");
  await node.call("backup", { body: { file } });
  const { restore } = await import("@writ/store/backup");
  const restored = await restore(file, path.join(folder, "restored"));
  expect(restored.entries).toBeGreaterThanOrEqual(report.entries);
});

test("S95 a node prunes by itself what its configuration lets go", async () => {
  const own = await openTestNode({ retention: { keepEntries: 1, archive: null } });
  await own.restart();
  await own.restart();
  const pruned = async () => {
    const { entries } = await own.call("readLedger", { query: { limit: 1000 } });
    return entries.filter(({ kind }) => kind === "ledger.pruned");
  };
  await expect.poll(async () => (await pruned()).length).toBeGreaterThan(0);
  expect((await pruned())[0]?.actor).toMatchObject({ kind: "node" });
  await own[Symbol.asyncDispose]();
});

test("S96 a full log file is put aside, and what was put aside before is gone", () => {
  const file = path.join(folder, "some.log");
  const turnOver = rotation(file, 100);
  for (let i = 0; i < 20; i++) {
    turnOver(30);
    const old = existsSync(file) ? readFileSync(file, "utf8") : "";
    writeFileSync(file, `${old}${String(i).padStart(29, "0")}\n`);
  }
  expect(readdirSync(folder).filter((name) => name.startsWith("some.log"))).toEqual([
    "some.log",
    "some.log.1",
  ]);
  for (const name of ["some.log", "some.log.1"])
    expect(statSync(path.join(folder, name)).size).toBeLessThanOrEqual(100);
  expect(readFileSync(file, "utf8")).toContain("19\n");
});

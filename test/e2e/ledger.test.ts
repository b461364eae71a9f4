import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { LedgerReport, Replay } from "@writ/core/api";
import { expect, test } from "vitest";
import { NodeProcess } from "../support/node-process.ts";
import { storyRule } from "../support/rules.ts";
import { answerOf, Story } from "../support/story.ts";

const low = "low-office-supplies.csv";

async function storyWithRun(): Promise<{ readonly story: Story; readonly run: string }> {
  const story = await Story.begin();
  await story.deploy(storyRule());
  story.drop(low);
  const { id } = await story.runOf(low, "finished");
  return { story, run: id };
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile());
}

test("E11 E12 the ledger is intact, and replay derives every state again without any effect", async () => {
  const begun = await storyWithRun();
  await using story = begun.story;
  const report = answerOf<LedgerReport>(await story.writ("ledger", "verify", "--json"));
  expect(report.kind).toBe("intact");
  const before = { approved: story.names("approved"), journal: story.read("journal.csv") };
  const replay = answerOf<Replay>(await story.writ("run", "replay", begun.run, "--json"));
  expect(replay).toMatchObject({ agrees: true, status: "finished", differences: [] });
  expect(replay.states.length).toBe(replay.entries);
  expect({ approved: story.names("approved"), journal: story.read("journal.csv") }).toEqual(before);
});

test("E11 one changed byte of an entry or a blob is found, and its place named", async () => {
  const begun = await storyWithRun();
  await using story = begun.story;
  const data = story.node.data;
  const marker = Buffer.from(low, "utf8");
  const changed: string[] = [];
  for (const file of filesBelow(data).filter(
    (name) => !/sqlite|\.db|workspaces|keys|local\.json/.test(name),
  )) {
    const bytes = readFileSync(file);
    const isLedger = bytes.includes(marker) && path.relative(data, file).startsWith("ledger");
    const isBlob =
      path.relative(data, file).startsWith("blobs") && !changed.includes("blob") && bytes.length > 0;
    if (!isLedger && !isBlob) continue;
    const at = isLedger ? bytes.indexOf(marker) : 0;
    const broken = Buffer.from(bytes);
    broken[at] = (broken[at] ?? 0) ^ 1;
    writeFileSync(file, broken);
    const shown = await story.writ("ledger", "verify", "--json");
    expect(shown.code, path.relative(data, file)).toBe(1);
    const report = JSON.parse(shown.out) as LedgerReport;
    if (report.kind !== "damaged") throw new Error(`not found in ${file}`);
    expect(report.fault.code).toMatch(/^(ledger|store)\./);
    expect(Object.keys(report.fault.facts).length).toBeGreaterThan(0);
    writeFileSync(file, bytes);
    changed.push(isLedger ? "entry" : "blob");
  }
  expect(changed).toContain("entry");
  expect(changed).toContain("blob");
  expect((await story.writ("ledger", "verify")).code).toBe(0);
});

test("E11 a node does not start on a ledger damaged before its tail, and names the place", async () => {
  const begun = await storyWithRun();
  await using story = begun.story;
  await story.node.kill();
  const segment = filesBelow(path.join(story.node.data, "ledger")).find((file) =>
    readFileSync(file).includes("ledger.created"),
  );
  if (segment === undefined) throw new Error("no segment holds the first entry");
  const bytes = readFileSync(segment);
  const at = bytes.indexOf("ledger.created");
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(segment, bytes);
  await expect(story.node.start()).rejects.toThrow(/ledger\./);
});

test("E13 a backup restores to a node that verifies and shows the same runs", async () => {
  const begun = await storyWithRun();
  await using story = begun.story;
  const file = path.join(story.node.folder, "writ.backup");
  const made = await story.writ("backup", file);
  expect(made.code, made.error).toBe(0);
  expect(statSync(file).mode & 0o077).toBe(0);
  const again = await story.writ("backup", file);
  expect(again.code).toBe(5);
  await using other = new NodeProcess();
  other.token = story.node.token;
  const copy = path.join(other.folder, "copy.backup");
  mkdirSync(other.folder, { recursive: true });
  copyFileSync(file, copy);
  const restored = await other.writ("restore", copy);
  expect(restored.code, restored.out + restored.error).toBe(0);
  await story.node.stop();
  await other.start();
  expect((await other.writ("ledger", "verify")).code).toBe(0);
  const run = await other.client().call("getRun", { params: { run: begun.run } });
  expect(run.status).toBe("finished");
  const occupied = await other.writ("restore", copy);
  expect(occupied.code).not.toBe(0);
});

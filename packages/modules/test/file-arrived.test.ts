import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Sighting } from "@writ/core/ports";
import { schemaProblems } from "@writ/core/schema";
import { fileArrived } from "@writ/modules/filesystem";
import { bench, realWorld, until, type Bench } from "./support.ts";

const settleMs = 60;

async function listen(b: Bench, pattern: string, known: Set<string>) {
  const sightings: Sighting[] = [];
  const problems: unknown[] = [];
  const session = await fileArrived.start({
    config: { folder: "inbox", pattern },
    workspace: { ...b.context().workspace, file: { ...b.context().workspace.file, settleMs } },
    cursor: null,
    world: realWorld,
    seen: (key) => known.has(key),
    async report(sighting) {
      expect(known.has(sighting.key)).toBe(false);
      expect(schemaProblems(fileArrived.definition.event, sighting.event.data)).toEqual([]);
      known.add(sighting.key);
      sightings.push(sighting);
    },
    problem: (error) => problems.push(error),
  });
  const names = () => sightings.map((each) => each.event.data["name"]);
  return { sightings, problems, names, stop: () => session.stop() };
}

test("A1 A2 nothing that arrived while nobody listened is missed, nothing is told twice", async () => {
  using b = bench();
  const known = new Set<string>();
  b.file("inbox/before.csv", "1");
  const first = await listen(b, "*.csv", known);
  await until(() => first.names().length === 1);
  b.file("inbox/live.CSV", "2");
  await until(() => first.names().length === 2);
  await first.stop();
  expect(first.names()).toEqual(["before.csv", "live.CSV"]);
  b.file("inbox/down.csv", "3");
  const second = await listen(b, "csv", known);
  await until(() => second.names().length === 1);
  b.file("inbox/live.CSV", "changed");
  await until(() => second.names().length === 2);
  await second.stop();
  expect(second.names()).toEqual(["down.csv", "live.CSV"]);
  expect(second.sightings[0]?.event).toMatchObject({
    subject: "inbox/down.csv",
    data: { path: "inbox/down.csv", folder: "inbox" },
  });
  expect(second.problems).toEqual([]);
});

test("A3 a file that is still being written is not told before it is still", async () => {
  using b = bench();
  const source = await listen(b, "*", new Set());
  const path = join(b.root, "inbox/slow.csv");
  let size = 0;
  for (let i = 0; i < 10; i++) {
    appendFileSync(path, "x".repeat(10));
    size += 10;
    await realWorld.sleep(settleMs / 3);
    for (const each of source.sightings) expect(each.event.data["sizeBytes"]).toBeLessThanOrEqual(size);
  }
  await until(() => source.sightings.at(-1)?.event.data["sizeBytes"] === 100);
  await source.stop();
});

test("A4 folders, hidden and partial names are no arrivals; odd names are, unusable ones are told as problems", async () => {
  using b = bench();
  const source = await listen(b, "*", new Set());
  mkdirSync(join(b.root, "inbox/folder.csv"));
  for (const name of [".hidden.csv", "a.csv.part", "b.tmp", "c.csv~", "~$d.xlsx"])
    b.file(`inbox/${name}`, "x");
  writeFileSync(Buffer.concat([Buffer.from(join(b.root, "inbox/")), Buffer.from([0x66, 0xe9])]), "x");
  b.file("inbox/e\n.csv", "x");
  b.file("inbox/é {x} 'y' \".csv", "x");
  b.file("inbox/upload.part", "x");
  renameSync(join(b.root, "inbox/upload.part"), join(b.root, "inbox/upload.csv"));
  await until(() => source.names().length === 2 && source.problems.length === 2);
  await source.stop();
  expect(new Set(source.names())).toEqual(new Set(["upload.csv", "é {x} 'y' \".csv"]));
});

test("A1 a folder that vanishes is told once and watched again when it is back", async () => {
  using b = bench();
  const source = await listen(b, "*", new Set());
  rmSync(join(b.root, "inbox"), { recursive: true });
  await until(() => source.problems.length === 1);
  b.file("inbox/back.csv", "x");
  await until(() => source.names().length === 1);
  await source.stop();
  expect(source.problems).toHaveLength(1);
});

test("A1 a workspace whose folder is gone has its own fault, at the start and later", async () => {
  using b = bench();
  const source = await listen(b, "*", new Set());
  renameSync(b.root, `${b.root}-away`);
  await until(() => source.problems.length === 1);
  expect(source.problems[0]).toMatchObject({ code: "workspace.missing", facts: { root: b.root } });
  await expect(listen(b, "*", new Set())).rejects.toMatchObject({ code: "workspace.missing" });
  await expect(b.do("filesystem.read_file", { path: "inbox/a" })).rejects.toMatchObject({
    code: "workspace.missing",
  });
  renameSync(`${b.root}-away`, b.root);
  b.file("inbox/back.csv", "x");
  await until(() => source.names().length === 1);
  await source.stop();
});

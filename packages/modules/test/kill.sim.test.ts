// SIGKILL at random moments of real effects: after each, the world is asked, and no effect is lost, doubled or torn.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bench, find, resolveWith } from "./support.ts";

const seed = Number(process.env["WRIT_SEED"] ?? 1);
const kills = Number(process.env["WRIT_KILLS"] ?? 12);

// Performs effects one after the other. Before each, its intent (durable) and after each, its outcome goes into a log.
const worker = `
  import { openSync, writeSync, fsyncSync } from "node:fs";
  import { bench, find, inspectWith } from ${JSON.stringify(new URL("support.ts", import.meta.url).pathname)};
  const [root, from] = process.argv.slice(1);
  const b = bench({ root, blobsFolder: root + ".blobs" });
  const log = openSync(root + "/../" + root.split("/").at(-1) + ".log", "a");
  const write = (record) => { writeSync(log, JSON.stringify(record) + "\\n"); fsyncSync(log); };
  for (let n = Number(from); ; n++) {
    b.file("inbox/in" + n, "file " + n + "\\n");
    for (const [name, params] of [
      ["filesystem.append_file", { path: "journal", content: "line " + n + " " + "x".repeat(n % 50) }],
      ["filesystem.move_file", { source: "inbox/in" + n, destination: "approved/out" + n }],
      ["filesystem.copy_file", { source: "approved/out" + n, destination: "copies/c" + n }],
      ["filesystem.delete_file", { path: "copies/c" + n }],
      ["csv.append_row", { path: "rows.csv", values: [n, "é;,"] }],
      ["filesystem.extract_archive", { source: "pack.zip", destination: "out/" + n }],
      ["filesystem.write_file", { path: "state", content: "state " + n + " " + "y".repeat(n % 70) }],
    ]) {
      const context = b.context();
      const capability = find(b.modules, name);
      const { before } = await inspectWith(capability, params, context);
      write({ n, name, params, before, key: context.idempotencyKey });
      await capability.perform(params, { ...context, before });
      write({ done: true });
    }
  }
`;

test(`M5 killed ${kills} times, every effect is done once or not at all (seed ${seed})`, async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "writ-kill-")));
  using b = bench({ root, blobsFolder: `${root}.blobs` });
  using _files = {
    [Symbol.dispose]: () => {
      for (const end of [".log", ".blobs"]) rmSync(root + end, { recursive: true, force: true });
    },
  };
  const logPath = `${b.root}.log`;
  b.file("pack/p/q.txt", "q".repeat(5000));
  b.file("copies/.keep", "");
  await b.do("filesystem.create_archive", { source: "pack", destination: "pack.zip" });
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  let from = 0;
  const told = { done: 0, "not-done": 0 };
  for (let kill = 0; kill < kills; kill++) {
    const args = [
      "--conditions=@writ/source",
      "--input-type=module-typescript",
      "-e",
      worker,
      b.root,
      String(from),
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    const size = existsSync(logPath) ? readFileSync(logPath).length : 0;
    while (!existsSync(logPath) || readFileSync(logPath).length === size)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, next(120)));
    child.kill("SIGKILL");
    await once(child, "exit");
    const records = readFileSync(logPath, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    const last = records.findLast((record) => "name" in record);
    from = last.n + 1;
    if (records.at(-1).done === true) {
      // Between two effects: the rest of this turn was never intended.
      continue;
    }
    const capability = find(b.modules, last.name);
    const context = b.context({ idempotencyKey: last.key, before: last.before });
    const resolution = await resolveWith(capability, last.params, context);
    expect(resolution.kind, JSON.stringify([last, resolution])).toMatch(/^(done|not-done)$/);
    if (resolution.kind === "not-done") {
      told["not-done"]++;
      await capability.perform(last.params, context);
    } else told.done++;
  }
  // Every line that was intended stands there once, whole, in order.
  const records = readFileSync(logPath, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  const intended = (name: string) => records.filter((record) => record.name === name);
  const lines = intended("filesystem.append_file").map(({ params }) => `${params.content}\n`);
  expect(readFileSync(join(b.root, "journal"), "utf8")).toBe(lines.join(""));
  for (const { params } of intended("filesystem.move_file")) {
    expect(existsSync(join(b.root, params.source))).toBe(false);
    expect(existsSync(join(b.root, params.destination))).toBe(true);
  }
  expect(readFileSync(join(b.root, "state"), "utf8")).toBe(
    intended("filesystem.write_file").at(-1).params.content,
  );
  const rows = intended("csv.append_row").map(({ n }) => `${n},"é;,"\n`);
  expect(readFileSync(join(b.root, "rows.csv"), "utf8")).toBe(rows.join(""));
  const deleted = new Set(intended("filesystem.delete_file").map(({ n }) => n));
  for (const { n } of intended("filesystem.copy_file")) {
    expect(existsSync(join(b.root, `copies/c${n}`)), `copy ${n}`).toBe(!deleted.has(n));
  }
  for (const { n } of intended("filesystem.extract_archive")) {
    expect(readFileSync(join(b.root, `out/${n}/pack/p/q.txt`), "utf8")).toHaveLength(5000);
  }
  const all = readdirSync(b.root, { recursive: true, encoding: "utf8" });
  expect(all.filter((path) => path.includes(".writ-"))).toEqual([]);
  expect(told.done + told["not-done"], "no kill hit an effect").toBeGreaterThan(0);
}, 600_000);

// Runs every benchmark of Writ alone, one after the other, keeps their raw lines in bench/results/figures.json and renders them into
// docs/performance.md. About ten minutes. The peers have a command of their own: bench/peers/run.ts.
//   node --conditions=@writ/source bench/all.ts [--history 1000000] [--only runs.ts,start.ts]
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { numberArgument, textArgument } from "./support/arguments.ts";

const here = import.meta.dirname;
const output = path.join(here, "results", "figures.json");
const run = promisify(execFile);

const history = numberArgument("history", 1_000_000);
const benches = [
  {
    script: "runs.ts",
    args: ["--history", String(history)],
    aim: "500 / 2,000 / 4,200 runs/s at 1 / 16 / 128 in flight; p50 / p99 of 3 / 6 ms at 20/s; with 1,000,000 runs of history within 10 % of that, and a start under 3 s",
  },
  {
    script: "recovery.ts",
    args: [],
    aim: "everything finished within 0.5 s of what the remaining steps take, nothing twice",
  },
  { script: "start.ts", args: [], aim: "first completed run within 400 ms, idle memory under 110 MB" },
  { script: "sleepers.ts", args: [], aim: "100,000 sleeping runs in bounded memory" },
  {
    script: "compile.ts",
    args: [],
    aim: "with 100 deployed rules, warm: p50 under 150 ms, p99 under 500 ms",
  },
  { script: "ledger.ts", args: [], aim: "200,000 entries verified a second" },
];
const only = textArgument("only", "");

const kept = existsSync(output)
  ? (
      JSON.parse(await readFile(output, "utf8")) as {
        readonly benches: readonly { readonly script: string }[];
      }
    ).benches
  : [];
const measured: unknown[] = [];
for (const { script, args, aim } of benches) {
  const old = kept.find((one) => one.script === script);
  if (!existsSync(path.join(here, script))) continue;
  if (only !== "" && !only.split(",").includes(script)) {
    if (old !== undefined) measured.push(old);
    continue;
  }
  const from = performance.now();
  const { stdout } = await node(script, args);
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  process.stdout.write(`${lines.join("\n")}\n`);
  measured.push({
    script,
    arguments: args,
    aim,
    seconds: Math.round((performance.now() - from) / 1000),
    figures: lines.map((line) => JSON.parse(line) as unknown),
  });
}
await mkdir(path.dirname(output), { recursive: true });
const results = {
  atIso: new Date().toISOString(),
  commit: (await run("git", ["-C", here, "rev-parse", "--short", "HEAD"])).stdout.trim(),
  machine: {
    node: process.version,
    processors: cpus().length,
    model: cpus()[0]?.model ?? "",
    memoryGib: Math.round(totalmem() / 2 ** 30),
  },
  benches: measured,
};
await writeFile(output, `${JSON.stringify(results)}\n`);
await node("render.ts", []);

function node(script: string, args: readonly string[]): Promise<{ readonly stdout: string }> {
  return run(
    process.execPath,
    ["--conditions=@writ/source", "--disable-warning=ExperimentalWarning", path.join(here, script), ...args],
    { maxBuffer: 64 * 1024 * 1024, timeout: 900_000 },
  );
}

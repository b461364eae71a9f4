// Completed runs a second of a program of three `call` steps, started over HTTP; each step is a non-idempotent effect counted outside
// the node, so each needs its durable intent. Beside it, in the same run, the disk's raw `fdatasync` rate.
//   node --conditions=@writ/source bench/runs.ts [--seconds 8] [--history 0]
// `--history N` first brings the ledger to N entries with the same runs, then measures again.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { counterClient } from "./support/counter-client.ts";
import { numberArgument } from "./support/counter-module.ts";
import { fdatasyncRate, percentile, report, rounded } from "./support/figures.ts";
import { closedLoop, openLoop, poster } from "./support/load.ts";
import { start } from "./support/processes.ts";

const seconds = numberArgument("seconds", 8);
const history = numberArgument("history", 0);
const stepsPerRun = 3;

const data = await mkdtemp(path.join(tmpdir(), "writ-bench-"));
// The default profile permits no capability it does not know; the counter needs a wider one.
const root = path.join(data, "folder");
await mkdir(root);
await writeFile(
  path.join(root, "workspace.json"),
  JSON.stringify({
    version: 1,
    name: "bench",
    zone: "UTC",
    currencies: [],
    folders: {},
    files: {},
    roles: {},
    tables: {},
    hosts: [],
    profile: "power_user",
  }),
);
const counter = await start("counter.ts", []);
const node = await start("node.ts", [data, counter.firstLine]);
const outside = await counterClient(Number(counter.firstLine));
try {
  const ready = JSON.parse(node.firstLine) as { readonly port: number; readonly ownerToken: string };
  const http = poster({ port: ready.port, token: ready.ownerToken }, 256);
  const post = async (at: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await http.post(at, JSON.stringify(body));
    if (answer.status >= 300)
      throw new Error(`${at} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, unknown>;
  };

  await post("/workspaces", { root });

  const plan = {
    plan_id: "bench-runs",
    protocol_version: "2.0",
    description: "Three counted effects, one after the other",
    actions: Array.from({ length: stepsPerRun }, (_, index) => ({
      id: `a${index + 1}`,
      module: "bench",
      action: "count",
      params: { name: `effect ${index + 1}` },
    })),
  };
  const compiled = await post("/programs/compile", {
    kind: "plan",
    text: JSON.stringify(plan),
    workspace: "bench",
  });
  if (compiled["kind"] !== "compiled")
    throw new Error(`The benchmark's plan was not compiled: ${JSON.stringify(compiled)}`);
  const { hash: program } = compiled["program"] as { readonly hash: string };
  await post(`/programs/${program}/approve`, { comment: "benchmark" });
  await post(`/programs/${program}/deploy`, {});

  let completed = 0;
  const runOnce = async (): Promise<void> => {
    const answer = await post(`/programs/${program}/runs?wait=true`, { data: {} });
    if (answer["status"] !== "finished") throw new Error(`A run ended otherwise: ${JSON.stringify(answer)}`);
    completed += 1;
  };

  const measure = async (entries: number): Promise<void> => {
    await closedLoop({ inFlight: 128, seconds: 2, call: runOnce });
    for (const inFlight of [1, 16, 128]) {
      const result = await closedLoop({ inFlight, seconds, call: runOnce });
      const facts = { inFlight, entriesBefore: entries, runs: result.completed };
      report({
        bench: "runs",
        figure: `runs per second, ${inFlight} in flight`,
        value: rounded(result.completed / result.seconds, 0),
        unit: "1/s",
        ...facts,
      });
      report({
        bench: "runs",
        figure: `p50, ${inFlight} in flight`,
        value: rounded(percentile(result.latenciesMs, 0.5)),
        unit: "ms",
        ...facts,
      });
    }
    const latencies = await openLoop({ perSecond: 20, seconds: Math.max(10, seconds), call: runOnce });
    report({
      bench: "runs",
      figure: "p50 at 20 a second",
      value: rounded(percentile(latencies, 0.5)),
      unit: "ms",
      entriesBefore: entries,
      runs: latencies.length,
    });
    report({
      bench: "runs",
      figure: "p99 at 20 a second",
      value: rounded(percentile(latencies, 0.99)),
      unit: "ms",
      entriesBefore: entries,
      runs: latencies.length,
    });
  };

  for (const kind of ["overwrite", "append"] as const) {
    report({
      bench: "runs",
      figure: `raw fdatasync of 4 KiB, ${kind}`,
      value: rounded(await fdatasyncRate(kind, 2), 0),
      unit: "1/s",
    });
  }
  await measure(0);
  if (history > 0) {
    const entriesPerRun = 2 * stepsPerRun + 2;
    const missing = Math.ceil(history / entriesPerRun) - completed;
    if (missing > 0) await closedLoop({ inFlight: 128, seconds: 3600, callsMax: missing, call: runOnce });
    await measure(completed * entriesPerRun);
  }

  const counted = await outside.read();
  report({
    bench: "runs",
    figure: "effects counted outside, twice or never",
    value: counted.count - completed * stepsPerRun + (counted.count - counted.distinct),
    unit: "effects",
    runs: completed,
    counted: counted.count,
    distinct: counted.distinct,
  });
  http.close();
} finally {
  outside.close();
  await node.stop();
  await counter.stop();
  await rm(data, { recursive: true, force: true });
}

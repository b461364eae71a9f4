// Completed runs a second of a program of three `call` steps, started over HTTP; each step is a non-idempotent effect counted outside
// the node, so each needs its durable intent. Permission check, gate and ledger included. Each figure stands beside what the disk did at
// that moment.
//   node --conditions=@writ/source bench/runs.ts [--seconds 4] [--history 0]
// `--history N` then writes N finished runs into the ledger (bench/support/history.ts) and measures start-up and throughput again.
import { counted, numberArgument } from "./support/arguments.ts";
import { diskNow, fdatasyncRate, latencies, report, rounded } from "./support/figures.ts";
import { writeHistory } from "./support/history.ts";
import { closedLoop, openLoop } from "./support/load.ts";
import { openWorkload, stepsPerRun, threeEffects, type Workload } from "./support/workload.ts";

const seconds = numberArgument("seconds", 4);
const history = numberArgument("history", 0);
const openLoopSeconds = Math.max(20, seconds);

for (const kind of ["overwrite", "append"] as const) {
  report({
    bench: "runs",
    figure: `raw fdatasync of 4 KiB, ${kind}`,
    value: rounded(await fdatasyncRate(kind, 1), 0),
    unit: "1/s",
  });
}
const work = await openWorkload({ connections: 1000 });
let completed = 0;
try {
  const programs = await work.deployFor(1000);
  const runOnce = turns(work, programs);
  await closedLoop({ inFlight: 128, seconds: 3, call: runOnce });

  let most = 0;
  for (const inFlight of [1, 16, 128, 1000]) {
    most = Math.max(most, await throughput(`${inFlight} in flight`, inFlight, runOnce, {}));
  }
  await latency(20, runOnce);
  await latency(Math.floor(most / 2), runOnce);

  const failing = await work.deploy(threeEffects("failing", "post", { failing: true }));
  await throughput("128 in flight, 1 step in 10 failing once", 128, counted(work, failing, {}, done), {});
  for (const sizeBytes of [1024, 100 * 1024]) {
    const call = counted(work, programs[0] ?? "", { payload: "x".repeat(sizeBytes) }, done);
    await throughput(`16 in flight, event of ${sizeBytes / 1024} KiB`, 16, call, { sizeBytes });
  }
  await reportCounted(work);

  if (history > 0) await measureWithHistory(programs, runOnce);
} finally {
  await work.close();
}

async function measureWithHistory(programs: readonly string[], runOnce: () => Promise<void>): Promise<void> {
  await work.node().stop();
  const written = await writeHistory(work.data, history, programs[0] ?? "");
  report({
    bench: "runs",
    figure: "history written",
    value: rounded(written.seconds, 1),
    unit: "s",
    runs: written.runs,
    entries: written.entries,
  });
  const facts = { historyRuns: written.runs, historyEntries: written.entries };
  await work.restart();
  report({
    bench: "runs",
    figure: "start with history",
    value: rounded(work.startMs(), 0),
    unit: "ms",
    ...facts,
  });
  await closedLoop({ inFlight: 128, seconds: 3, call: runOnce });
  for (const inFlight of [1, 16, 128]) {
    await throughput(`${inFlight} in flight, with history`, inFlight, runOnce, facts);
  }
}

function done(): void {
  completed += 1;
}

/** Runs of one program after the other, in turn. */
function turns(to: Workload, programs: readonly string[]): () => Promise<void> {
  let next = 0;
  const calls = programs.map((program) => counted(to, program, {}, done));
  return () => calls[next++ % calls.length]?.() ?? Promise.resolve();
}

async function throughput(
  what: string,
  inFlight: number,
  call: () => Promise<void>,
  facts: Readonly<Record<string, number>>,
): Promise<number> {
  const disk = await diskNow();
  const result = await closedLoop({ inFlight, seconds, call });
  const perSecond = result.completed / result.seconds;
  report({
    bench: "runs",
    figure: `runs a second, ${what}`,
    value: rounded(perSecond, 0),
    unit: "1/s",
    ...latencies(result.latenciesMs),
    ...facts,
    ...disk,
  });
  return perSecond;
}

/** At fixed times whether or not earlier runs have ended; each wait counts from the planned start, so that no stall hides others. */
async function latency(perSecond: number, call: () => Promise<void>): Promise<void> {
  const disk = await diskNow();
  const samples = await openLoop({ perSecond, seconds: openLoopSeconds, call });
  const { p50Ms, ...rest } = latencies(samples);
  report({
    bench: "runs",
    figure: `p50 at ${perSecond} a second`,
    value: p50Ms,
    unit: "ms",
    ...rest,
    runs: samples.length,
    ...disk,
  });
}

async function reportCounted(from: Workload): Promise<void> {
  const outside = await from.outside.read();
  report({
    bench: "runs",
    figure: "effects counted outside, twice or never",
    value: Math.abs(outside.distinct - completed * stepsPerRun) + (outside.count - outside.distinct),
    unit: "effects",
    runs: completed,
    counted: outside.count,
  });
}

// Writ beside Restate, DBOS on PostgreSQL and BullMQ on Redis: the same work, durability on, in turns within one session. The work: a run
// started over HTTP with three durable steps, each a non-idempotent effect counted by one process outside. Each round starts every
// engine alone, measures and stops it, so that a slow minute of the machine meets them all; figures are medians over the rounds.
//   node --conditions=@writ/source bench/peers/run.ts [--install] [--rounds 3] [--seconds 3] [--engines Writ,Restate,DBOS,BullMQ]
// Needs once: `--install` (npm ci in this folder) and the Debian packages postgresql and redis-server. Writes bench/results/peers.json.
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { numberArgument, textArgument } from "../support/arguments.ts";
import { counterClient } from "../support/counter-client.ts";
import { diskNow, latencies, rounded } from "../support/figures.ts";
import { closedLoop, openLoop } from "../support/load.ts";
import { stepsPerRun } from "../support/workload.ts";
import type { Engine } from "./engine.ts";
import { bullmq, dbos, restate, writ } from "./engines.ts";

if (process.argv.includes("--install"))
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: import.meta.dirname, stdio: "inherit" });

const rounds = numberArgument("rounds", 3);
const seconds = numberArgument("seconds", 3);
const wanted = textArgument("engines", "Writ,Restate,DBOS,BullMQ").split(",");
const killedInFlight = 200;
/** After this long what has not finished counts as lost. */
const killWaitMs = 90_000;

const own = await writ();
const counter = await counterClient(own.counterPort);
const makers = { Writ: async () => own, Restate: restate, DBOS: dbos, BullMQ: bullmq } as const;
const engines: Engine[] = [];
for (const [name, make] of Object.entries(makers))
  if (wanted.includes(name)) engines.push(await make(own.counterPort));
await own.stop();
let ids = 0;
const nextId = (): string => `run-${process.pid}-${ids++}`;

const results: unknown[] = [];
const kills: unknown[] = [];
try {
  for (let round = 1; round <= rounds; round++) {
    for (const engine of engines) {
      const result = { engine: engine.name, round, ...(await measure(engine)) };
      results.push(result);
      process.stdout.write(`${JSON.stringify({ ...result, latency20Ms: undefined })}\n`);
    }
  }
  for (const engine of engines) {
    for (const what of ["worker", "everything"] as const) {
      if (what === "worker" && engine === own) continue;
      const killed = { engine: engine.name, what, ...(await kill(engine, what)) };
      kills.push(killed);
      process.stdout.write(`${JSON.stringify(killed)}\n`);
    }
  }
  await save();
} finally {
  counter.close();
  for (const engine of engines.toReversed()) await engine.close();
}

async function measure(engine: Engine) {
  const disk = await diskNow();
  const from = performance.now();
  await engine.start();
  const servesMs = performance.now() - from;
  await engine.run(nextId());
  const firstRunMs = performance.now() - from;
  await sleep(1500);
  const memory = engine.memory();
  const before = await counter.read();
  const call = (): Promise<void> => engine.run(nextId());
  await closedLoop({ inFlight: 16, seconds: 1.5, call });
  const throughput: unknown[] = [];
  let completed = 0;
  for (const inFlight of [1, 16, 128]) {
    const result = await closedLoop({ inFlight, seconds, call });
    completed += result.completed;
    const perSecond = rounded(result.completed / result.seconds, 1);
    throughput.push({ inFlight, perSecond, runs: result.completed, ...latencies(result.latenciesMs) });
  }
  await sleep(500);
  const samples = await openLoop({ perSecond: 20, seconds: 8, call });
  const after = await counter.read();
  await engine.stop();
  return {
    servesMs: rounded(servesMs, 0),
    firstRunMs: rounded(firstRunMs, 0),
    idleMb: rounded(memory.allMb, 0),
    idleApplicationMb: rounded(memory.applicationMb, 0),
    throughput,
    latency20: latencies(samples),
    latency20Ms: samples.map((sample) => rounded(sample)),
    completed,
    twice: after.count - before.count - (after.distinct - before.distinct),
    ...disk,
  };
}

/**
 * SIGKILL when 200 runs have exactly one effect each that was done outside and whose answer has not come: an engine that cannot ask
 * whether it was done must do it again, lose it, or wait for a person.
 */
async function kill(engine: Engine, what: "worker" | "everything") {
  await engine.start();
  await engine.run(nextId());
  const before = await counter.read();
  await counter.hold();
  const batch = Array.from({ length: killedInFlight }, nextId);
  await Promise.all(batch.map((id) => engine.begin(id)));
  const deadline = performance.now() + 30_000;
  let underWay = 0;
  while (underWay < killedInFlight && performance.now() < deadline) {
    await sleep(10);
    underWay = (await counter.read()).count - before.count;
  }
  await engine.kill(what);
  await counter.go();
  const from = performance.now();
  const disk = await diskNow();
  await engine.restart();
  const servesMs = performance.now() - from;
  const steps = killedInFlight * stepsPerRun;
  let now = await counter.read();
  while (now.distinct - before.distinct < steps && performance.now() - from < killWaitMs) {
    await sleep(10);
    now = await counter.read();
  }
  const finishedMs = performance.now() - from;
  // Whatever is still repeated comes within this.
  await sleep(1000);
  now = await counter.read();
  await engine.stop();
  const done = now.distinct - before.distinct;
  return {
    inFlight: killedInFlight,
    underWay,
    servesMs: rounded(servesMs, 0),
    finishedSeconds: done < steps ? null : rounded(finishedMs / 1000),
    stepsNeverDone: steps - done,
    stepsTwice: now.count - before.count - done,
    ...disk,
  };
}

async function save(): Promise<void> {
  const folder = path.join(import.meta.dirname, "..", "results");
  await mkdir(folder, { recursive: true });
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", import.meta.dirname, ...args], { encoding: "utf8" }).trim();
  const result = {
    atIso: new Date().toISOString(),
    commit: git("rev-parse", "--short", "HEAD"),
    machine: {
      node: process.version,
      processors: cpus().length,
      model: cpus()[0]?.model ?? "",
      memoryGib: Math.round(totalmem() / 2 ** 30),
    },
    engines: engines.map(({ name, durability, versions }) => ({ name, durability, versions })),
    rounds: results,
    kills,
  };
  await writeFile(path.join(folder, "peers.json"), `${JSON.stringify(result)}\n`);
}

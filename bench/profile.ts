// Where the time of a run goes: the node under load with V8's sampling profiler, and the share of each file and function.
//   node --conditions=@writ/source bench/profile.ts [--in-flight 128] [--seconds 8] [--top 40]
// Writes the profile where it says, for the flame graph of any Chromium (Performance, load profile).
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { numberArgument } from "./support/arguments.ts";
import { closedLoop } from "./support/load.ts";
import { cpuMsOf } from "./support/processes.ts";
import { openWorkload, threeEffects } from "./support/workload.ts";

const inFlight = numberArgument("in-flight", 128);
const seconds = numberArgument("seconds", 8);
const top = numberArgument("top", 40);

const profiles = await mkdtemp(path.join(tmpdir(), "writ-profile-"));
const work = await openWorkload({ nodeOptions: ["--cpu-prof", `--cpu-prof-dir=${profiles}`] });
try {
  const program = await work.deploy(threeEffects("profile"));
  await closedLoop({ inFlight, seconds: 3, call: () => work.runOnce(program) });
  const used = (): readonly number[] => [
    cpuMsOf(work.node().process),
    cpuMsOf(work.counter.process),
    (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  ];
  const before = used();
  const result = await closedLoop({ inFlight, seconds, call: () => work.runOnce(program) });
  const [node, counter, client] = used().map(
    (ms, index) => `${(((ms - (before[index] ?? 0)) * 1000) / result.completed).toFixed(0)} µs`,
  );
  process.stdout.write(
    `${(result.completed / result.seconds).toFixed(0)} runs/s; processor time a run: node ${node}, counter ${counter}, generator ${client}\n`,
  );
} finally {
  await work.close();
}
const [name] = (await readdir(profiles)).filter((file) => file.endsWith(".cpuprofile")).sort();
if (name === undefined) throw new Error("the node wrote no profile");
const file = path.join(profiles, name);
show(JSON.parse(await readFile(file, "utf8")) as Profile);
process.stdout.write(`${file}\n`);

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

function show(profile: Profile): void {
  const selfUs = new Map<number, number>();
  let total = 0;
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    selfUs.set(id, (selfUs.get(id) ?? 0) + delta);
    total += delta;
  }
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  let idle = 0;
  for (const { id, callFrame } of profile.nodes) {
    const us = selfUs.get(id) ?? 0;
    if (callFrame.functionName === "(idle)") {
      idle += us;
      continue;
    }
    const where = callFrame.url.replace(/^.*\/(?=packages\/|node_modules\/|bench\/)/, "");
    const label = `${callFrame.functionName || "(anonymous)"} ${where}:${callFrame.lineNumber + 1}`;
    functions.set(label, (functions.get(label) ?? 0) + us);
    files.set(where || callFrame.functionName, (files.get(where || callFrame.functionName) ?? 0) + us);
  }
  const busy = total - idle;
  process.stdout.write(
    `busy ${((busy * 100) / total).toFixed(0)} % of the main thread, the start included\n`,
  );
  for (const table of [files, functions]) {
    const rows = [...table].sort((a, b) => b[1] - a[1]).slice(0, top);
    for (const [label, us] of rows)
      process.stdout.write(`${((us * 100) / busy).toFixed(1).padStart(5)} % ${label}\n`);
    process.stdout.write("\n");
  }
}

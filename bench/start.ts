// From a process that begins to its first completed run, and what a node holds in memory: after its start, after a load, and after the
// garbage collector has run. A program is deployed before; the solver is not loaded, since nothing is proved.
//   node --conditions=@writ/source bench/start.ts [--starts 7]
import { setTimeout as sleep } from "node:timers/promises";
import { counted, numberArgument } from "./support/arguments.ts";
import { diskNow, median, report, rounded } from "./support/figures.ts";
import { closedLoop } from "./support/load.ts";
import { cpuMsOf, memoryMbOf } from "./support/processes.ts";
import { openWorkload, threeEffects } from "./support/workload.ts";

const starts = numberArgument("starts", 7);
const work = await openWorkload({ nodeOptions: ["--expose-gc"] });
try {
  const program = await work.deploy(threeEffects("start"));
  await work.runOnce(program);
  const readyMs: number[] = [];
  const firstRunMs: number[] = [];
  const cpuMs: number[] = [];
  const idleMb: number[] = [];
  const afterRunMb: number[] = [];
  const disk = await diskNow();
  // Every other start only idles, so that what its first run loads is not counted.
  for (let i = 0; i < starts; i++) {
    await work.node().stop();
    const from = performance.now();
    await work.restart();
    readyMs.push(performance.now() - from);
    if (i % 2 === 0) {
      await work.runOnce(program);
      firstRunMs.push(performance.now() - from);
      cpuMs.push(cpuMsOf(work.node().process));
    }
    await sleep(1000);
    (i % 2 === 0 ? afterRunMb : idleMb).push(memoryMbOf(work.node().process.pid ?? 0));
  }
  const facts = { starts, ...disk };
  const line = (figure: string, value: number, unit: string): void =>
    report({ bench: "start", figure, value: rounded(value, 0), unit, ...facts });
  line("start until it serves", median(readyMs), "ms");
  line("start until the first run has completed", median(firstRunMs), "ms");
  line("start until the first run has completed, processor time", median(cpuMs), "ms");
  line("memory, idle after the start", median(idleMb), "MB");
  line("memory, idle after the first run", median(afterRunMb), "MB");
  await closedLoop({ inFlight: 128, seconds: 5, call: counted(work, program, {}, () => undefined) });
  const pid = work.node().process.pid ?? 0;
  line("memory, after a load of 5 s", memoryMbOf(pid), "MB");
  await sleep(1000);
  // The node of the benchmark collects its garbage when it is told to.
  process.kill(pid, "SIGUSR2");
  await sleep(1000);
  line("memory, after a load and a garbage collection", memoryMbOf(pid), "MB");
} finally {
  await work.close();
}

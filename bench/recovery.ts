// SIGKILL with runs in flight: every run that has its turn (`underWay`) has one effect under way, counted outside and unanswered. How long the node that comes
// after takes until every run has finished, and how many effects were counted twice or never. The contract is `queryable`: the counter
// is asked whether it counted.
//   node --conditions=@writ/source bench/recovery.ts [--runs 200,10000]
import { setTimeout as sleep } from "node:timers/promises";
import { textArgument } from "./support/arguments.ts";
import { diskNow, report, rounded } from "./support/figures.ts";
import { openWorkload, stepsPerRun } from "./support/workload.ts";

for (const inFlight of textArgument("runs", "200,10000").split(",").map(Number)) await recover(inFlight);

async function recover(inFlight: number): Promise<void> {
  const work = await openWorkload({ connections: 256 });
  try {
    const programs = await work.deployFor(inFlight, "post");
    await work.outside.hold();
    const program = (k: number): string => programs[k % programs.length] ?? "";
    for (let begun = 0; begun < inFlight;) {
      const count = Math.min(256, inFlight - begun);
      await Promise.all(Array.from({ length: count }, (_, k) => work.begin(program(begun + k))));
      begun += count;
    }
    // All of them, or as many as the node lets be under way at once: the others wait for their turn, durably started.
    let underWay = 0;
    let grewAt = performance.now();
    while (underWay < inFlight && performance.now() - grewAt < 3000) {
      await sleep(20);
      const { count } = await work.outside.read();
      if (count > underWay) grewAt = performance.now();
      underWay = count;
    }
    const disk = await diskNow();
    await work.node().stop("SIGKILL");
    await work.outside.go();
    const from = performance.now();
    await work.restart();
    const servedMs = performance.now() - from;
    const wanted = inFlight * stepsPerRun;
    await until(async () => ((await work.outside.read()).distinct >= wanted ? true : null));
    await until(async () => {
      const open = await Promise.all(
        ["running", "waiting", "held"].map((status) => work.get(`/runs?status=${status}&limit=1`)),
      );
      return open.every(({ runs }) => Array.isArray(runs) && runs.length === 0) ? true : null;
    });
    const seconds = (performance.now() - from) / 1000;
    const { count, distinct } = await work.outside.read();
    const facts = { inFlight, underWay, ...disk };
    report({
      bench: "recovery",
      figure: `all finished after SIGKILL with ${inFlight} in flight`,
      value: rounded(seconds),
      unit: "s",
      ...facts,
      servedAfterSeconds: rounded(servedMs / 1000),
    });
    report({
      bench: "recovery",
      figure: `effects twice or never, SIGKILL with ${inFlight} in flight`,
      value: count - distinct + (wanted - distinct),
      unit: "effects",
      ...facts,
    });
  } finally {
    await work.close();
  }
}

async function until<T>(ask: () => Promise<T | null>): Promise<T> {
  const giveUp = performance.now() + 120_000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > giveUp) throw new Error("It did not come to an end in two minutes");
    await sleep(5);
  }
}

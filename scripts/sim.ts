// The whole node in simulation, seed after seed.
//   npm run sim -- --seed 1 --runs 1000
import { parseArgs } from "node:util";
import { createSimulation } from "@writ/testkit/simulation";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "100" },
    verbose: { type: "boolean" },
  },
});
const first = Number(values.seed);
const count = Number(values.runs);
const simulation = createSimulation();
const startedMs = Date.now();
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const scenario = simulation.scenario(seed);
  const t = Date.now();
  let problems: readonly string[];
  try {
    const played = await simulation.play(scenario);
    problems = played.problems;
    if (values.verbose)
      console.log(
        seed,
        Date.now() - t,
        "ms",
        played.entries.length,
        "entries",
        played.points.join("+"),
        "deeds",
        played.deeds,
        played.simulatedMs,
      );
  } catch (error) {
    problems = [error instanceof Error ? (error.stack ?? "") : String(error)];
  }
  if (problems.length > 0) {
    failed++;
    console.log(`seed ${seed} FAILED:\n  ${problems.slice(0, 3).join("\n  ")}`);
  }
}
console.log(`${count} seeds, ${failed} failed, ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
process.exitCode = failed === 0 ? 0 : 1;

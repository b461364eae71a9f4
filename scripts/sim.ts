// The whole node in simulation, seed after seed. A seed that fails prints one line that plays it again, and the smallest scenario found.
//   npm run sim -- --seed 1 --runs 1000
//   npm run sim -- --seed 42 --runs 1 --trace
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Entry } from "@writ/core/entry";
import { createSimulation, type Played, type Scenario } from "@writ/testkit/simulation";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "100" },
    /** Prints the entries and the scenario. */
    trace: { type: "boolean", default: false },
    /** Adds what each fault came to, in JSON, to this file; `scripts/fault-matrix.ts` renders it. */
    matrix: { type: "string" },
    /** Does not look for a smaller scenario that fails. */
    whole: { type: "boolean", default: false },
  },
});
const first = Number(values.seed);
const count = Number(values.runs);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error("usage: npm run sim -- [--seed N] [--runs K] [--trace] [--whole]");
  process.exit(2);
}
const everyPointSeeds = 50;
const simulation = createSimulation();
const startedMs = Date.now();
const failed: number[] = [];
const matrix = new Map<string, number>();
let plays = 0;
for (let seed = first; seed < first + count; seed++) {
  const scenario = simulation.scenario(seed);
  const played = await play(scenario);
  if (values.trace) show(scenario, played);
  await report(seed, scenario, played, "");
  // Small scenarios now and then at every point there is.
  if (seed % everyPointSeeds !== 0 || scenario.programs.length > 2 || scenario.happenings.length > 8)
    continue;
  for await (const each of simulation.everyPoint(scenario)) {
    const at = each.scenario.crashes.map(({ point, how }) => `${how} at ${point}`).join(", ");
    await report(seed, each.scenario, each.played, ` with ${at || "no crash"}`);
    plays++;
  }
}
const seconds = (Date.now() - startedMs) / 1000;
console.log(
  `${count} seeds (${plays} plays) in ${seconds.toFixed(1)} s, ${failed.length} failed: ${[...new Set(failed)].join(" ")}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
if (values.matrix !== undefined) {
  const cells = [...matrix].map(([cell, times]) => [...cell.split("\t"), times]);
  const command = `npm run sim -- --seed ${first} --runs ${count}`;
  appendFileSync(
    values.matrix,
    `${JSON.stringify({ command, seeds: count, plays, seconds: Math.round(seconds), failed, cells })}\n`,
  );
}

async function report(
  seed: number,
  scenario: Scenario,
  { problems, observations }: Pick<Played, "problems" | "observations">,
  how: string,
): Promise<void> {
  for (const { fault, phase, outcome } of observations) {
    const cell = [fault, phase, outcome].join("\t");
    matrix.set(cell, (matrix.get(cell) ?? 0) + 1);
  }
  if (problems.length === 0) return;
  if (!failed.includes(seed)) {
    console.log(`seed ${seed}${how} FAILED; play it again: npm run sim -- --seed ${seed} --runs 1 --trace`);
    console.log(`  ${problems.slice(0, 3).join("\n  ")}`);
    if (!values.whole) {
      console.log("  the smallest scenario that fails:");
      const small = await simulation.shrink(scenario);
      show(small, await play(small));
    }
  }
  failed.push(seed);
}

async function play(
  scenario: Scenario,
): Promise<Pick<Played, "problems" | "entries" | "points" | "observations">> {
  plays++;
  try {
    return await simulation.play(scenario);
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { problems: [why], entries: [], points: [], observations: [] };
  }
}

function show(scenario: Scenario, { entries, points }: Pick<Played, "entries" | "points">): void {
  const short = (text: string): string => (text.length > 400 ? `${text.slice(0, 400)}…` : text);
  const { programs, ...rest } = scenario;
  console.log(JSON.stringify(rest, null, 1));
  for (const program of programs)
    console.log(short(JSON.stringify(program.trigger)), tree(program.body, "  "));
  console.log(`points of each life: ${points.join(", ")}`);
  for (const entry of entries) console.log(short(line(entry)));
}

function tree(block: Scenario["programs"][number]["body"], indent: string): string {
  return block.steps
    .map((step) => {
      const { id, op, failure, after, tolerates, timeoutMs } = step;
      const inner: unknown = JSON.parse(
        JSON.stringify(op, (key: string, value: unknown) =>
          ["body", "otherwise", "branches", "block"].includes(key)
            ? "…"
            : typeof value === "string"
              ? value.slice(0, 30)
              : value,
        ),
      );
      const blocks =
        "branches" in op
          ? op.branches
          : "arms" in op
            ? [...op.arms.map((arm) => arm.block), op.otherwise]
            : "body" in op
              ? [op.body, ...("otherwise" in op && op.otherwise !== null ? [op.otherwise] : [])]
              : [];
      const alternative =
        failure.kind === "degrade" ? `\n${indent} else${tree(failure.block, `${indent}    `)}` : "";
      return `\n${indent}${id} after ${after.join()}${tolerates.length > 0 ? "?" : ""} ${JSON.stringify(inner)} ${JSON.stringify(failure).slice(0, 120)} ${timeoutMs ?? ""}${blocks.map((each) => `\n${indent} -${tree(each, `${indent}  `)}`).join("")}${alternative}`;
    })
    .join("");
}

function line(entry: Entry): string {
  const run = entry.run === null ? "" : entry.run.slice(2, 7);
  return `${entry.seq} @${entry.atMs - 1_793_491_200_000} ${entry.epoch} ${run} ${entry.kind} ${JSON.stringify(entry.facts)}`;
}

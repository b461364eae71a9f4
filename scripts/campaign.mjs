// `npm run campaign -- kill|sim|parts [--seed N] [--runs K] [--parallel P]`: the long form of what `npm test` runs bounded. `sim` plays the whole node,
// `parts` the store, the runtime and the modules each by itself.
import { spawn } from "node:child_process";
import path from "node:path";
import { exitStatus, prepare, root } from "./setup.mjs";
import { tool } from "./stages.mjs";

const [kind, ...rest] = process.argv.slice(2);
const options = readOptions(rest);
if (options === undefined || !["kill", "sim", "parts"].includes(kind)) {
  console.error("usage: npm run campaign -- kill|sim|parts [--seed N] [--runs K] [--parallel P]");
  process.exit(2);
}

const { node, environment } = prepare();
const seed = options.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const runs = options.runs ?? (kind === "kill" ? "500" : "10000");
console.log(`campaign ${kind}: seed ${seed}, ${runs} runs`);
const script = (name) => [
  "--conditions=@writ/source",
  path.join(root, "scripts", name),
  "--seed",
  seed,
  "--runs",
  runs,
];
const commands = {
  kill: () => [...script("kill-campaign.ts"), "--parallel", options.parallel ?? "2"],
  sim: () => script("sim.ts"),
  parts: () => [
    tool("vitest/vitest.mjs"),
    "run",
    "--project",
    "simulation",
    "--testTimeout=86400000",
    "packages/runtime",
    "packages/store",
    "packages/modules",
  ],
};
const child = spawn(node, commands[kind](), {
  cwd: root,
  env: { ...environment, ...simulationSettings(seed, runs) },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(exitStatus(code, signal)));

/** First seed and number of seeds, in the words of each package's simulation. */
function simulationSettings(first, count) {
  const seeds = { WRIT_SEED: first, SIM_SEED: first, SIM_FIRST: first };
  return { ...seeds, WRIT_KILLS: count, SIM_COUNT: count, SIM_SEEDS: count };
}

/** Undefined when the options cannot be read. */
function readOptions(words) {
  const found = {};
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i]?.slice(2);
    const value = words[i + 1];
    if (!words[i]?.startsWith("--") || !["seed", "runs", "parallel"].includes(name)) return undefined;
    if (value === undefined || !/^\d{1,10}$/.test(value)) return undefined;
    found[name] = value;
  }
  return found;
}

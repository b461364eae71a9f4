// `npm run campaign -- kill|sim [--seed N] [--runs K]`: the long form of what `npm test` runs bounded.
import { spawn } from "node:child_process";
import path from "node:path";
import { exitStatus, prepare, root } from "./setup.mjs";
import { tool } from "./stages.mjs";

const [kind, ...rest] = process.argv.slice(2);
const options = readOptions(rest);
if (options === undefined || (kind !== "kill" && kind !== "sim")) {
  console.error("usage: npm run campaign -- kill|sim [--seed N] [--runs K]");
  process.exit(2);
}

const { node, environment } = prepare();
const seed = options.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const runs = options.runs ?? (kind === "kill" ? "500" : "10000");
console.log(`campaign ${kind}: seed ${seed}, ${runs} runs`);
const command =
  kind === "kill"
    ? [
        "--conditions=@writ/source",
        path.join(root, "scripts", "kill-campaign.ts"),
        "--seed",
        seed,
        "--runs",
        runs,
      ]
    : [tool("vitest/vitest.mjs"), "run", "--project", "simulation", "--testTimeout=86400000"];
const child = spawn(node, command, {
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
    if (!words[i]?.startsWith("--") || (name !== "seed" && name !== "runs")) return undefined;
    if (value === undefined || !/^\d{1,10}$/.test(value)) return undefined;
    found[name] = value;
  }
  return found;
}

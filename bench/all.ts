// Runs every benchmark and writes what they measured to docs/performance.md, with the machine, the commands and the raw lines.
//   node --conditions=@writ/source bench/all.ts [--history 1000000]
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { numberArgument } from "./support/arguments.ts";
import type { Figure } from "./support/figures.ts";

const here = import.meta.dirname;
const output = path.join(here, "..", "docs", "performance.md");
const run = promisify(execFile);

const history = numberArgument("history", 1_000_000);
const benches = [
  {
    script: "runs.ts",
    args: ["--history", String(history)],
    aim: "128 in flight: at least 1,500 runs/s, and the same after 1 million entries",
  },
  {
    script: "compile.ts",
    args: [],
    aim: "with 100 deployed rules, warm: p50 under 150 ms, p99 under 500 ms",
  },
  { script: "ledger.ts", args: [], aim: "200,000 entries verified a second" },
];

const sections: string[] = [];
for (const { script, args, aim } of benches) {
  const { stdout } = await run(
    process.execPath,
    ["--conditions=@writ/source", "--disable-warning=ExperimentalWarning", path.join(here, script), ...args],
    {
      maxBuffer: 64 * 1024 * 1024,
      timeout: 3_600_000,
    },
  );
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  process.stdout.write(`${lines.join("\n")}\n`);
  sections.push(section(script, args, aim, lines));
}

const commit = (await run("git", ["-C", here, "rev-parse", "--short", "HEAD"])).stdout.trim();
const model = cpus()[0]?.model ?? "unknown";
const version = (
  JSON.parse(await readFile(path.join(here, "..", "package.json"), "utf8")) as { readonly version: string }
).version;
await writeFile(
  output,
  `# Performance

Written by \`node --conditions=@writ/source bench/all.ts\`; not by hand. Figures are of one run on one shared machine: read ratios and orders of
magnitude, and measure on your own. Durability is on in every figure: an effect begins only after its intent is synced.

Writ ${version} at ${commit}, Node ${process.version}, ${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB.

${sections.join("\n")}`,
);

function section(script: string, args: readonly string[], aim: string, lines: readonly string[]): string {
  const rows = lines.map((line) => {
    const { bench: _bench, figure, value, unit, ...facts } = JSON.parse(line) as Figure;
    const rest = Object.entries(facts).map(([name, fact]) => `${name} ${String(fact)}`);
    return `| ${figure} | ${value.toLocaleString("en")} | ${unit} | ${rest.join(", ")} |`;
  });
  return [
    `## \`bench/${script}\`${args.length > 0 ? ` (\`${args.join(" ")}\`)` : ""}`,
    "",
    `Aim: ${aim}.`,
    "",
    "| figure | value | unit | facts |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

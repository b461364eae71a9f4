// Renders what faults came to (`npm run sim -- --matrix FILE`) as the table in docs/reliability.md, between its two marks.
//   node --conditions=@writ/source scripts/fault-matrix.ts FILE
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

interface Report {
  readonly command: string;
  readonly seeds: number;
  readonly plays: number;
  readonly seconds: number;
  readonly failed: readonly number[];
  readonly cells: readonly (readonly [string, string, string, number])[];
}

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: fault-matrix FILE");
  process.exit(2);
}
const page = path.join(import.meta.dirname, "..", "docs", "reliability.md");
const begin = "<!-- fault matrix: written by scripts/fault-matrix.ts -->";
const end = "<!-- end of the fault matrix -->";

const reports = readFileSync(file, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Report);
const text = readFileSync(page, "utf8");
const from = text.indexOf(begin);
const to = text.indexOf(end);
if (from < 0 || to < from) throw new Error("docs/reliability.md has no place for the matrix");
writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${render(reports)}\n${text.slice(to)}`);

function render(given: readonly Report[]): string {
  const counts = new Map<string, Map<string, number>>();
  for (const { cells } of given) {
    for (const [fault, phase, outcome, times] of cells) {
      const row = counts.get(`${fault} | ${phase}`) ?? new Map<string, number>();
      row.set(outcome, (row.get(outcome) ?? 0) + times);
      counts.set(`${fault} | ${phase}`, row);
    }
  }
  const rows = [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([row, outcomes]) => {
      const sorted = [...outcomes].toSorted(([, a], [, b]) => b - a);
      return `| ${row} | ${sorted.map(([outcome, times]) => `${outcome} (${times.toLocaleString("en")})`).join("; ")} |`;
    });
  const sum = (of: (report: Report) => number): string =>
    given.reduce((total, report) => total + of(report), 0).toLocaleString("en");
  return [
    `${sum(({ seeds }) => seeds)} seeds, ${sum(({ plays }) => plays)} plays, ${sum(({ seconds }) => seconds)} s of one core, ${sum(({ failed }) => failed.length)} failed: ${given.map(({ command }) => `\`${command}\``).join(", ")}.`,
    "One count for each intent that was open when the fault struck; one for the fault itself when none was.",
    "",
    "| fault | phase | what became of it (times seen) |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

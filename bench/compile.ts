// From a rule's text to its proof, over HTTP, with 100 deployed rules to compare with: cold (first question to the solver) and warm.
//   node --conditions=@writ/source bench/compile.ts [--deployed 100] [--samples 100]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { numberArgument } from "./support/arguments.ts";
import { percentile, report, rounded } from "./support/figures.ts";
import { poster } from "./support/load.ts";
import { start } from "./support/processes.ts";

const deployed = numberArgument("deployed", 100);
const samples = numberArgument("samples", 100);

/** Rules that agree with each other: each moves the same files to the same place, above another amount, and writes a line of its own. */
function rule(threshold: number): string {
  return (
    `When a CSV file arrives in the inbox, read it. If the sum of "amount" is above ${threshold} EUR, ` +
    `append a line with the file's name, the sum and "above ${threshold}" to journal.csv. ` +
    "Never write outside the workspace."
  );
}

const data = await mkdtemp(path.join(tmpdir(), "writ-bench-"));
const counter = await start("counter.ts", []);
const node = await start("node.ts", [data, counter.firstLine]);
try {
  const ready = JSON.parse(node.firstLine) as { readonly port: number; readonly ownerToken: string };
  const http = poster({ port: ready.port, token: ready.ownerToken }, 4);
  const post = async (at: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await http.post(at, JSON.stringify(body));
    if (answer.status >= 300)
      throw new Error(`${at} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, unknown>;
  };
  const compile = async (threshold: number): Promise<{ readonly hash: string; readonly ms: number }> => {
    const from = performance.now();
    const compiled = await post("/programs/compile", {
      kind: "rule",
      text: rule(threshold),
      workspace: "invoices",
    });
    if (compiled["kind"] !== "compiled")
      throw new Error(`Not compiled: ${JSON.stringify(compiled).slice(0, 2000)}`);
    const { hash } = compiled["program"] as { readonly hash: string };
    await post(`/programs/${hash}/approve`, { comment: "benchmark" });
    return { hash, ms: performance.now() - from };
  };

  const first = await compile(1);
  report({
    bench: "compile",
    figure: "rule to signed program, cold",
    value: rounded(first.ms, 0),
    unit: "ms",
    deployed: 0,
  });
  await post(`/programs/${first.hash}/deploy`, {});
  for (let index = 1; index < deployed; index++) {
    const { hash } = await compile(1 + index);
    await post(`/programs/${hash}/deploy`, {});
  }
  const times: number[] = [];
  for (let index = 0; index < samples; index++) times.push((await compile(100_000 + index)).ms);
  report({
    bench: "compile",
    figure: "rule to signed program, warm p50",
    value: rounded(percentile(times, 0.5)),
    unit: "ms",
    deployed,
    samples,
  });
  report({
    bench: "compile",
    figure: "rule to signed program, warm p99",
    value: rounded(percentile(times, 0.99)),
    unit: "ms",
    deployed,
    samples,
  });
  http.close();
} finally {
  await node.stop();
  await counter.stop();
  await rm(data, { recursive: true, force: true });
}

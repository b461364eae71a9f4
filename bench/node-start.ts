// The whole node on a long history: from the process that begins (packages/server/src/main.ts) until `GET /health` answers, and until the
// first run has completed over HTTP. The folder is one that `bench/sleepers.ts --data FOLDER` has filled; a program is deployed before.
//   node --conditions=@writ/source bench/node-start.ts --data FOLDER [--starts 3]
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { NodeProcess } from "../test/support/node-process.ts";
import { numberArgument } from "./support/arguments.ts";
import { diskNow, median, report, rounded } from "./support/figures.ts";

const starts = numberArgument("starts", 3);
const at = process.argv.indexOf("--data");
const given = at < 0 ? undefined : process.argv[at + 1];
if (given === undefined) throw new Error("usage: node-start.ts --data FOLDER [--starts 3]");
const name = `starts${process.pid}`;
const workspaceFile = {
  version: 1,
  zone: "UTC",
  currencies: [],
  folders: {},
  files: {},
  roles: {},
  tables: {},
  hosts: [],
  profile: "power_user",
};
const breathe = {
  name: "Breathe",
  body: [{ id: "breathe", op: "wait", until: { kind: "duration", ms: 1 } }],
};

const folder = await mkdtemp(path.join(tmpdir(), "writ-node-start-"));
const node = new NodeProcess(folder, path.resolve(given));
// The first start names the owner; its token is kept for the next measurement on the same folder.
const tokenFile = path.join(given, "bench-token.txt");
if (existsSync(tokenFile)) node.token = readFileSync(tokenFile, "utf8");
try {
  const root = path.join(folder, "workspace");
  await mkdir(root);
  await writeFile(path.join(root, "workspace.json"), JSON.stringify({ ...workspaceFile, name }));
  await node.start();
  const { token } = node;
  await writeFile(tokenFile, token);
  await post("/workspaces", { root });
  const made = { kind: "program", text: JSON.stringify(breathe), workspace: name };
  const { program } = (await post("/programs/compile", made)) as {
    readonly program: { readonly hash: string };
  };
  await post(`/programs/${program.hash}/approve`, { comment: "benchmark" });
  await post(`/programs/${program.hash}/deploy`, {});
  await runOnce(program.hash);
  const healthMs: number[] = [];
  const firstRunMs: number[] = [];
  const disk = await diskNow();
  for (let i = 0; i < starts; i++) {
    await node.stop();
    const fromMs = performance.now();
    await node.start();
    node.token = token;
    const health = await fetch(`${node.url}/health`);
    if (!health.ok) throw new Error(`GET /health answered ${health.status}`);
    healthMs.push(performance.now() - fromMs);
    await runOnce(program.hash);
    firstRunMs.push(performance.now() - fromMs);
  }
  const status = await answered(await fetch(`${node.url}/status`, { headers: headers() }));
  const { seq } = status["ledger"] as { readonly seq: number };
  const facts = { starts, entries: seq + 1, ...disk };
  const line = (figure: string, values: readonly number[]): void =>
    report({ bench: "node-start", figure, value: rounded(median(values), 0), unit: "ms", ...facts });
  line("start on a history until /health answers", healthMs);
  line("start on a history until the first run has completed", firstRunMs);
} finally {
  await node.stop();
  await rm(folder, { recursive: true, force: true });
}

async function runOnce(program: string): Promise<void> {
  const answer = await post(`/programs/${program}/runs?wait=true`, { data: {} });
  if (answer["status"] !== "finished") throw new Error(`A run ended otherwise: ${JSON.stringify(answer)}`);
}

function headers(): Record<string, string> {
  return { authorization: `Bearer ${node.token}`, "content-type": "application/json" };
}

async function post(route: string, body: unknown): Promise<Record<string, unknown>> {
  const request = { method: "POST", headers: headers(), body: JSON.stringify(body) };
  return answered(await fetch(`${node.url}${route}`, request));
}

async function answered(response: Response): Promise<Record<string, unknown>> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

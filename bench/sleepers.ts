// What a long history and many sleeping runs cost: start-up time, memory, bytes a sleeping run. Store, registry and engine, no HTTP.
//   node --conditions=@writ/source bench/sleepers.ts [--finished 100000] [--sleeping 100000] [--starts 3] [--data FOLDER]
// One JSON line for each phase. Each phase is a process of its own; a folder given with --data is kept, and filled only once.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { numberArgument } from "./support/arguments.ts";

const finished = numberArgument("finished", 100_000);
const sleeping = numberArgument("sleeping", 100_000);
const starts = numberArgument("starts", 3);
const at = process.argv.indexOf("--data");
const given = at < 0 ? undefined : process.argv[at + 1];
const folder = given ?? (await mkdtemp(path.join(tmpdir(), "writ-sleepers-")));

try {
  if (!existsSync(path.join(folder, "ledger"))) await phase("fill", [String(finished), String(sleeping)]);
  for (let i = 0; i < starts; i++) await phase("start", []);
} finally {
  if (given === undefined) await rm(folder, { recursive: true, force: true });
}

function phase(name: string, more: readonly string[]): Promise<void> {
  const script = path.join(import.meta.dirname, "support/sleepers-node.ts");
  const args = ["--conditions=@writ/source", "--expose-gc", "--disable-warning=ExperimentalWarning", script];
  const child = spawn(process.execPath, [...args, folder, name, ...more], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))));
  });
}

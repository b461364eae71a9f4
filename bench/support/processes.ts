import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { bundle, isFromSource } from "../../scripts/bundle.mjs";

const here = import.meta.dirname;
/** As `npm start` has it. */
const compileCache = {
  NODE_COMPILE_CACHE: path.join(here, "..", "..", "node_modules", ".cache", "writ-compile"),
};

export interface Started {
  readonly process: ChildProcess;
  readonly firstLine: string;
  /** Milliseconds from the spawn to the first line. */
  readonly startMs: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A script of this folder as what ships is run: bundled. With WRIT_SOURCE=1, and for what is not a node, from its source. */
function mainOf(script: string): readonly string[] {
  const file = path.join(here, script);
  if (isFromSource || !script.includes("node")) return ["--conditions=@writ/source", file];
  const name = path.basename(script, ".ts");
  return [path.join(bundle(process.execPath, { [`bench-${name}`]: file }), `bench-${name}.js`)];
}

/** Starts a script of this folder and waits for its first line of output. */
export async function start(
  script: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<Started> {
  const fromMs = performance.now();
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", ...nodeOptions, ...mainOf(script), ...args],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...compileCache, ...process.env } },
  );
  const firstLine = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once("exit", (code) => reject(new Error(`${script} ended with ${code} before it was ready`)));
  });
  return {
    process: child,
    firstLine,
    startMs: performance.now() - fromMs,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, "exit");
    },
  };
}

/** Processor time of the process so far, user and system, all its threads; Linux only (clock ticks of 10 ms). */
export function cpuMsOf(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const [, , ...fields] = stat.slice(stat.lastIndexOf(")")).split(" ");
  return (Number(fields[10]) + Number(fields[11])) * 10;
}

/** Resident memory of the process in MB (1,000,000 bytes); Linux only. */
export function memoryMbOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return (Number(kilobytes) * 1024) / 1e6;
}

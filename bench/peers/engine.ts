// An engine under measurement: what the same benchmark needs of each.
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

export const appsFolder = path.join(import.meta.dirname, "apps");
export const modulesFolder = path.join(import.meta.dirname, "node_modules");

export interface Engine {
  readonly name: string;
  /** What is durable when, in one line. */
  readonly durability: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Everything that runs, from nothing or, after a stop or a kill, on the data that is there. Resolves when it serves. */
  start(): Promise<void>;
  /** Runs a workflow to its end. @throws when it does not finish */
  run(id: string): Promise<void>;
  /** Resolves as soon as the engine holds the run. */
  begin(id: string): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL to what performs the steps, or to every process of the engine, its database too. */
  kill(what: "worker" | "everything"): Promise<void>;
  /** Starts again what `kill` killed. */
  restart(): Promise<void>;
  /** Proportional memory of all processes, and of those that are the user's application, in MB. */
  memory(): { readonly allMb: number; readonly applicationMb: number };
  close(): Promise<void>;
}

export interface Daemon {
  readonly child: ChildProcess;
  readonly firstLine: string;
}

/** Starts a process and waits for its first line (`line`), or for a port to take connections. */
export async function daemon(
  command: string,
  args: readonly string[],
  ready: { readonly line: true } | { readonly port: number },
  options: SpawnOptions = {},
): Promise<Daemon> {
  const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"], ...options });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (said = (said + chunk).slice(-4000)));
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const failed = (): Error => new Error(`${path.basename(command)} ${args[0] ?? ""} did not start: ${said}`);
  if ("port" in ready) {
    child.stdout?.resume();
    while (!(await takesConnections(ready.port))) {
      if (isOver()) throw failed();
      await sleep(5);
    }
    return { child, firstLine: "" };
  }
  const firstLine = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      if (text.includes("\n")) return;
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("error", reject);
    child.once("exit", () => reject(failed()));
  });
  return { child, firstLine };
}

export async function end(started: Daemon | null, signal: NodeJS.Signals): Promise<void> {
  const child = started?.child;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, "exit");
  child.kill(signal);
  await Promise.race([over, sleep(10_000).then(() => child.kill("SIGKILL"))]);
  await over;
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}

/** Proportional set size of a process and everything it started, in MB: shared pages count once over all of them. */
export function treeMemoryMb(started: Daemon | null): number {
  const pid = started?.child.pid;
  if (pid === undefined) return 0;
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended meanwhile.
    }
  }
  let kilobytes = 0;
  for (const all = [pid]; ;) {
    const one = all.pop();
    if (one === undefined) break;
    all.push(...(children.get(one) ?? []));
    try {
      const text = readFileSync(`/proc/${one}/smaps_rollup`, "utf8");
      kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
    } catch {
      // The same.
    }
  }
  return (kilobytes * 1024) / 1e6;
}

/** Version of an installed package. */
export function versionOf(name: string): string {
  const text = readFileSync(path.join(modulesFolder, name, "package.json"), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Node's own arguments for an application: the Node that runs the benchmark, types stripped. */
export function appCommand(script: string, ...args: readonly string[]): readonly [string, readonly string[]] {
  return [
    process.execPath,
    ["--disable-warning=ExperimentalWarning", path.join(appsFolder, script), ...args],
  ];
}

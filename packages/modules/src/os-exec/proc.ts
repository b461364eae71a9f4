// Processes as Linux shows them. A process is named by its number and its time of start: numbers come again.
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fault } from "../faults.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly name: string;
  /** `R` running, `S` sleeping, `Z` ended and not yet collected … */
  readonly state: string;
  /** Clock ticks after the system's start. */
  readonly startTicks: number;
  readonly memoryBytes: number;
  readonly threads: number;
}

const pageBytes = 4096;

/** @throws exec.unsupported */
export function assertProc(): void {
  if (process.platform !== "linux") {
    throw fault("exec.unsupported", `Cannot look at processes on \`${process.platform}\``, {
      platform: process.platform,
    });
  }
}

/** The process, or undefined when there is none with this number. */
export function processAt(pid: number): ProcessInfo | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It has ended, or this system has no /proc.
    return undefined;
  }
  // The name stands in brackets and may hold brackets and spaces itself.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).split(" ");
  const number = (index: number): number => Number(fields[index - 3] ?? 0);
  return {
    pid,
    parent: number(4),
    group: number(5),
    name: text.slice(open + 1, close).toWellFormed(),
    state: fields[0] ?? "?",
    startTicks: number(22),
    memoryBytes: number(24) * pageBytes,
    threads: number(20),
  };
}

export function allProcesses(): readonly ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processAt(Number(name)))
    .filter((each) => each !== undefined)
    .sort((a, b) => a.pid - b.pid);
}

/** The process and everything it started, as far as the chain of parents still shows it. */
export function treeOf(pid: number, all: readonly ProcessInfo[] = allProcesses()): readonly ProcessInfo[] {
  const found: ProcessInfo[] = all.filter((each) => each.pid === pid);
  for (let i = 0; i < found.length; i++) {
    const parent = found[i];
    found.push(...all.filter((each) => each.parent === parent?.pid && !found.includes(each)));
  }
  return found;
}

/** Whether this very process still lives. */
export function isAlive(pid: number, startTicks: number): boolean {
  const now = processAt(pid);
  return now !== undefined && now.startTicks === startTicks && now.state !== "Z" && now.state !== "X";
}

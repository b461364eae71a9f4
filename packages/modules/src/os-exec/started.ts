// Processes that this node started and that may still live; what it did not start it does not end.
import process from "node:process";
import { processAt, isAlive, treeOf } from "./proc.ts";

export interface StartedProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly workspace: string;
  /** Name in the workspace file's list of programs. */
  readonly program: string;
}

export interface StartedProcesses {
  add(pid: number, workspace: string, program: string): StartedProcess;
  remove(pid: number): void;
  find(pid: number): StartedProcess | undefined;
  /** Those that live, of one workspace. */
  of(workspace: string): readonly StartedProcess[];
}

export function createStarted(): StartedProcesses {
  const known = new Map<number, StartedProcess>();
  return {
    add(pid, workspace, program) {
      const started = { pid, startTicks: processAt(pid)?.startTicks ?? 0, workspace, program };
      known.set(pid, started);
      return started;
    },
    remove: (pid) => void known.delete(pid),
    find(pid) {
      const started = known.get(pid);
      return started !== undefined && isAlive(pid, started.startTicks) ? started : undefined;
    },
    of: (workspace) =>
      [...known.values()].filter(
        (each) => each.workspace === workspace && isAlive(each.pid, each.startTicks),
      ),
  };
}

/** Sends the signal to the process's group and to the groups of everything it started. A group that has gone is no error. */
export function signalTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  let groups: readonly number[] = [];
  try {
    // Only groups that something in the tree leads: a member of our own group would take the node along.
    groups = treeOf(pid).flatMap((each) => (each.pid === each.group ? [each.group] : []));
  } catch {
    // No /proc: the group alone.
  }
  for (const group of new Set([pid, ...groups])) signalOne(-group, signal);
}

/** False when there is nobody with this number. */
export function signalOne(target: number, signal: "SIGTERM" | "SIGKILL"): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch {
    return false;
  }
}

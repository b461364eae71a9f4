// Looking at processes: names and numbers, never command lines, in which people put secrets.
import { capability, type Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { processesListedMax } from "../limits.ts";
import { allProcesses, assertProc, processAt, treeOf, type ProcessInfo } from "./proc.ts";
import type { StartedProcesses } from "./started.ts";

const shown = Type.Object(
  {
    pid: Type.Integer({ minimum: 1 }),
    parent: Type.Integer({ minimum: 0 }),
    name: Type.String({ maxLength: 64 }),
    state: Type.String({ maxLength: 4 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
    threads: Type.Integer({ minimum: 0 }),
    /** This node started it, for this workspace. */
    own: Type.Boolean(),
  },
  { additionalProperties: false },
);

const base = {
  effect: { kind: "read" },
  resources: [],
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "process.read",
  labels: ["origin:command"],
  phrases: { en: [], fr: [] },
  timeoutMs: 10_000,
  retryOn: [],
} as const;

export function listProcesses(started: StartedProcesses): Capability {
  return capability({
    ...base,
    id: capabilityId("os_exec.list_processes@1.0.0"),
    summary: { en: "Lists the running processes", fr: "Liste les processus en cours" },
    params: Type.Object(
      {
        /** Part of the name, case ignored. */
        name_filter: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
        include_children: Type.Optional(Type.Boolean({ default: false })),
      },
      { additionalProperties: false },
    ),
    result: Type.Object(
      {
        processes: Type.Array(shown, { maxItems: processesListedMax }),
        leftOut: Type.Integer({ minimum: 0 }),
      },
      { additionalProperties: false },
    ),
    resultBytesMax: 500_000,
    async perform(params, context) {
      assertProc();
      const all = allProcesses();
      const wanted = params.name_filter?.toLowerCase();
      const named = all.filter(({ name }) => wanted === undefined || name.toLowerCase().includes(wanted));
      const found =
        params.include_children === true ? [...new Set(named.flatMap(({ pid }) => treeOf(pid, all)))] : named;
      const processes = found
        .slice(0, processesListedMax)
        .map((each) => viewOf(each, started, context.workspace.name));
      const result = { processes, leftOut: found.length - processes.length };
      return { result, undo: null, evidence: "observed" };
    },
  });
}

export function getProcessInfo(started: StartedProcesses): Capability {
  return capability({
    ...base,
    id: capabilityId("os_exec.get_process_info@1.0.0"),
    summary: { en: "Looks at one process", fr: "Examine un processus" },
    params: Type.Object(
      { pid: Type.Integer({ minimum: 1, maximum: 2 ** 31 }) },
      { additionalProperties: false },
    ),
    result: shown,
    resultBytesMax: 4096,
    async perform({ pid }, context) {
      assertProc();
      const found = processAt(pid);
      if (found === undefined) throw fault("exec.process-missing", `Cannot find the process ${pid}`, { pid });
      return { result: viewOf(found, started, context.workspace.name), undo: null, evidence: "observed" };
    },
  });
}

function viewOf(info: ProcessInfo, started: StartedProcesses, workspace: string) {
  const { pid, parent, name, state, memoryBytes, threads } = info;
  const own = started.find(pid)?.workspace === workspace;
  return { pid, parent, name: name.slice(0, 64), state, memoryBytes, threads, own };
}

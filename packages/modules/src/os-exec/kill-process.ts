// Ending a process: those that this node started for this workspace; others only under the profile `unrestricted`.
import { setTimeout as wait } from "node:timers/promises";
import { capability, type CallContext, type Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { assertProc, isAlive, processAt } from "./proc.ts";
import { signalOne, signalTree, type StartedProcesses } from "./started.ts";

/** How long the answer waits to see it end. */
const watchMs = 1500;
const lookMs = 20;

export function killProcess(started: StartedProcesses): Capability {
  return capability({
    id: capabilityId("os_exec.kill_process@1.0.0"),
    summary: { en: "Ends a process", fr: "Met fin à un processus" },
    params: Type.Object(
      {
        pid: Type.Integer({ minimum: 2, maximum: 2 ** 31 }),
        signal: Type.Optional(Type.Enum(["SIGTERM", "SIGKILL"], { default: "SIGTERM" })),
      },
      { additionalProperties: false },
    ),
    result: Type.Object(
      {
        pid: Type.Integer(),
        signal: Type.Enum(["SIGTERM", "SIGKILL"]),
        /** False: it was told to, and still lived when the answer was given. */
        ended: Type.Boolean(),
      },
      { additionalProperties: false },
    ),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    // The time of start, looked up before, tells this process from a later one with its number.
    crash: "idempotent",
    risk: "high",
    criticality: "controlled",
    permission: "process.kill",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 10_000,
    resultBytesMax: 1024,
    retryOn: [],
    async inspect({ pid }, context) {
      assertProc();
      const found = processAt(pid);
      if (found === undefined) throw fault("exec.process-missing", `Cannot find the process ${pid}`, { pid });
      assertOwn(pid, started, context);
      return { targets: [], before: { startTicks: found.startTicks, name: found.name } };
    },
    async perform({ pid, signal = "SIGTERM" }, context) {
      const { startTicks } = context.before;
      if (typeof startTicks !== "number")
        throw new Error("Invariant broken: nobody looked before ending a process");
      const done = (ended: boolean) =>
        ({ result: { pid, signal, ended }, undo: null, evidence: "observed" }) as const;
      if (!isAlive(pid, startTicks)) return done(true);
      // After a restart the node does not remember what it started; a person, or the owner's profile, then decides.
      assertOwn(pid, started, context);
      if (started.find(pid) !== undefined) signalTree(pid, signal);
      else if (!signalOne(pid, signal)) {
        throw fault(
          "exec.process-denied",
          `Cannot end the process ${pid}: the system does not let this user`,
          { pid },
        );
      }
      for (let waited = 0; waited < watchMs; waited += lookMs) {
        if (!isAlive(pid, startTicks)) return done(true);
        await wait(lookMs);
      }
      return done(!isAlive(pid, startTicks));
    },
  });
}

/** @throws exec.foreign-process */
function assertOwn(pid: number, started: StartedProcesses, context: CallContext): void {
  if (started.find(pid)?.workspace === context.workspace.name) return;
  if (context.workspace.file.profile === "unrestricted") return;
  throw fault("exec.foreign-process", `Cannot end the process ${pid}: this workspace did not start it`, {
    pid,
  });
}

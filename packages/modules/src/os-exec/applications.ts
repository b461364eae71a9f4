// Applications with a window: allowed like any program, started on the desktop of whoever runs the node. Without a desktop it is a fault.
import { spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { capability, type CallContext, type Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { openFolder } from "../filesystem/contained.ts";
import { folderPath } from "../filesystem/params.ts";
import { commandArgumentsMax } from "../limits.ts";
import { allowedProgram, checkArgumentPaths, programRisk } from "./allowed.ts";
import type { ExecOptions } from "./options.ts";
import { isAlive } from "./proc.ts";
import { signalTree, type StartedProcesses } from "./started.ts";

/** Time in which an application that cannot start has usually ended again. */
const settleMs = 300;
const closeWatchMs = 3000;
const lookMs = 50;

const base = {
  effect: { kind: "irreversible", approval: "listed" },
  crash: "neither",
  risk: "medium",
  criticality: "controlled",
  labels: ["origin:command"],
  phrases: { en: [], fr: [] },
  timeoutMs: 30_000,
  resultBytesMax: 4096,
  retryOn: [],
} as const;

export function openApplication(options: ExecOptions, started: StartedProcesses): Capability {
  const prepare = (
    params: {
      readonly application: string;
      readonly arguments?: readonly string[] | undefined;
      readonly working_directory?: string | undefined;
    },
    context: CallContext,
  ) => {
    if (options.desktop === undefined || Object.keys(options.desktop).length === 0) {
      throw fault(
        "exec.no-desktop",
        `Cannot open \`${params.application}\`: this node runs without a desktop`,
        {
          application: params.application,
        },
      );
    }
    const args = params.arguments ?? [];
    const allowed = allowedProgram(params.application, args, context.workspace.file);
    if (allowed.entry.sandbox !== "none") {
      throw fault(
        "exec.sandbox-missing",
        `Cannot open \`${params.application}\`: an application runs without a sandbox, and its entry does not say \`"sandbox": "none"\``,
        {
          program: params.application,
        },
      );
    }
    using opened = openFolder(context.workspace.root, params.working_directory ?? ".");
    checkArgumentPaths(allowed.name, args, context, opened.real);
    return { allowed, args, folder: opened.real, desktop: options.desktop };
  };
  return {
    ...capability({
      ...base,
      id: capabilityId("os_exec.open_application@1.0.0"),
      summary: { en: "Opens an allowed application", fr: "Ouvre une application autorisée" },
      params: Type.Object(
        {
          application: Type.String({ minLength: 1, maxLength: 64 }),
          arguments: Type.Optional(
            Type.Array(Type.String({ maxLength: 4096 }), { maxItems: commandArgumentsMax, default: [] }),
          ),
          working_directory: Type.Optional(folderPath),
        },
        { additionalProperties: false },
      ),
      result: Type.Object(
        { application: Type.String({ maxLength: 64 }), pid: Type.Integer({ minimum: 1 }) },
        { additionalProperties: false },
      ),
      resources: [{ kind: "folder", param: "working_directory", does: "replace" }],
      permission: "application.open",
      async inspect(params, context) {
        const { folder } = prepare(params, context);
        const name = params.working_directory ?? ".";
        return {
          targets: [
            {
              kind: "folder",
              name,
              resolved: folder,
              does: "replace",
              state: null,
              conditions: "sandbox: none, network: any",
            },
          ],
          before: {},
        };
      },
      async perform(params, context) {
        const { allowed, args, folder, desktop } = prepare(params, context);
        const child = spawn(allowed.executable, [...args], {
          cwd: folder,
          env: { ...desktop },
          shell: false,
          detached: true,
          stdio: "ignore",
        });
        const failed = new Promise<Error>((resolve) => child.once("error", resolve));
        const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
        const { pid } = child;
        if (pid === undefined) {
          throw fault("exec.start-failed", `Cannot start \`${allowed.executable}\``, {}, await failed);
        }
        started.add(pid, context.workspace.name, allowed.name);
        void ended.then(() => started.remove(pid));
        child.unref();
        const code = await Promise.race([ended, wait(settleMs, "lives" as const)]);
        if (code !== "lives" && code !== 0) {
          throw fault("exec.exit", `\`${allowed.name}\` ended at once with exit code ${code ?? "?"}`, {
            exitCode: code,
          });
        }
        return { result: { application: allowed.name, pid }, undo: null, evidence: "observed" };
      },
    }),
    riskOf: (params, file) => programRisk(params["application"], file),
  };
}

export function closeApplication(started: StartedProcesses): Capability {
  return capability({
    ...base,
    id: capabilityId("os_exec.close_application@1.0.0"),
    summary: { en: "Closes an application that was opened", fr: "Ferme une application ouverte" },
    params: Type.Object(
      {
        application_name: Type.String({ minLength: 1, maxLength: 64 }),
        force: Type.Optional(Type.Boolean({ default: false })),
      },
      { additionalProperties: false },
    ),
    result: Type.Object(
      {
        application: Type.String({ maxLength: 64 }),
        closed: Type.Integer({ minimum: 0 }),
        left: Type.Integer({ minimum: 0 }),
      },
      { additionalProperties: false },
    ),
    resources: [],
    // Closing again closes nothing more.
    crash: "idempotent",
    permission: "application.close",
    async inspect() {
      return { targets: [], before: {} };
    },
    async perform({ application_name: name, force = false }, context) {
      const own = started.of(context.workspace.name).filter(({ program }) => program === name);
      for (const { pid } of own) signalTree(pid, force ? "SIGKILL" : "SIGTERM");
      const living = () => own.filter(({ pid, startTicks }) => isAlive(pid, startTicks)).length;
      for (let waited = 0; living() > 0 && waited < closeWatchMs; waited += lookMs) await wait(lookMs);
      const left = living();
      return {
        result: { application: name, closed: own.length - left, left },
        undo: null,
        evidence: "observed",
      };
    },
  });
}

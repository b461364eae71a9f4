import type { Capability } from "@writ/core/capability";
import { closeApplication, openApplication } from "./applications.ts";
import { createVariables } from "./environment.ts";
import { killProcess } from "./kill-process.ts";
import type { ExecOptions } from "./options.ts";
import { getProcessInfo, listProcesses } from "./process-info.ts";
import { runCommand } from "./run-command.ts";
import { createSandboxes } from "./sandbox.ts";
import { createStarted } from "./started.ts";
import { getSystemInfo } from "./system-info.ts";
import { getEnvVar, restoreEnvVar, setEnvVar } from "./variables.ts";

export type { ExecOptions } from "./options.ts";

/** Commands, processes and variables; one set of them shares what it started. */
export function execCapabilities(options: ExecOptions = {}): readonly Capability[] {
  const started = createStarted();
  const variables = createVariables();
  return [
    runCommand({ options, sandboxes: createSandboxes(options), started, variables }),
    listProcesses(started),
    killProcess(started),
    getProcessInfo(started),
    openApplication(options, started),
    closeApplication(started),
    setEnvVar(variables),
    getEnvVar(variables),
    restoreEnvVar(variables),
    getSystemInfo,
  ];
}

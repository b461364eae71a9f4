// A command of the operating system: an executable that the workspace allows, with its arguments as a list. No shell, ever.
//   X1  Nothing is started before `starting` is durable, so a crash that left no word of it left no process either.
//   X2  A command that was cut off did something nobody knows: it is asked about, never called failed, unless it may be done again.
import path from "node:path";
import { capability, type CallContext, type Capability, type Resolution } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type, type Static } from "@writ/core/schema";
import { isMap, type ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { openFolder } from "../filesystem/contained.ts";
import { folderPath } from "../filesystem/params.ts";
import {
  commandArgumentsMax,
  commandExcerptLength,
  commandStdinLengthMax,
  environmentVariablesMax,
} from "../limits.ts";
import { allowedProgram, checkArgumentPaths, programRisk, type Allowed } from "./allowed.ts";
import { environmentOf, variableName, variableValue, type Variables } from "./environment.ts";
import type { ExecOptions } from "./options.ts";
import { isAlive } from "./proc.ts";
import { runProcess, type Output, type ProcessOutcome } from "./run-process.ts";
import { conditionsOf, sandboxFor, wrapped, type Sandbox, type Sandboxes } from "./sandbox.ts";
import { signalTree, type StartedProcesses } from "./started.ts";

const Params = Type.Object(
  {
    /** The program's name in the workspace file, then its arguments. */
    command: Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: commandArgumentsMax }),
    working_directory: Type.Optional(folderPath),
    env: Type.Optional(Type.Record(variableName, variableValue, { maxProperties: environmentVariablesMax })),
    timeout: Type.Optional(Type.Integer({ minimum: 1, maximum: 600, default: 30 })),
    capture_output: Type.Optional(Type.Boolean({ default: true })),
    stdin: Type.Optional(Type.String({ maxLength: commandStdinLengthMax })),
  },
  { additionalProperties: false },
);
type Params = Static<typeof Params>;

const outputText = Type.String({ maxLength: 200_000 });
const count = Type.Integer({ minimum: 0 });
const hash = Type.Union([Type.String({ pattern: "^[0-9a-f]{64}$", maxLength: 64 }), Type.Null()]);
const Result = Type.Object(
  {
    program: Type.String({ maxLength: 64 }),
    exitCode: Type.Integer(),
    stdout: outputText,
    stderr: outputText,
    stdoutBytes: count,
    stderrBytes: count,
    /** Bytes of both that the texts leave out; the blobs have them. */
    leftOutBytes: count,
    stdoutSha256: hash,
    stderrSha256: hash,
    sandbox: Type.Enum(["bubblewrap", "none"]),
  },
  { additionalProperties: false },
);

export interface CommandParts {
  readonly options: ExecOptions;
  readonly sandboxes: Sandboxes;
  readonly started: StartedProcesses;
  readonly variables: Variables;
}

export function runCommand(parts: CommandParts): Capability {
  return {
    ...capability({
      id: capabilityId("os_exec.run_command@1.0.0"),
      summary: { en: "Runs an allowed program", fr: "Exécute un programme autorisé" },
      params: Params,
      result: Result,
      effect: { kind: "irreversible", approval: "listed" },
      resources: [{ kind: "folder", param: "working_directory", does: "replace" }],
      crash: "queryable",
      risk: "medium",
      criticality: "controlled",
      permission: "process.run",
      labels: ["origin:command"],
      // No sentence runs a command: rules and models name it by its id, and the list says which.
      phrases: { en: [], fr: [] },
      timeoutMs: 620_000,
      interruptible: true,
      resultBytesMax: 500_000,
      retryOn: [],
      async inspect(params, context) {
        const { allowed, folder, sandbox } = prepare(params, context, parts);
        const name = path.relative(context.workspace.root, folder) || ".";
        return {
          targets: [
            {
              kind: "folder",
              name,
              resolved: folder,
              does: "replace",
              state: null,
              conditions: conditionsOf(allowed, sandbox),
            },
          ],
          before: { executable: allowed.executable, sandbox },
        };
      },
      perform: (params, context) => perform(params, context, parts),
      resolve: (params, context) => Promise.resolve(resolve(params, context)),
    }),
    riskOf: (params, file) => programRisk(firstOf(params["command"]), file),
  };
}

function firstOf(command: unknown): unknown {
  return Array.isArray(command) ? (command as readonly unknown[])[0] : undefined;
}

interface Prepared {
  readonly allowed: Allowed;
  readonly args: readonly string[];
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly environment: Readonly<Record<string, string>>;
}

/** Every check, without any effect; made when looking, and again when acting. */
function prepare(params: Params, context: CallContext, parts: CommandParts): Prepared {
  const [name = "", ...args] = params.command;
  const allowed = allowedProgram(name, args, context.workspace.file);
  using opened = openFolder(context.workspace.root, params.working_directory ?? ".");
  const folder = opened.real;
  checkArgumentPaths(name, args, context, folder);
  const environment = environmentOf(parts.variables.of(context.workspace.name), params.env ?? {});
  return { allowed, args, folder, sandbox: sandboxFor(allowed, parts.sandboxes), environment };
}

async function perform(params: Params, context: CallContext, parts: CommandParts) {
  const { allowed, args, folder, sandbox, environment } = prepare(params, context, parts);
  if (context.before["executable"] !== undefined && context.before["executable"] !== allowed.executable) {
    throw fault("exec.program-changed", `Cannot run \`${allowed.name}\`: its path leads elsewhere now`, {
      executable: allowed.executable,
      was: context.before["executable"],
    });
  }
  // Whoever approved it saw the sandbox it would have.
  if (context.before["sandbox"] !== undefined && context.before["sandbox"] !== sandbox) {
    throw fault(
      "exec.sandbox-missing",
      `Cannot run \`${allowed.name}\`: its sandbox is not the one that was seen`,
      {
        sandbox,
        was: context.before["sandbox"],
      },
    );
  }
  const bubblewrap = sandbox === "none" ? null : parts.sandboxes.find();
  const command =
    bubblewrap === null
      ? { executable: allowed.executable, args }
      : wrapped(bubblewrap, allowed, {
          args,
          folder,
          workspace: context.workspace,
          hidden: parts.options.hidden ?? [],
        });
  await context.progress?.({ phase: "starting", program: allowed.name, sandbox });
  let about: ValueMap = {};
  const outcome = await runProcess({
    ...command,
    folder,
    environment,
    stdin: params.stdin ?? null,
    capture: params.capture_output ?? true,
    timeoutMs: (params.timeout ?? 30) * 1000,
    signal: context.signal,
    attach: context.attach?.bind(context),
    onStart(pid) {
      const { startTicks } = parts.started.add(pid, context.workspace.name, allowed.name);
      about = { phase: "running", program: allowed.name, sandbox, pid, startTicks };
      void context.progress?.(about);
    },
    onOutput(stdout, stderr) {
      void context.progress?.({
        ...about,
        stdoutBytes: stdout.sizeBytes(),
        stderrBytes: stderr.sizeBytes(),
        tail: (stdout.sizeBytes() > 0 ? stdout : stderr).tail(commandExcerptLength),
      });
    },
    onEnd: (pid) => parts.started.remove(pid),
  });
  assertEnded(params, allowed, outcome, sandbox);
  const { stdout, stderr } = outcome;
  const result = {
    program: allowed.name,
    exitCode: 0,
    stdout: stdout.text(),
    stderr: stderr.text(),
    stdoutBytes: stdout.sizeBytes(),
    stderrBytes: stderr.sizeBytes(),
    leftOutBytes: stdout.leftOutBytes() + stderr.leftOutBytes(),
    stdoutSha256: stdout.blob()?.sha256 ?? null,
    stderrSha256: stderr.blob()?.sha256 ?? null,
    sandbox,
  };
  return { result, undo: null, evidence: "observed" } as const;
}

/** @throws exec.exit, exec.timeout, exec.stopped */
function assertEnded(params: Params, allowed: Allowed, outcome: ProcessOutcome, sandbox: Sandbox): void {
  const { why, exitCode, signal, stdout, stderr } = outcome;
  const facts = {
    program: allowed.name,
    exitCode,
    signal,
    sandbox,
    stdout: excerpt(stdout),
    stderr: excerpt(stderr),
    stdoutBytes: stdout.sizeBytes(),
    stderrBytes: stderr.sizeBytes(),
  };
  // Cut off half-way; only the list can say that doing it again repairs that.
  const unknown = allowed.entry.idempotent === true ? {} : { outcome: "unknown" };
  if (why === "timeout") {
    const seconds = params.timeout ?? 30;
    throw fault("exec.timeout", `\`${allowed.name}\` did not end in ${seconds} s and was ended`, {
      ...facts,
      ...unknown,
    });
  }
  if (why === "stopped")
    throw fault("exec.stopped", `\`${allowed.name}\` was ended because it is not wanted any more`, {
      ...facts,
      ...unknown,
    });
  if (signal !== null)
    throw fault("exec.exit", `\`${allowed.name}\` was ended by ${signal}`, { ...facts, ...unknown });
  if (exitCode !== 0)
    throw fault("exec.exit", `\`${allowed.name}\` ended with exit code ${exitCode ?? "?"}`, facts);
}

function excerpt(output: Output): string {
  return output.tail(commandExcerptLength);
}

/** After a crash: by what was recorded of it, and by looking for its process. */
function resolve(params: Params, context: CallContext): Resolution {
  const last = context.lastProgress;
  const name = params.command[0] ?? "";
  if (last === undefined) return { kind: "not-done" };
  const { pid, startTicks } = isMap(last) ? last : {};
  const lives = typeof pid === "number" && typeof startTicks === "number" && isAlive(pid, startTicks);
  const { programs = {} } = context.workspace.file;
  if (Object.hasOwn(programs, name) && programs[name]?.idempotent === true) {
    // Two at once would be one too many.
    if (lives) signalTree(pid, "SIGKILL");
    return { kind: "not-done" };
  }
  const reason = lives
    ? `\`${name}\` still runs as process ${pid}, and what it does cannot be seen any more`
    : `\`${name}\` had been started, and nobody saw how it ended`;
  return { kind: "unknown", reason };
}

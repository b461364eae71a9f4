// Which executable a command means, and whether its arguments are allowed: by the workspace file's list alone.
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import path from "node:path";
import type { CallContext, Risk } from "@writ/core/capability";
import type { WorkspaceFile, WorkspaceProgram } from "@writ/core/workspace";
import { programProblem } from "@writ/core/workspace-programs";
import { fault } from "../faults.ts";
import { matchesGlob } from "../filesystem/glob.ts";

export interface Allowed {
  readonly name: string;
  readonly entry: WorkspaceProgram;
  /** Real path of the executable. */
  readonly executable: string;
}

/** @throws exec.program-unknown, exec.program-missing, exec.shell, exec.argument */
export function allowedProgram(
  name: string,
  args: readonly string[],
  file: Pick<WorkspaceFile, "programs">,
): Allowed {
  const programs = file.programs ?? {};
  const entry = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (entry === undefined) {
    throw fault(
      "exec.program-unknown",
      `Cannot run \`${name.slice(0, 200)}\`: the workspace allows no such program`,
      {
        program: name.slice(0, 200),
        allowed: Object.keys(programs),
      },
    );
  }
  const executable = executableAt(name, entry.path);
  // The list was checked when the workspace was added; what the path leads to may have changed since.
  const problem = programProblem(entry.path, entry.arguments) ?? programProblem(executable, entry.arguments);
  if (problem !== null) {
    throw fault("exec.shell", `Cannot run \`${name}\`: \`${executable}\` ${problem}`, {
      program: name,
      executable,
    });
  }
  for (const [index, argument] of args.entries()) checkPattern(name, entry, argument, index);
  return { name, entry, executable };
}

function executableAt(name: string, at: string): string {
  try {
    const real = realpathSync(at);
    if (!statSync(real).isFile()) throw new Error("it is no file");
    accessSync(real, constants.X_OK);
    return real;
  } catch (error) {
    throw fault(
      "exec.program-missing",
      `Cannot run \`${name}\`: \`${at}\` is no executable file here`,
      { path: at },
      error,
    );
  }
}

function checkPattern(name: string, entry: WorkspaceProgram, argument: string, index: number): void {
  if (argument.includes("\0")) throw denied(name, argument, index, "it holds a NUL character");
  if (
    entry.arguments === undefined ||
    entry.arguments.some(
      (pattern) => matchesGlob(argument, pattern, true) && climbs(argument) <= climbs(pattern),
    )
  )
    return;
  throw denied(
    name,
    argument,
    index,
    `none of the workspace file's patterns fits it: ${entry.arguments
      .map((each) => `\`${each}\``)
      .join(", ")
      .slice(0, 400)}`,
  );
}

/** `scripts/*` means what is in there: `scripts/../inbox/x` is what somebody else put elsewhere. */
function climbs(text: string): number {
  return text.split(/[/=,:;@]/).filter((part) => part === "..").length;
}

function denied(program: string, argument: string, index: number, why: string) {
  return fault("exec.argument", `Cannot pass \`${argument.slice(0, 200)}\` to \`${program}\`: ${why}`, {
    program,
    argument: argument.slice(0, 200),
    index,
  });
}

/**
 * K86: whatever in an argument can be a path (`/x`, `../x`, `--file=/x`, `-I/x`, `-xf/x`, `file:///x`, `~/x`, `@/x`) must lead into the workspace.
 * @throws exec.argument
 */
export function checkArgumentPaths(
  program: string,
  args: readonly string[],
  context: Pick<CallContext, "workspace">,
  folder: string,
): void {
  const { root } = context.workspace;
  for (const [index, argument] of args.entries()) {
    for (const part of pathsIn(argument)) {
      if (!leadsInside(part, root, folder)) {
        throw denied(program, argument, index, "it names a place outside the workspace");
      }
    }
  }
}

function pathsIn(argument: string): readonly string[] {
  const parts = new Set([argument, ...argument.split(/[=,:;@]/), argument.replace(/^-{1,2}[A-Za-z]/, "")]);
  // Letters of options run together, and the last of them takes what follows.
  const together = /^-\w*?(?=[/~]|\.\.)(.*)$/s.exec(argument)?.[1];
  if (together !== undefined) parts.add(together);
  return [...parts].map((part) => part.replace(/^file:(\/\/)?/i, "")).filter((part) => part !== "");
}

function leadsInside(part: string, root: string, folder: string): boolean {
  if (part.startsWith("~")) return false;
  const lexical = path.resolve(folder, part);
  if (!isInside(lexical, root)) return false;
  // The deepest part that exists is followed: a link must not lead out.
  for (let at = lexical; ; at = path.dirname(at)) {
    try {
      return isInside(realpathSync(at), root);
    } catch {
      if (at === path.dirname(at)) return false;
    }
  }
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}

/** The list's risk for the named program; what is not listed is critical. */
export function programRisk(name: unknown, file: Pick<WorkspaceFile, "programs">): Risk {
  const programs = file.programs ?? {};
  if (typeof name !== "string" || !Object.hasOwn(programs, name)) return "critical";
  return programs[name]?.risk ?? "critical";
}

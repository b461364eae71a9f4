// Programs of the operating system that commands may name: what may never be among them.
import { fault } from "./faults.ts";

/** K175: they run whatever text they are given. */
const shells = new Set(
  (
    "sh bash dash zsh ksh ksh93 mksh fish csh tcsh ash rbash elvish nu xonsh busybox toybox cmd command powershell pwsh " +
    "bash.exe cmd.exe powershell.exe pwsh.exe wsl wsl.exe"
  ).split(" "),
);
/** They start another program that no list names, or become somebody else. */
const launchers = new Set(
  (
    "env sudo su doas pkexec runuser xargs parallel nohup setsid nice ionice timeout stdbuf chroot unshare nsenter bwrap " +
    "ssh mosh telnet script expect screen tmux watch strace ltrace gdb time systemd-run at batch crontab ld.so"
  ).split(" "),
);
/** They evaluate source text when an argument says so; allowed only with a list of arguments that cannot say so. */
const interpreters =
  /^(python|node|nodejs|deno|bun|perl|ruby|irb|php|lua|luajit|tclsh|wish|awk|gawk|mawk|nawk|sed|find|osascript|r|rscript|julia|guile|emacs|vim?|ed|ex)([\d.]*)(\.exe)?$/;

export interface AllowedProgram {
  readonly path: string;
  readonly arguments?: readonly string[] | undefined;
}

/**
 * Why a program may not be allowed under this path, or null. Asked with the path as it is written, and again with what it leads to:
 * a link must not hide a shell.
 */
export function programProblem(path: string, argumentPatterns: readonly string[] | undefined): string | null {
  const base = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (shells.has(base)) return "is a shell, and an allowed shell allows everything";
  if (launchers.has(base) || /^ld-linux.*\.so/.test(base)) return "starts programs that are not on the list";
  if (!interpreters.test(base)) return null;
  if (argumentPatterns === undefined) return "evaluates text, so its arguments must be listed";
  const evaluating = argumentPatterns.find(
    // What an option takes may be text to evaluate (`--import=data:…`), so an option is listed whole.
    (pattern) => /^(-|\*|\?)/.test(pattern) && !/^--[a-z][a-z-]+(=[^*?]*)?$/.test(pattern),
  );
  return evaluating === undefined &&
    !argumentPatterns.some((pattern) => /^--(eval|print|exec|command|run)\b/.test(pattern))
    ? null
    : "evaluates text, and its list of arguments lets a caller hand it some";
}

/** @throws workspace.file */
export function checkProgram(name: string, program: AllowedProgram, real: string | null = null): void {
  const why =
    programProblem(program.path, program.arguments) ??
    (real === null ? null : programProblem(real, program.arguments));
  if (why === null) return;
  throw fault("workspace.file", `Cannot allow \`${program.path}\` as program \`${name}\`: it ${why}`, {
    at: `/programs/${name}/path`,
    path: program.path,
    real,
  });
}

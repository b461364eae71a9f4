// The sandbox around a command: bubblewrap. Its own processes, no network unless allowed, the system read-only, homes and the node's data
// not there at all, and of the workspace only the working folder can be written.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import type { CallContext } from "@writ/core/capability";
import { fault } from "../faults.ts";
import type { Allowed } from "./allowed.ts";
import type { ExecOptions } from "./options.ts";

export type Sandbox = "bubblewrap" | "none";

const places = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];
const probeTimeoutMs = 5000;

export interface Sandboxes {
  /** Path of a bubblewrap that works here, or null. Tried once. */
  find(): string | null;
}

export function createSandboxes(options: ExecOptions): Sandboxes {
  let found: string | null | undefined;
  return {
    find() {
      if (found === undefined) {
        const at =
          options.bubblewrap === undefined ? places.find((each) => existsSync(each)) : options.bubblewrap;
        found = at !== null && at !== undefined && works(at) ? at : null;
      }
      return found;
    },
  };
}

/** It may be installed where the system forbids what it needs. */
function works(bubblewrap: string): boolean {
  const target = ["/bin/true", "/usr/bin/true"].find((each) => existsSync(each));
  if (target === undefined) return false;
  const args = ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--", target];
  return spawnSync(bubblewrap, args, { env: {}, timeout: probeTimeoutMs, stdio: "ignore" }).status === 0;
}

/**
 * Which sandbox the command gets.
 * @throws exec.sandbox-missing (K174) when the program needs one and there is none: the work is refused, never run without
 */
export function sandboxFor(allowed: Allowed, sandboxes: Sandboxes): Sandbox {
  if (allowed.entry.sandbox === "none") return "none";
  if (sandboxes.find() !== null) return "bubblewrap";
  if (allowed.entry.sandbox === "preferred") return "none";
  throw fault(
    "exec.sandbox-missing",
    `Cannot run \`${allowed.name}\`: it may run in a sandbox only, and bubblewrap is not installed or not permitted here`,
    { program: allowed.name },
  );
}

/** What the command may reach, as whoever decides reads it. */
export function conditionsOf(allowed: Allowed, sandbox: Sandbox): string {
  if (sandbox === "none") return "sandbox: none, network: any";
  return `sandbox: ${sandbox}, network: ${allowed.entry.network === true ? "any" : "none"}`;
}

export interface Wrapped {
  readonly executable: string;
  readonly args: readonly string[];
}

/** The command as bubblewrap is told it. */
export function wrapped(
  bubblewrap: string,
  allowed: Allowed,
  given: {
    readonly args: readonly string[];
    /** Real path of the working folder. */
    readonly folder: string;
    readonly workspace: CallContext["workspace"];
    readonly hidden: readonly string[];
  },
): Wrapped {
  const { folder, workspace } = given;
  const empty = ["/home", "/root", "/tmp", "/var/tmp", "/run", "/mnt", "/media", "/srv", ...given.hidden];
  const { folders, files } = workspace.file;
  const readOnly = [...Object.values(folders), ...Object.values(files)]
    .filter(({ access }) => access === "read")
    .map((place) => path.resolve(workspace.root, place.path))
    .concat(path.join(workspace.root, "workspace.json"))
    .filter((place) => existsSync(place) && (place === folder || place.startsWith(`${folder}/`)));
  return {
    executable: bubblewrap,
    args: [
      "--unshare-all",
      ...(allowed.entry.network === true ? ["--share-net"] : []),
      "--die-with-parent",
      "--ro-bind",
      "/",
      "/",
      "--dev",
      "/dev",
      "--proc",
      "/proc",
      ...empty.filter((place) => existsSync(place)).flatMap((place) => ["--tmpfs", place]),
      "--ro-bind",
      allowed.executable,
      allowed.executable,
      "--ro-bind",
      workspace.root,
      workspace.root,
      "--bind",
      folder,
      folder,
      ...readOnly.flatMap((place) => ["--ro-bind", place, place]),
      "--chdir",
      folder,
      "--",
      allowed.executable,
      ...given.args,
    ],
  };
}

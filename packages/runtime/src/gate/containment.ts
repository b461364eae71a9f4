// Where an effect may reach: inside the workspace's real root, never the file that says what is allowed there, not under a place that
// is only read, as the program promised; and hosts on the allow-list.
import type { WorkspaceContext } from "@writ/core/capability";
import type { FaultFacts } from "@writ/core/fault";
import type { Program } from "@writ/core/program";
import { isWorkspaceFile, type WorkspaceFile, type WorkspaceHost } from "@writ/core/workspace";

export interface Problem {
  readonly code:
    | "gate.outside-workspace"
    | "gate.workspace-file"
    | "gate.read-only-place"
    | "gate.invariant"
    | "gate.device-not-allowed"
    | "gate.host-not-allowed";
  readonly message: string;
  readonly facts: FaultFacts;
}

export interface Place {
  /** Relative to the workspace. */
  readonly name: string;
  /** Real path, or null when only the name is known. */
  readonly resolved: string | null;
  readonly writes: boolean;
  readonly removes: boolean;
  /** Anything below it may be written too, as a command does in its folder. */
  readonly whole?: boolean;
}

export function pathProblem(
  place: Place,
  program: Program,
  workspace: WorkspaceContext,
): Problem | undefined {
  const name = normalise(place.name);
  const real = place.resolved === null ? name : within(workspace.root, place.resolved);
  if (name === undefined || real === undefined) {
    return {
      code: "gate.outside-workspace",
      message: `Cannot touch \`${place.name}\`: it lies outside the workspace`,
      facts: { path: place.name, resolved: place.resolved },
    };
  }
  if (!place.writes) return undefined;
  const both = [...new Set([name, real])];
  // The root holds the file: what removes the root takes it along.
  if (both.some((path) => isWorkspaceFile(path) || (place.removes && path === ""))) {
    return {
      code: "gate.workspace-file",
      message: `Cannot write \`${place.name}\`: the workspace file says what programs may do, so no program changes it`,
      facts: { path: place.name, resolved: place.resolved },
    };
  }
  for (const places of [
    placesOfFile(workspace),
    [...program.workspace.folders, ...program.workspace.files],
  ]) {
    const readOnly = both.map((path) => deepest(places, path)).find((found) => found?.access === "read");
    if (readOnly !== undefined) {
      return {
        code: "gate.read-only-place",
        message: `Cannot write \`${place.name}\`: \`${readOnly.path}\` is only read`,
        facts: { path: place.name, place: readOnly.path },
      };
    }
  }
  for (const invariant of program.invariants) {
    if (invariant.kind !== "writes-within" && invariant.kind !== "never-writes") continue;
    const inside = (path: string) => invariant.paths.some((root) => isUnder(path, root));
    const holds = (path: string) =>
      place.whole === true && invariant.paths.some((root) => isUnder(root, path));
    const broken =
      invariant.kind === "writes-within" ? !both.every(inside) : both.some(inside) || both.some(holds);
    if (broken) {
      return {
        code: "gate.invariant",
        message: `Cannot write \`${place.name}\`: the program promised to ${invariant.kind === "writes-within" ? "write only within" : "never write"} ${invariant.paths.map((path) => `\`${path}\``).join(", ")}`,
        facts: { path: place.name, invariant: invariant.kind, paths: [...invariant.paths] },
      };
    }
  }
  return undefined;
}

/** `text` is a URL, or `host:port`. */
export function hostProblem(text: string, hosts: readonly WorkspaceHost[]): Problem | undefined {
  const asked = hostOf(text);
  const listed =
    asked !== undefined &&
    hosts.some(
      ({ host, scheme }) =>
        host.toLowerCase() === asked.host && (asked.scheme === null || asked.scheme === scheme),
    );
  if (listed) return undefined;
  return {
    code: "gate.host-not-allowed",
    message: `Cannot reach \`${text.slice(0, 200)}\`: the host is not on the workspace's allow-list`,
    facts: { host: asked?.host ?? text.slice(0, 200), allowed: hosts.map(({ host }) => host) },
  };
}

/** `name` is what the capability found, not only what its parameter said. */
export function deviceProblem(name: string, { devices = {} }: WorkspaceFile): Problem | undefined {
  if (Object.hasOwn(devices, name)) return undefined;
  return {
    code: "gate.device-not-allowed",
    message: `Cannot touch the device \`${name.slice(0, 200)}\`: the workspace does not list it`,
    facts: { device: name.slice(0, 200), allowed: Object.keys(devices) },
  };
}

const urlPattern = /^(https?):\/\/([^/?#\\@\s]+)(?:[/?#][^\s\\]*)?$/i;

/** Credentials, backslashes and white space in a URL are refused: readers of URLs disagree about them. */
export function hostOf(text: string): { readonly host: string; readonly scheme: string | null } | undefined {
  const url = urlPattern.exec(text);
  if (url === null)
    return /^[^/?#\\@\s]+:\d{1,5}$/.test(text) ? { host: text.toLowerCase(), scheme: null } : undefined;
  const scheme = (url[1] ?? "").toLowerCase();
  const authority = (url[2] ?? "").toLowerCase();
  const hasPort = /:\d{1,5}$/.test(authority);
  return { host: hasPort ? authority : `${authority}:${scheme === "https" ? 443 : 80}`, scheme };
}

/** The path relative to the root, or undefined when it does not lie inside. */
function within(root: string, resolved: string): string | undefined {
  if (resolved === root) return "";
  const base = root.endsWith("/") ? root : `${root}/`;
  return resolved.startsWith(base) ? normalise(resolved.slice(base.length)) : undefined;
}

/** Without `.` and empty parts; undefined for an absolute path, a part `..`, a backslash or a control character. */
function normalise(path: string): string | undefined {
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path) || path.includes("\\")) return undefined;
  for (const character of path) if (character < " ") return undefined;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? undefined : parts.join("/");
}

function isUnder(path: string, root: string): boolean {
  const base = root
    .split("/")
    .filter((part) => part !== "" && part !== "." && part !== "**")
    .join("/");
  return base === "" || path === base || path.startsWith(`${base}/`);
}

interface Access {
  readonly path: string;
  readonly access: "read" | "write";
}

function placesOfFile(workspace: WorkspaceContext): readonly Access[] {
  const { folders, files } = workspace.file;
  return [...Object.values(folders), ...Object.values(files)].map(({ path, access }) => ({
    path,
    access: access ?? "write",
  }));
}

function deepest(places: readonly Access[], path: string): Access | undefined {
  return places.filter((place) => isUnder(path, place.path)).sort((a, b) => b.path.length - a.path.length)[0];
}

// Containment: every file operation happens below the workspace's root, whatever symbolic links do meanwhile.
//   F2  A path is walked from the root's open folder, one name at a time, each opened without following links; symbolic links are read
//       and resolved by us and must stay inside. The operation then acts through the open folder (`/proc/self/fd/N/name` has the
//       semantics of openat), so a link swapped in between the check and the use leads nowhere.
//   F3  Where the system has no such paths, the real path of the folder is compared before and after the operation.
import { closeSync, constants, lstatSync, openSync, readlinkSync, realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { fault } from "../faults.ts";
import { linksMax } from "../limits.ts";
import { fsFault, hasErrno } from "./fs-fault.ts";
import { parsePath } from "./path.ts";

/** An open folder below the root. Whoever opened it closes it (`using`). */
export interface Folder extends Disposable {
  readonly fd: number | null;
  /** Real path, as far as the walk saw it. */
  readonly real: string;
  /** Relative to the root with symbolic links resolved; empty for the root. */
  readonly relative: string;
  /** A path for system calls that names an entry of exactly this folder. */
  child(name: string): string;
}

/** A name in an open folder: what an operation acts on. */
export interface Spot extends Disposable {
  readonly folder: Folder;
  readonly name: string;
  /** For system calls. Always open it with O_NOFOLLOW. */
  readonly at: string;
  readonly resolved: string;
  readonly relative: string;
}

export interface Missing extends Disposable {
  /** Deepest folder that exists. */
  readonly folder: Folder;
  /** Names below it, of which the first does not exist. */
  readonly rest: readonly string[];
}

export interface WalkOptions {
  /** Whether a symbolic link at the end of the path is resolved, or is itself what the path names. */
  readonly followLast: boolean;
  /** Tests force the way of systems without /proc. */
  readonly throughFd?: boolean;
}

/** The folder that a path names. @throws workspace.missing, filesystem.folder-missing, filesystem.not-a-folder, filesystem.outside */
export function openFolder(root: string, path: string, options: Partial<WalkOptions> = {}): Folder {
  const walked = walk(root, parsePath(root, path), "folder", { followLast: true, ...options });
  if (walked.rest.length === 0) return walked.folder;
  walked.folder[Symbol.dispose]();
  throw folderMissing(path);
}

/** The place that a path names, in its open folder; the entry itself need not exist. @throws filesystem.folder-missing */
export function openSpot(root: string, path: string, options: WalkOptions): Spot {
  const walked = openSpotOrMissing(root, path, options);
  if ("at" in walked) return walked;
  walked[Symbol.dispose]();
  throw folderMissing(path);
}

/** Like `openSpot`, but says how far the folders exist. */
export function openSpotOrMissing(root: string, path: string, options: WalkOptions): Spot | Missing {
  const { folder, rest } = walk(root, parsePath(root, path), "entry", options);
  const [name] = rest;
  if (name === undefined) {
    folder[Symbol.dispose]();
    throw fault("filesystem.is-a-folder", `Cannot act on \`${path}\` as a file: it is a folder`, { path });
  }
  if (rest.length === 1) return spotIn(folder, name);
  if (rest.includes("..")) {
    folder[Symbol.dispose]();
    throw folderMissing(path);
  }
  return { folder, rest, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

export function spotIn(folder: Folder, name: string): Spot {
  return {
    folder,
    name,
    get at() {
      return folder.child(name);
    },
    resolved: join(folder.real, name),
    relative: folder.relative === "" ? name : `${folder.relative}/${name}`,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** Opens an entry of an open folder as a folder, never through a link. @throws filesystem.changed when it is a link by now */
export function openChild(parent: Folder, name: string): Folder {
  const relative = parent.relative === "" ? name : `${parent.relative}/${name}`;
  return folderOf({
    at: parent.child(name),
    real: join(parent.real, name),
    relative,
    throughFd: parent.fd !== null,
  });
}

function folderMissing(path: string) {
  return fault("filesystem.folder-missing", `Cannot reach \`${path}\`: a folder on the way does not exist`, {
    path,
  });
}

/** Walks names from the root. `rest` holds what does not exist, or the last name when an entry is wanted. */
function walk(
  root: string,
  names: readonly string[],
  want: "folder" | "entry",
  options: WalkOptions,
): { readonly folder: Folder; readonly rest: readonly string[] } {
  const throughFd = options.throughFd ?? process.platform === "linux";
  const path = names.join("/");
  const stack: Folder[] = [openRoot(root, throughFd)];
  const pending = names.toReversed();
  let links = 0;
  let isKept = false;
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const here = topOf(stack);
      if (name === "..") {
        if (stack.length === 1) throw outside(path);
        stack.pop()?.[Symbol.dispose]();
        continue;
      }
      const isLast = pending.length === 0;
      const stat = lstatSync(here.child(name), { throwIfNoEntry: false });
      if (
        stat === undefined ||
        (isLast && want === "entry" && !(stat.isSymbolicLink() && options.followLast))
      ) {
        isKept = true;
        return { folder: here, rest: [name, ...pending.toReversed()] };
      }
      if (stat.isSymbolicLink()) {
        if (++links > linksMax) {
          throw fault("filesystem.link-loop", `Cannot reach \`${path}\`: too many symbolic links`, { path });
        }
        const target = readLink(here, name);
        if (target === null) pending.push(name);
        else pending.push(...linkNames(root, target, stack, path).toReversed());
        continue;
      }
      if (!stat.isDirectory()) {
        throw fault("filesystem.not-a-folder", `Cannot reach \`${path}\`: \`${name}\` is not a folder`, {
          path,
        });
      }
      const next = tryOpenChild(here, name);
      // Replaced since it was looked at: look again, at most as often as links are followed.
      if (next !== null) stack.push(next);
      else if (++links > linksMax) throw outside(path);
      else pending.push(name);
    }
    isKept = true;
    return { folder: topOf(stack), rest: [] };
  } catch (error) {
    throw fsFault(error, `Cannot reach \`${path}\``, path);
  } finally {
    const kept = isKept ? stack.pop() : undefined;
    for (const folder of stack) if (folder !== kept) folder[Symbol.dispose]();
  }
}

function openRoot(root: string, throughFd: boolean): Folder {
  try {
    return folderOf({ at: root, real: root, relative: "", throughFd });
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTDIR", "ENODEV", "EIO", "ESTALE"))
      throw fsFault(error, "Cannot reach the workspace's folder", root);
    throw fault(
      "workspace.missing",
      `Cannot reach the workspace's folder \`${root}\`: it is not there`,
      { root },
      error,
    );
  }
}

function topOf(stack: readonly Folder[]): Folder {
  const top = stack.at(-1);
  if (top === undefined) throw new Error("Invariant broken: F2 the walk always stands in a folder");
  return top;
}

function outside(path: string) {
  return fault("filesystem.outside", `Cannot use \`${path}\`: a symbolic link leads out of the workspace`, {
    path,
  });
}

function readLink(here: Folder, name: string): string | null {
  try {
    return readlinkSync(here.child(name));
  } catch (error) {
    if (hasErrno(error, "EINVAL", "ENOENT")) return null;
    throw error;
  }
}

/** Names of a link's target, seen from the folder that holds it; for an absolute target the stack goes back to the root. */
function linkNames(root: string, target: string, stack: Folder[], path: string): readonly string[] {
  const split = (text: string) => text.split(sep).filter((name) => name !== "" && name !== ".");
  if (!target.startsWith(sep)) return split(target);
  if (target !== root && !target.startsWith(root.endsWith(sep) ? root : root + sep)) throw outside(path);
  while (stack.length > 1) stack.pop()?.[Symbol.dispose]();
  return split(target.slice(root.length));
}

function tryOpenChild(here: Folder, name: string): Folder | null {
  try {
    return openChild(here, name);
  } catch (error) {
    // ELOOP or ENOTDIR: it became a link or a file; ENOENT: it vanished.
    if (hasErrno(error, "ELOOP", "ENOTDIR", "ENOENT")) return null;
    throw error;
  }
}

function folderOf(place: {
  readonly at: string;
  readonly real: string;
  readonly relative: string;
  readonly throughFd: boolean;
}): Folder {
  const { real, relative } = place;
  if (!place.throughFd) {
    const check = () => {
      if (realpathSync(real) !== real) throw outside(relative);
      return real;
    };
    check();
    return {
      fd: null,
      real,
      relative,
      child: (name) => join(check(), name),
      [Symbol.dispose]: () => void check(),
    };
  }
  const fd = openSync(place.at, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  let isOpen = true;
  return {
    fd,
    real,
    relative,
    child(name) {
      if (!isOpen) throw new Error("Invariant broken: F2 a closed folder is not used");
      return `/proc/self/fd/${fd}/${name}`;
    },
    [Symbol.dispose]() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

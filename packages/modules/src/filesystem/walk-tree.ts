// Trees: the entries below a folder, each folder opened through its parent, links never followed.
import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import type { AbortSignalLike } from "@writ/core/capability";
import { fault } from "../faults.ts";
import { walkDepthMax, walkEntriesMax } from "../limits.ts";
import { openChild, type Folder } from "./contained.ts";
import { assertActive, isTemporaryName } from "./files.ts";
import { hasErrno } from "./fs-fault.ts";

export interface TreeEntry {
  /** Relative to the folder that the walk began in, `/` between names. */
  readonly path: string;
  readonly name: string;
  readonly kind: "file" | "folder" | "link" | "other";
  readonly stat: BigIntStats;
  /** The open folder that holds it; closed when the walk goes on. */
  readonly folder: Folder;
}

/** Entries in the order of their paths, a folder before what is in it. @throws filesystem.too-many */
export function* entriesBelow(
  top: Folder,
  options: {
    readonly signal: AbortSignalLike;
    readonly isRecursive: boolean;
    readonly enters?: (entry: TreeEntry) => boolean;
    /** Also our own files of writes in progress, which no listing shows. */
    readonly everything?: boolean;
  },
): Generator<TreeEntry> {
  const open: { readonly folder: Folder; readonly path: string; readonly names: string[] }[] = [
    { folder: top, path: "", names: namesIn(top, options.everything) },
  ];
  let count = 0;
  try {
    for (let here = open.at(-1); here !== undefined; here = open.at(-1)) {
      const name = here.names.pop();
      if (name === undefined) {
        open.pop();
        if (here.folder !== top) here.folder[Symbol.dispose]();
        continue;
      }
      assertActive(options.signal);
      if (++count > walkEntriesMax) throw tooMany(`more than ${walkEntriesMax} entries`);
      const stat = lstatSync(here.folder.child(name), { throwIfNoEntry: false, bigint: true });
      if (stat === undefined) continue;
      const path = here.path === "" ? name : `${here.path}/${name}`;
      const entry = { path, name, kind: kindOf(stat), stat, folder: here.folder };
      yield entry;
      if (entry.kind !== "folder" || !options.isRecursive || options.enters?.(entry) === false) continue;
      if (open.length > walkDepthMax) throw tooMany(`folders more than ${walkDepthMax} deep`);
      const folder = tryOpen(here.folder, name);
      if (folder !== null) open.push({ folder, path, names: namesIn(folder, options.everything) });
    }
  } finally {
    for (const { folder } of open) if (folder !== top) folder[Symbol.dispose]();
  }
}

export function kindOf(stat: BigIntStats): TreeEntry["kind"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "folder";
  return stat.isSymbolicLink() ? "link" : "other";
}

/** Names that are plain text, last first; ours of writes in progress are left out. */
function namesIn(folder: Folder, everything = false): string[] {
  return readdirSync(folder.child("."), { encoding: "buffer" })
    .flatMap((bytes) => {
      const name = bytes.toString("utf8");
      return Buffer.from(name, "utf8").equals(bytes) && (everything || !isTemporaryName(name)) ? [name] : [];
    })
    .toSorted((a, b) => (a < b ? 1 : -1));
}

function tryOpen(parent: Folder, name: string): Folder | null {
  try {
    return openChild(parent, name);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return null;
    throw error;
  }
}

function tooMany(what: string) {
  return fault("filesystem.too-many", `Cannot look through the folder: ${what}`, {
    entriesMax: walkEntriesMax,
  });
}

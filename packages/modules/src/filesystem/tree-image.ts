// Tree images: a folder with all that is in it, as a list kept in the blobs, each file's bytes under their own hash.
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import type { CallContext } from "@writ/core/capability";
import { fromUtf8, utf8 } from "@writ/core/bytes";
import { sha256, type Sha256 } from "@writ/core/ids";
import { parse, Type, type Static } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { archiveEntriesMax } from "../limits.ts";
import { openChild, spotIn, type Folder } from "./contained.ts";
import { putInPlace, sha256Of, syncFolder, writeTemporary } from "./files.ts";
import { hasErrno } from "./fs-fault.ts";
import { fileImageOf } from "./file-image.ts";
import { entriesBelow } from "./walk-tree.ts";

const Entry = Type.Object(
  {
    /** Relative to the folder; empty for the folder itself. */
    path: Type.String(),
    kind: Type.Enum(["file", "folder", "link"]),
    mode: Type.Integer(),
    mtimeMs: Type.Number(),
    sha256: Type.Union([Type.String(), Type.Null()]),
    link: Type.Union([Type.String(), Type.Null()]),
  },
  { additionalProperties: false },
);
const Image = Type.Array(Entry, { maxItems: archiveEntriesMax });
export type TreeImage = Static<typeof Image>;

/** @throws filesystem.not-a-file when it holds pipes, sockets or devices; filesystem.too-many */
export async function imageOf(
  folder: Folder,
  context: CallContext,
  keep: "keep" | "hash",
): Promise<TreeImage> {
  const own = lstatSync(folder.child("."), { bigint: true });
  const image: TreeImage = [entryOf("", "folder", own)];
  for (const entry of entriesBelow(folder, { signal: context.signal, isRecursive: true })) {
    if (image.length >= archiveEntriesMax) {
      throw fault("filesystem.too-many", `Cannot keep more than ${archiveEntriesMax} entries for undo`, {
        path: folder.relative,
      });
    }
    if (entry.kind === "other") {
      const path = `${folder.relative}/${entry.path}`;
      throw fault("filesystem.not-a-file", `Cannot keep \`${path}\` for undo: it is a special file`, {
        path,
      });
    }
    const plain = entryOf(entry.path, entry.kind, entry.stat);
    if (entry.kind === "link") image.push({ ...plain, link: readlinkSync(entry.folder.child(entry.name)) });
    else if (entry.kind === "file") {
      const fileImage = await fileImageOf(spotIn(entry.folder, entry.name), context, keep);
      if (fileImage !== null) image.push({ ...plain, sha256: fileImage.sha256 });
    } else image.push(plain);
  }
  return image;
}

function entryOf(
  path: string,
  kind: "file" | "folder" | "link",
  stat: { readonly mode: bigint; readonly mtimeNs: bigint },
): TreeImage[number] {
  // Whole microseconds: times are set in doubles of seconds, which do not hold nanoseconds.
  const mtimeMs = Number((stat.mtimeNs + 500n) / 1000n) / 1000;
  return { path, kind, mode: Number(stat.mode & 0o7777n), mtimeMs, sha256: null, link: null };
}

export function hashOfImage(image: TreeImage): Sha256 {
  return sha256Of(utf8(JSON.stringify(image)));
}

export async function keepImage(image: TreeImage, context: CallContext): Promise<Sha256> {
  return (await context.blobs.put(utf8(JSON.stringify(image)))).sha256;
}

export async function loadImage(hash: string, context: CallContext): Promise<TreeImage> {
  return parse(Image, JSON.parse(fromUtf8(await context.blobs.get(sha256(hash)))), "the image of a folder");
}

/** Builds the image as a new folder of that name. Durable when it resolves. */
export async function buildTree(
  parent: Folder,
  name: string,
  image: TreeImage,
  context: CallContext,
): Promise<void> {
  mkdirSync(parent.child(name));
  for (const entry of image) {
    if (entry.path === "") continue;
    using place = openParentOf(parent, name, entry.path);
    const at = place.folder.child(place.name);
    if (entry.kind === "folder") mkdirSync(at, { mode: 0o700 });
    else if (entry.kind === "link") {
      symlinkSync(entry.link ?? "", at);
      lutimesSync(at, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
    } else {
      const written = await writeTemporary(place.folder, context.idempotencyKey, {
        source: context.blobs.stream(sha256(entry.sha256 ?? "")),
        mode: entry.mode,
        mtimeMs: entry.mtimeMs,
      });
      await putInPlace(spotIn(place.folder, place.name), written.name, false);
    }
  }
  // Times and modes of folders last, innermost first: putting something in changes the time.
  for (const entry of image.toReversed()) {
    if (entry.kind !== "folder") continue;
    using place = openParentOf(parent, name, entry.path);
    const at = place.folder.child(place.name);
    using own = openChild(place.folder, place.name);
    await syncFolder(own);
    chmodSync(at, entry.mode);
    utimesSync(at, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
  }
}

/** The open folder that holds `path` below `parent/name`, walked without following links. */
function openParentOf(
  parent: Folder,
  name: string,
  path: string,
): Disposable & { readonly folder: Folder; readonly name: string } {
  const names = path === "" ? [name] : [name, ...path.split("/")];
  const last = names.pop() ?? name;
  let folder = parent;
  for (const each of names) {
    const next = openChild(folder, each);
    if (folder !== parent) folder[Symbol.dispose]();
    folder = next;
  }
  return { folder, name: last, [Symbol.dispose]: () => void (folder !== parent && folder[Symbol.dispose]()) };
}

/** Removes a folder with all that is in it, links themselves and never what they point to. Absent is fine. */
export function removeTree(parent: Folder, name: string): void {
  const stat = lstatSync(parent.child(name), { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    unlinkSync(parent.child(name));
    return;
  }
  const folder = openChild(parent, name);
  try {
    for (;;) {
      const folders: string[] = [];
      // Leaves first: one level of folders is emptied after the other.
      for (const entry of entriesBelow(folder, {
        signal: neverAborted,
        isRecursive: true,
        everything: true,
      })) {
        if (entry.kind === "folder") folders.push(entry.path);
        else unlinkSync(entry.folder.child(entry.name));
      }
      for (const path of folders.toReversed()) removeEmpty(folder, path);
      if (isEmptied(parent, name)) return;
    }
  } finally {
    folder[Symbol.dispose]();
  }
}

const neverAborted = { aborted: false, addEventListener: () => {}, removeEventListener: () => {} };

function removeEmpty(top: Folder, path: string): void {
  const names = path.split("/");
  const last = names.pop() ?? path;
  let folder = top;
  for (const each of names) {
    const next = openChild(folder, each);
    if (folder !== top) folder[Symbol.dispose]();
    folder = next;
  }
  try {
    rmdirSync(folder.child(last));
  } catch (error) {
    if (!hasErrno(error, "ENOTEMPTY", "EEXIST", "ENOENT")) throw error;
  } finally {
    if (folder !== top) folder[Symbol.dispose]();
  }
}

function isEmptied(parent: Folder, name: string): boolean {
  try {
    rmdirSync(parent.child(name));
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return true;
    // Somebody put something in meanwhile: once more.
    if (hasErrno(error, "ENOTEMPTY", "EEXIST")) return false;
    throw error;
  }
}

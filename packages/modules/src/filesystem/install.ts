// Installing: new content gets a name, created or replacing what is there. Shared by every capability that writes a whole file.
//   F6  What is replaced is in the blobs before the intent; what was looked at is what is replaced, or nothing happens.
//   F7  After a crash: the name as it was before → not done; the name holding the new content in another inode → done; else a person.
import { mkdirSync } from "node:fs";
import type { CallContext, Inspection, Resolution, UndoCall } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { parse, Type } from "@writ/core/schema";
import type { ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { openChild, openSpotOrMissing, spotIn, type Folder, type Spot } from "./contained.ts";
import {
  changed,
  lookAtFile,
  putInPlace,
  readBack,
  removeTemporary,
  syncFolder,
  temporaryName,
  writeTemporary,
  type Content,
} from "./files.ts";
import { fsFault, hasErrno } from "./fs-fault.ts";
import { assertWritable, placeToWrite } from "./place.ts";
import { parseFileImage, fileImageOf, stateOf, isStill, type FileImage } from "./file-image.ts";

export const restoreFileId = capabilityId("filesystem.restore_file@1.0.0");

export interface InstallOptions {
  readonly path: string;
  readonly overwrite: boolean;
  readonly createFolders: boolean;
}

export interface Installed {
  readonly content: Content;
  readonly created: boolean;
  readonly undo: UndoCall;
}

const Folders = Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 64 });

/** @throws filesystem.exists, filesystem.folder-missing */
export async function inspectInstall(options: InstallOptions, context: CallContext): Promise<Inspection> {
  using place = openSpotOrMissing(context.workspace.root, options.path, { followLast: true });
  if (!("at" in place)) {
    const path = [place.folder.relative, ...place.rest].filter((name) => name !== "").join("/");
    if (!options.createFolders) {
      throw fault(
        "filesystem.folder-missing",
        `Cannot write \`${options.path}\`: its folder does not exist`,
        { path },
      );
    }
    assertWritable(path, context);
    const folders = place.rest
      .slice(0, -1)
      .map((_, index) =>
        [place.folder.relative, ...place.rest.slice(0, index + 1)].filter(Boolean).join("/"),
      );
    const resolved = [place.folder.real, ...place.rest].join("/");
    return {
      targets: [{ kind: "file", name: path, resolved, does: "create", state: null }],
      before: { target: null, folders },
    };
  }
  assertWritable(place.relative, context);
  if (!options.overwrite && lookAtFile(place) !== null) throw exists(options.path);
  const target = await fileImageOf(place, context, "keep");
  return {
    targets: [
      {
        kind: "file",
        name: place.relative,
        resolved: place.resolved,
        does: target === null ? "create" : "replace",
        state: stateOf(target),
      },
    ],
    before: { target, folders: [] },
  };
}

export async function performInstall(
  options: InstallOptions & {
    readonly source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    readonly mode?: number;
    /** Hash the content must have; a source that changed meanwhile is not installed. */
    readonly expected?: string;
  },
  context: CallContext,
): Promise<Installed> {
  const before = parseFileImage(context.before["target"], "the state before writing");
  const folders = parse(Folders, context.before["folders"], "the folders to create");
  if (folders.length > 0) await createFolders(folders, context);
  using spot = placeToWrite(options.path, context);
  if (!isStill(spot, before)) {
    if (before === null && !options.overwrite) throw exists(options.path);
    throw changed(spot.relative, before === null ? "a file has appeared" : "it was changed");
  }
  const mode = options.mode ?? before?.mode;
  const written = await writeTemporary(spot.folder, context.idempotencyKey, {
    source: options.source,
    ...(mode === undefined ? {} : { mode }),
  });
  try {
    if (options.expected !== undefined && written.sha256 !== options.expected) {
      throw changed(options.path, "the source was changed");
    }
    if (!isStill(spot, before)) throw changed(spot.relative, "it was changed");
    await putInPlace(spot, written.name, before !== null);
  } finally {
    removeTemporary(spot.folder, context.idempotencyKey);
  }
  const facts = await readBack(spot, written, context.signal);
  const after: FileImage = { ...facts, sha256: written.sha256 };
  return {
    content: { sha256: written.sha256, sizeBytes: written.sizeBytes },
    created: before === null,
    undo: undoOf(spot, { before, after, folders }),
  };
}

/** @param expected hash of what was to be written, or null when only a finished attempt could tell */
export async function resolveInstall(
  path: string,
  expected: string | null,
  context: CallContext,
): Promise<{ readonly kind: "done"; readonly installed: Installed } | Exclude<Resolution, { kind: "done" }>> {
  const before = parseFileImage(context.before["target"], "the state before writing");
  const folders = parse(Folders, context.before["folders"], "the folders to create");
  using spot = openSpotOrMissing(context.workspace.root, path, { followLast: true });
  if (!("at" in spot)) return { kind: "not-done" };
  const temporary = lookAtFile(spotIn(spot.folder, temporaryName(context.idempotencyKey)));
  const now = await fileImageOf(spot, context);
  const isLinked = temporary !== null && now !== null && String(temporary.ino) === now.ino;
  removeTemporary(spot.folder, context.idempotencyKey);
  if (isStill(spot, before)) return { kind: "not-done" };
  if (now !== null && (isLinked || (now.sha256 === expected && now.ino !== before?.ino))) {
    await syncFolder(spot.folder);
    const undo = undoOf(spot, { before, after: now, folders });
    const { sha256, sizeBytes } = now;
    return {
      kind: "done",
      installed: { content: { sha256: stateSha(sha256), sizeBytes }, created: before === null, undo },
    };
  }
  return {
    kind: "unknown",
    reason: `\`${spot.relative}\` is neither what it was nor what was to be written`,
  };
}

function stateSha(text: string) {
  const state = stateOf({ ino: "", sizeBytes: 0, mtimeNs: "0", mode: 0, sha256: text });
  if (state === null) throw new Error("Invariant broken: an image has a state");
  return state;
}

function undoOf(
  spot: Spot,
  facts: {
    readonly before: FileImage | null;
    readonly after: FileImage | null;
    readonly folders: readonly string[];
  },
): UndoCall {
  const params: ValueMap = {
    path: spot.relative,
    after: facts.after,
    image: facts.before,
    folders: facts.folders,
  };
  return { capability: restoreFileId, params };
}

function exists(path: string) {
  return fault("filesystem.exists", `Cannot write \`${path}\`: it exists already`, { path });
}

/** Creates the folders named, outermost first; those that exist by now are kept. Durable when it resolves. */
export async function createFolders(
  folders: readonly string[],
  context: CallContext,
): Promise<readonly string[]> {
  const created: string[] = [];
  for (const path of folders) {
    using spot = openSpotOrMissing(context.workspace.root, path, { followLast: false });
    if (!("at" in spot)) throw changed(path, "its parent folder disappeared");
    try {
      mkdirSync(spot.at);
      created.push(path);
    } catch (error) {
      if (!hasErrno(error, "EEXIST")) throw fsFault(error, `Cannot create the folder \`${path}\``, path);
    }
    openExisting(spot.folder, spot.name, path);
    await syncFolder(spot.folder);
  }
  return created;
}

function openExisting(folder: Folder, name: string, path: string): void {
  try {
    openChild(folder, name)[Symbol.dispose]();
  } catch (error) {
    throw fsFault(error, `Cannot create the folder \`${path}\``, path);
  }
}

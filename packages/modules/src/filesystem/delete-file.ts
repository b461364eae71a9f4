import { lstatSync, renameSync, unlinkSync } from "node:fs";
import type { CallContext, Performed } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { parse, Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { openChild, type Spot } from "./contained.ts";
import { changed, look, syncAfterEffect, syncFolder } from "./files.ts";
import { fsFault } from "./fs-fault.ts";
import { restoreFileId } from "./install.ts";
import { filePath, fileRetries, flag, shownPath, sizeBytes } from "./params.ts";
import { fileTarget, nameToChange } from "./place.ts";
import { isStill, Kept, parseFileImage, fileImageOf, stateOf, type FileImage } from "./file-image.ts";
import { buildTree, hashOfImage, imageOf, keepImage, loadImage, removeTree } from "./tree-image.ts";

const restoreFolderId = capabilityId("filesystem.restore_folder@1.0.0");

export const deleteFile = fileCapability({
  id: capabilityId("filesystem.delete_file@1.0.0"),
  summary: {
    en: "Deletes a file, or with `recursive` a folder; both can be taken back",
    fr: "Supprime un fichier, ou avec `recursive` un dossier ; les deux sont rétablissables",
  },
  params: Type.Object({ path: filePath, recursive: flag(false) }, { additionalProperties: false }),
  result: Type.Object({ path: shownPath, sizeBytes }, { additionalProperties: false }),
  effect: { kind: "write", undo: restoreFileId },
  resources: [{ kind: "file", param: "path", does: "remove" }],
  crash: "queryable",
  risk: "high",
  criticality: "controlled",
  permission: "filesystem.delete",
  labels: [],
  phrases: { en: ["delete {path}"], fr: ["supprime {path}", "supprimer {path}"] },
  timeoutMs: 600_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(params, context) {
    using spot = nameToChange(withoutEnd(params.path), context);
    const stat = look(spot);
    if (stat === null)
      throw fault("filesystem.not-found", `Cannot find \`${spot.relative}\``, { path: spot.relative });
    if (!stat.isDirectory()) {
      const file = await fileImageOf(spot, context, "keep");
      return { targets: [fileTarget(spot, "remove", stateOf(file))], before: { file, folder: null } };
    }
    if (params.recursive !== true) {
      throw fault("filesystem.is-a-folder", `Cannot delete \`${spot.relative}\`: it is a folder`, {
        path: spot.relative,
      });
    }
    using folder = openChild(spot.folder, spot.name);
    const hash = await keepImage(await imageOf(folder, context, "keep"), context);
    const target = {
      kind: "folder",
      name: spot.relative,
      resolved: spot.resolved,
      does: "remove",
      state: hash,
    } as const;
    return { targets: [target], before: { file: null, folder: { $blob: hash } } };
  },
  async perform(params, context) {
    using spot = nameToChange(withoutEnd(params.path), context);
    const { file, folder } = recorded(context);
    if (folder !== null) {
      await removeFolder(spot, folder, context);
      return performed(spot, { file, folder });
    }
    if (!isStill(spot, file)) throw changed(spot.relative, "it was changed");
    try {
      unlinkSync(spot.at);
    } catch (error) {
      throw fsFault(error, `Cannot delete \`${spot.relative}\``, spot.relative);
    }
    await syncAfterEffect(spot.folder);
    if (look(spot) !== null) {
      throw fault("filesystem.readback", `Cannot confirm that \`${spot.relative}\` is gone`, {
        path: spot.relative,
        outcome: "unknown",
      });
    }
    return performed(spot, { file, folder });
  },
  async resolve(params, context) {
    using spot = nameToChange(withoutEnd(params.path), context);
    const { file, folder } = recorded(context);
    const stat = look(spot);
    if (stat === null) {
      removeTree(spot.folder, trashName(context.idempotencyKey));
      await syncFolder(spot.folder);
      return { kind: "done", performed: performed(spot, { file, folder }) };
    }
    const isSame = folder === null ? isStill(spot, file) : stat.isDirectory();
    return isSame
      ? { kind: "not-done" }
      : { kind: "unknown", reason: `\`${spot.relative}\` is another file than the one to delete` };
  },
});

export const restoreFolder = fileCapability({
  id: restoreFolderId,
  summary: { en: "Puts a deleted folder back", fr: "Rétablit un dossier supprimé" },
  params: Type.Object({ path: filePath, image: Kept }, { additionalProperties: false }),
  result: Type.Object({ path: shownPath }, { additionalProperties: false }),
  effect: { kind: "write", undo: capabilityId("filesystem.delete_file@1.0.0") },
  resources: [{ kind: "folder", param: "path", does: "create" }],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 3_600_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  internal: true,
  async inspect({ path }, context) {
    using spot = nameToChange(path, context);
    const target = {
      kind: "folder",
      name: spot.relative,
      resolved: spot.resolved,
      does: "create",
      state: null,
    } as const;
    return { targets: [target], before: {} };
  },
  async perform({ path, image: { $blob: hash } }, context) {
    using spot = nameToChange(path, context);
    assertAbsent(spot);
    const name = trashName(context.idempotencyKey);
    removeTree(spot.folder, name);
    await buildTree(spot.folder, name, await loadImage(hash, context), context);
    assertAbsent(spot);
    // Everything appears at once. The system would replace an empty folder here, and nothing else.
    renameSync(spot.folder.child(name), spot.at);
    await syncAfterEffect(spot.folder);
    return { result: { path }, undo: null, evidence: "observed" };
  },
  async resolve({ path, image: { $blob: hash } }, context) {
    using spot = nameToChange(path, context);
    removeTree(spot.folder, trashName(context.idempotencyKey));
    const stat = look(spot);
    if (stat === null) return { kind: "not-done" };
    if (stat.isDirectory()) {
      using folder = openChild(spot.folder, spot.name);
      if (hashOfImage(await imageOf(folder, context, "hash")) === hash) {
        await syncFolder(spot.folder);
        return { kind: "done", performed: { result: { path }, undo: null, evidence: "observed" } };
      }
    }
    return { kind: "unknown", reason: `the name \`${path}\` is taken by something else` };
  },
});

/** Takes the folder away at once under another name, then empties it. */
async function removeFolder(spot: Spot, image: string, context: CallContext): Promise<void> {
  const trash = trashName(context.idempotencyKey);
  removeTree(spot.folder, trash);
  const stat = look(spot);
  if (stat === null || !stat.isDirectory()) throw changed(spot.relative, "it was changed");
  using folder = openChild(spot.folder, spot.name);
  if (hashOfImage(await imageOf(folder, context, "hash")) !== image)
    throw changed(spot.relative, "it was changed");
  try {
    renameSync(spot.at, spot.folder.child(trash));
  } catch (error) {
    throw fsFault(error, `Cannot delete \`${spot.relative}\``, spot.relative);
  }
  await syncAfterEffect(spot.folder);
  try {
    removeTree(spot.folder, trash);
  } catch (error) {
    const facts = { path: spot.relative, outcome: "unknown" };
    throw fault("filesystem.io", `Cannot empty the deleted folder \`${spot.relative}\``, facts, error);
  }
  await syncAfterEffect(spot.folder);
}

function trashName(key: string): string {
  return `.writ-${key}.trash`;
}

function assertAbsent(spot: Spot): void {
  if (lstatSync(spot.at, { throwIfNoEntry: false }) === undefined) return;
  throw fault("undo.world-changed", `Cannot put \`${spot.relative}\` back: the name is taken`, {
    path: spot.relative,
  });
}

function withoutEnd(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

const KeptOrNull = Type.Union([Kept, Type.Null()]);

interface Recorded {
  readonly file: FileImage | null;
  readonly folder: string | null;
}

function recorded(context: CallContext): Recorded {
  const { file, folder } = context.before;
  return {
    file: parseFileImage(file, "the file before deleting"),
    folder: parse(KeptOrNull, folder, "the folder before deleting")?.$blob ?? null,
  };
}

function performed(spot: Spot, { file, folder }: Recorded): Performed {
  return {
    result: { path: spot.relative, sizeBytes: file?.sizeBytes ?? 0 },
    undo:
      folder === null
        ? {
            capability: restoreFileId,
            params: { path: spot.relative, after: null, image: file, folders: [] },
          }
        : { capability: restoreFolderId, params: { path: spot.relative, image: { $blob: folder } } },
    evidence: "observed",
  };
}

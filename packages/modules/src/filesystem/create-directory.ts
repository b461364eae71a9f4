import type { CallContext, Performed } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { parse, Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { openFolder, openSpotOrMissing } from "./contained.ts";
import { look, syncFolder } from "./files.ts";
import { createFolders } from "./install.ts";
import { fileRetries, flag, folderPath, shownPath } from "./params.ts";
import { assertWritable } from "./place.ts";
import { removeFolders } from "./restore-file.ts";

const removeFoldersId = capabilityId("filesystem.remove_folders@1.0.0");
const Folders = Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 64 });

export const createDirectory = fileCapability({
  id: capabilityId("filesystem.create_directory@1.0.0"),
  summary: { en: "Creates a folder", fr: "Crée un dossier" },
  params: Type.Object(
    { path: folderPath, parents: flag(true), exist_ok: flag(true) },
    { additionalProperties: false },
  ),
  result: Type.Object({ path: shownPath, created: Type.Boolean() }, { additionalProperties: false }),
  effect: { kind: "write", undo: removeFoldersId },
  resources: [{ kind: "folder", param: "path", does: "create" }],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: ["create folder {path}"], fr: ["crée dossier {path}", "créer dossier {path}"] },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(params, context) {
    using place = openSpotOrMissing(context.workspace.root, withoutEnd(params.path), { followLast: true });
    const rest = "at" in place ? [place.name] : place.rest;
    const parts = rest.map((_, index) =>
      [place.folder.relative, ...rest.slice(0, index + 1)].filter((name) => name !== "").join("/"),
    );
    const path = parts.at(-1) ?? params.path;
    const resolved = [place.folder.real, ...rest].join("/");
    if ("at" in place && look(place) !== null) {
      if (params.exist_ok === false) {
        throw fault("filesystem.exists", `Cannot create \`${path}\`: it exists already`, { path });
      }
      openFolder(context.workspace.root, params.path)[Symbol.dispose]();
      return {
        targets: [{ kind: "folder", name: path, resolved, does: "list", state: null }],
        before: { folders: [] },
      };
    }
    if (parts.length > 1 && params.parents === false) {
      throw fault("filesystem.folder-missing", `Cannot create \`${path}\`: its parent does not exist`, {
        path,
      });
    }
    assertWritable(path, context);
    return {
      targets: [{ kind: "folder", name: path, resolved, does: "create", state: null }],
      before: { folders: parts },
    };
  },
  async perform(params, context) {
    const created = await createFolders(recorded(context), context);
    openFolder(context.workspace.root, params.path)[Symbol.dispose]();
    return performed(withoutEnd(params.path), created);
  },
  async resolve(params, context) {
    const folders = recorded(context);
    for (const path of folders) {
      using place = openSpotOrMissing(context.workspace.root, path, { followLast: false });
      if (!("at" in place) || look(place) === null) return { kind: "not-done" };
      await syncFolder(place.folder);
    }
    return { kind: "done", performed: performed(withoutEnd(params.path), folders) };
  },
  async predict(params) {
    return { path: withoutEnd(params.path), created: true };
  },
});

export const removeCreatedFolders = fileCapability({
  id: removeFoldersId,
  summary: {
    en: "Removes folders that a step created, while they are empty",
    fr: "Retire les dossiers créés par une étape, tant qu'ils sont vides",
  },
  params: Type.Object({ path: folderPath, folders: Folders }, { additionalProperties: false }),
  result: Type.Object({ path: shownPath }, { additionalProperties: false }),
  effect: { kind: "write", undo: capabilityId("filesystem.create_directory@1.0.0") },
  resources: [{ kind: "folder", param: "path", does: "remove" }],
  crash: "idempotent",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  internal: true,
  async inspect({ path }, context) {
    const resolved = `${context.workspace.root}/${path}`;
    return { targets: [{ kind: "folder", name: path, resolved, does: "remove", state: null }], before: {} };
  },
  async perform({ path, folders }, context) {
    const left = await removeFolders(folders, context);
    if (left.length > 0) {
      throw fault(
        "undo.world-changed",
        `Cannot remove the folder \`${left[0] ?? path}\`: it is not empty any more`,
        {
          path,
          folders: left,
        },
      );
    }
    return { result: { path }, undo: null, evidence: "observed" };
  },
});

function recorded(context: CallContext): readonly string[] {
  return parse(Folders, context.before["folders"], "the folders to create");
}

function performed(path: string, created: readonly string[]): Performed {
  return {
    result: { path, created: created.length > 0 },
    undo: { capability: removeFoldersId, params: { path, folders: created } },
    evidence: "observed",
  };
}

function withoutEnd(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

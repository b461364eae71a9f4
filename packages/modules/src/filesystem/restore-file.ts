import { rmdirSync } from "node:fs";
import type { CallContext } from "@writ/core/capability";
import { capabilityId, sha256 } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { openSpotOrMissing } from "./contained.ts";
import { look, putInPlace, removeIfThere, removeTemporary, syncFolder, writeTemporary } from "./files.ts";
import { fsFault, hasErrno } from "./fs-fault.ts";
import { restoreFileId } from "./install.ts";
import { filePath, fileRetries, shownPath } from "./params.ts";
import { fileTarget, nameToChange } from "./place.ts";
import {
  assertUntouched,
  differenceOf,
  milliseconds,
  parseFileImage,
  fileImageOf,
  FileImageOrNull,
  stateOf,
} from "./file-image.ts";

export const restoreFile = fileCapability({
  id: restoreFileId,
  summary: {
    en: "Puts a file back as it was, while it is still what the step left",
    fr: "Rétablit un fichier, tant qu'il est resté tel que l'étape l'a laissé",
  },
  params: Type.Object(
    {
      path: filePath,
      /** What the effect left there; null: nothing. */
      after: FileImageOrNull,
      /** What was there before, kept in the blobs under its hash; null: nothing. */
      image: FileImageOrNull,
      /** Folders that the effect created, outermost first; removed again while empty. */
      folders: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 64 }),
    },
    { additionalProperties: false },
  ),
  result: Type.Object(
    { path: shownPath, foldersLeft: Type.Array(shownPath, { maxItems: 64 }) },
    { additionalProperties: false },
  ),
  effect: { kind: "write", undo: capabilityId("filesystem.write_file@1.0.0") },
  resources: [{ kind: "file", param: "path", does: "replace" }],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 600_000,
  resultBytesMax: 64 * 1024,
  retryOn: fileRetries,
  internal: true,
  async inspect({ path, after, image }, context) {
    using spot = nameToChange(path, context);
    const now = await fileImageOf(spot, context);
    const does = image === null ? "remove" : after === null ? "create" : "replace";
    return { targets: [fileTarget(spot, does, stateOf(now))], before: { target: now } };
  },
  async perform({ path, after, image, folders }, context) {
    using spot = nameToChange(path, context);
    await assertUntouched(spot, after, context);
    if (image === null) {
      try {
        removeIfThere(spot.at);
        await syncFolder(spot.folder);
      } catch (error) {
        throw fsFault(error, `Cannot remove \`${path}\``, path);
      }
    } else {
      const { name } = await writeTemporary(spot.folder, context.idempotencyKey, {
        source: context.blobs.stream(sha256(image.sha256)),
        mode: image.mode,
        mtimeMs: milliseconds(image),
      });
      try {
        await putInPlace(spot, name, after !== null);
      } finally {
        removeTemporary(spot.folder, context.idempotencyKey);
      }
    }
    const foldersLeft = await removeFolders(folders, context);
    return { result: { path, foldersLeft }, undo: null, evidence: "observed" };
  },
  async resolve({ path, after, image, folders }, context) {
    using spot = openSpotOrMissing(context.workspace.root, path, { followLast: false });
    if (!("at" in spot)) {
      return image === null
        ? { kind: "done", performed: { result: { path, foldersLeft: [] }, undo: null, evidence: "observed" } }
        : { kind: "unknown", reason: `the folder of \`${path}\` is gone` };
    }
    removeTemporary(spot.folder, context.idempotencyKey);
    const now = await fileImageOf(spot, context);
    const before = parseFileImage(context.before["target"], "the state before undoing");
    if (differenceOf(after, now) === null && before?.ino === now?.ino) return { kind: "not-done" };
    const isRestored = image === null ? now === null : now?.sha256 === image.sha256;
    if (!isRestored) return { kind: "unknown", reason: `\`${path}\` was changed by others meanwhile` };
    await syncFolder(spot.folder);
    const foldersLeft = await removeFolders(folders, context);
    return { kind: "done", performed: { result: { path, foldersLeft }, undo: null, evidence: "observed" } };
  },
});

/** Removes the folders, innermost first, while they are empty; those that others use by now are returned. */
export async function removeFolders(
  folders: readonly string[],
  context: CallContext,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const path of folders.toReversed()) {
    using spot = openSpotOrMissing(context.workspace.root, path, { followLast: false });
    if (!("at" in spot) || look(spot) === null) continue;
    try {
      rmdirSync(spot.at);
      await syncFolder(spot.folder);
    } catch (error) {
      if (!hasErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR"))
        throw fsFault(error, `Cannot remove \`${path}\``, path);
      left.push(path);
    }
  }
  return left;
}

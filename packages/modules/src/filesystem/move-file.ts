// Moving: one rename inside the workspace, never replacing anything unless asked.
//   F11 Done means: the destination is the very file (inode) that was looked at, and the source name is gone.
import { renameSync, unlinkSync } from "node:fs";
import { basename } from "node:path/posix";
import type { CallContext, Performed } from "@writ/core/capability";
import { capabilityId, sha256 } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import type { Spot } from "./contained.ts";
import { changed, lookAtFile, renameWithoutReplacing, syncAfterEffect } from "./files.ts";
import { fsFault } from "./fs-fault.ts";
import { destinationPath, filePath, fileRetries, flag, sha256Text, shownPath, sizeBytes } from "./params.ts";
import { fileTarget, nameToChange } from "./place.ts";
import { isStill, parseFileImage, fileImageOf, stateOf, type FileImage } from "./file-image.ts";

export const moveBackId = capabilityId("filesystem.move_back@1.0.0");

export const transferred = Type.Object(
  { source: shownPath, destination: shownPath, sizeBytes, sha256: sha256Text },
  { additionalProperties: false },
);

export const transferParams = Type.Object(
  { source: filePath, destination: destinationPath, overwrite: flag(false) },
  { additionalProperties: false },
);

export const moveFile = fileCapability({
  id: capabilityId("filesystem.move_file@1.0.0"),
  summary: { en: "Moves or renames a file", fr: "Déplace ou renomme un fichier" },
  params: transferParams,
  result: transferred,
  effect: { kind: "write", undo: moveBackId },
  resources: [
    { kind: "file", param: "source", does: "remove" },
    { kind: "file", param: "destination", does: "replace" },
  ],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["move {source} to {destination}", "move {source} into {destination}"],
    fr: [
      "déplace {source} vers {destination}",
      "déplacer {source} vers {destination}",
      "déplace {source} dans {destination}",
      "déplacer {source} dans {destination}",
    ],
  },
  timeoutMs: 600_000,
  resultBytesMax: 16_384,
  retryOn: fileRetries,
  async inspect(params, context) {
    using source = nameToChange(params.source, context);
    using destination = nameToChange(destinationOf(params), context);
    const moved = await fileImageOf(source, context);
    if (moved === null) throw notFound(source);
    const replaced = await fileImageOf(destination, context, "keep");
    // A file does not replace itself: the system would do nothing, and nobody could tell whether it was moved.
    if (replaced !== null && (params.overwrite !== true || replaced.ino === moved.ino))
      throw exists(destination);
    return {
      targets: [
        fileTarget(source, "remove", stateOf(moved)),
        fileTarget(destination, replaced === null ? "create" : "replace", stateOf(replaced)),
      ],
      before: { source: moved, destination: replaced },
    };
  },
  async perform(params, context) {
    using source = nameToChange(params.source, context);
    using destination = nameToChange(destinationOf(params), context);
    const { moved, replaced } = recorded(context);
    if (!isStill(source, moved)) throw changed(source.relative, "it was changed or moved");
    if (!isStill(destination, replaced)) {
      if (replaced === null) throw exists(destination);
      throw changed(destination.relative, "it was changed");
    }
    try {
      if (replaced === null) renameWithoutReplacing(source.at, destination.at);
      else renameSync(source.at, destination.at);
    } catch (error) {
      throw fsFault(
        error,
        `Cannot move \`${source.relative}\` to \`${destination.relative}\``,
        source.relative,
      );
    }
    await syncBoth(source, destination);
    if (String(lookAtFile(destination)?.ino) !== moved.ino || lookAtFile(source) !== null) {
      throw fault("filesystem.readback", `Cannot confirm the move of \`${source.relative}\``, {
        path: source.relative,
        outcome: "unknown",
      });
    }
    return performed(source, destination, { moved, replaced });
  },
  async resolve(params, context) {
    using source = nameToChange(params.source, context);
    using destination = nameToChange(destinationOf(params), context);
    const { moved, replaced } = recorded(context);
    const atSource = lookAtFile(source);
    const atDestination = lookAtFile(destination);
    const isThere = atDestination !== null && String(atDestination.ino) === moved.ino;
    if (isThere && atSource !== null && String(atSource.ino) === moved.ino) {
      // Linked under both names: the crash came between the two halves of the move. The second half is safe to do.
      unlinkSync(source.at);
    } else if (!isThere) {
      return isStill(source, moved) && isStill(destination, replaced)
        ? { kind: "not-done" }
        : {
            kind: "unknown",
            reason: `\`${source.relative}\` is neither where it was nor where it should go`,
          };
    } else if (atSource !== null) {
      // Moved, and somebody has put a new file under the old name since.
      await syncBoth(source, destination);
      return { kind: "done", performed: performed(source, destination, { moved, replaced }) };
    }
    await syncBoth(source, destination);
    return { kind: "done", performed: performed(source, destination, { moved, replaced }) };
  },
  async predict(params, context) {
    using source = nameToChange(params.source, context);
    using destination = nameToChange(destinationOf(params), context);
    const moved = await fileImageOf(source, context);
    if (moved === null) throw notFound(source);
    if (params.overwrite !== true && lookAtFile(destination) !== null) throw exists(destination);
    return {
      source: source.relative,
      destination: destination.relative,
      sizeBytes: moved.sizeBytes,
      sha256: moved.sha256,
    };
  },
});

/** The file's own name is kept when the destination ends with `/`. */
export function destinationOf(params: { readonly source: string; readonly destination: string }): string {
  return params.destination.endsWith("/") ? params.destination + basename(params.source) : params.destination;
}

export function notFound(spot: Spot) {
  return fault("filesystem.not-found", `Cannot find \`${spot.relative}\``, { path: spot.relative });
}

function exists(spot: Spot) {
  return fault("filesystem.exists", `Cannot write \`${spot.relative}\`: it exists already`, {
    path: spot.relative,
  });
}

/** The new name is durable before the loss of the old one is. */
export async function syncBoth(source: Spot, destination: Spot): Promise<void> {
  await syncAfterEffect(destination.folder);
  if (source.folder.real !== destination.folder.real) await syncAfterEffect(source.folder);
}

function recorded(context: CallContext): { readonly moved: FileImage; readonly replaced: FileImage | null } {
  const moved = parseFileImage(context.before["source"], "the source before moving");
  if (moved === null) throw fault("filesystem.not-found", "Cannot move: there was no file", {});
  return { moved, replaced: parseFileImage(context.before["destination"], "the destination before moving") };
}

function performed(
  source: Spot,
  destination: Spot,
  facts: { readonly moved: FileImage; readonly replaced: FileImage | null },
): Performed {
  const { moved, replaced } = facts;
  return {
    result: {
      source: source.relative,
      destination: destination.relative,
      sizeBytes: moved.sizeBytes,
      sha256: sha256(moved.sha256),
    },
    undo: {
      capability: moveBackId,
      params: { source: source.relative, destination: destination.relative, moved, replaced },
    },
    evidence: "observed",
  };
}

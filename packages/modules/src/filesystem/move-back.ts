import { unlinkSync } from "node:fs";
import type { CallContext, Performed } from "@writ/core/capability";
import { capabilityId, sha256 } from "@writ/core/ids";
import { Type, type Static } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import type { Spot } from "./contained.ts";
import { lookAtFile, putInPlace, removeTemporary, renameWithoutReplacing, writeTemporary } from "./files.ts";
import { fsFault } from "./fs-fault.ts";
import { moveBackId, syncBoth } from "./move-file.ts";
import { filePath, fileRetries, shownPath } from "./params.ts";
import { fileTarget, nameToChange } from "./place.ts";
import {
  assertUntouched,
  milliseconds,
  FileImage,
  fileImageOf,
  FileImageOrNull,
  stateOf,
} from "./file-image.ts";

const params = Type.Object(
  {
    /** The name it had before, and gets again. */
    source: filePath,
    destination: filePath,
    moved: FileImage,
    /** What the move replaced, kept in the blobs; null: nothing. */
    replaced: FileImageOrNull,
  },
  { additionalProperties: false },
);
type Params = Static<typeof params>;

export const moveBack = fileCapability({
  id: moveBackId,
  summary: {
    en: "Moves a file back, while it is still the one that was moved",
    fr: "Remet un fichier à sa place, tant que c'est bien celui qui a été déplacé",
  },
  params,
  result: Type.Object({ source: shownPath }, { additionalProperties: false }),
  effect: { kind: "write", undo: capabilityId("filesystem.move_file@1.0.0") },
  resources: [
    { kind: "file", param: "source", does: "create" },
    { kind: "file", param: "destination", does: "replace" },
  ],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 600_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  internal: true,
  async inspect(given, context) {
    using source = nameToChange(given.source, context);
    using destination = nameToChange(given.destination, context);
    return {
      targets: [
        fileTarget(source, "create", stateOf(await fileImageOf(source, context))),
        fileTarget(
          destination,
          given.replaced === null ? "remove" : "replace",
          stateOf(await fileImageOf(destination, context)),
        ),
      ],
      before: {},
    };
  },
  async perform(given, context) {
    using source = nameToChange(given.source, context);
    using destination = nameToChange(given.destination, context);
    if (lookAtFile(source) !== null) {
      throw fault(
        "undo.world-changed",
        `Cannot move \`${destination.relative}\` back: \`${source.relative}\` is taken by another file`,
        { path: source.relative },
      );
    }
    await assertUntouched(destination, given.moved, context);
    try {
      renameWithoutReplacing(destination.at, source.at);
      await syncBoth(destination, source);
    } catch (error) {
      throw fsFault(error, `Cannot move \`${destination.relative}\` back`, destination.relative);
    }
    await putBackReplaced(destination, given, context);
    return performed(source);
  },
  async resolve(given, context) {
    using source = nameToChange(given.source, context);
    using destination = nameToChange(given.destination, context);
    const atSource = lookAtFile(source);
    const atDestination = lookAtFile(destination);
    if (atSource === null) return { kind: "not-done" };
    if (atDestination !== null && atDestination.ino === atSource.ino) unlinkSync(destination.at);
    else if (String(atDestination?.ino) === given.moved.ino) {
      // The file is where the move put it: what stands at its old name is another one, be it a copy.
      return { kind: "unknown", reason: `\`${source.relative}\` is taken by another file` };
    }
    const back = await fileImageOf(source, context);
    if (back?.sha256 !== given.moved.sha256) {
      return { kind: "unknown", reason: `\`${source.relative}\` is taken by another file` };
    }
    await putBackReplaced(destination, given, context);
    await syncBoth(destination, source);
    return { kind: "done", performed: performed(source) };
  },
});

/** Puts back what the move had replaced, unless it is there already. */
async function putBackReplaced(destination: Spot, given: Params, context: CallContext): Promise<void> {
  if (given.replaced === null) return;
  const now = await fileImageOf(destination, context);
  if (now?.sha256 === given.replaced.sha256) return;
  if (now !== null) {
    throw fault("undo.world-changed", `Cannot put back \`${destination.relative}\`: the name is taken`, {
      path: destination.relative,
    });
  }
  const { name } = await writeTemporary(destination.folder, context.idempotencyKey, {
    source: context.blobs.stream(sha256(given.replaced.sha256)),
    mode: given.replaced.mode,
    mtimeMs: milliseconds(given.replaced),
  });
  try {
    await putInPlace(destination, name, false);
  } finally {
    removeTemporary(destination.folder, context.idempotencyKey);
  }
}

function performed(source: Spot): Performed {
  return { result: { source: source.relative }, undo: null, evidence: "observed" };
}

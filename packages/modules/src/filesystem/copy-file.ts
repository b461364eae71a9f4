import type { CallContext, Performed } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { fileCapability } from "./file-capability.ts";
import type { Spot } from "./contained.ts";
import { chunksOf, openFile } from "./files.ts";
import { inspectInstall, performInstall, resolveInstall, restoreFileId, type Installed } from "./install.ts";
import { destinationOf, notFound, transferParams, transferred } from "./move-file.ts";
import { fileRetries } from "./params.ts";
import { fileTarget, placeToRead } from "./place.ts";
import { parseFileImage, fileImageOf, stateOf } from "./file-image.ts";

export const copyFile = fileCapability({
  id: capabilityId("filesystem.copy_file@1.0.0"),
  summary: { en: "Copies a file", fr: "Copie un fichier" },
  params: transferParams,
  result: transferred,
  effect: { kind: "write", undo: restoreFileId },
  resources: [
    { kind: "file", param: "source", does: "read" },
    { kind: "file", param: "destination", does: "replace" },
  ],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["copy {source} to {destination}"],
    fr: ["copie {source} vers {destination}", "copier {source} vers {destination}"],
  },
  timeoutMs: 600_000,
  resultBytesMax: 16_384,
  retryOn: fileRetries,
  async inspect(params, context) {
    using source = placeToRead(params.source, context);
    const fileImage = await fileImageOf(source, context);
    if (fileImage === null) throw notFound(source);
    const installing = await inspectInstall(optionsOf(params), context);
    return {
      targets: [fileTarget(source, "read", stateOf(fileImage)), ...installing.targets],
      before: { ...installing.before, source: fileImage },
    };
  },
  async perform(params, context) {
    using source = placeToRead(params.source, context);
    const copied = recordedSource(source, context);
    await using handle = await openFile(source);
    const installed = await performInstall(
      {
        ...optionsOf(params),
        source: chunksOf(handle, context.signal),
        mode: copied.mode,
        expected: copied.sha256,
      },
      context,
    );
    return performed(params, source, installed);
  },
  async resolve(params, context) {
    using source = placeToRead(params.source, context);
    const resolved = await resolveInstall(
      destinationOf(params),
      recordedSource(source, context).sha256,
      context,
    );
    if (resolved.kind !== "done") return resolved;
    return { kind: "done", performed: performed(params, source, resolved.installed) };
  },
  async predict(params, context) {
    using source = placeToRead(params.source, context);
    const fileImage = await fileImageOf(source, context);
    if (fileImage === null) throw notFound(source);
    await inspectInstall(optionsOf(params), context);
    return {
      source: source.relative,
      destination: destinationOf(params),
      sizeBytes: fileImage.sizeBytes,
      sha256: fileImage.sha256,
    };
  },
});

type Params = { readonly source: string; readonly destination: string; readonly overwrite?: boolean };

function optionsOf(params: Params) {
  return { path: destinationOf(params), overwrite: params.overwrite ?? false, createFolders: false };
}

function recordedSource(source: Spot, context: CallContext) {
  const fileImage = parseFileImage(context.before["source"], "the source before copying");
  if (fileImage === null) throw notFound(source);
  return fileImage;
}

function performed(params: Params, source: Spot, installed: Installed): Performed {
  return {
    result: {
      source: source.relative,
      destination: destinationOf(params),
      sizeBytes: installed.content.sizeBytes,
      sha256: installed.content.sha256,
    },
    undo: installed.undo,
    evidence: "observed",
  };
}

import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import type { ValueMap } from "@writ/core/value";
import { fileCapability } from "./file-capability.ts";
import { sha256Of } from "./files.ts";
import { inspectInstall, performInstall, resolveInstall, restoreFileId, type Installed } from "./install.ts";
import {
  content,
  encoding,
  filePath,
  fileRetries,
  flag,
  sha256Text,
  shownPath,
  sizeBytes,
} from "./params.ts";
import { encodeText } from "./text.ts";

export const writeFile = fileCapability({
  id: capabilityId("filesystem.write_file@1.0.0"),
  summary: { en: "Writes a text file as a whole", fr: "Écrit un fichier texte en entier" },
  params: Type.Object(
    { path: filePath, content, encoding, create_dirs: flag(false), overwrite: flag(true) },
    { additionalProperties: false },
  ),
  result: Type.Object(
    { path: shownPath, sizeBytes, sha256: sha256Text, created: Type.Boolean() },
    { additionalProperties: false },
  ),
  effect: { kind: "write", undo: restoreFileId },
  resources: [{ kind: "file", param: "path", does: "replace" }],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["write {content} to {path}"],
    fr: ["écris {content} dans {path}", "écrire {content} dans {path}"],
  },
  timeoutMs: 60_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(params, context) {
    encodeText(params.content, params.encoding ?? "utf-8", params.path);
    return inspectInstall(optionsOf(params), context);
  },
  async perform(params, context) {
    const source = [encodeText(params.content, params.encoding ?? "utf-8", params.path)];
    const installed = await performInstall({ ...optionsOf(params), source }, context);
    return { result: resultOf(params.path, installed), undo: installed.undo, evidence: "observed" };
  },
  async resolve(params, context) {
    const bytes = encodeText(params.content, params.encoding ?? "utf-8", params.path);
    const resolved = await resolveInstall(params.path, sha256Of(bytes), context);
    if (resolved.kind !== "done") return resolved;
    const { installed } = resolved;
    return {
      kind: "done",
      performed: { result: resultOf(params.path, installed), undo: installed.undo, evidence: "observed" },
    };
  },
  async predict(params, context) {
    const bytes = encodeText(params.content, params.encoding ?? "utf-8", params.path);
    const { before } = await inspectInstall(optionsOf(params), context);
    return {
      path: params.path,
      sizeBytes: bytes.length,
      sha256: sha256Of(bytes),
      created: before["target"] === null,
    };
  },
});

function optionsOf(params: {
  readonly path: string;
  readonly create_dirs?: boolean;
  readonly overwrite?: boolean;
}) {
  return {
    path: params.path,
    overwrite: params.overwrite ?? true,
    createFolders: params.create_dirs ?? false,
  };
}

function resultOf(path: string, installed: Installed): ValueMap {
  return {
    path,
    sizeBytes: installed.content.sizeBytes,
    sha256: installed.content.sha256,
    created: installed.created,
  };
}

// Reads of folders and facts: list_directory, search_files, get_file_info, compute_checksum.
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import type { CallContext, Inspection } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { listEntriesMax, searchResultsMax } from "../limits.ts";
import { openFolder, openSpotOrMissing, spotIn, type Folder } from "./contained.ts";
import { chunksOf, openFile } from "./files.ts";
import { fsFault } from "./fs-fault.ts";
import { matchesGlob } from "./glob.ts";
import { filePath, flag, folderPath, shownPath, sizeBytes } from "./params.ts";
import { placeToRead } from "./place.ts";
import { inspectRead } from "./read-file.ts";
import { decodingOf, NotText } from "./text.ts";
import { entriesBelow, kindOf, type TreeEntry } from "./walk-tree.ts";

const reading = {
  effect: { kind: "read" },
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "filesystem.read",
  labels: ["origin:file"],
  timeoutMs: 120_000,
  retryOn: ["filesystem.too-many-open"],
} as const;

const kind = Type.Enum(["file", "folder", "link", "other"]);
const pattern = Type.String({ minLength: 1, maxLength: 255 });
const closed = { additionalProperties: false };

export const listDirectory = fileCapability({
  ...reading,
  id: capabilityId("filesystem.list_directory@1.0.0"),
  summary: { en: "Lists what is in a folder", fr: "Liste le contenu d'un dossier" },
  params: Type.Object(
    {
      path: folderPath,
      recursive: flag(false),
      /** `*` and `?` in names; case is ignored. */
      pattern: Type.Optional(pattern),
      include_hidden: flag(false),
      max_results: Type.Optional(Type.Integer({ minimum: 1, maximum: listEntriesMax, default: 500 })),
    },
    closed,
  ),
  result: Type.Object(
    {
      path: shownPath,
      entries: Type.Array(
        Type.Object(
          { path: shownPath, name: shownPath, kind, sizeBytes, modifiedMs: Type.Integer() },
          closed,
        ),
        { maxItems: listEntriesMax },
      ),
      count: Type.Integer({ minimum: 0 }),
      truncated: Type.Boolean(),
    },
    closed,
  ),
  resources: [{ kind: "folder", param: "path", does: "list" }],
  phrases: { en: ["list {path}"], fr: ["liste {path}", "lister {path}"] },
  resultBytesMax: 8 * 1024 * 1024,
  inspect: ({ path }, context) => inspectFolder(path, context),
  async perform(params, context) {
    using folder = openFolder(context.workspace.root, params.path);
    const max = params.max_results ?? 500;
    const entries: { path: string; name: string; kind: string; sizeBytes: number; modifiedMs: number }[] = [];
    const isShown = (entry: TreeEntry) => params.include_hidden === true || !entry.name.startsWith(".");
    let truncated = false;
    for (const entry of below(folder, context, { isRecursive: params.recursive === true, enters: isShown })) {
      if (!isShown(entry) || !matchesGlob(entry.name, params.pattern ?? "*")) continue;
      if (entries.length === max) {
        truncated = true;
        break;
      }
      entries.push({
        ...within(folder, entry),
        sizeBytes: Number(entry.stat.size),
        modifiedMs: Number(entry.stat.mtimeMs),
      });
    }
    return {
      result: { path: folder.relative || ".", entries, count: entries.length, truncated },
      undo: null,
      evidence: "observed",
    };
  },
});

export const searchFiles = fileCapability({
  ...reading,
  id: capabilityId("filesystem.search_files@1.0.0"),
  summary: {
    en: "Finds files by name and, where asked, by a text in them",
    fr: "Trouve des fichiers par leur nom et, au besoin, par un texte qu'ils contiennent",
  },
  params: Type.Object(
    {
      directory: folderPath,
      pattern,
      /** A text, not an expression: no pattern can make the search hang. */
      content_pattern: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
      case_sensitive: flag(false),
      max_results: Type.Optional(Type.Integer({ minimum: 1, maximum: searchResultsMax, default: 100 })),
    },
    closed,
  ),
  result: Type.Object(
    {
      directory: shownPath,
      files: Type.Array(
        Type.Object(
          { path: shownPath, name: shownPath, line: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]) },
          closed,
        ),
        { maxItems: searchResultsMax },
      ),
      count: Type.Integer({ minimum: 0 }),
      truncated: Type.Boolean(),
    },
    closed,
  ),
  resources: [{ kind: "folder", param: "directory", does: "list" }],
  phrases: { en: [], fr: [] },
  timeoutMs: 600_000,
  resultBytesMax: 8 * 1024 * 1024,
  inspect: ({ directory }, context) => inspectFolder(directory, context),
  async perform(params, context) {
    using folder = openFolder(context.workspace.root, params.directory);
    const isExact = params.case_sensitive ?? false;
    const max = params.max_results ?? 100;
    const files: { path: string; name: string; line: number | null }[] = [];
    let truncated = false;
    for (const entry of below(folder, context, { isRecursive: true })) {
      if (entry.kind !== "file" || !matchesGlob(entry.name, params.pattern, isExact)) continue;
      const { path, name } = within(folder, entry);
      const wanted = params.content_pattern;
      const line = wanted === undefined ? null : await lineWith(entry, { text: wanted, isExact }, context);
      if (wanted !== undefined && line === null) continue;
      if (files.length === max) {
        truncated = true;
        break;
      }
      files.push({ path, name, line });
    }
    return {
      result: { directory: folder.relative || ".", files, count: files.length, truncated },
      undo: null,
      evidence: "observed",
    };
  },
});

export const getFileInfo = fileCapability({
  ...reading,
  id: capabilityId("filesystem.get_file_info@1.0.0"),
  summary: {
    en: "Tells size, kind and times of a file or folder",
    fr: "Donne la taille, le genre et les dates d'un fichier ou dossier",
  },
  params: Type.Object({ path: filePath }, closed),
  result: Type.Object(
    {
      path: shownPath,
      exists: Type.Boolean(),
      kind: Type.Union([kind, Type.Null()]),
      sizeBytes,
      modifiedMs: Type.Integer(),
      /** Permission bits in octal, such as `644`. */
      mode: Type.String({ maxLength: 8 }),
    },
    closed,
  ),
  resources: [{ kind: "file", param: "path", does: "read" }],
  phrases: { en: [], fr: [] },
  resultBytesMax: 16_384,
  async inspect({ path }, context) {
    using spot = openSpotOrMissing(context.workspace.root, withoutEnd(path), { followLast: false });
    const resolved = "at" in spot ? spot.resolved : [spot.folder.real, ...spot.rest].join("/");
    const name = "at" in spot ? spot.relative : withoutEnd(path);
    return { targets: [{ kind: "file", name, resolved, does: "read", state: null }], before: {} };
  },
  async perform({ path }, context) {
    using spot = openSpotOrMissing(context.workspace.root, withoutEnd(path), { followLast: false });
    const stat = "at" in spot ? lstatSync(spot.at, { throwIfNoEntry: false, bigint: true }) : undefined;
    const shown = "at" in spot ? spot.relative : withoutEnd(path);
    const result =
      stat === undefined
        ? { path: shown, exists: false, kind: null, sizeBytes: 0, modifiedMs: 0, mode: "" }
        : {
            path: shown,
            exists: true,
            kind: kindOf(stat),
            sizeBytes: Number(stat.size),
            modifiedMs: Number(stat.mtimeMs),
            mode: (stat.mode & 0o7777n).toString(8),
          };
    return { result, undo: null, evidence: "observed" };
  },
});

export const computeChecksum = fileCapability({
  ...reading,
  id: capabilityId("filesystem.compute_checksum@1.0.0"),
  summary: { en: "Computes the checksum of a file", fr: "Calcule l'empreinte d'un fichier" },
  params: Type.Object(
    {
      path: filePath,
      algorithm: Type.Optional(Type.Enum(["md5", "sha1", "sha256", "sha512"], { default: "sha256" })),
    },
    closed,
  ),
  result: Type.Object(
    {
      path: shownPath,
      algorithm: Type.String({ maxLength: 16 }),
      checksum: Type.String({ maxLength: 128 }),
      sizeBytes,
    },
    closed,
  ),
  resources: [{ kind: "file", param: "path", does: "read" }],
  phrases: {
    en: ["compute checksum of {path}"],
    fr: ["calcule empreinte de {path}", "calculer empreinte de {path}"],
  },
  timeoutMs: 600_000,
  resultBytesMax: 16_384,
  inspect: ({ path }, context) => inspectRead(path, context),
  async perform({ path, algorithm = "sha256" }, context) {
    using spot = placeToRead(path, context);
    await using handle = await openFile(spot);
    const hash = createHash(algorithm);
    let size = 0;
    for await (const chunk of chunksOf(handle, context.signal)) {
      hash.update(chunk);
      size += chunk.length;
    }
    return {
      result: { path: spot.relative, algorithm, checksum: hash.digest("hex"), sizeBytes: size },
      undo: null,
      evidence: "observed",
    };
  },
});

async function inspectFolder(path: string, context: CallContext): Promise<Inspection> {
  using folder = openFolder(context.workspace.root, path);
  const name = folder.relative || ".";
  return {
    targets: [{ kind: "folder", name, resolved: folder.real, does: "list", state: null }],
    before: {},
  };
}

function withoutEnd(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

function* below(
  folder: Folder,
  context: CallContext,
  options: { readonly isRecursive: boolean; readonly enters?: (entry: TreeEntry) => boolean },
): Generator<TreeEntry> {
  try {
    yield* entriesBelow(folder, { ...options, signal: context.signal });
  } catch (error) {
    throw fsFault(error, `Cannot look into \`${folder.relative || "."}\``, folder.relative);
  }
}

function within(folder: Folder, entry: TreeEntry) {
  const path = folder.relative === "" ? entry.path : `${folder.relative}/${entry.path}`;
  return { path, name: entry.name, kind: entry.kind };
}

/** Number of the first line that holds the text, from 1, or null; files that are not UTF-8 text hold nothing. */
async function lineWith(
  entry: TreeEntry,
  wanted: { readonly text: string; readonly isExact: boolean },
  context: CallContext,
): Promise<number | null> {
  const fold = (text: string) => (wanted.isExact ? text : text.toLowerCase());
  const text = fold(wanted.text);
  try {
    await using handle = await openFile(spotIn(entry.folder, entry.name));
    const decoding = decodingOf("utf-8");
    let rest = "";
    let line = 1;
    for await (const chunk of chunksOf(handle, context.signal)) {
      const piece = rest + fold(decoding.write(chunk));
      const found = piece.indexOf(text);
      if (found !== -1) return line + countLines(piece.slice(0, found));
      // What may be the beginning of a match is looked at again.
      const kept = Math.max(0, piece.length - text.length + 1);
      line += countLines(piece.slice(0, kept));
      rest = piece.slice(kept);
    }
    return null;
  } catch (error) {
    if (error instanceof NotText) return null;
    throw error;
  }
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

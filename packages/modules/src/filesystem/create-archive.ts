import { basename } from "node:path/posix";
import type { CallContext, Inspection, Performed } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { packed, type ArchiveFormat, type PackEntry } from "./archive.ts";
import { openChild, openFolder, openSpot, spotIn, type Folder } from "./contained.ts";
import { chunksOf, hashOf, look, openFile } from "./files.ts";
import { inspectInstall, performInstall, resolveInstall, restoreFileId, type Installed } from "./install.ts";
import { destinationPath, filePath, fileRetries, sha256Text, shownPath, sizeBytes } from "./params.ts";
import { entriesBelow, kindOf, type TreeEntry } from "./walk-tree.ts";

type Params = { readonly source: string; readonly destination: string; readonly format?: string };

export const createArchive = fileCapability({
  id: capabilityId("filesystem.create_archive@1.0.0"),
  summary: {
    en: "Packs a file or folder into an archive",
    fr: "Range un fichier ou un dossier dans une archive",
  },
  params: Type.Object(
    {
      source: filePath,
      destination: destinationPath,
      format: Type.Optional(Type.Enum(["zip", "tar", "tar.gz", "tar.bz2"], { default: "zip" })),
    },
    { additionalProperties: false },
  ),
  result: Type.Object(
    {
      destination: shownPath,
      format: Type.String({ maxLength: 16 }),
      entryCount: Type.Integer({ minimum: 0 }),
      sizeBytes,
      sha256: sha256Text,
    },
    { additionalProperties: false },
  ),
  effect: { kind: "write", undo: restoreFileId },
  resources: [
    { kind: "file", param: "source", does: "read" },
    { kind: "file", param: "destination", does: "create" },
  ],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["archive {source} to {destination}"],
    fr: ["archive {source} dans {destination}", "archiver {source} dans {destination}"],
  },
  timeoutMs: 3_600_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(params, context): Promise<Inspection> {
    const format = formatOf(params);
    const source = await hashOf(packed(sourceEntries(params.source, context), format));
    using spot = openSpot(context.workspace.root, withoutEnd(params.source), { followLast: false });
    const installing = await inspectInstall(optionsOf(params), context);
    return {
      targets: [
        { kind: "file", name: spot.relative, resolved: spot.resolved, does: "read", state: source.sha256 },
        ...installing.targets,
      ],
      before: { ...installing.before, archive: source.sha256 },
    };
  },
  async perform(params, context) {
    const entries = sourceEntries(params.source, context);
    const source = packed(entries, formatOf(params));
    const expected = expectedOf(context);
    const installed = await performInstall({ ...optionsOf(params), source, expected }, context);
    return performed(params, entries.length, installed);
  },
  async resolve(params, context) {
    const resolved = await resolveInstall(optionsOf(params).path, expectedOf(context), context);
    if (resolved.kind !== "done") return resolved;
    const count = sourceEntries(params.source, context).length;
    return { kind: "done", performed: performed(params, count, resolved.installed) };
  },
});

/** The entries of a file or folder, under its own name. @throws filesystem.archive-entry when it holds links or special files */
function sourceEntries(source: string, context: CallContext): readonly PackEntry[] {
  using spot = openSpot(context.workspace.root, withoutEnd(source), { followLast: false });
  const stat = look(spot);
  if (stat === null)
    throw fault("filesystem.not-found", `Cannot find \`${spot.relative}\``, { path: spot.relative });
  const top: TreeEntry = { path: spot.name, name: spot.name, kind: kindOf(stat), stat, folder: spot.folder };
  const first = packEntry(top, spot.relative, context);
  if (top.kind !== "folder") return [first];
  using folder = openChild(spot.folder, spot.name);
  const below = [...entriesBelow(folder, { signal: context.signal, isRecursive: true })];
  return [
    first,
    ...below.map((entry) =>
      packEntry({ ...entry, path: `${spot.name}/${entry.path}` }, `${spot.relative}/${entry.path}`, context),
    ),
  ];
}

function packEntry(entry: TreeEntry, path: string, context: CallContext): PackEntry {
  if (entry.kind !== "file" && entry.kind !== "folder") {
    throw fault("filesystem.archive-entry", `Cannot pack \`${path}\`: it is a link or a special file`, {
      path,
    });
  }
  return {
    path: entry.path,
    kind: entry.kind,
    sizeBytes: entry.kind === "file" ? Number(entry.stat.size) : 0,
    mode: Number(entry.stat.mode),
    mtimeMs: Number(entry.stat.mtimeMs),
    open: () => openLater(path, context),
  };
}

/** Opened when its turn comes, again from the root: thousands of folders are not kept open. */
async function* openLater(path: string, context: CallContext): AsyncGenerator<Uint8Array> {
  using folder: Folder = openFolder(
    context.workspace.root,
    path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".",
  );
  await using handle = await openFile(spotIn(folder, basename(path)));
  yield* chunksOf(handle, context.signal);
}

function formatOf(params: Params): ArchiveFormat {
  const format = params.format ?? "zip";
  if (format === "zip" || format === "tar" || format === "tar.gz") return format;
  throw fault("filesystem.archive-format", `Cannot write the format \`${format}\``, { format });
}

function optionsOf(params: Params) {
  const path = params.destination.endsWith("/")
    ? `${params.destination}${basename(withoutEnd(params.source))}.${params.format ?? "zip"}`
    : params.destination;
  return { path, overwrite: false, createFolders: false };
}

function withoutEnd(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

function expectedOf(context: CallContext): string {
  const { archive } = context.before;
  if (typeof archive !== "string")
    throw new Error("Invariant broken: F7 the archive's hash is recorded before it is written");
  return archive;
}

function performed(params: Params, entryCount: number, installed: Installed): Performed {
  return {
    result: {
      destination: optionsOf(params).path,
      format: formatOf(params),
      entryCount,
      sizeBytes: installed.content.sizeBytes,
      sha256: installed.content.sha256,
    },
    undo: installed.undo,
    evidence: "observed",
  };
}

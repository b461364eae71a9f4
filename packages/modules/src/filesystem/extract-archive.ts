// Unpacking: every entry is known by name and hash before the first file is written, and what it replaces is in the blobs.
//   F15 Files are put in place one by one, each atomically. A cut run is gone on with: what is done is recognised by its hash.
import type { CallContext, Performed } from "@writ/core/capability";
import { fromUtf8, utf8 } from "@writ/core/bytes";
import { capabilityId, sha256 } from "@writ/core/ids";
import { parse, Type, type Static } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { archiveEntriesMax } from "../limits.ts";
import { entriesOf } from "./archive.ts";
import { openSpotOrMissing } from "./contained.ts";
import {
  changed,
  contentOf,
  hashOf,
  look,
  lookAtFile,
  openFile,
  putInPlace,
  removeIfThere,
  removeTemporary,
  syncFolder,
  writeTemporary,
} from "./files.ts";
import { createFolders } from "./install.ts";
import { filePath, fileRetries, flag, folderPath, sha256Text, shownPath } from "./params.ts";
import { assertWritable, fileTarget, nameToChange, placeToRead } from "./place.ts";
import { removeFolders } from "./restore-file.ts";
import { isStill, milliseconds, fileImageOf, FileImageOrNull, Kept, type FileImage } from "./file-image.ts";

const undoExtractId = capabilityId("filesystem.undo_extract@1.0.0");

/** What unpacking will do; kept as a blob, since archives hold many names. */
const Manifest = Type.Object(
  {
    archive: sha256Text,
    /** Folders to create, outermost first. */
    folders: Type.Array(Type.String(), { maxItems: archiveEntriesMax * 2 }),
    files: Type.Array(
      Type.Object(
        { path: Type.String(), entry: Type.String(), sha256: sha256Text, before: FileImageOrNull },
        { additionalProperties: false },
      ),
      { maxItems: archiveEntriesMax },
    ),
  },
  { additionalProperties: false },
);
type Manifest = Static<typeof Manifest>;

export const extractArchive = fileCapability({
  id: capabilityId("filesystem.extract_archive@1.0.0"),
  summary: { en: "Unpacks an archive into a folder", fr: "Extrait une archive dans un dossier" },
  params: Type.Object(
    { source: filePath, destination: folderPath, overwrite: flag(false) },
    { additionalProperties: false },
  ),
  result: Type.Object(
    { destination: shownPath, fileCount: Type.Integer({ minimum: 0 }), manifest: sha256Text },
    { additionalProperties: false },
  ),
  effect: { kind: "write", undo: undoExtractId },
  resources: [
    { kind: "file", param: "source", does: "read" },
    // Not `create`, which is what making an empty folder does: whatever the archive holds is written there.
    { kind: "folder", param: "destination", does: "replace" },
  ],
  crash: "queryable",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: {
    en: ["extract {source} to {destination}"],
    fr: ["extrais {source} dans {destination}", "extraire {source} dans {destination}"],
  },
  timeoutMs: 3_600_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  async inspect(params, context) {
    const manifest = await plan(params, context);
    const { sha256: hash } = await context.blobs.put(utf8(JSON.stringify(manifest)));
    using source = placeToRead(params.source, context);
    const top = params.destination.replace(/\/+$/, "") || ".";
    const folder = { kind: "folder", name: top, resolved: `${context.workspace.root}/${top}` } as const;
    return {
      // The state of the destination is the whole plan: names, hashes, and what would be replaced.
      targets: [
        fileTarget(source, "read", sha256(manifest.archive)),
        { ...folder, does: "replace", state: hash },
      ],
      before: { manifest: { $blob: hash } },
    };
  },
  async perform(params, context) {
    const manifest = await manifestOf(context.before["manifest"], context);
    const wanted = new Map(manifest.files.map((file) => [file.entry, file]));
    await createFolders(manifest.folders, context);
    using source = placeToRead(params.source, context);
    await using handle = await openFile(source);
    for await (const entry of entriesOf(handle, { path: source.relative, signal: context.signal })) {
      if (entry.kind === "folder") continue;
      const file = wanted.get(entry.path);
      if (file === undefined) throw changed(source.relative, "the archive was changed");
      await place(file, entry.bytes, context);
      wanted.delete(entry.path);
    }
    if (wanted.size > 0) throw partly(changed(source.relative, "the archive was changed"));
    return performed(params, manifest, context);
  },
  async resolve(params, context) {
    const manifest = await manifestOf(context.before["manifest"], context);
    let isDone = true;
    const placed: ManifestFile[] = [];
    for (const file of manifest.files) {
      using spot = openSpotOrMissing(context.workspace.root, file.path, { followLast: false });
      if (!("at" in spot)) {
        isDone = false;
        continue;
      }
      removeTemporary(spot.folder, context.idempotencyKey);
      const now = await fileImageOf(spot, context);
      if (isStill(spot, file.before)) isDone = false;
      else if (now?.sha256 === file.sha256) {
        await syncFolder(spot.folder);
        placed.push(file);
      } else return { kind: "unknown", reason: `\`${file.path}\` was changed by others meanwhile` };
    }
    if (isDone) return { kind: "done", performed: performed(params, manifest, context) };
    // Half of it is taken back: what was never recorded as done is never undone, and must not stand in the way of another attempt.
    for (const file of placed) await putBack(file, context);
    await removeFolders(manifest.folders, context);
    return { kind: "not-done" };
  },
});

export const undoExtract = fileCapability({
  id: undoExtractId,
  summary: { en: "Takes back what unpacking wrote", fr: "Retire ce qu'une extraction a écrit" },
  params: Type.Object({ path: folderPath, manifest: Kept }, { additionalProperties: false }),
  result: Type.Object(
    { path: shownPath, foldersLeft: Type.Array(shownPath, { maxItems: archiveEntriesMax * 2 }) },
    { additionalProperties: false },
  ),
  effect: { kind: "write", undo: capabilityId("filesystem.extract_archive@1.0.0") },
  resources: [{ kind: "folder", param: "path", does: "remove" }],
  crash: "idempotent",
  risk: "medium",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 3_600_000,
  resultBytesMax: 1024 * 1024,
  retryOn: fileRetries,
  internal: true,
  async inspect({ path }, context) {
    const resolved = `${context.workspace.root}/${path}`;
    return { targets: [{ kind: "folder", name: path, resolved, does: "remove", state: null }], before: {} };
  },
  async perform({ path, manifest: hash }, context) {
    const manifest = await manifestOf(hash, context);
    // All are looked at before the first is touched.
    for (const file of manifest.files) await assertOurs(file, context);
    for (const file of manifest.files) await putBack(file, context);
    const foldersLeft = await removeFolders(manifest.folders, context);
    return { result: { path, foldersLeft }, undo: null, evidence: "observed" };
  },
});

type ManifestFile = Manifest["files"][number];

async function plan(
  params: { readonly source: string; readonly destination: string; readonly overwrite?: boolean },
  context: CallContext,
): Promise<Manifest> {
  using source = placeToRead(params.source, context);
  const archive = await contentOf(source, context.signal);
  const folders = new Set<string>();
  const files: ManifestFile[] = [];
  const top = params.destination === "." ? "" : params.destination.replace(/^(\.\/)+|\/+$/g, "");
  await using handle = await openFile(source);
  for await (const entry of entriesOf(handle, { path: source.relative, signal: context.signal })) {
    const path = top === "" ? entry.path : `${top}/${entry.path}`;
    using spot = openSpotOrMissing(context.workspace.root, path, { followLast: false });
    const rest = "at" in spot ? [spot.name] : spot.rest;
    const names = rest.map((_, index) =>
      [spot.folder.relative, ...rest.slice(0, index + 1)].filter((name) => name !== "").join("/"),
    );
    assertWritable(names.at(-1) ?? path, context);
    for (const folder of names.slice(0, -1)) folders.add(folder);
    if (entry.kind === "folder") {
      if (!("at" in spot) || look(spot) === null) folders.add(names.at(-1) ?? path);
      continue;
    }
    const { sha256: hash } = await hashOf(entry.bytes);
    const before = "at" in spot ? await fileImageOf(spot, context, "keep") : null;
    if (before !== null && params.overwrite !== true) {
      throw fault("filesystem.exists", `Cannot unpack over \`${path}\`: it exists already`, { path });
    }
    files.push({ path: names.at(-1) ?? path, entry: entry.path, sha256: hash, before });
  }
  return { archive: archive.sha256, folders: [...folders].toSorted((a, b) => (a < b ? -1 : 1)), files };
}

async function place(
  file: ManifestFile,
  bytes: AsyncIterable<Uint8Array>,
  context: CallContext,
): Promise<void> {
  using spot = nameToChange(file.path, context);
  if (!isStill(spot, file.before)) {
    const now = await fileImageOf(spot, context);
    if (now?.sha256 === file.sha256) return;
    throw partly(changed(file.path, "it was changed"));
  }
  const written = await writeTemporary(spot.folder, context.idempotencyKey, { source: bytes });
  try {
    if (written.sha256 !== file.sha256) throw partly(changed(file.path, "the archive was changed"));
    await putInPlace(spot, written.name, file.before !== null);
  } finally {
    removeTemporary(spot.folder, context.idempotencyKey);
  }
}

/** Some files may be in place already: the world has to be asked. */
function partly(error: ReturnType<typeof fault>) {
  return fault("filesystem.changed", error.message, { ...error.facts, outcome: "unknown" }, error);
}

async function assertOurs(file: ManifestFile, context: CallContext): Promise<void> {
  using spot = openSpotOrMissing(context.workspace.root, file.path, { followLast: false });
  const now = "at" in spot ? await fileImageOf(spot, context) : null;
  const isRestored = file.before === null ? now === null : now?.sha256 === file.before.sha256;
  if (now?.sha256 === file.sha256 || isRestored) return;
  throw fault("undo.world-changed", `Cannot take back \`${file.path}\`: it was changed since`, {
    path: file.path,
    expected: file.sha256,
    found: now?.sha256 ?? null,
  });
}

async function putBack(file: ManifestFile, context: CallContext): Promise<void> {
  using spot = openSpotOrMissing(context.workspace.root, file.path, { followLast: false });
  if (!("at" in spot)) return;
  removeTemporary(spot.folder, context.idempotencyKey);
  if (file.before === null) {
    removeIfThere(spot.at);
    await syncFolder(spot.folder);
    return;
  }
  const image: FileImage = file.before;
  const { name } = await writeTemporary(spot.folder, context.idempotencyKey, {
    source: context.blobs.stream(sha256(image.sha256)),
    mode: image.mode,
    mtimeMs: milliseconds(image),
  });
  await putInPlace(spot, name, lookAtFile(spot) !== null);
}

/** The plan is recorded before the first file is written (F15). */
async function manifestOf(value: unknown, context: CallContext): Promise<Manifest> {
  const { $blob: hash } = parse(Kept, value, "the plan of unpacking");
  return parse(
    Manifest,
    JSON.parse(fromUtf8(await context.blobs.get(sha256(hash)))),
    "the plan of unpacking",
  );
}

function performed(
  params: { readonly destination: string },
  manifest: Manifest,
  context: CallContext,
): Performed {
  const { $blob: hash } = parse(Kept, context.before["manifest"], "the plan of unpacking");
  const destination = params.destination.replace(/\/+$/, "") || ".";
  return {
    result: { destination, fileCount: manifest.files.length, manifest: hash },
    undo: { capability: undoExtractId, params: { path: destination, manifest: { $blob: hash } } },
    evidence: "observed",
  };
}

// Backup and restore: one file (a tar) with everything that cannot be rebuilt: ledger, checkpoints, blobs, the node's keys and webhooks' secrets.
//   R1  A backup of a running node is consistent: the ledger up to one durable entry, and every blob it refers to.
//   R2  A backup is there whole, under its name, or not at all.
//   R3  A restored folder has been verified: every file against the manifest, then the ledger itself.
//   It holds private keys: whoever has the file can sign as the node.
import { createHash, type Hash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromUtf8, utf8 } from "@writ/core/bytes";
import { parse, Type } from "@writ/core/schema";
import { fault } from "./faults.ts";
import { blobChunkBytes } from "./limits.ts";
import { attempt } from "./node-disk.ts";
import { parseTarHeader, tarBlockBytes, tarHeader, tarPadding } from "./backup/tar.ts";
import { verifyFolder } from "./verify-folder.ts";

export interface BackupSource {
  readonly dataFolder: string;
  readonly node: string;
  /** Entries up to here, and how many bytes of each segment hold them. */
  readonly entries: number;
  readonly segments: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly checkpoints: readonly string[];
}

export interface BackupReport {
  readonly entries: number;
  readonly files: number;
  readonly sizeBytes: number;
}

const manifestName = "MANIFEST.json";
/** Secrets beside the keys that nothing else has: those of webhooks. Restored like the keys, for their owner's eyes only. */
const secretFiles = ["webhooks.json"] as const;
const Manifest = Type.Object(
  {
    format: Type.Literal(1),
    node: Type.String({ maxLength: 64 }),
    entries: Type.Integer({ minimum: 0 }),
    files: Type.Array(
      Type.Object(
        {
          name: Type.String({ maxLength: 100 }),
          sizeBytes: Type.Integer({ minimum: 0 }),
          sha256: Type.String({ maxLength: 64 }),
        },
        { additionalProperties: false },
      ),
      { maxItems: 100_000_000 },
    ),
  },
  { additionalProperties: false },
);

/** Writes the backup to `file`, which must not exist. @throws ledger.disk-full, store.folder-read-only, store.disk-failed */
export async function writeBackup(source: BackupSource, file: string): Promise<BackupReport> {
  const temporary = `${file}.part`;
  const target = await attempt("create the backup", file, async () => {
    await (await open(file, "wx", 0o600)).close();
    return open(temporary, "w", 0o600);
  });
  try {
    const files: { name: string; sizeBytes: number; sha256: string }[] = [];
    for (const { name, sizeBytes } of await members(source)) {
      await writeAll(target, tarHeader({ name, sizeBytes }));
      const sha256 = await copyInto(target, join(source.dataFolder, name), sizeBytes);
      files.push({ name, sizeBytes, sha256 });
    }
    const manifest = utf8(JSON.stringify({ format: 1, node: source.node, entries: source.entries, files }));
    await writeAll(target, tarHeader({ name: manifestName, sizeBytes: manifest.length }));
    await writeAll(target, manifest);
    await writeAll(target, new Uint8Array(tarPadding(manifest.length) + 2 * tarBlockBytes));
    await attempt("sync", file, () => target.sync());
    const { size } = await target.stat();
    await target.close();
    await attempt("rename", temporary, () => rename(temporary, file));
    return { entries: source.entries, files: files.length, sizeBytes: size };
  } catch (error) {
    await target.close().catch(() => undefined);
    await rm(temporary, { force: true });
    await rm(file, { force: true });
    throw error;
  }
}

/**
 * Unpacks a backup into a folder that is new or empty, and verifies it. A folder whose backup is bad is removed again. The restored
 * node is the same node: stop the old one for good before starting it.
 * @throws store.backup-damaged, store.folder-not-empty, store.file-missing, ledger.disk-full, store.folder-read-only
 */
export async function restore(file: string, newFolder: string): Promise<BackupReport> {
  const source = await attempt("open the backup", file, () => open(file, "r"));
  try {
    await attempt("create the folder", newFolder, () => mkdir(newFolder, { recursive: true, mode: 0o700 }));
    if ((await attempt("list", newFolder, () => readdir(newFolder))).length > 0) {
      throw fault("store.folder-not-empty", `Cannot restore into \`${newFolder}\`: it is not empty`, {
        newFolder,
      });
    }
    try {
      return await unpack(source, file, newFolder);
    } catch (error) {
      await rm(newFolder, { recursive: true, force: true });
      throw error;
    }
  } finally {
    await source.close();
  }
}

async function members(source: BackupSource): Promise<readonly { name: string; sizeBytes: number }[]> {
  const { dataFolder } = source;
  const whole = [...source.checkpoints];
  for (const name of await readdir(join(dataFolder, "keys"))) {
    if (name.endsWith(".pem")) whole.push(`keys/${name}`);
  }
  for (const name of secretFiles) if (await isThere(join(dataFolder, name))) whole.push(name);
  // After the segments were fixed: every blob that they refer to is there by now.
  for (const folder of await listIfAny(join(dataFolder, "blobs"))) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const name of await readdir(join(dataFolder, "blobs", folder)))
      whole.push(`blobs/${folder}/${name}`);
  }
  const found = [...source.segments];
  for (const name of whole) {
    const handle = await attempt("open", name, () => open(join(dataFolder, name), "r"));
    found.push({ name, sizeBytes: (await handle.stat()).size });
    await handle.close();
  }
  return found;
}

function belongs(name: string): boolean {
  if (secretFiles.some((known) => known === name)) return true;
  return /^(ledger|checkpoints|keys|blobs\/[0-9a-f]{2})\/[0-9a-z.-]+$/.test(name) && !name.includes("..");
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function listIfAny(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

async function unpack(source: FileHandle, file: string, newFolder: string): Promise<BackupReport> {
  const found = new Map<string, string>();
  let position = 0;
  for (;;) {
    const member = parseTarHeader(await readExactly(source, position, tarBlockBytes));
    position += tarBlockBytes;
    if (member === null || member === undefined) throw damagedBackup(file, "it is not whole");
    const { name, sizeBytes } = member;
    if (name === manifestName) {
      const bytes = await readExactly(source, position, sizeBytes);
      if (bytes.length !== sizeBytes) throw damagedBackup(file, "it is not whole");
      return checkManifest(bytes, found, { file, newFolder, sizeBytes: (await source.stat()).size });
    }
    if (!belongs(name)) {
      throw damagedBackup(file, `\`${name}\` does not belong into a data folder`);
    }
    found.set(name, await extract(source, position, { path: join(newFolder, name), sizeBytes, file }));
    position += sizeBytes + tarPadding(sizeBytes);
  }
}

async function checkManifest(
  bytes: Uint8Array,
  found: ReadonlyMap<string, string>,
  about: { readonly file: string; readonly newFolder: string; readonly sizeBytes: number },
): Promise<BackupReport> {
  const { file, newFolder, sizeBytes } = about;
  let manifest;
  try {
    manifest = parse(Manifest, JSON.parse(fromUtf8(bytes)), "the manifest of the backup");
  } catch (error) {
    throw damagedBackup(file, "its manifest is malformed", error);
  }
  const wrong = manifest.files.find(({ name, sha256 }) => found.get(name) !== sha256);
  if (wrong !== undefined) throw damagedBackup(file, `\`${wrong.name}\` is not what was saved`);
  if (manifest.files.length !== found.size) throw damagedBackup(file, "it holds files that were not saved");
  const verified = await verifyFolder(newFolder);
  if (verified.bad !== null) throw damagedBackup(file, `${verified.bad.file}: ${verified.bad.message}`);
  if (verified.entries < manifest.entries || verified.node !== manifest.node) {
    throw damagedBackup(file, `it holds ${verified.entries} of ${manifest.entries} entries`);
  }
  return { entries: verified.entries, files: found.size, sizeBytes };
}

async function copyInto(target: FileHandle, path: string, sizeBytes: number): Promise<string> {
  const digest = createHash("sha256");
  const from = await attempt("open", path, () => open(path, "r"));
  try {
    await copyRange(from, 0, sizeBytes, digest, (bytes) => writeAll(target, bytes));
  } finally {
    await from.close();
  }
  await writeAll(target, new Uint8Array(tarPadding(sizeBytes)));
  return digest.digest("hex");
}

async function extract(
  source: FileHandle,
  position: number,
  about: { readonly path: string; readonly sizeBytes: number; readonly file: string },
): Promise<string> {
  const { path, sizeBytes, file } = about;
  const digest = createHash("sha256");
  await attempt("create the folder", path, () => mkdir(dirname(path), { recursive: true, mode: 0o700 }));
  const target = await attempt("create", path, () => open(path, "wx", 0o600));
  try {
    const copied = await copyRange(source, position, sizeBytes, digest, (bytes) => writeAll(target, bytes));
    if (copied < sizeBytes) throw damagedBackup(file, "it is not whole");
    await attempt("sync", path, () => target.sync());
  } finally {
    await target.close();
  }
  return digest.digest("hex");
}

async function copyRange(
  from: FileHandle,
  start: number,
  sizeBytes: number,
  digest: Hash,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  let done = 0;
  while (done < sizeBytes) {
    const bytes = await readExactly(from, start + done, Math.min(blobChunkBytes, sizeBytes - done));
    if (bytes.length === 0) break;
    digest.update(bytes);
    await write(bytes);
    done += bytes.length;
  }
  return done;
}

/** Fewer bytes only at the end of the file. */
async function readExactly(from: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await from.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function writeAll(target: FileHandle, bytes: Uint8Array): Promise<void> {
  await attempt("write", "the backup", async () => {
    for (let done = 0; done < bytes.length;) {
      done += (await target.write(bytes, done)).bytesWritten;
    }
  });
}

function damagedBackup(file: string, why: string, cause?: unknown): Error {
  return fault("store.backup-damaged", `Cannot restore \`${file}\`: ${why}`, { file, why }, cause);
}

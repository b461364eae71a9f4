// Files as the capabilities use them: open without following links, look, hash, write durably, put in place, take away.
//   F4  Nothing that opens can hang or reach a device: files open non-blocking and must be regular.
//   F5  A write is complete or invisible: a temporary file named after the idempotency key, synced, then linked or renamed into place,
//       then the folder is synced. What is left by a crash has that name and is removed by the next attempt or by `resolve`.
import { createHash, type Hash } from "node:crypto";
import {
  constants,
  fchmodSync,
  fsync,
  futimesSync,
  linkSync,
  lstatSync,
  renameSync,
  unlinkSync,
  type BigIntStats,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { promisify } from "node:util";
import type { AbortSignalLike } from "@writ/core/capability";
import { sha256 as parseSha256, type Sha256 } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { chunkBytes } from "../limits.ts";
import type { Folder, Spot } from "./contained.ts";
import { fsFault, hasErrno } from "./fs-fault.ts";

/** What tells one state of a file from another without reading it. */
export interface FileFacts {
  /** Decimal text: inode numbers exceed what a JSON number holds. */
  readonly ino: string;
  readonly sizeBytes: number;
  readonly mtimeNs: string;
  /** Permission bits. */
  readonly mode: number;
}

export interface Content {
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** The entry as it is now, or null when there is none. @throws filesystem.is-a-link */
export function look(spot: Spot): BigIntStats | null {
  const stat = lstatSync(spot.at, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return null;
  if (stat.isSymbolicLink()) {
    throw fault("filesystem.is-a-link", `Cannot act on \`${spot.relative}\`: it is a symbolic link`, {
      path: spot.relative,
    });
  }
  return stat;
}

/** The regular file there, or null when there is none. @throws filesystem.is-a-folder, filesystem.not-a-file */
export function lookAtFile(spot: Spot): BigIntStats | null {
  const stat = look(spot);
  if (stat !== null) assertFile(stat, spot.relative);
  return stat;
}

export function factsOf(stat: BigIntStats): FileFacts {
  return {
    ino: String(stat.ino),
    sizeBytes: Number(stat.size),
    mtimeNs: String(stat.mtimeNs),
    mode: Number(stat.mode & 0o7777n),
  };
}

export function sameFacts(a: FileFacts, b: FileFacts): boolean {
  return a.ino === b.ino && a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs;
}

/** Opens a regular file for reading. Close it (`await using`). @throws filesystem.not-found, filesystem.not-a-file … */
export async function openFile(spot: Spot, flags: number = constants.O_RDONLY): Promise<FileHandle> {
  try {
    const handle = await open(spot.at, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      assertFile(await handle.stat({ bigint: true }), spot.relative);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  } catch (error) {
    throw fsFault(error, `Cannot open \`${spot.relative}\``, spot.relative);
  }
}

function assertFile(stat: BigIntStats, path: string): void {
  if (stat.isFile()) return;
  if (stat.isDirectory()) {
    throw fault("filesystem.is-a-folder", `Cannot use \`${path}\` as a file: it is a folder`, { path });
  }
  throw fault("filesystem.not-a-file", `Cannot use \`${path}\`: it is no regular file`, { path });
}

/** Bytes of an open file from `start` up to `end`, in chunks. */
export async function* chunksOf(
  handle: FileHandle,
  signal: AbortSignalLike,
  range: { readonly start: number; readonly end: number } = { start: 0, end: Infinity },
): AsyncGenerator<Uint8Array> {
  for (let position = range.start; position < range.end;) {
    assertActive(signal);
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, range.end - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

export function assertActive(signal: AbortSignalLike): void {
  if (signal.aborted)
    throw fault("filesystem.cancelled", "Cannot go on: the step was cancelled", { outcome: "unknown" });
}

/** Passes chunks through and counts and hashes them. */
export async function* hashing(
  source: AsyncIterable<Uint8Array>,
  into: { readonly hash: Hash; sizeBytes: number },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    into.hash.update(chunk);
    into.sizeBytes += chunk.length;
    yield chunk;
  }
}

/** SHA-256 of the file's bytes, streamed. */
export async function contentOf(spot: Spot, signal: AbortSignalLike): Promise<Content> {
  await using handle = await openFile(spot);
  return await hashOf(chunksOf(handle, signal));
}

export async function hashOf(source: AsyncIterable<Uint8Array>): Promise<Content> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of source) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: parseSha256(hash.digest("hex")), sizeBytes };
}

export function sha256Of(bytes: Uint8Array): Sha256 {
  return parseSha256(createHash("sha256").update(bytes).digest("hex"));
}

/** Name of the temporary file of one effect. */
export function temporaryName(key: string): string {
  return `.writ-${key}.tmp`;
}

export function isTemporaryName(name: string): boolean {
  return /^\.writ-[0-9a-f]{32}\.(tmp|trash)$/.test(name);
}

/** Writes all bytes to the effect's temporary file in the folder and syncs it. A leftover of an earlier attempt is replaced. */
export async function writeTemporary(
  folder: Folder,
  key: string,
  content: {
    readonly source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    readonly mode?: number;
    readonly mtimeMs?: number;
  },
): Promise<Content & { readonly name: string }> {
  const name = temporaryName(key);
  const path = folder.child(name);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    removeTemporary(folder, key);
    await using handle = await open(path, flags, 0o666);
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const chunk of content.source) {
      hash.update(chunk);
      for (let written = 0; written < chunk.length;) {
        const { bytesWritten } = await handle.write(
          chunk,
          written,
          chunk.length - written,
          sizeBytes + written,
        );
        written += bytesWritten;
      }
      sizeBytes += chunk.length;
    }
    if (content.mode !== undefined) fchmodSync(handle.fd, content.mode);
    if (content.mtimeMs !== undefined) {
      futimesSync(handle.fd, content.mtimeMs / 1000, content.mtimeMs / 1000);
    }
    await handle.sync();
    return { name, sha256: parseSha256(hash.digest("hex")), sizeBytes };
  } catch (error) {
    if (!hasErrno(error, "EROFS")) removeTemporary(folder, key);
    throw fsFault(error, `Cannot write in \`${folder.relative || "."}\``, folder.relative);
  }
}

export function removeTemporary(folder: Folder, key: string): void {
  removeIfThere(folder.child(temporaryName(key)));
}

export function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  }
}

/**
 * Gives a file of the folder its final name, never replacing anything unless asked, and makes that durable.
 * @throws filesystem.exists when the name is taken and `replace` is false
 */
export async function putInPlace(spot: Spot, from: string, replace: boolean): Promise<void> {
  try {
    if (replace) renameSync(spot.folder.child(from), spot.at);
    else renameWithoutReplacing(spot.folder.child(from), spot.at);
  } catch (error) {
    throw fsFault(error, `Cannot write \`${spot.relative}\``, spot.relative);
  }
  await syncAfterEffect(spot.folder);
}

/** The system's rename replaces what is there; a link does not. */
export function renameWithoutReplacing(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // File systems without hard links (FAT), and files of others under `protected_hardlinks`.
    if (!hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) {
      throw Object.assign(new Error("exists", { cause: error }), { code: "EEXIST", syscall: "rename" });
    }
    renameSync(from, to);
    return;
  }
  unlinkSync(from);
}

const fsyncAsync = promisify(fsync);

/** Makes names in the folder durable. */
export async function syncFolder(folder: Folder): Promise<void> {
  if (folder.fd !== null) return fsyncAsync(folder.fd);
  // Windows has no way to sync a folder, and elsewhere it is opened by name.
  if (process.platform === "win32") return;
  await using handle = await open(folder.real, constants.O_RDONLY | constants.O_DIRECTORY);
  await handle.sync();
}

/** Like `syncFolder`, once the effect is visible: when it fails, whether the effect lasts is not known. */
export async function syncAfterEffect(folder: Folder): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    throw fault(
      "filesystem.io",
      `Cannot make the change in \`${folder.relative || "."}\` durable`,
      { path: folder.relative, outcome: "unknown" },
      error,
    );
  }
}

/** Reads the file back and compares. @throws filesystem.readback */
export async function readBack(spot: Spot, expected: Content, signal: AbortSignalLike): Promise<FileFacts> {
  await using handle = await openFile(spot);
  const found = await hashOf(chunksOf(handle, signal));
  if (found.sha256 !== expected.sha256) {
    throw fault(
      "filesystem.readback",
      `Cannot confirm \`${spot.relative}\`: it does not hold what was written`,
      {
        path: spot.relative,
        expected: expected.sha256,
        found: found.sha256,
        outcome: "unknown",
      },
    );
  }
  return factsOf(await handle.stat({ bigint: true }));
}

export function changed(path: string, what: string) {
  return fault("filesystem.changed", `Cannot act on \`${path}\`: ${what} since it was looked at`, { path });
}

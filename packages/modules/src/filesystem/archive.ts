// Archives: zip, tar and tar.gz, read entry by entry and written in constant memory.
//   F14 An entry is a regular file or a folder with a plain relative name, or the whole archive is refused: no links, no devices, no `..`,
//       no absolute names, no name twice. What it unpacks to is counted while it is unpacked and limited, in bytes and against its size.
import type { FileHandle } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createGunzip, createGzip } from "node:zlib";
import { extract, pack } from "tar-stream";
import { fromFdPromise } from "yauzl";
import { ZipFile } from "yazl";
import type { AbortSignalLike } from "@writ/core/capability";
import { faultRecord } from "@writ/core/fault";
import { fault } from "../faults.ts";
import { archiveBytesMax, archiveEntriesMax, archiveRatioFreeBytes, archiveRatioMax } from "../limits.ts";
import { readRange } from "./append.ts";
import { chunksOf, isTemporaryName } from "./files.ts";
import { parsePath } from "./path.ts";

export type ArchiveFormat = "zip" | "tar" | "tar.gz";

/** One entry; its bytes are read before the next entry is asked for. */
export interface ArchiveEntry {
  /** Names joined by `/`. */
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** An entry to write. */
export interface PackEntry {
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly sizeBytes: number;
  readonly mode: number;
  readonly mtimeMs: number;
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** @throws filesystem.archive-format when the file is none of the three */
async function formatOf(handle: FileHandle, path: string): Promise<ArchiveFormat> {
  const start = await readRange(handle, 0, 512);
  if (start[0] === 0x50 && start[1] === 0x4b) return "zip";
  if (start[0] === 0x1f && start[1] === 0x8b) return "tar.gz";
  if (start.subarray(257, 262).toString("latin1") === "ustar") return "tar";
  const found = start.subarray(0, 3).toString("latin1") === "BZh" ? "tar.bz2" : "unknown";
  throw fault("filesystem.archive-format", `Cannot unpack \`${path}\`: its format is ${found}`, {
    path,
    found,
  });
}

/** @throws filesystem.archive-entry, filesystem.archive-bomb, filesystem.archive-damaged */
export async function* entriesOf(
  handle: FileHandle,
  archive: { readonly path: string; readonly signal: AbortSignalLike },
): AsyncGenerator<ArchiveEntry> {
  const format = await formatOf(handle, archive.path);
  const { size } = await handle.stat();
  const seen = new Set<string>();
  const bytes = chunksOf(handle, archive.signal);
  const counter = { total: 0, packed: size, path: archive.path };
  const raw = format === "zip" ? zipEntries(handle) : tarEntries(bytes, format === "tar.gz");
  try {
    for await (const entry of raw) {
      if (entry.kind === "other")
        throw refusedEntry(archive.path, entry.name, "it is no regular file and no folder");
      const path = safePath(archive.path, entry.name);
      if (path === "") continue;
      if (seen.has(path)) throw refusedEntry(archive.path, entry.name, "the name stands twice");
      seen.add(path);
      if (seen.size > archiveEntriesMax) throw bomb(archive.path, `more than ${archiveEntriesMax} entries`);
      yield { path, kind: entry.kind, bytes: counted(entry.bytes, counter) };
    }
  } catch (error) {
    throw damaged(error, archive.path);
  }
}

function damaged(error: unknown, path: string): unknown {
  if (faultRecord(error) !== undefined) return error;
  const why = error instanceof Error ? error.message : String(error);
  // The reader of zip files refuses such names itself.
  if (/^(invalid (relative path|characters)|absolute path)/.test(why)) return refusedEntry(path, why, why);
  return fault("filesystem.archive-damaged", `Cannot unpack \`${path}\`: ${why}`, { path }, error);
}

interface RawEntry {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
  readonly bytes: AsyncIterable<Uint8Array>;
}

async function* zipEntries(handle: FileHandle): AsyncGenerator<RawEntry> {
  // Closing is the handle's matter.
  const zip = await fromFdPromise(handle.fd, {
    autoClose: false,
    validateEntrySizes: true,
    strictFileNames: true,
  });
  for await (const entry of zip.eachEntry()) {
    const type = (entry.externalFileAttributes >>> 16) & 0o170000;
    const isFolder = entry.fileName.endsWith("/");
    const isPlain = type === 0 || (isFolder ? type === 0o040000 : type === 0o100000);
    async function* bytes() {
      let sum = 0;
      const stream: AsyncIterable<Buffer> = await zip.openReadStreamPromise(entry);
      for await (const chunk of stream) {
        sum = crc32(chunk, sum);
        yield chunk;
      }
      if (sum !== entry.crc32) throw new Error(`the checksum of ${entry.fileName} differs`);
    }
    yield { name: entry.fileName, kind: !isPlain ? "other" : isFolder ? "folder" : "file", bytes: bytes() };
  }
}

async function* tarEntries(source: AsyncIterable<Uint8Array>, isGzip: boolean): AsyncGenerator<RawEntry> {
  const reader = extract();
  const feeding = isGzip
    ? pipeline(Readable.from(source), createGunzip(), reader)
    : pipeline(Readable.from(source), reader);
  const fed = feeding.then(
    () => null,
    (error: unknown) => error,
  );
  try {
    for await (const entry of reader) {
      const { name, type } = entry.header;
      const kind =
        type === "directory" ? "folder" : type === "file" || type === "contiguous-file" ? "file" : "other";
      yield { name, kind, bytes: chunksIn(entry) };
      entry.resume();
    }
    const error = await fed;
    if (error !== null) throw error;
  } finally {
    reader.destroy();
    await fed;
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  counter: { total: number; readonly packed: number; readonly path: string },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of bytes) {
      counter.total += chunk.length;
      if (counter.total > archiveBytesMax) throw bomb(counter.path, `more than ${archiveBytesMax} bytes`);
      if (counter.total > archiveRatioFreeBytes && counter.total > counter.packed * archiveRatioMax) {
        throw bomb(counter.path, `more than ${archiveRatioMax} times its size`);
      }
      yield chunk;
    }
  } catch (error) {
    throw damaged(error, counter.path);
  }
}

function safePath(archive: string, name: string): string {
  try {
    if (name.startsWith("/")) throw new Error("absolute");
    const names = parsePath("/", name === "" ? "." : name);
    if (names.some(isTemporaryName)) throw new Error("reserved");
    return names.join("/");
  } catch (error) {
    throw refusedEntry(archive, name, "its name leads out of the folder or is no plain name", error);
  }
}

function refusedEntry(path: string, name: string, why: string, cause?: unknown) {
  const facts = { path, entry: name.slice(0, 500) };
  return fault(
    "filesystem.archive-entry",
    `Cannot unpack \`${path}\`: \`${facts.entry}\`: ${why}`,
    facts,
    cause,
  );
}

function bomb(path: string, what: string) {
  return fault("filesystem.archive-bomb", `Cannot unpack \`${path}\`: it unpacks to ${what}`, { path });
}

/** The archive's bytes. The same entries give the same bytes. */
export function packed(entries: readonly PackEntry[], format: ArchiveFormat): AsyncIterable<Uint8Array> {
  if (format === "zip") return zipped(entries);
  const tar = tarred(entries);
  return format === "tar" ? tar : Readable.from(tar).compose(createGzip());
}

async function* zipped(entries: readonly PackEntry[]): AsyncGenerator<Uint8Array> {
  const zip = new ZipFile();
  const output = new PassThrough();
  zip.on("error", (error: Error) => output.destroy(error));
  zip.outputStream.on("error", (error) => output.destroy(error));
  zip.outputStream.pipe(output);
  for (const entry of entries) {
    // DOS times have no zone and two-second steps; the extended field keeps the exact second.
    const options = { mtime: new Date(entry.mtimeMs), mode: entry.mode };
    if (entry.kind === "folder") zip.addEmptyDirectory(`${entry.path}/`, options);
    else {
      const size = { size: entry.sizeBytes, forceZip64Format: entry.sizeBytes > 0xffff_0000 };
      zip.addReadStreamLazy(entry.path, { ...options, ...size }, (give) => {
        const stream = Readable.from(entry.open());
        stream.on("error", (error) => output.destroy(error));
        give(null, stream);
      });
    }
  }
  zip.end();
  yield* chunksIn(output);
}

async function* tarred(entries: readonly PackEntry[]): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const feed = async () => {
    for (const entry of entries) {
      const header = {
        name: entry.kind === "folder" ? `${entry.path}/` : entry.path,
        type: entry.kind === "folder" ? ("directory" as const) : ("file" as const),
        size: entry.sizeBytes,
        mode: entry.mode & 0o777,
        mtime: new Date(entry.mtimeMs),
      };
      if (entry.kind === "folder") tar.entry(header);
      else await pipeline(Readable.from(entry.open()), tar.entry(header));
    }
    tar.finalize();
  };
  const fed = feed().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  yield* chunksIn(tar);
  await fed;
}

/** The chunks of a stream of bytes. */
async function* chunksIn(stream: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) if (chunk instanceof Uint8Array) yield chunk;
}

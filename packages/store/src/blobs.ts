// Blobs: values too large for an entry, as files named by their SHA-256 (`blobs/ab/cdef…`). Never changed; removed only by `collect`.
//   O1  `put` resolves when the bytes are durable under their name; a crash before that leaves nothing under that name.
//   O2  Reading checks the hash; wrong bytes are never returned as the whole of a blob.
//   O3  Memory is constant in the size of the blob when it is put and read as a stream.
import { createHash } from "node:crypto";
import { toHex } from "@writ/core/bytes";
import { hasCode } from "@writ/core/fault";
import { sha256, type Sha256 } from "@writ/core/ids";
import type { Blobs, Disk, DiskFile, Entropy, World } from "@writ/core/ports";
import { fault } from "./faults.ts";
import { blobChunkBytes, recentBlobMs, recentBlobsMax } from "./limits.ts";

const temporaryFolder = "blobs/new";

/** Blobs as whoever prunes sees them. */
export interface CollectedBlobs extends Blobs {
  /** Removes a blob that no entry refers to; false when it was put again lately, or is not there. */
  collect(hash: Sha256): Promise<boolean>;
}

/** Opens the blobs of a data folder and removes what unfinished writes left. */
export async function openBlobs(
  disk: Disk,
  entropy: Entropy,
  clock: Pick<World, "monotonicMs"> = { monotonicMs: () => 0 },
): Promise<CollectedBlobs> {
  /** When blobs were put: an entry that refers to one may be on its way. */
  const recent = new Map<Sha256, number>();
  const collecting = new Map<Sha256, Promise<void>>();

  for (const name of await disk.list(temporaryFolder)) await disk.remove(`${temporaryFolder}/${name}`);

  async function open(hash: Sha256): Promise<DiskFile | undefined> {
    try {
      return await disk.open(blobName(hash), false);
    } catch (error) {
      if (hasCode(error, "store.file-missing")) return undefined;
      throw error;
    }
  }

  async function has(hash: Sha256): Promise<boolean> {
    const file = await open(hash);
    await file?.close();
    return file !== undefined;
  }

  async function* stream(hash: Sha256): AsyncGenerator<Uint8Array> {
    const file = await open(hash);
    if (file === undefined)
      throw fault("store.blob-missing", `Cannot find the blob \`${hash}\``, { sha256: hash });
    try {
      const digest = createHash("sha256");
      for (let at = 0; ;) {
        const chunk = await file.read(at, blobChunkBytes);
        if (chunk.length === 0) break;
        digest.update(chunk);
        at += chunk.length;
        yield chunk;
      }
      const found = digest.digest("hex");
      if (found !== hash) {
        throw fault("store.blob-damaged", `Cannot read the blob \`${hash}\`: its bytes have another hash`, {
          sha256: hash,
          found,
        });
      }
    } finally {
      await file.close();
    }
  }

  return {
    has,
    stream,
    async collect(hash) {
      const putMs = recent.get(hash);
      if (putMs !== undefined && clock.monotonicMs() - putMs < recentBlobMs) return false;
      if (collecting.has(hash) || !(await has(hash)) || recent.get(hash) !== putMs) return false;
      const removal = disk.remove(blobName(hash));
      collecting.set(hash, removal);
      try {
        await removal;
        return true;
      } finally {
        collecting.delete(hash);
      }
    },
    async get(hash) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream(hash)) chunks.push(chunk);
      return chunks.length === 1 ? (chunks[0] as Uint8Array) : new Uint8Array(Buffer.concat(chunks));
    },
    async put(bytes) {
      const temporary = `${temporaryFolder}/${toHex(entropy.bytes(16))}`;
      const file = await disk.open(temporary, true);
      try {
        const digest = createHash("sha256");
        let sizeBytes = 0;
        for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
          digest.update(chunk);
          await file.write(sizeBytes, chunk);
          sizeBytes += chunk.length;
        }
        const hash = sha256(digest.digest("hex"));
        recent.delete(hash);
        recent.set(hash, clock.monotonicMs());
        const [oldest] = recent.keys();
        if (recent.size > recentBlobsMax && oldest !== undefined) recent.delete(oldest);
        await collecting.get(hash);
        if (await has(hash)) {
          await file.close();
          await disk.remove(temporary);
          // Whoever gave it this name may not have made the name durable yet.
          await disk.syncFolder(folderOf(hash));
          return { sha256: hash, sizeBytes };
        }
        await file.sync();
        await file.close();
        await disk.rename(temporary, blobName(hash));
        return { sha256: hash, sizeBytes };
      } catch (error) {
        await discard(disk, file, temporary);
        throw error;
      }
    },
  };
}

export function blobName(hash: Sha256): string {
  return `${folderOf(hash)}/${hash.slice(2)}`;
}

function folderOf(hash: Sha256): string {
  return `blobs/${hash.slice(0, 2)}`;
}

/** What failed is told by the error already on its way; cleaning up may fail for the same reason. */
async function discard(disk: Disk, file: DiskFile, name: string): Promise<void> {
  await file.close().catch(() => undefined);
  await disk.remove(name).catch(() => undefined);
}

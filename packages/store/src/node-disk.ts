// The disk of a real machine. Names are relative to the data folder and use `/`.
import { constants, readSync } from "node:fs";
import { open as openFile, mkdir, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Disk, DiskFile } from "@writ/core/ports";
import { fault } from "./faults.ts";

/**
 * Files below `root`; folders are created, and made durable, as files in them are.
 * @throws ledger.disk-full, store.folder-read-only, store.file-missing, store.disk-failed from every operation
 */
export function nodeDisk(root: string): Disk {
  async function syncFolder(folder: string): Promise<void> {
    // Windows cannot open a folder; NTFS journals names itself.
    if (process.platform === "win32") return;
    await attempt("sync the folder", folder, async () => {
      const handle = await openFile(join(root, folder), "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  async function createFolder(folder: string): Promise<void> {
    const created = await attempt("create the folder", folder, () =>
      mkdir(join(root, folder), { recursive: true, mode: 0o700 }),
    );
    if (created === undefined) return;
    // Each new folder is a name in the one above it.
    for (let name = folder; name !== "." && name !== ""; name = dirname(name))
      await syncFolder(dirname(name));
  }

  return {
    async open(name, create) {
      const path = join(root, name);
      const handle = await attempt("open", name, async () => {
        try {
          return await openFile(path, "r+");
        } catch (error) {
          if (!create || errorCode(error) !== "ENOENT") throw error;
          await createFolder(dirname(name));
          return openFile(path, "wx+", 0o600);
        }
      });
      return nodeFile(root, name, handle);
    },
    async list(folder) {
      return attempt("list", folder, async () => {
        try {
          return (await readdir(join(root, folder))).sort();
        } catch (error) {
          if (errorCode(error) === "ENOENT") return [];
          throw error;
        }
      });
    },
    async rename(from, to) {
      await createFolder(dirname(to));
      await attempt("rename", from, () => rename(join(root, from), join(root, to)));
      await syncFolder(dirname(to));
    },
    async remove(name) {
      await attempt("remove", name, () => rm(join(root, name), { force: true }));
    },
    syncFolder,
  };
}

function nodeFile(root: string, name: string, handle: FileHandle): DiskFile {
  let durable: Promise<FileHandle> | null = null;
  return {
    name,
    // Elsewhere the flag is missing, or promises less than `fdatasync` does.
    ...(process.platform === "linux"
      ? {
          async writeDurably(offset, bytes) {
            durable ??= attempt("open", name, () =>
              openFile(join(root, name), constants.O_RDWR | constants.O_DSYNC),
            );
            const to = await durable;
            await attempt("write", name, () => writeAll(to, offset, bytes));
          },
        }
      : {}),
    readNow(offset, length) {
      const bytes = new Uint8Array(length);
      try {
        return bytes.subarray(0, readSync(handle.fd, bytes, 0, length, offset));
      } catch (error) {
        throw diskFault("read", name, error);
      }
    },
    async read(offset, length) {
      return attempt("read", name, async () => {
        const bytes = new Uint8Array(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done === length ? bytes : bytes.subarray(0, done);
      });
    },
    async write(offset, bytes) {
      await attempt("write", name, () => writeAll(handle, offset, bytes));
    },
    sync: () => attempt("sync", name, () => handle.datasync()),
    size: () => attempt("look at", name, async () => (await handle.stat()).size),
    truncate: (size) => attempt("shorten", name, () => handle.truncate(size)),
    close: () =>
      attempt("close", name, async () => {
        await (await durable)?.close();
        await handle.close();
      }),
  };
}

async function writeAll(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

/** Runs a file operation; a failure becomes a fault that says what was attempted on which file. */
export async function attempt<T>(what: string, name: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw diskFault(what, name, error);
  }
}

export function diskFault(what: string, name: string, error: unknown): Error {
  const code = errorCode(error);
  const facts = { file: name, system: code };
  const message = `Cannot ${what} \`${name}\``;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return fault("ledger.disk-full", `${message}: the disk is full`, facts, error);
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return fault("store.folder-read-only", `${message}: it may not be written or read`, facts, error);
    case "EEXIST":
      return fault("store.file-exists", `${message}: it exists already`, facts, error);
    case "ENOENT":
    case "ENOTDIR":
      return fault("store.file-missing", `${message}: it does not exist`, facts, error);
    default:
      return fault("store.disk-failed", `${message}: ${code}`, facts, error);
  }
}

function errorCode(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error);
}

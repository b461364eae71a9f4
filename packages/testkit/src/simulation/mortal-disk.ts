// The disk as one process sees it: every change passes points at which the process may die, and faults strike when the scenario says so.
import type { Disk, DiskFile } from "@writ/core/ports";
import type { SimulatedDisk } from "../simulated-disk.ts";
import { never, type SimulatedProcess } from "./loop.ts";

/** Time that a sync takes, in milliseconds; 0 for none. */
export type Latency = () => number;

export function mortalDisk(disk: SimulatedDisk, process: SimulatedProcess, latency: Latency): Disk {
  /** `before`: nothing has happened. `after`: it has, and nobody was told. */
  async function change<T>(what: string, name: string, operation: () => Promise<T>): Promise<T> {
    if (!process.reach(`before ${what} ${folderOf(name)}`)) return never();
    const result = await settled(operation);
    if (!process.reach(`after ${what} ${folderOf(name)}`)) return never();
    return result;
  }

  async function settled<T>(operation: () => Promise<T>): Promise<T> {
    try {
      const result = await operation();
      return process.isDead() ? await never() : result;
    } catch (error) {
      if (process.isDead()) return never();
      throw error;
    }
  }

  /** A slow disk: other things happen while it writes. */
  async function slowly(name: string): Promise<void> {
    const ms = latency();
    if (ms === 0) return;
    await process.world.sleep(ms);
    if (!process.reach(`inside sync ${folderOf(name)}`)) await never();
  }

  function file(inner: DiskFile): DiskFile {
    const { name } = inner;
    return {
      name,
      ...(inner.writeDurably === undefined
        ? {}
        : {
            writeDurably: (offset: number, bytes: Uint8Array) =>
              change("sync", name, async () => {
                await slowly(name);
                await inner.writeDurably?.(offset, bytes);
              }),
          }),
      read: (offset, length) => settled(() => inner.read(offset, length)),
      write: (offset, bytes) => change("write", name, () => inner.write(offset, bytes)),
      sync: () =>
        change("sync", name, async () => {
          await slowly(name);
          await inner.sync();
        }),
      size: () => settled(() => inner.size()),
      truncate: (size) => change("truncate", name, () => inner.truncate(size)),
      close: () => settled(() => inner.close()),
    };
  }

  return {
    open: (name, create) =>
      create
        ? change("create", name, async () => file(await inner(name, true)))
        : settled(async () => file(await inner(name, false))),
    list: (folder) => settled(() => disk.list(folder)),
    rename: (from, to) => change("rename", to, () => disk.rename(from, to)),
    remove: (name) => change("remove", name, () => disk.remove(name)),
    syncFolder: (folder) => change("sync-folder", `${folder}/`, () => disk.syncFolder(folder)),
  };

  function inner(name: string, create: boolean): Promise<DiskFile> {
    return disk.open(name, create);
  }
}

function folderOf(name: string): string {
  return name.split("/")[0] ?? name;
}

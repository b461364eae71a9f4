// A disk that may be cut off at any moment. What was not synced when it crashes is kept, lost or torn, each write for itself, as the seed decides.
//   D1  A write is visible at once and durable when a sync that began after it has resolved; so are sizes.
//   D2  A new name is durable when its folder was synced, or when it was given by `rename`.
//   D3  In a crash every unsynced write is kept, lost, or torn at sectors of 512 bytes, in any order.
//   D5  `writeDurably` makes its own bytes durable and nothing else; cut off, they are kept, lost or torn.
//   D4  After a crash the old disk refuses every operation; `crash` returns the disk that the restart sees.
import type { Disk, DiskFile } from "@writ/core/ports";
import { diskFault } from "@writ/store/node-disk";
import { seededRandom, type SeededRandom } from "./seeded-random.ts";

export interface SimulatedDisk extends Disk {
  /**
   * The disk as a restart sees it. Everything still running on this one fails. `power`: what was not synced is lost, kept or torn;
   * `kill`: only the process ended, so that everything is seen as it was, and what was not synced may still be lost later.
   */
  crash(kind?: "power" | "kill"): SimulatedDisk;
  /** Operations done so far. */
  operations(): number;
  /** Cuts the power when that many more operations have begun. */
  crashAfter(operations: number): void;
  hasCrashed(): boolean;
  /** The next sync of a file whose name starts so fails, and what it would have made durable is kept, lost or torn. */
  failNextSync(prefix: string): void;
  /** The same for the sync after that many other syncs of such files. */
  failSyncAfter(prefix: string, count: number): void;
  /** From now on at most this many more bytes fit. */
  limitFreeBytes(bytes: number): void;
  /** No sync fails any more and there is room enough. */
  behave(): void;
  /** Inverts one bit of what is stored. Default: a random bit of the file. */
  flipBit(name: string, at?: { readonly offset: number; readonly bit: number }): void;
  /** Every file as it is seen now. */
  files(): ReadonlyMap<string, Uint8Array>;
}

export interface SimulatedDiskOptions {
  readonly seed: number;
  /** Turns of the event loop that an operation may take at most: a slow disk, and another interleaving per seed. Default 1. */
  readonly turnsMax?: number;
}

type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

interface StoredFile {
  durable: Uint8Array;
  seen: Uint8Array;
  unsynced: Change[];
  isNameDurable: boolean;
}

const sectorBytes = 512;

export function simulatedDisk(
  options: SimulatedDiskOptions,
  files: Map<string, StoredFile> = new Map(),
): SimulatedDisk {
  const random = seededRandom(options.seed);
  const turnsMax = options.turnsMax ?? 1;
  const failingSyncs: { readonly prefix: string; left: number }[] = [];
  let freeBytes = Number.POSITIVE_INFINITY;
  let operations = 0;
  let crashAt = Number.POSITIVE_INFINITY;
  let isCrashed = false;

  /** Every operation passes here twice: when it begins and before it takes effect. */
  async function turn(what: string, name: string): Promise<void> {
    operations++;
    if (operations >= crashAt) isCrashed = true;
    assertPowered(what, name);
    for (let left = random.below(turnsMax + 1); left > 0; left--) await nextTurn();
    await Promise.resolve();
    assertPowered(what, name);
  }

  function assertPowered(what: string, name: string): void {
    if (isCrashed) throw diskFault(what, name, { code: "EIO" });
  }

  function existing(name: string): StoredFile {
    const file = files.get(name);
    if (file === undefined) throw diskFault("open", name, { code: "ENOENT" });
    return file;
  }

  function open(name: string): DiskFile {
    // The file itself, not its name: a handle keeps working when the name is given to another file.
    const file = existing(name);
    function failIfAsked(): void {
      const failing = failingSyncs.findIndex((each) => name.startsWith(each.prefix) && each.left-- <= 0);
      if (failing < 0) return;
      failingSyncs.splice(failing, 1);
      // The kernel may have written any part, and forgets the rest.
      file.durable = survived(file.durable, file.unsynced, random);
      file.unsynced = [];
      throw diskFault("sync", name, { code: "EIO" });
    }
    return {
      name,
      async read(offset, length) {
        await turn("read", name);
        return file.seen.slice(offset, offset + length);
      },
      async write(offset, bytes) {
        const copy = bytes.slice();
        await turn("write", name);
        const growth = Math.max(0, offset + copy.length - file.seen.length);
        if (growth > freeBytes) throw diskFault("write", name, { code: "ENOSPC" });
        freeBytes -= growth;
        const change: Change = { kind: "write", offset, bytes: copy };
        file.unsynced.push(change);
        file.seen = applied(file.seen, change);
      },
      async writeDurably(offset, bytes) {
        const copy = bytes.slice();
        await turn("write", name);
        const growth = Math.max(0, offset + copy.length - file.seen.length);
        if (growth > freeBytes) throw diskFault("write", name, { code: "ENOSPC" });
        freeBytes -= growth;
        const change: Change = { kind: "write", offset, bytes: copy };
        file.unsynced.push(change);
        file.seen = applied(file.seen, change);
        await turn("sync", name);
        failIfAsked();
        file.durable = applied(file.durable, change);
        // What was written there before goes to the disk with these bytes in it, whenever it does.
        file.unsynced = file.unsynced
          .filter((other) => other !== change)
          .map((other) => covered(other, change));
      },
      async sync() {
        const changes = [...file.unsynced];
        await turn("sync", name);
        failIfAsked();
        for (const change of changes) file.durable = applied(file.durable, change);
        file.unsynced = file.unsynced.filter((change) => !changes.includes(change));
      },
      async size() {
        await turn("look at", name);
        return file.seen.length;
      },
      async truncate(size) {
        await turn("shorten", name);
        const change: Change = { kind: "truncate", size };
        file.unsynced.push(change);
        file.seen = applied(file.seen, change);
      },
      async close() {
        await turn("close", name);
      },
    };
  }

  return {
    async open(name, create) {
      await turn("open", name);
      if (create && !files.has(name)) {
        files.set(name, {
          durable: new Uint8Array(0),
          seen: new Uint8Array(0),
          unsynced: [],
          isNameDurable: false,
        });
      }
      return open(name);
    },
    async list(folder) {
      await turn("list", folder);
      const names = [...files.keys()].filter((name) => name.startsWith(`${folder}/`));
      return [...new Set(names.map((name) => name.slice(folder.length + 1).split("/")[0] ?? ""))].sort();
    },
    async rename(from, to) {
      await turn("rename", from);
      const file = files.get(from);
      if (file === undefined) throw diskFault("rename", from, { code: "ENOENT" });
      files.delete(from);
      file.isNameDurable = true;
      files.set(to, file);
    },
    async remove(name) {
      await turn("remove", name);
      files.delete(name);
    },
    async syncFolder(folder) {
      await turn("sync the folder", folder);
      for (const [name, file] of files) if (folderOf(name) === folder) file.isNameDurable = true;
    },
    crash(kind = "power") {
      isCrashed = true;
      if (kind === "kill") return simulatedDisk({ ...options, seed: random.below(2 ** 31) }, new Map(files));
      const left = new Map<string, StoredFile>();
      for (const [name, file] of files) {
        if (!file.isNameDurable && random.chance(0.5)) continue;
        const content = survived(file.durable, file.unsynced, random);
        left.set(name, { durable: content, seen: content, unsynced: [], isNameDurable: true });
      }
      return simulatedDisk({ ...options, seed: random.below(2 ** 31) }, left);
    },
    operations: () => operations,
    crashAfter(count) {
      crashAt = operations + count;
    },
    hasCrashed: () => isCrashed,
    failNextSync(prefix) {
      failingSyncs.push({ prefix, left: 0 });
    },
    failSyncAfter(prefix, count) {
      failingSyncs.push({ prefix, left: count });
    },
    limitFreeBytes(bytes) {
      freeBytes = bytes;
    },
    behave() {
      failingSyncs.length = 0;
      freeBytes = Number.POSITIVE_INFINITY;
    },
    flipBit(name, at) {
      const file = files.get(name);
      if (file === undefined || file.seen.length === 0) throw new RangeError(`no bit to flip in ${name}`);
      const { offset, bit } = at ?? { offset: random.below(file.seen.length), bit: random.below(8) };
      for (const content of new Set([file.seen, file.durable])) {
        if (offset < content.length) content[offset] = (content[offset] ?? 0) ^ (1 << bit);
      }
    },
    files: () => new Map([...files].map(([name, { seen }]) => [name, seen.slice()])),
  };
}

function applied(content: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") {
    const size = Math.min(content.length, change.size);
    const grown = new Uint8Array(change.size);
    grown.set(content.subarray(0, size));
    return grown;
  }
  const end = change.offset + change.bytes.length;
  const target = new Uint8Array(Math.max(content.length, end));
  target.set(content);
  target.set(change.bytes, change.offset);
  return target;
}

function survived(durable: Uint8Array, unsynced: readonly Change[], random: SeededRandom): Uint8Array {
  let content: Uint8Array = durable.slice();
  for (const change of unsynced) {
    const fate = random.below(3);
    if (fate === 0) continue;
    if (fate === 1 || change.kind === "truncate") content = applied(content, change);
    else content = torn(content, change.offset, change.bytes, random);
  }
  return content;
}

/** The earlier write with the bytes of the later one where both wrote. */
function covered(earlier: Change, later: { readonly offset: number; readonly bytes: Uint8Array }): Change {
  if (earlier.kind !== "write") return earlier;
  const from = Math.max(earlier.offset, later.offset);
  const to = Math.min(earlier.offset + earlier.bytes.length, later.offset + later.bytes.length);
  if (from >= to) return earlier;
  const bytes = earlier.bytes.slice();
  bytes.set(later.bytes.subarray(from - later.offset, to - later.offset), from - earlier.offset);
  return { ...earlier, bytes };
}

/** Some of the sectors that the write touches, never a part of one. */
function torn(content: Uint8Array, offset: number, bytes: Uint8Array, random: SeededRandom): Uint8Array {
  let result: Uint8Array = content;
  const end = offset + bytes.length;
  for (let at = offset; at < end;) {
    const sectorEnd = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (random.chance(0.5)) {
      result = applied(result, {
        kind: "write",
        offset: at,
        bytes: bytes.slice(at - offset, sectorEnd - offset),
      });
    }
    at = sectorEnd;
  }
  return result;
}

function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

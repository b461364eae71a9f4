// On a real disk.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  truncateSync,
  cpSync,
  mkdirSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { utf8 } from "@writ/core/bytes";
import type { World } from "@writ/core/ports";
import { sha256 } from "@writ/core/ids";
import { restore } from "@writ/store/backup";
import { openBlobs } from "@writ/store/blobs";
import { nodeEntropy, nodeHasher } from "@writ/store/node-crypto";
import { nodeDisk } from "@writ/store/node-disk";
import { openStore, type Store } from "@writ/store/open-store";
import { verifyFolder } from "@writ/store/verify-folder";
import { run, runEnded, runStarted, timerSet } from "./harness.ts";

const world: World = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  randomBelow: (below) => Math.floor(Math.random() * below),
  sleep: (ms) => sleep(ms),
};
const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "writ-store-"));
  folders.push(folder);
  return join(folder, "data");
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function open(dataFolder: string): Promise<Store> {
  return openStore({ dataFolder, world, entropy: nodeEntropy, version: "0.1.0" });
}

async function appendRuns(store: Store, first: number, count: number): Promise<void> {
  let seq = 0;
  for (let i = first; i < first + count; i++) {
    store.ledger.append(runStarted(run(i)));
    store.ledger.append(timerSet(run(i), 1));
    seq = store.ledger.append(runEnded(run(i))).seq;
  }
  await store.ledger.durable(seq);
}

describe("a data folder", () => {
  test("K48 K49 keeps node, keys and entries across restarts, and verifies", async () => {
    const folder = newFolder();
    const first = await open(folder);
    await appendRuns(first, 1, 20);
    await first.close();
    const second = await open(folder);
    expect(second.node).toBe(first.node);
    expect(second.signer.ed25519KeyId).toBe(first.signer.ed25519KeyId);
    expect(second.epoch).toBe(2);
    expect(await second.ledger.readRun(run(3))).toHaveLength(3);
    await appendRuns(second, 100, 5);
    expect((await verifyFolder(folder)).bad, "also while it is open").toBeNull();
    await second.close();
    const verified = await verifyFolder(folder, { node: first.node });
    expect(verified).toMatchObject({ bad: null, runs: 25, tornBytes: 0 });
    expect(verified.signedEntries).toBe(verified.entries);
  });

  test("F1 is used by one process at a time, in this process too", async () => {
    const folder = newFolder();
    const store = await open(folder);
    await expect(open(folder)).rejects.toMatchObject({ code: "store.folder-in-use" });
    await Promise.all([store.close(), store.close()]);
    await (await open(folder)).close();
  });

  test("F1 is free again as soon as a killed process is gone, with everything it was promised", async () => {
    const folder = newFolder();
    const script = new URL("./hold-folder.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, ["--conditions=@writ/source", script, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told = "";
    child.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
    while (!told.includes("durable 200\n")) await sleep(5);
    await expect(open(folder)).rejects.toMatchObject({ code: "store.folder-in-use" });
    child.kill("SIGKILL");
    await once(child, "exit");
    const promised = Number([...told.matchAll(/durable (\d+)\n/g)].at(-1)?.[1]);
    const store = await open(folder);
    expect(store.ledger.durableSeq()).toBeGreaterThanOrEqual(promised);
    await store.close();
    expect((await verifyFolder(folder)).bad).toBeNull();
  });

  test("F2 that may not be written is refused, and says so", async () => {
    // The superuser may write anywhere but in the kernel's own file systems.
    let folder = "/sys/writ-test";
    if (process.getuid?.() !== 0) {
      folder = newFolder();
      mkdirSync(folder);
      chmodSync(folder, 0o500);
    }
    await expect(open(folder)).rejects.toMatchObject({ code: "store.folder-read-only" });
  });

  test("F3 K49 keys are for their owner only, and a ledger without its keys is not opened with new ones", async () => {
    const folder = newFolder();
    await (await open(folder)).close();
    const names = readdirSync(join(folder, "keys")).sort();
    expect(names).toEqual(["ed25519.pem", "ml-dsa-65.pem"]);
    expect(statSync(join(folder, "keys")).mode & 0o777).toBe(0o700);
    for (const name of names) expect(statSync(join(folder, "keys", name)).mode & 0o777).toBe(0o600);
    chmodSync(join(folder, "keys", "ed25519.pem"), 0o644);
    await expect(open(folder)).rejects.toMatchObject({ code: "store.keys-exposed" });
    rmSync(join(folder, "keys", "ed25519.pem"));
    await expect(open(folder)).rejects.toMatchObject({ code: "store.keys-missing" });
  });

  test("L4 P3 one flipped bit in the last batch is not taken for a torn write", async () => {
    const folder = newFolder();
    const store = await open(folder);
    await appendRuns(store, 1, 3);
    store.projections.counts();
    await store.close();
    rmSync(join(folder, "checkpoints"), { recursive: true });
    const segment = join(
      folder,
      "ledger",
      readdirSync(join(folder, "ledger")).find((name) => name.endsWith(".segment")) ?? "",
    );
    const bytes = readFileSync(segment);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    await expect(open(folder)).rejects.toMatchObject({ code: "ledger.truncated" });
    expect(readFileSync(segment).equals(bytes), "the evidence is not touched").toBe(true);
    expect((await verifyFolder(folder)).bad).toMatchObject({ kind: "batch" });
  });
});

describe("blobs", () => {
  const hash = (text: string): string => Buffer.from(nodeHasher.sha256(utf8(text))).toString("hex");

  test("O1 O2 come back by their hash; missing and damaged ones are refused", async () => {
    const folder = newFolder();
    const blobs = await openBlobs(nodeDisk(folder), nodeEntropy);
    const put = await blobs.put(utf8("hello"));
    expect(put).toEqual({ sha256: hash("hello"), sizeBytes: 5 });
    expect(Buffer.from(await blobs.get(put.sha256)).toString()).toBe("hello");
    expect(await blobs.has(put.sha256)).toBe(true);
    expect(await blobs.put(utf8("hello"))).toEqual(put);
    expect(Buffer.from(await blobs.get((await blobs.put(new Uint8Array(0))).sha256))).toHaveLength(0);
    const other = sha256(hash("other"));
    expect(await blobs.has(other)).toBe(false);
    await expect(blobs.get(other)).rejects.toMatchObject({ code: "store.blob-missing" });
    writeFileSync(join(folder, "blobs", put.sha256.slice(0, 2), put.sha256.slice(2)), "hellO");
    await expect(blobs.get(put.sha256)).rejects.toMatchObject({ code: "store.blob-damaged" });
  });

  test("O1 bytes whose name somebody else is still making durable are promised only when it is", async () => {
    const real = nodeDisk(newFolder());
    const synced: string[] = [];
    let renamed = (): void => undefined;
    const isRenamed = new Promise<void>((resolve) => {
      renamed = resolve;
    });
    // The first one has its name, but never learns that it is durable.
    const disk = {
      ...real,
      rename: async (from: string, to: string) => {
        await real.rename(from, to);
        renamed();
        await new Promise(() => undefined);
      },
      syncFolder: async (folder: string) => {
        await real.syncFolder(folder);
        synced.push(folder);
      },
    };
    const blobs = await openBlobs(disk, nodeEntropy);
    void blobs.put(utf8("hello"));
    await isRenamed;
    await blobs.put(utf8("hello"));
    expect(synced).toEqual([`blobs/${hash("hello").slice(0, 2)}`]);
  });

  test("O1 a source that fails leaves nothing, and what a crash left is removed", async () => {
    const folder = newFolder();
    const blobs = await openBlobs(nodeDisk(folder), nodeEntropy);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield utf8("half");
      throw new Error("the source broke");
    }
    await expect(blobs.put(failing())).rejects.toThrow("the source broke");
    expect(readdirSync(join(folder, "blobs", "new"))).toEqual([]);
    writeFileSync(join(folder, "blobs", "new", "left"), "x");
    await openBlobs(nodeDisk(folder), nodeEntropy);
    expect(readdirSync(join(folder, "blobs", "new"))).toEqual([]);
  });

  test("O3 a large stream needs no more memory than a small one", async () => {
    const blobs = await openBlobs(nodeDisk(newFolder()), nodeEntropy);
    const chunk = new Uint8Array(256 * 1024).fill(7);
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 256; i++) yield chunk;
    }
    const put = await blobs.put(large());
    expect(put.sizeBytes).toBe(64 * 1024 * 1024);
    let largest = 0;
    for await (const part of blobs.stream(put.sha256)) largest = Math.max(largest, part.length);
    expect(largest).toBeLessThanOrEqual(256 * 1024);
  });
});

describe("backup", () => {
  async function example(): Promise<{ folder: string; store: Store; file: string }> {
    const folder = newFolder();
    const store = await open(folder);
    const blob = await store.blobs.put(utf8("before image".repeat(1000)));
    const ended = runEnded(run(1));
    store.ledger.append(runStarted(run(1)));
    store.ledger.append({ ...ended, facts: { ...ended.facts, result: { kind: "blob", ...blob } } });
    await appendRuns(store, 2, 30);
    return { folder, store, file: join(folder, "..", "backup.tar") };
  }

  test("R1 R3 of a running node is restored elsewhere, verified, and goes on as the same node", async () => {
    const { store, file } = await example();
    const busy = appendRuns(store, 1000, 300);
    const report = await store.backup(file);
    await busy;
    expect(report.entries).toBeGreaterThanOrEqual(94);
    await store.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const restored = newFolder();
    expect((await restore(file, restored)).entries).toBeGreaterThanOrEqual(report.entries);
    const again = await open(restored);
    expect(again.node).toBe(store.node);
    expect(await again.ledger.readRun(run(1))).toHaveLength(2);
    await again.close();
    expect(execFileSync("tar", ["-tf", file]).toString()).toContain("MANIFEST.json");
  });

  test("R4 keys and secrets of webhooks come back, for their owner only", async () => {
    const { store, file, folder } = await example();
    writeFileSync(join(folder, "webhooks.json"), '{"secrets":["x"]}\n', { mode: 0o600 });
    writeFileSync(join(folder, "other.json"), "no");
    await store.backup(file);
    await store.close();
    const restored = newFolder();
    await restore(file, restored);
    expect(readFileSync(join(restored, "webhooks.json"), "utf8")).toBe('{"secrets":["x"]}\n');
    expect(statSync(join(restored, "webhooks.json")).mode & 0o777).toBe(0o600);
    const keys = readdirSync(join(restored, "keys"));
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(statSync(join(restored, "keys", key)).mode & 0o777).toBe(0o600);
    expect(readdirSync(restored)).not.toContain("other.json");
  });

  test("R2 an existing file is not overwritten, a folder that holds something is not filled", async () => {
    const { store, file, folder } = await example();
    writeFileSync(file, "precious");
    await expect(store.backup(file)).rejects.toMatchObject({ code: "store.file-exists" });
    expect(readFileSync(file, "utf8")).toBe("precious");
    rmSync(file);
    await store.backup(file);
    await expect(restore(file, folder)).rejects.toMatchObject({ code: "store.folder-not-empty" });
    await store.close();
  });

  test("R3 a cut or changed backup is refused and leaves no folder", async () => {
    const { store, file } = await example();
    await store.backup(file);
    await store.close();
    const good = readFileSync(file);
    for (const change of ["cut", "flip"] as const) {
      writeFileSync(file, good);
      if (change === "cut") truncateSync(file, good.length - 4096);
      else {
        const bytes = Buffer.from(good);
        bytes[2000] = (bytes[2000] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      }
      const target = newFolder();
      await expect(restore(file, target)).rejects.toMatchObject({ code: "store.backup-damaged" });
      expect(() => statSync(target)).toThrow();
    }
  });

  test("R3 a backup that would write outside the folder is refused", async () => {
    const { store, file, folder } = await example();
    await store.close();
    const evil = join(folder, "..", "evil");
    cpSync(folder, evil, { recursive: true });
    execFileSync("tar", ["--format=ustar", "-cf", file, "-C", evil, "--transform=s,^,../,", "lock.db"]);
    await expect(restore(file, newFolder())).rejects.toMatchObject({ code: "store.backup-damaged" });
  });
});

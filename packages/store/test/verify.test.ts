import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { fromHex, toHex, utf8 } from "@writ/core/bytes";
import { checkpointOrigin, parseCheckpoint, signCheckpoint } from "@writ/core/checkpoint";
import { decodeEntry, encodeEntry } from "@writ/core/entry-codec";
import type { Entry } from "@writ/core/entry";
import { sha256 } from "@writ/core/ids";
import { verifyLedger, type LedgerFiles } from "@writ/core/ledger-verify";
import { merkleTree } from "@writ/core/merkle";
import {
  decodeFrame,
  decodeSegmentHeader,
  encodeFrame,
  encodeSegmentHeader,
  segmentHeaderBytes,
} from "@writ/core/segment";
import { createKeys, type NodeKeys } from "@writ/store/keys";
import { nodeHasher, verifySignature } from "@writ/store/node-crypto";
import { simulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { each, named, verifyFiles } from "./verify-files.ts";
import { run, runEnded, runStarted, simulatedStore, testKeys, timerSet } from "./harness.ts";

type Files = Map<string, Uint8Array>;

/** A cleanly closed ledger of two openings: several segments, checkpoints, blobs. */
async function example(): Promise<Files> {
  const world = simulatedWorld({ seed: 5, automatic: true });
  let disk = simulatedDisk({ seed: 5 });
  for (const life of [0, 1]) {
    const store = await simulatedStore(disk, world);
    const blob = await store.blobs.put(utf8(`a large value of life ${life} `.repeat(100)));
    for (let i = 1; i <= 25; i++) {
      const id = run(life * 100 + i);
      store.ledger.append(runStarted(id));
      for (let k = 0; k < 3; k++) store.ledger.append(timerSet(id, k));
      const ended = runEnded(id);
      const result = { kind: "blob", ...blob } as const;
      const { seq } = store.ledger.append({ ...ended, facts: { ...ended.facts, result } });
      await store.ledger.durable(seq);
    }
    await store.close();
    disk = disk.crash();
  }
  return new Map(disk.files());
}

let original: Files;
beforeAll(async () => {
  original = await example();
});

function copy(): Files {
  return new Map([...original].map(([name, bytes]) => [name, bytes.slice()]));
}

describe("a sound ledger", () => {
  test("A1 A2 A3 is verified whole", async () => {
    const verified = await verifyFiles(original);
    expect(verified).toMatchObject({
      bad: null,
      node: testKeys.identity.node,
      entries: 255,
      runs: 50,
      blobs: 2,
    });
    expect(verified.signedEntries).toBe(255);
    expect(verified.checkpoints).toBeGreaterThan(3);
    expect(verified.tornBytes).toBe(0);
    expect(named(original, "ledger").length).toBeGreaterThan(3);
  });

  test("A1 what a crash cut off is no bad place", async () => {
    const world = simulatedWorld({ seed: 6, automatic: true });
    const disk = simulatedDisk({ seed: 6 });
    const store = await simulatedStore(disk, world);
    await store.ledger.durable(store.ledger.append(runStarted(run(1))).seq);
    const files = new Map(disk.crash().files());
    const [last] = named(files, "ledger").slice(-1);
    const end = last?.bytes.findLastIndex((byte) => byte !== 0) ?? 0;
    last?.bytes.fill(0x57, end + 9, end + 60);
    const verified = await verifyFiles(files);
    expect(verified.bad).toBeNull();
    expect(verified.entries).toBe(3);
    expect(verified.tornBytes).toBeGreaterThan(0);
  });
});

describe("one changed byte", () => {
  /** Every byte that was written into segments, checkpoints and blobs. */
  function places(): { name: string; size: number }[] {
    return [...named(original, "ledger"), ...named(original, "checkpoints"), ...named(original, "blobs")].map(
      ({ name, bytes }) => ({ name, size: bytes.findLastIndex((byte) => byte !== 0) + 1 }),
    );
  }

  test("A1 A2 A3 K53 is found wherever it is, in the file it is in", async () => {
    const file = fc.constantFrom(...places());
    const change = fc.tuple(
      file,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
    );
    await fc.assert(
      fc.asyncProperty(change, async ([{ name, size }, where, mask]) => {
        const files = copy();
        const bytes = files.get(name) as Uint8Array;
        const at = Math.floor(where * size);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        const { bad } = await verifyFiles(files);
        expect(bad, `${name} byte ${at} mask ${mask}`).not.toBeNull();
        const isNamed = name.startsWith("blobs/")
          ? bad?.file === name.slice("blobs/".length).replace("/", "")
          : bad?.file === name;
        expect(isNamed, `${name} byte ${at}: ${JSON.stringify(bad)}`).toBe(true);
        if (bad?.kind === "entry" || bad?.kind === "batch") expect(bad.offset).toBeLessThanOrEqual(at);
      }),
      { numRuns: 250 },
    );
  });

  test("A3 a missing blob is named, with the entry that refers to it", async () => {
    const files = copy();
    const [blob] = named(files, "blobs");
    files.delete(blob?.name ?? "");
    const { bad } = await verifyFiles(files);
    expect(bad).toMatchObject({ kind: "blob", message: "it is missing", seq: expect.any(Number) });
  });

  test("A2 a missing segment or a missing end is found", async () => {
    for (const place of [1, -1]) {
      const files = copy();
      const removed = named(files, "ledger").at(place)?.name ?? "";
      files.delete(removed);
      expect((await verifyFiles(files)).bad, removed).not.toBeNull();
    }
  });
});

describe("an attacker who can compute hashes", () => {
  interface Opened {
    readonly entry: Entry;
  }

  function entriesOf(files: Files): Opened[] {
    return named(files, "ledger").flatMap(({ bytes }) => {
      const header = decodeSegmentHeader(bytes);
      const found: Opened[] = [];
      for (let at = segmentHeaderBytes; header !== undefined;) {
        const frame = decodeFrame(bytes, at, header.salt);
        if (frame === undefined) break;
        for (let i = 0; i + 1 < frame.bounds.length; i++) {
          const part = bytes.slice(frame.bounds[i], frame.bounds[i + 1]);
          found.push({ entry: decodeEntry(part, sha256(toHex(nodeHasher.sha256(part)))) });
        }
        at += frame.sizeBytes;
      }
      return found;
    });
  }

  /** The ledger written anew from other entries, every link, sequence number and checksum right. */
  function forged(entries: readonly Entry[], keys: NodeKeys | null): Files {
    const files: Files = new Map([...original].filter(([name]) => !name.startsWith("ledger/")));
    const tails = new Map<string, Uint8Array>();
    const tree = merkleTree(nodeHasher);
    let previousHash: Uint8Array = new Uint8Array(32);
    const written = entries.map((entry, seq) => {
      const runPrevious = entry.run === null ? null : (tails.get(entry.run) ?? null);
      const bytes = encodeEntry(entry, { node: entry.node, epoch: 1, seq, previousHash, runPrevious });
      previousHash = nodeHasher.sha256(bytes);
      if (entry.run !== null) tails.set(entry.run, previousHash);
      tree.add(previousHash);
      return bytes;
    });
    const header = { number: 1, epoch: 1, firstSeq: 0, previousHash: new Uint8Array(32), salt: 1 };
    files.set(
      "ledger/0000000001.segment",
      Buffer.concat([encodeSegmentHeader(header), encodeFrame(0, written, 1)]),
    );
    if (keys !== null) {
      for (const { name } of named(files, "checkpoints")) files.delete(name);
      const [ed25519, mlDsa65] = keys.records;
      if (ed25519 === undefined || mlDsa65 === undefined) throw new Error("keys");
      const head = { origin: checkpointOrigin(testKeys.identity.node), size: tree.size(), root: tree.root() };
      const note = signCheckpoint(head, keys.signer, { ed25519, mlDsa65 }, nodeHasher);
      files.set(`checkpoints/${String(tree.size()).padStart(16, "0")}.txt`, utf8(note));
    }
    return files;
  }

  test("K51 removing a whole run is found, although every hash link is right", async () => {
    const entries = entriesOf(original).map(({ entry }) => entry);
    expect((await verifyFiles(forged(entries, testKeys))).bad, "the forger writes sound ledgers").toBeNull();
    const without = entries.filter((entry) => entry.run !== run(7));
    expect(without.length).toBe(entries.length - 5);
    const { bad } = await verifyFiles(forged(without, null));
    expect(bad).toMatchObject({ kind: "checkpoint" });
  });

  test("K50 changing one fact and recomputing every hash is found by the signatures", async () => {
    const entries = entriesOf(original).map(({ entry }) =>
      entry.kind === "timer.set" && entry.seq === 4
        ? { ...entry, facts: { ...entry.facts, attempt: 7 } }
        : entry,
    );
    expect((await verifyFiles(forged(entries, null))).bad).toMatchObject({ kind: "checkpoint" });
  });

  test("K47 K50 checkpoints signed anew with the attacker's own keys are refused", async () => {
    const entries = entriesOf(original).map(({ entry }) => entry);
    const { bad } = await verifyFiles(forged(entries, createKeys()));
    expect(bad).toMatchObject({ kind: "checkpoint", message: expect.stringContaining("no key") });
  });

  test("K47 K50 A2 a key that the forger's own entries add signs nothing", async () => {
    const keys = createKeys();
    const [first, ...rest] = entriesOf(original).map(({ entry }) => entry);
    if (first?.kind !== "ledger.created")
      throw new Error("Invariant broken: a ledger begins with its creation");
    const added = keys.records.map(({ id, algorithm, publicKey }) => ({
      ...first,
      kind: "key.added" as const,
      facts: { key: id, algorithm, publicKey: toHex(publicKey), purpose: "checkpoints" as const },
    }));
    const { bad } = await verifyFiles(forged([first, ...added, ...rest], keys));
    expect(bad).toMatchObject({ kind: "checkpoint", message: expect.stringContaining("no key") });
  });

  test("K47 K50 A2 a ledger under the node's name with other keys in its first entry is refused", async () => {
    const keys = createKeys();
    const entries = entriesOf(original).map(({ entry }) =>
      entry.kind === "ledger.created"
        ? {
            ...entry,
            facts: {
              ...entry.facts,
              ed25519: toHex(keys.identity.ed25519),
              mlDsa65: toHex(keys.identity.mlDsa65),
            },
          }
        : entry,
    );
    const { bad } = await verifyFiles(forged(entries, keys));
    expect(bad).toMatchObject({ kind: "entry", seq: 0, message: expect.stringContaining("belong to") });
  });

  test("K53 the ledger's first entry decides the keys: another node's ledger is another ledger", async () => {
    const ledgerFiles: LedgerFiles = {
      segments: each(named(original, "ledger")),
      checkpoints: each(named(original, "checkpoints")),
      blobs: each([]),
    };
    const { node } = createKeys().identity;
    const { bad } = await verifyLedger(ledgerFiles, { hasher: nodeHasher, verify: verifySignature, node });
    expect(bad).toMatchObject({ kind: "entry", seq: 0 });
  });

  test("K50 a checkpoint carries both signatures, each over its text", () => {
    const [first] = named(original, "checkpoints");
    const checkpoint = parseCheckpoint(Buffer.from(first?.bytes ?? []).toString());
    const covers = testKeys.records.map((key, i) =>
      verifySignature(key, utf8(checkpoint?.text ?? ""), checkpoint?.signatures[i]?.signature ?? fromHex("")),
    );
    expect(covers).toEqual([true, true]);
  });
});

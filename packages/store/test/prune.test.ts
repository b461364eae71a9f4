import { expect, test } from "vitest";
import { fromHex } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import type { Actor, Entry, EntryDraft } from "@writ/core/entry";
import { capabilityId, eventId, keyId, personId, sha256, stepId, type RunId } from "@writ/core/ids";
import { merkleTree } from "@writ/core/merkle";
import { isIncluded } from "@writ/core/merkle-proof";
import { parseCheckpoint } from "@writ/core/checkpoint";
import { nodeHasher } from "@writ/store/node-crypto";
import type { Store } from "@writ/store/open-store";
import { seededRandom } from "@writ/testkit/seeded-random";
import { simulatedDisk, type SimulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { run, runEnded, runStarted, simulatedStore, timerSet } from "./harness.ts";
import { verifyFiles } from "./verify-files.ts";

const by: Actor = { kind: "person", id: personId("olga"), key: keyId("k_0000000000000001") };
const node: Actor = { kind: "node" };
const sleeper = run(5);

const received = (i: number): EntryDraft<"event.received"> => ({
  kind: "event.received",
  run: null,
  cause: null,
  actor: node,
  atMs: 1,
  facts: {
    event: { specversion: "1.0", id: eventId(`e${i}`), source: "/s", type: "t", time: "x", data: {} },
    workspace: "demo",
    labels: [],
    sourceKey: `s${i % 2}#${i}`,
    cursor: { i },
  },
});

/** 300 runs of five entries in groups, one of which goes on sleeping; now and then a large result. */
async function history(store: Store, count = 300): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const drafts: EntryDraft[] = [runStarted(run(i)), received(i), timerSet(run(i), 1), timerSet(run(i), 2)];
    if (i % 50 === 0) {
      const blob = await store.blobs.put(new TextEncoder().encode(`result ${i} `.repeat(1000)));
      const result = { kind: "blob", ...blob } as const;
      const facts = {
        step: stepId("s"),
        attempt: 1,
        result,
        labels: [],
        undo: null,
        evidence: "observed",
        resolved: false,
      } as const;
      drafts.push({ kind: "effect.completed", run: run(i), cause: null, actor: node, atMs: 1, facts });
    }
    if (run(i) !== sleeper) drafts.push(runEnded(run(i)));
    const entries = store.ledger.appendAll(drafts);
    if (i % 3 === 0) await store.ledger.durable(entries.at(-1)?.seq ?? 0);
  }
  await store.ledger.durable(store.ledger.head().seq);
}

async function all(store: Store): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of store.ledger.scan(0)) entries.push(entry);
  return entries;
}

function heldBytes(disk: SimulatedDisk): number {
  let sum = 0;
  for (const [name, bytes] of disk.files())
    if (name.endsWith(".segment")) for (const byte of bytes) if (byte !== 0) sum++;
  return sum;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

async function opened(seed: number) {
  const world = simulatedWorld({ seed, automatic: true });
  const disk = simulatedDisk({ seed });
  const store = await simulatedStore(disk, world);
  await history(store);
  await world.advance(dayMs + 2 * hourMs);
  return { world, disk, store };
}

test("G1 L4 A1 A2 A3 what nobody needs is gone, what is kept stands where it was, and the ledger verifies", async () => {
  const { world, disk, store } = await opened(1);
  const before = await all(store);
  const bytesBefore = heldBytes(disk);
  const beforeSeq = before.at(-200)?.seq ?? 0;
  const request = { beforeSeq, archive: null, by };
  const plan = await store.prune({ ...request, dryRun: true });
  expect(heldBytes(disk)).toBeGreaterThanOrEqual(bytesBefore);
  const done = await store.prune({ ...request, dryRun: false });
  expect(done).toMatchObject({ segments: plan.segments, entries: plan.entries, runs: plan.runs });
  expect(done.entries).toBeGreaterThan(800);
  expect(done.blobs).toBeGreaterThan(0);
  expect(heldBytes(disk)).toBeLessThan(bytesBefore / 2);
  const verified = await verifyFiles(disk.files());
  expect(verified).toMatchObject({ bad: null, prunedEntries: done.entries });

  const after = await all(store);
  const known = new Map(before.map((entry) => [entry.seq, entry.hash]));
  for (const entry of after) expect(known.get(entry.seq) ?? entry.hash).toBe(entry.hash);
  expect(after.find(({ kind }) => kind === "ledger.created")).toBeDefined();
  expect(after.filter((entry) => entry.run === sleeper)).toEqual(
    before.filter((entry) => entry.run === sleeper),
  );
  expect(await store.ledger.readRun(sleeper)).toHaveLength(3);
  expect(await store.ledger.readRun(run(7))).toEqual([]);
  await expect(store.ledger.read(done.range?.lastSeq ?? 0)).rejects.toMatchObject({
    code: "ledger.no-entry",
  });
  expect(store.projections.run(run(7))).toBeUndefined();
  expect(store.projections.unfinishedRuns()).toEqual([sleeper]);
  expect(() => store.ledger.append(timerSet(run(7), 9))).toThrow(
    expect.objectContaining({ code: "ledger.run-unknown" }),
  );
  const counts = store.projections.counts();

  // The same after a start that reads everything anew, and the sleeping run goes on.
  await store.close();
  const again = await simulatedStore(disk.crash(), world);
  expect(again.projections.counts()).toMatchObject({ runs: counts.runs });
  expect(again.projections.unfinishedRuns()).toEqual([sleeper]);
  const { seq } = again.ledger.append(runEnded(sleeper));
  await again.ledger.durable(seq);
  await again.close();
});

const moved = (id: RunId, position: number, outcome: "completed" | "failed"): EntryDraft[] => {
  const base = { run: id, cause: null, actor: node } as const;
  const step = stepId("move");
  const target = { kind: "device", name: "valve", resolved: "valve", does: "send", state: null } as const;
  const facts = {
    step,
    attempt: 1,
    capability: capabilityId("iot.move@1.0.0"),
    params: { position },
    verdict: { kind: "allow", policy: sha256("00".repeat(32)), approval: null },
    targets: [target],
    before: {},
    key: `k${position}`,
    effect: "write",
  } as const;
  const atMs = position * 3_600_000;
  const end: EntryDraft =
    outcome === "completed"
      ? {
          ...base,
          kind: "effect.completed",
          atMs,
          facts: {
            step,
            attempt: 1,
            result: { kind: "inline", value: null },
            labels: [],
            undo: null,
            evidence: "observed",
            resolved: false,
          },
        }
      : {
          ...base,
          kind: "effect.failed",
          atMs,
          facts: {
            step,
            attempt: 1,
            fault: { code: "iot.failed", kind: "rejected", message: "no", facts: {}, remedy: "look" },
          },
        };
  return [runStarted(id), { ...base, kind: "effect.intended", atMs, facts }, end, runEnded(id)];
};

test("G1 P10 the last command of a device stays, also to an index that is built anew", async () => {
  const world = simulatedWorld({ seed: 9, automatic: true });
  const disk = simulatedDisk({ seed: 9 });
  const store = await simulatedStore(disk, world);
  const [older, last, failed, failedLater] = [run(9001), run(9002), run(9003), run(9004)];
  store.ledger.appendAll([
    ...moved(older, 1, "completed"),
    ...moved(last, 2, "completed"),
    ...moved(failed, 3, "failed"),
    ...moved(failedLater, 4, "failed"),
  ]);
  await history(store, 300);
  const beforeSeq = store.ledger.head().seq;
  for (let i = 0; i < 2; i++) await store.prune({ beforeSeq, archive: null, by, dryRun: false });
  const kept = async (from: Store) =>
    Promise.all([older, last, failed].map(async (id) => (await from.ledger.readRun(id)).length));
  expect(await kept(store)).toEqual([0, 4, 0]);
  await store.close();
  const left = disk.crash();
  const again = await simulatedStore(left, world);
  await again.prune({ beforeSeq, archive: null, by, dryRun: false });
  expect(await kept(again)).toEqual([0, 4, 0]);
  await again.close();
});

test("G1 what was taken from a source lately stays known, also to an index that is built anew", async () => {
  const world = simulatedWorld({ seed: 7, automatic: true });
  const disk = simulatedDisk({ seed: 7 });
  const store = await simulatedStore(disk, world);
  const lately = (i: number, atMs: number): EntryDraft<"event.received"> => {
    const draft = received(i);
    return { ...draft, atMs, facts: { ...draft.facts, sourceKey: `lately#${i}` } };
  };
  const agedMs = [dayMs + 1, dayMs - hourMs, 5 * 60_000];
  await world.advance(2 * dayMs);
  const entries = store.ledger.appendAll(agedMs.map((age, i) => lately(i, world.nowMs() - age)));
  await store.ledger.durable(entries.at(-1)?.seq ?? 0);
  const last = store.ledger.append(lately(3, world.nowMs()));
  await store.ledger.durable(last.seq);
  // Enough after it that its segment is sealed.
  await history(store, 300);
  await store.close();
  const left = disk.crash();
  const again = await simulatedStore(left, world);
  const report = await again.prune({ beforeSeq: again.ledger.head().seq, archive: null, by, dryRun: false });
  expect(report.range?.lastSeq).toBeGreaterThan(last.seq);
  await again.close();
  const rebuilt = await simulatedStore(left.crash(), world);
  expect([0, 1, 2, 3].map((i) => rebuilt.projections.eventSeen(`lately#${i}`))).toEqual([
    false,
    true,
    true,
    true,
  ]);
  await rebuilt.close();
});

test("G1 proofs of what is kept still hold under the newest checkpoint", async () => {
  const { store } = await opened(2);
  await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
  const kept = (await all(store)).filter(({ run: of }) => of === sleeper);
  const proved = await store.prove(kept.map(({ seq }) => seq));
  const checkpoint = parseCheckpoint(proved.checkpoint);
  expect(checkpoint?.size).toBe(proved.size);
  for (const entry of kept) {
    const tree = { size: proved.size, root: checkpoint?.root ?? new Uint8Array(32) };
    const leaf = { index: entry.seq, entryHash: fromHex(entry.hash) };
    expect(isIncluded(leaf, tree, proved.proofs.get(entry.seq) ?? [], nodeHasher)).toBe(true);
  }
  await store.close();
});

test("G2 what is archived makes the ledger whole again, to the last byte", async () => {
  const { disk, store } = await opened(3);
  const before = disk.files();
  const target = simulatedDisk({ seed: 33 });
  const archive = { folder: "/archive", disk: target };
  const done = await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive, by, dryRun: false });
  const files = new Map(disk.files());
  for (const [name, bytes] of target.files()) files.set(name, bytes);
  const verified = await verifyFiles(files);
  expect(verified).toMatchObject({ bad: null, prunedEntries: 0 });
  for (const [name, bytes] of target.files())
    if (name.endsWith(".segment")) expect(Buffer.compare(bytes, before.get(name) ?? bytes)).toBe(0);
  // Another archive's file is not taken for it.
  const name = [...target.files().keys()].find((one) => one.endsWith(".segment")) ?? "";
  const forged = files.get(name)?.slice() ?? new Uint8Array();
  forged.set([1, 2, 3], 400);
  expect((await verifyFiles(new Map([...files, [name, forged]]))).bad).not.toBeNull();
  expect(done.segments).toBeGreaterThan(3);
  await store.close();
});

test("G2 entries that were taken out without a record are found", async () => {
  const { disk, store } = await opened(4);
  const before = disk.files();
  await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
  await store.close();
  const files = new Map(disk.files());
  // The segments as they are now, with the end of the ledger as it was before anybody recorded a pruning.
  const last =
    [...before.keys()]
      .filter((name) => name.endsWith(".segment"))
      .sort()
      .at(-1) ?? "";
  const mixed = new Map([...files].filter(([name]) => !name.endsWith(".segment") || name < last));
  mixed.set(last, before.get(last) ?? new Uint8Array());
  for (const name of files.keys())
    if (name.startsWith("checkpoints/") && !before.has(name)) mixed.delete(name);
  const { bad } = await verifyFiles(mixed);
  expect(bad?.message).toContain("taken out");
});

test("G2 a pruning that no checkpoint covers hides nothing: anybody can write its entry", async () => {
  const { disk, store } = await opened(8);
  await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
  await store.close();
  const files = new Map(disk.files());
  expect((await verifyFiles(files)).bad).toBeNull();
  const recordedAt = (await verifyFiles(files)).entries;
  // Without the newest checkpoints the entry that records it is chained, and signed by nobody.
  for (const name of files.keys()) {
    const size = /^checkpoints\/0*(\d+)\.txt$/.exec(name)?.[1];
    if (size !== undefined && Number(size) > recordedAt - 4) files.delete(name);
  }
  expect((await verifyFiles(files)).bad?.message).toContain("no signed entry records that");
});

test("G3 a file that a kept list of a deleted folder names is kept, whoever else had it", async () => {
  const world = simulatedWorld({ seed: 9, automatic: true });
  const disk = simulatedDisk({ seed: 9 });
  const store = await simulatedStore(disk, world);
  const bytes = new TextEncoder().encode("what stood in the file ".repeat(100));
  const file = await store.blobs.put(bytes);
  const other = await store.blobs.put(new TextEncoder().encode("nobody needs this ".repeat(100)));
  const image = [
    { path: "", sha256: null },
    ...Array.from({ length: 3000 }, (_, i) => ({ path: `f${i}`, sha256: i === 2900 ? file.sha256 : null })),
  ];
  const list = await store.blobs.put(new TextEncoder().encode(JSON.stringify(image)));
  const completed = (id: number, blob: typeof file): EntryDraft => ({
    kind: "effect.completed",
    run: run(id),
    cause: null,
    actor: node,
    atMs: 1,
    facts: {
      step: stepId("s"),
      attempt: 1,
      result: { kind: "blob", ...blob },
      labels: [],
      undo: null,
      evidence: "observed",
      resolved: false,
    },
  });
  // One run that has ended has both as its own; one that goes on has the list alone.
  store.ledger.appendAll([
    runStarted(run(1)),
    completed(1, file),
    { ...completed(1, other) },
    runEnded(run(1)),
    runStarted(run(1000)),
    completed(1000, list),
  ]);
  for (let i = 2; i <= 200; i++) {
    const entries = store.ledger.appendAll([runStarted(run(i)), timerSet(run(i), 1), runEnded(run(i))]);
    await store.ledger.durable(entries.at(-1)?.seq ?? 0);
  }
  await world.advance(2 * hourMs);
  await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
  expect(await store.blobs.has(other.sha256)).toBe(false);
  expect(await store.blobs.get(file.sha256)).toEqual(bytes);
  await store.close();
});

test("G2 a bit flipped in what stands for pruned entries is found", async () => {
  const { disk, store } = await opened(6);
  await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
  await store.close();
  const [name = ""] = [...disk.files().keys()]
    .filter((one) => one.endsWith(".segment"))
    .sort()
    .slice(1);
  for (const offset of [64 + 9, 64 + 30, 64 + 70]) {
    disk.flipBit(name, { offset, bit: 2 });
    expect((await verifyFiles(disk.files())).bad).not.toBeNull();
    disk.flipBit(name, { offset, bit: 2 });
  }
  expect((await verifyFiles(disk.files())).bad).toBeNull();
});

const seeds = Array.from({ length: Number(process.env["SIM_SEEDS"] ?? 12) }, (_, i) => i + 1);

test.each(seeds)(
  "G2 G3 L1 seed %i: a crash at any point of pruning leaves before or after, never a hole",
  async (seed) => {
    const random = seededRandom(seed);
    const world = simulatedWorld({ seed, automatic: true });
    let disk = simulatedDisk({ seed, turnsMax: random.below(3) });
    const first = await simulatedStore(disk, world);
    await history(first, 120);
    const before = new Map((await all(first)).map((entry) => [entry.seq, entry.hash]));
    const kept = (await first.ledger.readRun(sleeper)).map(({ hash }) => hash);
    await world.advance(2 * hourMs);
    let store = first;
    for (let life = 0; life < 4; life++) {
      disk.crashAfter(1 + random.below(120));
      const request = { beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false };
      await store.prune(request).catch(() => undefined);
      disk = disk.crash();
      expect((await verifyFiles(disk.files())).bad).toBeNull();
      store = await simulatedStore(disk, world);
      for (const entry of await all(store)) expect(before.get(entry.seq) ?? entry.hash).toBe(entry.hash);
      expect((await store.ledger.readRun(sleeper)).map(({ hash }) => hash)).toEqual(kept);
      expect(store.projections.unfinishedRuns()).toEqual([sleeper]);
      // Runs are there whole or not at all.
      for (let i = 1; i <= 120; i++) {
        const length = (await store.ledger.readRun(run(i))).length;
        if (run(i) !== sleeper) expect([0, i % 50 === 0 ? 5 : 4]).toContain(length);
      }
    }
    const done = await store.prune({ beforeSeq: Number.MAX_SAFE_INTEGER, archive: null, by, dryRun: false });
    expect(done.range === null || done.range.lastSeq > 0).toBe(true);
    expect((await verifyFiles(disk.files())).bad).toBeNull();
    expect((await store.ledger.readRun(run(9))).length).toBe(0);
    await store.close();
  },
);

test("L4 G2 a cached tree that ends within what was pruned since is made again from the beginning", async () => {
  const { world, disk, store } = await opened(1);
  const before = await all(store);
  const beforeSeq = before.at(-200)?.seq ?? 0;
  const { range } = await store.prune({ beforeSeq, archive: null, by, dryRun: false });
  const pruned = { from: range?.firstSeq ?? 0, to: range?.lastSeq ?? 0 };
  await store.close();
  // A crash may leave the cache of any earlier checkpoint.
  const sizes = [...disk.files().keys()]
    .flatMap((name) => /^checkpoints\/(\d{16})\.txt$/.exec(name)?.[1] ?? [])
    .map(Number)
    .filter((size) => size > pruned.from && size < pruned.to);
  expect(sizes.length).toBeGreaterThan(2);
  for (const size of sizes) {
    const tree = merkleTree(nodeHasher);
    for (const { seq, hash } of before) if (seq < size) tree.add(fromHex(hash));
    const file = await disk.open("ledger/frontier", true);
    const bytes = encodeCbor({ size, hashes: [...tree.frontier()] });
    await file.truncate(0);
    await file.write(0, bytes);
    await file.sync();
    await file.close();
    const again = await simulatedStore(disk, world);
    expect((await all(again)).some(({ seq }) => seq > pruned.to)).toBe(true);
    await again.close();
    expect((await verifyFiles(disk.files())).bad).toBeNull();
  }
});

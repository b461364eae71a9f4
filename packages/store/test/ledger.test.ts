import { describe, expect, test } from "vitest";
import type { Entry, EntryDraft } from "@writ/core/entry";
import { stepId } from "@writ/core/ids";
import { recover } from "../src/ledger/recover.ts";
import { nodeHasher, verifySignature } from "@writ/store/node-crypto";
import { createKeys } from "@writ/store/keys";
import { diskFault } from "@writ/store/node-disk";
import { openStore, type Store } from "@writ/store/open-store";
import { simulatedDisk, type SimulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { run, runEnded, runStarted, simulatedStore, smallLimits, testKeys, timerSet } from "./harness.ts";

const world = simulatedWorld({ seed: 1, automatic: true });

async function appendRuns(store: Store, first: number, count: number): Promise<void> {
  let seq = 0;
  for (let i = first; i < first + count; i++) {
    store.ledger.append(runStarted(run(i)));
    for (let k = 0; k < 3; k++) store.ledger.append(timerSet(run(i), k));
    seq = store.ledger.append(runEnded(run(i))).seq;
    if (i % 3 === 0) await store.ledger.durable(seq);
  }
  await store.ledger.durable(seq);
}

async function all(store: Store, from = 0, to?: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of store.ledger.scan(from, to)) entries.push(entry);
  return entries;
}

function lastSegment(disk: SimulatedDisk): string {
  return (
    [...disk.files().keys()]
      .filter((name) => name.endsWith(".segment"))
      .sort()
      .at(-1) ?? ""
  );
}

describe("opening", () => {
  test("L8 what a killed process left in memory only is durable before the next one builds on it", async () => {
    for (let operations = 1; operations < 24; operations++) {
      let disk = simulatedDisk({ seed: operations });
      disk.crashAfter(operations);
      await simulatedStore(disk, world).catch(() => undefined);
      disk = disk.crash("kill");
      const store = await simulatedStore(disk, world);
      await appendRuns(store, 1, 3);
      const durable = store.ledger.durableSeq();
      disk = disk.crash("power");
      const again = await simulatedStore(disk, world);
      expect((await all(again)).length, `killed after ${operations} operations`).toBeGreaterThan(durable);
    }
  });

  test("L8 K54 what memory shows after a failed sync is written again before anything is built on it", async () => {
    for (let seed = 1; seed < 20; seed++) {
      let disk = simulatedDisk({ seed });
      const first = await simulatedStore(disk, world);
      const { seq } = first.ledger.append(runStarted(run(1)));
      await first.ledger.durable(seq);
      disk.failNextSync("ledger/0");
      const lost = first.ledger.append(runStarted(run(50))).seq;
      await expect(first.ledger.durable(lost)).rejects.toMatchObject({ code: "ledger.stopped" });
      // Another process on the same system: it reads from memory.
      disk = disk.crash("kill");
      const second = await simulatedStore(disk, world);
      await appendRuns(second, 100, 2);
      const durable = second.ledger.durableSeq();
      disk = disk.crash("power");
      const third = await simulatedStore(disk, world);
      expect((await all(third)).length, `seed ${seed}`).toBeGreaterThan(durable);
    }
  });

  test("L4 old segments that a checkpoint covers are not read; damage in them is found when they are", async () => {
    let disk = simulatedDisk({ seed: 11 });
    const options = { disk, keys: testKeys, world, entropy: world.entropy, version: "0.1.0" };
    const limits = { ...smallLimits, openCheckBytes: 40 * 1024 };
    const first = await openStore({ ...options, limits });
    await appendRuns(first, 1, 200);
    await first.close();
    const segments = [...disk.files().keys()].filter((name) => name.endsWith(".segment")).sort();
    expect(segments.length).toBeGreaterThan(4);
    disk.flipBit(segments[1] ?? "", { offset: 2000, bit: 3 });
    disk = disk.crash();
    await expect(openStore({ ...options, disk, limits: smallLimits })).rejects.toMatchObject({
      code: "ledger.damaged",
    });
    // Projections in memory read everything; what opens the ledger alone does not.
    const check = { keys: testKeys.records, hasher: nodeHasher, verify: verifySignature };
    const found = await recover(disk, check, { openCheckBytes: 40 * 1024 });
    const whole = recover(disk, check);
    await expect(whole).rejects.toMatchObject({
      code: "ledger.damaged",
      facts: { segment: "0000000002.segment" },
    });
    expect(found.segments).toHaveLength(segments.length);
    expect(found.nextSeq).toBe(found.checkpointSize);
  });
});

describe("appending", () => {
  test("L1 sequence numbers, links and hashes are fixed at once, and read back the same", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 1 }), world);
    const first = store.ledger.append(runStarted(run(1)));
    const second = store.ledger.append(timerSet(run(1), 1));
    expect(second.seq).toBe(first.seq + 1);
    expect(second.previousHash).toBe(first.hash);
    expect(second.runPrevious).toBe(first.hash);
    expect(store.ledger.head()).toEqual({ seq: second.seq, hash: second.hash });
    expect(store.ledger.durableSeq()).toBeLessThan(first.seq);
    await store.ledger.durable(second.seq);
    expect(await store.ledger.read(first.seq)).toEqual(first);
    expect(await store.ledger.read(second.seq)).toEqual(second);
    expect(await store.ledger.readRun(run(1))).toEqual([first, second]);
    await store.close();
  });

  test("L1 a segment that could not be opened once is read the next time", async () => {
    const disk = simulatedDisk({ seed: 3 });
    let isBusy = false;
    const store = await simulatedStore(
      {
        ...disk,
        open: (name, create) =>
          isBusy ? Promise.reject(diskFault("open", name, { code: "EMFILE" })) : disk.open(name, create),
      },
      world,
    );
    // Enough for a new segment, which nobody has read yet.
    await appendRuns(store, 1, 60);
    const entry = store.ledger.append(runStarted(run(61)));
    await store.ledger.durable(entry.seq);
    isBusy = true;
    await expect(store.ledger.read(entry.seq)).rejects.toMatchObject({ code: "store.disk-failed" });
    isBusy = false;
    expect(await store.ledger.read(entry.seq)).toEqual(entry);
    await store.close();
  });

  test("L1 a draft that is refused leaves no trace, nor do those appended with it", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 2 }), world);
    const before = store.ledger.head();
    const bad: EntryDraft<"timer.set"> = {
      ...timerSet(run(1), 1),
      facts: { step: stepId("a"), attempt: 1, atMs: Number.NaN, why: "wait" },
    };
    expect(() => store.ledger.appendAll([runStarted(run(1)), bad])).toThrow(
      expect.objectContaining({ code: "core.invalid-value" }),
    );
    expect(store.ledger.head()).toEqual(before);
    const entry = store.ledger.append(runStarted(run(1)));
    expect(entry.runPrevious).toBeNull();
    await store.close();
  });

  test("L2 an entry or a batch beyond the limits is refused", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 3 }), world);
    const draft = runStarted(run(1));
    const large = { ...draft.facts, event: { ...draft.facts.event, data: { text: "x".repeat(9000) } } };
    expect(() => store.ledger.append({ ...draft, facts: large })).toThrow(
      expect.objectContaining({ code: "ledger.too-large" }),
    );
    await store.close();
  });

  test("L3 one sync covers everything that arrived while the last one ran", async () => {
    const disk = simulatedDisk({ seed: 4 });
    const store = await simulatedStore(disk, world);
    let commits = 0;
    store.ledger.subscribe(() => commits++);
    const runs = Array.from({ length: 40 }, async (_, i) => {
      await store.ledger.durable(store.ledger.append(runStarted(run(i))).seq);
      await store.ledger.durable(store.ledger.append(runEnded(run(i))).seq);
    });
    await Promise.all(runs);
    // 80 entries of about 400 bytes, at most 8 KiB a batch.
    expect(commits).toBeLessThan(12);
    await store.close();
  });

  test("L1 subscribers see every entry once, in order, only when it is durable", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 5 }), world);
    const seen: number[] = [];
    const first = store.ledger.head().seq + 1;
    store.ledger.subscribe((entries) => {
      for (const entry of entries) {
        expect(entry.seq).toBeLessThanOrEqual(store.ledger.durableSeq());
        seen.push(entry.seq);
      }
    });
    await appendRuns(store, 1, 30);
    expect(seen).toEqual(Array.from({ length: 150 }, (_, i) => first + i));
    await store.close();
  });
});

describe("opening again", () => {
  test("K48 L6 the ledger goes on across restarts: one chain, one sequence, rising epochs", async () => {
    let disk = simulatedDisk({ seed: 6 });
    for (let life = 1; life <= 4; life++) {
      const store = await simulatedStore(disk, world);
      expect(store.epoch).toBe(life);
      await appendRuns(store, life * 100, 40);
      if (life % 2 === 0) await store.close();
      disk = disk.crash();
    }
    const store = await simulatedStore(disk, world);
    const entries = await all(store);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, i) => i));
    expect(entries[0]?.kind).toBe("ledger.created");
    entries.forEach((entry, i) => expect(entry.previousHash).toBe(entries[i - 1]?.hash ?? "0".repeat(64)));
    // A run of an earlier life is linked to, although nothing of it is in memory.
    const late = store.ledger.append(timerSet(run(100), 9));
    expect(late.runPrevious).toBe((await store.ledger.readRun(run(100))).at(-1)?.hash);
    expect(await all(store, 5, 9)).toEqual(entries.slice(5, 9));
    await store.close();
  });

  test("L4 a torn last batch is dropped", async () => {
    const disk = simulatedDisk({ seed: 7 });
    const store = await simulatedStore(disk, world);
    await appendRuns(store, 1, 3);
    const kept = store.ledger.head();
    const restarted = disk.crash();
    const file = await restarted.open(lastSegment(restarted), false);
    const zeros = (await file.read(0, 100_000)).findLastIndex((byte) => byte !== 0) + 1;
    // A frame header and the beginning of a batch that never came.
    await file.write(Math.ceil(zeros / 8) * 8, Buffer.from("57424331000001000000000200000000", "hex"));
    const again = await simulatedStore(restarted, world);
    expect((await all(again)).at(-2)).toMatchObject({ seq: kept.seq, hash: kept.hash });
    await again.close();
  });

  test("L4 a damaged batch before the end stops the node, with the place named", async () => {
    const disk = simulatedDisk({ seed: 8 });
    const store = await simulatedStore(disk, world);
    for (let i = 0; i < 3; i++) await appendRuns(store, i * 3 + 1, 3);
    const restarted = disk.crash();
    restarted.flipBit(lastSegment(restarted), { offset: 700, bit: 3 });
    await expect(simulatedStore(restarted, world)).rejects.toMatchObject({
      code: "ledger.damaged",
      facts: {
        segment: lastSegment(restarted).slice("ledger/".length),
        offset: expect.any(Number),
        seq: expect.any(Number),
      },
    });
  });

  test("L4 a ledger that lost its end is not taken for a shorter one", async () => {
    const disk = simulatedDisk({ seed: 9 });
    const store = await simulatedStore(disk, world);
    await appendRuns(store, 1, 5);
    await store.close();
    const restarted = disk.crash();
    const file = await restarted.open(lastSegment(restarted), false);
    const size = await file.size();
    await file.truncate(size - 200);
    await expect(simulatedStore(restarted, world)).rejects.toMatchObject({ code: "ledger.truncated" });
    expect(await file.size(), "the evidence is not touched").toBe(size - 200);
  });

  test("L6 a process that opened earlier makes nothing durable any more", async () => {
    const disk = simulatedDisk({ seed: 10 });
    const earlier = await simulatedStore(disk, world);
    const later = await simulatedStore(disk, world);
    const { seq } = earlier.ledger.append(runStarted(run(1)));
    await expect(earlier.ledger.durable(seq)).rejects.toMatchObject({
      code: "ledger.stopped",
      facts: { reason: "ledger.stale-epoch" },
    });
    await appendRuns(later, 2, 3);
    expect((await all(later)).every((entry) => entry.run !== run(1))).toBe(true);
    await later.close();
  });

  test("K49 a ledger is opened only with the keys it was created with", async () => {
    const disk = simulatedDisk({ seed: 11 });
    await simulatedStore(disk, world);
    const options = { world, entropy: world.entropy, version: "0.1.0", limits: smallLimits };
    await expect(openStore({ ...options, disk: disk.crash(), keys: createKeys() })).rejects.toMatchObject({
      code: "ledger.other-node",
    });
  });

  test("L4 clocks that jump back do not change the order", async () => {
    const jumping = simulatedWorld({ seed: 12, automatic: true });
    const store = await openStore({
      disk: simulatedDisk({ seed: 12 }),
      keys: testKeys,
      world: jumping,
      entropy: jumping.entropy,
      version: "0.1.0",
    });
    store.ledger.append(runStarted(run(1), jumping.nowMs()));
    jumping.jump(-3_600_000);
    const { seq } = store.ledger.append(runStarted(run(2), jumping.nowMs()));
    await store.ledger.durable(seq);
    expect(store.projections.runs({ limit: 5 }).map((row) => row.run)).toEqual([run(2), run(1)]);
    expect((await all(store)).map((entry) => entry.seq)).toEqual([0, 1, 2, 3]);
    await store.close();
  });
});

describe("failing disks", () => {
  test("K54 L5 a failed sync stops the ledger for good: no append succeeds, nothing is retried", async () => {
    const disk = simulatedDisk({ seed: 13 });
    const store = await simulatedStore(disk, world);
    disk.failNextSync("ledger/");
    const first = store.ledger.append(runStarted(run(1)));
    await expect(store.ledger.durable(first.seq)).rejects.toMatchObject({
      code: "ledger.stopped",
      facts: { reason: "store.disk-failed" },
    });
    expect(() => store.ledger.append(runStarted(run(2)))).toThrow(
      expect.objectContaining({ code: "ledger.stopped" }),
    );
    await expect(store.ledger.durable(first.seq)).rejects.toMatchObject({ code: "ledger.stopped" });
    await expect(store.close()).rejects.toMatchObject({ code: "ledger.stopped" });
  });

  test("K54 L5 a full disk stops the ledger; what was durable is still there", async () => {
    const disk = simulatedDisk({ seed: 14 });
    const store = await simulatedStore(disk, world);
    await appendRuns(store, 1, 5);
    const { seq, hash } = store.ledger.head();
    disk.limitFreeBytes(2000);
    const filling = async (): Promise<void> => {
      for (let i = 100; i < 300; i++) await store.ledger.durable(store.ledger.append(runStarted(run(i))).seq);
    };
    await expect(filling()).rejects.toMatchObject({
      code: "ledger.stopped",
      facts: { reason: "ledger.disk-full" },
    });
    const restarted = disk.crash();
    const again = await simulatedStore(restarted, world);
    expect(await again.ledger.read(seq)).toMatchObject({ hash });
    await again.close();
  });

  test("L5 after closing, every call is refused", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 15 }), world);
    await store.close();
    expect(() => store.ledger.append(runStarted(run(1)))).toThrow(
      expect.objectContaining({ code: "ledger.stopped" }),
    );
    await expect(store.ledger.durable(99)).rejects.toMatchObject({ code: "ledger.stopped" });
  });

  test("L4 asking for an entry that is not there is a fault of the caller", async () => {
    const store = await simulatedStore(simulatedDisk({ seed: 16 }), world);
    await expect(store.ledger.read(999)).rejects.toMatchObject({ code: "ledger.no-entry" });
    await store.close();
  });
});

// The ledger on a disk that is cut off at any moment.
import { expect, test } from "vitest";
import { faultRecord } from "@writ/core/fault";
import type { Entry } from "@writ/core/entry";
import type { Sha256 } from "@writ/core/ids";
import { openBlobs } from "@writ/store/blobs";
import { seededRandom } from "@writ/testkit/seeded-random";
import { simulatedDisk, type SimulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld, type SimulatedWorld } from "@writ/testkit/simulated-world";
import { verifyFiles } from "./verify-files.ts";
import { run, runEnded, runStarted, simulatedStore, timerSet } from "./harness.ts";

const seeds = Array.from(
  { length: Number(process.env["SIM_SEEDS"] ?? 100) },
  (_, i) => i + Number(process.env["SIM_FIRST"] ?? 1),
);

/** What the world was told: these entries must be there for ever. */
interface Promised {
  readonly entries: Map<number, string>;
  /** Everything that was appended together. */
  readonly together: (readonly Entry[])[];
  readonly blobs: Set<Sha256>;
}

test.each(seeds)(
  "L1 L2 L4 O1 A1 K48 seed %i: what was durable survives every crash, batches are whole, and all of it verifies",
  async (seed) => {
    const random = seededRandom(seed);
    const world = simulatedWorld({ seed, automatic: true });
    let disk = simulatedDisk({ seed, turnsMax: random.below(4) });
    const promised: Promised = { entries: new Map(), together: [], blobs: new Set() };
    let epoch = 0;
    for (let life = 0; life < 6; life++) {
      disk.crashAfter(1 + random.below(life === 0 ? 60 : 400));
      if (random.chance(0.2)) disk.failNextSync(random.pick(["ledger/", "checkpoints/", "blobs/"]));
      await live({ disk, world, promised, life, random: random.fork() });
      disk = disk.crash();
      const after = await survey(disk, world);
      expect(after.epoch).toBeGreaterThan(epoch);
      epoch = after.epoch;
      for (const [seq, hash] of promised.entries) expect(after.hashes[seq], `entry ${seq}`).toBe(hash);
      for (const entries of promised.together) {
        const kept = entries.filter(({ seq, hash }) => after.hashes[seq] === hash).length;
        expect([0, entries.length], `kept of batch ${entries[0]?.seq}`).toContain(kept);
      }
      expect(await blobsHeld(disk, promised.blobs)).toBe(promised.blobs.size);
      expect((await verifyFiles(disk.files())).bad).toBeNull();
      disk = disk.crash();
      promised.together.length = 0;
    }
  },
);

interface Life {
  readonly disk: SimulatedDisk;
  readonly world: SimulatedWorld;
  readonly promised: Promised;
  readonly life: number;
  readonly random: ReturnType<typeof seededRandom>;
}

/** Some runs at once, until the power is cut. */
async function live({ disk, world, promised, life, random }: Life): Promise<void> {
  try {
    const { ledger, blobs } = await simulatedStore(disk, world);
    const keep = async (entries: readonly Entry[]): Promise<void> => {
      const last = entries.at(-1) as Entry;
      promised.together.push(entries);
      await ledger.durable(last.seq);
      for (const entry of entries) promised.entries.set(entry.seq, entry.hash);
    };
    const worker = async (number: number): Promise<void> => {
      for (let i = 0; ; i++) {
        if (random.chance(0.1))
          promised.blobs.add((await blobs.put(random.bytes(1 + random.below(2000)))).sha256);
        const id = run(life * 1_000_000 + number * 10_000 + i);
        await keep([ledger.append(runStarted(id))]);
        for (let k = random.below(4); k > 0; k--) {
          await keep(ledger.appendAll([timerSet(id, k), timerSet(id, k + 10), timerSet(id, k + 20)]));
        }
        await keep([ledger.append(runEnded(id))]);
      }
    };
    await Promise.all(Array.from({ length: 1 + random.below(8) }, (_, number) => worker(number)));
  } catch (error) {
    // Either the power was cut, or a sync failed and the node stopped by itself.
    expect(faultRecord(error)?.code).toMatch(/^(ledger\.stopped|store\.disk-failed)$/);
  }
}

async function blobsHeld(disk: SimulatedDisk, hashes: ReadonlySet<Sha256>): Promise<number> {
  const blobs = await openBlobs(disk, { bytes: (count) => new Uint8Array(count) });
  let held = 0;
  for (const hash of hashes) if ((await blobs.get(hash)).length > 0) held++;
  return held;
}

async function survey(
  disk: SimulatedDisk,
  world: SimulatedWorld,
): Promise<{ hashes: string[]; epoch: number }> {
  const { ledger, epoch, projections } = await simulatedStore(disk, world);
  const hashes: string[] = [];
  const tails = new Map<string, string>();
  let previous = "0".repeat(64);
  for await (const entry of ledger.scan(0)) {
    expect(entry.seq).toBe(hashes.length);
    expect(entry.previousHash).toBe(previous);
    if (entry.run !== null) {
      expect(entry.runPrevious).toBe(tails.get(entry.run) ?? null);
      tails.set(entry.run, entry.hash);
    }
    previous = entry.hash;
    hashes.push(entry.hash);
  }
  expect(projections.counts().entries).toBe(hashes.length);
  return { hashes, epoch };
}

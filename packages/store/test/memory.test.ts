import { expect, test } from "vitest";
import { encodeCbor } from "@writ/core/cbor";
import type { Actor, EntryDraft } from "@writ/core/entry";
import { capabilityId, keyId, personId, sha256, stepId, type RunId } from "@writ/core/ids";
import type { Value, ValueMap } from "@writ/core/value";
import type { Store } from "@writ/store/open-store";
import { simulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { run, runEnded, runStarted, simulatedStore, timerSet } from "./harness.ts";

const by: Actor = { kind: "person", id: personId("olga"), key: keyId("k_0000000000000001") };
const base = { cause: null, actor: { kind: "node" }, atMs: 1 } as const;
const step = stepId("s");
const policy = sha256("0".repeat(64));
const intent = { verdict: { kind: "allow", policy, approval: null }, targets: [], before: {} } as const;
const place = (key: string) => ({ scope: "workspace", owner: "demo", key }) as const;

const remembered = (id: RunId, key: string, value: Value): readonly EntryDraft[] => [
  {
    ...base,
    kind: "effect.intended",
    run: id,
    facts: {
      ...intent,
      step,
      attempt: 1,
      capability: capabilityId("memory.remember@1.0.0"),
      params: {},
      key: `writer ${id}`,
      effect: "write",
    },
  },
  {
    ...base,
    kind: "effect.completed",
    run: id,
    facts: {
      step,
      attempt: 1,
      result: { kind: "inline", value: { ...place(key), value: { inline: encodeCbor(value) } } },
      labels: ["origin:file"],
      undo: null,
      evidence: "observed",
      resolved: false,
    },
  },
];

const undone = (id: RunId, key: string, previous: ValueMap | null): readonly EntryDraft[] => [
  {
    ...base,
    kind: "undo.intended",
    run: id,
    facts: {
      ...intent,
      step,
      capability: capabilityId("memory.restore@1.0.0"),
      params: { ...place(key), writer: `writer ${id}`, previous },
      key: "u",
    },
  },
  { ...base, kind: "undo.completed", run: id, facts: { step } },
];

const shown = (store: Store) =>
  store.projections.memory.list({ scope: "workspace", owner: "demo", limit: 100 });

async function record(store: Store, ...drafts: readonly EntryDraft[]): Promise<void> {
  const entries = store.ledger.appendAll(drafts);
  await store.ledger.durable(entries.at(-1)?.seq ?? 0);
}

async function opened(seed: number) {
  const world = simulatedWorld({ seed, automatic: true });
  const disk = simulatedDisk({ seed });
  return { world, disk, store: await simulatedStore(disk, world) };
}

test("P8 P9 what is remembered follows the entries at once, and is the same when it is folded again", async () => {
  const { world, disk, store } = await opened(1);
  for (const [n, key, value] of [
    [1, "a", 1],
    [2, "b", "two"],
    [3, "a", { three: true }],
  ] as const) {
    await record(store, runStarted(run(n)), ...remembered(run(n), key, value));
    expect(store.projections.memory.find(place(key))).toMatchObject({
      value: { inline: encodeCbor(value) },
      labels: ["origin:file"],
      writer: `writer ${run(n)}`,
      run: run(n),
    });
  }
  const [a] = shown(store);
  const previous = { value: { inline: encodeCbor(1) }, labels: [], writer: `writer ${run(1)}`, run: run(1) };
  await record(store, ...undone(run(3), "a", { ...previous, seq: 2, atMs: 1 }));
  expect(shown(store)[0]).toMatchObject({ run: run(1), labels: [], value: { inline: encodeCbor(1) } });
  expect(a?.run).toBe(run(3));
  await record(store, ...undone(run(2), "b", null), {
    ...base,
    actor: by,
    kind: "memory.forgotten",
    run: null,
    facts: { ...place("c"), reason: "never was" },
  });
  expect(shown(store).map(({ key }) => key)).toEqual(["a"]);
  const before = shown(store);
  await store.close();
  const again = await simulatedStore(disk, world);
  expect(shown(again)).toEqual(before);
  await again.close();
});

test("P8 G1 a pruning keeps the run whose entry holds what is remembered now, and no other", async () => {
  const { world, disk, store } = await opened(2);
  for (let i = 1; i <= 200; i++) {
    const own = i % 50 === 0 ? remembered(run(i), i < 150 ? "early" : "late", i) : [timerSet(run(i), 1)];
    await record(store, runStarted(run(i)), ...own, runEnded(run(i)));
  }
  await record(store, {
    ...base,
    actor: by,
    kind: "memory.forgotten",
    run: null,
    facts: { ...place("early"), reason: "old" },
  });
  for (let i = 201; i <= 400; i++) await record(store, runStarted(run(i)), runEnded(run(i)));
  await world.advance(7_200_000);
  const before = shown(store);
  expect(before.map(({ key, run: holder }) => [key, holder])).toEqual([["late", run(200)]]);
  const done = await store.prune({ archive: null, by, dryRun: false });
  expect(done.runs).toBeGreaterThan(200);
  expect(await store.ledger.readRun(run(200))).toHaveLength(4);
  expect(await store.ledger.readRun(run(150))).toEqual([]);
  expect(shown(store)).toEqual(before);
  await store.close();
  const again = await simulatedStore(disk, world);
  expect(shown(again)).toEqual(before);
  await again.close();
});

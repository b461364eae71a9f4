import { expect, test } from "vitest";
import type { CallContext } from "@writ/core/capability";
import { encodeCbor } from "@writ/core/cbor";
import { programHash, runId } from "@writ/core/ids";
import type { Remembered } from "@writ/core/ports";
import type { Value, ValueMap } from "@writ/core/value";
import { builtInModules } from "@writ/modules/registry";
import { bench, find } from "./support.ts";

const program = programHash("ab".repeat(32));
const there: Remembered = {
  scope: "workspace",
  owner: "test",
  key: "total",
  value: { inline: encodeCbor(3) },
  labels: ["origin:web"],
  writer: "earlier",
  run: runId("r_0000000001"),
  seq: 7,
  atMs: 1,
};

function remembering(known: Remembered | null) {
  const asked: unknown[] = [];
  const memory = {
    find: (place: unknown) => (asked.push(place), known),
    list: () => [],
  };
  const b = bench({ modules: builtInModules({ memory }) });
  const act = (name: string, params: ValueMap, more: Partial<CallContext> = {}) =>
    find(b.modules, name).perform(params, b.context({ program, ...more }));
  return { asked, act, b, [Symbol.dispose]: () => b[Symbol.dispose]() };
}

test("N1 remembering says what was written and how to put back what was there, and writes nothing itself", async () => {
  using made = remembering(there);
  const done = await made.act(
    "memory.remember",
    { scope: "workspace", key: "total", value: { a: 1 } },
    { idempotencyKey: "now" },
  );
  expect(done.result).toEqual({
    scope: "workspace",
    owner: "test",
    key: "total",
    value: { inline: encodeCbor({ a: 1 }) },
  });
  expect(done.undo).toMatchObject({
    capability: "memory.restore@1.0.0",
    params: { writer: "now", previous: { writer: "earlier", labels: ["origin:web"], seq: 7 } },
  });
  const large = await made.act("memory.remember", {
    scope: "program",
    key: "k",
    value: "x".repeat(10_000),
  });
  expect(large.result).toMatchObject({ owner: program, value: { sizeBytes: 10_003 } });
  await expect(
    made.act("memory.remember", { scope: "program", key: "k", value: "x".repeat(300_000) }),
  ).rejects.toMatchObject({ code: "memory.too-large" });
});

test("N2 what is recalled carries the labels it was remembered with, and a program's own keys stand under its hash", async () => {
  using made = remembering(there);
  expect(await made.act("memory.recall", { scope: "program", key: "total" })).toMatchObject({
    result: 3,
    labels: ["origin:web"],
  });
  expect(made.asked).toEqual([{ scope: "program", owner: program, key: "total" }]);
  using empty = remembering(null);
  expect((await empty.act("memory.recall", { scope: "workspace", key: "x" })).result).toBeNull();
});

test("N3 what was there is put back only while the value is still what the effect wrote", async () => {
  using made = remembering(there);
  const params = { scope: "workspace", owner: "test", key: "total", previous: null as Value };
  expect(await made.act("memory.restore", { ...params, writer: "earlier" })).toMatchObject({ undo: null });
  await expect(made.act("memory.restore", { ...params, writer: "other" })).rejects.toMatchObject({
    code: "memory.moved-on",
  });
});

test("K41 N2 a node without a memory fails the step by code", async () => {
  using b = bench();
  const perform = find(b.modules, "memory.recall").perform(
    { scope: "workspace", key: "x" },
    b.context({ program }),
  );
  await expect(perform).rejects.toMatchObject({ code: "memory.none" });
});

import { expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { Entry } from "@writ/core/entry";
import { replay } from "@writ/runtime/replay";
import { decodeState, encodeState } from "@writ/runtime/state-codec";
import { initialState } from "@writ/runtime/machine";
import { prepareProgram } from "@writ/runtime/program-index";
import { memoryBlobs, simulatedSite } from "@writ/testkit/simulated-modules";
import { act, chain, evaluate, literal, owner, program, rig, step } from "./support.ts";

const waits = program(
  chain(
    step("one", act("put", "a")),
    step("sum", evaluate("1 + 1", "two")),
    ...Array.from({ length: 6 }, (_, i) =>
      step(`w${i}`, { op: "wait", until: { kind: "duration", ms: 1000 } }),
    ),
    step("last", act("put", "b")),
  ),
);

test("Y2 a long run is folded from its last snapshot, and ends as it would have", async () => {
  const blobs = memoryBlobs();
  const first = rig({ blobs, options: { snapshotEntries: 4 } });
  const run = first.start(waits);
  await first.site.advance(3500);
  expect(first.kinds(run).filter((kind) => kind === "run.snapshot").length).toBeGreaterThan(1);
  const ledger = first.ledger.crash();
  let asked = 0;
  const readRun = async (of: typeof run, options?: { readonly fromSnapshot?: boolean }) => {
    if (options?.fromSnapshot !== true) return ledger.readRun(of);
    asked++;
    const entries = await ledger.readRun(of);
    const last = entries.findLast(({ kind }) => kind === "run.snapshot");
    const after = last?.kind === "run.snapshot" ? last.facts.after : -1;
    return entries.filter(({ seq }) => seq >= after);
  };
  const made = rig({
    blobs,
    site: first.site,
    programs: first.programs,
    ledger: { ...ledger, readRun },
  });
  expect(await made.engine.recover()).toEqual({ runs: 1, broken: [] });
  expect(asked).toBe(1);
  const ended = made.engine.ended(run);
  await made.site.advance(10_000);
  expect((await ended).status).toBe("finished");
  expect(first.site.effects.map(({ name }) => name)).toEqual(["a", "b"]);
  const again = await made.engine.replay(run);
  expect(again.divergence).toBeNull();
});

test("Y3 a snapshot that is not what the entries give is found by replay", async () => {
  const made = rig({ options: { snapshotEntries: 4 } });
  const run = made.start(waits);
  await made.site.advance(20_000);
  const entries = await made.ledger.readRun(run);
  const values = new Map<number, Awaited<ReturnType<typeof valueOf>>>();
  const valueOf = async (entry: Entry) =>
    entry.kind === "run.snapshot" && entry.facts.state.kind === "blob"
      ? (await import("@writ/core/cbor")).decodeCbor(await made.options.blobs.get(entry.facts.state.sha256))
      : undefined;
  for (const entry of entries) values.set(entry.seq, await valueOf(entry));
  expect(replay(entries, waits, ({ seq }) => values.get(seq)).divergence).toBeNull();
  const at = entries.find(({ kind }) => kind === "run.snapshot")?.seq ?? 0;
  const lie = { kind: "inline", value: { steps: {} } } as const;
  const told = entries.map((entry) =>
    entry.kind === "run.snapshot" && entry.seq === at
      ? { ...entry, facts: { ...entry.facts, state: lie } }
      : entry,
  );
  const forged = replay(told, waits, ({ seq }) => values.get(seq));
  expect(forged.divergence).toMatchObject({ seq: at, fault: { code: "runtime.diverged" } });
});

test("Y1 values that look like the marks of the form are read back as they were", () => {
  const prepared = prepareProgram(waits);
  const run = rig({ site: simulatedSite() }).start(waits);
  const state = initialState(run, prepared);
  const odd = { $m: [["a", 1]], other: { $m: { $m: null } } };
  const given = { ...state, slots: new Map([["s", { value: odd, labels: [] }]]) };
  const read = decodeState(encodeState(given), prepared);
  expect(read.slots).toEqual(given.slots);
  expect(encodeCbor(encodeState(read))).toEqual(encodeCbor(encodeState(given)));
});

test("Y1 a key `__proto__` is a key like any other", () => {
  const prepared = prepareProgram(waits);
  const state = initialState(rig().start(waits), prepared);
  const value = JSON.parse('{"__proto__": {"a": 1}, "b": 2}');
  const given = { ...state, slots: new Map([["s", { value, labels: [] }]]) };
  const read = decodeState(decodeCbor(encodeCbor(encodeState(given))), prepared).slots.get("s")?.value;
  expect(encodeCbor(read ?? null)).toEqual(encodeCbor(value));
  expect(Object.keys(read ?? {})).toHaveLength(2);
});

test("Y1 Y2 a message that was cut within a character is recorded, and the run ends", async () => {
  const at = literal(`${"a".repeat(79)}𐀀`);
  const hashed = program([step("w", { op: "wait", until: { kind: "time", at } })]);
  const made = rig();
  const run = made.start(hashed);
  await made.site.advance(1000);
  expect(await made.engine.ended(run)).toMatchObject({
    status: "failed",
    fault: { code: "runtime.time-invalid" },
  });
  expect((await made.engine.replay(run)).divergence).toBeNull();
});

test("Y1 a comment that is cut within a character is recorded", async () => {
  const made = rig();
  const run = made.start(waits);
  const reason = `${"a".repeat(1023)}𐀀`;
  const cancelled = made.engine.cancelRun(run, owner, { undo: false, reason });
  await made.site.advance(10);
  await cancelled;
  expect((await made.engine.ended(run)).status).toBe("cancelled");
});

test("Y1 a state that is not plain data is refused, not written without it", () => {
  const state = initialState(rig().start(waits), prepareProgram(waits));
  const odd: object = { ...state, added: new Set(["one"]) };
  expect(() => encodeState(odd as typeof state)).toThrow("Y1");
});

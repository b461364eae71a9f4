import { expect, test } from "vitest";
import { encodeEntry } from "@writ/core/entry-codec";
import { readEnvelope } from "@writ/core/entry-codec";
import { nodeId } from "@writ/core/ids";
import { chunkMs, longCapabilities } from "@writ/testkit/simulated-long";
import { simulatedSite, type SimulatedSite } from "@writ/testkit/simulated-modules";
import { progressBytesMax, progressMsMin } from "../src/limits.ts";
import { call, literal, owner, program, rig, step, type Rig } from "./support.ts";

function longRig(given: { site?: SimulatedSite; from?: Rig } = {}): Rig {
  const site = given.site ?? given.from?.site ?? simulatedSite();
  const byId = new Map(longCapabilities(site).map((each) => [each.id, each]));
  const options = { modules: { ...site.modules, find: (id: never) => byId.get(id) } };
  const { from } = given;
  if (from === undefined) return rig({ site, options });
  return rig({
    site,
    options,
    ledger: from.ledger.crash(),
    programs: from.programs,
    blobs: from.options.blobs,
  });
}

const work = (capability: string, chunks: number, more: Readonly<Record<string, number | boolean>> = {}) =>
  program([
    step(
      "a",
      call(capability, {
        name: literal("out"),
        chunks: literal(chunks),
        ...Object.fromEntries(Object.entries(more).map(([name, value]) => [name, literal(value)])),
      }),
    ),
  ]);

const progressOf = (made: Rig) =>
  made.ledger.entries().flatMap((entry) => (entry.kind === "effect.progress" ? [entry] : []));

test("N1 progress is recorded with a pause between, and the state holds the last", async () => {
  const made = longRig();
  const run = made.start(work("long", 40));
  await made.site.advance(30 * chunkMs + 10);
  const entries = progressOf(made);
  expect(entries.length).toBeGreaterThan(3);
  expect(entries.length).toBeLessThanOrEqual(1 + (30 * chunkMs) / progressMsMin);
  const times = entries.map(({ atMs }) => atMs);
  for (const [i, atMs] of times.entries()) {
    if (i > 0) expect(atMs - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(progressMsMin);
  }
  const state = made.engine.state(run)?.steps.get("a" as never);
  expect(state?.effect?.progress).toEqual(entries.at(-1)?.facts.value);
});

test("N1 an hour of progress is a few hundred entries", async () => {
  const made = longRig();
  const ended = await made.run(work("long", 3_000_000 / chunkMs));
  expect(ended.status).toBe("finished");
  expect(progressOf(made).length).toBeLessThan(600);
});

test("N1 a progress value has a size", async () => {
  const made = longRig();
  const [long] = longCapabilities(made.site);
  const asked: unknown[] = [];
  const options = {
    modules: {
      ...made.site.modules,
      find: () =>
        long && {
          ...long,
          perform: async (_given: never, context: Parameters<typeof long.perform>[1]) => {
            try {
              await context.progress?.({ text: "x".repeat(progressBytesMax) });
            } catch (error) {
              asked.push(error);
            }
            return { result: { chunks: 1, sha256: "" }, undo: null, evidence: "observed" as const };
          },
        },
    },
  };
  expect((await rig({ options }).run(work("long", 1))).status).toBe("finished");
  expect(asked).toMatchObject([{ code: "runtime.progress-too-large" }]);
});

test("N1 E4 after a crash a long effect goes on from its last durable progress", async () => {
  const made = longRig();
  const run = made.start(work("long", 40));
  await made.site.advance(20 * chunkMs + 10);
  const last = progressOf(made).at(-1)?.facts.value as { readonly done: number };
  made.site.files.set("out", []);
  const again = longRig({ from: made });
  await again.engine.recover();
  const ended = again.engine.ended(run);
  await again.site.runUntil(() => again.engine.state(run)?.ended !== null);
  expect((await ended).status).toBe("finished");
  const lines = [...new Set(again.site.files.get("out") ?? [])];
  expect(lines).toContain(`chunk ${last.done}`);
  expect(lines).not.toContain(`chunk ${last.done - 2}`);
  expect(lines.at(-1)).toBe("chunk 39");
});

test("N3 what is said after the outcome is not recorded", async () => {
  const made = longRig();
  const [long] = longCapabilities(made.site);
  const kept: { later?: () => unknown } = {};
  const options = {
    modules: {
      ...made.site.modules,
      find: () =>
        long && {
          ...long,
          perform: async (_given: never, context: Parameters<typeof long.perform>[1]) => {
            kept.later = () => context.progress?.({ done: 99 });
            return { result: { chunks: 1, sha256: "" }, undo: null, evidence: "observed" as const };
          },
        },
    },
  };
  const other = rig({ options });
  await other.run(work("long", 1));
  await kept.later?.();
  expect(progressOf(other)).toEqual([]);
});

test("N2 silence is a timeout: what cannot be asked or repeated is held", async () => {
  const made = longRig();
  const run = made.start(work("job", 10, { hangsBefore: 3 }));
  await made.site.advance(3 * chunkMs + 4000);
  expect(made.status(run, "a")).toBe("RUNNING");
  await made.site.advance(6000);
  expect(made.status(run, "a")).toBe("HELD");
  expect(made.ledger.entries().find(({ kind }) => kind === "effect.held")?.facts).toMatchObject({
    reason: expect.stringContaining("no sign of life"),
  });
});

test("N2 signs of life without progress keep it going", async () => {
  const made = longRig();
  const ended = await made.run(work("long", 100, { quiet: true }));
  expect(ended.status).toBe("finished");
  expect(progressOf(made)).toEqual([]);
});

test("N4 cancelling reaches a write that says it can be interrupted, and its word counts", async () => {
  const made = longRig();
  const run = made.start(work("job", 100));
  await made.site.advance(10 * chunkMs + 10);
  await made.engine.cancelRun(run, owner, { undo: false, reason: "not wanted" });
  await made.site.advance(10);
  expect(made.engine.state(run)?.ended?.status).toBe("cancelled");
  expect(made.ledger.entries().find(({ kind }) => kind === "effect.failed")?.facts).toMatchObject({
    fault: { code: "sim.stopped", facts: { done: 10 } },
  });
});

test("N4 cancelling lets any other write finish", async () => {
  const made = longRig();
  const run = made.start(work("long", 20));
  await made.site.advance(5 * chunkMs);
  await made.engine.cancelRun(run, owner, { undo: false, reason: "not wanted" });
  await made.site.advance(30 * chunkMs);
  expect(made.engine.state(run)?.ended?.status).toBe("cancelled");
  expect(made.site.files.get("out")).toHaveLength(20);
});

test("N5 what was streamed beside a result stands with the outcome, and verification asks for it", async () => {
  const made = longRig();
  await made.run(work("long", 2));
  const completed = made.ledger.entries().find(({ kind }) => kind === "effect.completed");
  if (completed?.kind !== "effect.completed") throw new Error("no outcome");
  const [kept] = completed.facts.attachments ?? [];
  expect(completed.facts.result).toMatchObject({
    value: { sha256: kept?.kind === "blob" ? kept.sha256 : "" },
  });
  const bytes = encodeEntry(completed, {
    node: nodeId(completed.node),
    epoch: 1,
    seq: 1,
    previousHash: new Uint8Array(32),
    runPrevious: null,
  });
  expect(readEnvelope(bytes).blobs).toEqual([kept?.kind === "blob" ? kept.sha256 : ""]);
});

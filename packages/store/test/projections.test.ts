import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { EntryDraft } from "@writ/core/entry";
import {
  approvalId,
  eventId,
  keyId,
  personId,
  programHash,
  roleName,
  sha256,
  stepId,
  type ProgramHash,
  type RunId,
} from "@writ/core/ids";
import { openLedger, type OpenLedger } from "@writ/store/ledger";
import { foldedKeyRing } from "@writ/store/keys";
import { nodeHasher } from "@writ/store/node-crypto";
import { openProjections, type OpenProjections } from "@writ/store/projections";
import { simulatedDisk, type SimulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { run, runEnded, runStarted, smallLimits, testKeys, testProgram, timerSet } from "./harness.ts";

const world = simulatedWorld({ seed: 3, automatic: true });
const folder = mkdtempSync(join(tmpdir(), "writ-projections-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Opened {
  readonly disk: SimulatedDisk;
  readonly ledger: OpenLedger;
  readonly projections: OpenProjections;
}

async function openOn(disk: SimulatedDisk, file = ":memory:"): Promise<Opened> {
  const { identity, signer, records } = testKeys;
  const projections = openProjections(file, identity.node, world);
  const ledger = await openLedger({
    disk,
    hasher: nodeHasher,
    entropy: world.entropy,
    identity,
    signer,
    keyRing: foldedKeyRing(records),
    nowMs: 1,
    knownSeq: projections.knownSeq,
    limits: smallLimits,
  });
  await projections.follow(ledger);
  return { disk, ledger, projections };
}

async function append(ledger: OpenLedger, ...drafts: readonly EntryDraft[]): Promise<void> {
  const seq = ledger.appendAll(drafts).at(-1)?.seq ?? 0;
  await ledger.durable(seq);
}

const node = { kind: "node" } as const;
const person = { kind: "person", id: personId("anna"), key: keyId("k_0123456789abcdef") } as const;
const step = stepId("ask");
const approval = approvalId("a_00000001");

function of<Kind extends EntryDraft["kind"]>(kind: Kind, id: RunId | null, facts: object): EntryDraft {
  return { kind, run: id, cause: null, actor: node, atMs: 7, facts } as unknown as EntryDraft;
}

const requested = (id: RunId): EntryDraft =>
  of("approval.requested", id, {
    approval,
    step,
    role: roleName("accountant"),
    message: "Move a.csv?",
    effects: [],
    expiresAtMs: 99,
    reason: "program",
    onExpiry: "reject",
  });

describe("runs", () => {
  test("P1 a run's row follows its entries, and queries see everything durable at once", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 1 }));
    await append(ledger, runStarted(run(1), 5));
    expect(projections.run(run(1))).toEqual({
      run: run(1),
      program: testProgram,
      workspace: "demo",
      status: "running",
      startedAtMs: 5,
      endedAtMs: null,
      eventSummary: "filesystem.file_arrived inbox/a.csv",
      faultCode: null,
      startedSeq: 1,
    });
    expect(projections.unfinishedRuns()).toEqual([run(1)]);
    const fault = { code: "csv.wrong-columns", kind: "rejected", message: "m", remedy: "r", facts: {} };
    await append(ledger, of("run.ended", run(1), { status: "failed", result: null, fault }));
    expect(projections.run(run(1))).toMatchObject({
      status: "failed",
      endedAtMs: 7,
      faultCode: "csv.wrong-columns",
    });
    expect(projections.unfinishedRuns()).toEqual([]);
    expect(projections.run(run(2))).toBeUndefined();
  });

  test("P1 a run started by hand shows the type of its event, not an id that means nothing", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 1 }));
    const draft = runStarted(run(1), 5);
    if (draft.kind !== "run.started") throw new Error(draft.kind);
    const { subject: _, ...event } = draft.facts.event;
    await append(ledger, {
      ...draft,
      facts: { ...draft.facts, event: { ...event, type: "writ.manual", data: {} } },
    });
    expect(projections.run(run(1))?.eventSummary).toBe("writ.manual");
  });

  test("P1 runs are listed newest first, filtered, in pages", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 2 }));
    for (let i = 1; i <= 9; i++)
      await append(ledger, runStarted(run(i)), ...(i % 2 === 0 ? [runEnded(run(i))] : []));
    const ids = (rows: readonly { run: RunId }[]): RunId[] => rows.map((row) => row.run);
    const page = projections.runs({ limit: 4 });
    expect(ids(page)).toEqual([run(9), run(8), run(7), run(6)]);
    expect(ids(projections.runs({ limit: 4, before: page.at(-1)?.startedSeq ?? 0 }))).toEqual([
      run(5),
      run(4),
      run(3),
      run(2),
    ]);
    expect(ids(projections.runs({ limit: 9, status: "finished" }))).toEqual([run(8), run(6), run(4), run(2)]);
    expect(projections.runs({ limit: 9, workspace: "other" })).toEqual([]);
    expect(projections.runs({ limit: 9, program: testProgram, workspace: "demo" })).toHaveLength(9);
    expect(projections.counts()).toEqual({
      entries: 14,
      events: 0,
      approvals: 0,
      held: 0,
      runs: { running: 5, finished: 4 },
    });
  });

  test("P1 pending approvals are those requested and not decided, not expired, of runs that have not ended", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 3 }));
    const decided = of("approval.decided", run(1), {
      approval,
      step,
      decision: "approve",
      by: person,
      comment: "",
    });
    const expired = of("approval.expired", run(1), { approval, step });
    await append(ledger, runStarted(run(1)));
    for (const end of [decided, expired, runEnded(run(1))]) {
      await append(ledger, requested(run(1)));
      expect(projections.pendingApprovals()).toMatchObject([
        { run: run(1), workspace: "demo", facts: { approval, message: "Move a.csv?", effects: [] } },
      ]);
      expect(projections.pendingApproval(approval)?.requestedAtMs).toBe(7);
      expect(projections.run(run(1))?.status).toBe("waiting");
      await append(ledger, end);
      expect(projections.pendingApprovals()).toEqual([]);
      expect(projections.run(run(1))?.status).toBe(end.kind === "run.ended" ? "finished" : "running");
    }
  });

  test("P1 held effects and undos wait for a person until they are settled", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 4 }));
    const fault = { code: "undo.changed", kind: "broken", message: "changed since", remedy: "r", facts: {} };
    await append(
      ledger,
      runStarted(run(1)),
      of("effect.held", run(1), { step, attempt: 2, reason: "cannot ask" }),
    );
    expect(projections.held()).toMatchObject([
      { run: run(1), kind: "effect", step, attempt: 2, reason: "cannot ask" },
    ]);
    expect(projections.run(run(1))?.status).toBe("held");
    await append(
      ledger,
      of("effect.settled", run(1), { step, attempt: 2, decision: "skip", by: person, result: null }),
    );
    expect(projections.held()).toEqual([]);
    await append(ledger, runEnded(run(1)), of("undo.requested", run(1), { by: person, reason: "" }));
    expect(projections.run(run(1))?.status).toBe("undoing");
    expect(projections.unfinishedRuns()).toEqual([run(1)]);
    await append(ledger, of("undo.held", run(1), { step, fault }));
    expect(projections.held()).toMatchObject([{ kind: "undo", attempt: null, reason: "changed since" }]);
    await append(ledger, of("undo.settled", run(1), { step, decision: "leave", by: person }));
    await append(ledger, of("run.ended", run(1), { status: "rolled_back", result: null, fault: null }));
    expect(projections.run(run(1))?.status).toBe("rolled_back");
    expect(projections.unfinishedRuns()).toEqual([]);
  });

  test("L7 a run is read through the index, whole and in order, also from many batches", async () => {
    const { ledger } = await openOn(simulatedDisk({ seed: 5 }));
    await append(ledger, runStarted(run(1)), runStarted(run(2)));
    for (let i = 0; i < 60; i++) {
      const both = ledger.appendAll([timerSet(run(1), i), timerSet(run(2), i)]);
      if (i % 3 === 0) await ledger.durable(both[1]?.seq ?? 0);
    }
    await append(ledger, runEnded(run(1)));
    const entries = await ledger.readRun(run(1));
    expect(entries).toHaveLength(62);
    entries.forEach((entry, i) => expect(entry.runPrevious).toBe(entries[i - 1]?.hash ?? null));
    expect(await ledger.readRun(run(3))).toEqual([]);
  });
});

test("L7 a run with a snapshot is read from the batch of the entry after which that is", async () => {
  const { ledger } = await openOn(simulatedDisk({ seed: 12 }));
  await append(ledger, runStarted(run(1)));
  for (let i = 0; i < 40; i++) await append(ledger, timerSet(run(1), i));
  const after = ledger.durableSeq();
  const state = { kind: "inline", value: {} } as const;
  await append(ledger, timerSet(run(1), 41));
  await append(ledger, of("run.snapshot", run(1), { after, program: testProgram, state }));
  await append(ledger, timerSet(run(1), 42));
  const short = await ledger.readRun(run(1), { fromSnapshot: true });
  expect(short.map(({ seq }) => seq)).toEqual([after, after + 1, after + 2, after + 3]);
  expect(await ledger.readRun(run(1))).toHaveLength(44);
});

describe("events and the registry", () => {
  const received = (key: string, offset: number): EntryDraft =>
    of("event.received", null, {
      event: {
        specversion: "1.0",
        id: eventId(key),
        source: "/sources/inbox",
        type: "t",
        time: "x",
        data: {},
      },
      workspace: "demo",
      labels: [],
      sourceKey: key,
      cursor: { offset },
    });

  test("P1 an event is seen once it is recorded", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 6 }));
    expect(projections.eventSeen("k1")).toBe(false);
    await append(ledger, received("k1", 1), received("k2", 2));
    const seen = ["k1", "k2", "k3"].map((key) => projections.eventSeen(key));
    expect(seen).toEqual([true, true, false]);
  });

  test("P1 node entries are those of the registry, in order, with the last event of each source session", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 7 }));
    for (let i = 0; i < 20; i++) {
      const event = received(`s${i % 2}#${i}`, i);
      const revoked = of("capability.revoked", null, { capability: "sim.put", reason: "no" });
      await append(ledger, event, revoked, runStarted(run(i)));
    }
    const kinds: string[] = [];
    const offsets: unknown[] = [];
    for await (const entry of projections.nodeEntries()) {
      kinds.push(entry.kind);
      if (entry.kind === "event.received") offsets.push(entry.facts.cursor["offset"]);
    }
    const revoked = Array.from({ length: 18 }, () => "capability.revoked");
    const events = ["event.received", "capability.revoked", "event.received", "capability.revoked"];
    expect(kinds).toEqual(["ledger.created", ...revoked, ...events]);
    expect(offsets).toEqual([18, 19]);
    const some: string[] = [];
    for await (const entry of projections.nodeEntries(["ledger.created"])) some.push(entry.kind);
    expect(some).toEqual(["ledger.created"]);
  });

  test("P6 of a program the newest entry of each kind is kept, without what it holds inline", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 8 }));
    const bytes = (text: string) => ({ kind: "inline", value: new TextEncoder().encode(text) }) as const;
    const other = programHash("cd".repeat(32));
    const compiled = (program: ProgramHash, name: string) =>
      of("program.compiled", null, {
        program,
        bytes: bytes("bytes"),
        source: bytes("source"),
        certificate: bytes("certificate"),
        verdict: "proved",
        name,
        workspace: "demo",
      });
    await append(ledger, compiled(testProgram, "old"));
    await append(ledger, compiled(other, "other"), of("program.deployed", null, { program: testProgram }));
    await append(ledger, of("program.paused", null, { program: testProgram }), compiled(testProgram, "new"));
    const { programs } = projections;
    expect(programs.deployed()).toEqual([testProgram]);
    expect([programs.count(), programs.newestFirst(9, 0)]).toEqual([2, [other, testProgram]]);
    expect(programs.withPrefix("cd", 9)).toEqual([other]);
    expect(programs.withPrefix("c".repeat(64), 9)).toEqual([]);
    const entries = programs.entries(testProgram);
    expect(entries.map(({ kind }) => kind)).toEqual([
      "program.compiled",
      "program.deployed",
      "program.paused",
    ]);
    const hash = createHash("sha256").update("bytes").digest("hex");
    const reference = { kind: "blob", sha256: hash, sizeBytes: 5 };
    expect(entries[0]?.facts).toMatchObject({ name: "new", bytes: reference });
    expect(programs.placeOf(sha256(hash))).toBe(ledger.durableSeq());
    await append(ledger, of("program.undeployed", null, { program: testProgram, reason: "" }));
    expect(programs.deployed()).toEqual([]);
    expect(programs.entries(testProgram).map(({ kind }) => kind)).toEqual([
      "program.compiled",
      "program.undeployed",
    ]);
  });

  test("P7 counts are those of the runs, whatever they were before", async () => {
    const { ledger, projections } = await openOn(simulatedDisk({ seed: 9 }));
    for (let i = 1; i <= 9; i++) await append(ledger, runStarted(run(i)), received(`k${i % 3}`, i));
    for (let i = 1; i <= 4; i++) await append(ledger, runEnded(run(i)));
    expect(projections.counts()).toMatchObject({ runs: { running: 5, finished: 4 }, events: 3 });
    expect(projections.unfinishedIn("demo", 2)).toEqual([run(5), run(6)]);
    expect(projections.unfinishedIn("other", 2)).toEqual([]);
  });
});

describe("rebuilding", () => {
  async function history(ledger: OpenLedger): Promise<void> {
    for (let i = 1; i <= 30; i++) {
      await append(ledger, runStarted(run(i)), timerSet(run(i), 1));
      if (i % 3 === 0) await append(ledger, runEnded(run(i)));
      if (i % 7 === 0) await append(ledger, requested(run(i)));
    }
  }
  const state = (projections: OpenProjections): unknown => [
    projections.runs({ limit: 99 }),
    projections.unfinishedRuns(),
    projections.pendingApprovals(),
    projections.counts(),
  ];

  test("P2 projections built anew are those that followed, and broken ones are built anew", async () => {
    const file = join(folder, "p2.db");
    const first = await openOn(simulatedDisk({ seed: 8 }), file);
    await history(first.ledger);
    const followed = state(first.projections);
    await first.ledger.close();
    first.projections.close();
    let { disk } = first;
    for (const prepare of [
      () => undefined,
      () => rmSync(file),
      () => writeFileSync(file, "no database".repeat(999)),
    ]) {
      prepare();
      const again = await openOn(disk, file);
      expect(state(again.projections)).toEqual(followed);
      again.projections.close();
      disk = disk.crash();
    }
  });

  test("P3 projections ahead of the ledger prove that it lost durable entries", async () => {
    const file = join(folder, "p3.db");
    const first = await openOn(simulatedDisk({ seed: 9 }), file);
    await history(first.ledger);
    const early = first.disk.crash();
    first.projections.close();
    // A disk that lies: everything written after the first batches is gone.
    for (const name of early.files().keys()) {
      if (name.endsWith("segment") && !name.endsWith("01.segment")) await early.remove(name);
      if (name.startsWith("checkpoints/")) await early.remove(name);
    }
    const segment = await early.open("ledger/0000000001.segment", false);
    await segment.truncate(2000);
    await expect(openOn(early, file)).rejects.toMatchObject({ code: "ledger.truncated" });
  });

  test("P3 a ledger whose entries are other than those projected is damaged", async () => {
    const file = join(folder, "p4.db");
    const first = await openOn(simulatedDisk({ seed: 10 }), file);
    await append(first.ledger, runStarted(run(1)), runStarted(run(2)));
    first.projections.close();
    const other = await openOn(simulatedDisk({ seed: 11 }));
    await append(other.ledger, runStarted(run(3)), runStarted(run(4)), runStarted(run(5)));
    await expect(openOn(other.disk.crash(), file)).rejects.toMatchObject({ code: "ledger.damaged" });
  });
});

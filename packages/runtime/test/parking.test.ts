import { expect, test } from "vitest";
import { roleName } from "@writ/core/ids";
import type { HashedProgram } from "@writ/core/program";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import { memoryParkedRuns } from "@writ/testkit/memory-parked-runs";
import { simulatedSite } from "@writ/testkit/simulated-modules";
import { accountant, act, chain, event, literal, owner, program, rig, step, type Rig } from "./support.ts";

const hourMs = 3_600_000;

function sleeper(ms = hourMs, change: Parameters<typeof program>[1] = {}): HashedProgram {
  const wait = step("sleep", { op: "wait", until: { kind: "duration", ms } });
  return program(chain(step("one", act("put", "a")), wait, step("two", act("put", "b"))), change);
}

const asking = program([
  step("ask", {
    op: "approve",
    role: roleName("accountant"),
    withinMs: hourMs,
    message: literal("may I?"),
    body: { steps: [step("one", act("put", "a"))] },
    otherwise: null,
  }),
]);

/** A rig whose runs are parked; given a former one, what a restart makes of it. */
function parkingRig(former?: Rig, more: { runsActiveMax?: number; runsUnfinishedMax?: number } = {}): Rig {
  const ledger = former === undefined ? memoryLedger() : former.ledger.crash();
  const before = former?.options.parked;
  const parked = memoryParkedRuns(
    ledger,
    before === undefined ? undefined : (before as ReturnType<typeof memoryParkedRuns>),
  );
  return rig({
    ledger,
    site: former?.site ?? simulatedSite(),
    ...(former === undefined ? {} : { programs: former.programs }),
    options: { parked, unfinishedRuns: () => Promise.resolve(parked.unparked()), ...more },
  });
}

function withoutIndex(former: Rig): Rig {
  return { ...former, options: { ...former.options, parked: memoryParkedRuns(former.ledger) } };
}

test("Z1 Z3 a run that only waits leaves memory and comes back when its time has come", async () => {
  const made = parkingRig();
  const run = made.start(sleeper());
  const ended = made.engine.ended(run);
  await made.site.advance(1000);
  expect(made.engine.load()).toMatchObject({ active: 1, parked: 0 });
  await made.site.advance(10_000);
  expect(made.engine.load()).toMatchObject({ active: 0, parked: 1 });
  expect(made.engine.state(run)).toBeUndefined();
  await made.site.advance(hourMs);
  expect((await ended).status).toBe("finished");
  expect(made.engine.load()).toMatchObject({ active: 0, parked: 0 });
  expect(made.kinds(run).filter((kind) => kind === "effect.completed")).toHaveLength(2);
});

test("Z1 a run with something under way stays, however long that takes", async () => {
  const made = parkingRig();
  made.site.behave("slow", { kind: "slow", ms: 20_000 });
  const wait = step("sleep", { op: "wait", until: { kind: "duration", ms: hourMs } });
  made.start(program([wait, step("long", act("put", "slow"))]));
  await made.site.advance(15_000);
  expect(made.engine.load()).toMatchObject({ active: 1, parked: 0 });
  await made.site.advance(20_000);
  expect(made.engine.load()).toMatchObject({ active: 0, parked: 1 });
});

test("Z2 a restart folds no parked run, and it goes on at its time", async () => {
  const former = parkingRig();
  const run = former.start(sleeper());
  await former.site.advance(10_000);
  const made = parkingRig(former);
  expect(await made.engine.recover()).toEqual({ runs: 0, broken: [] });
  expect(made.engine.load()).toMatchObject({ active: 0, parked: 1 });
  const ended = made.engine.ended(run);
  await made.site.advance(hourMs);
  expect((await ended).status).toBe("finished");
});

test("Z2 what was parked before the run went on is forgotten by a restart", async () => {
  const former = parkingRig();
  const run = former.start(sleeper(10_000));
  await former.site.advance(5000);
  const parkedRun = { run, program: sleeper(10_000).hash, seq: 3, wakeAtMs: null };
  await former.site.advance(5001);
  former.options.parked?.park([parkedRun]);
  const made = parkingRig(former);
  await made.engine.recover();
  expect(made.engine.load().parked).toBe(0);
});

test("Z2 an approval of a parked run is shown, and deciding on it brings the run back", async () => {
  const made = parkingRig();
  const run = made.start(asking);
  const ended = made.engine.ended(run);
  await made.site.advance(10_000);
  expect(made.engine.load().parked).toBe(1);
  const [request] = made.engine.approvals();
  expect(request).toMatchObject({ run, workspace: "sim", state: "waiting", message: "may I?" });
  if (request === undefined) throw new Error("nothing waits");
  const decided = made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(10);
  await decided;
  expect((await ended).status).toBe("finished");
});

test("Z2 nobody deciding on a parked run's approval ends as it does for every other", async () => {
  const made = parkingRig();
  const ended = made.engine.ended(made.start(asking));
  await made.site.advance(2 * hourMs);
  expect(await ended).toMatchObject({ status: "failed", fault: { code: "approval.expired" } });
});

test("Z2 a parked run is cancelled, and is not undone before it has ended", async () => {
  const made = parkingRig();
  const run = made.start(sleeper());
  await made.site.advance(10_000);
  await expect(made.engine.undoRun(run, owner, "")).rejects.toMatchObject({ code: "run.not-ended" });
  await made.site.advance(10_000);
  expect(made.engine.load().parked).toBe(1);
  const ended = made.engine.ended(run);
  const cancelled = made.engine.cancelRun(run, owner, { undo: false, reason: "enough" });
  await made.site.advance(10);
  await cancelled;
  expect((await ended).status).toBe("cancelled");
});

test("Z2 the time limit of a parked run holds", async () => {
  const made = parkingRig();
  const ended = made.engine.ended(made.start(sleeper(10 * hourMs, { runTimeoutMs: hourMs })));
  await made.site.advance(hourMs + 1);
  expect((await ended).status).toBe("cancelled");
});

test("Z4 runs that wait do not count as runs in memory: many more may have begun", async () => {
  const made = parkingRig(undefined, { runsActiveMax: 20 });
  const hashed = sleeper();
  const runs = [];
  for (let i = 0; i < 100; i++) {
    runs.push(made.start(hashed, { event: event({}, `e${i}`) }));
    await made.site.advance(200);
  }
  expect(made.engine.load().active).toBeLessThanOrEqual(20);
  await made.site.advance(2 * hourMs);
  const statuses = await Promise.all(runs.map(async (run) => (await made.engine.ended(run)).status));
  expect(new Set(statuses)).toEqual(new Set(["finished"]));
});

test("Z4 a restart that has lost the index holds no more runs in memory, and every one goes on", async () => {
  const former = parkingRig(undefined, { runsActiveMax: 20 });
  const hashed = sleeper();
  former.site.behave("slow", { kind: "slow", ms: 20_000 });
  const runs = [];
  for (let i = 0; i < 200; i++) {
    runs.push(former.start(hashed, { event: event({}, `e${i}`) }));
    await former.site.advance(200);
  }
  const busy = former.start(program([step("long", act("put", "slow"))]));
  await former.site.advance(3000);
  const made = parkingRig(withoutIndex(former), { runsActiveMax: 20 });
  expect(await made.engine.recover()).toEqual({ runs: 201, broken: [] });
  expect(made.engine.load()).toMatchObject({ active: 1, parked: 200 });
  expect(made.engine.state(busy)).toBeDefined();
  const ended = Promise.all(runs.map(async (run) => (await made.engine.ended(run)).status));
  // What came due while the node was down goes on a few at a time.
  let most = 0;
  for (let i = 0; i < 80; i++) {
    await made.site.advance(60_000);
    most = Math.max(most, made.engine.load().active);
  }
  expect(most).toBeLessThanOrEqual(20);
  expect(new Set(await ended)).toEqual(new Set(["finished"]));
});

test("Z4 runs that came due while the node was down come back as there is room", async () => {
  const former = parkingRig(undefined, { runsActiveMax: 20 });
  const hashed = sleeper();
  const runs = [];
  for (let i = 0; i < 100; i++) {
    runs.push(former.start(hashed, { event: event({}, `e${i}`) }));
    await former.site.advance(200);
  }
  await former.engine.stop();
  await former.site.advance(2 * hourMs);
  const made = parkingRig(withoutIndex(former), { runsActiveMax: 20 });
  expect(await made.engine.recover()).toEqual({ runs: 100, broken: [] });
  expect(made.engine.load()).toMatchObject({ active: 20, parked: 80 });
  const ended = Promise.all(runs.map(async (run) => (await made.engine.ended(run)).status));
  await made.site.advance(60_000);
  expect(new Set(await ended)).toEqual(new Set(["finished"]));
});

test("Z4 runs that have not ended are bounded, and the one too many is told when to come again", async () => {
  const made = parkingRig(undefined, { runsActiveMax: 20, runsUnfinishedMax: 5 });
  for (let i = 0; i < 5; i++) made.start(sleeper());
  await made.site.advance(10_000);
  expect(() => made.start(sleeper())).toThrow(expect.objectContaining({ code: "runtime.full" }));
});

test("Z5 a parked run keeps its turn: no other of its program begins in its place, also after a restart", async () => {
  const hashed = sleeper(hourMs, { concurrencyMax: 1 });
  const former = parkingRig();
  former.start(hashed);
  await former.site.advance(10_000);
  const made = parkingRig(former);
  await made.engine.recover();
  const second = made.start(hashed);
  await made.site.advance(60_000);
  expect(made.status(second, "one")).toBe("WAITING");
  await made.site.advance(2 * hourMs);
  expect((await made.engine.ended(second)).status).toBe("finished");
});

test("Z6 an order and a start that needs room at the same moment: the order reaches the run, and nothing of it is left", async () => {
  const made = parkingRig(undefined, { runsActiveMax: 1 });
  const run = made.start(sleeper());
  await made.site.advance(1000);
  expect(made.engine.load()).toMatchObject({ active: 1, parked: 0 });
  const cancelled = made.engine.cancelRun(run, owner, { undo: false, reason: "enough" });
  // The node is full: it parks what only waits.
  expect(() => made.start(sleeper())).toThrow("Cannot start a run now");
  await made.site.advance(1000);
  await cancelled;
  await made.site.advance(hourMs);
  expect((await made.engine.ended(run)).status).toBe("cancelled");
  expect(made.engine.load()).toMatchObject({ active: 0, parked: 0 });
  expect(made.kinds(run).filter((kind) => kind === "run.ended")).toHaveLength(1);
});

for (const restarts of [false, true]) {
  test(`S5 S7 a parent that only waits is parked, its child is not, and its end wakes it${restarts ? ", also after a crash" : ""}`, async () => {
    const first = parkingRig();
    const child = sleeper();
    first.programs.set(child.hash, child);
    const call = step("r", { op: "run", program: child.hash, input: {}, output: null });
    const run = first.start(program(chain(call, step("last", act("put", "c")))));
    await first.site.advance(20_000);
    expect(first.engine.load()).toMatchObject({ active: 1, parked: 1 });
    const made = restarts ? parkingRig(first) : first;
    if (restarts) await made.engine.recover();
    await made.site.advance(hourMs);
    expect(await made.engine.ended(run)).toMatchObject({ status: "finished" });
    expect([...made.site.files.keys()].toSorted()).toEqual(["a", "b", "c"]);
    const kinds = made.kinds();
    expect(kinds.filter((kind) => kind === "child.ended")).toHaveLength(1);
    expect(kinds[kinds.indexOf("child.ended") - 1]).toBe("run.ended");
    expect(made.engine.load()).toMatchObject({ active: 0, parked: 0 });
  });
}

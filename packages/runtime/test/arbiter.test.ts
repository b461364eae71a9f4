// Resources, conflict policies and preemption, with real runs, simulated capabilities and time.
import { expect, test } from "vitest";
import type { Priority } from "@writ/core/event";
import { runId, stepId, type RunId } from "@writ/core/ids";
import type { Program, ResourceNeed, Step } from "@writ/core/program";
import {
  act,
  call,
  chain,
  event,
  literal,
  owner,
  policies,
  program,
  rig,
  step,
  type Rig,
} from "./support.ts";

const wait = (id: string, ms: number, more: Partial<Step> = {}): Step => ({
  ...step(id, { op: "wait", until: { kind: "duration", ms } }),
  ...more,
});

const need = (name: string, access: "shared" | "exclusive" = "exclusive", count = 1): ResourceNeed => ({
  name,
  count,
  access,
  leaseMs: 3_600_000,
});

function of(steps: readonly Step[], change: Partial<Program>) {
  return program(chain(...steps), { format: 2, ...change });
}

const turns = (made: Rig, runs: readonly RunId[]) =>
  runs.map((run) => (made.engine.state(run)?.begun === true ? "begun" : "waits"));

const line = (made: Rig, kind: string) => made.engine.schedule().lines.find((each) => each.kind === kind);

test("A1 A2 a resource is had exclusively, or shared up to its units", async () => {
  const made = rig({ options: { resourceUnits: (name) => (name === "pump" ? 2 : undefined) } });
  const share = of([wait("w", 1000)], { resources: [need("pump", "shared")] });
  const own = of([wait("w", 500)], { resources: [need("pump")] });
  const runs = [share, share, share, own].map((each) => made.start(each));
  await made.site.advance(0);
  expect(turns(made, runs)).toEqual(["begun", "begun", "waits", "waits"]);
  expect(line(made, "resource")).toMatchObject({ name: "pump", held: 2, heldMax: 2, waiting: 2 });
  await made.site.advance(1000);
  expect(turns(made, runs)).toEqual(["begun", "begun", "begun", "waits"]);
  await made.site.advance(1000);
  expect(turns(made, runs)).toEqual(["begun", "begun", "begun", "begun"]);
  await made.site.advance(500);
  expect(made.engine.active()).toEqual([]);
  expect(line(made, "resource")).toBeUndefined();
  expect(() => made.start(of([], { resources: [need("pump", "shared", 3)] }))).toThrow(
    expect.objectContaining({ code: "runtime.resource-units" }),
  );
});

test("A1 J4 programs that want the same resources in any order do not wait for each other for ever", async () => {
  const made = rig();
  const one = of([wait("w", 1000)], { resources: [need("a"), need("b")] });
  const other = of([wait("w", 1000)], { resources: [need("b"), need("a")] });
  const runs = [one, other, one, other].map((each) => made.start(each));
  for (let turn = 1; turn <= 4; turn++) {
    expect(made.engine.schedule().stuck).toEqual([]);
    await made.site.advance(1000);
    expect(runs.filter((run) => made.engine.state(run)?.ended?.status === "finished").length).toBe(turn);
  }
});

test("A3 K32 who shares does not starve who wants it alone, and a high priority goes first", async () => {
  const made = rig();
  const share = of([wait("w", 1000)], { resources: [need("pump", "shared")] });
  const own = of([wait("w", 1000)], { resources: [need("pump")] });
  const urgent = of([wait("w", 1000)], { resources: [need("pump")], priority: "high" });
  const runs = [made.start(share)];
  await made.site.advance(500);
  runs.push(made.start(own), made.start(share), made.start(urgent));
  await made.site.advance(500);
  expect(turns(made, runs)).toEqual(["begun", "waits", "waits", "begun"]);
  await made.site.advance(1000);
  expect(turns(made, runs)).toEqual(["begun", "begun", "waits", "begun"]);
});

test("K82 K81 A4 resources and turns are given back in success, failure and cancel", async () => {
  const made = rig();
  const shape = { resources: [need("pump")], concurrencyMax: 1 };
  made.site.behave("bad", { kind: "fault", code: "sim.no", times: 9, transient: false });
  expect((await made.run(of([step("a", act("put", "good"))], shape))).status).toBe("finished");
  expect((await made.run(of([step("a", act("put", "bad"))], shape))).status).toBe("failed");
  const waiting = made.start(of([wait("w", 60_000)], shape));
  await made.site.advance(0);
  await made.engine.cancelRun(waiting, owner, { undo: true, reason: "no" });
  await made.site.advance(0);
  expect((await made.run(of([step("a", act("put", "good"))], shape))).status).toBe("finished");
});

test("K82 A4 after a crash the run that had the resource has it again, before those that waited", async () => {
  const made = rig();
  const shape = { resources: [need("pump")] };
  const holder = made.start(of([wait("w", 1000), step("a", act("put", "a"))], shape));
  await made.site.advance(10);
  const waiter = made.start(of([step("b", act("put", "b"))], { ...shape, priority: "critical" }));
  await made.site.advance(10);
  await made.engine.setPriority(waiter, owner, "high");
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  await again.engine.recover();
  await again.site.advance(10);
  expect(again.engine.schedule().lines.find(({ kind }) => kind === "resource")).toMatchObject({
    holders: [{ run: holder }],
    waiters: [{ run: waiter }],
  });
  await again.site.advance(1000);
  expect(again.site.effects.map(({ name }) => name)).toEqual(["a", "b"]);
});

test("A5 a lease that is over cancels its holder; the resource is free when what it did was taken back", async () => {
  const made = rig();
  const resources = [{ ...need("valve"), leaseMs: 5000 }];
  const holder = made.start(
    of([step("open", act("put", "valve"), { failure: policies.compensate }), wait("w", 60_000)], {
      resources,
    }),
  );
  const next = made.start(of([step("look", act("put", "other"))], { resources: [need("valve")] }));
  await made.site.advance(0);
  made.site.behave("valve", { kind: "slow", ms: 1000 });
  await made.site.advance(5100);
  expect([made.engine.state(holder)?.ended ?? null, turns(made, [next])]).toEqual([null, ["waits"]]);
  await made.site.advance(1000);
  expect(made.engine.state(holder)?.ended?.status).toBe("rolled_back");
  expect(made.engine.state(next)?.ended?.status).toBe("finished");
  expect(made.site.effects.map(({ capability, name }) => `${capability} ${name}`)).toEqual([
    "sim.put valve",
    "sim.restore valve",
    "sim.put other",
  ]);
});

test("Y6 reject: what comes while the program is busy starts nothing, is counted, and a start is told when to come back", async () => {
  const made = rig();
  const hashed = of([wait("w", 1000)], { conflict: "reject", concurrencyMax: 1 });
  made.start(hashed);
  expect(() => made.start(hashed)).toThrow(
    expect.objectContaining({
      code: "runtime.conflict",
      facts: expect.objectContaining({ retryAfterMs: 1000 }),
    }),
  );
  const first = {
    kind: "event.received",
    run: null,
    cause: null,
    actor: { kind: "node" },
    atMs: 0,
    facts: { event: event(), workspace: "sim", labels: [], sourceKey: "k#1", cursor: {} },
  } as const;
  const start = {
    program: hashed,
    event: event(),
    labels: [],
    principal: { kind: "node" },
    workspace: "sim",
  } as const;
  const { runs } = made.engine.startTogether(first, [start]);
  expect([runs, made.kinds().filter((kind) => kind === "event.received").length]).toEqual([[], 1]);
  expect(made.engine.schedule().rejected).toEqual([{ program: hashed.hash, count: 2 }]);
  await made.site.advance(1000);
  expect((await made.run(hashed)).status).toBe("finished");
});

test("Y6 queueMax: one more than may wait is refused with a time", async () => {
  const made = rig();
  const hashed = of([wait("w", 1000)], { queueMax: 1, concurrencyMax: 1 });
  made.start(hashed);
  made.start(hashed);
  expect(() => made.start(hashed)).toThrow(
    expect.objectContaining({
      code: "runtime.busy",
      facts: expect.objectContaining({ waiting: 1, waitingMax: 1, retryAfterMs: 1000 }),
    }),
  );
});

/** A run of the program holds its turn; another one comes. */
async function comes(
  priorities: readonly [Priority, Priority],
  change: Partial<Program> = {},
  steps: readonly Step[] = [step("a", act("append", "log")), wait("w", 10_000)],
) {
  const made = rig();
  const shape = { concurrencyMax: 1, conflict: "preempt", ...change } as const;
  const hashed = of(steps, shape);
  const first = made.start(hashed);
  await made.engine.setPriority(first, owner, priorities[0]);
  await made.site.advance(100);
  const second = made.start(hashed, { event: event({}, "e2") });
  if (priorities[1] !== "normal") await made.engine.setPriority(second, owner, priorities[1]);
  await made.site.advance(100);
  return { made, first, second };
}

test("K31 K106 Y1 preempt: the older run gives way, takes back what it did, and starts again behind the newer", async () => {
  const { made, first, second } = await comes(["normal", "normal"]);
  expect(made.engine.state(first)?.ended).toMatchObject({
    status: "rolled_back",
    fault: { code: "runtime.preempted", facts: { by: second, on: "turn", again: true } },
  });
  expect(made.kinds(first).slice(-4)).toEqual([
    "run.preempted",
    "undo.intended",
    "undo.completed",
    "run.ended",
  ]);
  const entries = made.ledger.entries();
  const ended = entries.findIndex(({ kind, run }) => kind === "run.ended" && run === first);
  const restarted = entries[ended + 1];
  expect(restarted).toMatchObject({
    kind: "run.started",
    facts: { event: { id: "e1" }, again: { run: first, times: 1 } },
  });
  await made.site.advance(30_000);
  const statuses = [second, restarted?.run].map(
    (run) => made.engine.state(run ?? runId("r_00000000"))?.ended?.status,
  );
  expect(statuses).toEqual(["finished", "finished"]);
  expect(made.site.files.get("log")?.length).toBe(2);
  expect((await made.engine.replay(first)).divergence).toBeNull();
});

test("Y3 preempt: a fork does not give way, since begun again it would do what it took over as done", async () => {
  const made = rig();
  const steps = chain(step("a", act("append", "log")), wait("w", 10_000));
  const hashed = of(steps, { concurrencyMax: 1, conflict: "preempt" });
  const run = made.start(hashed);
  await made.site.advance(20_000);
  const at = made.ledger.entries().find(({ kind }) => kind === "timer.set")?.seq ?? -1;
  const fork = await made.engine.forkRun(run, at, owner);
  const urgent = made.start(hashed, { event: event({}, "e2") });
  await made.site.advance(60_000);
  const ends = [fork, urgent].map((each) => made.engine.state(each)?.ended?.status);
  expect(ends).toEqual(["finished", "finished"]);
  // Once by the first run and once by the last.
  expect(made.site.effects.filter(({ name }) => name === "log")).toHaveLength(2);
});

test("Y3 preempt: a run that starts again stops where it was to stop", async () => {
  const made = rig();
  const steps = chain(wait("w", 1000), step("a", act("append", "log")));
  const hashed = of(steps, { concurrencyMax: 1, conflict: "preempt" });
  const first = made.start(hashed);
  await made.engine.setBreakpoint(first, owner, "a");
  const second = made.start(hashed, { event: event({}, "e2") });
  await made.site.advance(60_000);
  expect(made.engine.state(second)?.ended?.status).toBe("finished");
  expect(made.engine.active().map(({ steps: all }) => all.get(stepId("a"))?.phase.kind)).toEqual([
    "intercepted",
  ]);
});

test("Y1 preempt: a more urgent run does not give way to a less urgent one, and fail starts nothing again", async () => {
  const urgent = await comes(["high", "normal"]);
  expect(urgent.made.engine.state(urgent.first)?.ending ?? null).toBeNull();
  const failing = await comes(["low", "normal"], { onPreempted: "fail" });
  expect(failing.made.engine.state(failing.first)?.ended?.status).toBe("rolled_back");
  await failing.made.site.advance(60_000);
  expect(failing.made.kinds().filter((kind) => kind === "run.started").length).toBe(2);
});

test("Y2 Y4 a step that may not be left is finished first", async () => {
  const steps = [wait("hold", 5000, { preemptible: false }), wait("w", 60_000)];
  const { made, first } = await comes(["low", "normal"], {}, steps);
  expect(made.engine.state(first)?.ending ?? null).toBeNull();
  await made.site.advance(5000);
  expect(made.engine.state(first)?.ended?.status).toBe("rolled_back");
  expect(made.engine.state(first)?.steps.get(stepId("hold"))?.status).toBe("COMPLETED");
});

test("Y3 a run that has done what cannot be taken back does not give way", async () => {
  const steps = [step("n", call("count", { text: literal("x") })), wait("w", 5000)];
  const { made, first, second } = await comes(["low", "normal"], {}, steps);
  expect(made.engine.state(first)?.ending ?? null).toBeNull();
  await made.site.advance(5000);
  expect(made.engine.state(first)?.ended?.status).toBe("finished");
  expect(made.engine.state(second)?.begun).toBe(true);
});

test("Y3 a run that was driven out again and again is let finish in the end", async () => {
  const made = rig();
  const hashed = of([wait("w", 1000)], { concurrencyMax: 1, conflict: "preempt", onPreempted: "again" });
  let newest = made.start(hashed);
  for (let i = 0; i < 12; i++) {
    await made.site.advance(500);
    newest = made.start(hashed, { event: event({}, `e${i}`) });
  }
  await made.site.advance(60_000);
  expect(made.engine.active()).toEqual([]);
  const times = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "run.preempted" ? [entry.facts.times] : []));
  expect(Math.max(...times)).toBeLessThanOrEqual(3);
  // Every event was carried through once in the end.
  const ends = made.ledger
    .entries()
    .filter((entry) => entry.kind === "run.ended" && entry.facts.status === "finished");
  expect(ends.length).toBe(13);
  expect(made.engine.state(newest)?.ended).not.toBeNull();
});

test("K106 Y1 Y5 preempt stops the less urgent holder of a lock, and its undo comes before anybody else", async () => {
  const made = rig();
  made.site.behave("f", { kind: "slow", ms: 1000 });
  made.site.files.set("f", ["old"]);
  const holder = made.start(
    of([step("write", act("put", "f", "holder")), wait("w", 60_000)], { priority: "low" }),
  );
  await made.site.advance(100);
  const between = made.start(of([step("read", act("put", "f", "between"))], { priority: "critical" }));
  const urgent = made.start(
    of([step("mine", act("put", "f", "urgent"))], { priority: "high", conflict: "preempt" }),
  );
  await made.site.advance(0);
  expect(made.engine.state(holder)?.ending).toMatchObject({ fault: { facts: { on: "lock", by: urgent } } });
  await made.site.advance(10_000);
  expect(made.engine.state(holder)?.ended?.status).toBe("rolled_back");
  expect(made.site.effects.slice(0, 4).map(({ capability, run }) => [capability, run])).toEqual([
    ["sim.put", holder],
    ["sim.restore", holder],
    ["sim.put", between],
    ["sim.put", urgent],
  ]);
  const status = [between, urgent].map((run) => made.engine.state(run)?.ended?.status);
  expect(status).toEqual(["finished", "finished"]);
});

test("K106 Y5 a crash while the holder gives way changes nothing of that", async () => {
  const made = rig();
  made.site.behave("f", { kind: "slow", ms: 1000 });
  const holder = made.start(
    of([step("write", act("put", "f", "holder"))], { priority: "low", onPreempted: "fail" }),
  );
  await made.site.advance(100);
  made.start(of([step("mine", act("put", "f", "urgent"))], { priority: "high", conflict: "preempt" }));
  await made.site.advance(400);
  expect(made.kinds(holder).at(-1)).toBe("run.preempted");
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  made.ledger.breakDown();
  await again.engine.recover();
  await again.site.advance(10_000);
  expect(again.engine.active()).toEqual([]);
  const ends = again.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "run.ended" ? [entry.facts.status] : []));
  expect(ends).toEqual(["rolled_back", "finished"]);
  expect(again.site.files.get("f")?.length).toBe(1);
});

test("Y3 a run that gave way starts again once: undoing it later starts nothing", async () => {
  const made = rig();
  const hashed = of([step("a", act("put", "f")), wait("w", 1000)], {
    concurrencyMax: 1,
    conflict: "preempt",
  });
  const first = made.start(hashed);
  await made.site.advance(10);
  made.start(hashed, { event: event({}, "e2") });
  await made.site.advance(60_000);
  expect(made.engine.state(first)?.ended?.status).toBe("rolled_back");
  const startedAgain = () =>
    made.ledger.entries().filter((entry) => entry.kind === "run.started" && entry.facts.again?.run === first);
  expect(startedAgain()).toHaveLength(1);
  await made.engine.undoRun(first, owner, "once more");
  await made.site.advance(60_000);
  expect(made.kinds(first).at(-1)).toBe("run.ended");
  expect(startedAgain()).toHaveLength(1);
});

test("Y5 E12 a node stops although somebody waits for what a run that gives way keeps for its undo", async () => {
  const made = rig();
  made.site.behave("f", { kind: "slow", ms: 1000 });
  const holder = made.start(of([step("write", act("put", "f", "holder"))], { priority: "low" }));
  await made.site.advance(100);
  made.start(of([step("mine", act("put", "f", "urgent"))], { priority: "high", conflict: "preempt" }));
  await made.site.advance(100);
  expect(made.kinds(holder).at(-1)).toBe("run.preempted");
  let isStopped = false;
  const stopped = made.engine.stop().then(() => {
    isStopped = true;
  });
  await made.site.advance(20_000);
  expect(isStopped).toBe(true);
  await stopped;
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  await again.engine.recover();
  await again.site.advance(60_000);
  expect(again.engine.active()).toEqual([]);
});

test("Y5 E12 a node that stops while a run gives way starts it again after the restart", async () => {
  const made = rig();
  const hashed = of([step("a", act("put", "f")), wait("w", 1000)], {
    concurrencyMax: 1,
    conflict: "preempt",
  });
  const first = made.start(hashed);
  await made.site.advance(10);
  made.site.behave("f", { kind: "slow", ms: 2000 });
  made.start(hashed, { event: event({}, "e2") });
  await made.site.advance(10);
  expect(made.kinds(first).at(-1)).toBe("undo.intended");
  const stopped = made.engine.stop();
  await made.site.advance(5000);
  await stopped;
  expect(made.kinds(first).at(-1)).toBe("undo.completed");
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  await again.engine.recover();
  await again.site.advance(60_000);
  expect(again.engine.active()).toEqual([]);
  const entries = again.ledger.entries();
  const next = entries.find((entry) => entry.kind === "run.started" && entry.facts.again?.run === first);
  expect(next).toBeDefined();
  const carried = entries.flatMap((entry) =>
    entry.kind === "run.ended" && entry.facts.status === "finished" ? [entry.run] : [],
  );
  const events = carried.map(
    (run) =>
      entries.find((entry) => entry.kind === "run.started" && entry.run === run)?.facts as {
        readonly event: { readonly id: string };
      },
  );
  expect(events.map(({ event: { id } }) => id)).toEqual(["e2", "e1"]);
});

test("K31 J3 Y1 a run whose priority is raised while it waits goes first, and may have others give way", async () => {
  const made = rig();
  const queue = of([wait("w", 1000)], { concurrencyMax: 1 });
  const [first, second, third] = [made.start(queue), made.start(queue), made.start(queue)];
  await made.engine.setPriority(third, owner, "critical");
  await made.site.advance(1000);
  expect(turns(made, [first, second, third])).toEqual(["begun", "waits", "begun"]);
  const preempt = of([wait("w", 60_000)], { concurrencyMax: 1, conflict: "preempt" });
  const old = made.start(preempt);
  await made.engine.setPriority(old, owner, "low");
  await made.site.advance(10);
  const weak = made.start(preempt, { event: event({}, "e2") });
  expect(made.engine.state(old)?.ending ?? made.engine.state(old)?.ended).toMatchObject({
    fault: { code: "runtime.preempted", facts: { by: weak } },
  });
});

test("K106 Y1 preempt takes a resource from a less urgent holder", async () => {
  const made = rig();
  const low = of([step("open", act("put", "valve")), wait("w", 60_000)], {
    priority: "low",
    resources: [need("valve")],
  });
  const holder = made.start(low);
  await made.site.advance(100);
  const urgent = of([step("close", act("put", "valve", "shut"))], {
    priority: "critical",
    resources: [need("valve")],
    conflict: "preempt",
  });
  const run = made.start(urgent);
  await made.site.advance(100);
  expect(made.engine.state(holder)?.ended?.status).toBe("rolled_back");
  expect(made.engine.state(run)?.ended?.status).toBe("finished");
  // It starts again behind the one it gave way to.
  await made.site.advance(0);
  expect(made.engine.active().map(({ program: hash, preemptions }) => [hash, preemptions])).toEqual([
    [low.hash, 1],
  ]);
});

test("K82 A4 a run that goes on after its end waits for its resources like a new one, also after a crash", async () => {
  const made = rig();
  const resources = [need("pump")];
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const failed = await made.run(of([step("a", act("put", "a"))], { resources }));
  const holder = made.start(of([wait("w", 1000)], { resources }));
  await made.site.advance(10);
  await made.engine.retryStep(failed.run, stepId("a"), owner, "again");
  await made.site.advance(10);
  expect(made.site.effects).toEqual([]);
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  made.ledger.breakDown();
  await again.engine.recover();
  await again.site.advance(10);
  expect(line(again, "resource")).toMatchObject({
    holders: [{ run: holder }],
    waiters: [{ run: failed.run }],
  });
  await again.site.advance(1000);
  expect(again.engine.state(failed.run)?.ended?.status).toBe("finished");
});

import { expect, test } from "vitest";
import { slotName, stepId, type RunId } from "@writ/core/ids";
import type { HashedProgram, Operands, Step } from "@writ/core/program";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import {
  act,
  call,
  chain,
  event,
  finish,
  literal,
  owner,
  policies,
  program,
  retry,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

function runs(child: HashedProgram, input: Operands = {}, output: string | null = null): Step["op"] {
  return { op: "run", program: child.hash, input, output: output === null ? null : slotName(output) };
}

function knows(made: Rig, ...programs: readonly HashedProgram[]): void {
  for (const each of programs) made.programs.set(each.hash, each);
}

function childOf(made: Rig, run: RunId): RunId {
  const started = made.ledger
    .entries()
    .findLast((entry) => entry.kind === "child.started" && entry.run === run);
  if (started?.kind !== "child.started") throw new Error("no child was started");
  return started.facts.run;
}

const doubles = program(chain(step("p", act("put", "made")), step("end", finish("event.data.n"))));

test("S1 the child's result is the step's output, with its labels; start and end are one commit each", async () => {
  const made = rig();
  knows(made, doubles);
  const parent = program(
    chain(step("r", runs(doubles, { n: text("event.data.n") }, "got")), step("end", finish("got"))),
  );
  const outcome = await made.run(parent, { event: event({ n: 4 }), labels: ["origin:web"] });
  expect(outcome).toMatchObject({ status: "finished", result: 4 });
  const child = childOf(made, outcome.run);
  expect(made.engine.state(outcome.run)?.slots.get("got")).toEqual({ value: 4, labels: ["origin:web"] });
  const entries = made.ledger.entries();
  const at = entries.findIndex(({ kind }) => kind === "child.started");
  expect(entries[at + 1]).toMatchObject({ kind: "run.started", run: child, facts: { parent: { depth: 1 } } });
  const end = entries.findIndex(({ kind }) => kind === "child.ended");
  expect(entries[end - 1]).toMatchObject({ kind: "run.ended", run: child });
  expect((await made.engine.replay(outcome.run)).divergence).toBeNull();
});

test("S3 the undo of a parent takes back its child, in the reverse order of completion", async () => {
  const made = rig();
  knows(made, doubles);
  const parent = program(
    chain(
      step("a", act("put", "before")),
      step("r", runs(doubles, { n: literal(1) })),
      step("b", act("put", "after")),
    ),
  );
  const { run } = await made.run(parent);
  expect([...made.site.files.keys()].toSorted()).toEqual(["after", "before", "made"]);
  await made.engine.undoRun(run, owner, "enough");
  await made.site.runUntil(() => made.engine.state(run)?.ended?.status === "rolled_back");
  expect([...made.site.files.keys()]).toEqual([]);
  const undone = made.ledger.entries().filter(({ kind }) => kind === "undo.completed");
  expect(undone.map((entry) => [entry.run === run, entry.facts])).toEqual([
    [true, { step: "b" }],
    [false, { step: "p" }],
    [true, { step: "r" }],
    [true, { step: "a" }],
  ]);
});

test("S2 a failed child goes to the policy of its step; a retry starts another run", async () => {
  const made = rig();
  const fails = program([step("f", { op: "fail", code: "demo.no", message: literal("no") })]);
  knows(made, fails);
  const parent = program([step("r", runs(fails), { failure: retry(3, ["demo.no"]) })]);
  const { status, fault, run } = await made.run(parent);
  expect([status, fault?.code]).toEqual(["failed", "demo.no"]);
  const children = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "child.started" ? [entry.facts.run] : []));
  expect(new Set(children).size).toBe(3);
  expect(made.status(run, "r")).toBe("FAILED");
});

test("S2 every attempt of a child that is retried is taken back", async () => {
  const made = rig();
  const half = program(
    chain(
      step("p", call("put", { name: text("event.data.name"), text: literal("x") })),
      step("f", { op: "fail", code: "demo.no", message: literal("no") }),
    ),
  );
  knows(made, half);
  const parent = program([
    step("r", runs(half, { name: literal("half") }), {
      failure: retry(2, ["demo.no"], policies.compensate),
    }),
  ]);
  const { status } = await made.run(parent);
  expect([status, [...made.site.files.keys()]]).toEqual(["rolled_back", []]);
});

test("S3 a held undo of the child holds its parent's; what a person leaves makes both partial", async () => {
  const made = rig();
  knows(made, doubles);
  const parent = program(chain(step("a", act("put", "before")), step("r", runs(doubles, { n: literal(1) }))));
  const { run } = await made.run(parent);
  const child = childOf(made, run);
  made.site.files.set("made", ["somebody else wrote this"]);
  await made.engine.undoRun(run, owner, "enough");
  await made.site.advance(0);
  expect(made.engine.state(child)?.steps.get(stepId("p"))?.undo?.phase).toBe("held");
  expect(made.engine.state(run)?.ending?.undo).toBe(true);
  expect(made.site.files.has("before")).toBe(true);
  await made.engine.settle(child, stepId("p"), "leave", owner);
  await made.site.advance(0);
  expect(made.engine.state(run)?.ended).toMatchObject({
    status: "finished",
    fault: { code: "undo.partial", facts: { stays: { r: "child" } } },
  });
  expect([...made.site.files.keys()]).toEqual(["made"]);
});

const waits = program(
  chain(
    step("p", act("put", "made")),
    step("w", { op: "wait", until: { kind: "duration", ms: 3_600_000 } }),
    step("q", act("put", "late")),
  ),
);

for (const undo of [false, true]) {
  test(`S4 a cancelled parent cancels its child ${undo ? "with" : "without"} undo and waits for its end`, async () => {
    const made = rig();
    knows(made, waits);
    const run = made.start(program([step("r", runs(waits))]));
    await made.site.advance(1000);
    const child = childOf(made, run);
    await made.engine.cancelRun(run, owner, { undo, reason: "enough" });
    await made.site.advance(0);
    const status = undo ? "rolled_back" : "cancelled";
    expect(made.engine.state(child)?.ended?.status).toBe(status);
    expect(made.engine.state(run)?.ended?.status).toBe(status);
    expect([...made.site.files.keys()]).toEqual(undo ? [] : ["made"]);
    if (undo) return;
    await made.engine.undoRun(run, owner, "after all");
    await made.site.advance(0);
    expect([made.engine.state(run)?.ended?.status, [...made.site.files.keys()]]).toEqual(["rolled_back", []]);
  });
}

test("S4 a child is paused, resumed and as urgent as its parent", async () => {
  const made = rig();
  knows(made, waits);
  const run = made.start(program([step("r", runs(waits))]));
  await made.site.advance(1000);
  const child = childOf(made, run);
  await made.engine.pauseRun(run, owner, "look");
  expect(made.engine.state(child)?.control.paused).not.toBeNull();
  await made.engine.setPriority(run, owner, "high");
  await made.engine.resumeRun(run, owner, "go on");
  expect([made.engine.state(child)?.control.paused, made.engine.state(child)?.priority]).toEqual([
    null,
    "high",
  ]);
  await made.site.advance(3_600_000);
  expect(made.engine.state(run)?.ended?.status).toBe("finished");
});

test("S4 a step whose time has passed cancels its child, waits for it and fails", async () => {
  const made = rig();
  knows(made, waits);
  const run = made.start(program([step("r", runs(waits), { timeoutMs: 60_000 })]));
  await made.site.advance(61_000);
  expect(made.engine.state(run)?.ended).toMatchObject({
    status: "failed",
    fault: { code: "runtime.timeout" },
  });
  expect(made.engine.state(childOf(made, run))?.ended?.status).toBe("cancelled");
});

test("S5 a child neither waits for a turn nor takes one, and calls end at a depth", async () => {
  const made = rig();
  let deepest = program([step("p", act("put", "made"))], { concurrencyMax: 1 });
  knows(made, deepest);
  for (let depth = 0; depth < 9; depth++) {
    deepest = program([step(`r${depth}`, runs(deepest))], { concurrencyMax: 1 });
    knows(made, deepest);
  }
  const { status, fault } = await made.run(deepest);
  expect([status, fault?.code]).toEqual(["failed", "child.too-deep"]);
  const one = program([step("p", act("put", "one"))], { concurrencyMax: 1 });
  knows(made, one);
  const both = {
    op: "parallel",
    branches: [0, 1].map((i) => ({ steps: [step(`r${i}`, runs(one))] })),
  } as const;
  const twice = program([step("all", { ...both, join: { kind: "all" } })], { concurrencyMax: 1 });
  expect((await made.run(twice)).status).toBe("finished");
  expect(made.engine.schedule().turnsWaiting).toBe(0);
});

test("S6 only what is known, of the same workspace and within the parent's resources is called", async () => {
  const made = rig();
  const needs = program([step("p", act("put", "x"))], {
    resources: [{ name: "dock", count: 1, access: "exclusive", leaseMs: 60_000 }],
  });
  const parent = program([step("r", runs(needs))]);
  expect((await made.run(parent)).status).toBe("failed");
  expect(made.kinds()).not.toContain("child.started");
  knows(made, needs);
  expect((await made.run(parent)).fault?.code).toBe("child.resources");
  const holder = program([step("r", runs(needs))], {
    resources: [{ name: "dock", count: 1, access: "exclusive", leaseMs: 60_000 }],
  });
  expect((await made.run(holder)).status).toBe("finished");
});

/** Dies at the n-th point (before and after each sync, before and after each effect), restarts and goes on to the end. */
async function killedAt(n: number, end: (made: Rig, run: RunId) => Promise<void>) {
  const inner = program(chain(step("i", act("append", "log", "inner")), step("end", finish("event.data.n"))));
  const outer = program(
    chain(
      step("a", act("append", "log", "outer")),
      step("r", runs(inner, { n: literal(2) }, "got")),
      step("b", act("append", "log", "last")),
      step("end", finish("got")),
    ),
  );
  let points = 0;
  let isDead = false;
  const reach = (): boolean => {
    points += 1;
    isDead ||= points > n;
    return !isDead;
  };
  const ledger = memoryLedger({ reach });
  const made = rig({ ledger });
  knows(made, inner);
  made.site.setReach(reach);
  const run = made.start(outer);
  await made.site.advance(0);
  if (!isDead) await Promise.race([end(made, run), made.site.advance(0)]);
  if (!isDead) await made.site.advance(0);
  made.site.setReach(() => true);
  const again = rig({
    site: made.site,
    ledger: ledger.crash(),
    programs: made.programs,
    blobs: made.options.blobs,
  });
  await again.engine.recover();
  await again.site.advance(0);
  return { again, run, isDead };
}

test("S7 killed at any point, parent and child come to the same end, each effect once", async () => {
  let kills = 0;
  for (let n = 0; ; n++) {
    const { again, run, isDead } = await killedAt(n, () => Promise.resolve());
    if (again.ledger.entries().length === 0) continue;
    const outcome = await again.engine.ended(run);
    expect([n, outcome.status, outcome.result]).toEqual([n, "finished", 2]);
    expect([n, again.site.files.get("log")?.map((line) => line.split(" ")[0])]).toEqual([
      n,
      ["outer", "inner", "last"],
    ]);
    expect(again.kinds().filter((kind) => kind === "child.ended")).toHaveLength(1);
    expect((await again.engine.replay(run)).divergence).toBeNull();
    if (!isDead) break;
    kills += 1;
  }
  expect(kills).toBeGreaterThan(10);
});

test("S7 killed at any point of an undo, parent and child are taken back once", async () => {
  let kills = 0;
  for (let n = 0; ; n++) {
    const { again, run, isDead } = await killedAt(n, (made, parent) =>
      made.engine.undoRun(parent, owner, "enough").catch(() => undefined),
    );
    if (isDead && !again.kinds(run).includes("undo.requested")) continue;
    const last = again.ledger.entries().findLast((entry) => entry.run === run);
    expect([n, last?.kind, last?.facts]).toMatchObject([n, "run.ended", { status: "rolled_back" }]);
    expect([n, again.site.files.get("log") ?? []]).toEqual([n, []]);
    if (!isDead) break;
    kills += 1;
  }
  expect(kills).toBeGreaterThan(10);
});

test("C7 S5 a child that has ended does not go on without the run that started it, whose resources it used", async () => {
  const made = rig();
  const fails = program(chain(step("x", { op: "fail", code: "plan.no", message: literal("no") })));
  knows(made, fails);
  const outcome = await made.run(program([step("r", runs(fails))]));
  expect(outcome.status).toBe("failed");
  const child = childOf(made, outcome.run);
  await expect(made.engine.retryStep(child, stepId("x"), owner, "")).rejects.toMatchObject({
    code: "run.order",
  });
  await expect(made.engine.skipStep(child, stepId("x"), owner, "")).rejects.toMatchObject({
    code: "run.order",
  });
  expect(made.engine.active()).toEqual([]);
});

import { expect, test } from "vitest";
import { render1 } from "@writ/core/expression";
import { roleName, slotName, stepId } from "@writ/core/ids";
import type { Step } from "@writ/core/program";
import { replay } from "@writ/runtime/replay";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import {
  accountant,
  act,
  call,
  carry,
  chain,
  each,
  evaluate,
  event,
  finish,
  literal,
  load,
  loop,
  owner,
  policies,
  program,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

const put = (id: string, shape: Parameters<typeof step>[2] = {}): Step =>
  step(id, call("put", { name: text("item"), text: text("string(i)") }), shape);
const names = ["a", "b", "c"];
const overNames = { ...each(literal(names)), index: slotName("i") };
const done = (made: Rig) => made.site.effects.map(({ name, text: line }) => `${name}${line}`);

test("K24 I1 the body of a loop runs once per element, in order, and the steps inside it each time", async () => {
  const made = rig();
  const ended = await made.run(
    program([step("l", loop(chain(put("p"), step("q", act("append", "log", "x"))), overNames))]),
  );
  expect(ended.status).toBe("finished");
  expect(done(made)).toEqual(["a0", "logx", "b1", "logx", "c2", "logx"]);
  const intents = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "effect.intended" ? [entry.facts] : []));
  const named = intents.map(({ step: id, attempt }) => `${id} ${attempt}`);
  expect(named).toEqual(["p 1", "q 1", "p 2", "q 2", "p 3", "q 3"]);
  // I2: run, step and attempt name one effect; no two share a key.
  expect(new Set(intents.map(({ key }) => key)).size).toBe(6);
});

test("K24 I1 a loop carries values, ends when its condition is true, and keeps them", async () => {
  const sum = loop([step("add", evaluate("total + item", "next"))], {
    ...each(text("event.data.list")),
    carry: [carry("total", 0, "next"), carry("before", 0, "total")],
    until: "total > 5",
    mustConverge: true,
  });
  const hashed = program(chain(step("l", sum), step("end", finish("[total, before]"))));
  const ended = await rig().run(hashed, { event: event({ list: [1, 2, 3, 4] }) });
  expect(ended).toMatchObject({ status: "finished" });
  expect(render1(ended.result)).toBe("[6,3]");
});

test("I1 a loop over nothing does nothing and keeps what it would carry; one without list or condition runs to its bound", async () => {
  const made = rig();
  const empty = loop([put("p")], { ...overNames, ...each(literal([])), carry: [carry("n", 7, "n + 1")] });
  const first = await made.run(program(chain(step("l", empty), step("end", finish("n")))));
  expect(first).toMatchObject({ status: "finished", result: 7 });
  expect(made.status(first.run, "p")).toBe("SKIPPED");
  expect(made.site.effects).toEqual([]);
  const counted = loop([], { iterationsMax: 4, carry: [carry("n", 0, "n + 1")] });
  const second = await made.run(program(chain(step("l", counted), step("end", finish("n")))));
  expect(render1(second.result)).toBe("4");
});

test("I4 a list that is too long fails before anything is done, and so does what does not converge at its end", async () => {
  const made = rig();
  const long = await made.run(program([step("l", loop([put("p")], { ...overNames, iterationsMax: 2 }))]));
  expect(long).toMatchObject({ status: "failed", fault: { code: "loop.too-long" } });
  expect(made.site.effects).toEqual([]);
  const never = loop([], { iterationsMax: 3, until: "1 > 2", mustConverge: true });
  const second = await made.run(program([step("l", never)]));
  expect(second).toMatchObject({ status: "failed", fault: { code: "loop.not-converged" } });
  const list = loop([put("p")], { ...overNames, until: "i > 99", mustConverge: true });
  const third = await made.run(program([step("l", list)]));
  expect(third).toMatchObject({ status: "failed", fault: { code: "loop.not-converged" } });
  const wrong = await made.run(program([step("l", loop([], each(literal("text"))))]));
  expect(wrong).toMatchObject({ status: "failed", fault: { code: "expression.type" } });
});

test("I2 what an iteration wrote is not there in the next", async () => {
  const once = step("once", {
    op: "branch",
    arms: [{ when: "i == 0", block: { steps: [step("w", evaluate("1", "x"))] } }],
    otherwise: { steps: [step("r", evaluate("x", "y"))] },
  });
  const ended = await rig().run(program([step("l", loop([once], { ...overNames }))]));
  expect(ended).toMatchObject({ status: "failed", fault: { code: "expression.unknown-name" } });
});

test("I3 K92 the effects of all iterations are taken back, in reverse order of completion", async () => {
  const made = rig();
  for (const name of names) made.site.files.set(name, ["old"]);
  const stop = step("stop", act("put", "z"), { failure: policies.compensate });
  made.site.behave("z", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(
    program(chain(step("l", loop([put("p"), step("q", act("put", "q"))], overNames)), stop)),
  );
  expect(ended).toMatchObject({ status: "rolled_back" });
  const undone = made.ledger
    .entries()
    .flatMap((entry) =>
      entry.kind === "undo.intended" ? [`${entry.facts.step} ${entry.facts.attempt}`] : [],
    );
  const completed = made.ledger
    .entries()
    .flatMap((entry) =>
      entry.kind === "effect.completed" ? [`${entry.facts.step} ${entry.facts.attempt}`] : [],
    );
  expect(undone).toEqual(completed.toReversed());
  expect(names.map((name) => made.site.files.get(name))).toEqual([["old"], ["old"], ["old"]]);
  const keys = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "undo.intended" ? [entry.facts.key] : []));
  expect(new Set(keys).size).toBe(6);
});

test("I3 U3 what an earlier iteration did and cannot be taken back is named at the end", async () => {
  const made = rig();
  const first = step("b", {
    op: "branch",
    arms: [{ when: "i == 0", block: { steps: [step("note", call("count", { text: literal("n") }))] } }],
    otherwise: { steps: [] },
  });
  const hashed = program([step("l", loop([first, put("p")], overNames))]);
  const ended = await made.run(hashed);
  expect(ended.status).toBe("finished");
  await made.engine.undoRun(ended.run, owner, "");
  await made.site.runUntil(() => made.engine.state(ended.run)?.ending === null);
  expect(made.engine.state(ended.run)?.ended).toMatchObject({
    status: "finished",
    fault: { code: "undo.partial", facts: { stays: { note: expect.any(String) } } },
  });
  expect(names.map((name) => made.site.files.get(name))).toEqual([undefined, undefined, undefined]);
});

test("I1 an iteration waits for the effects that the one before it did not want any more", async () => {
  const made = rig();
  made.site.behave("slow", { kind: "slow", ms: 500 });
  const race = step("g", {
    op: "parallel",
    branches: [{ steps: [step("s", act("put", "slow"))] }, { steps: [step("f", act("put", "fast"))] }],
    join: { kind: "first" },
  });
  const ended = await made.run(program([step("l", loop([race], { iterationsMax: 2 }))]));
  expect(ended.status).toBe("finished");
  const outcomes = made.ledger
    .entries()
    .flatMap((entry) =>
      entry.kind === "effect.completed" ? [`${entry.facts.step} ${entry.facts.attempt}`] : [],
    );
  expect(outcomes).toEqual(["f 1", "s 1", "f 2", "s 2"]);
});

test("I5 a loop that only computes leaves an entry every so many iterations, and others have their turn", async () => {
  const made = rig();
  const pure = (id: string) =>
    step(
      id,
      loop([step(`${id}-x`, evaluate("1", `${id}x`))], {
        iterationsMax: 2500,
        carry: [carry(`${id}n`, 0, `${id}n + 1`)],
      }),
    );
  const run = made.start(program(chain(pure("l"), step("end", finish("ln")))));
  const other = await made.run(program([step("p", act("put", "a"))]));
  expect(other.status).toBe("finished");
  const ended = made.engine.ended(run);
  await made.site.runUntil(() => made.engine.state(run)?.ended !== null);
  expect(render1((await ended).result)).toBe("2500");
  expect(made.kinds(run).filter((kind) => kind === "timer.fired")).toHaveLength(2);
});

test("I5 a loop that pauses goes on after a restart", async () => {
  let points = 0;
  const made = rig({ ledger: memoryLedger({ reach: () => ++points <= 2 }) });
  const pure = loop([], { iterationsMax: 5000, carry: [carry("n", 0, "n + 1")] });
  const run = made.start(program(chain(step("l", pure), step("end", finish("n")))));
  await made.site.advance(0);
  const ledger = made.ledger.crash();
  const left = ledger.entries().map(({ kind }) => kind);
  expect(left).toContain("timer.set");
  expect(left).not.toContain("run.ended");
  const again = rig({
    site: made.site,
    ledger,
    programs: made.programs,
    blobs: made.options.blobs,
  });
  await again.engine.recover();
  const ended = again.engine.ended(run);
  await again.site.runUntil(() => again.engine.state(run)?.ended !== null);
  expect(render1((await ended).result)).toBe("5000");
});

test("I6 the timeout of a loop is that of the whole loop, and its failure goes to its policy", async () => {
  const made = rig();
  const wait = step("w", { op: "wait", until: { kind: "duration", ms: 1000 } });
  const slow = step("l", loop([wait], { iterationsMax: 100 }), {
    timeoutMs: 3500,
    failure: { kind: "degrade", block: { steps: [step("alt", act("put", "alt"))] } },
  });
  const ended = await made.run(program([slow]));
  expect(ended.status).toBe("finished");
  expect(made.engine.state(ended.run)?.steps.get(stepId("l"))).toMatchObject({
    outcome: "degraded",
    fault: { code: "runtime.timeout" },
    loop: { iteration: 3 },
  });
});

test("I6 M4 a failure inside goes to the loop's policy; one that is continued does not stop it", async () => {
  const made = rig();
  made.site.behave("b", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(
    program([step("l", loop([put("p", { failure: policies.continue })], overNames))]),
  );
  expect(ended.status).toBe("finished");
  expect(done(made)).toEqual(["a0", "c2"]);
  made.site.behave("b", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const second = await made.run(program([step("l", loop([put("p")], overNames))]));
  expect(second).toMatchObject({ status: "failed", fault: { code: "sim.no" } });
});

test("I6 what ends a loop labels what it carries", async () => {
  const made = rig();
  made.site.files.set("limit", ["3"]);
  const until = loop([step("r", load("limit", "seen"))], {
    carry: [carry("n", 0, "n + 1")],
    until: "size(string(seen)) < n",
    iterationsMax: 100,
  });
  const run = made.start(program(chain(step("l", until), step("end", finish("n")))));
  await made.site.runUntil(() => made.engine.state(run)?.ended !== null);
  const state = made.engine.state(run);
  const read = state?.slots.get("seen")?.labels ?? [];
  expect(read.length).toBeGreaterThan(0);
  expect(state?.slots.get("n")?.labels).toEqual(expect.arrayContaining([...read]));
});

test("I1 loops stand inside loops and inside branches of a group, each with its own iterations", async () => {
  const made = rig();
  const inner = step(
    "in",
    loop([step("p", call("append", { name: text("outer"), text: text("inner") }))], {
      ...each(literal(["x", "y"]), "inner"),
    }),
  );
  const nested = step("out", loop([inner], each(literal(["a", "b"]), "outer")));
  const side = step("side", loop([step("q", act("put", "q"))], { iterationsMax: 3 }));
  const ended = await made.run(
    program([
      step("g", {
        op: "parallel",
        branches: [{ steps: [nested] }, { steps: [side] }],
        join: { kind: "all" },
      }),
    ]),
  );
  expect(ended.status).toBe("finished");
  const written = made.site.effects.flatMap(({ name, text: line }) =>
    name === "q" ? [] : [`${name}${line}`],
  );
  expect(written).toEqual(["ax", "ay", "bx", "by"]);
  expect(made.site.effects.filter(({ name }) => name === "q")).toHaveLength(3);
  const state = made.engine.state(ended.run);
  expect(state?.steps.get(stepId("p"))?.attempt).toBe(4);
});

test("I3 V4 an approval inside a loop is asked for in each iteration and counts for that one", async () => {
  const made = rig();
  const ask = step("ask", {
    op: "approve",
    role: roleName("accountant"),
    withinMs: 60_000,
    message: null,
    body: { steps: [put("p")] },
    otherwise: null,
  });
  const run = made.start(program([step("l", loop([ask], overNames))]));
  for (const name of names) {
    await made.site.runUntil(() => made.engine.approvals().length > 0);
    const [asked] = made.engine.approvals();
    expect(asked?.effects[0]?.params).toMatchObject({ name });
    if (asked !== undefined) await made.engine.decideApproval(asked.approval, "approve", accountant, "");
  }
  await made.site.runUntil(() => made.engine.state(run)?.ended !== null);
  expect(made.engine.state(run)?.ended?.status).toBe("finished");
  expect(done(made)).toEqual(["a0", "b1", "c2"]);
});

test("I3 E8 cancelled in the middle with undo, everything that was done is taken back", async () => {
  const made = rig();
  const wait = step("w", { op: "wait", until: { kind: "duration", ms: 1000 } });
  const run = made.start(program([step("l", loop(chain(put("p"), wait), overNames))]));
  await made.site.advance(1500);
  expect(done(made)).toEqual(["a0", "b1"]);
  await made.engine.cancelRun(run, owner, { undo: true, reason: "" });
  await made.site.runUntil(() => made.engine.state(run)?.ended !== null);
  expect(made.engine.state(run)?.ended?.status).toBe("rolled_back");
  expect(made.site.files.size).toBe(0);
  const entries = await made.ledger.readRun(run);
  const hashed = made.programs.values().next().value;
  if (hashed === undefined) throw new Error("the rig keeps its programs");
  expect(replay(entries, hashed, () => undefined).divergence).toBeNull();
});

import { expect, test } from "vitest";
import { roleName, stepId, type RunId } from "@writ/core/ids";
import { decimal } from "@writ/core/value";
import { rememberedBytesMax } from "@writ/runtime/limits";
import type { SlotState } from "@writ/runtime/state";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import {
  act,
  call,
  chain,
  evaluate,
  event,
  finish,
  literal,
  load,
  owner,
  policies,
  program,
  retry,
  rig,
  step,
  text,
} from "./support.ts";

test("E2 a run of three calls without inspection costs four dependent commits", async () => {
  const made = rig();
  const count = (name: string) => step(name, call("count", { text: literal(name) }));
  const ended = await made.run(program(chain(count("a"), count("b"), count("c"))));
  expect(ended.status).toBe("finished");
  expect(made.site.effects.map((effect) => effect.text)).toEqual(["a", "b", "c"]);
  expect(made.ledger.commits()).toBe(4);
});

test("M1 a program loads, computes, branches, acts and finishes", async () => {
  const made = rig();
  made.site.files.set("inbox/a", ["10", "20"]);
  const ended = await made.run(
    program(
      chain(
        step("read", load("inbox/a", "file")),
        step("sum", evaluate("sum(file.content.map(x, decimal(x)))", "total")),
        step("decide", {
          op: "branch",
          arms: [{ when: "total > 25", block: { steps: [step("high", act("put", "inbox/high"))] } }],
          otherwise: { steps: [step("low", act("put", "inbox/low"))] },
        }),
        step("end", finish("total")),
      ),
    ),
  );
  expect(ended).toMatchObject({ status: "finished", result: decimal("30") });
  expect(made.site.effects.map(({ name }) => name)).toEqual(["inbox/high"]);
});

test("K19 a branch changes what runs next, and what is not taken is SKIPPED", async () => {
  const made = rig();
  const branch = (when: string) =>
    program([
      step("decide", {
        op: "branch",
        arms: [{ when, block: { steps: [step("yes", act("put", "y"))] } }],
        otherwise: { steps: [step("no", act("put", "n"))] },
      }),
    ]);
  const yes = await made.run(branch("1 < 2"));
  expect([made.status(yes.run, "yes"), made.status(yes.run, "no")]).toEqual(["COMPLETED", "SKIPPED"]);
  const no = await made.run(branch("2 < 1"));
  expect([made.status(no.run, "yes"), made.status(no.run, "no")]).toEqual(["SKIPPED", "COMPLETED"]);
});

test("K27 the default after a failure is stop", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(program(chain(step("a", act("put", "a")), step("b", act("put", "b")))));
  expect(ended).toMatchObject({ status: "failed", fault: { code: "sim.no" } });
  expect(made.status(ended.run, "b")).toBe("ABORTED");
  expect(made.site.effects).toEqual([]);
});

test("K28 a capability that is not there fails the step", async () => {
  const ended = await rig().run(program([step("a", call("absent", {}))]));
  expect(ended).toMatchObject({ status: "failed", fault: { code: "capability.unknown" } });
});

test("K90 K91 only declared codes are retried, and nothing that cannot be repeated", async () => {
  const made = rig();
  const busy = { kind: "fault", code: "sim.busy", transient: true } as const;
  made.site.behave("a", { ...busy, times: 2 });
  const first = await made.run(program([step("a", act("put", "a"), { failure: retry(3, ["sim.busy"]) })]));
  expect(first.status).toBe("finished");
  made.site.behave("b", { kind: "fault", code: "sim.other", times: 1, transient: true });
  const second = await made.run(program([step("b", act("put", "b"), { failure: retry(3, ["sim.other"]) })]));
  expect(second).toMatchObject({ status: "failed", fault: { code: "sim.other" } });
  made.site.behave("c", { ...busy, times: 1 });
  const third = await made.run(program([step("c", act("note", "c"), { failure: retry(3, ["sim.busy"]) })]));
  expect(third).toMatchObject({ status: "failed", fault: { code: "sim.busy" } });
  expect(made.site.effects.map(({ name }) => name)).toEqual(["a"]);
});

test("K91 every attempt of one effect has the same key", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.busy", times: 2, transient: true });
  await made.run(program([step("a", act("put", "a"), { failure: retry(3, ["sim.busy"]) })]));
  const keys = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "effect.intended" ? [entry.facts.key] : []));
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
});

test("K92 K95 compensate takes back what was done, in reverse, and then the run is rolled_back", async () => {
  const made = rig();
  made.site.files.set("b", ["old"]);
  made.site.behave("c", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(
    program(
      chain(
        step("a", act("put", "a")),
        step("b", act("append", "b")),
        step("c", act("put", "c"), { failure: policies.compensate }),
      ),
    ),
  );
  expect(ended).toMatchObject({ status: "rolled_back", fault: { code: "sim.no" } });
  expect(made.kinds().filter((kind) => kind.startsWith("undo."))).toEqual([
    "undo.intended",
    "undo.completed",
    "undo.intended",
    "undo.completed",
  ]);
  expect(made.site.effects.slice(2).map(({ name }) => name)).toEqual(["b", "a"]);
  expect([...made.site.files]).toEqual([["b", ["old"]]]);
  expect([made.status(ended.run, "a"), made.status(ended.run, "c")]).toEqual(["ROLLED_BACK", "FAILED"]);
});

test("K96 skip and continue: dependents run only where they tolerate it, and the states differ", async () => {
  const made = rig();
  const bad = call("put", { name: text("missing.field"), text: literal("x") });
  const after = (id: string, tolerates: readonly string[]) =>
    step(id, act("put", id), { after: ["a"], tolerates });
  for (const [policy, status] of [
    [policies.skip, "SKIPPED"],
    [policies.continue, "FAILED"],
  ] as const) {
    const ended = await made.run(
      program([step("a", bad, { failure: policy }), after("b", []), after("c", ["a"])]),
    );
    expect(ended.status).toBe("finished");
    expect([made.status(ended.run, "a"), made.status(ended.run, "b"), made.status(ended.run, "c")]).toEqual([
      status,
      "SKIPPED",
      "COMPLETED",
    ]);
  }
});

test("K97 after an abort no step is open", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(
    program([
      step("a", act("put", "a")),
      step("later", { op: "wait", until: { kind: "duration", ms: 3_600_000 } }),
      step("b", act("put", "b"), { after: ["later"] }),
    ]),
  );
  expect(ended.status).toBe("failed");
  const statuses = [...(made.engine.state(ended.run)?.steps.values() ?? [])].map(({ status }) => status);
  expect(statuses).toEqual(["FAILED", "ABORTED", "ABORTED"]);
});

test("K82 locks are given back when a run ends, also after a failure", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const first = await made.run(program([step("a", act("put", "a"))]));
  expect(first.status).toBe("failed");
  for (const again of [1, 2]) {
    const next = await made.run(program([step("a", act("put", "a"))]), { event: event({}, `e${again}`) });
    expect(next.status).toBe("finished");
  }
});

test("E7 a large result stands in a blob and the run goes on with its value", async () => {
  const made = rig();
  made.site.files.set(
    "big",
    Array.from({ length: 500 }, (_, i) => `line number ${i}`),
  );
  const ended = await made.run(
    program(
      chain(
        step("a", load("big", "file")),
        step("b", evaluate("size(file.content)", "n")),
        step("c", finish("n")),
      ),
    ),
  );
  expect(ended).toMatchObject({ status: "finished", result: decimal("500") });
  const replayed = await made.engine.replay(ended.run);
  expect(replayed.divergence).toBeNull();
  expect(replayed.steps.at(-1)?.state.ended?.status).toBe("finished");
  const completed = made.ledger.entries().find((entry) => entry.kind === "effect.completed");
  expect(completed?.kind === "effect.completed" && completed.facts.result.kind).toBe("blob");
});

test("K54 when the ledger fails nothing is performed and nothing more begins", async () => {
  const made = rig();
  made.ledger.breakDown();
  const run = made.start(program([step("a", act("put", "a"))]));
  const ended = made.engine.ended(run);
  await expect(ended).rejects.toMatchObject({ code: "ledger.stopped" });
  expect(made.site.effects).toEqual([]);
  expect(() => made.start(program([]))).toThrow(expect.objectContaining({ code: "runtime.stopped" }));
});

test("E9 too many runs are refused with a time to try again", () => {
  const made = rig({ options: { runsActiveMax: 1 } });
  made.start(program([step("w", { op: "wait", until: { kind: "duration", ms: 1000 } })]));
  expect(() => made.start(program([]))).toThrow(
    expect.objectContaining({ code: "runtime.busy", facts: expect.objectContaining({ retryAfterMs: 1000 }) }),
  );
});

test("M3 a safe value, and what replaces a failed step, are labelled with what decided that it failed", async () => {
  const made = rig();
  const inverse = evaluate("1 / event.data.n", "x");
  const degrade = { kind: "degrade", block: { steps: [step("b", evaluate("7", "y"))] } } as const;
  const hashed = program(
    chain(
      step("a", inverse, { failure: { kind: "safe_value", value: 0 } }),
      step("c", evaluate("1 / event.data.n", "z"), { failure: degrade }),
    ),
  );
  const { run } = await made.run(hashed, { event: event({ n: 0 }), labels: ["secret"] });
  const slots = made.engine.state(run)?.slots;
  expect(["x", "y"].map((name) => slots?.get(name)?.labels)).toEqual([["secret"], ["secret"]]);
});

test("M3 control labels travel: what an untrusted condition decided is untrusted", async () => {
  const made = rig();
  const ended = await made.run(
    program([
      step("decide", {
        op: "branch",
        arms: [{ when: "event.data.yes", block: { steps: [step("e", evaluate("1", "out"))] } }],
        otherwise: { steps: [] },
      }),
    ]),
    { event: event({ yes: true }), labels: ["origin:event"] },
  );
  expect(made.engine.state(ended.run)?.slots.get("out")?.labels).toEqual(["origin:event"]);
  expect(made.engine.state(ended.run)?.steps.get(stepId("e"))?.control).toEqual(["origin:event"]);
});

test("E12 stopping lets an effect finish and begins nothing more; the run goes on after the restart", async () => {
  const made = rig();
  made.site.behave("a", { kind: "slow", ms: 3000 });
  const run = made.start(program(chain(step("a", act("put", "a")), step("b", act("put", "b")))));
  await made.site.advance(1000);
  const waited = expect(made.engine.ended(run)).rejects.toMatchObject({ code: "runtime.stopped" });
  const stopped = made.engine.stop();
  await made.site.advance(3000);
  await stopped;
  await waited;
  expect(made.site.effects.map(({ name }) => name)).toEqual(["a"]);
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  expect(await again.engine.recover()).toEqual({ runs: 1, broken: [] });
  await again.site.advance(0);
  expect((await again.engine.ended(run)).status).toBe("finished");
  expect(made.site.effects.map(({ name }) => name)).toEqual(["a", "b"]);
});

test("E11 a run that still waits for its turn is cancelled, by a person or by its time", async () => {
  const made = rig();
  const slow = program(
    chain(step("w", { op: "wait", until: { kind: "duration", ms: 3_600_000 } }), step("a", act("put", "a"))),
    {
      concurrencyMax: 1,
      runTimeoutMs: 60_000,
    },
  );
  const first = made.start(slow);
  const second = made.start(slow);
  const third = made.start(slow);
  await made.site.advance(1000);
  const cancelled = made.engine.ended(second);
  await made.engine.cancelRun(second, owner, { undo: true, reason: "no" });
  await made.site.advance(0);
  expect((await cancelled).status).toBe("rolled_back");
  const late = made.engine.ended(third);
  await made.site.advance(60_000);
  expect((await late).status).toBe("cancelled");
  expect(made.engine.state(first)?.ended?.status).toBe("cancelled");
  expect(made.engine.active()).toEqual([]);
});

test("E1 a run that the machine cannot fold is left as it is, and the others go on", async () => {
  const made = rig();
  const wait = program([step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } })]);
  const lost = program([step("x", { op: "wait", until: { kind: "duration", ms: 60_000 } })]);
  const good = made.start(wait);
  const bad = made.start(lost);
  await made.site.advance(0);
  const programs = new Map([[wait.hash as string, wait]]);
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs });
  expect(await again.engine.recover()).toMatchObject({ runs: 1, broken: [{ run: bad }] });
  await again.site.advance(60_000);
  expect((await again.engine.ended(good)).status).toBe("finished");
});

test("E1 a run that the machine refuses to go on with is told to an operator, once, and listed", async () => {
  const told: string[] = [];
  const notifier = {
    notify: ({ subject, text: body }: { readonly subject: string; readonly text: string }) =>
      Promise.resolve(void told.push(`${subject}: ${body}`)),
  };
  const made = rig({ options: { notifier } });
  made.site.behave("a", { kind: "slow", ms: 1000 });
  const run = made.start(program([step("a", act("put", "a", "x", "out"))]));
  const good = made.start(program([step("c", act("put", "c"))]));
  await made.site.advance(0);
  expect(made.engine.broken()).toEqual([]);
  // As a bug of ours would: the slot is there before its step has written it.
  const slots = made.engine.state(run)?.slots as Map<string, SlotState>;
  slots.set("out", { value: 1, labels: [] });
  await made.site.advance(1000);
  expect(made.site.effects.map(({ name }) => name)).toEqual(["c", "a"]);
  expect(made.engine.broken()).toMatchObject([{ run, fault: { code: "runtime.slot-taken" } }]);
  expect(told).toEqual([expect.stringContaining(`A run is broken: Run ${run} stands where it is`)]);
  expect((await made.engine.ended(good)).status).toBe("finished");
  const again = rig({ site: made.site, ledger: made.ledger.crash(), programs: new Map() });
  await again.engine.recover();
  expect(again.engine.broken()).toMatchObject([{ run }]);
});

test("E3 an entry that the ledger does not take stops its step or its start, not the engine", async () => {
  const made = rig();
  const huge = "x".repeat(2 * 1024 * 1024);
  expect(() => made.start(program([]), { event: event({ huge }) })).toThrow(
    expect.objectContaining({ code: "ledger.too-large" }),
  );
  made.site.files.set(
    "a",
    Array.from({ length: 30 }, () => huge.slice(0, 50_000)),
  );
  // What it looked at before acting does not fit into its intent.
  const refused = await made.run(program([step("a", act("put", "a"))]));
  expect(refused).toMatchObject({ status: "failed", fault: { code: "ledger.too-large" } });
  expect(made.site.effects).toEqual([]);
  expect((await made.run(program([step("b", act("put", "b"))]))).status).toBe("finished");
});

test("E3 a workspace that is removed while a run goes on stops the run, not the engine", async () => {
  const made = rig();
  made.site.behave("a", { kind: "slow", ms: 1000 });
  const run = made.start(program(chain(step("a", act("put", "a")), step("b", act("put", "b")))));
  const approve = {
    op: "approve",
    role: roleName("accountant"),
    withinMs: 1000,
    message: null,
    body: { steps: [] },
    otherwise: null,
  } as const;
  const waits = made.start(
    program(chain(step("w", { op: "wait", until: { kind: "duration", ms: 2000 } }), step("c", approve))),
  );
  await made.site.advance(0);
  made.registry = { ...made.registry, workspaces: new Map() };
  await made.site.advance(3000);
  expect(made.engine.state(run)?.ended).toMatchObject({
    status: "failed",
    fault: { code: "workspace.unknown" },
  });
  expect(made.engine.state(waits)?.ended).toMatchObject({
    status: "failed",
    fault: { code: "workspace.unknown" },
  });
  expect([made.engine.halted(), made.site.effects.length]).toEqual([null, 1]);
});

test("X1 nobody is told of what is not recorded yet", async () => {
  const told: string[] = [];
  const ledger = memoryLedger({ manual: true });
  const notifier = {
    notify: ({ subject }: { readonly subject: string }) => Promise.resolve(void told.push(subject)),
  };
  const made = rig({ ledger, options: { notifier } });
  made.start(program([step("f", { op: "fail", code: "story.broken", message: literal("no") })]));
  await made.site.advance(1000);
  expect(made.kinds().at(-1)).toBe("run.ended");
  expect(told).toEqual([]);
  ledger.sync();
  await made.site.advance(0);
  expect(told).toEqual(["A run failed"]);
});

test("E13 ended runs are remembered within a bound of bytes; the others are asked of the ledger", async () => {
  const made = rig();
  const hashed = program(chain(step("a", act("put", "a")), step("end", finish("event.data.n"))));
  const runs: RunId[] = [];
  for (let n = 0; n * 1_600_000 < rememberedBytesMax + 3_200_000; n++) {
    const { run } = await made.run(hashed, { event: event({ n, large: "x".repeat(800_000) }, `e${n}`) });
    runs.push(run);
  }
  const [first, last] = [runs[0], runs.at(-1)];
  if (first === undefined || last === undefined) throw new Error("no runs");
  expect([made.engine.state(first), made.engine.state(last)?.run]).toEqual([undefined, last]);
  expect(await made.engine.ended(first)).toMatchObject({ status: "finished", result: 0 });
  const before = made.site.files.get("a");
  await made.engine.undoRun(last, owner, "wrong");
  await made.site.advance(0);
  expect(made.site.files.get("a")).not.toEqual(before);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIsoTime, isoTime } from "../src/iso-time.ts";
import { slotName, stepId } from "@writ/core/ids";
import type { Step } from "@writ/core/program";
import { Type } from "@writ/core/schema";
import { decimal } from "@writ/core/value";
import { decide, initialState, outstanding } from "@writ/runtime/machine";
import { prepareProgram } from "@writ/runtime/program-index";
import { replay } from "@writ/runtime/replay";
import { transition, transitions, type StepStatus } from "@writ/runtime/state";
import {
  act,
  call,
  chain,
  evaluate,
  finish,
  literal,
  load,
  policies,
  program,
  rig,
  step,
} from "./support.ts";

const statuses = Object.keys(transitions) as StepStatus[];

test("K115 M2 the table of transitions, and every other one is refused", () => {
  const allowed: Readonly<Record<StepStatus, string>> = {
    PENDING: "WAITING SKIPPED ABORTED",
    WAITING: "AWAITING_APPROVAL RUNNING SKIPPED ABORTED",
    AWAITING_APPROVAL: "RUNNING SKIPPED ABORTED",
    RUNNING: "COMPLETED FAILED RETRYING ABORTED UNKNOWN",
    RETRYING: "RUNNING FAILED ABORTED",
    UNKNOWN: "RUNNING COMPLETED FAILED HELD",
    HELD: "RUNNING COMPLETED FAILED SKIPPED",
    COMPLETED: "UNDOING",
    FAILED: "UNDOING RUNNING",
    UNDOING: "ROLLED_BACK HELD",
    SKIPPED: "",
    ROLLED_BACK: "",
    ABORTED: "",
  };
  for (const from of statuses) {
    for (const to of statuses) {
      const isAllowed = allowed[from].split(" ").includes(to);
      if (isAllowed) expect(transition(stepId("s"), from, to)).toBe(to);
      else
        expect(() => transition(stepId("s"), from, to)).toThrow(
          expect.objectContaining({ code: "runtime.illegal-transition" }),
        );
    }
  }
});

test("K20 K21 an unknown opcode, a missing target, a circle and a slot written twice are refused before anything runs", () => {
  const trap = (steps: readonly Step[]) => {
    const { hash, bytes, program: made } = program([]);
    return () => prepareProgram({ hash, bytes, program: { ...made, body: { steps } } });
  };
  const unknown = { ...step("a", finish("1")), op: { op: "jump", target: "x" } as never };
  expect(trap([unknown])).toThrow(expect.objectContaining({ code: "runtime.unknown-opcode" }));
  expect(trap([step("a", finish("1"), { after: ["gone"] })])).toThrow(
    expect.objectContaining({ code: "program.malformed" }),
  );
  const circle = [
    step("a", evaluate("1", "x"), { after: ["b"] }),
    step("b", evaluate("1", "y"), { after: ["a"] }),
  ];
  expect(trap(circle)).toThrow(expect.objectContaining({ code: "program.malformed" }));
  expect(trap([step("a", evaluate("1", "x")), step("b", evaluate("2", "x"))])).toThrow(
    expect.objectContaining({ code: "program.malformed" }),
  );
  expect(trap([step("a", evaluate("1", "x")), step("a", evaluate("2", "y"))])).toThrow(
    expect.objectContaining({ code: "program.malformed" }),
  );
});

test("K21 an unknown kind of entry is refused, and so is every entry that was not waited for", () => {
  const state = initialState("r_00000000" as never, prepareProgram(program([step("a", act("put", "a"))])));
  const entry = (kind: string, facts: unknown, seq = 0) =>
    ({ kind, facts, run: "r_00000000", seq, atMs: 0, cause: null, actor: { kind: "node" } }) as never;
  expect(() => decide(state, entry("effect.completed", { step: "a" }))).toThrow(
    expect.objectContaining({ code: "runtime.diverged" }),
  );
  const started = decide(
    state,
    entry("run.started", {
      program: state.program,
      event: { id: "e", data: {} },
      labels: [],
      priority: "normal",
      principal: { kind: "node" },
      workspace: "sim",
    }),
  ).state;
  expect(() => decide(started, entry("something.new", {}, 1))).toThrow(
    expect.objectContaining({ code: "runtime.unknown-entry" }),
  );
  expect(() => decide(started, entry("timer.fired", { step: "a", attempt: 1, why: "wait" }, 1))).toThrow(
    expect.objectContaining({ code: "runtime.diverged" }),
  );
  expect(() =>
    decide(started, entry("run.ended", { status: "finished", result: null, fault: null }, 1)),
  ).toThrow(expect.objectContaining({ code: "runtime.diverged" }));
  expect(outstanding(started)).toEqual([{ kind: "attempt", step: "a" }]);
});

test("K22 check looks at the whole schema and takes the error path", async () => {
  const schema = Type.Object({ n: Type.Integer({ minimum: 10 }) }, { additionalProperties: false });
  const checked = (value: string) =>
    program(
      chain(
        step("e", evaluate(value, "v")),
        step(
          "c",
          { op: "check", slot: slotName("v"), schema },
          { failure: { kind: "degrade", block: { steps: [step("bad", act("put", "bad"))] } } },
        ),
        step("ok", act("put", "ok")),
      ),
    );
  const made = rig();
  await made.run(checked('{"n": 12}'));
  await made.run(checked('{"n": 2}'));
  await made.run(checked('{"n": 12, "more": 1}'));
  expect(made.site.effects.map(({ name }) => name)).toEqual(["ok", "bad", "ok", "bad", "ok"]);
});

test("K23 expressions change data as they say", async () => {
  const made = rig();
  const ended = await made.run(
    program(
      chain(
        step("a", evaluate("[1, 2, 3, 4].filter(x, x > 1).map(x, x * 2)", "xs")),
        step("b", evaluate("sum(xs)", "total")),
        step("c", finish("total")),
      ),
    ),
  );
  expect(ended.result).toEqual(decimal("18"));
});

const branchOf = (name: string, steps: readonly Step[] = [step(name, act("put", name))]) => ({ steps });
const group = (
  join: Extract<Step["op"], { op: "parallel" }>["join"],
  names: readonly string[],
): Step["op"] => ({
  op: "parallel",
  branches: names.map((name) => branchOf(name)),
  join,
});

test("K25 every branch of a group runs, several at once", async () => {
  const made = rig();
  for (const name of ["a", "b", "c"]) made.site.behave(name, { kind: "slow", ms: 1000 });
  const run = made.start(program([step("g", group({ kind: "all" }, ["a", "b", "c"]))]));
  await made.site.advance(1000);
  expect(made.engine.state(run)?.ended?.status).toBe("finished");
  expect(made.site.effects).toHaveLength(3);
});

test("K26 a failed branch fails its group, or takes the group's alternative", async () => {
  const made = rig();
  const failing = () => made.site.behave("b", { kind: "fault", code: "sim.no", times: 1, transient: false });
  failing();
  const failed = await made.run(program([step("g", group({ kind: "all" }, ["a", "b"]))]));
  expect(failed).toMatchObject({ status: "failed", fault: { code: "sim.no" } });
  failing();
  const degraded = await made.run(
    program([
      step("g", group({ kind: "all" }, ["a", "b"]), {
        failure: { kind: "degrade", block: branchOf("instead") },
      }),
    ]),
  );
  expect(degraded.status).toBe("finished");
  expect([made.status(degraded.run, "g"), made.status(degraded.run, "instead")]).toEqual([
    "COMPLETED",
    "COMPLETED",
  ]);
});

test("M4 joins: first success, first end, so many of them", async () => {
  const made = rig();
  made.site.behave("bad", { kind: "fault", code: "sim.no", times: 100, transient: false });
  made.site.behave("slow", { kind: "slow", ms: 1000 });
  const ends = async (join: Parameters<typeof group>[0], names: readonly string[]) =>
    (await made.run(program([step("g", group(join, names))]))).status;
  expect(await ends({ kind: "first" }, ["bad", "slow"])).toBe("finished");
  expect(await ends({ kind: "race" }, ["bad", "slow"])).toBe("failed");
  expect(await ends({ kind: "quorum", count: 2 }, ["bad", "x", "y"])).toBe("finished");
  expect(await ends({ kind: "quorum", count: 2 }, ["bad", "x"])).toBe("failed");
  expect(await ends({ kind: "all" }, [])).toBe("finished");
});

test("M4 safe_value writes the declared value and says so", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const ended = await made.run(
    program(
      chain(
        step("a", load("a", "v"), { failure: { kind: "safe_value", value: { content: ["0"], size: 1 } } }),
        step("e", finish("v.content[0]")),
      ),
    ),
  );
  expect(ended).toMatchObject({ status: "finished", result: "0" });
  expect(made.engine.state(ended.run)?.steps.get(stepId("a"))).toMatchObject({
    status: "COMPLETED",
    outcome: "safe_value",
    fault: { code: "sim.no" },
  });
});

test("M4 a failure inside blocks goes to the policies around it, and at the top ends the run", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 2, transient: false });
  const inner = (failure: Step["failure"]) =>
    program([
      step(
        "d",
        { op: "branch", arms: [{ when: "true", block: branchOf("a") }], otherwise: { steps: [] } },
        { failure },
      ),
      step("after", act("put", "z"), { after: ["d"], tolerates: ["d"] }),
    ]);
  expect((await made.run(inner(policies.halt))).status).toBe("failed");
  expect((await made.run(inner(policies.continue))).status).toBe("finished");
  expect(made.site.effects.map(({ name }) => name)).toEqual(["z"]);
});

test("M4 a timeout of a step with blocks stops them and fails the step", async () => {
  const made = rig();
  const ended = await made.run(
    program([
      step(
        "g",
        {
          op: "parallel",
          branches: [branchOf("w", [step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } })])],
          join: { kind: "all" },
        },
        { timeoutMs: 1000 },
      ),
    ]),
  );
  expect(ended).toMatchObject({ status: "failed", fault: { code: "runtime.timeout" } });
  expect(made.status(ended.run, "w")).toBe("ABORTED");
});

test("M5 finish ends the run at once, wherever it stands", async () => {
  const made = rig();
  const ended = await made.run(
    program([
      step("g", {
        op: "parallel",
        branches: [
          branchOf("f", [step("f", finish("'early'"))]),
          branchOf("w", [step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } })]),
        ],
        join: { kind: "all" },
      }),
      step("later", act("put", "z"), { after: ["g"] }),
    ]),
  );
  expect(ended).toMatchObject({ status: "finished", result: "early" });
  expect(made.site.effects).toEqual([]);
});

test("M6 emit publishes an event that names its cause", async () => {
  const made = rig();
  const ended = await made.run(
    program([step("e", { op: "emit", type: "demo.done", data: { n: literal(1) } })]),
  );
  expect(ended.status).toBe("finished");
  const emitted = made.ledger.entries().find((entry) => entry.kind === "event.emitted");
  expect(emitted?.kind === "event.emitted" && emitted.facts.event).toMatchObject({
    type: "demo.done",
    data: { n: 1 },
    cause: "e1",
    time: "2026-01-01T00:00:00.000Z",
  });
});

test("K52 every opcode that acts or waits leaves its entries", async () => {
  const made = rig();
  const ended = await made.run(
    program(
      chain(
        step("l", load("a", "v")),
        step("c", act("put", "a")),
        step("w", { op: "wait", until: { kind: "duration", ms: 10 } }),
        step("e", { op: "emit", type: "demo.done", data: {} }),
        step("f", call("count", { text: literal("x") })),
      ),
    ),
  );
  expect(made.kinds(ended.run)).toEqual([
    "run.started",
    "effect.intended",
    "effect.completed",
    "effect.intended",
    "effect.completed",
    "timer.set",
    "timer.fired",
    "event.emitted",
    "effect.intended",
    "effect.completed",
    "run.ended",
  ]);
});

test("M1 dropping or repeating any entry of a run is a divergence, and no state is lost before it", async () => {
  const made = rig();
  const hashed = program(
    chain(
      step("a", act("put", "a")),
      step("w", { op: "wait", until: { kind: "duration", ms: 10 } }),
      step("b", act("append", "b")),
    ),
  );
  const ended = await made.run(hashed);
  const entries = await made.ledger.readRun(ended.run);
  expect(replay(entries, hashed).divergence).toBeNull();
  fc.assert(
    fc.property(fc.nat(entries.length - 2), fc.boolean(), (at, drop) => {
      const changed = drop
        ? entries.toSpliced(at, 1)
        : entries.toSpliced(at, 0, ...entries.slice(at, at + 1));
      const again = replay(changed, hashed);
      expect(again.divergence).not.toBeNull();
      expect(again.steps.length).toBe(drop ? at : at + 1);
    }),
  );
});

test("M7 times are written and read as RFC 3339", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_000_000_000_000, max: 253_000_000_000_000 }), (ms) => {
      expect(isoTime(ms)).toBe(new Date(ms).toISOString());
      expect(parseIsoTime(isoTime(ms))).toBe(ms);
    }),
  );
  expect(parseIsoTime("2026-11-20T08:00:00+01:00")).toBe(Date.UTC(2026, 10, 20, 7));
  expect(parseIsoTime("yesterday")).toBeUndefined();
});

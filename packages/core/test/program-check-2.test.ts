import { expect, test } from "vitest";
import { capabilityId, roleName, slotName, stepId } from "@writ/core/ids";
import {
  loopIterationsMax,
  loopIterationsTotalMax,
  askContextLengthMax,
  listensPerProgramMax,
} from "@writ/core/limits";
import type {
  FailurePolicy,
  Guard,
  Loop,
  Opcode,
  Operand,
  Program,
  Step,
  WaitUntil,
} from "@writ/core/program";
import { checkProgram } from "@writ/core/program-check";
import { capabilitiesOf } from "@writ/core/program-steps";
import { decimal } from "@writ/core/value";
import { arbitraryCapabilities2 } from "@writ/testkit/program-arbitrary";

const literal = (value: string | number): Operand => ({ kind: "literal", value });
const from = (text: string): Operand => ({ kind: "expression", text });
const halt: FailurePolicy = { kind: "safe_halt" };
const step = (
  id: string,
  op: Opcode,
  after: readonly string[] = [],
  failure: FailurePolicy = halt,
): Step => ({
  id: stepId(id),
  after: after.map(stepId),
  tolerates: [],
  op,
  failure,
  timeoutMs: null,
});
const compute = (expression: string, output: string): Opcode => ({
  op: "eval",
  expression,
  output: slotName(output),
});
const loop = (fields: Partial<Loop> = {}): Loop => ({
  op: "loop",
  body: { steps: [] },
  over: null,
  index: null,
  carry: [],
  until: null,
  iterationsMax: 10,
  mustConverge: false,
  ...fields,
});
const sum = loop({
  body: { steps: [step("add", compute("total + item", "next"))] },
  over: { list: literal("event.data.list"), item: slotName("item") },
  index: slotName("i"),
  carry: [{ slot: slotName("total"), initial: literal(0), next: "next" }],
  until: "next > 100 && i < 5",
});

function broken(
  steps: readonly Step[],
  slots: readonly string[] = [],
  fields: Partial<Program> = {},
): readonly string[] {
  const program: Program = {
    format: 2,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: 60_000,
    concurrencyMax: 1,
    capabilities: [...new Set(steps.flatMap(capabilitiesOf))].sort(),
    invariants: [],
    workspace: {
      name: "w",
      zone: "UTC",
      profile: "readonly",
      folders: [],
      files: [],
      roles: ["accountant"],
      columns: [],
      hosts: [],
    },
    slots: slots.map((name) => ({ name: slotName(name), schema: {}, labels: [] })),
    body: { steps },
    ...fields,
  };
  return checkProgram(program, arbitraryCapabilities2).map(({ rule, at }) => `${rule} ${at}`);
}

test("P16 what a loop fills is seen where it is filled: in the body, at the end of an iteration, and what it carries after it", () => {
  const slots = ["item", "i", "total", "next", "after"];
  const then = (text: string) => [step("a", sum), step("b", compute(text, "after"), ["a"])];
  expect(broken(then("total + 1"), slots)).toEqual([]);
  for (const name of ["item", "i", "next"]) expect(broken(then(`${name} + 1`), slots)).toEqual(["P7 b"]);
  expect(broken([step("a", loop({ until: "gone" }))])).toEqual(["P7 a"]);
  const early = loop({ carry: [{ slot: slotName("x"), initial: from("x"), next: "x" }] });
  expect(broken([step("a", early)], ["x"])).toEqual(["P7 a"]);
  const twice = loop({ index: slotName("x"), body: { steps: [step("b", compute("1", "x"))] } });
  expect(broken([step("a", twice)], ["x"])).toEqual(["P7 a"]);
});

test("P16 loops are bounded, also inside each other, and convergence needs a condition", () => {
  for (const iterationsMax of [0, -1, 1.5, loopIterationsMax + 1])
    expect(broken([step("a", loop({ iterationsMax }))])).toContain("P16 a");
  expect(broken([step("a", loop({ iterationsMax: loopIterationsMax }))])).toEqual([]);
  expect(broken([step("a", loop({ mustConverge: true }))])).toEqual(["P16 a"]);
  const nested = (inner: number) =>
    loop({
      iterationsMax: 1000,
      body: { steps: [step("b", loop({ iterationsMax: inner }))] },
    });
  expect(broken([step("a", nested(loopIterationsTotalMax / 1000))])).toEqual([]);
  expect(broken([step("a", nested(loopIterationsTotalMax / 1000 + 1))])).toEqual(["P16 b"]);
});

test("P17 a wait on events is bounded by the run, and a program listens only to what it waits for", () => {
  const seen = capabilityId("demo.seen@1.0.0");
  const events = { source: seen, config: {}, type: null, withinMs: 60_000 };
  const wait = (until: WaitUntil): Step => step("a", { op: "wait", until });
  const event = (fields: object) => wait({ kind: "event", ...events, filter: null, ...fields });
  expect(broken([event({})], [], { listens: [{ source: seen, config: {} }] })).toEqual([]);
  expect(broken([event({ withinMs: 60_001 })])).toEqual(["P17 a"]);
  expect(broken([event({ withinMs: 0 })])).toEqual(["P17 a"]);
  expect(broken([event({ source: null, config: { folder: "x" } })])).toEqual(["P17 a"]);
  expect(broken([event({ filter: "nobody == 1" })])).toEqual(["P7 a"]);
  const held = (holdMs: number) =>
    wait({ kind: "condition", ...events, condition: "event.data.x > 1", holdMs, down: "counts" });
  expect(broken([held(60_000)])).toEqual([]);
  expect(broken([held(60_001)])).toEqual(["P17 a"]);
  expect(broken([], [], { listens: [{ source: seen, config: {} }] })).toEqual(["P17 program"]);
  const many = Array.from({ length: listensPerProgramMax + 1 }, () => ({ source: seen, config: {} }));
  expect(broken([event({})], [], { listens: many })).toEqual(["P17 program"]);
});

test("P18 a model is named, its context and answers are bounded, and it answers only for what has no effect", () => {
  const ask = (fields: object): Step =>
    step("a", {
      op: "ask",
      model: "demo",
      context: "",
      prompt: literal("x"),
      schema: {},
      output: slotName("x"),
      attemptsMax: 3,
      ...fields,
    });
  expect(broken([ask({})], ["x"])).toEqual([]);
  expect(broken([ask({ model: "no such thing" })], ["x"])).toEqual(["P18 a"]);
  expect(broken([ask({ context: "x".repeat(askContextLengthMax + 1) })], ["x"])).toEqual(["P18 a"]);
  for (const attemptsMax of [0, 4]) expect(broken([ask({ attemptsMax })], ["x"])).toEqual(["P18 a"]);
  const policy: FailurePolicy = { kind: "ask_model", model: "demo", context: "", schema: {}, attemptsMax: 1 };
  expect(broken([step("a", compute("1", "x"), [], policy)], ["x"])).toEqual([]);
  expect(broken([step("a", compute("1", "x"), [], { ...policy, attemptsMax: 9 })], ["x"])).toEqual(["P18 a"]);
  const emit = step("a", { op: "emit", type: "x.y", data: {} }, [], policy);
  expect(broken([emit])).toEqual(["P14 a"]);
});

test("P19 a guard bounds parameters of its step, takes whole times and reads back without an effect", () => {
  const guarded = (guard: Guard): Step =>
    step("a", {
      op: "call",
      capability: capabilityId("demo.write@1.0.0"),
      params: { key: literal("k") },
      output: null,
      compensation: null,
      guard,
    });
  const range = { param: "key", min: decimal("0"), max: null, stepMax: null };
  const readBack = {
    capability: capabilityId("demo.read@1.0.0"),
    params: { key: literal("k") },
    check: `result.key == "k"`,
    tolerance: null,
    pollMs: 10,
    timeoutMs: 100,
  };
  expect(broken([guarded({ ranges: [range], readBack })])).toEqual([]);
  expect(broken([guarded({ ranges: [{ ...range, param: "speed" }] })])).toEqual(["P19 a"]);
  expect(broken([guarded({ rate: { cooldownMs: -1, perMinuteMax: 1 } })])).toEqual(["P19 a"]);
  expect(broken([guarded({ readBack: { ...readBack, params: {} } })])).toEqual(["P11 a"]);
  expect(
    broken([guarded({ readBack: { ...readBack, capability: capabilityId("demo.send@1.0.0") } })]),
  ).toEqual(["P19 a"]);
  const countdown = { ms: 1, requiresAcknowledgment: true, onMissed: "abort" } as const;
  expect(broken([guarded({ countdown: { ...countdown, role: roleName("nobody") } })])).toEqual(["P15 a"]);
});

test("P20 resources are named once, positive and leased", () => {
  const press = { name: "press", count: 1, access: "exclusive", leaseMs: 1000 } as const;
  expect(broken([], [], { resources: [press] })).toEqual([]);
  for (const wrong of [{ name: "" }, { count: 0 }, { leaseMs: 0 }])
    expect(broken([], [], { resources: [{ ...press, ...wrong }] })).toEqual(["P20 program"]);
  expect(broken([], [], { resources: [press, press] })).toEqual(["P20 program"]);
  expect(broken([], [], { queueMax: -1 })).toEqual(["P20 program"]);
});

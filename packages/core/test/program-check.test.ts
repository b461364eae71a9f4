import { expect, test } from "vitest";
import { blockDepthMax, programStepsMax } from "@writ/core/limits";
import { capabilityId, roleName, slotName, stepId, type CapabilityId } from "@writ/core/ids";
import type { Block, FailurePolicy, Opcode, Operand, Operands, Program, Step } from "@writ/core/program";
import { checkProgram, isRepeatable } from "@writ/core/program-check";
import { arbitraryCapabilities } from "@writ/testkit/program-arbitrary";

const readId = capabilityId("demo.read@1.0.0");
const writeId = capabilityId("demo.write@1.0.0");
const sendId = capabilityId("demo.send@1.0.0");
const literal = (value: string | number): Operand => ({ kind: "literal", value });
const from = (text: string): Operand => ({ kind: "expression", text });
const key: Operands = { key: literal("k") };

interface Options {
  readonly after?: readonly string[];
  readonly tolerates?: readonly string[];
  readonly failure?: FailurePolicy;
  readonly timeoutMs?: number;
}
const step = (
  id: string,
  op: Opcode,
  { after = [], tolerates = [], failure = { kind: "safe_halt" }, timeoutMs }: Options = {},
): Step => ({
  id: stepId(id),
  after: after.map(stepId),
  tolerates: tolerates.map(stepId),
  op,
  failure,
  timeoutMs: timeoutMs ?? null,
});
const load = (output: string, params = key): Opcode => ({
  op: "load",
  capability: readId,
  params,
  output: slotName(output),
  freshnessMsMax: null,
});
const call = (capability: CapabilityId, output: string | null = null, params = key): Opcode => ({
  op: "call",
  capability,
  params,
  output: output === null ? null : slotName(output),
  compensation: null,
});
const compute = (expression: string, output: string): Opcode => ({
  op: "eval",
  expression,
  output: slotName(output),
});
const finish = (text: string): Opcode => ({ op: "finish", result: from(text) });
const block = (...steps: readonly Step[]): Block => ({ steps });
const branch = (...blocks: readonly Block[]): Opcode => ({
  op: "branch",
  arms: blocks.slice(1).map((arm, i) => ({ when: `event.data.x == ${i}`, block: arm })),
  otherwise: blocks[0]!,
});

function program(steps: readonly Step[], slots: readonly string[], fields: Partial<Program> = {}): Program {
  return {
    format: 1,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: 60_000,
    concurrencyMax: 1,
    capabilities: [],
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
}

/** The rules that are broken, without the list of capabilities unless that is what is tested. */
function broken(
  steps: readonly Step[],
  slots: readonly string[] = [],
  fields: Partial<Program> = {},
): readonly string[] {
  return checkProgram(program(steps, slots, fields), arbitraryCapabilities)
    .filter(({ message }) => fields.capabilities !== undefined || !message.includes("list of capabilities"))
    .map(({ rule, at }) => `${rule} ${at}`);
}

test("P5 ids are unique, order stays inside the block and comes to an end", () => {
  expect(broken([step("a", load("x")), step("a", load("y"))], ["x", "y"])).toContain("P5 a");
  expect(broken([step("a", load("x"), { after: ["b"] })], ["x"])).toEqual(["P5 a"]);
  expect(
    broken([step("a", load("x"), { after: ["b"] }), step("b", load("y"), { after: ["a"] })], ["x", "y"]),
  ).toEqual(["P5 a"]);
  expect(broken([step("a", load("x"), { after: ["a"] })], ["x"])).toEqual(["P5 a"]);
  expect(broken([step("a", load("x")), step("b", load("y"), { after: ["a", "a"] })], ["x", "y"])).toEqual([
    "P5 b",
  ]);
  expect(broken([step("a", load("x")), step("b", load("y"), { tolerates: ["a"] })], ["x", "y"])).toEqual([
    "P5 b",
  ]);
  const inner = step("b", branch(block(step("c", load("y"), { after: ["a"] }))), { after: ["a"] });
  expect(broken([step("a", load("x")), inner], ["x", "y"])).toContain("P5 c");
});

test("P6 programs are bounded in depth and number of steps, without exhausting the stack", () => {
  let nested = block();
  for (let depth = 0; depth < 5000; depth++) nested = block(step(`s${depth}`, branch(nested, block())));
  expect(broken(nested.steps)).toEqual(["P6 program"]);
  let fine = block();
  for (let depth = 1; depth < blockDepthMax; depth++) fine = block(step(`s${depth}`, branch(fine, block())));
  expect(broken(fine.steps)).toEqual([]);
  const many = (count: number) => Array.from({ length: count }, (_, i) => step(`s${i}`, call(writeId)));
  expect(broken(many(programStepsMax + 1))).toEqual(["P6 program"]);
  const halt: FailurePolicy = { kind: "safe_halt" };
  const retry = (then: FailurePolicy): FailurePolicy => ({
    kind: "retry",
    attemptsMax: 1,
    delayMs: 1,
    factor: 1,
    delayMsMax: 1,
    on: ["demo.busy"],
    then,
  });
  expect(broken([step("a", load("x"), { failure: retry(retry(retry(halt))) })], ["x"])).toEqual(["P6 a"]);
});

test("P7 a slot is read only where it is filled on every path", () => {
  const reads = (options: Options, failure: FailurePolicy = { kind: "safe_halt" }) =>
    broken([step("a", load("x"), { failure }), step("b", compute("x", "y"), options)], ["x", "y"]);
  expect(reads({ after: ["a"] })).toEqual([]);
  expect(reads({})).toEqual(["P7 b"]);
  expect(reads({ after: ["a"], tolerates: ["a"] })).toEqual([]);
  expect(reads({ after: ["a"], tolerates: ["a"] }, { kind: "continue" })).toEqual(["P7 b"]);
  expect(reads({ after: ["a"], tolerates: ["a"] }, { kind: "skip" })).toEqual(["P7 b"]);
  expect(reads({ after: ["a"] }, { kind: "skip" })).toEqual([]);
  expect(reads({ after: ["a"], tolerates: ["a"] }, { kind: "safe_value", value: 1 })).toEqual([]);
  expect(broken([step("a", compute("nothing + 1", "x"))], ["x"])).toEqual(["P7 a"]);
  expect(broken([step("a", compute("event.data.x", "x"))], ["x"])).toEqual([]);
});

test("P7 what is known through a tolerated step is only what is certain", () => {
  const steps = (last: Options) => [
    step("a", load("x")),
    step("b", load("y"), { after: ["a"], failure: { kind: "continue" } }),
    step("c", compute("x", "z"), last),
  ];
  expect(broken(steps({ after: ["b"], tolerates: ["b"] }), ["x", "y", "z"])).toEqual([]);
  const uncertain = [
    step("a", load("x"), { failure: { kind: "skip" } }),
    ...steps({ after: ["b"], tolerates: ["b"] }).slice(1),
  ];
  expect(broken(uncertain, ["x", "y", "z"])).toEqual(["P7 c"]);
});

test("P7 a branch fills what every arm fills, and arms that end the run do not count", () => {
  const arms = (...blocks: readonly Block[]) =>
    broken([step("a", branch(...blocks)), step("z", finish("x"), { after: ["a"] })], ["x"]);
  const fills = (id: string) => block(step(id, load("x")));
  expect(arms(fills("b"), fills("c"))).toEqual([]);
  expect(arms(block(), fills("c"))).toEqual(["P7 z"]);
  expect(
    arms(block(step("stop", { op: "fail", code: "demo.no", message: literal("no") })), fills("c")),
  ).toEqual([]);
});

test("P7 an approval fills what its body fills, unless it may be answered with no", () => {
  const ask = (otherwise: Block | null): Opcode => ({
    op: "approve",
    role: roleName("accountant"),
    withinMs: 1000,
    message: null,
    body: block(step("b", load("x"))),
    otherwise,
  });
  const check = (otherwise: Block | null) =>
    broken([step("a", ask(otherwise)), step("z", finish("x"), { after: ["a"] })], ["x"]);
  expect(check(null)).toEqual([]);
  expect(check(block())).toEqual(["P7 z"]);
});

test("P7 a parallel group fills what its branches fill only when all are awaited", () => {
  const both = (join: "all" | "first"): Opcode => ({
    op: "parallel",
    branches: [block(step("b", load("x"))), block(step("c", load("y")))],
    join: { kind: join },
  });
  const check = (join: "all" | "first") =>
    broken([step("a", both(join)), step("z", finish("[x, y]"), { after: ["a"] })], ["x", "y"]);
  expect(check("all")).toEqual([]);
  expect(check("first")).toEqual(["P7 z", "P7 z"]);
});

test("P7 an alternative for a failed step counts only with what it fills itself", () => {
  const degrade = (alternative: Block) =>
    broken(
      [
        step("a", load("x"), { failure: { kind: "degrade", block: alternative } }),
        step("z", finish("x"), { after: ["a"] }),
      ],
      ["x"],
    );
  expect(degrade(block(step("b", load("x"))))).toEqual([]);
  expect(degrade(block())).toEqual(["P7 z"]);
});

test("P7 a slot is written by one step on any path, declared once, and `event` by none", () => {
  expect(broken([step("a", load("x")), step("b", load("x"))], ["x"])).toEqual(["P7 b"]);
  const both: Opcode = {
    op: "parallel",
    branches: [block(step("b", load("x"))), block(step("c", load("x")))],
    join: { kind: "all" },
  };
  expect(broken([step("a", both)], ["x"])).toEqual(["P7 a"]);
  expect(broken([step("a", load("x")), step("b", branch(block(step("c", load("x")))))], ["x"])).toContain(
    "P7 b",
  );
  expect(broken([step("a", load("event"))], ["event"])).toContain("P7 a");
  expect(broken([step("a", load("x"))], [])).toEqual(["P7 program"]);
  expect(broken([step("a", load("x"))], ["x", "x"])).toEqual(["P7 program"]);
  expect(broken([step("a", load("x"))], ["x", "y"])).toEqual(["P7 program"]);
});

test("P7 a compensation may read its own step's result and what came before", () => {
  const back = (text: string) => {
    const op: Opcode = {
      ...call(writeId, "x"),
      op: "call",
      capability: writeId,
      params: key,
      output: slotName("x"),
      compensation: { capability: writeId, params: { key: from(text) } },
    };
    return broken([step("a", op), step("b", load("y"), { after: ["a"] })], ["x", "y"]);
  };
  expect(back("x.key")).toEqual([]);
  expect(back("event.id")).toEqual([]);
  expect(back("y.key")).toEqual(["P7 a"]);
});

test("P8 K37 expressions are in the program language and in canonical form", () => {
  for (const text of ["1+1", "process.exit()", "event.data.x ==", "(event)", "matches(event.id, 'a')"]) {
    expect(broken([step("a", compute(text, "x"))], ["x"])[0], text).toBe("P8 a");
  }
  const source = { kind: "source", source: readId, config: {}, holdMs: 0, throttleMs: 0 } as const;
  expect(broken([], [], { trigger: { ...source, filter: "event.data.x > 1" } })).toEqual([]);
  expect(broken([], [], { trigger: { ...source, filter: "event.data.x>1" } })).toEqual(["P8 trigger"]);
  expect(broken([], [], { trigger: { ...source, filter: "x > 1" } })).toEqual(["P8 trigger"]);
});

test("P9 the capabilities listed are exactly those called, known, and no undo", () => {
  const one = [step("a", load("x"))];
  expect(broken(one, ["x"], { capabilities: [readId] })).toEqual([]);
  for (const wrong of [[], [writeId], [readId, writeId], [readId, readId]]) {
    expect(broken(one, ["x"], { capabilities: wrong })).toEqual(["P9 program"]);
  }
  const unknown = capabilityId("demo.nothing@1.0.0");
  expect(broken([step("a", call(unknown))], [], { capabilities: [unknown] })).toEqual(["P9 program"]);
  const undo = capabilityId("demo.unwrite@1.0.0");
  expect(broken([step("a", call(undo))], [], { capabilities: [undo] })).toEqual(["P9 program"]);
});

test("P10 a load only reads, and what reads is not compensated", () => {
  expect(
    broken(
      [
        step("a", {
          op: "load",
          capability: writeId,
          params: key,
          output: slotName("x"),
          freshnessMsMax: null,
        }),
      ],
      ["x"],
    ),
  ).toEqual(["P10 a"]);
  const compensated: Opcode = {
    op: "call",
    capability: readId,
    params: key,
    output: null,
    compensation: { capability: writeId, params: key },
  };
  expect(broken([step("a", compensated)])).toEqual(["P10 a"]);
});

test("P11 parameters are those of the capability", () => {
  expect(broken([step("a", load("x", {}))], ["x"])).toEqual(["P11 a"]);
  expect(broken([step("a", load("x", { ...key, other: literal("x") }))], ["x"])).toEqual(["P11 a"]);
  expect(broken([step("a", load("x", { key: literal(7) }))], ["x"])).toEqual(["P11 a"]);
  expect(broken([step("a", load("x", { key: from("event.id") }))], ["x"])).toEqual([]);
});

test("P12 groups have members, and a quorum fits its group", () => {
  const group = (branches: readonly Block[], count: number): Opcode => ({
    op: "parallel",
    branches,
    join: { kind: "quorum", count },
  });
  expect(broken([step("a", group([block(), block()], 2))])).toEqual([]);
  for (const count of [0, 3, 1.5])
    expect(broken([step("a", group([block(), block()], count))])).toEqual(["P12 a"]);
  expect(broken([step("a", { op: "parallel", branches: [], join: { kind: "all" } })])).toEqual(["P12 a"]);
  expect(broken([step("a", branch(block()))])).toEqual(["P12 a"]);
});

test("P13 times are within their limits", () => {
  for (const timeoutMs of [0, -1, 1.5, 3_600_001])
    expect(broken([step("a", load("x"), { timeoutMs })], ["x"])).toEqual(["P13 a"]);
  expect(broken([step("a", { op: "wait", until: { kind: "duration", ms: 60_001 } })])).toEqual(["P13 a"]);
  expect(broken([], [], { runTimeoutMs: 0 })).toEqual(["P13 program"]);
  expect(broken([], [], { concurrencyMax: 0 })).toEqual(["P13 program"]);
  const window = { fromMinute: 0, toMinute: 60, days: [1], zone: "UTC" };
  for (const wrong of [{ fromMinute: 1441 }, { toMinute: -1 }, { days: [7] }, { days: [1, 1] }]) {
    expect(broken([], [], { windows: [{ ...window, ...wrong }] })).toEqual(["P13 trigger"]);
  }
  expect(broken([], [], { windows: [{ ...window, fromMinute: 1320, toMinute: 360 }] })).toEqual([]);
  const late: FailurePolicy = { kind: "ask_person", role: roleName("accountant"), withinMs: 0 };
  expect(broken([step("a", load("x"), { failure: late })], ["x"])).toEqual(["P13 a"]);
});

test("P14 K90 K91 only declared faults of repeatable capabilities are retried", () => {
  const retry = {
    kind: "retry",
    attemptsMax: 3,
    delayMs: 10,
    factor: 2,
    delayMsMax: 100,
    on: ["demo.busy"],
    then: { kind: "safe_halt" },
  } as const;
  const check = (op: Opcode, policy: FailurePolicy = retry) =>
    broken([step("a", op, { failure: policy })], op.op === "call" ? [] : ["x"]);
  expect(check(load("x"))).toEqual([]);
  expect(check(call(writeId))).toEqual([]);
  expect(check(call(sendId))).toEqual(["P14 a"]);
  expect(check(compute("1", "x"))).toEqual(["P14 a"]);
  for (const on of [["demo.other"], ["demo.busy", "demo.other"], []])
    expect(check(load("x"), { ...retry, on })).toEqual(["P14 a"]);
  for (const wrong of [
    { attemptsMax: 0 },
    { attemptsMax: 11 },
    { factor: 0.5 },
    { factor: Number.NaN },
    { delayMs: 101 },
  ]) {
    expect(check(load("x"), { ...retry, ...wrong })).toEqual(["P14 a"]);
  }
  expect(check(load("x"), { ...retry, then: retry })).toEqual(["P14 a"]);
  expect(check(call(writeId), { kind: "safe_value", value: 1 })).toEqual(["P14 a"]);
});

test("K91 sending again is safe only to a host that honours the key, written out in full", () => {
  const send = arbitraryCapabilities.find(({ id }) => id === sendId)!;
  const definition = { ...send, resources: [{ kind: "host", param: "url", does: "send" }] as const };
  const hosts = [
    { host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true },
    { host: "example.org:443", scheme: "https", risk: "low", idempotent: true },
    { host: "other.org:443", scheme: "https", risk: "low", idempotent: false },
  ];
  const may = (url: Operand) => isRepeatable(definition, { url }, hosts);
  for (const url of ["http://127.0.0.1:3999", "HTTP://127.0.0.1:3999/x?y", "https://example.org/x"])
    expect(may(literal(url)), url).toBe(true);
  for (const url of [
    "https://127.0.0.1:3999/",
    "http://127.0.0.1/",
    "http://example.org/",
    "https://other.org/",
    "http://127.0.0.1:3999@evil.org/",
    "127.0.0.1:3999",
  ]) {
    expect(may(literal(url)), url).toBe(false);
  }
  expect(may(from('"http://127.0.0.1:3999/"'))).toBe(false);
  expect(isRepeatable(send, {}, hosts)).toBe(false);
  // That the capability can say whether it was done does not make a receiver forget.
  const queryable = { ...definition, crash: "queryable" } as const;
  expect(isRepeatable(queryable, { url: literal("https://other.org/x") }, hosts)).toBe(false);
  expect(isRepeatable(queryable, { url: literal("https://example.org/x") }, hosts)).toBe(true);
  const mail = { ...queryable, resources: [{ kind: "person", param: "to", does: "send" }] } as const;
  expect(isRepeatable(mail, { to: literal("https://example.org/x") }, hosts)).toBe(false);
  expect(isRepeatable({ ...send, crash: "queryable" }, {}, hosts)).toBe(true);
});

test("P15 roles exist, and codes and types have their form", () => {
  const ask = (role: string): Opcode => ({
    op: "approve",
    role: roleName(role),
    withinMs: 1,
    message: null,
    body: block(),
    otherwise: null,
  });
  expect(broken([step("a", ask("accountant"))])).toEqual([]);
  expect(broken([step("a", ask("owner"))])).toEqual([]);
  expect(broken([step("a", ask("pirate"))])).toEqual(["P15 a"]);
  expect(broken([step("a", { op: "fail", code: "oops", message: literal("x") })])).toEqual(["P15 a"]);
  expect(broken([step("a", { op: "emit", type: "", data: {} })])).toEqual(["P15 a"]);
});

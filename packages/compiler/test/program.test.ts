import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileProgram } from "@writ/compiler/program";
import { encodeProgram, decodeProgram } from "@writ/core/program-codec";
import { catalog } from "./plan-catalog.ts";

const compile = (program: unknown) => compileProgram({ text: JSON.stringify(program), catalog });

function problemsOf(program: unknown) {
  const compiled = compile(program);
  if (compiled.kind === "compiled") throw new Error("it compiled");
  return compiled.problems.map(({ code, at, message }) => ({ code, at, message }));
}

const read = { id: "read", op: "load", capability: "filesystem.read_file", output: "file" };
const finish = { id: "end", op: "finish", result: "=file.content" };

test("J1 what is left out is the default: one step after the other, stop at a failure, started by hand", () => {
  const compiled = compile({
    name: "Read it",
    body: [{ ...read, params: { path: "in/a.txt" } }, finish],
  });
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled.problems));
  const { program, source } = compiled;
  expect(program).toMatchObject({
    format: 1,
    trigger: { kind: "manual" },
    priority: "normal",
    capabilities: ["filesystem.read_file@1.0.0"],
    body: {
      steps: [
        { id: "read", after: [], tolerates: [], failure: { kind: "safe_halt" }, timeoutMs: null },
        {
          id: "end",
          after: ["read"],
          op: { op: "finish", result: { kind: "expression", text: "file.content" } },
        },
      ],
    },
  });
  expect(source).toMatchObject({ kind: "program", name: "Read it", language: null });
  expect(Object.keys(source.spans)).toEqual(["read", "end"]);
  expect(decodeProgram(encodeProgram(program))).toEqual(program);
});

test("J1 what only format 2 has makes a program of format 2", () => {
  const compiled = compile({
    body: [
      {
        id: "each",
        op: "loop",
        over: { list: { literal: ["a", "b"] }, item: "name" },
        iterationsMax: 2,
        body: [{ ...read, params: { path: { literal: "in/a.txt" } }, timeoutMs: 500 }],
      },
    ],
    conflict: "reject",
  });
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled.problems));
  expect(compiled.program.format).toBe(2);
  expect(decodeProgram(encodeProgram(compiled.program))).toEqual(compiled.program);
});

test("J2 what is wrong is named with its place and a near name", () => {
  expect(problemsOf({ body: [{ ...read, parms: {} }] })).toEqual([
    {
      code: "program.unknown-field",
      at: "/body/0/parms",
      message: "Cannot use `parms` in `load`: there is no such field; did you mean `params`?",
    },
  ]);
  expect(problemsOf({ body: [{ id: "x", op: "lod" }] })[0]).toMatchObject({
    code: "program.field",
    at: "/body/0/op",
  });
  expect(problemsOf({ body: [{ id: "x", op: "eval", output: "y" }] })[0]).toMatchObject({
    code: "program.missing-field",
    at: "/body/0",
  });
  expect(problemsOf({ body: [{ ...read, capability: "filesystem.read_fil" }] })[0]?.message).toContain(
    "did you mean `filesystem.read_file`",
  );
  expect(problemsOf({ body: [{ id: "x", op: "eval", expression: "1 +", output: "y" }] })[0]?.code).toBe(
    "program.expression",
  );
  expect(problemsOf({ body: [finish] })[0]).toMatchObject({ code: "program.invalid" });
});

test("J3 an expression inside a list or an object is refused, a literal is taken as it stands", () => {
  const emit = (data: unknown) => ({ body: [{ id: "e", op: "emit", type: "t", data: { rows: data } }] });
  expect(problemsOf(emit(["=1 + 1"]))[0]).toMatchObject({
    code: "program.expression",
    at: "/body/0/data/rows/0",
  });
  const literal = compile(emit({ literal: ["=1 + 1"] }));
  expect(literal).toMatchObject({
    kind: "compiled",
    program: { body: { steps: [{ op: { data: { rows: { kind: "literal", value: ["=1 + 1"] } } } }] } },
  });
});

test("J4 an author declares no slot: a promise about a value that nobody checks would be believed by the proof", () => {
  expect(problemsOf({ slots: [], body: [] })[0]?.code).toBe("program.unknown-field");
  const compiled = compile({ body: [{ id: "x", op: "eval", expression: "1", output: "y" }] });
  expect(compiled).toMatchObject({
    kind: "compiled",
    program: { slots: [{ name: "y", schema: {}, labels: [] }] },
  });
});

test("J5 whatever the text holds, the answer is a program or a list of problems", () => {
  const ops = [
    "load",
    "call",
    "eval",
    "branch",
    "parallel",
    "wait",
    "loop",
    "ask",
    "run",
    "approve",
    "fail",
    "x",
  ];
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("=event.data", "a", 1, null));
  const step = fc.dictionary(
    fc.constantFrom(
      "id",
      "after",
      "body",
      "params",
      "capability",
      "until",
      "arms",
      "failure",
      "output",
      "over",
    ),
    leaf,
    { maxKeys: 6 },
  );
  const program = fc.record(
    {
      body: fc.oneof(
        fc.array(fc.tuple(fc.constantFrom(...ops), step).map(([op, fields]) => ({ ...fields, op }))),
        leaf,
      ),
      trigger: leaf,
      priority: leaf,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(program, leaf), (written) => {
      const compiled = compile(written);
      if (compiled.kind === "rejected") expect(compiled.problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});

test("J6 the page about programs names every opcode, failure policy and way to wait", () => {
  const page = readFileSync(new URL("../../../docs/programs.md", import.meta.url), "utf8");
  const refusal = (program: unknown) => problemsOf(program)[0]?.message ?? "";
  const named = (message: string) => /one of (.*)$/.exec(message)?.[1]?.split(", ") ?? [];
  const names = [
    ...named(refusal({ body: [{ id: "x", op: "?" }] })),
    ...named(refusal({ body: [{ id: "x", op: "eval", expression: "1", output: "y", failure: "?" }] })),
    ...named(refusal({ body: [{ id: "x", op: "wait", until: { kind: "?" } }] })),
  ];
  expect(names.length).toBeGreaterThan(25);
  for (const name of names) expect(page, name).toMatch(new RegExp(`[\`"]${name}[\`"]`));
});

test("J7 outside its window a step queues, a critical one is refused, and the author may say otherwise", () => {
  const window = { fromMinute: 480, toMinute: 1080, zone: "Europe/Paris" };
  const outsideOf = (criticality: "guarded" | "critical", more: object = {}) => {
    const body = [
      {
        id: "write",
        op: "call",
        capability: "filesystem.write_file",
        params: { path: "out/a.txt", content: "x" },
        guard: { window: { window, ...more } },
      },
    ];
    const capabilities = catalog.capabilities.map((each) => ({ ...each, criticality }));
    const compiled = compileProgram({
      text: JSON.stringify({ body }),
      catalog: { ...catalog, capabilities },
    });
    if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled.problems));
    const op = compiled.program.body.steps[0]?.op;
    return op?.op === "call" ? op.guard?.window : undefined;
  };
  expect(outsideOf("guarded")).toMatchObject({ outside: "queue", queueMs: 3_600_000 });
  expect(outsideOf("critical")).toMatchObject({ outside: "refuse" });
  expect(outsideOf("critical", { outside: "skip" })).toMatchObject({ outside: "skip" });
});

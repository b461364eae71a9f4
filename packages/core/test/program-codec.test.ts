import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { concatBytes, toHex } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import { capabilityId, roleName, slotName, stepId } from "@writ/core/ids";
import type { FailurePolicy, Opcode, Operand, Program, Step } from "@writ/core/program";
import { decodeProgram, encodeProgram } from "@writ/core/program-codec";
import { decimal, equalValues, parseValue } from "@writ/core/value";
import { ProgramSchema } from "../src/gen/writ/program/v1/program_pb.ts";
import { toMessage } from "../src/program-codec/to-message.ts";

const program: Program = {
  format: 1,
  trigger: { kind: "manual" },
  windows: [],
  priority: "normal",
  runTimeoutMs: 1000,
  concurrencyMax: 1,
  capabilities: [capabilityId("demo.read@1.0.0")],
  invariants: [],
  workspace: {
    name: "w",
    zone: "UTC",
    profile: "readonly",
    folders: [],
    files: [],
    roles: [],
    columns: [],
    hosts: [],
  },
  slots: [{ name: slotName("a"), schema: { type: "object" }, labels: [] }],
  body: {
    steps: [
      {
        id: stepId("read"),
        after: [],
        tolerates: [],
        op: {
          op: "load",
          capability: capabilityId("demo.read@1.0.0"),
          params: { b: { kind: "literal", value: 1 }, a: { kind: "expression", text: "event" } },
          output: slotName("a"),
          freshnessMsMax: null,
        },
        failure: { kind: "safe_halt" },
        timeoutMs: null,
      },
    ],
  },
};
const bytes = encodeProgram(program);
const malformed = expect.objectContaining({ code: "program.malformed" });

/** The message with something changed that the encoder would never write. */
function altered(change: (changed: ReturnType<typeof message>) => void): Uint8Array {
  const changed = message();
  change(changed);
  return toBinary(ProgramSchema, changed);
}
const message = () => create(ProgramSchema, toMessage(program));
const opOf = (changed: ReturnType<typeof message>) => changed.body!.steps[0]!;

const step = (id: string, op: Opcode, failure: FailurePolicy = { kind: "safe_halt" }): Step => ({
  id: stepId(id),
  after: [],
  tolerates: [],
  op,
  failure,
  timeoutMs: null,
});
const literal: Operand = {
  kind: "literal",
  value: [decimal("-0.10"), 1, 2.5, "é", null, true, Uint8Array.of(1)],
};
const params = { b: literal, a: { kind: "expression", text: "event.data" } } as const;
const within = { role: roleName("accountant"), withinMs: 1000 };

/** Every field, opcode, join, policy and invariant of format 1 at least once. */
const everything: Program = {
  ...program,
  trigger: {
    kind: "source",
    source: capabilityId("filesystem.file_arrived@1.0.0"),
    config: { folder: "inbox", pattern: "*.csv" },
    filter: "event.data.size > 0",
    holdMs: 300_000,
    throttleMs: 1500,
  },
  windows: [{ fromMinute: 1320, toMinute: 360, days: [1, 5], zone: "Europe/Paris" }],
  priority: "critical",
  invariants: [
    { kind: "writes-within", paths: ["approved"] },
    { kind: "never-writes", paths: ["inbox"] },
    { kind: "never-calls", capability: capabilityId("demo.send@1.0.0") },
    { kind: "never-sends" },
  ],
  workspace: {
    name: "w",
    zone: "UTC",
    profile: "readonly",
    folders: [{ name: "inbox", path: "inbox", access: "read" }],
    files: [{ name: "journal", path: "journal.csv", access: "write" }],
    roles: ["accountant"],
    columns: [
      { folder: "inbox", column: "amount", type: "decimal", dimension: "EUR", min: "0", max: null },
      { folder: "inbox", column: "note", type: "text", dimension: null, min: null, max: "9" },
    ],
    hosts: [{ host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true }],
  },
  slots: [{ name: slotName("a"), schema: { type: "object" }, labels: ["origin:file", "secret"] }],
  body: {
    steps: [
      {
        ...step("load", {
          op: "load",
          capability: capabilityId("demo.read@1.0.0"),
          params,
          output: slotName("a"),
          freshnessMsMax: 0,
        }),
        timeoutMs: 60_000,
      },
      {
        ...step("eval", { op: "eval", expression: "a + 1", output: slotName("b") }),
        after: [stepId("load")],
        tolerates: [stepId("load")],
      },
      step("check", { op: "check", slot: slotName("b"), schema: { type: "number", minimum: 0 } }),
      step("call", {
        op: "call",
        capability: capabilityId("demo.write@1.0.0"),
        params,
        output: slotName("c"),
        compensation: { capability: capabilityId("demo.write@1.0.0"), params },
      }),
      step("silent", {
        op: "call",
        capability: capabilityId("demo.write@1.0.0"),
        params: {},
        output: null,
        compensation: null,
      }),
      step("branch", {
        op: "branch",
        arms: [{ when: "a > 1", block: { steps: [] } }],
        otherwise: { steps: [] },
      }),
      ...(["all", "first", "race"] as const).map((kind) =>
        step(kind, { op: "parallel", branches: [{ steps: [] }], join: { kind } }),
      ),
      step("quorum", {
        op: "parallel",
        branches: [{ steps: [] }, { steps: [] }],
        join: { kind: "quorum", count: 2 },
      }),
      step("wait", { op: "wait", until: { kind: "duration", ms: 1 } }),
      step("until", { op: "wait", until: { kind: "time", at: literal } }),
      step("approve", {
        op: "approve",
        ...within,
        message: literal,
        body: { steps: [] },
        otherwise: { steps: [] },
      }),
      step("ask", { op: "approve", ...within, message: null, body: { steps: [] }, otherwise: null }),
      step("emit", { op: "emit", type: "demo.done", data: params }),
      step("fail", { op: "fail", code: "demo.no", message: literal }),
      step("finish", { op: "finish", result: literal }),
      ...(
        [
          {
            kind: "retry",
            attemptsMax: 3,
            delayMs: 10,
            factor: 1.5,
            delayMsMax: 64_000,
            on: ["demo.busy"],
            then: { kind: "skip" },
          },
          { kind: "safe_value", value: decimal("1.5") },
          { kind: "degrade", block: { steps: [step("instead", { op: "finish", result: literal })] } },
          { kind: "continue" },
          { kind: "ask_person", ...within },
          { kind: "compensate" },
        ] as const satisfies readonly FailurePolicy[]
      ).map((policy) =>
        step(`policy-${policy.kind}`, { op: "eval", expression: "1", output: slotName(policy.kind) }, policy),
      ),
    ],
  },
};

test("F1 F2 the bytes of format 1 never change", async () => {
  const text = toHex(encodeProgram(everything)).replaceAll(/(.{100})/g, "$1\n");
  await expect(text).toMatchFileSnapshot(
    fileURLToPath(new URL("golden/program-format-1.txt", import.meta.url)),
  );
  expect(equalValues(parseValue(decodeProgram(encodeProgram(everything))), parseValue(everything))).toBe(
    true,
  );
});

test("F1 the order in which parameters were written does not change the bytes", () => {
  const first = program.body.steps[0]!;
  const load = first.op as Extract<Opcode, { op: "load" }>;
  const { a, b } = load.params;
  const twin = { ...program, body: { steps: [{ ...first, op: { ...load, params: { a: a!, b: b! } } }] } };
  expect(encodeProgram(twin)).toEqual(bytes);
});

test("F1 what the schema library keeps beside a schema does not change the bytes", () => {
  const schema = Object.defineProperty({ type: "object" }, "~kind", { value: "Object", enumerable: false });
  expect(encodeProgram({ ...program, slots: [{ ...program.slots[0]!, schema }] })).toEqual(bytes);
});

test("F3 another format is refused as such, whatever follows", () => {
  for (const format of [0, 3, 127]) {
    expect(() => decodeProgram(Uint8Array.from([8, format, 255, 255]))).toThrow(
      expect.objectContaining({ code: "program.version" }),
    );
  }
  expect(() => decodeProgram(Uint8Array.from([8, 0x81, 1]))).toThrow(
    expect.objectContaining({ code: "program.version" }),
  );
  for (const wrong of [[], [8], [0x12, 1], [8, 0x81, 0]]) {
    expect(() => decodeProgram(Uint8Array.from(wrong))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^program\./) }),
    );
  }
});

test("K21 an unknown opcode is refused, not skipped", () => {
  // The step's opcode is replaced by a field that format 1 does not have.
  const stepBytes = altered((changed) => {
    opOf(changed).op = { case: undefined };
    opOf(changed).$unknown = [{ no: 99, wireType: WireType.LengthDelimited, data: Uint8Array.from([0]) }];
  });
  expect(() => decodeProgram(stepBytes)).toThrow(/unknown opcode of step `read`/);
});

test("F2 an unknown field is refused at every level", () => {
  const field = { no: 77, wireType: WireType.Varint, data: Uint8Array.from([1]) };
  for (const place of [
    (changed: ReturnType<typeof message>) => changed,
    (changed: ReturnType<typeof message>) => changed.body!,
    (changed: ReturnType<typeof message>) => opOf(changed),
    (changed: ReturnType<typeof message>) => changed.workspace!,
  ]) {
    const changed = altered((whole) => {
      place(whole).$unknown = [field];
    });
    expect(() => decodeProgram(changed)).toThrow(malformed);
  }
});

test("F2 trailing bytes, cut bytes and a repeated field are refused", () => {
  expect(() => decodeProgram(concatBytes(bytes, Uint8Array.from([0x20, 2])))).toThrow(malformed);
  expect(() => decodeProgram(bytes.slice(0, -1))).toThrow(malformed);
  expect(() => decodeProgram(concatBytes(bytes, bytes))).toThrow(malformed);
});

test("F2 pairs in another order, or twice, are refused", () => {
  const pairs = (changed: ReturnType<typeof message>) => {
    const { op } = opOf(changed);
    return op.case === "load" ? op.value.params : [];
  };
  expect(() => decodeProgram(altered((changed) => pairs(changed).reverse()))).toThrow(malformed);
  expect(() => decodeProgram(altered((changed) => pairs(changed).push(pairs(changed)[0]!)))).toThrow(
    malformed,
  );
});

test("F2 a value that is no deterministic CBOR is refused", () => {
  const changed = altered((whole) => {
    whole.slots[0]!.schemaCbor = Uint8Array.from([0x18, 0x01]);
  });
  expect(() => decodeProgram(changed)).toThrow(malformed);
  const noMap = altered((whole) => {
    whole.slots[0]!.schemaCbor = encodeCbor("text");
  });
  expect(() => decodeProgram(noMap)).toThrow(malformed);
});

test("F2 names of the wrong form, absent parts and unknown words are refused", () => {
  const changes: readonly ((changed: ReturnType<typeof message>) => void)[] = [
    (changed) => void (opOf(changed).id = "no spaces please"),
    (changed) => void (changed.capabilities = ["demo.read"]),
    (changed) => void (changed.priority = 9),
    (changed) => void (changed.runTimeoutMs = 2n ** 60n),
    (changed) => void delete changed.trigger,
    (changed) => void delete changed.body,
    (changed) => void delete opOf(changed).failure,
    (changed) => void (changed.trigger!.kind = { case: undefined }),
    (changed) => void (opOf(changed).failure!.kind = { case: undefined }),
    (changed) => void (changed.slots[0]!.labels = ["trusted"]),
  ];
  for (const change of changes) expect(() => decodeProgram(altered(change))).toThrow(malformed);
});

test("F2 nesting deeper than any program is refused without exhausting the stack", () => {
  let inner = new Uint8Array();
  for (let depth = 0; depth < 2000; depth++) {
    // Program.body / Step.approve.body, over and over: field numbers 1, 23 and 4.
    const step = new BinaryWriter()
      .tag(23, WireType.LengthDelimited)
      .bytes(new BinaryWriter().tag(4, WireType.LengthDelimited).bytes(inner).finish())
      .finish();
    inner = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .bytes(step)
      .finish() as Uint8Array<ArrayBuffer>;
  }
  const deep = concatBytes(
    Uint8Array.from([8, 1]),
    new BinaryWriter().tag(11, WireType.LengthDelimited).bytes(inner).finish(),
  );
  expect(() => decodeProgram(deep)).toThrow(malformed);
});

test("F1 a program that cannot be written is refused", () => {
  expect(() => encodeProgram({ ...program, runTimeoutMs: 1.5 })).toThrow(malformed);
  expect(() => encodeProgram({ ...program, runTimeoutMs: -1 })).toThrow(malformed);
});

test("K17 the generated code is the one of the schema", async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "writ-generate-"));
  try {
    const buf = join(root, "../../node_modules/.bin/buf");
    const path = `${join(root, "../../node_modules/.bin")}:${process.env["PATH"] ?? ""}`;
    await promisify(execFile)(buf, ["generate", "--output", folder], {
      cwd: root,
      env: { ...process.env, PATH: path },
    });
    const name = "src/gen/writ/program/v1/program_pb.ts";
    const [fresh, committed] = await Promise.all([
      readFile(join(folder, name), "utf8"),
      readFile(join(root, name), "utf8"),
    ]);
    expect(committed, "run `npm run generate -w packages/core`").toBe(fresh);
  } finally {
    await rm(folder, { recursive: true });
  }
});

// Arbitrary valid programs: a recipe of small numbers, which shrinks well, and a pure builder that turns any recipe into a program that passes
// `checkProgram` with `arbitraryCapabilities`.
import fc from "fast-check";
import type { CapabilityDefinition } from "@writ/core/capability";
import { priorities, type Priority } from "@writ/core/event";
import { capabilityId, roleName, slotName, stepId, type SlotName, type StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import {
  allSteps,
  type Block,
  type FailurePolicy,
  type Join,
  type Opcode,
  type Operand,
  type Program,
  type SlotDeclaration,
  type Step,
} from "@writ/core/program";
import { Type } from "@writ/core/schema";
import { decimal, type Value } from "@writ/core/value";

const base = {
  summary: { en: "For tests", fr: "Pour les tests" },
  params: Type.Object(
    { key: Type.String({ maxLength: 64 }), value: Type.Optional(Type.Unsafe<Value>({})) },
    { additionalProperties: false },
  ),
  result: Type.Object({ key: Type.String({ maxLength: 64 }) }, { additionalProperties: false }),
  resources: [],
  risk: "low",
  criticality: "safe",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 1000,
  resultBytesMax: 4096,
  retryOn: ["demo.busy", "demo.lost"],
} as const satisfies Partial<CapabilityDefinition>;

/** One that reads, one that writes and is idempotent, one that cannot be repeated, and the undo of the second. */
export const arbitraryCapabilities: readonly CapabilityDefinition[] = [
  {
    ...base,
    id: capabilityId("demo.read@1.0.0"),
    effect: { kind: "read" },
    crash: "idempotent",
    permission: "demo.read",
    labels: ["origin:file"],
  },
  {
    ...base,
    id: capabilityId("demo.write@1.0.0"),
    effect: { kind: "write", undo: capabilityId("demo.unwrite@1.0.0") },
    crash: "idempotent",
    permission: "demo.write",
  },
  {
    ...base,
    id: capabilityId("demo.send@1.0.0"),
    effect: { kind: "irreversible", approval: "owner" },
    crash: "neither",
    permission: "demo.send",
  },
  {
    ...base,
    id: capabilityId("demo.unwrite@1.0.0"),
    effect: { kind: "write", undo: capabilityId("demo.write@1.0.0") },
    crash: "idempotent",
    permission: "demo.write",
    internal: true,
  },
];

interface Recipe {
  readonly op: Opcode["op"];
  readonly picks: readonly number[];
  readonly value: Value;
  readonly text: string;
  readonly inner: readonly (readonly Recipe[])[];
}

/** Values of every kind, up to two levels deep. */
export const valueArbitrary: fc.Arbitrary<Value> = fc.letrec<{ leaf: Value; value: Value }>((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((double) => (Object.is(double, -0) ? 0 : double)),
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.tuple(fc.maxSafeInteger(), fc.nat(12)).map(([mantissa, scale]) => decimal(`${mantissa}e-${scale}`)),
    fc.uint8Array({ maxLength: 8 }),
  ),
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.string({ unit: "grapheme", maxLength: 6 }), tie("value"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
})).value;

const text = fc.string({ unit: "grapheme", maxLength: 16 });
const leafOps = ["load", "eval", "check", "call", "wait", "emit"] as const;

const recipes: fc.Arbitrary<readonly Recipe[]> = fc.letrec<{ steps: readonly Recipe[]; step: Recipe }>(
  (tie) => ({
    step: fc.record({
      op: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...leafOps) },
        { weight: 2, arbitrary: fc.constantFrom("branch" as const, "parallel" as const, "approve" as const) },
      ),
      picks: fc.array(fc.nat(1_000_000), { minLength: 6, maxLength: 6 }),
      value: valueArbitrary,
      text,
      inner: fc.oneof(
        { maxDepth: 2, depthIdentifier: "program" },
        fc.constant([]),
        fc.array(tie("steps"), { minLength: 1, maxLength: 3 }),
      ),
    }),
    steps: fc.array(tie("step"), { maxLength: 5, depthIdentifier: "program" }),
  }),
).steps;

/** Programs that pass `checkProgram` with `arbitraryCapabilities`. */
export const programArbitrary: fc.Arbitrary<Program> = fc
  .record({
    steps: recipes,
    priority: fc.constantFrom<Priority>(...priorities),
    runTimeoutMs: fc.integer({ min: 60_000, max: 1_000_000_000 }),
    concurrencyMax: fc.integer({ min: 1, max: 100 }),
    trigger: fc.option(
      fc.record({
        config: fc.dictionary(text, valueArbitrary, { maxKeys: 3, noNullPrototype: true }),
        filtered: fc.boolean(),
      }),
      {
        nil: null,
      },
    ),
    name: text,
  })
  .map((recipe) => build(recipe));

function build(recipe: {
  readonly steps: readonly Recipe[];
  readonly priority: Priority;
  readonly runTimeoutMs: number;
  readonly concurrencyMax: number;
  readonly trigger: { readonly config: Readonly<Record<string, Value>>; readonly filtered: boolean } | null;
  readonly name: string;
}): Program {
  const slots: SlotDeclaration[] = [];
  let count = 0;

  const declare = (labels: readonly Label[]): SlotName => {
    const name = slotName(`s${slots.length}`);
    slots.push({ name, schema: Type.Object({}), labels });
    return name;
  };

  function block(items: readonly Recipe[], outside: readonly SlotName[], depth: number): Block {
    const steps: Step[] = [];
    // What is surely filled at the end of the steps so far: each step waits for the one before it.
    const filled: SlotName[] = [...outside];
    for (const item of items) {
      const step = one(item, filled, steps.at(-1), depth);
      steps.push(step);
      if (
        (step.op.op === "load" || step.op.op === "call" || step.op.op === "eval") &&
        step.op.output !== null &&
        isStrict(step.failure)
      ) {
        filled.push(step.op.output);
      }
    }
    return { steps };
  }

  function one(item: Recipe, filled: readonly SlotName[], previous: Step | undefined, depth: number): Step {
    const [, second = 0, third = 0] = item.picks;
    const id = stepId(`step-${count++}`);
    const after: readonly StepId[] = previous === undefined ? [] : [previous.id];
    const isLenient = previous !== undefined && !isStrict(previous.failure);
    const op = opcode(item, filled, depth);
    return {
      id,
      after,
      tolerates: isLenient ? after : [],
      op,
      failure: failure(op, second, item.value),
      timeoutMs: third % 3 === 0 ? (third % 3_600_000) + 1 : null,
    };
  }

  function opcode(item: Recipe, filled: readonly SlotName[], depth: number): Opcode {
    const [first = 0, , third = 0, fourth = 0] = item.picks;
    const name = filled[first % Math.max(1, filled.length)] ?? slotName("event");
    const operand: Operand =
      first % 2 === 0 ? { kind: "literal", value: item.value } : { kind: "expression", text: name };
    const params = {
      key: { kind: "literal", value: [...item.text].slice(0, 12).join("") },
      value: operand,
    } as const;
    const inner = depth >= 3 ? [] : item.inner;
    switch (item.op) {
      case "load":
        return {
          op: "load",
          capability: capabilityId("demo.read@1.0.0"),
          params,
          output: declare(["origin:file"]),
          freshnessMsMax: third % 2 === 0 ? null : third,
        };
      case "eval":
        return { op: "eval", expression: `size(string(${name})) > ${first % 100}`, output: declare([]) };
      case "check":
        return filled.length === 0
          ? { op: "wait", until: { kind: "time", at: operand } }
          : { op: "check", slot: name, schema: Type.Object({ x: Type.Number() }) };
      case "call":
        return {
          op: "call",
          capability: capabilityId(fourth % 2 === 0 ? "demo.write@1.0.0" : "demo.send@1.0.0"),
          params,
          output: third % 4 === 0 ? null : declare([]),
          compensation: third % 5 === 0 ? { capability: capabilityId("demo.write@1.0.0"), params } : null,
        };
      case "wait":
        return { op: "wait", until: { kind: "duration", ms: (third % 59_999) + 1 } };
      case "emit":
        return { op: "emit", type: "demo.event", data: { [item.text]: operand } };
      case "branch":
        return {
          op: "branch",
          arms: (inner.length === 0 ? [[]] : inner).map((items) => ({
            when: `${name} == ${first % 100}`,
            block: block(items, filled, depth + 1),
          })),
          otherwise: ending(item, operand, fourth),
        };
      case "parallel": {
        const branches = (inner.length === 0 ? [[]] : inner).map((items) => block(items, filled, depth + 1));
        return { op: "parallel", branches, join: join(third, branches.length) };
      }
      case "approve":
        return {
          op: "approve",
          role: roleName(third % 2 === 0 ? "accountant" : "owner"),
          withinMs: first + 1,
          message: fourth % 2 === 0 ? null : operand,
          body: block(inner[0] ?? [], filled, depth + 1),
          otherwise: fourth % 3 === 0 ? ending(item, operand, first) : null,
        };
      case "fail":
      case "finish":
        return { op: "finish", result: operand };
    }
  }

  function ending(item: Recipe, operand: Operand, pick: number): Block {
    if (pick % 3 === 0) return { steps: [] };
    const op: Opcode =
      pick % 3 === 1
        ? { op: "fail", code: "demo.refused", message: operand }
        : { op: "finish", result: operand };
    return {
      steps: [
        {
          id: stepId(`step-${count++}`),
          after: [],
          tolerates: [],
          op,
          failure: { kind: "safe_halt" },
          timeoutMs: null,
        },
      ],
    };
  }

  const body = block(recipe.steps, [], 0);
  const called = allSteps(body).flatMap(({ op }) =>
    op.op === "load"
      ? [op.capability]
      : op.op === "call"
        ? [op.capability, ...(op.compensation === null ? [] : [op.compensation.capability])]
        : [],
  );
  return {
    format: 1,
    trigger:
      recipe.trigger === null
        ? { kind: "manual" }
        : {
            kind: "source",
            source: capabilityId("demo.seen@1.0.0"),
            config: recipe.trigger.config,
            filter: recipe.trigger.filtered ? "event.data.size > 3" : null,
            holdMs: recipe.concurrencyMax * 10,
            throttleMs: 0,
          },
    windows:
      recipe.trigger === null
        ? []
        : [{ fromMinute: 1320, toMinute: 360, days: [1, 5], zone: "Europe/Paris" }],
    priority: recipe.priority,
    runTimeoutMs: recipe.runTimeoutMs,
    concurrencyMax: recipe.concurrencyMax,
    capabilities: [...new Set(called)].sort(),
    invariants: [{ kind: "writes-within", paths: [recipe.name] }, { kind: "never-sends" }],
    workspace: {
      name: recipe.name,
      zone: "Europe/Paris",
      profile: "local_worker",
      folders: [{ name: "inbox", path: "inbox", access: "read" }],
      files: [{ name: "journal", path: "journal.csv", access: "write" }],
      roles: ["accountant"],
      columns: [
        { folder: "inbox", column: "amount", type: "decimal", dimension: "EUR", min: null, max: "1000000" },
      ],
      hosts: [{ host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true }],
    },
    slots,
    body,
  };
}

function failure(op: Opcode, pick: number, value: Value): FailurePolicy {
  const last: readonly FailurePolicy[] = [
    { kind: "safe_halt" },
    { kind: "skip" },
    { kind: "continue" },
    { kind: "compensate" },
    { kind: "ask_person", role: roleName("accountant"), withinMs: pick + 1 },
    op.op === "load" || op.op === "eval" ? { kind: "safe_value", value } : { kind: "safe_halt" },
  ];
  const then = last[pick % last.length] as FailurePolicy;
  const mayRetry = op.op === "load" || (op.op === "call" && op.capability === "demo.write@1.0.0");
  if (!mayRetry || pick % 7 !== 0) return then;
  return {
    kind: "retry",
    attemptsMax: (pick % 10) + 1,
    delayMs: 100,
    factor: 1.5,
    delayMsMax: 64_000,
    on: ["demo.busy"],
    then,
  };
}

function isStrict(policy: FailurePolicy): boolean {
  const last = policy.kind === "retry" ? policy.then : policy;
  return last.kind === "safe_halt" || last.kind === "compensate" || last.kind === "safe_value";
}

function join(pick: number, branches: number): Join {
  const joins: readonly Join[] = [
    { kind: "all" },
    { kind: "first" },
    { kind: "race" },
    { kind: "quorum", count: (pick % branches) + 1 },
  ];
  return joins[pick % joins.length] as Join;
}

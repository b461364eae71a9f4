// Arbitrary valid programs of both formats: a recipe of small numbers, which shrinks well, and a pure builder that turns any recipe into a program that passes
// `checkProgram` with `arbitraryCapabilities`.
import fc from "fast-check";
import type { CapabilityDefinition } from "@writ/core/capability";
import { priorities, type Priority } from "@writ/core/event";
import {
  capabilityId,
  programHash,
  roleName,
  slotName,
  stepId,
  type SlotName,
  type StepId,
} from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import {
  allSteps,
  type Block,
  type FailurePolicy,
  type Guard,
  type Join,
  type Loop,
  type Opcode,
  type Operand,
  type Operands,
  type Program,
  type SlotDeclaration,
  type Step,
  type WaitUntil,
} from "@writ/core/program";
import { formatNeeded } from "@writ/core/program-format";
import {
  askCapability,
  capabilitiesOf,
  outputSlotOf,
  recallCapability,
  rememberCapability,
} from "@writ/core/program-steps";
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

/** The capabilities that opcodes of format 2 stand for, as contracts only. */
const opcodeCapabilities: readonly CapabilityDefinition[] = [
  {
    ...base,
    id: askCapability,
    params: openParams(["model", "context", "prompt", "schema", "attemptsMax"]),
    effect: { kind: "read" },
    crash: "idempotent",
    permission: "model.ask",
    labels: ["origin:model"],
  },
  {
    ...base,
    id: recallCapability,
    params: openParams(["scope", "key"]),
    effect: { kind: "read" },
    crash: "idempotent",
    permission: "memory.read",
  },
  {
    ...base,
    id: rememberCapability,
    params: openParams(["scope", "key", "value"]),
    effect: { kind: "write", undo: capabilityId("memory.restore@1.0.0") },
    crash: "idempotent",
    permission: "memory.write",
  },
];

/** What programs of format 2 may call. */
export const arbitraryCapabilities2: readonly CapabilityDefinition[] = [
  ...arbitraryCapabilities,
  ...opcodeCapabilities,
];

function openParams(names: readonly string[]) {
  return Type.Object(Object.fromEntries(names.map((name) => [name, Type.Unsafe<Value>({})])), {
    additionalProperties: false,
  });
}

interface Recipe {
  /** How much of format 2 the step uses; 0 is none. */
  readonly extra: number;
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
const leafOps: readonly Opcode["op"][] = ["load", "eval", "check", "call", "wait", "emit"];
const leafOps2: readonly Opcode["op"][] = [...leafOps, "ask", "recall", "remember", "run"];
const blockOps: readonly Opcode["op"][] = ["branch", "parallel", "approve"];

const recipesOf = (format: 1 | 2): fc.Arbitrary<readonly Recipe[]> =>
  fc.letrec<{ steps: readonly Recipe[]; step: Recipe }>((tie) => ({
    step: fc.record({
      extra: format === 1 ? fc.constant(0) : fc.nat(1_000_000),
      op: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...(format === 1 ? leafOps : leafOps2)) },
        {
          weight: 2,
          arbitrary: fc.constantFrom(...(format === 1 ? blockOps : [...blockOps, "loop" as const])),
        },
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
  })).steps;

const programsOf = (format: 1 | 2): fc.Arbitrary<Program> =>
  fc
    .record({
      head: format === 1 ? fc.constant(0) : fc.nat(1_000_000),
      steps: recipesOf(format),
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

/** Programs of format 1 that pass `checkProgram` with `arbitraryCapabilities`. */
export const programArbitrary: fc.Arbitrary<Program> = programsOf(1);
/** Programs of either format that pass `checkProgram` with `arbitraryCapabilities2`. */
export const program2Arbitrary: fc.Arbitrary<Program> = programsOf(2);

function build(recipe: {
  readonly head: number;
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
      const output = outputSlotOf(step.op);
      if (output !== null && isStrict(step.failure)) filled.push(output);
      if (step.op.op === "loop" && isStrict(step.failure))
        filled.push(...step.op.carry.map(({ slot }) => slot));
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
      failure: failure(op, second, item),
      timeoutMs: third % 3 === 0 ? (third % 3_600_000) + 1 : null,
      ...(item.extra % 5 === 1 ? { priority: priorities[item.extra % priorities.length] ?? "normal" } : {}),
      ...(item.extra % 7 === 1 ? { preemptible: item.extra % 2 === 0 } : {}),
    };
  }

  function loop(item: Recipe, filled: readonly SlotName[], operand: Operand, depth: number): Loop {
    const { extra } = item;
    const over = extra % 2 === 0 ? { list: operand, item: declare([]) } : null;
    const index = extra % 3 === 0 ? declare([]) : null;
    const carried = extra % 5 < 2 ? [declare([]), declare([])] : [];
    const own = [...(over === null ? [] : [over.item]), ...(index === null ? [] : [index]), ...carried];
    const inner = depth >= 3 ? [] : (item.inner[0] ?? []);
    const until = extra % 4 === 0 ? `${own[0] ?? "event"} == ${extra % 100}` : null;
    return {
      op: "loop",
      body: block(inner, [...filled, ...own], depth + 1),
      over,
      index,
      carry: carried.map((slot) => ({ slot, initial: operand, next: slot })),
      until,
      iterationsMax: (extra % 20) + 1,
      mustConverge: until !== null && extra % 8 === 0,
    };
  }

  function wait(item: Recipe): Opcode {
    const [, , third = 0] = item.picks;
    const { extra } = item;
    const events = {
      source: extra % 3 === 0 ? null : capabilityId("demo.seen@1.0.0"),
      config: extra % 3 === 1 ? { folder: item.value } : {},
      type: extra % 2 === 0 ? null : "demo.event",
      withinMs: (third % 59_999) + 1,
    };
    const untils: readonly WaitUntil[] = [
      { kind: "duration", ms: (third % 59_999) + 1 },
      { kind: "event", ...events, filter: extra % 5 < 2 ? null : "event.data.size > 3" },
      {
        kind: "condition",
        ...events,
        condition: "event.data.size > 3",
        holdMs: third % events.withinMs,
        down: extra % 2 === 0 ? "counts" : "restarts",
      },
    ];
    return {
      op: "wait",
      until: (extra === 0 ? untils[0] : untils[extra % untils.length]) as WaitUntil,
      ...(extra % 4 === 1 ? { missed: extra % 8 === 1 ? "go-on" : "fail" } : {}),
      ...(extra % 5 === 1 ? { output: declare([]) } : {}),
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
          ...(item.extra % 3 === 1 ? { guard: guard(item, name, params) } : {}),
        };
      case "wait":
        return wait(item);
      case "loop":
        return loop(item, filled, operand, depth);
      case "ask":
        return {
          op: "ask",
          model: "demo",
          context: item.text,
          prompt: operand,
          schema: Type.Object({ x: Type.Number() }),
          output: declare(["origin:model"]),
          attemptsMax: (third % 3) + 1,
        };
      case "recall":
        return {
          op: "recall",
          scope: third % 2 === 0 ? "program" : "workspace",
          key: operand,
          output: declare([]),
        };
      case "remember":
        return {
          op: "remember",
          scope: third % 2 === 0 ? "program" : "workspace",
          key: params.key,
          value: operand,
        };
      case "run":
        return {
          op: "run",
          program: programHash(String(third % 10).repeat(64)),
          input: { [item.text]: operand },
          output: fourth % 2 === 0 ? null : declare([]),
        };
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
  const called = allSteps(body).flatMap(capabilitiesOf);
  const program: Program = {
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
    ...headOf2(recipe.head, body),
  };
  return { ...program, format: formatNeeded(program) };
}

function headOf2(pick: number, body: Block): Partial<Program> {
  const listens = allSteps(body).flatMap(({ op }) =>
    op.op === "wait" &&
    (op.until.kind === "event" || op.until.kind === "condition") &&
    op.until.source !== null
      ? [{ source: op.until.source, config: op.until.config }]
      : [],
  );
  return {
    ...(pick % 2 === 1 && listens.length > 0 ? { listens: listens.slice(0, 3) } : {}),
    ...(pick % 3 === 1
      ? { conflict: (["queue", "preempt", "reject"] as const)[pick % 3] ?? "queue", queueMax: pick }
      : {}),
    ...(pick % 5 === 1
      ? {
          resources: [
            { name: "press", count: 1, access: "exclusive", leaseMs: pick },
            { name: "air", count: pick, access: "shared", leaseMs: 1 },
          ],
        }
      : {}),
    ...(pick % 7 === 1 ? { onPreempted: pick % 2 === 0 ? "again" : "fail" } : {}),
  };
}

/** Each part of a guard is there for some recipes. */
function guard({ extra }: Recipe, name: SlotName, params: Operands): Guard {
  const bound = decimal(`${extra}e-3`);
  return {
    ...(extra % 2 === 0 ? { preconditions: [`${name} != ${extra}`] } : {}),
    ...(extra % 5 === 0
      ? {
          window: {
            window: { fromMinute: 1320, toMinute: 360, days: [0, 6], zone: "Europe/Paris" },
            outside: (["queue", "refuse", "skip"] as const)[extra % 3] ?? "queue",
            queueMs: extra,
          },
        }
      : {}),
    ...(extra % 7 === 0
      ? {
          countdown: {
            ms: extra,
            role: roleName("accountant"),
            requiresAcknowledgment: extra % 2 === 0,
            onMissed: (["abort", "execute", "escalate"] as const)[extra % 3] ?? "abort",
          },
        }
      : {}),
    ...(extra % 11 < 3 ? { rate: { cooldownMs: extra, perMinuteMax: extra % 100 } } : {}),
    ...(extra % 2 === 1
      ? { ranges: [{ param: "key", min: null, max: bound, stepMax: extra % 4 === 1 ? bound : null }] }
      : {}),
    ...(extra % 4 === 0
      ? {
          readBack: {
            capability: capabilityId("demo.read@1.0.0"),
            params,
            check: `result.key == "a"`,
            tolerance: extra % 8 === 0 ? bound : null,
            pollMs: extra,
            timeoutMs: extra,
          },
        }
      : {}),
  };
}

function failure(op: Opcode, pick: number, { value, extra, text: context }: Recipe): FailurePolicy {
  if (extra % 6 === 5) {
    return op.op === "load" || op.op === "ask"
      ? { kind: "ask_model", model: "demo", context, schema: Type.Object({}), attemptsMax: (pick % 3) + 1 }
      : { kind: "recompile", role: roleName("accountant"), withinMs: pick + 1 };
  }
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
    ...(extra % 4 === 3 ? { jitter: (extra % 100) / 100 } : {}),
  };
}

function isStrict(policy: FailurePolicy): boolean {
  const last = policy.kind === "retry" ? policy.then : policy;
  return ["safe_halt", "compensate", "safe_value", "ask_model", "recompile"].includes(last.kind);
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

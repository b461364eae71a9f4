// Programs by seed: every opcode that acts or waits, every contract, every failure policy. A feature is one line of the table.
import { checkProgram } from "@writ/core/program-check";
import { capabilityId, roleName, slotName, stepId, type StepId } from "@writ/core/ids";
import {
  allSteps,
  type Block,
  type FailurePolicy,
  type Guard,
  type Operand,
  type Program,
  type Step,
  type Trigger,
} from "@writ/core/program";
import { priorities } from "@writ/core/event";
import type { CapabilityDefinition } from "@writ/core/capability";
import type { Value } from "@writ/core/value";
import type { SeededRandom } from "../seeded-random.ts";
import { hostName } from "./modules.ts";
import { sourceId } from "./source.ts";

const literal = (value: Value): Operand => ({ kind: "literal", value });

interface Making {
  readonly random: SeededRandom;
  readonly depth: number;
  /** Names of files that several programs share. */
  readonly names: readonly string[];
  readonly nextId: () => string;
  readonly block: (depth: number) => Block;
}

interface Made {
  readonly op: Step["op"];
  readonly timeoutMs?: number;
}

/** What a step may be, and how often. New opcodes are added here. */
const features: readonly {
  readonly name: string;
  readonly weight: number;
  readonly nested: boolean;
  readonly make: (making: Making, id: string) => Made;
}[] = [
  { name: "put", weight: 4, nested: false, make: (making, id) => ({ op: fileCall("put", making, id) }) },
  {
    name: "append",
    weight: 4,
    nested: false,
    make: (making, id) => ({ op: fileCall("append", making, id) }),
  },
  { name: "note", weight: 2, nested: false, make: (making, id) => ({ op: fileCall("note", making, id) }) },
  {
    name: "count",
    weight: 1,
    nested: false,
    make: (_, id) => ({ op: callOf("count", { text: literal(id) }) }),
  },
  {
    name: "send",
    weight: 1,
    nested: false,
    make: (_, id) => ({
      op: callOf("send", { host: literal(`http://${hostName}/x`), text: literal(id) }),
    }),
  },
  {
    name: "load",
    weight: 2,
    nested: false,
    make: ({ random, names }, id) => ({
      op: {
        op: "load",
        capability: capabilityId("sim.read@1.0.0"),
        params: { name: literal(random.pick(names)) },
        output: slotName(`v-${id}`.replace("-", "_")),
        freshnessMsMax: null,
      },
    }),
  },
  {
    name: "eval",
    weight: 1,
    nested: false,
    make: (_, id) => ({ op: { op: "eval", expression: "1 + 1", output: slotName(`v_${id}`) } }),
  },
  {
    name: "wait",
    weight: 2,
    nested: false,
    make: ({ random }) => ({
      op: { op: "wait", until: { kind: "duration", ms: 1 + random.below(random.pick([20, 5000, 60_000])) } },
    }),
  },
  {
    name: "emit",
    weight: 1,
    nested: false,
    make: (_, id) => ({ op: { op: "emit", type: "sim.said", data: { id: literal(id) } } }),
  },
  {
    name: "fail",
    weight: 0.3,
    nested: false,
    make: () => ({ op: { op: "fail", code: "sim.wanted", message: literal("on purpose") } }),
  },
  {
    name: "branch",
    weight: 1,
    nested: true,
    make: ({ random, depth, block }) => ({
      op: {
        op: "branch",
        arms: [{ when: random.pick(["1 < 2", "2 < 1"]), block: block(depth + 1) }],
        otherwise: block(depth + 1),
      },
    }),
  },
  {
    name: "parallel",
    weight: 1.5,
    nested: true,
    make: ({ random, depth, block }) => ({
      op: {
        op: "parallel",
        branches: [block(depth + 1), block(depth + 1), ...(random.chance(0.3) ? [block(depth + 1)] : [])],
        join: random.pick([
          { kind: "all" },
          { kind: "all" },
          { kind: "first" },
          { kind: "race" },
          { kind: "quorum", count: 1 + random.below(2) },
        ] as const),
      },
      ...(random.chance(0.2) ? { timeoutMs: 1 + random.below(20_000) } : {}),
    }),
  },
  {
    name: "loop",
    weight: 1.2,
    nested: true,
    make: ({ random, depth, block }, id) => {
      const count = 1 + random.below(4);
      const items = Array.from({ length: random.below(count + 1) }, (_, i) => i);
      return {
        op: {
          op: "loop",
          body: block(depth + 1),
          over: random.chance(0.5) ? { list: literal(items), item: slotName(`item_${id}`) } : null,
          index: slotName(`i_${id}`),
          carry: [],
          until: random.chance(0.4) ? `i_${id} >= ${random.below(3)}` : null,
          iterationsMax: count,
          mustConverge: random.chance(0.2),
        },
      };
    },
  },
  {
    name: "approve",
    weight: 1,
    nested: true,
    make: ({ random, depth, block }) => ({
      op: {
        op: "approve",
        role: roleName("accountant"),
        withinMs: 1000 + random.below(120_000),
        message: literal("may I?"),
        body: block(depth + 1),
        otherwise: random.chance(0.5) ? block(depth + 1) : null,
      },
    }),
  },
];

/** Of format 2. */
const newOps: ReadonlySet<string> = new Set(["loop", "ask", "recall", "remember", "run"]);
const acting: ReadonlySet<string> = new Set(["call", "load"]);

/** A program that passes `checkProgram`, or null when what the random numbers gave does not. */
export function makeProgram(
  random: SeededRandom,
  capabilities: readonly CapabilityDefinition[],
  number: number,
): Program | null {
  let count = 0;
  const making = (depth: number): Making => ({
    random,
    depth,
    names: ["a", "b", `own${number}`, `own${number}x`],
    nextId: () => `p${number}s${count++}`,
    block,
  });
  const total = features.reduce((sum, { weight }) => sum + weight, 0);
  const choose = (mayNest: boolean) => {
    for (;;) {
      let at = (random.below(1_000_000) / 1_000_000) * total;
      const found = features.find(({ weight }) => (at -= weight) < 0);
      if (found !== undefined && (mayNest || !found.nested)) return found;
    }
  };
  function block(depth: number): Block {
    const steps: Step[] = [];
    for (let left = 1 + random.below(depth === 0 ? 4 : 3); left > 0; left--) {
      const before = steps.at(-1);
      const after = before !== undefined && random.chance(0.7) ? [before.id] : [];
      const step = stepOf(depth, depth < 2);
      steps.push({ ...step, after, tolerates: random.chance(0.5) ? after : [] });
    }
    return { steps };
  }
  function stepOf(depth: number, mayNest: boolean): Step {
    const here = making(depth);
    const id = here.nextId();
    const { op, timeoutMs } = choose(mayNest).make(here, id);
    const isActing = acting.has(op.op);
    return {
      id: stepId(id),
      after: [],
      tolerates: [],
      op,
      failure: policyOf(op, depth),
      ...(random.chance(0.05) ? { priority: random.pick(priorities) } : {}),
      timeoutMs: timeoutMs ?? (isActing && random.chance(0.1) ? 50 + random.below(3000) : null),
    };
  }
  function policyOf(op: Step["op"], depth: number): FailurePolicy {
    const plain: FailurePolicy = random.pick<FailurePolicy>([
      { kind: "safe_halt" },
      { kind: "safe_halt" },
      { kind: "continue" },
      { kind: "skip" },
      { kind: "compensate" },
      { kind: "compensate" },
      ...(depth < 2 ? [{ kind: "degrade" as const, block: { steps: [stepOf(2, false)] } }] : []),
      { kind: "ask_person", role: roleName("accountant"), withinMs: 1000 + random.below(60_000) },
    ]);
    const isRepeatable =
      op.op === "load" || (op.op === "call" && ["sim.put@1.0.0", "sim.append@1.0.0"].includes(op.capability));
    if (!isRepeatable || random.chance(0.5)) return plain;
    return {
      kind: "retry",
      attemptsMax: 1 + random.below(4),
      delayMs: random.below(2000),
      factor: random.pick([1, 2]),
      delayMsMax: 10_000,
      on: random.chance(0.5) ? ["sim.busy"] : ["runtime.timeout", "sim.busy"],
      then: plain,
    };
  }

  /** What runs of one program, or of all, share. */
  const sharing = (): Partial<Program> => ({
    ...(random.chance(0.5)
      ? {
          resources: [
            {
              name: random.pick(["pump", "valve"]),
              count: 1,
              access: random.pick(["shared", "exclusive"]),
              leaseMs: 600_000,
            },
          ],
        }
      : {}),
    conflict: random.pick(["queue", "preempt", "reject"]),
    onPreempted: random.pick(["again", "fail"]),
  });
  const body = block(0);
  const program: Program = {
    format: 1,
    trigger: triggerOf(random),
    windows: [],
    priority: random.pick(["critical", "high", "normal", "low", "background"]),
    runTimeoutMs: random.chance(0.1) ? 1000 + random.below(60_000) : 2 * 3_600_000,
    concurrencyMax: random.chance(0.3) ? 1 + random.below(2) : 100,
    capabilities: [],
    invariants: [],
    workspace: {
      name: "sim",
      zone: "Europe/Paris",
      profile: "local_worker",
      folders: [],
      files: [],
      roles: [roleName("accountant")],
      columns: [],
      hosts: [{ host: hostName, scheme: "http", risk: "low", idempotent: false }],
    },
    slots: [],
    body,
    ...(random.chance(0.15) ? sharing() : {}),
  };
  return completed(program, capabilities);
}

/** With the lists that follow from its steps; null when it is not valid. */
export function completed(program: Program, capabilities: readonly CapabilityDefinition[]): Program | null {
  const steps = allSteps(program.body);
  const called = new Set(
    steps.flatMap(({ op }) => (op.op === "call" || op.op === "load" ? [op.capability] : [])),
  );
  const slots = steps.flatMap(({ op }) =>
    op.op === "loop"
      ? [op.index, op.over?.item ?? null].flatMap((name) =>
          name === null ? [] : [{ name, schema: {}, labels: [] }],
        )
      : (op.op === "eval" || op.op === "load" || op.op === "call") && op.output !== null
        ? [{ name: op.output, schema: {}, labels: [] }]
        : [],
  );
  const isNew =
    program.conflict !== undefined ||
    program.resources !== undefined ||
    steps.some((step) => newOps.has(step.op.op) || step.priority !== undefined || "guard" in step.op);
  const made: Program = { ...program, format: isNew ? 2 : 1, capabilities: [...called].sort(), slots };
  return checkProgram(made, capabilities).length === 0 ? made : null;
}

function triggerOf(random: SeededRandom): Trigger {
  if (random.chance(0.4)) return { kind: "manual" };
  return {
    kind: "source",
    source: sourceId,
    config: { channel: random.pick(["north", "south"]) },
    filter: random.chance(0.5) ? "event.data.n < 5" : null,
    holdMs: random.chance(0.2) ? 1 + random.below(5000) : 0,
    throttleMs: random.chance(0.2) ? 1 + random.below(5000) : 0,
  };
}

function callOf(capability: string, params: Readonly<Record<string, Operand>>): Step["op"] {
  return {
    op: "call",
    capability: capabilityId(`sim.${capability}@1.0.0`),
    params,
    output: null,
    compensation: null,
  };
}

/** Looked at before the effect, and announced for a while. */
function guardOf(random: SeededRandom): Guard {
  return {
    preconditions: [random.chance(0.9) ? "1 < 2" : "2 < 1"],
    ...(random.chance(0.6)
      ? {
          countdown: {
            ms: 1000 + random.below(20_000),
            role: roleName("accountant"),
            requiresAcknowledgment: false,
            onMissed: random.pick(["abort", "execute"] as const),
          },
        }
      : {}),
    ...(random.chance(0.3)
      ? { rate: { cooldownMs: random.below(3000), perMinuteMax: 1 + random.below(20) } }
      : {}),
  };
}

function fileCall(capability: string, { random, names }: Making, id: string): Step["op"] {
  // Now and then more than an entry may hold, so that a blob stands for it.
  const text = random.chance(0.05) ? "long ".repeat(1200) : id;
  const op = callOf(capability, { name: literal(random.pick(names)), text: literal(text) });
  return op.op === "call" && random.chance(0.08) ? { ...op, guard: guardOf(random) } : op;
}

/** A step that writes a file: for whoever wants to know whether it is free. */
export function putStep(id: StepId, name: string): Step {
  const op = callOf("put", { name: literal(name), text: literal("probe") });
  const failure: FailurePolicy = {
    kind: "retry",
    attemptsMax: 10,
    delayMs: 1000,
    factor: 1,
    delayMsMax: 1000,
    on: ["runtime.timeout", "sim.busy"],
    then: { kind: "ask_person", role: roleName("accountant"), withinMs: 30_000 },
  };
  return { id, after: [], tolerates: [], op, failure, timeoutMs: null };
}

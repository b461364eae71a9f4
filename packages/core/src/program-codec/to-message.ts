// Program → protobuf message. Pure mapping; the order of pairs is fixed here (F1).
import type { MessageInitShape } from "@bufbuild/protobuf";
import { encodeCbor } from "../cbor.ts";
import { priorities } from "../event.ts";
import { fault } from "../faults.ts";
import type {
  BlockSchema,
  FailurePolicySchema,
  GuardSchema,
  InvariantSchema,
  LoopSchema,
  NamedOperandSchema,
  OperandSchema,
  ParallelSchema,
  ProgramSchema,
  StepSchema,
  TriggerSchema,
  WaitSchema,
  WorkspaceSchema,
} from "../gen/writ/program/v1/program_pb.ts";
import type {
  Block,
  FailurePolicy,
  FrozenWorkspace,
  Guard,
  Invariant,
  Join,
  Loop,
  Opcode,
  Operand,
  Operands,
  Program,
  Step,
  Trigger,
  WaitUntil,
} from "../program.ts";
import type { Schema } from "../schema.ts";
import { parseValue, type Value } from "../value.ts";

type ProgramInit = MessageInitShape<typeof ProgramSchema>;
type ProgramFields = Exclude<ProgramInit, { $typeName: string }>;
type StepInit = Exclude<MessageInitShape<typeof StepSchema>, { $typeName: string }>;

export function toMessage(program: Program): ProgramInit {
  return {
    format: program.format,
    trigger: triggerOf(program.trigger),
    windows: program.windows.map((window) => ({ ...window, days: [...window.days] })),
    priority: priorities.indexOf(program.priority),
    runTimeoutMs: whole(program.runTimeoutMs, "runTimeoutMs"),
    concurrencyMax: program.concurrencyMax,
    capabilities: [...program.capabilities],
    invariants: program.invariants.map(invariantOf),
    workspace: workspaceOf(program.workspace),
    slots: program.slots.map((slot) => ({
      name: slot.name,
      schemaCbor: schemaBytes(slot.schema),
      labels: [...slot.labels],
    })),
    body: blockOf(program.body),
    ...headOf2(program),
  };
}

/** What only format 2 has; absent fields and empty lists are not written. */
function headOf2({ listens, conflict, queueMax, resources, onPreempted }: Program): Partial<ProgramFields> {
  return {
    ...(listens === undefined
      ? {}
      : { listens: listens.map(({ source, config }) => ({ source, config: configOf(config) })) }),
    ...(conflict === undefined ? {} : { conflict }),
    ...(queueMax === undefined ? {} : { queueMax }),
    ...(resources === undefined
      ? {}
      : {
          resources: resources.map(({ name, count, access, leaseMs }) => ({
            name,
            count,
            exclusive: access === "exclusive",
            leaseMs: whole(leaseMs, "leaseMs"),
          })),
        }),
    ...(onPreempted === undefined ? {} : { onPreempted }),
  };
}

function configOf(config: Readonly<Record<string, Value>>) {
  return sorted(config).map(([name, value]) => ({ name, valueCbor: encodeCbor(value) }));
}

function triggerOf(trigger: Trigger): MessageInitShape<typeof TriggerSchema> {
  if (trigger.kind === "manual") return { kind: { case: "manual", value: {} } };
  return {
    kind: {
      case: "source",
      value: {
        source: trigger.source,
        config: configOf(trigger.config),
        ...(trigger.filter === null ? {} : { filter: trigger.filter }),
        holdMs: whole(trigger.holdMs, "holdMs"),
        throttleMs: whole(trigger.throttleMs, "throttleMs"),
      },
    },
  };
}

function invariantOf(invariant: Invariant): MessageInitShape<typeof InvariantSchema> {
  switch (invariant.kind) {
    case "writes-within":
      return { kind: { case: "writesWithin", value: { paths: [...invariant.paths] } } };
    case "never-writes":
      return { kind: { case: "neverWrites", value: { paths: [...invariant.paths] } } };
    case "never-calls":
      return { kind: { case: "neverCalls", value: invariant.capability } };
    case "never-sends":
      return { kind: { case: "neverSends", value: {} } };
  }
}

function workspaceOf(workspace: FrozenWorkspace): MessageInitShape<typeof WorkspaceSchema> {
  const placeOf = (place: FrozenWorkspace["folders"][number]) => ({
    name: place.name,
    path: place.path,
    writable: place.access === "write",
  });
  return {
    name: workspace.name,
    zone: workspace.zone,
    profile: workspace.profile,
    folders: workspace.folders.map(placeOf),
    files: workspace.files.map(placeOf),
    roles: [...workspace.roles],
    columns: workspace.columns.map(({ dimension, min, max, ...column }) => ({
      ...column,
      ...(dimension === null ? {} : { dimension }),
      ...(min === null ? {} : { min }),
      ...(max === null ? {} : { max }),
    })),
    hosts: workspace.hosts.map((host) => ({ ...host })),
  };
}

function blockOf(block: Block): MessageInitShape<typeof BlockSchema> {
  return { steps: block.steps.map(stepOf) };
}

function stepOf(step: Step): StepInit {
  return {
    id: step.id,
    after: [...step.after],
    tolerates: [...step.tolerates],
    failure: failureOf(step.failure),
    ...(step.timeoutMs === null ? {} : { timeoutMs: whole(step.timeoutMs, "timeoutMs") }),
    ...(step.priority === undefined ? {} : { priority: priorities.indexOf(step.priority) }),
    ...(step.preemptible === undefined ? {} : { preemptible: step.preemptible }),
    op: opOf(step.op),
  };
}

function opOf(op: Opcode): NonNullable<StepInit["op"]> {
  switch (op.op) {
    case "load":
      return {
        case: "load",
        value: {
          capability: op.capability,
          params: operandsOf(op.params),
          output: op.output,
          ...(op.freshnessMsMax === null
            ? {}
            : { freshnessMsMax: whole(op.freshnessMsMax, "freshnessMsMax") }),
        },
      };
    case "eval":
      return { case: "eval", value: { expression: op.expression, output: op.output } };
    case "check":
      return { case: "check", value: { slot: op.slot, schemaCbor: schemaBytes(op.schema) } };
    case "call":
      return {
        case: "call",
        value: {
          capability: op.capability,
          params: operandsOf(op.params),
          ...(op.output === null ? {} : { output: op.output }),
          ...(op.compensation === null
            ? {}
            : {
                compensation: {
                  capability: op.compensation.capability,
                  params: operandsOf(op.compensation.params),
                },
              }),
          ...(op.guard === undefined ? {} : { guard: guardOf(op.guard) }),
        },
      };
    case "branch":
      return {
        case: "branch",
        value: {
          arms: op.arms.map((arm) => ({ when: arm.when, block: blockOf(arm.block) })),
          otherwise: blockOf(op.otherwise),
        },
      };
    case "parallel":
      return { case: "parallel", value: { branches: op.branches.map(blockOf), join: joinOf(op.join) } };
    case "wait":
      return {
        case: "wait",
        value: {
          until: untilOf(op.until),
          ...(op.missed === undefined ? {} : { missed: op.missed }),
          ...(op.output === undefined ? {} : { output: op.output }),
        },
      };
    case "approve":
      return {
        case: "approve",
        value: {
          role: op.role,
          withinMs: whole(op.withinMs, "withinMs"),
          ...(op.message === null ? {} : { message: operandOf(op.message) }),
          body: blockOf(op.body),
          ...(op.otherwise === null ? {} : { otherwise: blockOf(op.otherwise) }),
        },
      };
    case "emit":
      return { case: "emit", value: { type: op.type, data: operandsOf(op.data) } };
    case "fail":
      return { case: "fail", value: { code: op.code, message: operandOf(op.message) } };
    case "finish":
      return { case: "finish", value: { result: operandOf(op.result) } };
    case "loop":
      return { case: "loop", value: loopOf(op) };
    case "ask":
      return {
        case: "ask",
        value: {
          model: op.model,
          context: op.context,
          prompt: operandOf(op.prompt),
          schemaCbor: schemaBytes(op.schema),
          output: op.output,
          attemptsMax: op.attemptsMax,
        },
      };
    case "recall":
      return {
        case: "recall",
        value: { scope: op.scope, key: operandOf(op.key), output: op.output },
      };
    case "remember":
      return {
        case: "remember",
        value: { scope: op.scope, key: operandOf(op.key), value: operandOf(op.value) },
      };
    case "run":
      return {
        case: "run",
        value: {
          program: op.program,
          input: operandsOf(op.input),
          ...(op.output === null ? {} : { output: op.output }),
        },
      };
  }
}

function loopOf(op: Loop): MessageInitShape<typeof LoopSchema> {
  return {
    body: blockOf(op.body),
    ...(op.over === null ? {} : { over: { list: operandOf(op.over.list), item: op.over.item } }),
    ...(op.index === null ? {} : { index: op.index }),
    carry: op.carry.map(({ slot, initial, next }) => ({ slot, initial: operandOf(initial), next })),
    ...(op.until === null ? {} : { until: op.until }),
    iterationsMax: op.iterationsMax,
    mustConverge: op.mustConverge,
  };
}

function untilOf(
  until: WaitUntil,
): NonNullable<Exclude<MessageInitShape<typeof WaitSchema>, { $typeName: string }>["until"]> {
  switch (until.kind) {
    case "duration":
      return { case: "durationMs", value: whole(until.ms, "ms") };
    case "time":
      return { case: "time", value: operandOf(until.at) };
    case "event":
      return {
        case: "event",
        value: {
          ...(until.source === null ? {} : { source: until.source }),
          config: configOf(until.config),
          ...(until.type === null ? {} : { type: until.type }),
          ...(until.filter === null ? {} : { filter: until.filter }),
          withinMs: whole(until.withinMs, "withinMs"),
        },
      };
    case "condition":
      return {
        case: "condition",
        value: {
          ...(until.source === null ? {} : { source: until.source }),
          config: configOf(until.config),
          ...(until.type === null ? {} : { type: until.type }),
          condition: until.condition,
          holdMs: whole(until.holdMs, "holdMs"),
          withinMs: whole(until.withinMs, "withinMs"),
          downCounts: until.down === "counts",
        },
      };
  }
}

function guardOf({
  preconditions,
  window,
  countdown,
  rate,
  ranges,
  readBack,
}: Guard): MessageInitShape<typeof GuardSchema> {
  return {
    ...(preconditions === undefined ? {} : { preconditions: [...preconditions] }),
    ...(window === undefined
      ? {}
      : {
          window: {
            window: { ...window.window, days: [...window.window.days] },
            outside: window.outside,
            queueMs: whole(window.queueMs, "queueMs"),
          },
        }),
    ...(countdown === undefined
      ? {}
      : {
          countdown: {
            ms: whole(countdown.ms, "ms"),
            role: countdown.role,
            requiresAcknowledgment: countdown.requiresAcknowledgment,
            onMissed: countdown.onMissed,
          },
        }),
    ...(rate === undefined
      ? {}
      : { rate: { cooldownMs: whole(rate.cooldownMs, "cooldownMs"), perMinuteMax: rate.perMinuteMax } }),
    ...(ranges === undefined
      ? {}
      : {
          ranges: ranges.map(({ param, min, max, stepMax }) => ({
            param,
            ...(min === null ? {} : { minCbor: encodeCbor(min) }),
            ...(max === null ? {} : { maxCbor: encodeCbor(max) }),
            ...(stepMax === null ? {} : { stepMaxCbor: encodeCbor(stepMax) }),
          })),
        }),
    ...(readBack === undefined
      ? {}
      : {
          readBack: {
            capability: readBack.capability,
            params: operandsOf(readBack.params),
            check: readBack.check,
            ...(readBack.tolerance === null ? {} : { toleranceCbor: encodeCbor(readBack.tolerance) }),
            pollMs: whole(readBack.pollMs, "pollMs"),
            timeoutMs: whole(readBack.timeoutMs, "timeoutMs"),
          },
        }),
  };
}

function joinOf(
  join: Join,
): NonNullable<Exclude<MessageInitShape<typeof ParallelSchema>, { $typeName: string }>["join"]> {
  switch (join.kind) {
    case "all":
      return { case: "all", value: {} };
    case "first":
      return { case: "first", value: {} };
    case "race":
      return { case: "race", value: {} };
    case "quorum":
      return { case: "quorum", value: join.count };
  }
}

function failureOf(policy: FailurePolicy): MessageInitShape<typeof FailurePolicySchema> {
  switch (policy.kind) {
    case "safe_halt":
      return { kind: { case: "safeHalt", value: {} } };
    case "retry":
      return {
        kind: {
          case: "retry",
          value: {
            attemptsMax: policy.attemptsMax,
            delayMs: whole(policy.delayMs, "delayMs"),
            factor: policy.factor,
            delayMsMax: whole(policy.delayMsMax, "delayMsMax"),
            on: [...policy.on],
            then: failureOf(policy.then),
            ...(policy.jitter === undefined ? {} : { jitter: policy.jitter }),
          },
        },
      };
    case "safe_value":
      return { kind: { case: "safeValueCbor", value: encodeCbor(policy.value) } };
    case "degrade":
      return { kind: { case: "degrade", value: blockOf(policy.block) } };
    case "skip":
      return { kind: { case: "skip", value: {} } };
    case "continue":
      return { kind: { case: "continue", value: {} } };
    case "ask_person":
      return {
        kind: {
          case: "askPerson",
          value: { role: policy.role, withinMs: whole(policy.withinMs, "withinMs") },
        },
      };
    case "compensate":
      return { kind: { case: "compensate", value: {} } };
    case "ask_model":
      return {
        kind: {
          case: "askModel",
          value: {
            model: policy.model,
            context: policy.context,
            schemaCbor: schemaBytes(policy.schema),
            attemptsMax: policy.attemptsMax,
          },
        },
      };
    case "recompile":
      return {
        kind: {
          case: "recompile",
          value: { role: policy.role, withinMs: whole(policy.withinMs, "withinMs") },
        },
      };
  }
}

function operandOf(operand: Operand): MessageInitShape<typeof OperandSchema> {
  return operand.kind === "literal"
    ? { kind: { case: "literalCbor", value: encodeCbor(operand.value) } }
    : { kind: { case: "expression", value: operand.text } };
}

function operandsOf(operands: Operands): MessageInitShape<typeof NamedOperandSchema>[] {
  return sorted(operands).map(([name, operand]) => ({ name, operand: operandOf(operand) }));
}

/** A schema is JSON; parsing it as a value drops what its library keeps beside the JSON. */
function schemaBytes(schema: Schema): Uint8Array {
  return encodeCbor(parseValue(schema));
}

/** By UTF-16 code units, as JavaScript compares texts. */
function sorted<T>(record: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function whole(count: number, name: string): bigint {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw fault("program.malformed", `Cannot encode \`${name}\`: ${count} is no whole number from 0 up`, {
      name,
    });
  }
  return BigInt(count);
}

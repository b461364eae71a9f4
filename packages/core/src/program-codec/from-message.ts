// Protobuf message → program. Everything that is absent, unknown or of the wrong form is `program.malformed`; nothing gets a default.
import { decodeCbor } from "../cbor.ts";
import { priorities, type Priority } from "../event.ts";
import { fault } from "../faults.ts";
import type * as Message from "../gen/writ/program/v1/program_pb.ts";
import { capabilityId, programHash, roleName, slotName, stepId } from "../ids.ts";
import { labels, type Label } from "../label.ts";
import type {
  Block,
  FailurePolicy,
  FrozenWorkspace,
  Guard,
  Invariant,
  Join,
  Loop,
  MemoryScope,
  Opcode,
  Operand,
  Operands,
  Program,
  SlotDeclaration,
  Step,
  Trigger,
  WaitUntil,
} from "../program.ts";
import type { Schema } from "../schema.ts";
import { isDecimal, isMap, type Decimal, type Value } from "../value.ts";

/** `format` is the number the bytes begin with, which the caller has looked at. */
export function fromMessage(message: Message.Program, format: Program["format"]): Program {
  return {
    format,
    trigger: triggerOf(present(message.trigger, "trigger")),
    windows: message.windows.map(({ fromMinute, toMinute, days, zone }) => ({
      fromMinute,
      toMinute,
      days,
      zone,
    })),
    priority: priorityOf(message.priority),
    runTimeoutMs: safe(message.runTimeoutMs),
    concurrencyMax: message.concurrencyMax,
    capabilities: message.capabilities.map(capabilityId),
    invariants: message.invariants.map(invariantOf),
    workspace: workspaceOf(present(message.workspace, "workspace")),
    slots: message.slots.map(slotOf),
    body: blockOf(present(message.body, "body")),
    ...headOf2(message),
  };
}

function headOf2({
  listens,
  conflict,
  queueMax,
  resources,
  onPreempted,
}: Message.Program): Pick<Program, "listens" | "conflict" | "queueMax" | "resources" | "onPreempted"> {
  return {
    ...(listens.length === 0
      ? {}
      : {
          listens: listens.map(({ source, config }) => ({
            source: capabilityId(source),
            config: configOf(config),
          })),
        }),
    ...(conflict === undefined
      ? {}
      : { conflict: wordOf(conflict, ["queue", "preempt", "reject"], "conflict") }),
    ...(queueMax === undefined ? {} : { queueMax }),
    ...(resources.length === 0
      ? {}
      : {
          resources: resources.map(({ name, count, exclusive, leaseMs }) => ({
            name,
            count,
            access: exclusive ? ("exclusive" as const) : ("shared" as const),
            leaseMs: safe(leaseMs),
          })),
        }),
    ...(onPreempted === undefined
      ? {}
      : { onPreempted: wordOf(onPreempted, ["again", "fail"], "onPreempted") }),
  };
}

function configOf(pairs: readonly Message.NamedValue[]): Readonly<Record<string, Value>> {
  return record(pairs.map(({ name, valueCbor }) => [name, decodeCbor(valueCbor)] as const));
}

function priorityOf(number: number): Priority {
  const priority = priorities[number];
  if (priority === undefined) throw malformed(`the priority ${number}`);
  return priority;
}

function wordOf<Word extends string>(text: string, words: readonly Word[], name: string): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw malformed(`the \`${name}\` \`${text.slice(0, 80)}\``);
  return word;
}

function triggerOf(message: Message.Trigger): Trigger {
  switch (message.kind.case) {
    case "manual":
      return { kind: "manual" };
    case "source": {
      const { source, config, filter, holdMs, throttleMs } = message.kind.value;
      return {
        kind: "source",
        source: capabilityId(source),
        config: configOf(config),
        filter: filter ?? null,
        holdMs: safe(holdMs),
        throttleMs: safe(throttleMs),
      };
    }
    case undefined:
      throw malformed("a trigger of unknown kind");
  }
}

function invariantOf(message: Message.Invariant): Invariant {
  switch (message.kind.case) {
    case "writesWithin":
      return { kind: "writes-within", paths: message.kind.value.paths };
    case "neverWrites":
      return { kind: "never-writes", paths: message.kind.value.paths };
    case "neverCalls":
      return { kind: "never-calls", capability: capabilityId(message.kind.value) };
    case "neverSends":
      return { kind: "never-sends" };
    case undefined:
      throw malformed("an invariant of unknown kind");
  }
}

function workspaceOf(message: Message.Workspace): FrozenWorkspace {
  const placeOf = ({ name, path, writable }: Message.Place): FrozenWorkspace["folders"][number] => ({
    name,
    path,
    access: writable ? "write" : "read",
  });
  return {
    name: message.name,
    zone: message.zone,
    profile: message.profile,
    folders: message.folders.map(placeOf),
    files: message.files.map(placeOf),
    roles: message.roles,
    columns: message.columns.map(({ folder, column, type, dimension, min, max }) => ({
      folder,
      column,
      type,
      dimension: dimension ?? null,
      min: min ?? null,
      max: max ?? null,
    })),
    hosts: message.hosts.map(({ host, scheme, risk, idempotent }) => ({ host, scheme, risk, idempotent })),
  };
}

function slotOf(message: Message.Slot): SlotDeclaration {
  return {
    name: slotName(message.name),
    schema: schemaOf(message.schemaCbor),
    labels: message.labels.map(labelOf),
  };
}

function labelOf(text: string): Label {
  const label = labels.find((known) => known === text);
  if (label === undefined) throw malformed(`the label \`${text.slice(0, 80)}\``);
  return label;
}

function blockOf(message: Message.Block): Block {
  return { steps: message.steps.map(stepOf) };
}

function stepOf(message: Message.Step): Step {
  return {
    id: stepId(message.id),
    after: message.after.map(stepId),
    tolerates: message.tolerates.map(stepId),
    op: opOf(message),
    failure: failureOf(present(message.failure, "failure")),
    timeoutMs: message.timeoutMs === undefined ? null : safe(message.timeoutMs),
    ...(message.priority === undefined ? {} : { priority: priorityOf(message.priority) }),
    ...(message.preemptible === undefined ? {} : { preemptible: message.preemptible }),
  };
}

function opOf({ id, op }: Message.Step): Opcode {
  switch (op.case) {
    case "load":
      return {
        op: "load",
        capability: capabilityId(op.value.capability),
        params: operandsOf(op.value.params),
        output: slotName(op.value.output),
        freshnessMsMax: op.value.freshnessMsMax === undefined ? null : safe(op.value.freshnessMsMax),
      };
    case "eval":
      return { op: "eval", expression: op.value.expression, output: slotName(op.value.output) };
    case "check":
      return { op: "check", slot: slotName(op.value.slot), schema: schemaOf(op.value.schemaCbor) };
    case "call": {
      const { capability, params, output, compensation, guard } = op.value;
      return {
        op: "call",
        capability: capabilityId(capability),
        params: operandsOf(params),
        output: output === undefined ? null : slotName(output),
        compensation:
          compensation === undefined
            ? null
            : {
                capability: capabilityId(compensation.capability),
                params: operandsOf(compensation.params),
              },
        ...(guard === undefined ? {} : { guard: guardOf(guard) }),
      };
    }
    case "branch":
      return {
        op: "branch",
        arms: op.value.arms.map(({ when, block }) => ({ when, block: blockOf(present(block, "block")) })),
        otherwise: blockOf(present(op.value.otherwise, "otherwise")),
      };
    case "parallel":
      return { op: "parallel", branches: op.value.branches.map(blockOf), join: joinOf(op.value) };
    case "wait":
      return {
        op: "wait",
        until: untilOf(op.value),
        ...(op.value.missed === undefined
          ? {}
          : { missed: wordOf(op.value.missed, ["go-on", "fail"], "missed") }),
        ...(op.value.output === undefined ? {} : { output: slotName(op.value.output) }),
      };
    case "approve":
      return {
        op: "approve",
        role: roleName(op.value.role),
        withinMs: safe(op.value.withinMs),
        message: op.value.message === undefined ? null : operandOf(op.value.message),
        body: blockOf(present(op.value.body, "body")),
        otherwise: op.value.otherwise === undefined ? null : blockOf(op.value.otherwise),
      };
    case "emit":
      return { op: "emit", type: op.value.type, data: operandsOf(op.value.data) };
    case "fail":
      return { op: "fail", code: op.value.code, message: operandOf(op.value.message) };
    case "finish":
      return { op: "finish", result: operandOf(op.value.result) };
    case "loop":
      return loopOf(op.value);
    case "ask": {
      const { model, context, prompt, schemaCbor, output, attemptsMax } = op.value;
      return {
        op: "ask",
        model,
        context,
        prompt: operandOf(prompt),
        schema: schemaOf(schemaCbor),
        output: slotName(output),
        attemptsMax,
      };
    }
    case "recall": {
      const { scope, key, output } = op.value;
      return { op: "recall", scope: scopeOf(scope), key: operandOf(key), output: slotName(output) };
    }
    case "remember": {
      const { scope, key, value } = op.value;
      return { op: "remember", scope: scopeOf(scope), key: operandOf(key), value: operandOf(value) };
    }
    case "run": {
      const { program, input, output } = op.value;
      return {
        op: "run",
        program: programHash(program),
        input: operandsOf(input),
        output: output === undefined ? null : slotName(output),
      };
    }
    case undefined:
      throw malformed(`the unknown opcode of step \`${id.slice(0, 128)}\``);
  }
}

function scopeOf(text: string): MemoryScope {
  return wordOf(text, ["program", "workspace"], "scope");
}

function loopOf(message: Message.Loop): Loop {
  const { over, index, carry, until, iterationsMax, mustConverge } = message;
  return {
    op: "loop",
    body: blockOf(present(message.body, "body")),
    over: over === undefined ? null : { list: operandOf(over.list), item: slotName(over.item) },
    index: index === undefined ? null : slotName(index),
    carry: carry.map(({ slot, initial, next }) => ({
      slot: slotName(slot),
      initial: operandOf(initial),
      next,
    })),
    until: until ?? null,
    iterationsMax,
    mustConverge,
  };
}

function guardOf({ preconditions, window, countdown, rate, ranges, readBack }: Message.Guard): Guard {
  return {
    ...(preconditions.length === 0 ? {} : { preconditions }),
    ...(window === undefined ? {} : { window: windowGuardOf(window) }),
    ...(countdown === undefined
      ? {}
      : {
          countdown: {
            ms: safe(countdown.ms),
            role: roleName(countdown.role),
            requiresAcknowledgment: countdown.requiresAcknowledgment,
            onMissed: wordOf(countdown.onMissed, ["abort", "execute", "escalate"], "onMissed"),
          },
        }),
    ...(rate === undefined
      ? {}
      : { rate: { cooldownMs: safe(rate.cooldownMs), perMinuteMax: rate.perMinuteMax } }),
    ...(ranges.length === 0
      ? {}
      : {
          ranges: ranges.map(({ param, minCbor, maxCbor, stepMaxCbor }) => ({
            param,
            min: boundOf(minCbor),
            max: boundOf(maxCbor),
            stepMax: boundOf(stepMaxCbor),
          })),
        }),
    ...(readBack === undefined
      ? {}
      : {
          readBack: {
            capability: capabilityId(readBack.capability),
            params: operandsOf(readBack.params),
            check: readBack.check,
            tolerance: boundOf(readBack.toleranceCbor),
            pollMs: safe(readBack.pollMs),
            timeoutMs: safe(readBack.timeoutMs),
          },
        }),
  };
}

function windowGuardOf({ window, outside, queueMs }: Message.WindowGuard): NonNullable<Guard["window"]> {
  const { fromMinute, toMinute, days, zone } = present(window, "window");
  return {
    window: { fromMinute, toMinute, days, zone },
    outside: wordOf(outside, ["queue", "refuse", "skip"], "outside"),
    queueMs: safe(queueMs),
  };
}

function boundOf(bytes: Uint8Array | undefined): Decimal | null {
  if (bytes === undefined) return null;
  const value = decodeCbor(bytes);
  if (!isDecimal(value)) throw malformed("a bound that is no decimal");
  return value;
}

function joinOf({ join }: Message.Parallel): Join {
  switch (join.case) {
    case "all":
      return { kind: "all" };
    case "first":
      return { kind: "first" };
    case "race":
      return { kind: "race" };
    case "quorum":
      return { kind: "quorum", count: join.value };
    case undefined:
      throw malformed("an unknown join");
  }
}

function untilOf({ until }: Message.Wait): WaitUntil {
  switch (until.case) {
    case "durationMs":
      return { kind: "duration", ms: safe(until.value) };
    case "time":
      return { kind: "time", at: operandOf(until.value) };
    case "event": {
      const { source, config, type, filter, withinMs } = until.value;
      return {
        kind: "event",
        source: source === undefined ? null : capabilityId(source),
        config: configOf(config),
        type: type ?? null,
        filter: filter ?? null,
        withinMs: safe(withinMs),
      };
    }
    case "condition": {
      const { source, config, type, condition, holdMs, withinMs, downCounts } = until.value;
      return {
        kind: "condition",
        source: source === undefined ? null : capabilityId(source),
        config: configOf(config),
        type: type ?? null,
        condition,
        holdMs: safe(holdMs),
        withinMs: safe(withinMs),
        down: downCounts ? "counts" : "restarts",
      };
    }
    case undefined:
      throw malformed("a wait for something unknown");
  }
}

function failureOf({ kind }: Message.FailurePolicy): FailurePolicy {
  switch (kind.case) {
    case "safeHalt":
      return { kind: "safe_halt" };
    case "retry": {
      const { attemptsMax, delayMs, factor, delayMsMax, on, then, jitter } = kind.value;
      return {
        kind: "retry",
        attemptsMax,
        delayMs: safe(delayMs),
        factor,
        delayMsMax: safe(delayMsMax),
        on,
        then: failureOf(present(then, "then")),
        ...(jitter === undefined ? {} : { jitter }),
      };
    }
    case "safeValueCbor":
      return { kind: "safe_value", value: decodeCbor(kind.value) };
    case "degrade":
      return { kind: "degrade", block: blockOf(kind.value) };
    case "skip":
      return { kind: "skip" };
    case "continue":
      return { kind: "continue" };
    case "askPerson":
      return { kind: "ask_person", role: roleName(kind.value.role), withinMs: safe(kind.value.withinMs) };
    case "compensate":
      return { kind: "compensate" };
    case "askModel": {
      const { model, context, schemaCbor, attemptsMax } = kind.value;
      return { kind: "ask_model", model, context, schema: schemaOf(schemaCbor), attemptsMax };
    }
    case "recompile":
      return { kind: "recompile", role: roleName(kind.value.role), withinMs: safe(kind.value.withinMs) };
    case undefined:
      throw malformed("an unknown failure policy");
  }
}

function operandOf(message: Message.Operand | undefined): Operand {
  const { kind } = present(message, "operand");
  switch (kind.case) {
    case "literalCbor":
      return { kind: "literal", value: decodeCbor(kind.value) };
    case "expression":
      return { kind: "expression", text: kind.value };
    case undefined:
      throw malformed("an operand of unknown kind");
  }
}

function operandsOf(pairs: readonly Message.NamedOperand[]): Operands {
  return record(pairs.map(({ name, operand }) => [name, operandOf(operand)] as const));
}

function schemaOf(bytes: Uint8Array): Schema {
  const value = decodeCbor(bytes);
  if (!isMap(value)) throw malformed("a schema that is no map");
  return value as Schema;
}

/** A plain object with own keys only, so that a pair named `__proto__` is data. */
function record<T>(pairs: readonly (readonly [string, T])[]): Readonly<Record<string, T>> {
  return Object.fromEntries(pairs);
}

function safe(count: bigint): number {
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`the number ${count}`);
  return Number(count);
}

function present<T>(part: T | undefined, name: string): T {
  if (part === undefined) throw malformed(`a message without \`${name}\``);
  return part;
}

function malformed(what: string) {
  return fault("program.malformed", `Cannot read ${what} in the program`, { what });
}

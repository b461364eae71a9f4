// Protobuf message → program. Everything that is absent, unknown or of the wrong form is `program.malformed`; nothing gets a default.
import { decodeCbor } from "../cbor.ts";
import { priorities } from "../event.ts";
import { fault } from "../faults.ts";
import type * as Message from "../gen/writ/program/v1/program_pb.ts";
import { capabilityId, roleName, slotName, stepId } from "../ids.ts";
import { labels, type Label } from "../label.ts";
import type {
  Block,
  FailurePolicy,
  FrozenWorkspace,
  Invariant,
  Join,
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
import { isMap } from "../value.ts";

export function fromMessage(message: Message.Program): Program {
  const priority = priorities[message.priority];
  if (priority === undefined) throw malformed(`the priority ${message.priority}`);
  return {
    format: 1,
    trigger: triggerOf(present(message.trigger, "trigger")),
    windows: message.windows.map(({ fromMinute, toMinute, days, zone }) => ({
      fromMinute,
      toMinute,
      days,
      zone,
    })),
    priority,
    runTimeoutMs: safe(message.runTimeoutMs),
    concurrencyMax: message.concurrencyMax,
    capabilities: message.capabilities.map(capabilityId),
    invariants: message.invariants.map(invariantOf),
    workspace: workspaceOf(present(message.workspace, "workspace")),
    slots: message.slots.map(slotOf),
    body: blockOf(present(message.body, "body")),
  };
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
        config: record(config.map(({ name, valueCbor }) => [name, decodeCbor(valueCbor)] as const)),
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
      const { capability, params, output, compensation } = op.value;
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
      return { op: "wait", until: untilOf(op.value) };
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
    case undefined:
      throw malformed(`the unknown opcode of step \`${id.slice(0, 128)}\``);
  }
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
    case undefined:
      throw malformed("a wait for something unknown");
  }
}

function failureOf({ kind }: Message.FailurePolicy): FailurePolicy {
  switch (kind.case) {
    case "safeHalt":
      return { kind: "safe_halt" };
    case "retry": {
      const { attemptsMax, delayMs, factor, delayMsMax, on, then } = kind.value;
      return {
        kind: "retry",
        attemptsMax,
        delayMs: safe(delayMs),
        factor,
        delayMsMax: safe(delayMsMax),
        on,
        then: failureOf(present(then, "then")),
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

// The shape of a program as JSON. It is the program itself (see core's `Program`) with what can be left out left out: steps of a block follow
// each other unless `after` says otherwise, a failure stops the run unless `failure` says otherwise, a step's operands stand beside its id.
import type { Catalog } from "@writ/core/capability";
import { priorities } from "@writ/core/event";
import { programHash, roleName, slotName, stepId, type StepId } from "@writ/core/ids";
import {
  approvalTimeoutMsDefault,
  askAttemptsMax,
  loopIterationsMax,
  approvalTimeoutMsMax,
  retryAttemptsMax,
  runTimeoutMsDefault,
  runsActiveMax,
  stepTimeoutMsMax,
} from "@writ/core/limits";
import type {
  Block,
  FailurePolicy,
  Guard,
  Invariant,
  Join,
  Opcode,
  Program,
  Step,
  TimeWindow,
  Trigger,
  WaitUntil,
} from "@writ/core/program";
import type { JsonNode } from "../plan/json.ts";
import { retryDelayMsMax } from "../plan/limits.ts";
import type { PlanProblem } from "../plan/problem.ts";
import {
  choice,
  list,
  mapOf,
  number,
  omissible,
  oneOf,
  optional,
  orNull,
  record,
  required,
  text,
  truth,
  whole,
  type Fields,
  type Form,
} from "./forms.ts";
import { decimalForm, expression, fromCatalog, id, nameable, operand, schema, value } from "./values.ts";

/** What an author writes; the rest of a program is computed from it. */
export type WrittenProgram = Omit<Program, "format" | "capabilities" | "workspace" | "slots"> & {
  readonly name: string;
};

/** Where each step and the trigger stand in the text. */
export type Places = Map<string, readonly [number, number]>;

const longestMs = 10 * 365 * 24 * 3_600_000;
const ms = whole(0, longestMs);
/** How long a step waits for its window where its author says nothing. */
const queueMsDefault = 3_600_000;
const role = id(roleName, "a role: a small letter, then small letters, digits, `_` or `-`");
const slot = id(slotName, "a slot name: a letter, then letters, digits or `_`");
const stepName = id(stepId, "a step id: 1 to 128 letters, digits, `_`, `.` or `-`");
const operands = mapOf(operand);
const scope = optional(choice("program", "workspace"), "program");

const timeWindow: Form<TimeWindow> = record("a time window", {
  fromMinute: required(whole(0, 1440)),
  toMinute: required(whole(0, 1440)),
  days: optional(list(whole(0, 6)), []),
  zone: required(text("an IANA time zone")),
});

const join = oneOf<Join>("how the branches join", "kind", {
  all: {},
  first: {},
  race: {},
  quorum: { count: required(whole(1, 1000)) },
});

const invariant = oneOf<Invariant>("what the program promises", "kind", {
  "writes-within": { paths: required(list(text())) },
  "never-writes": { paths: required(list(text())) },
  "never-calls": { capability: required(text("the id of a capability")) },
  "never-sends": {},
});

export function programForm(catalog: Catalog, places: Places): Form<WrittenProgram> {
  const capability = fromCatalog(nameable(catalog), "the capability");
  const source = fromCatalog(
    catalog.sources.map((one) => one.id),
    "the source",
  );
  const block: Form<Block> = (node, problems) => {
    const steps = list(step)(node, problems);
    if (steps === undefined) return undefined;
    // A step without `after` comes after the one before it.
    let before: StepId | null = null;
    const ordered: Step[] = [];
    for (const [i, one] of steps.entries()) {
      const item = node.kind === "list" ? node.items[i] : undefined;
      const isWritten = item?.kind === "object" && item.fields.has("after");
      ordered.push(isWritten ? one : { ...one, after: before === null ? [] : [before] });
      before = one.id;
    }
    return { steps: ordered };
  };

  const trigger = oneOf<Trigger>("a trigger", "kind", {
    manual: {},
    source: {
      source: required(source),
      config: optional(mapOf(value), {}),
      filter: optional(orNull(expression), null),
      holdMs: optional(ms, 0),
      throttleMs: optional(ms, 0),
    },
  });

  const heard: Fields = {
    source: optional(orNull(source), null),
    config: optional(mapOf(value), {}),
    type: optional(orNull(text("an event type")), null),
  };
  const until = oneOf<WaitUntil>("what is waited for", "kind", {
    duration: { ms: required(ms) },
    time: { at: required(operand) },
    event: { ...heard, filter: optional(orNull(expression), null), withinMs: required(ms) },
    condition: {
      ...heard,
      condition: required(expression),
      holdMs: required(ms),
      withinMs: required(ms),
      down: optional(choice("counts", "restarts"), "restarts"),
    },
  });

  const guard: Form<Guard> = record("a guard", {
    preconditions: omissible(list(expression)),
    window: omissible(
      record("a guard's window", {
        window: required(timeWindow),
        // Filled in with the step, by what its capability is.
        outside: omissible(choice("queue", "refuse", "skip")),
        queueMs: optional(ms, queueMsDefault),
      }),
    ),
    countdown: omissible(
      record("a countdown", {
        ms: required(ms),
        role: required(role),
        requiresAcknowledgment: optional(truth, false),
        onMissed: optional(choice("abort", "execute", "escalate"), "abort"),
      }),
    ),
    rate: omissible(
      record("a rate", { cooldownMs: optional(ms, 0), perMinuteMax: optional(whole(0, 1_000_000), 0) }),
    ),
    ranges: omissible(
      list(
        record("a range", {
          param: required(text("the name of a parameter")),
          min: optional(orNull(decimalForm), null),
          max: optional(orNull(decimalForm), null),
          stepMax: optional(orNull(decimalForm), null),
        }),
      ),
    ),
    readBack: omissible(
      record("a read-back", {
        capability: required(capability),
        params: optional(operands, {}),
        check: required(expression),
        tolerance: optional(orNull(decimalForm), null),
        pollMs: optional(whole(1, longestMs), 500),
        timeoutMs: required(ms),
      }),
    ),
  });

  const innerBlock: Form<Block> = (node, problems) => block(node, problems);
  const opcodes: Readonly<Record<Opcode["op"], Fields>> = {
    load: {
      capability: required(capability),
      params: optional(operands, {}),
      output: required(slot),
      freshnessMsMax: optional(orNull(ms), null),
    },
    eval: { expression: required(expression), output: required(slot) },
    check: { slot: required(slot), schema: required(schema) },
    call: {
      capability: required(capability),
      params: optional(operands, {}),
      output: optional(orNull(slot), null),
      compensation: optional(
        orNull(
          record("a compensation", { capability: required(capability), params: optional(operands, {}) }),
        ),
        null,
      ),
      guard: omissible(guard),
    },
    branch: {
      arms: required(list(record("an arm", { when: required(expression), block: required(innerBlock) }))),
      otherwise: optional(innerBlock, { steps: [] }),
    },
    parallel: {
      branches: required(list(innerBlock)),
      join: optional(join, { kind: "all" }),
    },
    wait: {
      until: required(until),
      missed: omissible(choice("go-on", "fail")),
      output: omissible(slot),
    },
    approve: {
      role: required(role),
      withinMs: optional(whole(1, approvalTimeoutMsMax), approvalTimeoutMsDefault),
      message: optional(orNull(operand), null),
      body: required(innerBlock),
      otherwise: optional(orNull(innerBlock), null),
    },
    emit: { type: required(text("an event type")), data: optional(operands, {}) },
    fail: { code: required(text("a fault code")), message: required(operand) },
    finish: { result: optional(operand, { kind: "literal", value: null }) },
    loop: {
      body: required(innerBlock),
      over: optional(
        orNull(record("what is gone over", { list: required(operand), item: required(slot) })),
        null,
      ),
      index: optional(orNull(slot), null),
      carry: optional(
        list(
          record("a carried value", {
            slot: required(slot),
            initial: required(operand),
            next: required(expression),
          }),
        ),
        [],
      ),
      until: optional(orNull(expression), null),
      iterationsMax: required(whole(1, loopIterationsMax)),
      mustConverge: optional(truth, false),
    },
    ask: {
      model: required(text("the name of a model", null, 128)),
      context: optional(text(), ""),
      prompt: required(operand),
      schema: required(schema),
      output: required(slot),
      attemptsMax: optional(whole(1, askAttemptsMax), askAttemptsMax),
    },
    recall: { scope, key: required(operand), output: required(slot) },
    remember: { scope, key: required(operand), value: required(operand) },
    run: {
      program: required(id(programHash, "the 64 hexadecimal digits of a program")),
      input: optional(operands, {}),
      output: optional(orNull(slot), null),
    },
  };

  const failure: Form<FailurePolicy> = (node, problems) =>
    oneOf<FailurePolicy>("what follows a failure", "kind", {
      safe_halt: {},
      retry: {
        attemptsMax: optional(whole(1, retryAttemptsMax), 3),
        delayMs: optional(ms, 1000),
        factor: optional(number(1, 10), 2),
        delayMsMax: optional(ms, retryDelayMsMax),
        on: required(list(text("a fault code"))),
        jitter: omissible(number(0, 1)),
        // The policy behind the tries.
        then: optional(failure, { kind: "safe_halt" }),
      },
      safe_value: { value: required(value) },
      degrade: { block: required(innerBlock) },
      skip: {},
      continue: {},
      ask_person: {
        role: required(role),
        withinMs: optional(whole(1, approvalTimeoutMsMax), approvalTimeoutMsDefault),
      },
      compensate: {},
      ask_model: {
        model: required(text("the name of a model", null, 128)),
        context: optional(text(), ""),
        schema: required(schema),
        attemptsMax: optional(whole(1, askAttemptsMax), askAttemptsMax),
      },
      recompile: {
        role: required(role),
        withinMs: optional(whole(1, approvalTimeoutMsMax), approvalTimeoutMsDefault),
      },
    })(node, problems);

  const around: Fields = {
    id: required(stepName),
    after: optional(list(stepName), []),
    tolerates: optional(list(stepName), []),
    failure: optional(failure, { kind: "safe_halt" }),
    timeoutMs: optional(orNull(whole(1, stepTimeoutMsMax)), null),
    priority: omissible(choice(...priorities)),
    preemptible: omissible(truth),
  };
  const anyStep = oneOf<FlatStep>(
    "a step",
    "op",
    Object.fromEntries(Object.entries(opcodes).map(([name, fields]) => [name, { ...around, ...fields }])),
  );
  const step: Form<Step> = (node, problems) => {
    const flat = anyStep(node, problems);
    if (flat === undefined) return undefined;
    // A step is shown by its id: its own lines may be many.
    const named = node.kind === "object" ? (node.fields.get("id") ?? node) : node;
    if (!places.has(flat.id)) places.set(flat.id, [named.start, named.end]);
    return withOutside(stepOf(flat), catalog);
  };

  return record("a program", {
    name: optional(text("a name", null, 256), "program"),
    trigger: optional(placed(trigger, "trigger", places), { kind: "manual" }),
    windows: optional(list(timeWindow), []),
    priority: optional(choice(...priorities), "normal"),
    runTimeoutMs: optional(whole(1, longestMs), runTimeoutMsDefault),
    concurrencyMax: optional(whole(1, runsActiveMax), 128),
    invariants: optional(list(invariant), []),
    listens: omissible(
      list(record("a source", { source: required(source), config: optional(mapOf(value), {}) })),
    ),
    conflict: omissible(choice("queue", "preempt", "reject")),
    queueMax: omissible(whole(0, 1_000_000)),
    resources: omissible(
      list(
        record("a resource", {
          name: required(text("the name of a resource", null, 256)),
          count: optional(whole(1, 1_000_000), 1),
          access: optional(choice("shared", "exclusive"), "exclusive"),
          leaseMs: required(whole(1, longestMs)),
        }),
      ),
    ),
    onPreempted: omissible(choice("again", "fail")),
    body: required(innerBlock),
  });
}

/** A step as it is written: its operands stand beside its id. */
type FlatStep = Omit<Step, "op"> & Opcode;

/** Outside its window what is critical is refused and anything else queues, unless the author says otherwise. */
function withOutside(step: Step, catalog: Catalog): Step {
  const { op } = step;
  if (op.op !== "call" || op.guard?.window === undefined || Object.hasOwn(op.guard.window, "outside"))
    return step;
  const definition = catalog.capabilities.find(({ id: known }) => known === op.capability);
  const outside = definition?.criticality === "critical" ? "refuse" : "queue";
  const guard: Guard = { ...op.guard, window: { ...op.guard.window, outside } };
  return { ...step, op: { ...op, guard } };
}

function stepOf(flat: FlatStep): Step {
  const { id: name, after, tolerates, failure, timeoutMs, priority, preemptible, ...op } = flat;
  return {
    id: name,
    after,
    tolerates,
    op: op as Opcode,
    failure,
    timeoutMs,
    ...(priority === undefined ? {} : { priority }),
    ...(preemptible === undefined ? {} : { preemptible }),
  };
}

function placed<T>(form: Form<T>, key: string, places: Places): Form<T> {
  return (node: JsonNode, problems: PlanProblem[]) => {
    places.set(key, [node.start, node.end]);
    return form(node, problems);
  };
}

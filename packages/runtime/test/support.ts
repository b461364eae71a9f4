import { toHex } from "@writ/core/bytes";
import type { Actor } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import {
  capabilityId,
  eventId,
  keyId,
  personId,
  roleName,
  sha256,
  slotName,
  stepId,
  type RunId,
} from "@writ/core/ids";
import type {
  FailurePolicy,
  HashedProgram,
  Loop,
  Operand,
  Operands,
  Program,
  Step,
} from "@writ/core/program";
import { hashedProgram } from "@writ/core/program-codec";
import { formatNeeded } from "@writ/core/program-format";
import type { Policy } from "@writ/core/ports";
import type { Value, ValueMap } from "@writ/core/value";
import { createEngine, type Engine, type EngineOptions, type StartRun } from "@writ/runtime/engine";
import { emptyRegistry, foldRegistry, type Registry } from "@writ/runtime/registry";
import { memoryLedger, type MemoryLedger } from "@writ/testkit/memory-ledger";
import {
  memoryBlobs,
  simulatedPolicy,
  simulatedSite,
  type SimulatedSite,
} from "@writ/testkit/simulated-modules";

export const workspaceFile = {
  version: 1,
  name: "sim",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: { inbox: { path: "inbox" }, archive: { path: "archive", access: "read" } },
  files: {},
  roles: { accountant: {} },
  tables: {},
  hosts: [{ host: "127.0.0.1:9000", scheme: "http", risk: "low" }],
  devices: {
    "valve-1": { risk: "low" },
    "valve-2": { risk: "high" },
    "pump-1": { risk: "low" },
    "tank-1": { risk: "critical" },
  },
  profile: "local_worker",
} as const;

type Shape = Partial<Omit<Step, "id" | "after" | "tolerates" | "op">> & {
  readonly after?: readonly string[];
  readonly tolerates?: readonly string[];
};

export function step(id: string, op: Step["op"], shape: Shape = {}): Step {
  return {
    id: stepId(id),
    after: (shape.after ?? []).map(stepId),
    tolerates: (shape.tolerates ?? []).map(stepId),
    op,
    failure: shape.failure ?? { kind: "safe_halt" },
    timeoutMs: shape.timeoutMs ?? null,
  };
}

export const text = (value: string): Operand => ({ kind: "expression", text: value });
export const literal = (value: Value): Operand => ({ kind: "literal", value });

export function call(
  capability: string,
  params: Operands,
  output: string | null = null,
  compensation: Extract<Step["op"], { op: "call" }>["compensation"] = null,
): Step["op"] {
  return {
    op: "call",
    capability: capabilityId(`sim.${capability}@1.0.0`),
    params,
    output: output === null ? null : slotName(output),
    compensation,
  };
}

export function act(capability: string, name: string, line = "x", output: string | null = null): Step["op"] {
  return call(capability, { name: literal(name), text: literal(line) }, output);
}

export function load(name: string, output: string): Step["op"] {
  return {
    op: "load",
    capability: capabilityId("sim.read@1.0.0"),
    params: { name: literal(name) },
    output: slotName(output),
    freshnessMsMax: null,
  };
}

export const evaluate = (expression: string, output: string): Step["op"] => ({
  op: "eval",
  expression,
  output: slotName(output),
});
export const finish = (expression: string): Step["op"] => ({ op: "finish", result: text(expression) });

export function loop(steps: readonly Step[], fields: Partial<Loop> = {}): Loop {
  return {
    op: "loop",
    body: { steps },
    over: null,
    index: null,
    carry: [],
    until: null,
    iterationsMax: 10,
    mustConverge: false,
    ...fields,
  };
}

export const each = (list: Operand, item = "item"): Partial<Loop> => ({
  over: { list, item: slotName(item) },
});

export const carry = (slot: string, initial: Value, next: string): Loop["carry"][number] => ({
  slot: slotName(slot),
  initial: literal(initial),
  next,
});

/** Each step after the one before it. */
export function chain(...steps: readonly Step[]): readonly Step[] {
  return steps.map((each, i) => {
    const before = steps[i - 1];
    return before === undefined || each.after.length > 0 ? each : { ...each, after: [before.id] };
  });
}

export function program(steps: readonly Step[], change: Partial<Program> = {}): HashedProgram {
  const made: Program = {
    format: 1,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: 7 * 24 * 3_600_000,
    concurrencyMax: 1000,
    capabilities: [],
    invariants: [],
    workspace: {
      name: "sim",
      zone: "Europe/Paris",
      profile: "local_worker",
      folders: [],
      files: [],
      roles: [],
      columns: [],
      hosts: [],
    },
    slots: [],
    body: { steps },
    ...change,
  };
  const hasher = simulatedSite().hasher;
  return hashedProgram({ ...made, format: formatNeeded(made) }, hasher);
}

export const event = (data: ValueMap = {}, id = "e1"): Event => ({
  specversion: "1.0",
  id: eventId(id),
  source: "/sources/sim",
  type: "sim.event",
  time: "2026-01-01T00:00:00.000Z",
  data,
});

export const owner: Actor = { kind: "person", id: personId("olga"), key: keyId("k_0000000000000001") };
export const accountant: Actor = { kind: "person", id: personId("ada"), key: keyId("k_0000000000000002") };

export function registry(): Registry {
  const entry = (kind: string, facts: unknown) =>
    ({ kind, facts, run: null, atMs: 0, actor: { kind: "node" } }) as never;
  const tokenHash = (n: number) => sha256(String(n).repeat(64));
  return [
    entry("workspace.added", { name: "sim", root: "/sim", file: { kind: "inline", value: workspaceFile } }),
    entry("person.added", {
      person: "olga",
      name: "Olga",
      roles: ["owner"],
      key: "k_0000000000000001",
      tokenHash: tokenHash(1),
    }),
    entry("person.added", {
      person: "ada",
      name: "Ada",
      roles: ["accountant"],
      key: "k_0000000000000002",
      tokenHash: tokenHash(2),
    }),
  ].reduce(foldRegistry, emptyRegistry);
}

export interface Rig {
  readonly site: SimulatedSite;
  readonly ledger: MemoryLedger;
  readonly engine: Engine;
  readonly programs: Map<string, HashedProgram>;
  readonly options: EngineOptions;
  registry: Registry;
  policy: Policy;
  start(program: HashedProgram, more?: Partial<StartRun>): RunId;
  /** Starts and waits for the end. */
  run(program: HashedProgram, more?: Partial<StartRun>): ReturnType<Engine["ended"]>;
  kinds(run?: RunId): readonly string[];
  status(run: RunId, step: string): string | undefined;
}

export function rig(
  given: {
    readonly site?: SimulatedSite;
    readonly ledger?: MemoryLedger;
    readonly policy?: Policy;
    readonly programs?: Map<string, HashedProgram>;
    readonly blobs?: EngineOptions["blobs"];
    readonly registry?: Registry;
    readonly options?: Partial<EngineOptions>;
  } = {},
): Rig {
  const site = given.site ?? simulatedSite();
  const ledger = given.ledger ?? memoryLedger();
  const programs = given.programs ?? new Map<string, HashedProgram>();
  const made: { registry: Registry; policy: Policy } = {
    registry: given.registry ?? registry(),
    policy: given.policy ?? simulatedPolicy(),
  };
  const options: EngineOptions = {
    ledger,
    blobs: given.blobs ?? memoryBlobs(),
    modules: site.modules,
    policy: () => made.policy,
    registry: () => made.registry,
    world: site.world,
    entropy: site.entropy,
    hasher: site.hasher,
    loadProgram: (hash) => {
      const found = programs.get(hash);
      return found === undefined
        ? Promise.reject(new Error(`no program ${toHex(new Uint8Array())}${hash}`))
        : Promise.resolve(found);
    },
    unfinishedRuns: () => Promise.resolve(ledger.unfinishedRuns()),
    ...given.options,
  };
  const engine = createEngine(options);
  const start = (hashed: HashedProgram, more: Partial<StartRun> = {}): RunId => {
    programs.set(hashed.hash, hashed);
    return engine.startRun({
      program: hashed,
      event: event(),
      labels: [],
      principal: { kind: "program", program: hashed.hash },
      workspace: "sim",
      ...more,
    }).run;
  };
  return Object.assign(made, {
    site,
    ledger,
    engine,
    programs,
    options,
    start,
    async run(hashed: HashedProgram, more: Partial<StartRun> = {}) {
      const id = start(hashed, more);
      const ended = engine.ended(id);
      ended.catch(() => undefined);
      await site.runUntil(() => engine.state(id)?.ended !== null);
      if (engine.state(id)?.ended === null) throw new Error(`run ${id} did not end: ${describe(engine, id)}`);
      return ended;
    },
    kinds: (id?: RunId) =>
      ledger
        .entries()
        .filter((entry) => id === undefined || entry.run === id)
        .map(({ kind }) => kind),
    status: (id: RunId, name: string) => engine.state(id)?.steps.get(stepId(name))?.status,
  });
}

export function describe(engine: Engine, id: RunId): string {
  const state = engine.state(id);
  return JSON.stringify(
    [...(state?.steps ?? [])].map(([name, each]) => [
      name,
      each.status,
      each.phase.kind,
      each.undo?.phase,
      each.fault?.message,
    ]),
  );
}

export const policies = {
  halt: { kind: "safe_halt" },
  continue: { kind: "continue" },
  skip: { kind: "skip" },
  compensate: { kind: "compensate" },
} as const satisfies Record<string, FailurePolicy>;

export const retry = (
  attemptsMax: number,
  on: readonly string[],
  then: FailurePolicy = { kind: "safe_halt" },
): FailurePolicy => ({
  kind: "retry",
  attemptsMax,
  delayMs: 1000,
  factor: 2,
  delayMsMax: 60_000,
  on,
  then,
});

export const askAccountant = (withinMs = 60_000): FailurePolicy => ({
  kind: "ask_person",
  role: roleName("accountant"),
  withinMs,
});

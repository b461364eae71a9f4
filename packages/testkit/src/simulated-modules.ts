// A world in memory that counts what is done to it, and capabilities of every crash contract that act on it.
//   S1  The world survives the node: crash the node, keep the world, start another node on it.
//   S2  Every effect that reaches the world is listed with its idempotency key, so that a test can count.
import { createHash } from "node:crypto";
import type {
  AbortSignalLike,
  BlobAccess,
  CallContext,
  Capability,
  Inspection,
  Performed,
  Resolution,
  Target,
} from "@writ/core/capability";
import { capability } from "@writ/core/capability";
import { Fault } from "@writ/core/fault";
import { capabilityId, sha256, type Sha256 } from "@writ/core/ids";
import type {
  Blobs,
  Entropy,
  EventSource,
  Hasher,
  Modules,
  Policy,
  PolicyVerdict,
  World,
} from "@writ/core/ports";
import { Type } from "@writ/core/schema";

export interface SimulatedEffect {
  readonly capability: string;
  readonly name: string;
  readonly text: string;
  readonly key: string;
  readonly run: string;
  readonly step: string;
}

/** How the next calls of a capability on a name behave. */
export type Behaviour =
  | { readonly kind: "fault"; readonly code: string; readonly times: number; readonly transient: boolean }
  /** The effect happens, then an error without a code is thrown. */
  | { readonly kind: "done-then-bug" }
  /** Waits that long before it acts. */
  | { readonly kind: "slow"; readonly ms: number }
  /** Never acts and never answers, not even when it is told to stop. */
  | { readonly kind: "silent" }
  /** Returns something else than its contract says. */
  | { readonly kind: "lie" };

export interface SimulatedSite {
  readonly world: World;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  /** Name → lines. A file of the simulated workspace. */
  readonly files: Map<string, readonly string[]>;
  /** Everything that was really done, in order. */
  readonly effects: readonly SimulatedEffect[];
  behave(name: string, behaviour: Behaviour): void;
  /** Asked before and after every effect, with its key; false: the process that asked is dead and hears nothing more. */
  setReach(reach: (point: string) => boolean): void;
  /** Moves both clocks, waking sleepers in order and letting everything run that they wake. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock only. */
  jump(ms: number): void;
  /** Lets everything run that needs no time; then moves to the next sleeper, until `done` or nothing sleeps. */
  runUntil(done: () => boolean, limitMs?: number): Promise<void>;
  sleepers(): number;
  readonly modules: Modules;
}

export function simulatedSite(
  options: { readonly seed?: number; readonly sources?: readonly EventSource[] } = {},
): SimulatedSite {
  let seed = (options.seed ?? 1) >>> 0;
  let monoMs = 0;
  let offsetMs = 1_767_225_600_000;
  let reach: (point: string) => boolean = () => true;
  const sleepers: { readonly dueMs: number; readonly wake: () => void }[] = [];
  const files = new Map<string, readonly string[]>();
  const effects: SimulatedEffect[] = [];
  const behaviours = new Map<string, Behaviour>();

  const random = (): number => {
    // mulberry32
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = seed;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const world: World = {
    nowMs: () => monoMs + offsetMs,
    monotonicMs: () => monoMs,
    randomBelow: (below) => random() % below,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { dueMs: monoMs + ms, wake: resolve };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", () => {
          const at = sleepers.indexOf(sleeper);
          if (at >= 0) sleepers.splice(at, 1);
          reject(new Error("aborted"));
        });
      }),
  };

  const wakeUntil = async (toMs: number): Promise<void> => {
    await settle();
    for (;;) {
      const next = sleepers.filter(({ dueMs }) => dueMs <= toMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      monoMs = Math.max(monoMs, next.dueMs);
      sleepers.splice(sleepers.indexOf(next), 1);
      next.wake();
      await settle();
    }
    monoMs = Math.max(monoMs, toMs);
  };

  const shared: Shared = {
    files,
    effects,
    behaviours,
    world,
    reach: (point) => reach(point),
  };
  const capabilities = simulatedCapabilities(shared);
  const byId = new Map(capabilities.map((each) => [each.id, each]));
  return {
    world,
    entropy: {
      bytes: (count) => Uint8Array.from({ length: count }, () => random() & 255),
    },
    hasher: { sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()) },
    files,
    effects,
    behave: (name, behaviour) => behaviours.set(name, behaviour),
    setReach: (next) => {
      reach = next;
    },
    advance: (ms) => wakeUntil(monoMs + ms),
    jump: (ms) => {
      offsetMs += ms;
    },
    async runUntil(done, limitMs = 3_600_000) {
      const endMs = monoMs + limitMs;
      await settle();
      while (!done()) {
        const next = Math.min(...sleepers.map(({ dueMs }) => dueMs));
        if (!Number.isFinite(next) || next > endMs) return;
        await wakeUntil(next);
      }
    },
    sleepers: () => sleepers.length,
    modules: {
      find: (id) => byId.get(id),
      all: () => capabilities,
      sources: () => options.sources ?? [],
    },
  };
}

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Blobs in memory; durable at once. */
export function memoryBlobs(): Blobs & { readonly count: () => number } {
  const kept = new Map<Sha256, Uint8Array>();
  const missing = (hash: Sha256) =>
    new Fault({
      code: "store.blob-missing",
      kind: "broken",
      message: `no blob ${hash}`,
      remedy: "",
      facts: {},
    });
  const get: BlobAccess["get"] = (hash) => {
    const bytes = kept.get(hash);
    return bytes === undefined ? Promise.reject(missing(hash)) : Promise.resolve(bytes);
  };
  return {
    async put(bytes) {
      const parts: Uint8Array[] = [];
      if (bytes instanceof Uint8Array) parts.push(bytes);
      else for await (const part of bytes) parts.push(part);
      const whole = new Uint8Array(Buffer.concat(parts));
      const hash = sha256(createHash("sha256").update(whole).digest("hex"));
      kept.set(hash, whole);
      return { sha256: hash, sizeBytes: whole.length };
    },
    get,
    async *stream(hash) {
      yield await get(hash);
    },
    has: (hash) => Promise.resolve(kept.has(hash)),
    count: () => kept.size,
  };
}

/** A policy that permits everything, or what the function says. */
export function simulatedPolicy(
  decide: Policy["decide"] = (): PolicyVerdict => ({ kind: "permit" }),
  hash = "0",
): Policy {
  return { hash: sha256(hash.repeat(64).slice(0, 64)), decide };
}

interface Shared {
  readonly files: Map<string, readonly string[]>;
  readonly effects: SimulatedEffect[];
  readonly behaviours: Map<string, Behaviour>;
  readonly world: World;
  readonly reach: (point: string) => boolean;
}

const name = Type.String({ maxLength: 256, "x-path": "file" });
const text = Type.String({ maxLength: 100_000 });
const lines = Type.Object({ lines: Type.Integer() }, { additionalProperties: false });
const base = {
  summary: { en: "simulated", fr: "simulé" },
  risk: "low",
  criticality: "safe",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 5000,
  resultBytesMax: 64 * 1024,
  retryOn: ["sim.busy"],
} as const;
const params = Type.Object({ name, text }, { additionalProperties: false });

/** `sim.read`, `sim.put` (idempotent), `sim.append` (queryable), `sim.note` (neither, can be undone), `sim.send` (neither, irreversible). */
function simulatedCapabilities(shared: Shared): readonly Capability[] {
  const { files } = shared;
  const put = (at: string, content: readonly string[]) => {
    if (content.length === 0) files.delete(at);
    else files.set(at, content);
  };
  const look = (at: string, does: Target["does"]) => (): Promise<Inspection> =>
    Promise.resolve({
      targets: [fileTarget(shared, at, does)],
      before: { content: [...(files.get(at) ?? [])] },
    });
  const undoParams = Type.Object(
    { name, after: Type.String({ maxLength: 64 }), content: Type.Array(text, { maxItems: 1000 }) },
    { additionalProperties: false },
  );

  const read = capability({
    ...base,
    id: capabilityId("sim.read@1.0.0"),
    params: Type.Object({ name }, { additionalProperties: false }),
    result: Type.Object(
      { content: Type.Array(text, { maxItems: 10_000 }), size: Type.Integer() },
      { additionalProperties: false },
    ),
    effect: { kind: "read" },
    resources: [{ kind: "file", param: "name", does: "read" }],
    crash: "idempotent",
    permission: "sim.read",
    labels: ["origin:file"],
    inspect: (given) => look(given.name, "read")(),
    perform: (given, context) =>
      act(shared, { capability: "sim.read", name: given.name, text: "" }, context, () => {
        const content = files.get(given.name) ?? [];
        return { result: { content, size: content.length }, undo: null, evidence: "observed" };
      }),
  });

  const effect = (
    short: "put" | "append" | "note",
    crash: "idempotent" | "queryable" | "neither",
    change: (content: readonly string[], line: string) => readonly string[],
  ) => {
    const does = short === "put" ? "replace" : "append";
    const outcome = (
      given: { readonly name: string; readonly text: string },
      context: CallContext,
    ): Performed => ({
      result: { lines: (files.get(given.name) ?? []).length },
      undo: {
        capability: capabilityId("sim.restore@1.0.0"),
        params: {
          name: given.name,
          after: stateOf(files.get(given.name)),
          content: context.before["content"] ?? [],
        },
      },
      evidence: "observed",
    });
    return capability({
      ...base,
      id: capabilityId(`sim.${short}@1.0.0`),
      params,
      result: lines,
      effect: { kind: "write", undo: capabilityId("sim.restore@1.0.0") },
      resources: [{ kind: "file", param: "name", does }],
      crash,
      permission: "sim.write",
      inspect: (given) => look(given.name, does)(),
      perform: (given, context) =>
        act(shared, { capability: `sim.${short}`, ...given }, context, () => {
          const line = `${given.text} ${context.idempotencyKey}`;
          const content = files.get(given.name) ?? [];
          const again = short === "put" && content.includes(line);
          if (!again) put(given.name, change(content, line));
          return { ...outcome(given, context), counted: !again };
        }),
      ...(crash === "queryable"
        ? {
            resolve: (
              given: { readonly name: string; readonly text: string },
              context: CallContext,
            ): Promise<Resolution> => {
              const done = (files.get(given.name) ?? []).some((line) =>
                line.endsWith(` ${context.idempotencyKey}`),
              );
              return Promise.resolve(
                done ? { kind: "done", performed: outcome(given, context) } : { kind: "not-done" },
              );
            },
          }
        : {}),
      predict: (given) => Promise.resolve({ lines: change(files.get(given.name) ?? [], given.text).length }),
    });
  };

  const restore = capability({
    ...base,
    id: capabilityId("sim.restore@1.0.0"),
    params: undoParams,
    result: lines,
    effect: { kind: "write", undo: capabilityId("sim.restore@1.0.0") },
    resources: [{ kind: "file", param: "name", does: "replace" }],
    crash: "queryable",
    permission: "sim.write",
    internal: true,
    inspect: (given) => look(given.name, "replace")(),
    perform: (given, context) =>
      act(shared, { capability: "sim.restore", name: given.name, text: "" }, context, () => {
        if (stateOf(files.get(given.name)) !== given.after) throw simulatedFault("sim.moved-on", false);
        put(given.name, given.content);
        return { result: { lines: given.content.length }, undo: null, evidence: "observed" };
      }),
    resolve: (given) => {
      const now = stateOf(files.get(given.name));
      const performed: Performed = {
        result: { lines: given.content.length },
        undo: null,
        evidence: "observed",
      };
      if (now === stateOf(given.content)) return Promise.resolve({ kind: "done", performed });
      return Promise.resolve(
        now === given.after ? { kind: "not-done" } : { kind: "unknown", reason: "somebody else changed it" },
      );
    },
  });

  const send = capability({
    ...base,
    id: capabilityId("sim.send@1.0.0"),
    params: Type.Object(
      { host: Type.String({ maxLength: 300, "x-host": true }), text },
      { additionalProperties: false },
    ),
    result: Type.Object({ status: Type.Integer() }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "host", param: "host", does: "send" }],
    crash: "neither",
    permission: "sim.send",
    perform: (given, context) =>
      act(shared, { capability: "sim.send", name: given.host, text: given.text }, context, () => ({
        result: { status: 200 },
        undo: null,
        evidence: "commanded",
      })),
  });

  /** Touches nothing that can be named: no inspection, no lock; for counting. */
  const count = capability({
    ...base,
    id: capabilityId("sim.count@1.0.0"),
    params: Type.Object({ text }, { additionalProperties: false }),
    result: Type.Object({ count: Type.Integer() }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    crash: "neither",
    permission: "sim.count",
    perform: (given, context) =>
      act(shared, { capability: "sim.count", name: "", text: given.text }, context, () => ({
        result: { count: shared.effects.length },
        undo: null,
        evidence: "observed",
      })),
  });

  return [
    read,
    effect("put", "idempotent", (_, line) => [line]),
    effect("append", "queryable", (content, line) => [...content, line]),
    effect("note", "neither", (content, line) => [...content, line]),
    restore,
    send,
    count,
  ];
}

/** The effect itself, at the moments at which a process may die. */
async function act(
  shared: Shared,
  what: { readonly capability: string; readonly name: string; readonly text: string },
  context: CallContext,
  effect: () => Performed & { readonly counted?: boolean },
): Promise<Performed> {
  const behaviour = shared.behaviours.get(what.name);
  if (!shared.reach(`before ${what.capability} ${context.idempotencyKey}`)) return never();
  switch (behaviour?.kind) {
    case "silent":
      return never();
    case "slow":
      await sleepUnlessAborted(shared.world, behaviour.ms, context.signal);
      break;
    case "fault":
      if (behaviour.times > 0) {
        shared.behaviours.set(what.name, { ...behaviour, times: behaviour.times - 1 });
        throw simulatedFault(behaviour.code, behaviour.transient);
      }
      break;
    case "done-then-bug":
    case "lie":
    case undefined:
  }
  const { counted = true, ...performed } = effect();
  if (counted && what.capability !== "sim.read") {
    shared.effects.push({
      ...what,
      key: context.idempotencyKey,
      run: context.run ?? "",
      step: context.step ?? "",
    });
  }
  if (!shared.reach(`after ${what.capability} ${context.idempotencyKey}`)) return never();
  if (behaviour?.kind === "done-then-bug") throw new Error("simulated bug");
  if (behaviour?.kind === "lie") return { ...performed, result: "not what was promised" };
  return performed;
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

async function sleepUnlessAborted(world: World, ms: number, signal: AbortSignalLike): Promise<void> {
  await world.sleep(ms, signal);
}

function simulatedFault(code: string, transient: boolean): Fault {
  const kind = transient ? "transient" : "rejected";
  return new Fault({
    code,
    kind,
    message: `Cannot do it: ${code}`,
    remedy: "This is a simulation.",
    facts: {},
  });
}

function fileTarget(shared: Shared, at: string, does: Target["does"]): Target {
  const content = shared.files.get(at);
  return {
    kind: "file",
    name: at,
    resolved: `/sim/${at}`,
    does,
    state: content === undefined ? null : sha256(stateOf(content)),
  };
}

/** SHA-256 of the lines; of nothing when there is no file. */
function stateOf(content: readonly string[] | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify(content ?? []))
    .digest("hex");
}

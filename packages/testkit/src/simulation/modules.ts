// Capabilities of every crash contract over the oracle's world, with the misbehaviour that the scenario asks for.
import {
  capability,
  type CallContext,
  type CapabilityDefinition,
  type Capability,
  type Inspection,
  type Performed,
  type Resolution,
  type Target,
} from "@writ/core/capability";
import { Fault } from "@writ/core/fault";
import { capabilityId, sha256 } from "@writ/core/ids";
import type { EventSource, Modules } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { never, type SimulatedProcess } from "./loop.ts";
import { createOracle, stateOf, type Oracle } from "./oracle.ts";

const name = Type.String({ maxLength: 256, "x-path": "file" });
const text = Type.String({ maxLength: 200_000 });
const lines = Type.Object({ lines: Type.Integer() }, { additionalProperties: false });
const base = {
  summary: { en: "simulated", fr: "simulé" },
  risk: "low",
  criticality: "safe",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 5000,
  resultBytesMax: 256 * 1024,
  retryOn: ["sim.busy"],
} as const;
const fileParams = Type.Object({ name, text }, { additionalProperties: false });

export const hostName = "127.0.0.1:9000";

/** The modules of one process: once it is dead they do nothing more. */
export function simulationModules(
  oracle: Oracle,
  process: SimulatedProcess,
  sources: readonly EventSource[],
): Modules {
  const capabilities = capabilitiesOf(oracle, process);
  const byId = new Map(capabilities.map((each) => [each.id, each]));
  return { find: (id) => byId.get(id), all: () => capabilities, sources: () => sources };
}

interface Act {
  readonly capability: string;
  readonly name: string;
  readonly context: CallContext;
  readonly isUndo: boolean;
  /** Changes the world; false when it had been done before. */
  readonly change: () => boolean;
  readonly answer: () => Performed;
}

function capabilitiesOf(oracle: Oracle, process: SimulatedProcess): readonly Capability[] {
  const { files } = oracle;
  const put = (at: string, content: readonly string[]): void => {
    if (content.length === 0) files.delete(at);
    else files.set(at, content);
  };
  const contentOf = (at: string): readonly string[] => files.get(at) ?? [];
  const holds = (at: string, key: string): boolean => contentOf(at).some((line) => line.endsWith(` ${key}`));
  const look = (at: string, does: Target["does"]): Promise<Inspection> => {
    if (process.isDead()) return never();
    const content = files.get(at);
    const state = content === undefined ? null : sha256(stateOf(content));
    return Promise.resolve({
      targets: [{ kind: "file", name: at, resolved: `/sim/${at}`, does, state }],
      before: { content: [...contentOf(at)] },
    });
  };
  const ask = (resolution: () => Resolution): Promise<Resolution> =>
    process.isDead() ? never() : Promise.resolve(resolution());
  const act = (what: Act): Promise<Performed> => perform(oracle, process, what);

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
    inspect: (given) => look(given.name, "read"),
    perform: (given, context) =>
      act({
        capability: "sim.read",
        name: given.name,
        context,
        isUndo: false,
        change: () => false,
        answer: () => ({
          result: { content: contentOf(given.name), size: contentOf(given.name).length },
          undo: null,
          evidence: "observed",
        }),
      }),
  });

  const effect = (
    short: "put" | "append" | "note",
    crash: "idempotent" | "queryable" | "neither",
    change: (content: readonly string[], line: string) => readonly string[],
  ): Capability => {
    const does = short === "put" ? "replace" : "append";
    const answer = (at: string, context: CallContext): Performed => ({
      result: { lines: contentOf(at).length },
      undo:
        short === "put"
          ? {
              capability: capabilityId("sim.restore@1.0.0"),
              params: { name: at, after: stateOf(files.get(at)), content: context.before["content"] ?? [] },
            }
          : {
              capability: capabilityId("sim.remove@1.0.0"),
              params: { name: at, key: context.idempotencyKey },
            },
      evidence: "observed",
    });
    return capability({
      ...base,
      id: capabilityId(`sim.${short}@1.0.0`),
      params: fileParams,
      result: lines,
      effect: {
        kind: "write",
        undo: capabilityId(short === "put" ? "sim.restore@1.0.0" : "sim.remove@1.0.0"),
      },
      resources: [{ kind: "file", param: "name", does }],
      crash,
      permission: "sim.write",
      inspect: (given) => look(given.name, does),
      perform: (given, context) =>
        act({
          capability: `sim.${short}`,
          name: given.name,
          context,
          isUndo: false,
          change: () => {
            if (short === "put" && holds(given.name, context.idempotencyKey)) return false;
            put(given.name, change(contentOf(given.name), `${given.text} ${context.idempotencyKey}`));
            return true;
          },
          answer: () => answer(given.name, context),
        }),
      ...(crash === "queryable"
        ? {
            resolve: (given: { readonly name: string }, context: CallContext) =>
              ask(() =>
                holds(given.name, context.idempotencyKey)
                  ? { kind: "done", performed: answer(given.name, context) }
                  : { kind: "not-done" },
              ),
          }
        : {}),
      predict: (given) => Promise.resolve({ lines: contentOf(given.name).length + 1 }),
    });
  };

  const restored = (count: number): Performed => ({
    result: { lines: count },
    undo: null,
    evidence: "observed",
  });
  const restore = capability({
    ...base,
    id: capabilityId("sim.restore@1.0.0"),
    params: Type.Object(
      { name, after: Type.String({ maxLength: 64 }), content: Type.Array(text, { maxItems: 1000 }) },
      { additionalProperties: false },
    ),
    result: lines,
    effect: { kind: "write", undo: capabilityId("sim.restore@1.0.0") },
    resources: [{ kind: "file", param: "name", does: "replace" }],
    crash: "queryable",
    permission: "sim.write",
    internal: true,
    inspect: (given) => look(given.name, "replace"),
    perform: (given, context) =>
      act({
        capability: "sim.restore",
        name: `undo ${given.name}`,
        context,
        isUndo: true,
        change: () => {
          if (stateOf(files.get(given.name)) !== given.after) throw faultOf("sim.moved-on", false);
          put(given.name, given.content);
          return true;
        },
        answer: () => restored(given.content.length),
      }),
    resolve: (given) =>
      ask(() => {
        const now = stateOf(files.get(given.name));
        if (now === stateOf(given.content))
          return { kind: "done", performed: restored(given.content.length) };
        return now === given.after
          ? { kind: "not-done" }
          : { kind: "unknown", reason: "somebody else changed it" };
      }),
  });

  const remove = capability({
    ...base,
    id: capabilityId("sim.remove@1.0.0"),
    params: Type.Object({ name, key: Type.String({ maxLength: 64 }) }, { additionalProperties: false }),
    result: lines,
    effect: { kind: "write", undo: capabilityId("sim.remove@1.0.0") },
    resources: [{ kind: "file", param: "name", does: "replace" }],
    crash: "idempotent",
    permission: "sim.write",
    internal: true,
    inspect: (given) => look(given.name, "replace"),
    perform: (given, context) =>
      act({
        capability: "sim.remove",
        name: `undo ${given.name}`,
        context,
        isUndo: true,
        change: () => {
          const had = holds(given.name, given.key);
          put(
            given.name,
            contentOf(given.name).filter((line) => !line.endsWith(` ${given.key}`)),
          );
          return had;
        },
        answer: () => restored(contentOf(given.name).length),
      }),
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
      act({
        capability: "sim.send",
        name: "host",
        context,
        isUndo: false,
        change: () => given.host !== "",
        answer: () => ({ result: { status: 200 }, undo: null, evidence: "commanded" }),
      }),
  });

  const count = capability({
    ...base,
    id: capabilityId("sim.count@1.0.0"),
    params: Type.Object({ text }, { additionalProperties: false }),
    result: Type.Object({ count: Type.Integer() }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    crash: "neither",
    permission: "sim.count",
    perform: (_, context) =>
      act({
        capability: "sim.count",
        name: "count",
        context,
        isUndo: false,
        change: () => true,
        answer: () => ({ result: { count: oracle.deeds.length }, undo: null, evidence: "observed" }),
      }),
  });

  return [
    read,
    effect("put", "idempotent", (_, line) => [line]),
    effect("append", "queryable", (content, line) => [...content, line]),
    effect("note", "neither", (content, line) => [...content, line]),
    restore,
    remove,
    send,
    count,
  ];
}

/** The effect itself, at the moments at which a process may die. */
async function perform(oracle: Oracle, process: SimulatedProcess, what: Act): Promise<Performed> {
  const { context, capability: id } = what;
  const key = context.idempotencyKey;
  if (!process.reach(`before effect ${id} ${key}`)) return never();
  const wrong = oracle.next(what.name);
  const change = (): void => {
    const times = what.change() ? 1 : 0;
    if (id === "sim.read") return;
    const { capability: named, name: target, isUndo } = what;
    const deed = { capability: named, name: target, key, isUndo };
    oracle.record({ ...deed, run: context.run ?? "", step: context.step ?? "", times });
  };
  // One that hangs never acts, so nobody need wait for it.
  if (wrong?.kind !== "hang") oracle.begin(key);
  try {
    switch (wrong?.kind) {
      case "busy":
        throw faultOf("sim.busy", true);
      case "broken":
        throw faultOf("sim.broken", false);
      case "hang":
        return await never();
      case "slow":
        await process.world.sleep(wrong.ms, context.signal);
        break;
      case "late":
        await process.world.sleep(wrong.ms);
        break;
      case "lie-done":
        if (id !== "sim.read") oracle.lie(key);
        return what.answer();
      default:
    }
    change();
    if (wrong?.kind === "twice" && id !== "sim.read") {
      oracle.lie(key);
      what.change();
    }
    if (!process.reach(`after effect ${id} ${key}`)) return await never();
    switch (wrong?.kind) {
      case "done-then-bug":
        throw new Error("simulated bug");
      case "done-then-unknown":
        throw faultOf("sim.lost", true, { outcome: "unknown" });
      case "done-bad-answer":
        return { ...what.answer(), result: "not what was promised" };
      case "lie-failed":
        oracle.lie(key);
        throw faultOf("sim.busy", true);
      case "large":
        if (id === "sim.read")
          return { result: { content: ["x".repeat(100_000)], size: 1 }, undo: null, evidence: "observed" };
        return what.answer();
      default:
        return what.answer();
    }
  } finally {
    oracle.end(key);
  }
}

function faultOf(code: string, transient: boolean, facts: Record<string, string> = {}): Fault {
  return new Fault({
    code,
    kind: transient ? "transient" : "rejected",
    message: `Cannot do it: ${code}`,
    remedy: "This is a simulation.",
    facts,
  });
}

/** What programs may call, without anybody who performs it. */
export function definitions(): readonly CapabilityDefinition[] {
  const nobody = (): never => {
    throw new Error("these definitions are for checking programs only");
  };
  const process: SimulatedProcess = {
    world: { nowMs: nobody, monotonicMs: nobody, randomBelow: nobody, sleep: nobody },
    entropy: { bytes: nobody },
    reach: nobody,
    isDead: nobody,
    die: nobody,
  };
  return capabilitiesOf(createOracle([]), process);
}

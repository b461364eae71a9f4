// What the parts of the engine share: the runs, the one way to append, the queue of commands.
//   E1  An entry is first given to the machine; what the machine refuses is never appended.
//   E2  Entries and commands are handled in one synchronous tick: an outcome and the intents that follow from it are one commit.
//   E3  After a failed append or sync nothing more is done: the engine halts, the runs go on after a restart.
import { toHex, utf8 } from "@writ/core/bytes";
import type { AbortSignalLike, Capability, WorkspaceContext } from "@writ/core/capability";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { Actor, EntryFacts, RunEntry, RunEntryKind, Stored } from "@writ/core/entry";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import { sha256, type RunId, type Sha256, type StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import { inlineBytesMax } from "@writ/core/limits";
import type { PolicyRequest, PolicyVerdict } from "@writ/core/ports";
import { isDecimal, isMap, parseValue, type Value, type ValueMap } from "@writ/core/value";
import { parseWorkspace } from "@writ/core/workspace";
import type { EngineOptions } from "../engine.ts";
import { fault } from "../faults.ts";
import { effectsActiveMaxDefault, effectsWaitingMax, verdictsMax } from "../limits.ts";
import { decide, type Command, type Decision, type MachineEntry } from "../machine.ts";
import type { PreparedProgram } from "../program-index.ts";
import type { RegisteredWorkspace } from "../registry.ts";
import type { RunState } from "../state.ts";
import type { StreamedBlob } from "./reports.ts";
import { createGuardHistory, type GuardHistory } from "./guard-history.ts";
import { createStops, type Stops } from "./stops.ts";
import { createLocks, type Locks, type LockWaiter } from "./locks.ts";
import { createPace, type Pace } from "./pace.ts";
import { createRates, type Rates } from "../rates.ts";
import { createPermits, type Permits } from "./permits.ts";
import { createWaits, type Waits } from "./waiting.ts";
import { createTimers, type Timers } from "./timers.ts";

/** An effect or undo between its intent and its outcome. */
export interface InFlight {
  readonly capability: Capability;
  /** As it was when the gate looked; it may be removed meanwhile. */
  readonly workspace: WorkspaceContext;
  readonly params: ValueMap;
  readonly before: ValueMap;
  readonly labels: readonly Label[];
  readonly key: string;
  readonly timeoutMs: number;
  readonly release: () => void;
  abort: (reason: unknown) => void;
  /** It is an effect of a step, not an undo: what it says while it runs is recorded. */
  readonly reports?: true;
  /** What it said last, also before a crash. */
  lastProgress?: Value;
  /** What it streamed into the blob store. */
  attachments?: StreamedBlob[];
}

/** What a step that is read back holds. */
export interface ReadBackHold {
  readonly release: () => void;
  /** Somebody reads already. */
  isReading: boolean;
}

export interface ActiveRun {
  readonly run: RunId;
  state: RunState;
  /** `waiting` while runs of the same program are as many as may be at once; `left` when it has ended. */
  turn: "waiting" | "admitted" | "left";
  /** Commands that wait for admission. */
  readonly pending: AnyCommand[];
  readonly inFlight: Map<StepId, InFlight>;
  /** What takes back the run's timers, by step and reason. */
  readonly timers: Map<string, () => void>;
  /** Monotonic: when it came to this node, its age before a restart included. */
  arrivedMs: number;
  /** When the most urgent of those who wait for this run is due; infinite when nobody does. */
  inheritedDueMs: number;
  /** Steps whose effect is being read back, with the locks it holds. */
  readonly readBacks: Map<StepId, ReadBackHold>;
}

export type AnyCommand = Command | { readonly kind: "resolve" | "resolve-undo"; readonly step: StepId };

export type RunChange = {
  readonly [K in RunEntryKind]: { readonly kind: K; readonly facts: EntryFacts[K] };
}[RunEntryKind];

export interface Core {
  readonly options: EngineOptions;
  readonly locks: Locks;
  readonly permits: Permits;
  readonly pace: Pace;
  /** What was begun in the running minute: `host NAME`, `session ID`, `capability ID`. */
  readonly rates: Rates;
  readonly timers: Timers;
  readonly stops: Stops;
  readonly guardHistory: GuardHistory;
  readonly runs: Map<RunId, ActiveRun>;
  readonly waits: Waits;
  /** When this engine was made, wall clock: what came due before then came due while the node was down. */
  readonly startedAtMs: number;
  /** Runs that stand where they are, since the machine could not go on with them. */
  readonly broken: ReadonlyMap<RunId, FaultRecord>;
  /** Keeps that the run is broken, and tells an operator, once. `entry`: the kind that the machine refused. */
  markBroken(run: RunId, error: unknown, entry?: string): void;
  /** The run has ended after all. */
  unmarkBroken(run: RunId): void;
  /** `stopping`: nothing new begins. */
  phase(): "running" | "stopping";
  stopping(): void;
  /** Gives the change to the machine, appends it and carries out what follows. Returns its place. */
  apply(
    run: ActiveRun,
    change: RunChange,
    more?: {
      readonly actor?: Actor;
      readonly cause?: string;
      readonly stored?: Value;
      readonly target?: PreparedProgram;
    },
  ): number;
  /** The run is in this state from now on: its entries were appended by somebody else. */
  publish(run: ActiveRun, state: RunState, commands: readonly Command[]): void;
  /** Called after every entry that was appended by `apply`. */
  onApplied(listener: (run: ActiveRun) => void): void;
  /** Carries out commands, after those that are being carried out. */
  enqueue(run: ActiveRun, commands: readonly AnyCommand[]): void;
  /** Background work that `stop` waits for; an error in it halts the engine. */
  track(work: Promise<void>): void;
  idle(): Promise<void>;
  halt(error: unknown): void;
  halted(): FaultRecord | null;
  workspace(name: string): WorkspaceContext | undefined;
  /** @throws workspace.unknown, core.schema-mismatch */
  loadWorkspace(name: string): Promise<WorkspaceContext>;
  decidePolicy(request: PolicyRequest): PolicyVerdict;
  /** Tells somebody, once everything that was appended until now is durable. */
  notify(to: string, subject: string, text: string): void;
}

/** What the engine does when something happens to a run. */
export interface CoreHooks {
  halted(why: FaultRecord): void;
  /** An entry of the run was applied, and its priority is another one now. */
  priorityChanged(run: ActiveRun): void;
  /** An entry of the run was applied, and what follows from it is carried out or queued. */
  applied(run: ActiveRun): void;
  /** A step begins to wait for a lock. */
  waits(waiter: LockWaiter): void;
}

export function createCore(
  options: EngineOptions,
  execute: (run: ActiveRun, command: AnyCommand) => void,
  hooks: CoreHooks,
): Core {
  const { ledger, world, registry } = options;
  const runs = new Map<RunId, ActiveRun>();
  const guardHistory = createGuardHistory(ledger);
  const work = new Set<Promise<void>>();
  const queue: { readonly run: ActiveRun; readonly command: AnyCommand }[] = [];
  const workspaces = new WeakMap<RegisteredWorkspace, WorkspaceContext>();
  let verdicts = new Map<string, PolicyVerdict>();
  let verdictsOf: Sha256 | null = null;
  let applied = (_run: ActiveRun): void => undefined;
  let draining = false;
  let isStopping = false;
  let haltedBy: FaultRecord | null = null;

  /** Errors that stopped one run only. */
  const contained = new WeakSet<object>();

  const halt = (error: unknown): void => {
    if (haltedBy !== null || (typeof error === "object" && error !== null && contained.has(error))) return;
    haltedBy = recordOf(error);
    isStopping = true;
    options.log?.error("engine.halted", { fault: haltedBy });
    timers.stop();
    hooks.halted(haltedBy);
  };
  const timers = createTimers(world, halt);

  const drain = (): void => {
    if (draining) return;
    draining = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (haltedBy !== null) continue;
      try {
        if (next.run.turn === "admitted") execute(next.run, next.command);
        else if (next.run.turn === "waiting") next.run.pending.push(next.command);
      } catch (error) {
        halt(error);
      }
    }
    draining = false;
  };

  const notify = (to: string, subject: string, text: string): void => {
    const { notifier, log } = options;
    if (notifier === undefined) return;
    const send = (): void => {
      notifier
        .notify({ to, subject, text, actor: { kind: "node" } })
        .catch((error: unknown) => log?.warn("engine.notification-failed", { to, fault: recordOf(error) }));
    };
    // A ledger that fails halts the engine, and nobody hears of what was not recorded.
    ledger.durable(ledger.head().seq).then(send, halt);
  };

  const broken = new Map<RunId, FaultRecord>();
  const markBroken = (run: RunId, error: unknown, entry?: string): void => {
    const why = recordOf(error);
    options.log?.error("run.broken", { run, ...(entry === undefined ? {} : { entry }), fault: why });
    if (broken.has(run)) return;
    broken.set(run, why);
    notify("operator", "A run is broken", `Run ${run} stands where it is: ${why.message}`);
  };

  /** What the machine refuses stops the run where it is; the others go on. */
  const decided = (
    run: ActiveRun,
    entry: MachineEntry,
    { stored, target }: { readonly stored?: Value; readonly target?: PreparedProgram },
  ): Decision => {
    try {
      return decide(run.state, entry, stored, target);
    } catch (error) {
      if (typeof error === "object" && error !== null) contained.add(error);
      markBroken(run.run, error, entry.kind);
      throw error;
    }
  };

  const nowMs = (): number => world.monotonicMs();
  const pace = createPace(nowMs);
  const locks = createLocks({
    nowMs,
    waitersMax: effectsWaitingMax,
    retryAfterMs: () => pace.retryAfterMs(),
    waits: (waiter) => hooks.waits(waiter),
  });
  const permits = createPermits({
    nowMs,
    after: (ms, then) => void timers.at(world.nowMs() + ms, then),
    activeMax: options.effectsActiveMax ?? effectsActiveMaxDefault,
    waitersMax: effectsWaitingMax,
    retryAfterMs: () => pace.retryAfterMs(),
    limitsOf: (module) => options.modules.limits?.(module),
  });

  const enqueue = (run: ActiveRun, commands: readonly AnyCommand[]): void => {
    for (const command of commands) queue.push({ run, command });
    drain();
  };

  const publish = (run: ActiveRun, state: RunState, commands: readonly Command[]): void => {
    const { priority } = run.state;
    run.state = state;
    if (state.priority !== priority) hooks.priorityChanged(run);
    enqueue(run, commands);
    hooks.applied(run);
    applied(run);
  };

  return {
    options,
    publish,
    waits: createWaits(),
    startedAtMs: world.nowMs(),
    locks,
    permits,
    pace,
    rates: createRates(nowMs),
    timers,
    stops: createStops(registry),
    guardHistory,
    runs,
    broken,
    markBroken,
    unmarkBroken: (run) => broken.delete(run),
    phase: () => (isStopping ? "stopping" : "running"),
    stopping: () => {
      isStopping = true;
      permits.abandon();
      locks.abandon();
    },
    apply(run, change, more = {}) {
      if (haltedBy !== null)
        throw fault("runtime.stopped", "Cannot record anything: the engine has halted", {});
      // Whoever waited between looking at it and this finds it ended: nothing would carry out what follows.
      if (run.turn === "left")
        throw fault("run.ended", `Cannot change the run \`${run.run}\`: it has ended`, { run: run.run });
      const draft = {
        ...change,
        run: run.run,
        cause: more.cause ?? null,
        actor: more.actor ?? { kind: "node" as const },
        atMs: world.nowMs(),
      };
      const seq = ledger.head().seq + 1;
      const { state, commands } = decided(run, { ...draft, seq }, more);
      try {
        const entry = ledger.append(draft);
        if (entry.seq !== seq)
          throw new Error(`Invariant broken: E1 the ledger gave ${entry.seq}, not ${seq}`);
        guardHistory.note(entry);
      } catch (error) {
        if (isRefusedEntry(error)) contained.add(error);
        halt(error);
        throw error;
      }
      publish(run, state, commands);
      return seq;
    },
    onApplied(listener) {
      applied = listener;
    },
    enqueue,
    track(promise) {
      const tracked = promise.catch(halt).finally(() => work.delete(tracked));
      work.add(tracked);
    },
    async idle() {
      while (work.size > 0) await Promise.all(work);
    },
    halt,
    halted: () => haltedBy,
    workspace(name) {
      const registered = registry().workspaces.get(name);
      if (registered === undefined) return undefined;
      const known = workspaces.get(registered);
      if (known !== undefined || registered.file.kind === "blob") return known;
      const context = { name, root: registered.root, file: parseWorkspace(registered.file.value) };
      workspaces.set(registered, context);
      return context;
    },
    async loadWorkspace(name) {
      const registered = registry().workspaces.get(name);
      if (registered === undefined) throw unknownWorkspace(name);
      const known = workspaces.get(registered);
      if (known !== undefined) return known;
      const file = parseWorkspace(await readStored(registered.file, options));
      const context = { name, root: registered.root, file };
      workspaces.set(registered, context);
      return context;
    },
    decidePolicy(request) {
      const policy = options.policy();
      if (policy.hash !== verdictsOf || verdicts.size > verdictsMax) {
        verdicts = new Map();
        verdictsOf = policy.hash;
      }
      const key = JSON.stringify(request);
      let verdict = verdicts.get(key);
      if (verdict === undefined) {
        verdict = policy.decide(request);
        verdicts.set(key, verdict);
      }
      return verdict;
    },
    notify,
  };
}

/** The ledger did not take this one entry (too large, no value); it takes others, and nothing has changed. */
export function isRefusedEntry(error: unknown): error is object {
  return faultRecord(error)?.kind === "rejected";
}

export function unknownWorkspace(name: string) {
  return fault("workspace.unknown", `Cannot find the workspace \`${name}\``, { workspace: name });
}

/** The fault as the ledger can hold it; an error without a code is a bug, of ours or of a module. */
export function recordOf(error: unknown): FaultRecord {
  const known = faultRecord(error) ?? faultRecord(bugOf(error));
  if (known === undefined) throw new Error("a fault of our own table has a code");
  return { ...known, message: known.message.slice(0, 2000).toWellFormed(), facts: factsOf(known.facts) };
}

function bugOf(error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  return fault("runtime.bug", `An unexpected error stopped the step: ${message.slice(0, 500)}`, {}, error);
}

function factsOf(facts: FaultRecord["facts"]): ValueMap {
  const kept: Record<string, Value> = {};
  for (const [name, fact] of Object.entries(facts)) {
    if (fact === undefined) continue;
    try {
      const value = parseValue(fact);
      kept[name] = sizeOf(value) > 1024 ? "(too large to record)" : value;
    } catch {
      // A fact that is no value (an Error, a function) says nothing to a reader of the ledger.
      kept[name] = "(not recorded)";
    }
  }
  return kept;
}

/** About as many bytes as its encoding has, never fewer by more than a tenth. */
export function sizeOf(value: Value): number {
  if (typeof value === "string") return utf8Length(value) + 5;
  if (value instanceof Uint8Array) return value.length + 5;
  if (isDecimal(value)) return value.c.length + 12;
  if (Array.isArray(value)) return value.reduce<number>((size, item: Value) => size + sizeOf(item), 5);
  if (isMap(value)) {
    let size = 5;
    for (const [key, item] of Object.entries(value)) size += utf8Length(key) + 3 + sizeOf(item);
    return size;
  }
  return 9;
}

function utf8Length(text: string): number {
  if (text.length > 16 * inlineBytesMax) return text.length;
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) length += code > 0x7ff ? 2 : 1;
  }
  return length;
}

/** Inline, or in the blob store when it is large; resolves when the blob is durable. */
export async function store(value: Value, options: Pick<EngineOptions, "blobs">): Promise<Stored> {
  if (sizeOf(value) <= inlineBytesMax) return { kind: "inline", value };
  const blob = await options.blobs.put(encodeCbor(value));
  return { kind: "blob", ...blob };
}

export async function readStored(stored: Stored, options: Pick<EngineOptions, "blobs">): Promise<Value> {
  return stored.kind === "inline" ? stored.value : decodeCbor(await options.blobs.get(stored.sha256));
}

/** The value that an entry names by its hash only, or undefined when it holds everything. */
export async function storedValue(
  entry: RunEntry,
  options: Pick<EngineOptions, "blobs">,
): Promise<Value | undefined> {
  if (entry.kind === "run.started") {
    const state = entry.facts.forkedFrom?.state;
    return state?.kind === "blob" ? readStored(state, options) : undefined;
  }
  if (entry.kind === "effect.completed") {
    return entry.facts.result.kind === "blob" ? readStored(entry.facts.result, options) : undefined;
  }
  if (entry.kind === "child.ended")
    return entry.facts.result?.kind === "blob" ? readStored(entry.facts.result, options) : undefined;
  if (entry.kind === "run.snapshot") return readStored(entry.facts.state, options);
  if (entry.kind === "effect.intended" || entry.kind === "undo.intended") {
    const hash = entry.facts.params["$blob"];
    if (typeof hash !== "string" || Object.keys(entry.facts.params).length !== 1) return undefined;
    return decodeCbor(await options.blobs.get(sha256(hash)));
  }
  return undefined;
}

/** The same for every attempt of one group, also after a crash. */
export function effectKey(
  parts: readonly (string | number)[],
  options: Pick<EngineOptions, "hasher">,
): string {
  return toHex(options.hasher.sha256(utf8(parts.join("\n")))).slice(0, 32);
}

declare const AbortController: new () => { readonly signal: AbortSignalLike; abort(reason?: unknown): void };

export function createAbort(): { readonly signal: AbortSignalLike; abort(reason?: unknown): void } {
  return new AbortController();
}

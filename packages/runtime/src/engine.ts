// The engine: performs what the machine decides, and records what happened. See SPEC.md, rules E1 to E12.
// Long because it is the engine's one face: its whole API, and how its parts are wired, are read together.
import type { WorkspaceContext } from "@writ/core/capability";
import type {
  Actor,
  Breakpoint,
  EffectPreview,
  EmergencyScope,
  EntryDraft,
  RunEntry,
  Stored,
  EntryFacts,
  RunEnd,
} from "@writ/core/entry";
import type { Event, Priority } from "@writ/core/event";
import { Fault, hasCode, type FaultRecord } from "@writ/core/fault";
import type { ApprovalId, CapabilityId, ProgramHash, RunId, StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type {
  Blobs,
  Entropy,
  Hasher,
  Ledger,
  Modules,
  Notifier,
  ParkedRuns,
  Policy,
  World,
} from "@writ/core/ports";
import type { FailurePolicy, HashedProgram } from "@writ/core/program";
import type { Value, ValueMap } from "@writ/core/value";
import { toHex } from "@writ/core/bytes";
import { runId } from "@writ/core/ids";
import {
  inlineBytesMax,
  runsActiveMax as runsActiveMaxDefault,
  runsUnfinishedMax as runsUnfinishedMaxDefault,
} from "@writ/core/limits";
import { createAdmission } from "./engine/admission.ts";
import { awaitApproval, decideApproval, requestApproval } from "./engine/approvals.ts";
import { awaitTimer, setTimer } from "./engine/clock.ts";
import {
  createCore,
  isRefusedEntry,
  recordOf,
  store,
  storedValue,
  unknownWorkspace,
  readStored,
  sizeOf,
  type ActiveRun,
  type AnyCommand,
  type Core,
} from "./engine/core.ts";
import {
  childTakenBack,
  endedChange,
  followChild,
  followChildren,
  startChild,
  undoChildren,
  waitingParent,
  type ChildParts,
} from "./engine/child.ts";
import { breakpointAt } from "./engine/breakpoints.ts";
import { createControl, type Control } from "./engine/control.ts";
import { resolveEffect } from "./engine/crash.ts";
import { clearEmergency, emergencyStop, type StoppedEverything } from "./engine/emergency.ts";
import { abortEffect, attemptEffect, performEffect } from "./engine/effects.ts";
import { awaitGuard, countdowns, decideCountdown, type RunningCountdown } from "./engine/guard.ts";
import { beginReadBack } from "./engine/read-back.ts";
import { createSnapshots, lastSnapshot } from "./engine/snapshots.ts";
import { decodeState } from "./state-codec.ts";
import { createParking } from "./engine/parking.ts";
import { foldUnfinished } from "./engine/unfinished.ts";
import { limitLease } from "./engine/lease.ts";
import { createPreemption } from "./engine/preemption.ts";
import { createRemembered } from "./engine/remembered.ts";
import { createSchedule, type Schedule } from "./engine/schedule.ts";
import { emit, type EmitParts } from "./engine/emit.ts";
import { changesWith, heardOf, type Heard } from "./engine/together.ts";
import { awaitEvent, beginWait } from "./engine/waits.ts";
import { lookedAt } from "./engine/outcome.ts";
import { attemptUndo, performUndo, resolveUndo } from "./engine/undo.ts";
import { breakpointsMax, preparedProgramsMax, stopGraceMs } from "./limits.ts";
import { fault } from "./faults.ts";
import { decide, initialState, outstanding, type Command, type MachineEntry } from "./machine.ts";
import { mayWhilePaused } from "./machine/control.ts";
import { forkPoint, type ForkPoint } from "./engine/fork.ts";
import { preview, type SimulatedEntry } from "./engine/preview.ts";
import { replay, type Replay } from "./replay.ts";
import { prepareProgram, type PreparedProgram } from "./program-index.ts";
import type { EmergencyStop, Registry } from "./registry.ts";
import type { ApprovalState, RunState } from "./state.ts";

export type { Schedule, ScheduledLine, ScheduledWaiter } from "./engine/schedule.ts";
export type { RunningCountdown } from "./engine/guard.ts";

export interface Log {
  info(event: string, facts: Readonly<Record<string, unknown>>): void;
  warn(event: string, facts: Readonly<Record<string, unknown>>): void;
  error(event: string, facts: Readonly<Record<string, unknown>>): void;
}

export interface EngineOptions {
  readonly ledger: Ledger;
  readonly blobs: Blobs;
  readonly modules: Modules;
  readonly policy: () => Policy;
  readonly registry: () => Registry;
  readonly world: World;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  /** The program of a run that is not in memory (after a restart, for a replay). The engine keeps what it returns. */
  readonly loadProgram: (program: ProgramHash) => Promise<HashedProgram>;
  /** Runs that have started and not ended and are not parked, from the projections; asked once, by `recover`. */
  readonly unfinishedRuns: () => Promise<readonly RunId[]>;
  readonly log?: Log;
  readonly notifier?: Notifier;
  /** Where runs that only wait are kept while they are not in memory; without it every run stays there. */
  readonly parked?: ParkedRuns;
  /** Entries of a run between two snapshots of its state; 1,000 when absent. */
  readonly snapshotEntries?: number;
  /** Runs in memory at once; `runsActiveMax` of core when absent. */
  readonly runsActiveMax?: number;
  /** Runs that have not ended, in memory and parked; `runsUnfinishedMax` of core when absent. */
  readonly runsUnfinishedMax?: number;
  /** Sends to one host in a minute; 60 000 when absent. */
  readonly sendsPerMinuteMax?: number;
  /** Effects of one session (of one principal, where the event names none) in a minute; no bound when absent. */
  readonly actionsPerMinuteMax?: number;
  /** Effects under way at once; `effectsActiveMaxDefault` when absent. */
  readonly effectsActiveMax?: number;
  /** Units there are of a named resource that runs share; undefined for no bound. */
  readonly resourceUnits?: (name: string) => number | undefined;
}

interface Started {
  readonly seq: number;
  readonly runs: readonly RunId[];
  readonly durable: Promise<void>;
}

/** A start of the engine's own, which may continue what another run began. */
interface Start extends StartRun {
  readonly priority?: Priority;
  readonly again?: EntryFacts["run.started"]["again"];
  /** The id it has in any case; drawn when absent. */
  readonly run?: RunId;
  readonly parent?: EntryFacts["run.started"]["parent"];
  /** Breakpoints that stand already. */
  readonly stops?: readonly Breakpoint[];
}

export interface StartRun {
  readonly program: HashedProgram;
  readonly event: Event;
  readonly labels: readonly Label[];
  readonly principal: Actor;
  readonly workspace: string;
  /** Steps or capabilities before which it stops. */
  readonly breakpoints?: readonly string[];
  /** It begins where another run stood; `carried` is what `state` holds. */
  readonly forkedFrom?: {
    readonly run: RunId;
    readonly seq: number;
    readonly state: Stored;
    readonly carried: Value;
  };
}

export interface Engine extends Control {
  /** Folds every unfinished run from the ledger and resolves what was under way. Call once, before anything else. */
  recover(): Promise<Recovered>;
  /** Appends `run.started`. @throws runtime.busy, runtime.full, runtime.stopped, workspace.unknown, runtime.unknown-opcode, program.malformed */
  startRun(start: StartRun): { readonly run: RunId; readonly durable: Promise<void> };
  /** Appends an entry and the start of every run it causes as one commit, also across a crash. @throws as `startRun` */
  startTogether(
    first: EntryDraft,
    starts: readonly StartRun[],
  ): { readonly seq: number; readonly runs: readonly RunId[]; readonly durable: Promise<void> };
  /** Who is asked which programs an event starts that a run emits. */
  onEmitted(listener: EmitParts["startsOf"]): void;
  /** Resolves when the decision is durable. @throws approval.unknown, approval.closed, approval.wrong-role */
  decideApproval(
    approval: ApprovalId,
    decision: "approve" | "reject",
    actor: Actor,
    comment: string,
  ): Promise<void>;
  /** @throws run.unknown, run.ended */
  cancelRun(
    run: RunId,
    actor: Actor,
    options: { readonly undo: boolean; readonly reason: string },
  ): Promise<void>;
  /** Takes back what an ended run did, in reverse, as far as the world still allows it. @throws run.unknown, run.not-ended */
  undoRun(run: RunId, actor: Actor, reason: string): Promise<void>;
  /**
   * A person's decision on a held step: for an effect `done` (with its result), `failed`, `again` or `skip`; for an undo `done`,
   * `again` or `leave`. @throws run.unknown, run.nothing-held, run.decision
   */
  settle(
    run: RunId,
    step: StepId,
    decision: "done" | "failed" | "again" | "skip" | "leave",
    actor: Actor,
    result?: Value,
  ): Promise<void>;
  /**
   * Starts a run where an ended one stood after its entry `at`: what that had done is neither done nor taken back again.
   * @throws run.unknown, run.not-ended, run.fork-point, and as `startRun`
   */
  forkRun(run: RunId, at: number, actor: Actor): Promise<RunId>;
  /** The same without any effect: reads come from the record or are performed, everything else is looked at and predicted. */
  simulateFork(run: RunId, at: number): Promise<SimulatedFork>;
  /** The state of a run that is in memory, or that ended while this engine ran and is still remembered. */
  state(run: RunId): RunState | undefined;
  /** Runs in memory that have not ended. */
  active(): readonly RunState[];
  /** Approvals that wait, oldest first. */
  approvals(): readonly (ApprovalState & {
    readonly run: RunId;
    readonly program: ProgramHash;
    readonly workspace: string;
  })[];
  /** Resolves when the run's end is durable (at once when it has ended). @throws run.unknown */
  ended(run: RunId): Promise<RunOutcome>;
  /** What a run would do now. Reads are performed, writes only inspected; nothing is appended. */
  preview(
    program: HashedProgram,
    event: Event,
    workspace: string,
    labels?: readonly Label[],
  ): Promise<Preview>;
  /** Derives every state again from the run's entries and performs nothing. @throws run.unknown */
  replay(run: RunId): Promise<Replay>;
  /**
   * Nothing in the scope begins from now on, until an owner clears the stop; what waits there is cancelled first. Resolves when all of it
   * is durable. @throws runtime.stopped
   */
  emergencyStop(scope: EmergencyScope, actor: Actor, reason: string): Promise<StoppedEverything>;
  /** Resolves when the stop is over. @throws emergency.unknown */
  clearEmergency(stop: string, actor: Actor, reason: string): Promise<EmergencyStop>;
  /** Countdowns that run, the one that ends first in front. */
  countdowns(): readonly RunningCountdown[];
  /** Resolves when the decision is durable. @throws countdown.unknown, countdown.wrong-role */
  decideCountdown(
    countdown: string,
    decision: "cancel" | "acknowledge",
    actor: Actor,
    reason: string,
  ): Promise<{ readonly run: RunId; readonly step: StepId }>;
  /** Emergency stops in force. */
  emergencies(): readonly EmergencyStop[];
  /** The workspace as capabilities and sources see it. @throws workspace.unknown */
  workspace(name: string): Promise<WorkspaceContext>;
  /** Runs in memory that have not ended, how many may be, and how many wait outside of it. */
  load(): { readonly active: number; readonly activeMax: number; readonly parked: number };
  /** What is waited for, by whom and for how long; who holds it. */
  schedule(): Schedule;
  /** Why the engine does nothing more (the ledger failed, or a bug), or null. */
  halted(): FaultRecord | null;
  /** Runs that stand where they are, since the machine could not go on with them; a person has to look. Also those of `recover`. */
  broken(): readonly { readonly run: RunId; readonly fault: FaultRecord }[];
  /** Starts nothing more, aborts what is under way and resolves when nothing is. The runs go on after the next `recover`. */
  stop(): Promise<void>;
}

export interface Recovered {
  /** Runs that go on, in memory or parked just now. */
  readonly runs: number;
  /** Runs that could not be folded (a program or blob is missing, the ledger does not fit); they stay as they are. */
  readonly broken: readonly { readonly run: RunId; readonly fault: FaultRecord }[];
}

export interface RunOutcome {
  readonly run: RunId;
  readonly status: RunEnd;
  readonly result: Value;
  readonly fault: FaultRecord | null;
  /** Something of it was simulated (K42). */
  readonly simulated?: true;
}

export interface PreviewedStep {
  readonly step: StepId;
  readonly op: string;
  readonly capability: CapabilityId | null;
  readonly params: ValueMap;
  /** Parameters that cannot be known yet, as expressions. */
  readonly later: Readonly<Record<string, string>>;
  readonly effect: EffectPreview | null;
  /** `would`: it would be done; `done`: a read that was really performed; `refused`: the gate would refuse; `unknown`: depends. */
  readonly verdict: "would" | "needs-approval" | "refused" | "done" | "unknown";
  readonly role: string | null;
  readonly result: Value;
  readonly fault: FaultRecord | null;
}

export interface Preview {
  readonly program: ProgramHash;
  readonly steps: readonly PreviewedStep[];
  readonly status: RunEnd | "waiting" | "unknown";
  readonly result: Value;
  readonly fault: FaultRecord | null;
}

/** Nothing of it happened and nothing of it is recorded (K42). */
export interface SimulatedFork extends Preview {
  readonly simulated: true;
  readonly forkedFrom: { readonly run: RunId; readonly seq: number };
  readonly entries: readonly SimulatedEntry[];
  /** Steps whose reads were taken from the record of the run. */
  readonly replayed: readonly StepId[];
  readonly hashed: HashedProgram;
}

export function createEngine(options: EngineOptions): Engine {
  const { ledger } = options;
  const activeMax = options.runsActiveMax ?? runsActiveMaxDefault;
  const unfinishedMax = options.runsUnfinishedMax ?? runsUnfinishedMaxDefault;
  const prepared = new Map<ProgramHash, PreparedProgram>();
  const remembered = createRemembered();
  const waiters = new Map<RunId, Waiter[]>();

  let emittedTo: EmitParts["startsOf"] | undefined;
  const execute = (run: ActiveRun, command: AnyCommand): void => {
    // Asked for again when the run is resumed.
    if (run.state.control.paused !== null && !mayWhilePaused(command)) return;
    switch (command.kind) {
      case "attempt":
        if (run.state.prepared.calls.includes(command.step)) return startChild(children, run, command.step);
        return attemptEffect(core, run, command.step);
      case "perform":
        return performEffect(core, run, command.step);
      case "abort":
        return abortEffect(run, command.step);
      case "resolve":
        return resolveEffect(core, run, command.step);
      case "set-timer":
        return setTimer(core, run, command);
      case "await-timer":
        return awaitTimer(core, run, command);
      case "request-approval":
        return requestApproval(core, run, command);
      case "await-approval":
        return awaitApproval(core, run, command.step, command.expiresAtMs);
      case "await-guard":
        return awaitGuard(core, run, command);
      case "read-back":
        return beginReadBack(core, run, command.step);
      case "emit":
        return emit(emitting, run, command.step, command.event);
      case "begin-wait":
        return beginWait(core, run, command.step);
      case "await-event":
        return awaitEvent(core, run, command.step);
      case "await-child":
        return followChild(children, run, command.step);
      case "undo":
        if (run.state.prepared.calls.includes(command.step)) return undoChildren(children, run, command.step);
        return attemptUndo(core, run, command.step);
      case "perform-undo":
        return performUndo(core, run, command.step);
      case "resolve-undo":
        return resolveUndo(core, run, command.step);
      case "end":
        return endRun(run, command);
    }
  };
  const core: Core = createCore(options, execute, {
    halted(why) {
      for (const waiting of waiters.values()) for (const { reject } of waiting) reject(new Fault(why));
      waiters.clear();
    },
    priorityChanged(run) {
      schedule.reorder(run);
      if (run.turn === "waiting") preemption.turnWaits(run);
    },
    applied: (run) => {
      preemption.applied(run);
      if (run.state.prepared.calls.length > 0) followChildren(children, run);
    },
    waits(waiter) {
      schedule.waits(waiter);
      preemption.lockWaits(waiter);
    },
  });
  const snapshots = createSnapshots(core);
  core.onApplied((run) => {
    parking.touched();
    snapshots(run);
  });

  const admission = createAdmission({
    enqueue: (run, commands) => core.enqueue(run, commands),
    retryAfterMs: () => core.pace.retryAfterMs(),
    units: (name) => options.resourceUnits?.(name),
    began: (run) => limitLease(core, run, endByNode),
    waits: (run) => preemption.turnWaits(run),
  });
  const preemption = createPreemption(core, admission);
  const schedule = createSchedule(core, admission);

  const endRun = (
    run: ActiveRun,
    { status, result, hasResult, fault: why }: Extract<Command, { kind: "end" }>,
  ): void => {
    const append = (stored: Awaited<ReturnType<typeof store>> | null): void => {
      // Once: taking back what had ended before keeps the reason of that end, and starts nothing.
      const startsAgain = status === "rolled_back" && isAgain(why) && run.state.ended === null;
      // Its end and the run that starts it again are one commit, after the restart.
      if (startsAgain && core.phase() !== "running") return;
      const { simulated } = run.state;
      const facts = { status, result: stored, fault: why, ...(simulated === true ? { simulated } : {}) };
      const parent = waitingParent(core, run);
      let seq: number;
      if (startsAgain) seq = endAndStart(run, facts);
      else if (parent === undefined) seq = core.apply(run, { kind: "run.ended", facts });
      else seq = endWithParent(run, parent, facts);
      for (const takeBack of run.timers.values()) takeBack();
      run.timers.clear();
      core.runs.delete(run.run);
      core.waits.forget(run.run);
      core.unmarkBroken(run.run);
      remembered.keep(run.state);
      core.pace.ended();
      admission.leave(run);
      preemption.ended(run);
      childTakenBack(core, run);
      if (why !== null && status === "failed")
        core.notify("operator", "A run failed", `Run ${run.run}: ${why.message}`);
      if (why?.code === "undo.partial")
        core.notify("operator", "A run was taken back in part", `Run ${run.run}: ${why.message}`);
      core.track(
        ledger.durable(seq).then(() => {
          for (const waiter of waiters.get(run.run) ?? []) waiter.resolve(outcomeOf(run.state));
          waiters.delete(run.run);
        }),
      );
    };
    // Whoever waits for it is told in the same commit, also one that is parked.
    const { parent } = run.state;
    const isParked = parent !== undefined && parking.isParked(parent.run);
    if (isParked) {
      const told = parking.wake(parent.run).catch(() => undefined);
      core.track(
        Promise.all([hasResult ? store(result, options) : null, told]).then(([stored]) => append(stored)),
      );
    } else if (!hasResult) append(null);
    else if (sizeOf(result) <= inlineBytesMax) append({ kind: "inline", value: result });
    else core.track(store(result, options).then(append));
  };

  const endWithParent = (run: ActiveRun, parent: ActiveRun, facts: EntryFacts["run.ended"]): number => {
    const change = endedChange(run.state, facts);
    const stored = run.state.ending?.result ?? null;
    const { seq } = append(
      null,
      [],
      [
        { run, change: { kind: "run.ended", facts } },
        { run: parent, change, stored },
      ],
    );
    return seq;
  };

  /** The end of a run that gave way and was taken back whole is one commit with the run that starts it again. */
  const endAndStart = (run: ActiveRun, facts: EntryFacts["run.ended"]): number => {
    const { state } = run;
    if (state.event === null) throw new Error(`Invariant broken: run ${run.run} gives way and has no event`);
    const { prepared: known, event, principal, workspace, priority, preemptions = 0 } = state;
    const draft: EntryDraft<"run.ended"> = {
      kind: "run.ended",
      run: run.run,
      cause: null,
      actor: { kind: "node" },
      atMs: options.world.nowMs(),
      facts,
    };
    const seq = ledger.head().seq + 1;
    const ended = decide(state, { ...draft, seq });
    const labels = state.slots.get("event")?.labels ?? [];
    const again = { run: run.run, times: preemptions };
    core.runs.delete(run.run);
    // Where a person wants it to stop, it stops again.
    const stops = state.control.breakpoints;
    const start = { program: known.hashed, event, labels, principal, workspace, priority, again, stops };
    append(draft, [start]);
    run.state = ended.state;
    return seq;
  };

  const prepare = (program: HashedProgram): PreparedProgram => {
    const known = prepared.get(program.hash);
    if (known !== undefined) return known;
    const made = prepareProgram(program);
    const [oldest] = prepared.keys();
    if (prepared.size >= preparedProgramsMax && oldest !== undefined) prepared.delete(oldest);
    prepared.set(program.hash, made);
    return made;
  };

  const activate = (state: RunState): ActiveRun => ({
    run: state.run,
    state,
    turn: "waiting",
    pending: [],
    inFlight: new Map(),
    timers: new Map(),
    arrivedMs: options.world.monotonicMs(),
    inheritedDueMs: Number.POSITIVE_INFINITY,
    readBacks: new Map(),
  });

  /** The run's time limit; when it has passed the run is cancelled, with undo where its program knows `compensate`. */
  const limitTime = (
    run: ActiveRun,
    fromMs = run.state.control.clockFromMs ?? run.state.startedAtMs,
  ): void => {
    const { runTimeoutMs } = run.state.prepared.hashed.program;
    run.timers.set(
      "run",
      core.timers.at(fromMs + runTimeoutMs, () => {
        run.timers.delete("run");
        endByNode(run, `it did not end in ${runTimeoutMs} ms`);
      }),
    );
  };

  const endByNode = (run: ActiveRun, reason: string): void => {
    if (core.phase() !== "running" || run.state.ending !== null || run.state.ended !== null) return;
    const undo = [...run.state.prepared.steps.values()].some(({ step }) => compensates(step.failure));
    core.apply(run, { kind: "run.cancel-requested", facts: { by: { kind: "node" }, undo, reason } });
    admission.admitToEnd(run);
  };

  const startTogether: Engine["startTogether"] = (first, starts) => {
    const taken = starts.filter(({ program }) => {
      try {
        admission.check(program);
        return true;
      } catch (error) {
        if (!hasCode(error, "runtime.conflict")) throw error;
        schedule.rejected(program.hash);
        return false;
      }
    });
    return begin(first, taken);
  };

  const begin = (first: EntryDraft | null, starts: readonly StartRun[]): Started => {
    checkOpen(starts.length);
    return append(first, starts);
  };

  const append = (
    first: EntryDraft | null,
    starts: readonly Start[],
    changes: Parameters<typeof changesWith>[1] = [],
    heard: Heard | null = heardOf(first),
  ): Started => {
    const atMs = options.world.nowMs();
    const before = ledger.head().seq + 1 + (first === null ? 0 : 1);
    const changed = changesWith(core, changes, heard, { seq: before, atMs });
    const from = before + changed.drafts.length;
    const begun = starts.map((start, i) => {
      if (!options.registry().workspaces.has(start.workspace)) throw unknownWorkspace(start.workspace);
      const { program, event, labels, principal, workspace, priority, again, forkedFrom, parent } = start;
      const state = initialState(start.run ?? newRunId(atMs, options.entropy), prepare(program));
      const draft: EntryDraft<"run.started"> = {
        kind: "run.started",
        run: state.run,
        cause: event.id,
        actor: principal,
        atMs,
        facts: {
          program: program.hash,
          event,
          labels,
          priority: priority ?? program.program.priority,
          principal,
          workspace,
          ...breakpointFacts(start, state.prepared),
          ...(forkedFrom === undefined ? {} : { forkedFrom: factsOfFork(forkedFrom) }),
          ...(again === undefined ? {} : { again }),
          ...(parent === undefined ? {} : { parent }),
        },
      };
      const entry: MachineEntry = { ...draft, seq: from + i };
      return { draft, run: activate(state), decision: decide(state, entry, forkedFrom?.carried) };
    });
    let seq: number;
    try {
      const drafts = begun.map(({ draft }) => draft);
      const appended = [...(first === null ? [] : [first]), ...changed.drafts, ...drafts];
      if (appended.length === 0) throw new Error("Invariant broken: nothing is appended");
      const entries =
        appended.length === 1 ? appended.map((draft) => ledger.append(draft)) : ledger.appendAll(appended);
      seq = entries.at(-1)?.seq ?? ledger.head().seq;
    } catch (error) {
      if (!isRefusedEntry(error)) core.halt(error);
      throw error;
    }
    changed.publish();
    for (const { run, decision } of begun) {
      run.state = decision.state;
      core.runs.set(run.run, run);
      admission.enter(run);
      limitTime(run);
      core.enqueue(run, decision.commands);
    }
    const durable = ledger.durable(seq);
    // Whoever starts a run need not wait for it; a ledger that fails halts the engine in any case.
    durable.catch((error: unknown) => core.halt(error));
    return { seq, runs: begun.map(({ run }) => run.run), durable };
  };

  const emitting: EmitParts = {
    get core() {
      return core;
    },
    startsOf: (event, labels, workspace) => emittedTo?.(event, labels, workspace) ?? [],
    commit: (changes, heard, starts) => {
      if (starts.length > 0) checkOpen(starts.length);
      append(null, starts, changes, heard);
    },
  };

  const breakpointFacts = ({ breakpoints = [], stops = [] }: Start, of: PreparedProgram) => {
    const asked = breakpoints.slice(0, breakpointsMax).map((where) => breakpointAt(where, of, options));
    const all = [...stops, ...asked];
    return all.length === 0 ? {} : { breakpoints: all };
  };

  const checkOpen = (more: number): void => {
    if (core.phase() !== "running")
      throw fault("runtime.stopped", "Cannot start a run: the node is stopping", {});
    if (core.runs.size + more > activeMax) parking.makeRoom();
    const unfinished = core.runs.size + parking.count();
    if (unfinished + more > unfinishedMax) {
      throw fault("runtime.full", `Cannot start a run now: ${unfinished} have not ended`, {
        unfinished,
        unfinishedMax,
        retryAfterMs: core.pace.retryAfterMs(),
      });
    }
    if (core.runs.size + more > activeMax) {
      throw fault("runtime.busy", `Cannot start a run now: ${core.runs.size} are under way`, {
        active: core.runs.size,
        activeMax,
        retryAfterMs: core.pace.retryAfterMs(),
      });
    }
  };

  /** The run in memory; a parked one comes back for it. @throws run.unknown, run.ended */
  const activeRun = async (run: RunId): Promise<ActiveRun> => {
    const active = await parking.wake(run);
    // It may have ended while this waited for its turn.
    if (active !== undefined && core.runs.get(run) === active) return active;
    if (active !== undefined || remembered.has(run))
      throw fault("run.ended", `Cannot change the run \`${run}\`: it has ended`, { run });
    throw unknownRun(run);
  };

  /** The program that a migration names. */
  const targetOf = async (entry: RunEntry): Promise<PreparedProgram | undefined> =>
    entry.kind === "run.migrated" ? prepare(await options.loadProgram(entry.facts.target)) : undefined;

  const foldRun = async (run: RunId): Promise<RunState> => {
    const newest = await ledger.readRun(run, { fromSnapshot: true });
    const last = lastSnapshot(run, newest);
    // Without a snapshot that can be trusted everything is folded.
    const isWhole = last !== undefined || newest[0]?.kind === "run.started";
    const entries = isWhole ? newest : await ledger.readRun(run);
    const [started] = entries;
    let state: RunState;
    if (last !== undefined) {
      const { program, state: stored } = last.snapshot.facts;
      state = decodeState(await readStored(stored, options), prepare(await options.loadProgram(program)));
    } else if (started?.kind === "run.started")
      state = initialState(run, prepare(await options.loadProgram(started.facts.program)));
    else throw unknownRun(run);
    for (const entry of last?.after ?? entries)
      state = decide(state, entry, await storedValue(entry, options), await targetOf(entry)).state;
    return state;
  };

  const replayRun = async (run: RunId): Promise<Replay> => {
    const entries = await ledger.readRun(run);
    const [started] = entries;
    if (started?.kind !== "run.started") throw unknownRun(run);
    const values = new Map<number, Value>();
    const targets = new Map<number, PreparedProgram>();
    for (const entry of entries) {
      const value = await storedValue(entry, options);
      if (value !== undefined) values.set(entry.seq, value);
      const target = await targetOf(entry);
      if (target !== undefined) targets.set(entry.seq, target);
    }
    const program = prepare(await options.loadProgram(started.facts.program));
    return replay(
      entries,
      program,
      ({ seq }) => values.get(seq),
      ({ seq }) => targets.get(seq),
    );
  };

  const pointOf = async (run: RunId, at: number): Promise<ForkPoint> => {
    if ((await parking.wake(run)) !== undefined)
      throw fault("run.not-ended", `Cannot fork the run \`${run}\`: it has not ended`, { run });
    return forkPoint(run, (await replayRun(run)).steps, at);
  };

  const resume = (state: RunState): ActiveRun => {
    const run = activate(state);
    run.turn = "admitted";
    core.runs.set(run.run, run);
    if (state.ended === null) limitTime(run);
    core.enqueue(run, outstanding(state));
    return run;
  };
  const stateOf = async (run: RunId): Promise<RunState> => {
    const now = (): RunState | undefined => core.runs.get(run)?.state ?? remembered.get(run);
    const folded = now() ?? (await foldRun(run));
    // Something may have happened to it while it was folded.
    return now() ?? folded;
  };

  /** Of a run that has ended and is not in memory. */
  const undoEnded = (state: RunState, actor: Actor, reason: string): number => {
    const active = activate(state);
    remembered.forget(state.run);
    core.runs.set(state.run, active);
    admission.admitToEnd(active);
    const facts = { by: actor, reason: reason.slice(0, 1024).toWellFormed() };
    return core.apply(active, { kind: "undo.requested", facts }, { actor });
  };
  const children: ChildParts = {
    get core() {
      return core;
    },
    stateOf,
    commit: (change, start) => void append(null, [start], [change], null),
    undo: (state, reason) => void undoEnded(state, { kind: "node" }, reason),
  };
  const parking = createParking({ core, parked: options.parked, activeMax, fold: foldRun, resume });

  /** A run that has ended comes back into memory when nothing speaks against it; the order that reopens it follows at once. */
  const reopened = async (
    run: RunId,
    problem: (state: RunState) => FaultRecord | null,
  ): Promise<ActiveRun> => {
    const awake = await parking.wake(run);
    // It may have ended while this waited for its turn.
    if (awake !== undefined && core.runs.get(run) === awake) return awake;
    const folded = remembered.get(run) ?? (await foldRun(run));
    const known = core.runs.get(run);
    if (known !== undefined) return known;
    // Somebody else may have changed it while it was folded.
    const state = remembered.get(run) ?? folded;
    const why = state.ended === null ? unknownRun(run) : problem(state);
    if (why !== null) throw "remedy" in why ? new Fault(why) : why;
    checkOpen(1);
    const active = activate(state);
    remembered.forget(run);
    core.runs.set(run, active);
    admission.enter(active);
    // The limit that its order sets: from now on.
    limitTime(active, options.world.nowMs());
    return active;
  };

  return {
    ...createControl(core, {
      activeRun,
      reopened,
      prepare: async (program) => prepare(await options.loadProgram(program)),
      withdraw: (run) => admission.withdraw(run),
      enter: (run) => {
        admission.enter(run);
        run.timers.get("run")?.();
        limitTime(run);
      },
    }),
    onEmitted(listener) {
      emittedTo = listener;
    },
    startTogether,
    startRun(start) {
      try {
        admission.check(start.program);
      } catch (error) {
        if (hasCode(error, "runtime.conflict")) schedule.rejected(start.program.hash);
        throw error;
      }
      const { runs, durable } = begin(null, [start]);
      const [run] = runs;
      if (run === undefined) throw new Error("Invariant broken: one start makes one run");
      return { run, durable };
    },
    async recover() {
      for (const [program, count] of options.parked?.counts() ?? []) admission.countParked(program, count);
      const { states, broken, parked } = await foldUnfinished(await options.unfinishedRuns(), {
        fold: foldRun,
        parked: options.parked,
        activeMax,
        nowMs: options.world.nowMs(),
        countParked: (program, count) => admission.countParked(program, count),
        broken(run, error) {
          core.markBroken(run, error);
          return recordOf(error);
        },
      });
      const inOrder = states.toSorted((a, b) => a.startedAtMs - b.startedAtMs || a.seq - b.seq);
      // Those that were under way first: an effect of theirs may wait for its outcome.
      const begun = (state: RunState) =>
        state.begun === true || [...state.steps.values()].some((step) => step.effect !== null);
      for (const state of [...inOrder.filter(begun), ...inOrder.filter((other) => !begun(other))]) {
        const run = activate(state);
        run.arrivedMs -= Math.max(0, options.world.nowMs() - state.startedAtMs);
        core.runs.set(run.run, run);
        if (state.begun === true) admission.admitAgain(run);
        else admission.enter(run);
        if (state.ended === null) limitTime(run);
        preemption.recovered(run);
        core.enqueue(run, outstanding(state));
      }
      // None of them is woken before those that were under way are back.
      parking.start();
      return { runs: states.length + parked, broken };
    },
    async decideApproval(approval, decision, actor, comment) {
      const parked = options.parked?.runOfApproval(approval);
      if (parked !== undefined) await parking.wake(parked);
      await ledger.durable(decideApproval(core, { approval, decision, actor, comment }));
    },
    async cancelRun(run, actor, { undo, reason }) {
      const active = await activeRun(run);
      if (active.state.ending !== null || active.state.ended !== null) {
        throw fault("run.ended", `Cannot cancel the run \`${run}\`: it is ending already`, { run });
      }
      const facts = { by: actor, undo, reason: reason.slice(0, 1024).toWellFormed() };
      const seq = core.apply(active, { kind: "run.cancel-requested", facts }, { actor });
      admission.admitToEnd(active);
      await ledger.durable(seq);
    },
    async undoRun(run, actor, reason) {
      if ((await parking.wake(run)) !== undefined)
        throw fault("run.not-ended", `Cannot undo the run \`${run}\`: it has not ended`, { run });
      const folded = remembered.get(run) ?? (await foldRun(run));
      // Somebody else may have undone it while it was folded.
      const state = remembered.get(run) ?? folded;
      if (state.ended === null || state.ending !== null || core.runs.has(run)) {
        throw fault("run.not-ended", `Cannot undo the run \`${run}\`: it has not ended`, { run });
      }
      checkOpen(1);
      await ledger.durable(undoEnded(state, actor, reason));
    },
    async settle(run, step, decision, actor, result = null) {
      const active = await activeRun(run);
      const held = active.state.steps.get(step);
      const isUndo = held?.undo?.phase === "held";
      if (held === undefined || (held.phase.kind !== "held" && !isUndo)) {
        throw fault("run.nothing-held", `Cannot settle step \`${step}\` of run \`${run}\`: it is not held`, {
          run,
          step,
        });
      }
      // What nobody waits for any more is not done again.
      const isOver = active.state.ending !== null || held.aborting;
      const decisions = isUndo
        ? ["done", "again", "leave"]
        : ["done", "failed", "skip", ...(isOver ? [] : ["again"])];
      if (!decisions.includes(decision)) {
        throw fault("run.decision", `Cannot settle step \`${step}\` with \`${decision}\``, {
          run,
          step,
          decisions,
        });
      }
      let seq: number;
      if (decision === "leave" || isUndo) {
        if (decision !== "done" && decision !== "again" && decision !== "leave")
          throw new Error("Invariant broken: checked above");
        seq = core.apply(active, { kind: "undo.settled", facts: { step, decision, by: actor } }, { actor });
      } else {
        const { attempt } = held;
        const seen = decision === "done" ? lookedAt(core, active, step) : {};
        const facts = { step, attempt, decision, by: actor, result, ...seen };
        seq = core.apply(active, { kind: "effect.settled", facts }, { actor });
      }
      await ledger.durable(seq);
    },
    state: (run) => core.runs.get(run)?.state ?? remembered.get(run),
    active: () => [...core.runs.values()].map(({ state }) => state),
    approvals: () =>
      [...core.runs.values()]
        .flatMap(({ run, state }) =>
          [...state.approvals.values()]
            .filter((approval) => isWaiting(state, approval))
            .map((approval) => ({ ...approval, run, program: state.program, workspace: state.workspace })),
        )
        .concat(options.parked?.approvals().map(approvalOfParked) ?? [])
        .sort((a, b) => a.requestedAtMs - b.requestedAtMs),
    async ended(run) {
      const state = core.runs.get(run) === undefined ? remembered.get(run) : undefined;
      if (state !== undefined) {
        await ledger.durable(state.seq);
        return outcomeOf(state);
      }
      if (core.runs.has(run) || parking.isParked(run)) {
        return new Promise((resolve, reject) => {
          waiters.set(run, [...(waiters.get(run) ?? []), { resolve, reject }]);
        });
      }
      return endedLongAgo(run, options);
    },
    async forkRun(run, at, actor) {
      const point = await pointOf(run, at);
      const state = await store(point.carried, options);
      const { prepared: of, event, labels, workspace, seq } = point;
      const { runs, durable } = begin(null, [
        {
          program: of.hashed,
          event,
          labels,
          principal: actor,
          workspace,
          forkedFrom: { run, seq, state, carried: point.carried },
        },
      ]);
      await durable;
      const [fork] = runs;
      if (fork === undefined) throw new Error("Invariant broken: one start makes one run");
      return fork;
    },
    async simulateFork(run, at) {
      const point = await pointOf(run, at);
      const { event, labels, workspace, seq } = point;
      const shown = await preview(core, point.prepared, { event, labels, workspace, from: point });
      return { ...shown, simulated: true, forkedFrom: { run, seq }, hashed: point.prepared.hashed };
    },
    preview: (program, event, workspace, labels = ["origin:event"]) =>
      preview(core, prepare(program), { event, labels, workspace }),
    replay: (run) => replayRun(run),
    async emergencyStop(scope, actor, reason) {
      const stopped = emergencyStop(core, { scope, actor, reason });
      await ledger.durable(stopped.seq);
      return stopped;
    },
    clearEmergency: (stop, actor, reason) => clearEmergency(core, { stop, actor, reason }),
    emergencies: () => core.stops.now(),
    countdowns: () => countdowns(core),
    async decideCountdown(countdown, decision, actor, reason) {
      const { run, step, seq } = decideCountdown(core, { countdown, decision, actor, reason });
      await ledger.durable(seq);
      return { run, step };
    },
    workspace: (name) => core.loadWorkspace(name),
    halted: () => core.halted(),
    broken: () => [...core.broken].map(([run, why]) => ({ run, fault: why })),
    load: () => ({ active: core.runs.size, activeMax, parked: parking.count() }),
    schedule: () => schedule.view(),
    async stop() {
      core.stopping();
      const takeBack = core.timers.at(options.world.nowMs() + stopGraceMs, () => {
        for (const run of core.runs.values()) {
          for (const flight of run.inFlight.values())
            flight.abort(fault("runtime.stopped", "The node is stopping", {}));
        }
      });
      await core.idle();
      takeBack();
      core.timers.stop();
      for (const [run, waiting] of waiters) {
        for (const { reject } of waiting)
          reject(fault("runtime.stopped", `Cannot wait for run \`${run}\`: the node is stopping`, { run }));
      }
      waiters.clear();
    },
  };
}

function factsOfFork({ run, seq, state }: NonNullable<StartRun["forkedFrom"]>) {
  return { run, seq, state };
}

interface Waiter {
  readonly resolve: (outcome: RunOutcome) => void;
  readonly reject: (error: unknown) => void;
}

function outcomeOf({ run, ended, simulated }: RunState): RunOutcome {
  if (ended === null) throw new Error(`Invariant broken: run ${run} has not ended`);
  const { status, result, fault: why } = ended;
  return { run, status, result, fault: why, ...(simulated === true ? { simulated } : {}) };
}

async function endedLongAgo(run: RunId, options: EngineOptions): Promise<RunOutcome> {
  await options.ledger.durable(options.ledger.head().seq);
  const entries = await options.ledger.readRun(run);
  const last = entries.findLast((entry) => entry.kind === "run.ended");
  if (last?.kind !== "run.ended") throw unknownRun(run);
  const { status, result, fault: why, simulated } = last.facts;
  const value = result === null ? null : await readStored(result, options);
  return { run, status, result: value, fault: why, ...(simulated === true ? { simulated } : {}) };
}

/** It gave way, and is to start again. */
function isAgain(why: FaultRecord | null): boolean {
  return why?.code === "runtime.preempted" && why.facts["again"] === true;
}

function isWaiting(state: RunState, approval: ApprovalState): boolean {
  const phase = state.steps.get(approval.step)?.phase;
  return approval.state === "waiting" && phase?.kind === "approval" && phase.approval === approval.approval;
}

function approvalOfParked({
  facts,
  run,
  program,
  workspace,
  requestedAtMs,
}: ReturnType<ParkedRuns["approvals"]>[number]) {
  const { approval, step, role, message, effects, expiresAtMs, onExpiry, reason } = facts;
  const asked = { approval, step, role, message, effects, expiresAtMs, onExpiry, requestedAtMs };
  return { ...asked, why: reason, state: "waiting" as const, by: null, run, program, workspace };
}

function compensates(policy: FailurePolicy): boolean {
  return policy.kind === "compensate" || (policy.kind === "retry" && compensates(policy.then));
}

/** Begins with the second it was made in: runs of one time stand together in every index, however many there are. */
function newRunId(atMs: number, entropy: Entropy): RunId {
  const seconds = Math.max(0, Math.floor(atMs / 1000)) % 0x100000000;
  return runId(`r_${seconds.toString(16).padStart(8, "0")}${toHex(entropy.bytes(8))}`);
}

function unknownRun(run: RunId) {
  return fault("run.unknown", `Cannot find the run \`${run}\``, { run });
}

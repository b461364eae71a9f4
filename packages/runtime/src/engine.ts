// The engine: performs what the machine decides, and records what happened. See SPEC.md, rules E1 to E12.
import type { Actor, EffectPreview, RunEnd, RunEntry } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import type { FaultRecord } from "@writ/core/fault";
import type { ApprovalId, CapabilityId, ProgramHash, RunId, StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { Blobs, Entropy, Hasher, Ledger, Modules, Notifier, Policy, World } from "@writ/core/ports";
import type { HashedProgram } from "@writ/core/program";
import type { Value, ValueMap } from "@writ/core/value";
import type { Registry } from "./registry.ts";
import type { ApprovalState, RunState } from "./state.ts";

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
  /** Runs that have started and not ended, from the projections; asked once, by `recover`. */
  readonly unfinishedRuns: () => Promise<readonly RunId[]>;
  readonly log?: Log;
  readonly notifier?: Notifier;
  /** Runs at once; `runsActiveMax` of core when absent. */
  readonly runsActiveMax?: number;
}

export interface StartRun {
  readonly program: HashedProgram;
  readonly event: Event;
  readonly labels: readonly Label[];
  readonly principal: Actor;
  readonly workspace: string;
}

export interface Engine {
  /** Folds every unfinished run from the ledger and resolves what was under way. Call once, before anything else. */
  recover(): Promise<{ readonly runs: number; readonly held: number }>;
  /** Appends `run.started`. @throws runtime.busy, runtime.stopped, workspace.unknown, runtime.unknown-opcode, program.malformed */
  startRun(start: StartRun): { readonly run: RunId; readonly durable: Promise<void> };
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
  /** The state of a run that has not ended, or that ended while this engine ran and is still remembered. */
  state(run: RunId): RunState | undefined;
  /** Runs that have not ended. */
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
  preview(program: HashedProgram, event: Event, workspace: string): Promise<Preview>;
  /** Derives every state again from the run's entries and performs nothing. @throws run.unknown */
  replay(run: RunId): Promise<Replay>;
  /** Runs that have started and not ended, and how many may. */
  load(): { readonly active: number; readonly activeMax: number };
  /** Starts nothing more, aborts what is under way and resolves when nothing is. The runs go on after the next `recover`. */
  stop(): Promise<void>;
}

export interface RunOutcome {
  readonly run: RunId;
  readonly status: RunEnd;
  readonly result: Value;
  readonly fault: FaultRecord | null;
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

export interface ReplayStep {
  readonly entry: RunEntry;
  readonly state: RunState;
}

export interface Replay {
  readonly run: RunId;
  readonly steps: readonly ReplayStep[];
  /** The first entry that the machine did not expect, or null. */
  readonly divergence: { readonly seq: number; readonly fault: FaultRecord } | null;
}

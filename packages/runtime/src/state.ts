// The state of a run: what folding its entries gives. Everything here is data; the machine alone makes new states.
import type { Actor, EffectPreview, EntryFacts, RunEnd } from "@writ/core/entry";
import type { Event, Priority } from "@writ/core/event";
import type { FaultRecord } from "@writ/core/fault";
import type {
  ApprovalId,
  CapabilityId,
  PersonId,
  ProgramHash,
  RoleName,
  RunId,
  Sha256,
  StepId,
} from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { Target, UndoCall } from "@writ/core/capability";
import type { Value, ValueMap } from "@writ/core/value";
import { fault } from "./faults.ts";
import type { ControlState } from "./machine/control-state.ts";
import type { PreparedProgram } from "./program-index.ts";

export type StepStatus =
  | "PENDING"
  | "WAITING"
  | "AWAITING_APPROVAL"
  | "RUNNING"
  | "RETRYING"
  | "UNKNOWN"
  | "HELD"
  | "COMPLETED"
  | "FAILED"
  | "SKIPPED"
  | "ABORTED"
  | "UNDOING"
  | "ROLLED_BACK";

/** The only transitions there are. */
export const transitions: Readonly<Record<StepStatus, readonly StepStatus[]>> = {
  PENDING: ["WAITING", "SKIPPED", "ABORTED"],
  WAITING: ["AWAITING_APPROVAL", "RUNNING", "SKIPPED", "ABORTED"],
  AWAITING_APPROVAL: ["RUNNING", "SKIPPED", "ABORTED"],
  RUNNING: ["COMPLETED", "FAILED", "RETRYING", "ABORTED", "UNKNOWN"],
  RETRYING: ["RUNNING", "FAILED", "ABORTED"],
  UNKNOWN: ["RUNNING", "COMPLETED", "FAILED", "HELD"],
  HELD: ["RUNNING", "COMPLETED", "FAILED", "SKIPPED"],
  COMPLETED: ["UNDOING"],
  FAILED: ["UNDOING", "RUNNING"],
  UNDOING: ["ROLLED_BACK", "HELD"],
  SKIPPED: [],
  ROLLED_BACK: [],
  ABORTED: [],
};

/** The next status. @throws runtime.illegal-transition for any that the table does not list */
export function transition(step: StepId, from: StepStatus, to: StepStatus): StepStatus {
  if (!transitions[from].includes(to)) {
    throw fault("runtime.illegal-transition", `Cannot move step \`${step}\` from ${from} to ${to}`, {
      step,
      from,
      to,
    });
  }
  return to;
}

/** What a step that is not settled waits for. */
export type Phase =
  /** Its block has not begun, or steps before it have not ended. */
  | { readonly kind: "blocked" }
  /** The gate is to look at it; nothing was attempted. */
  | { readonly kind: "attempting" }
  /** The intent is recorded; the outcome is not. */
  | { readonly kind: "intended" }
  /** A timer is to be set (`set` false), or is running. */
  | { readonly kind: "timer"; readonly why: "wait" | "retry"; readonly atMs: number; readonly set: boolean }
  /** A person is to be asked (`approval` null), or was asked. */
  | {
      readonly kind: "approval";
      readonly why: "program" | "gate" | "failure";
      readonly role: RoleName;
      readonly approval: ApprovalId | null;
      readonly expiresAtMs: number;
      readonly reason: string;
    }
  | { readonly kind: "emitting" }
  /** The guard has it wait; then all checks run again. */
  | {
      readonly kind: "postponed";
      readonly why: "window" | "rate";
      readonly untilMs: number;
      readonly reason: string;
    }
  | { readonly kind: "countdown"; readonly countdown: CountdownState }
  /** The effect was performed; whether the world agrees is being read. */
  | {
      readonly kind: "read-back";
      readonly untilMs: number;
      readonly output: SlotState;
      readonly polls: number;
      readonly last: Value;
      /** Why its outcome is not known: what is not observed is then held, not failed. */
      readonly unknown?: string;
    }
  | EventPhase
  /** The run that it started has not ended. `isLate`: the step's time has passed, and that run is cancelled. */
  | { readonly kind: "child"; readonly run: RunId; readonly isLate: boolean }
  /** Blocks of it are active. */
  | { readonly kind: "blocks"; readonly of: "op" | "degrade" }
  /** It stands at a breakpoint until a person releases it. */
  | { readonly kind: "intercepted"; readonly breakpoint: string; readonly effect: EffectPreview }
  | { readonly kind: "held"; readonly reason: string }
  | { readonly kind: "settled" };

export interface CountdownState {
  readonly countdown: string;
  readonly effect: EffectPreview;
  readonly role: RoleName;
  readonly announcedAtMs: number;
  readonly endsAtMs: number;
  readonly requiresAcknowledgment: boolean;
  readonly onMissed: "abort" | "execute" | "escalate";
  readonly escalated: boolean;
  readonly acknowledgedBy: Actor | null;
}

/** What the guard remembers of one attempt. */
export interface GuardState {
  readonly attempt: number;
  /** When waiting for a window or a rate ends in refusal; null before the first wait. */
  readonly queueEndsAtMs: number | null;
  readonly announcements: number;
  /** The countdown that passed, and the effect it was for. */
  readonly passed: { readonly hash: Sha256 | null; readonly endsAtMs: number } | null;
}

/** It waits for an event (`begun` once that is recorded), or for a condition to hold. */
export interface EventPhase {
  readonly kind: "event";
  readonly untilMs: number;
  readonly begun: boolean;
  /** Where the condition holds now, by key, since when and with which event. */
  readonly holding: readonly {
    readonly key: string;
    readonly sinceMs: number;
    readonly event: Event;
    readonly labels: readonly Label[];
  }[];
}

export interface EffectState {
  readonly capability: CapabilityId;
  readonly params: ValueMap;
  readonly targets: readonly Target[];
  readonly before: ValueMap;
  readonly key: string;
  readonly effect: "read" | "write" | "irreversible";
  /** What it last said while it ran; absent when it said nothing. */
  readonly progress?: Value;
}

export interface StepState {
  readonly status: StepStatus;
  readonly phase: Phase;
  /** 1 for the first. */
  readonly attempt: number;
  /** Attempts of one group share their idempotency key; a person's order to try again after a failure begins a new group. */
  readonly group: number;
  /** Attempts made in this group. */
  readonly tries: number;
  /** It was aborted while its effect was under way: its outcome is recorded, nothing follows from it. */
  readonly aborting: boolean;
  /** When the whole step must have ended, for steps with blocks and a timeout. */
  readonly deadline: { readonly atMs: number; readonly set: boolean } | null;
  /** The last failure, also when a policy made up for it. */
  readonly fault: FaultRecord | null;
  /** `skipped`: it failed and policy `skip` let its dependents be skipped; `safe_value`: its output is the declared value. */
  readonly outcome: "skipped" | "continued" | "safe_value" | "degraded" | null;
  readonly effect: EffectState | null;
  /** Why it may have been done all the same: an earlier attempt with the same key ended, and nobody knows how. */
  readonly unsure?: string | undefined;
  /** How to take it back, with the ledger place of its completion; null when there is nothing to take back. */
  readonly undo: UndoState | null;
  readonly guard?: GuardState;
  /** Labels of what decided whether and with what this step ran. */
  readonly control: readonly Label[];
  /** Of a step that is a loop and has begun. */
  readonly loop?: LoopState;
  /** Of a step inside a loop: what it was in earlier iterations, where something of it may still stand, oldest first. */
  readonly past?: readonly PastStep[];
}

/** One iteration's share of a step's state, kept when the next iteration begins. */
export type PastStep = Pick<
  StepState,
  "status" | "attempt" | "group" | "fault" | "outcome" | "effect" | "undo"
>;

export interface LoopState {
  /** Number of the iteration from 0; -1 before the first. */
  readonly iteration: number;
  /** What it runs over, as it was when the loop began; null without a list. */
  readonly items: readonly Value[] | null;
  readonly labels: readonly Label[];
  /** It waits for a timer before the next iteration, so that others have their turn. */
  readonly pause: { readonly atMs: number; readonly set: boolean } | null;
}

/** A step before anything happened to it. */
export const freshStep: StepState = {
  status: "PENDING",
  phase: { kind: "blocked" },
  attempt: 1,
  group: 1,
  tries: 1,
  aborting: false,
  deadline: null,
  fault: null,
  outcome: null,
  effect: null,
  undo: null,
  control: [],
};

export interface UndoState {
  readonly call: UndoCall | null;
  readonly completedSeq: number;
  readonly phase: "open" | "asked" | "intended" | "held" | "done" | "left";
  readonly effect: EffectState | null;
  readonly fault: FaultRecord | null;
  /** Runs that the step started, oldest first: they are what is taken back. */
  readonly children?: readonly RunId[];
}

export interface ApprovalState {
  readonly approval: ApprovalId;
  readonly step: StepId;
  readonly why: "program" | "gate" | "failure";
  readonly role: RoleName;
  readonly message: string;
  readonly effects: readonly EffectPreview[];
  readonly requestedAtMs: number;
  readonly expiresAtMs: number;
  readonly onExpiry: "reject" | "skip";
  readonly state: "waiting" | "approved" | "rejected" | "expired";
  readonly by: Actor | null;
  readonly notBy?: PersonId;
}

export interface SlotState {
  readonly value: Value;
  readonly labels: readonly Label[];
}

export interface BlockState {
  readonly status: "idle" | "active" | "completed" | "failed" | "aborted";
  readonly control: readonly Label[];
  readonly fault: FaultRecord | null;
}

/** Decided but not yet recorded: the run ends so as soon as nothing is under way. */
export interface Ending {
  readonly status: RunEnd;
  readonly result: Value;
  readonly hasResult: boolean;
  readonly fault: FaultRecord | null;
  /** Take back what was done first; the status is `rolled_back` when everything was. */
  readonly undo: boolean;
  /** The command to record the end was given. */
  readonly asked: boolean;
  /** Of what the result was computed from; absent for none. */
  readonly labels?: readonly Label[];
}

export interface RunState {
  readonly run: RunId;
  readonly prepared: PreparedProgram;
  readonly program: ProgramHash;
  readonly event: Event | null;
  readonly workspace: string;
  readonly principal: Actor;
  readonly priority: Priority;
  readonly startedAtMs: number;
  /** How often it, and the runs it started again, have given way to others; absent for never. */
  readonly preemptions?: number | undefined;
  /** Something was done, asked or awaited since it was started: it had its turn. */
  readonly begun?: boolean | undefined;
  /** Something of it was done by a simulation, or began from what one gave. */
  readonly simulated?: true | undefined;
  /** The step that started it and waits for it; absent for a run that stands for itself. */
  readonly parent?: EntryFacts["run.started"]["parent"];
  /** Ledger place of the last entry folded in; -1 before the first. */
  readonly seq: number;
  readonly atMs: number;
  readonly steps: ReadonlyMap<StepId, StepState>;
  readonly blocks: readonly BlockState[];
  readonly slots: ReadonlyMap<string, SlotState>;
  readonly approvals: ReadonlyMap<ApprovalId, ApprovalState>;
  readonly ending: Ending | null;
  /** What people ordered while it ran. */
  readonly control: ControlState;
  /** Ended, as recorded; an ended run may be undone, which ends it once more. */
  readonly ended: {
    readonly status: RunEnd;
    readonly result: Value;
    readonly fault: FaultRecord | null;
    readonly atMs: number;
    readonly labels?: readonly Label[];
  } | null;
}

export type RunStatus = "running" | "paused" | "waiting" | "held" | "cancelling" | "undoing" | RunEnd;

/** One word for people. */
export function runStatus(state: RunState): RunStatus {
  const steps = [...state.steps.values()];
  if (state.ending === null && state.ended !== null) return state.ended.status;
  if (state.control.paused !== null) return "paused";
  if (steps.some((step) => step.phase.kind === "held" || step.undo?.phase === "held")) return "held";
  if (state.ending !== null) {
    if (state.ending.undo) return "undoing";
    return state.ending.status === "cancelled" ? "cancelling" : "running";
  }
  const active = steps.filter((step) => step.phase.kind !== "settled" && step.phase.kind !== "blocked");
  const busy = active.some(({ phase }) =>
    ["attempting", "intended", "emitting", "read-back"].includes(phase.kind),
  );
  return busy || active.length === 0 ? "running" : "waiting";
}

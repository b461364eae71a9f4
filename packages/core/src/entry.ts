// Entries: the records of the ledger, format 1. The machine is driven by them and the audit reads them: the same bytes.
//   E1  `seq`, `previousHash` and `runPrevious` are given by the writer at commit; nobody else sets them.
//   E2  Facts are values only: no undefined, no secrets (secrets stay references), nothing larger than `inlineBytesMax` (blobs instead).
//   E3  The kind decides the shape of the facts; an unknown kind is refused by the machine, never skipped.
import type { Event, Priority } from "./event.ts";
import type { FaultRecord } from "./fault.ts";
import type {
  ApprovalId,
  CapabilityId,
  KeyId,
  NodeId,
  PersonId,
  ProgramHash,
  RoleName,
  RunId,
  Sha256,
  StepId,
} from "./ids.ts";
import type { Label } from "./label.ts";
import type { Target, UndoCall } from "./capability.ts";
import type { Value, ValueMap } from "./value.ts";

export type Actor =
  | { readonly kind: "person"; readonly id: PersonId; readonly key: KeyId }
  | { readonly kind: "node" }
  | { readonly kind: "program"; readonly program: ProgramHash };

/** A value, inline or in the blob store. */
export type Stored =
  | { readonly kind: "inline"; readonly value: Value }
  | { readonly kind: "blob"; readonly sha256: Sha256; readonly sizeBytes: number };

export type GateVerdict =
  | { readonly kind: "allow"; readonly policy: Sha256; readonly approval: ApprovalId | null }
  | { readonly kind: "deny"; readonly fault: FaultRecord }
  | {
      readonly kind: "needs";
      readonly need: "approval";
      readonly role: RoleName;
      readonly reason: string;
      readonly notBy?: PersonId;
    };

/** What exactly an approver is shown and what the approval binds to. */
export interface EffectPreview {
  readonly step: StepId;
  readonly capability: CapabilityId;
  /** Resolved parameters; an operand that depends on a later step is shown as its expression under `later`. */
  readonly params: ValueMap;
  readonly later: Readonly<Record<string, string>>;
  readonly targets: readonly Target[];
  /** What its guard has it wait for and how it is seen to have happened, one line each; absent without a guard. */
  readonly guard?: readonly string[];
  /** SHA-256 of deterministic CBOR of {capability, params, targets}, or null while `later` is not empty. */
  readonly hash: Sha256 | null;
}

/** What an emergency stop is about. A target is a device, host, file or folder by its name; a folder stands for all below it. */
export type EmergencyScope =
  | { readonly kind: "target"; readonly name: string }
  | { readonly kind: "workspace"; readonly name: string }
  | { readonly kind: "everything" };

export interface Breakpoint {
  readonly breakpoint: string;
  readonly step: StepId | null;
  /** `module.action`, with or without its version; `*` stands for any characters. */
  readonly capability: string | null;
}

export interface NodeEntries {
  /** First entry of a ledger: commits to the node's identity (public keys, hex) and the format. */
  "ledger.created": {
    readonly format: 1;
    readonly node: NodeId;
    readonly ed25519: string;
    readonly mlDsa65: string;
  };
  /** Whole segments were copied to a folder, where they can be verified with the ledger. Hashes are those of the files. */
  "ledger.archived": {
    readonly folder: string;
    readonly segments: readonly {
      readonly number: number;
      readonly sha256: Sha256;
      readonly sizeBytes: number;
    }[];
  };
  /**
   * Entries of the range are taken out of their segments. What stays in their place proves that the tree is the same: `roots` are those
   * of the largest complete subtrees of a segment's entries, `digest` is the SHA-256 of its pruned batches. Durable before any is gone.
   */
  "ledger.pruned": {
    readonly firstSeq: number;
    readonly lastSeq: number;
    /** Hash of the entry before the first; 32 zero bytes for the first of the ledger. */
    readonly previousHash: Sha256;
    readonly lastHash: Sha256;
    /** Entries taken out. */
    readonly entries: number;
    readonly segments: readonly {
      readonly number: number;
      readonly firstSeq: number;
      readonly roots: readonly Sha256[];
      readonly digest: Sha256;
    }[];
  };
  "node.started": { readonly version: string };
  "node.stopped": { readonly reason: string };
  "person.added": {
    readonly person: PersonId;
    readonly name: string;
    readonly roles: readonly RoleName[];
    readonly key: KeyId;
    readonly tokenHash: Sha256;
  };
  "person.token-replaced": {
    readonly person: PersonId;
    readonly key: KeyId;
    readonly tokenHash: Sha256;
    readonly on: "machine" | "api";
  };
  "person.roles-set": { readonly person: PersonId; readonly roles: readonly RoleName[] };
  "person.removed": { readonly person: PersonId };
  "workspace.added": { readonly name: string; readonly root: string; readonly file: Stored };
  "workspace.removed": { readonly name: string };
  "policy.set": { readonly hash: Sha256; readonly text: Stored };
  "key.added": {
    readonly key: KeyId;
    readonly algorithm: "ed25519" | "ml-dsa-65";
    readonly publicKey: string;
    readonly purpose: "programs" | "checkpoints";
  };
  "key.revoked": { readonly key: KeyId; readonly reason: string };
  "capability.revoked": { readonly capability: string; readonly reason: string };
  "capability.restored": { readonly capability: string };
  "program.compiled": {
    readonly program: ProgramHash;
    readonly bytes: Stored;
    readonly source: Stored;
    readonly certificate: Stored;
    readonly verdict: "proved" | "refused";
    readonly name: string;
    readonly workspace: string;
  };
  "program.approved": {
    readonly program: ProgramHash;
    readonly certificate: Sha256;
    readonly envelope: Stored;
    readonly comment: string;
  };
  /** `replaces`: the version that was undeployed in the same commit. */
  "program.deployed": { readonly program: ProgramHash; readonly replaces?: ProgramHash };
  "program.undeployed": { readonly program: ProgramHash; readonly reason: string };
  "program.paused": { readonly program: ProgramHash };
  "program.resumed": { readonly program: ProgramHash };
  /** A source saw something. One entry per event, before any run starts; `cursor` lets the source go on after a restart. */
  "event.received": {
    readonly event: Event;
    readonly workspace: string;
    readonly labels: readonly Label[];
    readonly sourceKey: string;
    readonly cursor: ValueMap;
  };
  /** A person stopped everything in the scope. Nothing in it begins until an owner clears the stop. */
  "emergency.stopped": {
    readonly stop: string;
    readonly scope: EmergencyScope;
    readonly reason: string;
  };
  "emergency.cleared": { readonly stop: string; readonly reason: string };
  /** Times or sightings passed while nobody listened; recorded before those that are made up for. `cursor`: where the source goes on. */
  "source.missed": {
    readonly source: CapabilityId;
    readonly workspace: string;
    /** Session of the source, as `event.received` names it in its key. */
    readonly session: string;
    readonly policy: "skip" | "once" | "all";
    readonly count: number;
    /** How many of them are reported after all. */
    readonly reported: number;
    readonly fromMs: number;
    readonly toMs: number;
    readonly cursor: ValueMap;
  };
  /** Somebody outside may deliver to the webhook with the secret of this hash; the secret itself stands in no entry. */
  "webhook.secret-set": {
    readonly workspace: string;
    readonly name: string;
    /** First digits of the hash, by which people tell secrets apart. */
    readonly secretId: string;
    readonly secretHash: Sha256;
    /** The secret before it, while it still signs. */
    readonly previous: { readonly secretHash: Sha256; readonly untilMs: number } | null;
  };
  /** A person had a remembered value forgotten. */
  "memory.forgotten": {
    readonly scope: "program" | "workspace";
    readonly owner: string;
    readonly key: string;
    readonly reason: string;
  };
  "webhook.removed": { readonly workspace: string; readonly name: string };
  "notification.sent": { readonly channel: string; readonly to: string; readonly text: string };
}

export interface RunEntries {
  "run.started": {
    readonly program: ProgramHash;
    readonly event: Event;
    readonly labels: readonly Label[];
    readonly priority: Priority;
    readonly principal: Actor;
    readonly workspace: string;
    readonly breakpoints?: readonly Breakpoint[];
    /** It begins where another run stood after entry `seq`; `state` is what it takes over from there. */
    readonly forkedFrom?: { readonly run: RunId; readonly seq: number; readonly state: Stored };
    /** It starts again what this run began and took back when it gave way; `times` counts how often that has happened. */
    readonly again?: { readonly run: RunId; readonly times: number };
    /** A step of this run started it and waits for its end; `depth` counts the runs above it. */
    readonly parent?: {
      readonly run: RunId;
      readonly step: StepId;
      readonly attempt: number;
      readonly depth: number;
    };
  };
  /** The effect's intent; durable before the effect begins. */
  "effect.intended": {
    readonly step: StepId;
    readonly attempt: number;
    readonly capability: CapabilityId;
    readonly params: ValueMap | { readonly $blob: Sha256 };
    readonly verdict: GateVerdict;
    readonly targets: readonly Target[];
    readonly before: ValueMap;
    readonly key: string;
    readonly effect: "read" | "write" | "irreversible";
    /** What performs it is a simulation. */
    readonly simulated?: true;
  };
  "effect.completed": {
    readonly step: StepId;
    readonly attempt: number;
    readonly result: Stored;
    readonly labels: readonly Label[];
    readonly undo: UndoCall | null;
    readonly evidence: "observed" | "commanded";
    readonly resolved: boolean;
    /** Blobs that were streamed while it ran; its result names their hashes. */
    readonly attachments?: readonly Stored[];
  };
  /** What a long effect says while it runs; the last one counts. */
  "effect.progress": { readonly step: StepId; readonly attempt: number; readonly value: Value };
  "effect.failed": {
    readonly step: StepId;
    readonly attempt: number;
    readonly fault: FaultRecord;
    /** The fault is transient and the capability's contract allows another attempt. Absent: never tried again. */
    readonly retryable?: boolean;
  };
  /** The gate said no, or the parameters could not be computed: nothing was attempted. */
  "effect.refused": { readonly step: StepId; readonly attempt: number; readonly fault: FaultRecord };
  /** After a crash, the world cannot be asked: a person decides. */
  "effect.held": {
    readonly step: StepId;
    readonly attempt: number;
    readonly reason: string;
    /** The outcome is not known, and the step's read-back is asked before a person is. */
    readonly readBack?: true;
  };
  /** A person's recorded decision on a held effect. */
  "effect.settled": {
    readonly step: StepId;
    readonly attempt: number;
    readonly decision: "done" | "failed" | "again" | "skip";
    readonly by: Actor;
    readonly result: Value;
    /** `done` of a step with a read-back: it is done when that shows it. */
    readonly readBack?: true;
    /** `done` of what moves something and is not read back: a person's word, and nobody looked. */
    readonly evidence?: "commanded";
  };
  "approval.requested": {
    readonly approval: ApprovalId;
    readonly step: StepId;
    readonly role: RoleName;
    readonly message: string;
    readonly effects: readonly EffectPreview[];
    readonly expiresAtMs: number;
    readonly reason: "program" | "gate";
    /** Who may not approve: the person who changed what is asked about. */
    readonly notBy?: PersonId;
    readonly onExpiry: "reject" | "skip";
  };
  "approval.decided": {
    readonly approval: ApprovalId;
    readonly step: StepId;
    readonly decision: "approve" | "reject";
    readonly by: Actor;
    readonly comment: string;
  };
  "approval.expired": { readonly approval: ApprovalId; readonly step: StepId };
  "timer.set": {
    readonly step: StepId;
    readonly attempt: number;
    readonly atMs: number;
    /** `loop`: a loop gives others their turn before its next iteration. */
    readonly why: "wait" | "retry" | "timeout" | "loop";
  };
  "timer.fired": {
    readonly step: StepId;
    readonly attempt: number;
    /** `hold`: a condition has held long enough. */
    readonly why: "wait" | "retry" | "timeout" | "loop" | "hold";
  };
  /** It will be done at `endsAtMs` unless somebody cancels it; what exactly, and who may. */
  "guard.announced": {
    readonly step: StepId;
    readonly attempt: number;
    readonly countdown: string;
    readonly effect: EffectPreview;
    readonly role: RoleName;
    readonly endsAtMs: number;
    readonly requiresAcknowledgment: boolean;
    readonly onMissed: "abort" | "execute" | "escalate";
    /** Nobody acknowledged the one before: the owners are asked. */
    readonly escalated: boolean;
  };
  /** It may not move yet: outside its window, or too soon after the last effect on the same target. All checks run again at `untilMs`. */
  "guard.postponed": {
    readonly step: StepId;
    readonly attempt: number;
    readonly untilMs: number;
    /** Beyond this it is refused instead of waiting longer. */
    readonly queueEndsAtMs: number;
    readonly why: "window" | "rate";
    readonly reason: string;
  };
  /** A wait of the guard is over. `countdown` null: the end of a postponement. */
  "guard.passed": {
    readonly step: StepId;
    readonly attempt: number;
    readonly countdown: string | null;
    readonly why: "reached" | "elapsed" | "acknowledged" | "missed";
  };
  /** What was read back: the first reading, those that differ from the one before, and the last. */
  "guard.read-back": {
    readonly step: StepId;
    readonly attempt: number;
    /** How many readings there have been, this one included. */
    readonly poll: number;
    /** What the capability returned; null where it could not be read (`fault`). */
    readonly reading: Value;
    readonly fault: FaultRecord | null;
    readonly outcome: "open" | "observed" | "failed";
  };
  /**
   * A decision on a step that has not begun: a person cancelled or acknowledged its countdown, nobody did in time, its window says skip,
   * or an emergency stop took it away (`countdown` null where none was running).
   */
  "guard.decided": {
    readonly step: StepId;
    readonly attempt: number;
    readonly countdown: string | null;
    readonly decision: "cancel" | "acknowledge" | "missed" | "skip" | "stop";
    readonly by: Actor;
    readonly reason: string;
  };
  /** In one commit with the `run.started` of that run. */
  "child.started": { readonly step: StepId; readonly attempt: number; readonly run: RunId };
  /** The end of that run, in one commit with it; `labels`: of its result, and of what decided in it. */
  "child.ended": {
    readonly step: StepId;
    readonly attempt: number;
    readonly run: RunId;
    readonly status: RunEnd;
    readonly result: Stored | null;
    readonly fault: FaultRecord | null;
    readonly labels: readonly Label[];
  };
  "event.emitted": {
    readonly step: StepId;
    readonly event: Event;
    /** Of what its data was computed from and of what decided that it was emitted; absent: none. */
    readonly labels?: readonly Label[];
  };
  /** A wait on events begins: those that come later count, until this time. */
  "wait.begun": { readonly step: StepId; readonly attempt: number; readonly untilMs: number };
  /** In one commit with the event. `holds` false: a condition that held does not any more. `key`: what holds on its own. */
  "wait.matched": {
    readonly step: StepId;
    readonly attempt: number;
    readonly event: Event;
    readonly labels: readonly Label[];
    readonly holds: boolean;
    readonly key: string;
  };
  /** Came due while the node was down: a time, a window's end, or a hold time that begins again. */
  "wait.missed": {
    readonly step: StepId;
    readonly attempt: number;
    readonly what: "time" | "window" | "hold";
  };
  "run.cancel-requested": { readonly by: Actor; readonly undo: boolean; readonly reason: string };
  /** Nothing new begins until `run.resumed`; what is under way is let finish. */
  "run.paused": { readonly by: Actor; readonly reason: string };
  "run.resumed": { readonly by: Actor; readonly reason: string };
  "run.priority-set": { readonly priority: Priority; readonly by: Actor };
  /** It goes on as a run of another version, by somebody's choice. */
  "run.migrated": { readonly source: ProgramHash; readonly target: ProgramHash; readonly by: Actor };
  /** A person's order to try a failed step again, with what was skipped or aborted because of it; a failed run goes on by it. */
  "step.retry-ordered": { readonly step: StepId; readonly by: Actor; readonly reason: string };
  /** A person's order to go on without a step. */
  /** Stops before a step, or before every step of a capability, until somebody releases it. Exactly one of both is not null. */
  "breakpoint.set": {
    readonly breakpoint: string;
    readonly step: StepId | null;
    readonly capability: string | null;
    readonly by: Actor;
  };
  "breakpoint.cleared": { readonly breakpoint: string; readonly by: Actor };
  /** What would be done now, at a breakpoint; nothing was attempted. */
  "step.intercepted": {
    readonly step: StepId;
    readonly attempt: number;
    readonly breakpoint: string;
    readonly effect: EffectPreview;
  };
  /** A person lets it go on; `params` are those that replace what the author wrote, null for none. */
  "step.released": {
    readonly step: StepId;
    readonly attempt: number;
    readonly by: Actor;
    readonly params: ValueMap | null;
    readonly comment: string;
  };
  "step.skip-ordered": { readonly step: StepId; readonly by: Actor; readonly reason: string };
  /** It gives way to the run `by`: nothing more begins, and what it did is taken back. `names`: the resources or locks it is about. */
  /** The state of the run after entry `after`, as the machine had it under `program`; folding may begin there. */
  "run.snapshot": { readonly after: number; readonly program: ProgramHash; readonly state: Stored };
  "run.preempted": {
    readonly by: RunId;
    readonly on: "turn" | "resource" | "lock";
    readonly names: readonly string[];
    /** It starts again from its beginning, as a new run, once everything was taken back. */
    readonly again: boolean;
    /** How often this run and those it started again have given way, this time included. */
    readonly times: number;
  };
  "undo.requested": { readonly by: Actor; readonly reason: string };
  "undo.intended": {
    readonly step: StepId;
    /** Of a step inside a loop: which of its attempts is taken back. */
    readonly attempt?: number;
    readonly capability: CapabilityId;
    readonly params: ValueMap | { readonly $blob: Sha256 };
    readonly verdict: GateVerdict;
    readonly targets: readonly Target[];
    readonly before: ValueMap;
    readonly key: string;
  };
  /** `stays`: of a step that ran another program, what of that run could not be taken back, in the words of its end. */
  "undo.completed": { readonly step: StepId; readonly stays?: FaultRecord };
  /** The world moved on since, or the undo failed: a person decides. */
  "undo.held": { readonly step: StepId; readonly fault: FaultRecord };
  "undo.settled": {
    readonly step: StepId;
    readonly decision: "done" | "again" | "leave";
    readonly by: Actor;
  };
  "run.ended": {
    readonly status: RunEnd;
    readonly result: Stored | null;
    readonly fault: FaultRecord | null;
    /** Something of it was simulated, so its result is. */
    readonly simulated?: true;
  };
}

/** How a run ended. `rolled_back`: every effect it had was taken back. `held` runs have not ended. */
export type RunEnd = "finished" | "failed" | "cancelled" | "rolled_back";

export type NodeEntryKind = keyof NodeEntries;
export type RunEntryKind = keyof RunEntries;
export type EntryKind = NodeEntryKind | RunEntryKind;
export type EntryFacts = NodeEntries & RunEntries;

/** What a caller hands to the ledger. */
export type EntryDraft<Kind extends EntryKind = EntryKind> = {
  readonly [K in Kind]: {
    readonly kind: K;
    readonly run: K extends RunEntryKind ? RunId : null;
    readonly cause: string | null;
    readonly actor: Actor;
    readonly atMs: number;
    readonly facts: EntryFacts[K];
  };
}[Kind];

/** An entry as it stands in the ledger. */
export type Entry<Kind extends EntryKind = EntryKind> = EntryDraft<Kind> & {
  readonly v: 1;
  readonly node: NodeId;
  readonly epoch: number;
  readonly seq: number;
  /** SHA-256 of the stored bytes of entry `seq - 1`; 32 zero bytes (hex) for the first. */
  readonly previousHash: Sha256;
  /** SHA-256 of the stored bytes of the run's previous entry, or null for its first. */
  readonly runPrevious: Sha256 | null;
  /** SHA-256 of this entry's stored bytes; not part of them. */
  readonly hash: Sha256;
};

export type RunEntry = Entry<RunEntryKind>;
export type NodeEntry = Entry<NodeEntryKind>;

export function isRunEntry(entry: Entry): entry is RunEntry {
  return entry.run !== null;
}

// Ports: what packages need of each other and of the world, declared by need of the caller, implemented by siblings and wired by the server.
import type { ApprovalId, CapabilityId, KeyId, ProgramHash, RunId, Sha256 } from "./ids.ts";
import type {
  AbortSignalLike,
  BlobAccess,
  Capability,
  ModuleLimits,
  Risk,
  SourceDefinition,
  Target,
  WorkspaceContext,
} from "./capability.ts";
import type { Actor, Entry, EntryDraft, EntryFacts, RunEntry } from "./entry.ts";
import type { Event } from "./event.ts";
import type { Label } from "./label.ts";
import type { Schema } from "./schema.ts";
import type { Value, ValueMap } from "./value.ts";

/** Time and randomness. Wall time is for people; order comes from sequence numbers. */
export interface World {
  /** Milliseconds since 1970, wall clock; may jump. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. For timeouts and measurements. */
  monotonicMs(): number;
  /** Uniform integer in [0, below). Not for keys. */
  randomBelow(below: number): number;
  /** Resolves after the time, or rejects when the signal aborts. */
  sleep(ms: number, signal?: AbortSignalLike): Promise<void>;
}

/** Cryptographic randomness: keys, tokens, nonces, ids. */
export interface Entropy {
  bytes(count: number): Uint8Array;
}

export interface Hasher {
  /** 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
}

/** Signs with both algorithms at once; there is no way to ask for one. */
export interface Signer {
  readonly ed25519KeyId: KeyId;
  readonly mlDsa65KeyId: KeyId;
  sign(bytes: Uint8Array): readonly KeySignature[];
  /** The same beside the thread that asks: two milliseconds in which it can do other things. Absent: `sign`. */
  signLater?(bytes: Uint8Array): Promise<readonly KeySignature[]>;
}

export interface KeySignature {
  readonly keyId: KeyId;
  readonly algorithm: "ed25519" | "ml-dsa-65";
  readonly signature: Uint8Array;
}

export interface KeyRecord {
  readonly id: KeyId;
  readonly algorithm: "ed25519" | "ml-dsa-65";
  readonly publicKey: Uint8Array;
  readonly revoked: boolean;
}

/** The pinned keys. A key inside an artifact is never trusted. */
export interface KeyRing {
  find(id: string): KeyRecord | undefined;
  /** True when the signature by this key covers the bytes. Does not look at revocation. */
  verify(key: KeyRecord, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** The one truth. `append` gives the entry its place at once; it may be acted on only when `durable` has resolved. */
export interface Ledger {
  readonly node: string;
  /**
   * Gives the draft its sequence number, links and hash and queues it for the next group commit. Synchronous, so that callers
   * fold state in ledger order. @throws ledger.stopped once a write or sync has failed
   */
  append(draft: EntryDraft): Entry;
  /** Appends several that become durable together or not at all (they are one commit, also across a crash). */
  appendAll(drafts: readonly EntryDraft[]): readonly Entry[];
  /** Resolves when entry `seq` and all before it are durable. Rejects with ledger.stopped when that will never be. */
  durable(seq: number): Promise<void>;
  /** Last appended (not necessarily durable) place; seq -1 when empty. */
  head(): { readonly seq: number; readonly hash: Sha256 };
  /** Last durable sequence number. */
  durableSeq(): number;
  read(seq: number): Promise<Entry>;
  /** Entries with `from <= seq < to`, durable ones only, in order. */
  scan(from: number, to?: number): AsyncIterable<Entry>;
  /** All entries of a run, in order (through the projections' index). */
  readRun(
    run: RunId,
    /** With `fromSnapshot`, those that follow the entry of its last snapshot may be all that come. */
    options?: { readonly fromSnapshot?: boolean },
  ): Promise<readonly RunEntry[]>;
  /** Called with every batch after it became durable, in order. Returns a function that ends it. */
  subscribe(listener: (entries: readonly Entry[]) => void): () => void;
}

/** A run that only waits. */
export interface ParkedRun {
  readonly run: RunId;
  readonly program: ProgramHash;
  /** Place of its last entry: what is kept is good only while no other follows. */
  readonly seq: number;
  /** When it must go on by itself (a timer, an expiry, its time limit), or null when somebody else has to act. */
  readonly wakeAtMs: number | null;
}

/**
 * Which runs only wait, kept beside the ledger while they are not in memory. A hint and never the truth: a run that it has forgotten is
 * folded from the ledger when the node starts.
 */
export interface ParkedRuns {
  /** How many there are, by program. */
  counts(): ReadonlyMap<ProgramHash, number>;
  has(run: RunId): boolean;
  park(runs: readonly ParkedRun[]): void;
  /** Takes the run out; false when it was not there. */
  unpark(run: RunId): boolean;
  /** The earliest time at which one of them must go on, or null. */
  nextWakeMs(): number | null;
  /** Those that must go on by `untilMs`, earliest first. */
  due(untilMs: number, limit: number): readonly RunId[];
  /** Approvals that they wait for, oldest first. */
  approvals(): readonly {
    readonly run: RunId;
    readonly program: ProgramHash;
    readonly workspace: string;
    readonly requestedAtMs: number;
    readonly facts: EntryFacts["approval.requested"];
  }[];
  runOfApproval(approval: ApprovalId): RunId | undefined;
}

export interface Blobs extends BlobAccess {
  has(hash: Sha256): Promise<boolean>;
}

/** A file as the ledger sees it, so that torn, lost, rotten and slow writes can be simulated. */
export interface DiskFile {
  readonly name: string;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** `read` without leaving the thread, for a few bytes that are read so often that the system has them in memory. */
  readNow?(offset: number, length: number): Uint8Array;
  /** Writes all bytes at the offset, or rejects; nothing is promised about what is on disk before `sync` resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * `write` and `sync` of these bytes in one call, where the platform has one: durable when it resolves, and as final as a failed
   * `sync` when it rejects. Absent: `write`, then `sync`.
   */
  writeDurably?(offset: number, bytes: Uint8Array): Promise<void>;
  /** `fdatasync`: rejects at most once, after which the file must not be used any more. */
  sync(): Promise<void>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Opens for reading and writing; creates when asked. @throws when it does not exist and `create` is false */
  open(name: string, create: boolean): Promise<DiskFile>;
  /** Names below the folder, sorted. Empty when the folder does not exist. */
  list(folder: string): Promise<readonly string[]>;
  /** Atomic replacement, durable when it resolves (the folder is synced as well). */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes names created in the folder durable. */
  syncFolder(folder: string): Promise<void>;
}

export interface PolicyRequest {
  readonly principal: {
    readonly kind: "person" | "program" | "agent";
    readonly id: string;
    readonly roles: readonly string[];
  };
  /** The permission profile the workspace names. */
  readonly profile: string;
  readonly capability: CapabilityId;
  readonly permission: string;
  readonly effect: "read" | "write" | "irreversible";
  readonly risk: Risk;
  readonly workspace: string;
  readonly targets: readonly Target[];
  readonly labels: readonly Label[];
  /**
   * Highest risk that the program's allow-list gives a host among the targets; null when no target is a host. A policy takes a
   * host whose risk it was not told for a risky one.
   */
  readonly hostRisk?: Risk | null;
  /** Highest risk that the workspace gives the devices that would move; absent when none would, critical for one it does not list. */
  readonly deviceRisk?: Risk;
}

export type PolicyVerdict =
  | { readonly kind: "permit" }
  /** Permitted only with the approval of somebody in this role. */
  | { readonly kind: "permit-with-approval"; readonly role: string; readonly reason: string }
  | { readonly kind: "forbid"; readonly reason: string; readonly policies: readonly string[] };

/** Deny first; no policy, no effect. Pure: the same request under the same policy hash gives the same verdict. */
export interface Policy {
  readonly hash: Sha256;
  decide(request: PolicyRequest): PolicyVerdict;
}

/** The capabilities this node can perform. */
export interface Modules {
  find(id: CapabilityId): Capability | undefined;
  all(): readonly Capability[];
  sources(): readonly EventSource[];
  /** What a module (the part of an id before the first dot) says of how much it does at once. */
  limits?(module: string): ModuleLimits | undefined;
}

/** Something a source saw, before it is an event of the ledger. */
export interface Sighting {
  readonly event: Event;
  /** Where the source goes on after a restart; stored with the event's entry. */
  readonly cursor: ValueMap;
  /** Distinguishes one sighting from every other of this source for ever: the same key is never recorded twice. */
  readonly key: string;
}

/** What passed while a source had nobody to listen. */
export interface MissedSightings {
  readonly policy: "skip" | "once" | "all";
  readonly count: number;
  /** How many of them it reports after all. */
  readonly reported: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Where it goes on after a restart that comes before it reports anything. */
  readonly cursor: ValueMap;
}

export interface SourceSession {
  stop(): Promise<void>;
}

export interface EventSource {
  readonly definition: SourceDefinition;
  /**
   * Begins to listen. `seen(key)` says whether a sighting with that key was already recorded; `report` resolves when the event's
   * entry is durable, and a source reports in order, one at a time.
   */
  start(options: {
    readonly config: ValueMap;
    readonly workspace: WorkspaceContext;
    readonly cursor: ValueMap | null;
    readonly world: World;
    seen(key: string): boolean;
    report(sighting: Sighting): Promise<void>;
    /** Records that something was missed; resolves when that is durable. */
    missed?(what: MissedSightings): Promise<void>;
    /** Since when somebody has wanted to listen; a source without a cursor begins there. */
    readonly sinceMs?: number;
    problem(error: unknown): void;
  }): Promise<SourceSession>;
}

/** What somebody outside delivered, after the server found it authentic. */
export interface Delivery {
  /** The sender's own id of it: the same for every attempt. 1 to 128 visible ASCII characters. */
  readonly id: string;
  readonly contentType: string;
  /** Headers of CloudEvents (`ce-…`), lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** How the node's HTTP server hands deliveries to the source that listens for them. */
export interface Deliveries {
  /** `take` resolves when the delivery's event is durable, or was before (`known`). Returns what ends the listening. */
  listen(
    address: { readonly workspace: string; readonly name: string },
    take: (delivery: Delivery) => Promise<"recorded" | "known">,
  ): () => void;
}

/** A question to a solver, SMT-LIB text. One query at a time per backend. */
export interface Solver {
  /** Name and full version, known after the first query. */
  version(): Promise<string>;
  check(script: string, timeoutMs: number): Promise<SolverAnswer>;
  close(): Promise<void>;
}

export type SolverAnswer =
  | { readonly result: "sat"; readonly model: Readonly<Record<string, string>> }
  | { readonly result: "unsat"; readonly core: readonly string[] }
  | { readonly result: "unknown"; readonly reason: string };

/** Models that answer questions. What comes back is data from outside, whatever it says of itself. */
export interface Models {
  /**
   * One answer. `problems`: what was wrong with the answer before, to be told to the model; empty for the first.
   * @throws model.unavailable (transient) when the model cannot be reached
   */
  answer(
    question: {
      readonly model: string;
      readonly context: string;
      readonly prompt: Value;
      readonly schema: Schema;
      readonly problems: readonly string[];
    },
    signal: AbortSignalLike,
  ): Promise<Value>;
}

/** Where something is remembered: by a version of a program for itself, or by any program of a workspace for all of them. */
export interface MemoryPlace {
  readonly scope: "program" | "workspace";
  /** The program's hash, or the workspace's name. */
  readonly owner: string;
  readonly key: string;
}

/** What is remembered. The value is kept as its deterministic CBOR, in a blob when it is large. */
export interface Remembered extends MemoryPlace {
  readonly value: { readonly inline: Uint8Array } | { readonly blob: Sha256; readonly sizeBytes: number };
  /** Of the value, of the key, and of what decided that it was remembered. */
  readonly labels: readonly Label[];
  /** Idempotency key of the effect that wrote it: the value is still that effect's as long as this is. */
  readonly writer: string;
  readonly run: RunId;
  readonly seq: number;
  readonly atMs: number;
}

/**
 * What programs remember, as of the last durable entry. Nothing is written through it: the recorded outcome of `memory.remember` is the
 * writing, and this follows.
 */
export interface Memory {
  find(place: MemoryPlace): Remembered | null;
  /** By key; at most `limit`, those after `after`. */
  list(query: {
    readonly scope: MemoryPlace["scope"];
    readonly owner: string;
    readonly limit: number;
    readonly after?: string;
  }): readonly Remembered[];
}

/** Tells people: an approval is waiting, a run was held. Best effort, the ledger is the record. */
export interface Notifier {
  notify(message: {
    readonly to: string;
    readonly subject: string;
    readonly text: string;
    readonly actor: Actor;
  }): Promise<void>;
}

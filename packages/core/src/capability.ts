// Capabilities: one definition, many faces. A capability is data plus the function that performs it; adding one is adding one file.
import type { Label } from "./label.ts";
import type { CapabilityId, ProgramHash, RunId, Sha256, StepId } from "./ids.ts";
import { Type, type Schema, type Static, type TSchema } from "./schema.ts";
import type { Value, ValueMap } from "./value.ts";
import type { WorkspaceFile } from "./workspace.ts";

export type Language = "en" | "fr";
export type Risk = "low" | "medium" | "high" | "critical";
export type Criticality = "safe" | "guarded" | "controlled" | "critical";

/** What performing it does to the world. A write names the capability that takes it back. */
export type Effect =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly undo: CapabilityId }
  | { readonly kind: "irreversible"; readonly approval: "owner" | "operator" | "listed" };

/** What happens to the resource that a parameter names. Two uses of one resource conflict unless both read, or both append. */
export type ResourceUse = {
  /** `device`: a thing that moves, heats, pumps or measures, by its name on this node. `memory`: a key under which programs remember. */
  readonly kind: "file" | "folder" | "host" | "person" | "device" | "memory";
  /** Name of the parameter (top level) that names the resource. */
  readonly param: string;
  readonly does: "read" | "list" | "create" | "replace" | "append" | "remove" | "send";
};

/** After a crash between intent and outcome: perform again with the same key; ask the world; or hold for a person. */
export type CrashContract = "idempotent" | "queryable" | "neither";

/**
 * Phrases of the rule language: words and `{param}` placeholders, lower case, without articles; the grammar adds articles,
 * elision and the other verb forms it can derive. French phrases give the imperative (tu) and the infinitive as two phrases.
 */
export type Phrases = Readonly<Record<Language, readonly string[]>>;

/** How much of one module is under way at once on one node. Absent: no bound of its own. */
export interface ModuleLimits {
  readonly parallelMax?: number;
  /** Time between the beginnings of two of its effects. */
  readonly cooldownMs?: number;
}

export interface CapabilityDefinition {
  readonly id: CapabilityId;
  readonly summary: Readonly<Record<Language, string>>;
  /** Closed object. Strings that name a place carry `x-path: "file" | "folder"` (relative to the workspace) or `x-host: true` (a URL).
   * `x-path-name-of: "source"` on a destination: when a rule names only a folder, the file name of parameter `source` is kept. */
  readonly params: Schema;
  readonly result: Schema;
  readonly effect: Effect;
  readonly resources: readonly ResourceUse[];
  readonly crash: CrashContract;
  readonly risk: Risk;
  readonly criticality: Criticality;
  /** Permission name that policies speak of, such as `filesystem.write`. */
  readonly permission: string;
  /** Labels that every result carries. */
  readonly labels: readonly Label[];
  readonly phrases: Phrases;
  /** Noun phrases for a field of the result of a read (`sum of {column}` → `sum`), by which conditions and texts name it. */
  readonly nouns?: readonly { readonly field: string; readonly phrases: Phrases }[];
  readonly timeoutMs: number;
  /**
   * Longest silence (neither progress nor a heartbeat) while it is performed, in milliseconds. More of it counts as a timeout: the
   * outcome is unknown, and the crash contract decides. Absent: only `timeoutMs` counts.
   */
  readonly heartbeatMs?: number;
  /** A write or irreversible effect that stops when `signal` says so and then says what it did; others are let finish. */
  readonly interruptible?: true;
  readonly resultBytesMax: number;
  /** Fault codes that may be retried (transient ones); nothing else ever is. */
  readonly retryOn: readonly string[];
  /** Effects of it that one node begins in a minute; beyond is `gate.rate`. Absent: no bound. */
  readonly perMinuteMax?: number;
  /** Internal capabilities (undo) cannot be named by rules and plans. */
  readonly internal?: true;
  /** It brings what it touches to a safe state (closes, stops, cools), so an emergency stop lets it pass. */
  readonly leadsToSafeState?: true;
}

/** One place an effect will touch, as it is now. */
export interface Target {
  readonly kind: "file" | "folder" | "host" | "person" | "device" | "memory";
  /** Workspace-relative path (`inbox/a.csv`), `host:port`, the device's name on this node, or scope, owner and key of what is remembered. */
  readonly name: string;
  /** What `name` resolved to at inspection: the real path with symlinks resolved, or the resolved addresses. */
  readonly resolved: string;
  readonly does: ResourceUse["does"];
  /** SHA-256 of the present state, or null when it does not exist or has no state that can be read. */
  readonly state: Sha256 | null;
  /** What else will hold when it happens, for whoever decides (`sandbox: bubblewrap, network: none`). An approval binds to it. */
  readonly conditions?: string;
}

/** What looking before acting found. It is recorded in the `intended` entry; it performs no effect. */
export interface Inspection {
  readonly targets: readonly Target[];
  /** Facts that performing, crash resolution and undo need: sizes, hashes of before-images (already durable in blobs). */
  readonly before: ValueMap;
}

export interface UndoCall {
  readonly capability: CapabilityId;
  readonly params: ValueMap;
}

export interface Performed {
  readonly result: Value;
  /** How to take it back, or null for reads and irreversible effects. Recorded in the outcome entry. */
  readonly undo: UndoCall | null;
  /** `observed` when the world was read back and agreed; `commanded` when it was only told. */
  readonly evidence: "observed" | "commanded";
  /** Labels of this result, beside those of the capability and of its parameters: of what was remembered, those it was remembered with. */
  readonly labels?: readonly Label[];
}

export type Resolution =
  | { readonly kind: "done"; readonly performed: Performed }
  | { readonly kind: "not-done" }
  | { readonly kind: "unknown"; readonly reason: string };

/** Everything a capability may use. There is no ambient world: no clock, no environment, no network but through this. */
export interface CallContext {
  readonly run: RunId | null;
  readonly step: StepId | null;
  /** The program that it is performed for; absent where no run is. */
  readonly program?: ProgramHash;
  /** The same for every attempt of one effect, also after a crash. 32 hexadecimal digits. */
  readonly idempotencyKey: string;
  readonly workspace: WorkspaceContext;
  readonly blobs: BlobAccess;
  readonly before: ValueMap;
  readonly nowMs: number;
  readonly signal: AbortSignalLike;
  /**
   * Says how far it is, for people and for the attempt after a crash. Resolves when this value, or a later one, is durable; recorded
   * at most once a second, so nothing is lost by calling it often. Absent where nothing is recorded (previews, undo).
   * @throws runtime.progress-too-large
   */
  progress?(value: Value): Promise<void>;
  /** A sign of life that records nothing. */
  heartbeat?(): void;
  /** Streams bytes into the blob store while it runs; the result names the hash. @throws runtime.attachment-too-large */
  attach?(
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<{ readonly sha256: Sha256; readonly sizeBytes: number }>;
  /** What this effect last said, also before a crash; absent when it said nothing. */
  readonly lastProgress?: Value;
}

export interface WorkspaceContext {
  readonly name: string;
  /** Real path of the workspace's root. */
  readonly root: string;
  readonly file: WorkspaceFile;
}

export interface BlobAccess {
  /** Stores bytes; resolves when they are durable. */
  put(
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<{ readonly sha256: Sha256; readonly sizeBytes: number }>;
  /** @throws store.blob-missing, store.blob-damaged */
  get(hash: Sha256): Promise<Uint8Array>;
  stream(hash: Sha256): AsyncIterable<Uint8Array>;
}

/** The part of `AbortSignal` that modules use. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface Capability extends CapabilityDefinition {
  /** Looks at the targets without any effect, resolving symlinks and names. Absent: no targets beyond its parameters. */
  inspect?(params: ValueMap, context: CallContext): Promise<Inspection>;
  /** The effect. Faults are thrown; containment is checked again at the moment of use. */
  perform(params: ValueMap, context: CallContext): Promise<Performed>;
  /** Asked after a crash when the contract is `queryable`. */
  resolve?(params: ValueMap, context: CallContext): Promise<Resolution>;
  /**
   * The risk of this very call, where the workspace's lists say one; the higher of it and `risk` counts. Total: its parameters have not
   * been checked.
   */
  riskOf?(params: ValueMap, workspace: WorkspaceFile): Risk;
  /** The result it would give, for previews; no effect. Absent: the preview says it cannot know. */
  predict?(params: ValueMap, context: CallContext): Promise<Value>;
}

export interface TypedCapability<P extends TSchema> extends CapabilityDefinition {
  readonly params: P;
  inspect?(params: Static<P>, context: CallContext): Promise<Inspection>;
  perform(params: Static<P>, context: CallContext): Promise<Performed>;
  resolve?(params: Static<P>, context: CallContext): Promise<Resolution>;
  predict?(params: Static<P>, context: CallContext): Promise<Value>;
}

/** Makes a capability whose functions see typed parameters. The gate has validated them against `params` before any call. */
export function capability<const P extends TSchema>(definition: TypedCapability<P>): Capability {
  return definition as unknown as Capability;
}

/** Where events come from, as data. The function that listens is `EventSource` in `core/ports`. */
export interface SourceDefinition {
  /** `module.event@version`, same form as a capability id. */
  readonly id: CapabilityId;
  readonly summary: Readonly<Record<Language, string>>;
  readonly config: Schema;
  /** Schema of the event's `data`. Texts carry `x-language: "basename" | "path" | "text"`, which containment proofs use. */
  readonly event: Schema;
  readonly phrases: Phrases;
  readonly labels: readonly Label[];
}

/** The vocabulary of compiler and verifier. */
export interface Catalog {
  readonly capabilities: readonly CapabilityDefinition[];
  readonly sources: readonly SourceDefinition[];
  readonly workspace: WorkspaceFile;
}

export const decimalSchema = Type.Unsafe<Value>(Type.Object({}, { "x-decimal": true }));

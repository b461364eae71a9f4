// What the handlers share: the wired parts of one node, and the one way to record a decision about it.
import type { Actor, Entry, EntryDraft, NodeEntryKind, EntryFacts, Stored } from "@writ/core/entry";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { ProgramHash, RunId } from "@writ/core/ids";
import { inlineBytesMax } from "@writ/core/limits";
import type { Blobs, Hasher, KeyRing, Ledger, Modules, Signer, World, Entropy } from "@writ/core/ports";
import type { FaultRecord } from "@writ/core/fault";
import type { Certificate, HashedProgram, Program } from "@writ/core/program";
import type { Value } from "@writ/core/value";
import type { Engine } from "@writ/runtime/engine";
import type { Registry } from "@writ/runtime/registry";
import type { Triggers } from "@writ/runtime/triggers";
import type { Log } from "../log.ts";
import type { CedarPolicy } from "../policy.ts";
import type { KeptSource } from "./source.ts";

export interface NodeContext {
  readonly version: string;
  readonly data: string;
  readonly startedAtMs: number;
  readonly world: World;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly signer: Signer;
  readonly keyRing: KeyRing;
  readonly ledger: Ledger;
  readonly blobs: Blobs;
  readonly modules: Modules;
  readonly policy: CedarPolicy;
  readonly engine: Engine;
  readonly triggers: Triggers;
  readonly log: Log;
  /** As of the last durable entry. */
  readonly registry: () => Registry;
  /** When the person was added; 0 for nobody. */
  readonly addedAtMs: (person: string) => number;
  /** Reads an approved program that may begin and checks everything about it again; its faults name what is wrong with it. */
  readonly loadProgram: (program: ProgramHash) => Promise<HashedProgram>;
  /** The same for one whose runs go on: what was revoked since is the gate's to refuse. */
  readonly openProgram: (program: ProgramHash) => Promise<HashedProgram>;
  /** Whatever looks at the registry and then records a decision about it does so here, one at a time. */
  readonly inOrder: Queue;
  /** Programs in memory, by hash, as long as what is stored of them is what it was. */
  readonly kept: Map<ProgramHash, RememberedProgram>;
  /** Runs of the workspace that have not ended, in memory or parked; at most `limit`. */
  readonly unfinishedIn: (workspace: string, limit: number) => readonly RunId[];
  /** Sources and programs that need attention, beside the programs that are broken. */
  readonly problems: () => readonly { readonly what: string; readonly fault: FaultRecord }[];
}

/** What is stored of a program, its hash and its certificate's checked. */
export interface KeptProgram {
  readonly program: Program;
  readonly bytes: Uint8Array;
  readonly source: KeptSource;
  readonly certificate: Certificate;
  readonly certificateBytes: Uint8Array;
}

export interface RememberedProgram {
  readonly bytes: Stored;
  readonly source: Stored;
  readonly certificate: Stored;
  readonly program: Promise<KeptProgram>;
}

/** Appends entries of the node as one and resolves when they are durable and folded into the registry. */
export async function record(
  { ledger, world }: Pick<NodeContext, "ledger" | "world">,
  actor: Actor,
  ...facts: readonly {
    readonly [Kind in NodeEntryKind]: { readonly kind: Kind; readonly facts: EntryFacts[Kind] };
  }[NodeEntryKind][]
): Promise<readonly Entry[]> {
  const atMs = world.nowMs();
  const drafts = facts.map((fact) => ({
    ...fact,
    run: null,
    cause: null,
    actor,
    atMs,
  })) as readonly EntryDraft[];
  const entries = ledger.appendAll(drafts);
  await ledger.durable(entries.at(-1)?.seq ?? -1);
  return entries;
}

/** Bytes as an entry carries them: inline when small, else as a blob that is durable when this resolves. */
export async function storeBytes(blobs: Blobs, bytes: Uint8Array): Promise<Stored> {
  if (bytes.length <= inlineBytesMax) return { kind: "inline", value: bytes };
  const { sha256, sizeBytes } = await blobs.put(bytes);
  return { kind: "blob", sha256, sizeBytes };
}

/** A value as an entry carries it; a blob holds its deterministic CBOR. */
export async function storeValue(blobs: Blobs, value: Value): Promise<Stored> {
  const bytes = encodeCbor(value);
  if (bytes.length <= inlineBytesMax) return { kind: "inline", value };
  const { sha256, sizeBytes } = await blobs.put(bytes);
  return { kind: "blob", sha256, sizeBytes };
}

/** @throws store.blob-missing, store.blob-damaged */
export async function bytesOf(blobs: Blobs, stored: Stored): Promise<Uint8Array> {
  if (stored.kind === "blob") return await blobs.get(stored.sha256);
  return stored.value instanceof Uint8Array ? stored.value : encodeCbor(stored.value);
}

/** @throws store.blob-missing, store.blob-damaged */
export async function valueOf(blobs: Blobs, stored: Stored): Promise<Value> {
  return stored.kind === "blob" ? decodeCbor(await blobs.get(stored.sha256)) : stored.value;
}

export type Queue = <T>(task: () => Promise<T>) => Promise<T>;

/** Runs one task at a time, in the order they were asked for: check-then-append stays one act. A task must not wait for another. */
export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => {});
    return next;
  };
}

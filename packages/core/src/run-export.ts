// A run as one file that proves itself: its entries, those that introduce the keys, the program and everybody's decisions on it, each with its
// proof of inclusion below one signed checkpoint. Made by a node, checked anywhere, with nothing but the file.
//   Y1  Every entry of the file stands in the tree that the checkpoint signs, at its own place. The checkpoint is signed by the keys to
//       which the node's id commits, never by one that the tree itself brings along: anybody could write that tree.
//   Y2  The run's entries are there from its start without a gap, each linked to the one before it; so are those of every run it called.
//   Y3  The programs are those that the run names by hash, in its order, with their signatures by keys of this ledger.
//   Y4  Every blob has the hash it is named by; one that an entry names and that is not in the file is listed.
//   Y5  The file is one deterministic CBOR map; anything else in it is a refusal.
//   Not shown by the file: entries of the run that are younger than its last one, and whose ledger this is; compare the node's id.
import { equalBytes, fromHex, toHex } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { checkpointOrigin, parseCheckpoint, signatureProblem, type Checkpoint } from "./checkpoint.ts";
import { decodeEntry, readEnvelope } from "./entry-codec.ts";
import { isRunEntry, type Entry, type RunEntry } from "./entry.ts";
import { faultRecord } from "./fault.ts";
import { fault } from "./faults.ts";
import { keyIdOf, nodeIdOf } from "./identity.ts";
import { runId, sha256, type NodeId, type ProgramHash, type RunId } from "./ids.ts";
import { isIncluded } from "./merkle-proof.ts";
import type { Hasher, KeyRecord } from "./ports.ts";
import { hashProgram } from "./program-codec.ts";
import { decodeEnvelope, verifySignedProgram } from "./signature.ts";
import { isMap, type Value } from "./value.ts";

export interface RunExport {
  readonly run: RunId;
  /** The signed text over the tree (C2SP checkpoint). */
  readonly checkpoint: string;
  /** In ledger order: the entry's bytes, and its proof of inclusion from the leaf upwards (hashes of 32 bytes). */
  readonly entries: readonly { readonly bytes: Uint8Array; readonly proof: readonly Uint8Array[] }[];
  /** The signed programs (DSSE envelopes as they are kept) that the run ran, then those of each run it called, as `programsOf` says. */
  readonly programs: readonly Uint8Array[];
  /** Whatever entries name by hash, as far as it fits. */
  readonly blobs: readonly Uint8Array[];
}

export interface ExportReport {
  /** The first thing that does not hold, or null. */
  readonly bad: string | null;
  /** Commits to the node's keys: what to compare with what the node's owner says. */
  readonly node: NodeId | null;
  readonly run: RunId | null;
  readonly entries: readonly Entry[];
  /** Entries below the checkpoint. */
  readonly treeSize: number;
  /** How the run stood at its last entry here; null while it had not ended. */
  readonly status: string | null;
  /** Something of the run was done by a simulation. */
  readonly simulated: boolean;
  /** Blobs that are named and not here. */
  readonly blobsMissing: readonly string[];
}

const magic = "writ.run-export";

export function encodeRunExport(made: RunExport): Uint8Array {
  return encodeCbor({
    magic,
    v: 1,
    run: made.run,
    checkpoint: made.checkpoint,
    entries: made.entries.map(({ bytes, proof }) => ({ bytes, proof: [...proof] })),
    programs: [...made.programs],
    blobs: [...made.blobs],
  });
}

/** True when the bytes say that they are an exported run. */
export function isRunExport(bytes: Uint8Array): boolean {
  try {
    const value = decodeCbor(bytes);
    return isMap(value) && value["magic"] === magic;
  } catch {
    return false;
  }
}

/** @throws export.malformed */
export function decodeRunExport(bytes: Uint8Array): RunExport {
  const value = decoded(bytes);
  if (!isMap(value) || value["magic"] !== magic) throw malformed("it is no exported run");
  if (value["v"] !== 1) throw malformed("it is of another version");
  const { run, checkpoint, entries, programs, blobs } = value;
  if (typeof run !== "string" || typeof checkpoint !== "string") throw malformed("a part is missing");
  const made: RunExport = {
    run: runId(run),
    checkpoint,
    entries: items(entries).map((entry) => {
      const part = isMap(entry) ? entry["bytes"] : undefined;
      if (!isMap(entry) || !(part instanceof Uint8Array)) throw malformed("an entry is no bytes");
      return { bytes: part, proof: items(entry["proof"]).map(bytesOf) };
    }),
    programs: items(programs).map(bytesOf),
    blobs: items(blobs).map(bytesOf),
  };
  if (!equalBytes(encodeRunExport(made), bytes)) throw malformed("it holds more than an exported run does");
  return made;
}

function decoded(bytes: Uint8Array): Value {
  try {
    return decodeCbor(bytes);
  } catch {
    throw malformed("it is not what a node wrote");
  }
}

function items(value: Value | undefined): readonly Value[] {
  if (!Array.isArray(value)) throw malformed("a list is missing");
  return value as readonly Value[];
}

function bytesOf(value: Value): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed("a part is no bytes");
  return value;
}

function malformed(why: string) {
  return fault("export.malformed", `Cannot read the exported run: ${why}`, {});
}

export interface VerifyExportOptions {
  readonly hasher: Hasher;
  /** True when the signature by this key covers the bytes. */
  readonly verify: (
    key: Pick<KeyRecord, "algorithm" | "publicKey">,
    bytes: Uint8Array,
    signature: Uint8Array,
  ) => boolean;
}

/** Checks everything that the file can show. Never throws for what the file holds. */
export function verifyRunExport(bytes: Uint8Array, options: VerifyExportOptions): ExportReport {
  const found: { -readonly [Key in keyof ExportReport]: ExportReport[Key] } = {
    bad: null,
    node: null,
    run: null,
    entries: [],
    treeSize: 0,
    status: null,
    simulated: false,
    blobsMissing: [],
  };
  try {
    const made = decodeRunExport(bytes);
    found.run = made.run;
    const entries = made.entries.map((entry) => entryOf(entry.bytes, options.hasher));
    found.entries = entries;
    const keys = keysOf(entries, options.hasher);
    found.node = keys.node;
    const checkpoint = signedCheckpoint(made.checkpoint, keys, options);
    found.treeSize = checkpoint.size;
    for (const [i, { proof }] of made.entries.entries()) {
      const entry = entries[i];
      if (entry !== undefined) checkIncluded(entry, proof, checkpoint, options.hasher);
    }
    const runs = runsOf(entries, made.run);
    const all = runs.flat();
    found.status = runs[0]?.findLast((entry) => entry.kind === "run.ended")?.facts.status ?? null;
    found.simulated = all.some((entry) => "simulated" in entry.facts && entry.facts.simulated === true);
    checkPrograms(made, all, keys, options);
    found.blobsMissing = missingBlobs(made, options.hasher);
  } catch (error) {
    const record = faultRecord(error);
    if (record === undefined) throw error;
    found.bad = record.message;
  }
  return found;
}

interface ExportKeys {
  readonly node: NodeId;
  readonly own: readonly KeyRecord[];
  readonly programs: readonly KeyRecord[];
}

function wrong(why: string) {
  return fault("export.refused", `Cannot trust the exported run: ${why}`, {});
}

function entryOf(bytes: Uint8Array, hasher: Hasher): Entry {
  try {
    return decodeEntry(bytes, sha256(toHex(hasher.sha256(bytes))));
  } catch (error) {
    throw wrong(`an entry cannot be read: ${faultRecord(error)?.message ?? ""}`);
  }
}

/** The node's own keys, and those that its ledger pinned for programs (proved like every entry before they are used). */
function keysOf(entries: readonly Entry[], hasher: Hasher): ExportKeys {
  const [first] = entries;
  if (first?.kind !== "ledger.created" || first.seq !== 0)
    throw wrong("it does not begin with the entry that created the ledger");
  const record = (algorithm: KeyRecord["algorithm"], hex: string): KeyRecord => {
    if (!/^([0-9a-f]{2})+$/.test(hex)) throw wrong("a key of the ledger is malformed");
    const publicKey = fromHex(hex);
    return { id: keyIdOf(publicKey, hasher), algorithm, publicKey, revoked: false };
  };
  const classic = record("ed25519", first.facts.ed25519);
  const postQuantum = record("ml-dsa-65", first.facts.mlDsa65);
  const own = [classic, postQuantum];
  if (first.node !== nodeIdOf({ ed25519: classic.publicKey, mlDsa65: postQuantum.publicKey }, hasher))
    throw wrong("the node is not the one that these keys belong to");
  const programs = [...own];
  for (const entry of entries) {
    if (entry.node !== first.node) throw wrong(`entry ${entry.seq} is of another node`);
    if (entry.kind !== "key.added") continue;
    const { purpose, algorithm, publicKey } = entry.facts;
    if (purpose === "programs") programs.push(record(algorithm, publicKey));
  }
  return { node: first.node, own, programs };
}

function signedCheckpoint(
  note: string,
  keys: ExportKeys,
  { hasher, verify }: VerifyExportOptions,
): Checkpoint {
  const checkpoint = parseCheckpoint(note);
  if (checkpoint === undefined) throw wrong("its checkpoint is malformed");
  if (checkpoint.origin !== checkpointOrigin(keys.node))
    throw wrong(`its checkpoint is of \`${checkpoint.origin}\``);
  const problem = signatureProblem(checkpoint, { keys: keys.own, hasher, verify });
  if (problem !== undefined) throw wrong(`its checkpoint: ${problem}`);
  return checkpoint;
}

function checkIncluded(
  entry: Entry,
  proof: readonly Uint8Array[],
  checkpoint: Checkpoint,
  hasher: Hasher,
): void {
  const leaf = { index: entry.seq, entryHash: fromHex(entry.hash) };
  if (!isIncluded(leaf, checkpoint, proof, hasher))
    throw wrong(`entry ${entry.seq} does not stand in the ledger that was signed`);
}

/** The run, then those it called, in the order in which they were called. */
function runsOf(entries: readonly Entry[], run: RunId): readonly (readonly RunEntry[])[] {
  const found = [runOf(entries, run)];
  const seen = new Set([run]);
  for (let i = 0; i < found.length; i++) {
    for (const called of calledRuns(found[i] ?? [])) {
      if (seen.has(called)) throw wrong(`the run \`${called}\` is called twice`);
      seen.add(called);
      found.push(runOf(entries, called));
    }
  }
  return found;
}

/** The runs that a run called. */
export function calledRuns(run: readonly RunEntry[]): readonly RunId[] {
  return run.flatMap((entry) => (entry.kind === "child.started" ? [entry.facts.run] : []));
}

/** The programs that a run ran: the first, then each it was migrated to. */
export function programsOf(run: readonly RunEntry[]): readonly ProgramHash[] {
  return run.flatMap((entry) => {
    if (entry.kind === "run.started") return [entry.facts.program];
    return entry.kind === "run.migrated" ? [entry.facts.target] : [];
  });
}

function runOf(entries: readonly Entry[], run: RunId): readonly RunEntry[] {
  const own = entries.filter(isRunEntry).filter((entry) => entry.run === run);
  const [first] = own;
  if (first?.kind !== "run.started" || first.runPrevious !== null) throw wrong("the run's start is missing");
  for (const [i, entry] of own.entries()) {
    const before = own[i - 1];
    if (before !== undefined && (entry.runPrevious !== before.hash || entry.seq <= before.seq))
      throw wrong(`something of the run is missing before entry ${entry.seq}`);
  }
  return own;
}

function checkPrograms(
  made: RunExport,
  run: readonly RunEntry[],
  keys: ExportKeys,
  { hasher, verify }: VerifyExportOptions,
): void {
  const named = programsOf(run);
  if (made.programs.length !== named.length) throw wrong("it does not hold the programs that ran");
  for (const [i, bytes] of made.programs.entries()) {
    const envelope = decodeEnvelope(bytes);
    if (hashProgram(envelope.payload, hasher) !== named[i]) throw wrong("a program is not the one that ran");
    verifySignedProgram(envelope, {
      find: (id) => keys.programs.find((key) => key.id === id),
      verify,
    });
  }
}

/** @throws export.refused for a blob that nothing names */
function missingBlobs(made: RunExport, hasher: Hasher): readonly string[] {
  const here = new Set(made.blobs.map((blob) => toHex(hasher.sha256(blob))));
  const named = new Set(made.entries.flatMap(({ bytes }) => readEnvelope(bytes).blobs));
  for (const blob of here) if (!named.has(blob)) throw wrong(`no entry names the blob ${blob}`);
  return [...named].filter((blob) => !here.has(blob)).sort();
}

// Verification of a ledger, offline: needs the bytes and nothing else, trusts only the keys that the ledger's first entry introduced.
//   A1  Every batch, every hash link, every link within a run, every sequence number and epoch is checked, from the first entry on.
//   A2  Every checkpoint's tree head is recomputed from the entries and both of its signatures are checked.
//   A3  Every blob that is kept has the hash it is named by, and every blob that an entry refers to is kept.
//   A4  The result names the first bad place: of the ledger by sequence, then checkpoints by size, then blobs by name.
//   Not found: what a holder of the node's key rewrote after the last checkpoint that somebody else keeps a copy of.
import { concatBytes, equalBytes, fromHex, fromUtf8, toHex } from "./bytes.ts";
import {
  checkpointOrigin,
  parseCheckpoint,
  signatureProblem,
  type Checkpoint,
  type SignatureCheck,
} from "./checkpoint.ts";
import { decodeEntry, readEnvelope, type Envelope } from "./entry-codec.ts";
import { faultRecord } from "./fault.ts";
import { keyIdOf, nodeIdOf } from "./identity.ts";
import { nodeId, sha256, type NodeId, type Sha256 } from "./ids.ts";
import { subtreesOf } from "./merkle-subtrees.ts";
import { merkleTree, type MerkleTree } from "./merkle.ts";
import type { Hasher, KeyRecord } from "./ports.ts";
import { decodePruned, type PrunedBatch } from "./segment-pruned.ts";
import {
  decodeFrame,
  decodeSegmentHeader,
  findFrame,
  firstWritten,
  segmentHeaderBytes,
  type Frame,
  type SegmentHeader,
} from "./segment.ts";

export interface LedgerFiles {
  /** Segments in the order of their names; one is in memory at a time. */
  readonly segments: AsyncIterable<NamedBytes>;
  /** Checkpoints in the order of their sizes; all are in memory (about 5 KB for every 4,096 entries). */
  readonly checkpoints: AsyncIterable<NamedBytes>;
  /** Every blob that is kept: the hash it is named by and the hash of its bytes. */
  readonly blobs: AsyncIterable<{ readonly name: string; readonly found: string }>;
}

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface VerifyOptions {
  readonly hasher: Hasher;
  /** True when the signature by this key covers the bytes. */
  verify(key: KeyRecord, bytes: Uint8Array, signature: Uint8Array): boolean;
  /** The node whose ledger it must be, when that is known. */
  readonly node?: NodeId;
  /** Entries that are known to have been durable: a shorter ledger has lost some. */
  readonly knownEntries?: number;
}

/** The first bad place. */
export interface BadPlace {
  readonly kind: "segment" | "batch" | "entry" | "checkpoint" | "blob" | "end";
  /** File it is in. */
  readonly file: string;
  /** Byte in the file. */
  readonly offset: number;
  /** Sequence number of the entry concerned: the first one that cannot be trusted; null for a blob no entry names. */
  readonly seq: number | null;
  readonly message: string;
}

export interface VerifiedLedger {
  readonly bad: BadPlace | null;
  readonly node: NodeId | null;
  readonly entries: number;
  readonly runs: number;
  readonly checkpoints: number;
  readonly blobs: number;
  /** Entries that a checkpoint covers. Those after it are chained, but signed only by the next checkpoint. */
  readonly signedEntries: number;
  /** Hash of the last good entry. */
  readonly head: Sha256;
  /** Bytes after the last batch that are neither a batch nor zeros: a write that a crash cut off and nobody was promised. */
  readonly tornBytes: number;
  /** Entries that were pruned, as the ledger itself records; of them only their place in the tree is known. */
  readonly prunedEntries: number;
}

/** Never throws for bad content, only when a file cannot be read. */
export async function verifyLedger(files: LedgerFiles, options: VerifyOptions): Promise<VerifiedLedger> {
  const checkpoints: { file: string; bytes: Uint8Array }[] = [];
  for await (const { name, bytes } of files.checkpoints) checkpoints.push({ file: name, bytes });
  const chain = chainCheck(options, checkpoints);
  let bad: BadPlace | null = null;
  let previous: NamedBytes | null = null;
  for await (const segment of files.segments) {
    // A segment is the last one unless another follows: its end is judged by that.
    if (previous !== null) bad = chain.segment(previous, decodeSegmentHeader(segment.bytes) ?? null);
    previous = segment;
    if (bad !== null) break;
  }
  if (bad === null && previous !== null) bad = chain.segment(previous, null);
  bad ??= chain.end(previous?.name ?? "");
  const { found, blobBad } = await blobCheck(files, bad === null ? chain.referred : new Map());
  const summary = chain.summary();
  return { ...summary, bad: bad ?? blobBad, blobs: found };
}

interface ChainCheck {
  /** Hashes of blobs, with the entry that first refers to each. */
  readonly referred: ReadonlyMap<string, number>;
  /** Checks a whole segment; `next` is the header of the one after it, null for the last. */
  segment(segment: NamedBytes, next: SegmentHeader | null): BadPlace | null;
  end(file: string): BadPlace | null;
  summary(): Omit<VerifiedLedger, "bad" | "blobs">;
}

function chainCheck(
  options: VerifyOptions,
  checkpoints: readonly { readonly file: string; readonly bytes: Uint8Array }[],
): ChainCheck {
  const { hasher } = options;
  const tree: MerkleTree = merkleTree(hasher);
  const referred = new Map<string, number>();
  /** Last hash of every run; grows with the number of runs. */
  const runs = new Map<string, Uint8Array>();
  const keys: (KeyRecord & { readonly from: number; until: number })[] = [];
  const noHash: Uint8Array = new Uint8Array(32);
  let node: NodeId | null = null;
  let lastHash = noHash;
  let seq = 0;
  let epoch = 0;
  let number = 0;
  let tornBytes = 0;
  let endOffset = 0;
  let checkedCheckpoints = 0;
  let nextCheckpointSize = sizeInName(checkpoints[0]?.file ?? "");
  let signedEntries = 0;
  let prunedEntries = 0;
  /** Pruned batches of the segment that is being checked. */
  let held: Uint8Array[] = [];
  const digests: { readonly name: string; readonly number: number; readonly digest: string }[] = [];
  /** What was taken out, and which entry says so. */
  const recorded = new Map<string, number>();

  function segment(current: NamedBytes, next: SegmentHeader | null): BadPlace | null {
    const { name, bytes } = current;
    const header = decodeSegmentHeader(bytes);
    if (header === undefined) {
      // Cut off at birth: its header never became durable and nothing was written after it.
      const isUnborn = next === null && firstWritten(bytes, segmentHeaderBytes) < 0 && number > 0;
      if (isUnborn && firstWritten(bytes, 0) < 0) return null;
      return bad("segment", name, 0, "the header is not what was written");
    }
    if (header.number !== number + 1 || header.epoch < epoch || header.firstSeq !== seq)
      return bad("segment", name, 0, "it does not follow the segment before it");
    if (!equalBytes(header.previousHash, lastHash))
      return bad("segment", name, 0, "it does not continue the entry before it");
    number = header.number;
    epoch = header.epoch;
    let at = segmentHeaderBytes;
    while (next === null || next.firstSeq !== seq) {
      const frame = decodeFrame(bytes, at, header.salt);
      const pruned = frame === undefined ? decodePruned(bytes, at, header.salt) : undefined;
      if (pruned !== undefined) {
        const problem = prunedCheck(name, bytes, pruned);
        if (problem !== null) return problem;
        at += pruned.sizeBytes;
        continue;
      }
      if (frame === undefined) {
        const isEnd = next === null && findFrame(bytes, at, header.salt) === undefined;
        if (isEnd) break;
        return bad("batch", name, at, "the batch is not what was written");
      }
      if (frame.firstSeq !== seq)
        return bad("batch", name, at, "the batch does not follow the one before it");
      const problem = frameCheck(name, bytes, frame);
      if (problem !== null) return problem;
      at += frame.sizeBytes;
    }
    if (held.length > 0) digests.push({ name, number, digest: toHex(hasher.sha256(concatBytes(...held))) });
    held = [];
    const rest = firstWritten(bytes, at);
    if (rest >= 0 && next !== null)
      return bad("segment", name, rest, "something was written after its last batch");
    if (rest >= 0) tornBytes = bytes.length - at;
    endOffset = at;
    return null;
  }

  function frameCheck(file: string, bytes: Uint8Array, frame: Frame): BadPlace | null {
    for (let i = 0; i + 1 < frame.bounds.length; i++) {
      const offset = frame.bounds[i] as number;
      const entry = bytes.subarray(offset, frame.bounds[i + 1]);
      const problem = entryCheck(entry);
      if (problem !== null) return bad("entry", file, offset, problem);
      const next = seq === nextCheckpointSize ? checkpoints[checkedCheckpoints] : undefined;
      const wrong = next === undefined ? null : checkpointCheck(next);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  /** What was kept is checked like every entry; of what was not, its place in the tree, which the next checkpoint signs. */
  function prunedCheck(file: string, bytes: Uint8Array, pruned: PrunedBatch): BadPlace | null {
    const { offset, sizeBytes, heldBytes, parts } = pruned;
    if (pruned.firstSeq !== seq)
      return bad("batch", file, offset, "the batch does not follow the one before it");
    const written = firstWritten(bytes.subarray(0, offset + sizeBytes), offset + heldBytes);
    if (offset + sizeBytes > bytes.length || written >= 0)
      return bad("batch", file, offset, "there is something else in the place of pruned entries");
    held.push(bytes.subarray(offset, offset + heldBytes));
    for (const part of parts) {
      if (part.kind === "kept") {
        const problem = entryCheck(part.bytes);
        if (problem !== null) return bad("entry", file, offset, problem);
      } else {
        const places = subtreesOf(part.seq, part.seq + part.count);
        for (const [i, root] of part.roots.entries()) tree.addSubtree(root, places[i]?.size ?? 1);
        lastHash = part.lastHash.slice();
        seq += part.count;
        prunedEntries += part.count;
        // Their trees ended among what was pruned; the next one that does not goes on from the same entries.
        while (nextCheckpointSize >= 0 && nextCheckpointSize < seq) {
          checkedCheckpoints++;
          nextCheckpointSize = sizeInName(checkpoints[checkedCheckpoints]?.file ?? "");
        }
      }
      const next = seq === nextCheckpointSize ? checkpoints[checkedCheckpoints] : undefined;
      const wrong = next === undefined ? null : checkpointCheck(next);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  function prunedEntry(bytes: Uint8Array): void {
    const entry = entryOf(bytes);
    if (entry?.kind !== "ledger.pruned") return;
    for (const { number: of, digest } of entry.facts.segments) recorded.set(`${of} ${digest}`, seq);
  }

  function entryCheck(bytes: Uint8Array): string | null {
    let envelope: Envelope;
    try {
      envelope = readEnvelope(bytes);
    } catch (error) {
      return faultRecord(error)?.message ?? "it is not an entry";
    }
    if (envelope.seq !== seq) return `it says it is entry ${envelope.seq}`;
    if (envelope.epoch !== epoch) return `it is of epoch ${envelope.epoch}, its segment of ${epoch}`;
    if (!equalBytes(envelope.previousHash, lastHash)) return "it does not link to the entry before it";
    const { run, kind } = envelope;
    if (seq === 0) {
      const problem = genesis(bytes);
      if (problem !== null) return problem;
    } else if (kind === "ledger.created") return "a ledger is created only once";
    if (envelope.node !== node) return `it is of node \`${envelope.node}\``;
    const hash = hasher.sha256(bytes);
    if (run === null) {
      if (envelope.runPrevious !== null) return "it belongs to no run but links to one";
      if (kind === "key.added" || kind === "key.revoked") keyEntry(bytes);
      if (kind === "ledger.pruned") prunedEntry(bytes);
    } else {
      const before = runs.get(run) ?? null;
      if (!isSameHash(before, envelope.runPrevious))
        return `it does not link to the entry before it in run \`${run}\``;
      if ((kind === "run.started") !== (before === null))
        return `run \`${run}\` does not begin with its start`;
      runs.set(run, hash);
    }
    for (const blob of envelope.blobs) if (!referred.has(blob)) referred.set(blob, seq);
    tree.add(hash);
    lastHash = hash;
    seq++;
    return null;
  }

  function genesis(bytes: Uint8Array): string | null {
    const entry = entryOf(bytes);
    if (entry?.kind !== "ledger.created") return "the first entry does not create the ledger";
    const { facts } = entry;
    if (facts.format !== 1) return "the ledger is of another format";
    node = nodeId(facts.node);
    if (options.node !== undefined && options.node !== node) return `it is the ledger of \`${node}\``;
    const publicKeys = [facts.ed25519, facts.mlDsa65];
    if (!publicKeys.every((key) => /^([0-9a-f]{2})+$/.test(key))) return "a key of the ledger is malformed";
    const identity = { ed25519: fromHex(facts.ed25519), mlDsa65: fromHex(facts.mlDsa65) };
    if (node !== nodeIdOf(identity, hasher)) return "the node is not the one that these keys belong to";
    addKey("ed25519", facts.ed25519);
    addKey("ml-dsa-65", facts.mlDsa65);
    return null;
  }

  function keyEntry(bytes: Uint8Array): void {
    const entry = entryOf(bytes);
    if (entry?.kind === "key.added" && entry.facts.purpose === "checkpoints")
      addKey(entry.facts.algorithm, entry.facts.publicKey);
    else if (entry?.kind === "key.revoked")
      for (const key of keys) if (key.id === entry.facts.key) key.until = Math.min(key.until, seq);
  }

  function addKey(algorithm: KeyRecord["algorithm"], publicKeyHex: string): void {
    const publicKey = fromHex(publicKeyHex);
    const id = keyIdOf(publicKey, hasher);
    keys.push({ id, algorithm, publicKey, revoked: false, from: seq, until: Number.POSITIVE_INFINITY });
  }

  function entryOf(bytes: Uint8Array): ReturnType<typeof decodeEntry> | undefined {
    try {
      return decodeEntry(bytes, sha256(toHex(hasher.sha256(bytes))));
    } catch {
      return undefined;
    }
  }

  /** The checkpoint whose size has just been reached. */
  function checkpointCheck(current: { readonly file: string; readonly bytes: Uint8Array }): BadPlace | null {
    checkedCheckpoints++;
    nextCheckpointSize = sizeInName(checkpoints[checkedCheckpoints]?.file ?? "");
    const wrong = (message: string): BadPlace => bad("checkpoint", current.file, 0, message);
    const checkpoint = checkpointOf(current.bytes);
    if (checkpoint === undefined || node === null) return wrong("it is malformed");
    if (checkpoint.size !== seq) return wrong(`it says it covers ${checkpoint.size} entries`);
    if (checkpoint.origin !== checkpointOrigin(node)) return wrong(`it is of \`${checkpoint.origin}\``);
    if (!equalBytes(checkpoint.root, tree.root())) return wrong("its tree head is not that of the entries");
    const check: SignatureCheck = {
      // A key that was added later counts once a checkpoint by older keys covers the entry that added it: anybody can write such an entry.
      keys: keys.filter(({ from, until }) => (from === 0 || from < signedEntries) && until >= seq),
      hasher,
      verify: (key, bytes, signature) => options.verify(key, bytes, signature),
    };
    const problem = signatureProblem(checkpoint, check);
    if (problem !== undefined) return wrong(problem);
    signedEntries = seq;
    return null;
  }

  function bad(kind: BadPlace["kind"], file: string, offset: number, message: string): BadPlace {
    return { kind, file, offset, seq, message };
  }

  /** What is missing at the end was either cut away, or its first batch no longer checks. */
  function short(file: string, why: string): BadPlace {
    const message = `it ends after ${seq} entries, but ${why}`;
    return bad(tornBytes > 0 ? "batch" : "end", file, endOffset, message);
  }

  return {
    referred,
    segment,
    end(file) {
      const left = checkpoints[checkedCheckpoints];
      if (left !== undefined) {
        const size = sizeInName(left.file);
        const isBetween = size < seq;
        if (isBetween) return bad("checkpoint", left.file, 0, "its name is not that of a checkpoint");
        return short(file, `\`${left.file}\` covers ${size}`);
      }
      const known = options.knownEntries ?? 0;
      if (seq < known) return short(file, `${known} were durable`);
      if (seq === 0) return bad("end", file, 0, "there is no entry");
      // Anybody can write an entry after the last checkpoint: only one below it tells that the node itself took entries out.
      const unrecorded = digests.find(
        (one) => (recorded.get(`${one.number} ${one.digest}`) ?? signedEntries) >= signedEntries,
      );
      if (unrecorded !== undefined)
        return bad(
          "segment",
          unrecorded.name,
          0,
          "entries were taken out of it, and no signed entry records that",
        );
      return null;
    },
    summary: () => ({
      node,
      entries: seq,
      runs: runs.size,
      checkpoints: checkedCheckpoints,
      signedEntries,
      head: sha256(toHex(lastHash)),
      tornBytes,
      prunedEntries,
    }),
  };
}

function isSameHash(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}

async function blobCheck(
  files: LedgerFiles,
  referred: ReadonlyMap<string, number>,
): Promise<{ readonly found: number; readonly blobBad: BadPlace | null }> {
  const missing = new Map(referred);
  let count = 0;
  let blobBad: BadPlace | null = null;
  for await (const { name, found } of files.blobs) {
    count++;
    missing.delete(name);
    if (blobBad !== null || name === found) continue;
    const seq = referred.get(name) ?? null;
    blobBad = { kind: "blob", file: name, offset: 0, seq, message: `its bytes have the hash ${found}` };
  }
  const [first] = missing;
  if (blobBad === null && first !== undefined) {
    const [name, seq] = first;
    blobBad = { kind: "blob", file: name, offset: 0, seq, message: "it is missing" };
  }
  return { found: count, blobBad };
}

function checkpointOf(bytes: Uint8Array): Checkpoint | undefined {
  try {
    return parseCheckpoint(fromUtf8(bytes));
  } catch {
    return undefined;
  }
}

/** Size in a name such as `checkpoints/0000000000004096.txt`; -1 when there is none. */
function sizeInName(name: string): number {
  return Number(/(\d{16})\.txt$/.exec(name)?.[1] ?? -1);
}

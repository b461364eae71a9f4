// Entries as bytes, format 1. Frozen: this file is never edited once a ledger in this format exists; format 2 gets its own.
//   N1  An entry is one deterministic CBOR map: v, run?, seq, atMs, kind, node, actor, cause?, epoch, facts, runPrevious?, previousHash.
//       What is null (run, cause, runPrevious) is left out; hashes are 32 bytes.
//   N2  The hash of an entry is the SHA-256 of exactly these bytes.
//   N3  The envelope reader walks the facts without building them and refuses the same malformed bytes as the decoder's envelope.
import { fromHex, toHex } from "./bytes.ts";
import { decodeCbor } from "./cbor.ts";
import { blobReferences } from "./entry-codec/references.ts";
import { skipCbor } from "./cbor/reader.ts";
import { cborWriter } from "./cbor/writer.ts";
import type { Actor, Entry, EntryDraft } from "./entry.ts";
import { faultRecord, type FaultRecord } from "./fault.ts";
import { fault } from "./faults.ts";
import { nodeId, runId, sha256, type NodeId, type Sha256 } from "./ids.ts";
import { isDecimal, isMap, type Value, type ValueMap } from "./value.ts";

/** What the ledger adds to a draft at commit. */
export interface EntryPlace {
  readonly node: NodeId;
  readonly epoch: number;
  readonly seq: number;
  /** 32 bytes. */
  readonly previousHash: Uint8Array;
  /** 32 bytes, or null for the first entry of a run and for entries of no run. */
  readonly runPrevious: Uint8Array | null;
}

/** What verification needs of an entry; hashes are views into its bytes. */
export interface Envelope {
  readonly run: string | null;
  readonly seq: number;
  readonly kind: string;
  readonly node: string;
  readonly epoch: number;
  readonly previousHash: Uint8Array;
  readonly runPrevious: Uint8Array | null;
  /** Blobs that the facts refer to, as `{ kind: "blob", sha256, sizeBytes }` or `{ $blob }`, where Writ writes references. */
  readonly blobs: readonly string[];
}

const writer = cborWriter();

/** @throws core.invalid-value when the facts hold something that is no value */
export function encodeEntry(draft: EntryDraft, place: EntryPlace): Uint8Array {
  const { run, cause } = draft;
  const { runPrevious } = place;
  writer.reset();
  writer.mapHead(9 + (run === null ? 0 : 1) + (cause === null ? 0 : 1) + (runPrevious === null ? 0 : 1));
  writer.text("v");
  writer.number(1);
  if (run !== null) {
    writer.text("run");
    writer.text(run);
  }
  writer.text("seq");
  writer.number(place.seq);
  writer.text("atMs");
  writer.number(draft.atMs);
  writer.text("kind");
  writer.text(draft.kind);
  writer.text("node");
  writer.text(place.node);
  writer.text("actor");
  writer.value(draft.actor);
  if (cause !== null) {
    writer.text("cause");
    writer.text(cause);
  }
  writer.text("epoch");
  writer.number(place.epoch);
  writer.text("facts");
  writer.value(draft.facts);
  if (runPrevious !== null) {
    writer.text("runPrevious");
    writer.bytes(runPrevious);
  }
  writer.text("previousHash");
  writer.bytes(place.previousHash);
  return writer.finish();
}

/**
 * The entry that these bytes are; `hash` is their SHA-256, which the caller has computed or checked.
 * @throws core.cbor-invalid
 */
export function decodeEntry(bytes: Uint8Array, hash: Sha256): Entry {
  const map = decodeCbor(bytes);
  if (!isMap(map)) throw malformed("it is no map");
  const { v, run = null, seq, atMs, kind, node, actor, cause = null, epoch, facts } = map;
  const { runPrevious = null, previousHash } = map;
  const known = 9 + (run === null ? 0 : 1) + (cause === null ? 0 : 1) + (runPrevious === null ? 0 : 1);
  if (v !== 1) throw malformed("its format is not 1");
  if (Object.keys(map).length !== known) throw malformed("it has other fields than format 1");
  if (typeof seq !== "number" || typeof atMs !== "number" || typeof epoch !== "number")
    throw malformed("a number is missing");
  if (typeof kind !== "string" || typeof node !== "string") throw malformed("a text is missing");
  if (cause !== null && typeof cause !== "string") throw malformed("its cause is no text");
  if (run !== null && typeof run !== "string") throw malformed("its run is no text");
  if (actor === undefined || !isMap(actor) || facts === undefined || !isMap(facts))
    throw malformed("actor or facts are missing");
  const entry = {
    v: 1,
    node: nodeId(node),
    epoch,
    seq,
    previousHash: hashText(previousHash),
    run: run === null ? null : runId(run),
    runPrevious: runPrevious === null ? null : hashText(runPrevious),
    cause,
    actor: actor as unknown as Actor,
    atMs,
    kind,
    facts,
    hash,
  };
  // The kind decides the shape of the facts; bytes whose hash is chained were written from a typed draft.
  return entry as unknown as Entry;
}

/** Reads the envelope without building anything else; for verification, so every microsecond counts. @throws core.cbor-invalid */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const cursor: Cursor = { bytes, at: 1 };
  let optional = (bytes[0] ?? 0) - 0xa0 - 9;
  if (optional < 0 || optional > 3) throw malformed("it has other fields than format 1");
  expectBytes(cursor, keys.v);
  let run: string | null = null;
  if (isNext(cursor, keys.run)) {
    run = shortText(cursor);
    optional--;
  }
  expectBytes(cursor, keys.seq);
  const seq = unsigned(cursor);
  expectBytes(cursor, keys.atMs);
  cursor.at = skipCbor(bytes, cursor.at);
  expectBytes(cursor, keys.kind);
  const kind = shortText(cursor);
  expectBytes(cursor, keys.node);
  const node = shortText(cursor);
  expectBytes(cursor, keys.actor);
  cursor.at = skipCbor(bytes, cursor.at);
  if (isNext(cursor, keys.cause)) {
    cursor.at = skipCbor(bytes, cursor.at);
    optional--;
  }
  expectBytes(cursor, keys.epoch);
  const epoch = unsigned(cursor);
  expectBytes(cursor, keys.facts);
  const factsStart = cursor.at;
  const factsEnd = skipCbor(bytes, factsStart);
  cursor.at = factsEnd;
  let runPrevious: Uint8Array | null = null;
  if (isNext(cursor, keys.runPrevious)) {
    runPrevious = hashAt(cursor);
    optional--;
  }
  expectBytes(cursor, keys.previousHash);
  const previousHash = hashAt(cursor);
  if (optional !== 0 || cursor.at !== bytes.length) throw malformed("it has other fields than format 1");
  const blobs = mayReferToBlobs(bytes, factsStart, factsEnd)
    ? blobsOf(kind, bytes.subarray(factsStart, factsEnd))
    : [];
  return { run, seq, kind, node, epoch, previousHash, runPrevious, blobs };
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

// Each key as it stands in the bytes: a text's head and its letters. Version and hashes with the head of what follows.
const keys = {
  v: ascii("av\u0001"),
  run: ascii("crun"),
  seq: ascii("cseq"),
  atMs: ascii("datMs"),
  kind: ascii("dkind"),
  node: ascii("dnode"),
  actor: ascii("eactor"),
  cause: ascii("ecause"),
  epoch: ascii("eepoch"),
  facts: ascii("efacts"),
  runPrevious: ascii("krunPrevious\u0058\u0020"),
  previousHash: ascii("lpreviousHash\u0058\u0020"),
} as const;

function isNext(cursor: Cursor, key: Uint8Array): boolean {
  if (!startsWith(cursor.bytes, cursor.at, key)) return false;
  cursor.at += key.length;
  return true;
}

function expectBytes(cursor: Cursor, key: Uint8Array): void {
  if (!isNext(cursor, key)) throw malformed(`byte ${cursor.at} is not where format 1 has it`);
}

function unsigned(cursor: Cursor): number {
  const { bytes, at } = cursor;
  const initial = bytes[at] ?? 0xff;
  if (initial > 0x1b) throw malformed("a number is missing");
  cursor.at = skipCbor(bytes, at);
  if (initial < 24) return initial;
  let number = 0;
  for (let i = at + 1; i < cursor.at; i++) number = number * 256 + (bytes[i] as number);
  return number;
}

/** An ASCII text of less than 256 letters: an id or a kind. */
function shortText(cursor: Cursor): string {
  const { bytes, at } = cursor;
  const initial = bytes[at] ?? 0;
  if (initial < 0x60 || initial > 0x78) throw malformed("a text is missing");
  cursor.at = skipCbor(bytes, at);
  return String.fromCharCode.apply(
    null,
    bytes.subarray(initial === 0x78 ? at + 2 : at + 1, cursor.at) as unknown as number[],
  );
}

function hashAt(cursor: Cursor): Uint8Array {
  const { bytes, at } = cursor;
  if (at + 32 > bytes.length) throw malformed("a hash is cut off");
  cursor.at = at + 32;
  return bytes.subarray(at, cursor.at);
}

/**
 * The draft with every fault in its facts made recordable: fault facts may hold anything a program met (errors, undefined, bigints),
 * entries hold values only. What is no value becomes text.
 */
export function recordable<Draft extends EntryDraft>(draft: Draft): Draft {
  const facts = draft.facts as { readonly fault?: unknown; readonly verdict?: unknown };
  const { fault: found, verdict } = facts;
  const denial = isObject(verdict) && isObject(verdict["fault"]) ? verdict : null;
  if (!isObject(found) && denial === null) return draft;
  const clean = {
    ...draft.facts,
    ...(isObject(found) ? { fault: recordableFault(found) } : {}),
    ...(denial === null ? {} : { verdict: { ...denial, fault: recordableFault(denial["fault"]) } }),
  };
  return { ...draft, facts: clean };
}

/** A fault record whose facts are values. */
export function recordableFault(error: unknown): FaultRecord {
  const record = faultRecord(error);
  if (record === undefined) throw malformed("a fault without code, kind, message and remedy");
  const facts = valueOf(record.facts, 0);
  return {
    code: record.code,
    kind: record.kind,
    message: record.message.toWellFormed(),
    remedy: record.remedy,
    facts: facts !== undefined && isMap(facts) ? facts : {},
  };
}

const faultFactsDepthMax = 16;

function valueOf(input: unknown, depth: number): Value | undefined {
  if (input === undefined) return undefined;
  if (input === null || typeof input === "boolean") return input;
  if (typeof input === "string") return input.toWellFormed();
  if (typeof input === "number") return Number.isFinite(input) ? input : String(input);
  if (typeof input === "bigint" || typeof input === "symbol") return input.toString();
  if (typeof input !== "object") return undefined;
  if (isDecimal(input) || input instanceof Uint8Array) return input;
  if (input instanceof Error) return input.message.toWellFormed();
  if (depth >= faultFactsDepthMax) return "…";
  if (Array.isArray(input)) return input.map((item) => valueOf(item, depth + 1) ?? null);
  const map: Record<string, Value> = {};
  for (const [key, item] of Object.entries(input)) {
    const value = valueOf(item, depth + 1);
    if (value !== undefined) map[key.toWellFormed()] = value;
  }
  return map satisfies ValueMap;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

// A reference to a blob in canonical bytes: `"$blob"` or `"blob"` + key `"sha256"`, then a text of 64 hexadecimal digits.
const blobKey = ascii("e$blobx@");
const storedKey = ascii("dblobfsha256x@");

/** The form of a reference is somewhere in the bytes; few entries have it, so only they are decoded. */
function mayReferToBlobs(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at + 70 < end; at++) {
    const byte = bytes[at];
    const key =
      byte === 0x65 && bytes[at + 1] === 0x24
        ? blobKey
        : byte === 0x64 && bytes[at + 1] === 0x62
          ? storedKey
          : null;
    if (key !== null && startsWith(bytes, at, key)) return true;
  }
  return false;
}

function blobsOf(kind: string, facts: Uint8Array): readonly string[] {
  const map = decodeCbor(facts);
  return isMap(map) ? blobReferences(kind, map) : [];
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function startsWith(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  for (let i = 0; i < part.length; i++) if (bytes[at + i] !== part[i]) return false;
  return true;
}

function hashBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw malformed("a hash is not 32 bytes");
  return bytes;
}

function hashText(value: Value | undefined): Sha256 {
  if (!(value instanceof Uint8Array)) throw malformed("a hash is missing");
  return sha256(toHex(hashBytes(value)));
}

/** Hash text to bytes. */
export function hashOf(text: Sha256): Uint8Array {
  return fromHex(text);
}

function malformed(why: string): Error {
  return fault("core.cbor-invalid", `Cannot read an entry: ${why}`);
}

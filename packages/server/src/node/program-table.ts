// The programs of the node's registry: deployed ones in memory, of the others the last that were used; the rest is read from the
// projections when it is asked for. What is stored of a program stays in the ledger.
import { toHex } from "@writ/core/bytes";
import type { EntryDraft, Stored } from "@writ/core/entry";
import { sha256, type ProgramHash, type Sha256 } from "@writ/core/ids";
import type { Blobs, Hasher, Ledger } from "@writ/core/ports";
import { emptyRegistry, foldRegistry, type Programs, type RegisteredProgram } from "@writ/runtime/registry";
import type { ProgramRecords } from "@writ/store/projections";
import { programsAtHandMax, recentPartsMax } from "../limits.ts";

export interface ProgramTable {
  readonly programs: Programs;
  /** Takes over a durable entry, when it is one of a program. */
  fold(entry: EntryDraft): void;
  /** The store's blobs, and beside them what entries hold inline of programs. */
  readonly blobs: Blobs;
}

export interface TableParts {
  readonly ledger: Pick<Ledger, "read">;
  readonly blobs: Blobs;
  readonly hasher: Hasher;
  readonly records: ProgramRecords;
}

const pageSize = 100;

export function createProgramTable(parts: TableParts): ProgramTable {
  const { records } = parts;
  const shelf = createShelf(parts);
  const deployed = new Map<ProgramHash, RegisteredProgram>();
  const atHand = new Map<ProgramHash, RegisteredProgram>();

  const load = (hash: ProgramHash): RegisteredProgram | undefined => {
    const entries = records.entries(hash);
    return entries.reduce(foldRegistry, emptyRegistry).programs.get(hash);
  };
  const put = (program: RegisteredProgram): void => {
    const { hash } = program;
    atHand.delete(hash);
    if (program.deployedAtMs !== null) {
      deployed.set(hash, program);
      return;
    }
    deployed.delete(hash);
    atHand.set(hash, program);
    const [oldest] = atHand.keys();
    if (atHand.size > programsAtHandMax && oldest !== undefined) atHand.delete(oldest);
  };
  const get = (hash: ProgramHash): RegisteredProgram | undefined => {
    const known = deployed.get(hash) ?? atHand.get(hash);
    if (known !== undefined) return known;
    const found = load(hash);
    if (found !== undefined) put(found);
    return found;
  };
  function* newestFirst(): Generator<RegisteredProgram> {
    for (let from = 0; ; from += pageSize) {
      const page = records.newestFirst(pageSize, from);
      for (const hash of page) {
        // Looking through all of them must not push out those that are in use.
        const program = deployed.get(hash) ?? atHand.get(hash) ?? load(hash);
        if (program !== undefined) yield program;
      }
      if (page.length < pageSize) return;
    }
  }
  const found = (hash: ProgramHash): readonly RegisteredProgram[] => {
    const program = get(hash);
    return program === undefined ? [] : [program];
  };
  const oldestFirst = (): RegisteredProgram[] => [...newestFirst()].reverse();
  const entries = (): MapIterator<[ProgramHash, RegisteredProgram]> =>
    new Map(oldestFirst().map((program) => [program.hash, program])).entries();
  const programs: Programs = {
    get,
    has: (hash) => get(hash) !== undefined,
    get size() {
      return records.count();
    },
    entries,
    keys: () => new Map(entries()).keys(),
    values: () => new Map(entries()).values(),
    forEach(each) {
      for (const [hash, program] of entries()) each(program, hash, programs);
    },
    [Symbol.iterator]: entries,
    deployed: () => [...deployed.values()],
    newestFirst,
    withPrefix: (prefix) => records.withPrefix(prefix, pageSize).flatMap(found),
  };
  for (const hash of records.deployed()) get(hash);

  return {
    programs,
    blobs: shelf.blobs,
    fold(entry) {
      const hash = programOf(entry);
      if (hash === undefined) return;
      const kept = shelf.shelved(entry);
      const known = deployed.get(hash) ?? atHand.get(hash);
      // One that is not at hand is read when it is asked for; the projections have seen this entry first.
      if (known === undefined && !entryDeploys(entry)) return;
      const before = known ?? load(hash);
      const alone = { ...emptyRegistry, programs: new Map(before === undefined ? [] : [[hash, before]]) };
      const folded = foldRegistry(alone, kept).programs.get(hash);
      if (folded !== undefined) put(folded);
    },
  };
}

function programOf(entry: EntryDraft): ProgramHash | undefined {
  switch (entry.kind) {
    case "program.compiled":
    case "program.approved":
    case "program.deployed":
    case "program.undeployed":
    case "program.paused":
    case "program.resumed":
      return entry.facts.program;
    default:
      return undefined;
  }
}

function entryDeploys({ kind }: EntryDraft): boolean {
  return kind === "program.deployed";
}

/** Where the parts of programs stand that entries hold inline; the newest are kept at hand. */
function createShelf({ ledger, blobs, hasher, records }: TableParts) {
  const recent = new Map<Sha256, Uint8Array>();
  const shelve = (stored: Stored): Stored => {
    if (stored.kind === "blob" || !(stored.value instanceof Uint8Array)) return stored;
    const { value } = stored;
    const hash = hashOf(value, hasher);
    recent.delete(hash);
    // A copy: what was decoded is a window of its whole batch.
    recent.set(hash, value.slice());
    const [oldest] = recent.keys();
    if (recent.size > recentPartsMax && oldest !== undefined) recent.delete(oldest);
    return { kind: "blob", sha256: hash, sizeBytes: value.length };
  };
  const get = async (hash: Sha256): Promise<Uint8Array> => {
    const known = recent.get(hash);
    if (known !== undefined) return known;
    const seq = records.placeOf(hash);
    if (seq === undefined) return await blobs.get(hash);
    const { facts } = await ledger.read(seq);
    for (const part of Object.values<unknown>(facts)) {
      const bytes = inlineBytesOf(part);
      if (bytes !== undefined && hashOf(bytes, hasher) === hash) return bytes;
    }
    throw new Error(`Invariant broken: entry ${seq} holds ${hash}`);
  };
  return {
    blobs: { ...blobs, get } satisfies Blobs,
    /** The entry with references instead of bytes. */
    shelved(entry: EntryDraft): EntryDraft {
      if (entry.kind === "program.compiled") {
        const { bytes, source, certificate } = entry.facts;
        const facts = { bytes: shelve(bytes), source: shelve(source), certificate: shelve(certificate) };
        return { ...entry, facts: { ...entry.facts, ...facts } };
      }
      if (entry.kind === "program.approved")
        return { ...entry, facts: { ...entry.facts, envelope: shelve(entry.facts.envelope) } };
      return entry;
    },
  };
}

function hashOf(bytes: Uint8Array, hasher: Hasher): Sha256 {
  return sha256(toHex(hasher.sha256(bytes)));
}

function inlineBytesOf(part: unknown): Uint8Array | undefined {
  return typeof part === "object" && part !== null && "value" in part && part.value instanceof Uint8Array
    ? part.value
    : undefined;
}

// What the node knows besides its runs, as of the last durable entry: folded from the ledger at the start, then with every batch.
//   S23  A program costs the same whether it is the first or the hundred-thousandth: the table of programs grows in place, and what
//        is stored of a program stays in the ledger. Memory holds its place and hash.
import { toHex } from "@writ/core/bytes";
import type { Entry, NodeEntry, Stored } from "@writ/core/entry";
import { sha256, type ProgramHash, type Sha256 } from "@writ/core/ids";
import type { Blobs, Hasher, Ledger } from "@writ/core/ports";
import { emptyRegistry, foldRegistry, type RegisteredProgram, type Registry } from "@writ/runtime/registry";
import { recentPartsMax } from "../limits.ts";

export interface FollowedRegistry {
  readonly now: () => Registry;
  /** When the person was added; 0 for nobody. */
  readonly addedAtMs: (person: string) => number;
  /** The store's blobs, and beside them what entries hold inline of programs. */
  readonly blobs: Blobs;
}

export interface RegistryParts {
  readonly ledger: Pick<Ledger, "read" | "subscribe">;
  readonly blobs: Blobs;
  readonly hasher: Hasher;
  readonly projections: { nodeEntries(): AsyncIterable<NodeEntry> };
}

export async function followRegistry(parts: RegistryParts): Promise<FollowedRegistry> {
  const shelf = createShelf(parts);
  const programs = new Map<ProgramHash, RegisteredProgram>();
  const addedAtMs = new Map<string, number>();
  let registry: Registry = { ...emptyRegistry, programs };
  const fold = (entry: Entry): void => {
    switch (entry.kind) {
      case "program.compiled":
      case "program.approved":
      case "program.deployed":
      case "program.undeployed":
      case "program.paused":
      case "program.resumed": {
        const { program } = entry.facts;
        const known = programs.get(program);
        const alone = new Map(known === undefined ? [] : [[program, known]]);
        const folded = foldRegistry({ ...registry, programs: alone }, entry).programs.get(program);
        if (folded !== undefined) programs.set(program, shelf.shelved(folded, entry.seq));
        return;
      }
      case "person.added":
        addedAtMs.set(entry.facts.person, entry.atMs);
        break;
      default:
    }
    registry = foldRegistry(registry, entry);
  };
  for await (const entry of parts.projections.nodeEntries()) fold(entry);
  parts.ledger.subscribe((entries) => {
    for (const entry of entries) if (entry.run === null) fold(entry);
  });
  return {
    now: () => registry,
    addedAtMs: (person) => addedAtMs.get(person) ?? 0,
    blobs: shelf.blobs,
  };
}

/** Where the parts of programs stand that entries hold inline; the newest are kept at hand. */
function createShelf({ ledger, blobs, hasher }: RegistryParts) {
  const places = new Map<Sha256, number>();
  const recent = new Map<Sha256, Uint8Array>();
  const shelve = (stored: Stored, seq: number): Stored => {
    if (stored.kind === "blob" || !(stored.value instanceof Uint8Array)) return stored;
    const { value } = stored;
    const hash = hashOf(value, hasher);
    places.set(hash, seq);
    recent.delete(hash);
    // A copy: what was decoded is a window of its whole batch.
    recent.set(hash, value.slice());
    const [oldest] = recent.keys();
    if (recent.size > recentPartsMax && oldest !== undefined) recent.delete(oldest);
    return { kind: "blob", sha256: hash, sizeBytes: value.length };
  };
  const get = async (hash: Sha256): Promise<Uint8Array> => {
    const seq = places.get(hash);
    if (seq === undefined) return await blobs.get(hash);
    const known = recent.get(hash);
    if (known !== undefined) return known;
    const { facts } = await ledger.read(seq);
    for (const part of Object.values<unknown>(facts)) {
      const bytes = inlineBytesOf(part);
      if (bytes !== undefined && hashOf(bytes, hasher) === hash) return bytes;
    }
    throw new Error(`Invariant broken: entry ${seq} holds ${hash}`);
  };
  return {
    blobs: { ...blobs, get } satisfies Blobs,
    /** The program with places instead of bytes; what is shelved already stays as it is. */
    shelved(program: RegisteredProgram, seq: number): RegisteredProgram {
      const { bytes, source, certificate, approval } = program;
      return {
        ...program,
        bytes: shelve(bytes, seq),
        source: shelve(source, seq),
        certificate: shelve(certificate, seq),
        approval: approval === null ? null : { ...approval, envelope: shelve(approval.envelope, seq) },
      };
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

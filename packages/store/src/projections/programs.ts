// Programs as the ledger knows them: of each the newest entry of every kind, so that a program that nobody uses costs no memory.
// Parts that entries hold inline are left in the ledger: what is kept is their hash, and the entry they stand in.
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { EntryDraft, NodeEntries, NodeEntry } from "@writ/core/entry";
import { programHash, type ProgramHash, type Sha256 } from "@writ/core/ids";
import { isMap, type Value, type ValueMap } from "@writ/core/value";

type ProgramKind = Extract<keyof NodeEntries, `program.${string}`>;
export type ProgramEntry = NodeEntry & { readonly kind: ProgramKind };

/** What the node's registry asks of programs that it does not hold. */
export interface ProgramRecords {
  /** Entries that make up the program, in the order in which they are folded; inline parts as references. Empty: unknown. */
  entries(program: ProgramHash): readonly EntryDraft[];
  /** Those that are deployed, paused ones too, in the order of their first entry. */
  deployed(): readonly ProgramHash[];
  /** All, newest first. */
  newestFirst(limit: number, offset: number): readonly ProgramHash[];
  /** Those whose hash begins so, at most `limit`. */
  withPrefix(prefix: string, limit: number): readonly ProgramHash[];
  count(): number;
  /** The entry that holds a part with this hash inline. */
  placeOf(part: Sha256): number | undefined;
}

export const programSchema = `
  CREATE TABLE program (
    no INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, is_deployed INTEGER NOT NULL DEFAULT 0,
    compiled BLOB, approved BLOB, deployed BLOB, paused BLOB
  );
  CREATE INDEX program_deployed ON program (no) WHERE is_deployed = 1;
  CREATE TABLE program_part (sha256 TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
`;

export function isProgramEntry(entry: NodeEntry): entry is ProgramEntry {
  return entry.kind.startsWith("program.") && "program" in entry.facts;
}

export function programProjector(db: DatabaseSync): (entry: ProgramEntry) => void {
  const begin = db.prepare("INSERT OR IGNORE INTO program (no, hash) VALUES (?, ?)");
  const keepPart = db.prepare("INSERT OR REPLACE INTO program_part (sha256, seq) VALUES (?, ?)");
  const keep = {
    compiled: db.prepare("UPDATE program SET compiled = ? WHERE hash = ?"),
    approved: db.prepare("UPDATE program SET approved = ? WHERE hash = ?"),
    // A deployment ends a pause, and so does the end of one.
    deployed: db.prepare("UPDATE program SET deployed = ?, paused = NULL, is_deployed = ? WHERE hash = ?"),
    paused: db.prepare("UPDATE program SET paused = ? WHERE hash = ?"),
  };
  const rowOf = (entry: ProgramEntry): Uint8Array => {
    const { kind, actor, atMs, seq } = entry;
    const facts = Object.fromEntries(
      Object.entries(entry.facts).map(([name, fact]) => [name, withoutBytes(fact as Value, seq)]),
    );
    return encodeCbor({ kind, actor: { ...actor }, atMs, facts });
  };
  const withoutBytes = (fact: Value, seq: number): Value => {
    if (!isMap(fact) || fact["kind"] !== "inline" || !(fact["value"] instanceof Uint8Array)) return fact;
    const sha256 = createHash("sha256").update(fact["value"]).digest("hex");
    keepPart.run(sha256, seq);
    return { kind: "blob", sha256, sizeBytes: fact["value"].length };
  };
  return (entry) => {
    const { program } = entry.facts;
    begin.run(entry.seq, program);
    switch (entry.kind) {
      case "program.compiled":
        keep.compiled.run(rowOf(entry), program);
        return;
      case "program.approved":
        keep.approved.run(rowOf(entry), program);
        return;
      case "program.deployed":
      case "program.undeployed":
        keep.deployed.run(rowOf(entry), entry.kind === "program.deployed" ? 1 : 0, program);
        return;
      case "program.paused":
      case "program.resumed":
        keep.paused.run(rowOf(entry), program);
    }
  };
}

export function programRecords(db: DatabaseSync, flush: () => void): ProgramRecords {
  const one = db.prepare("SELECT compiled, approved, deployed, paused FROM program WHERE hash = ?");
  const deployed = db.prepare("SELECT hash FROM program WHERE is_deployed = 1 ORDER BY no");
  const newest = db.prepare("SELECT hash FROM program ORDER BY no DESC LIMIT ? OFFSET ?");
  const prefixed = db.prepare("SELECT hash FROM program WHERE hash >= ? AND hash < ? ORDER BY hash LIMIT ?");
  const count = db.prepare("SELECT count(*) AS count FROM program");
  const part = db.prepare("SELECT seq FROM program_part WHERE sha256 = ?");
  const hashes = (rows: readonly Readonly<Record<string, unknown>>[]): readonly ProgramHash[] =>
    rows.map((row) => programHash(String(row["hash"])));
  return {
    entries(program) {
      flush();
      const row = one.get(program);
      if (row === undefined) return [];
      return [row["compiled"], row["approved"], row["deployed"], row["paused"]].flatMap((bytes) =>
        bytes instanceof Uint8Array ? [entryOf(decodeCbor(bytes))] : [],
      );
    },
    deployed() {
      flush();
      return hashes(deployed.all());
    },
    newestFirst(limit, offset) {
      flush();
      return hashes(newest.all(limit, offset));
    },
    withPrefix(prefix, limit) {
      flush();
      // Hashes are hexadecimal: `g` follows every digit.
      return hashes(prefixed.all(prefix, `${prefix}g`, limit));
    },
    count() {
      flush();
      return Number(count.get()?.["count"] ?? 0);
    },
    placeOf(hash) {
      flush();
      const row = part.get(hash);
      return row === undefined ? undefined : Number(row["seq"]);
    },
  };
}

/** As `rowOf` wrote it. */
function entryOf(row: Value): EntryDraft {
  const kept: ValueMap = isMap(row) ? row : {};
  return { run: null, cause: null, ...kept } as unknown as EntryDraft;
}

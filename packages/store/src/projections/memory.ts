// What programs remember: follows the recorded outcomes of `memory.remember` and `memory.restore`, and what people had forgotten.
//   P8  The entries are the truth: the table can be thrown away and folded again, also after pruning (the run whose entry holds a value
//       that is remembered now is kept).
//   P9  A query first catches up with everything durable, so whoever looks once a writing is durable finds it.
import type { DatabaseSync } from "node:sqlite";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { Entry, EntryFacts } from "@writ/core/entry";
import { runId, sha256 } from "@writ/core/ids";
import { labels as allLabels, type Label } from "@writ/core/label";
import type { Memory, MemoryPlace, Remembered } from "@writ/core/ports";
import { rememberCapability, restoreMemoryCapability } from "@writ/core/program-steps";
import { isMap, type Value, type ValueMap } from "@writ/core/value";

// `holder`: the run whose entries say the value; `run`: the one that remembered it (they differ after an undo).
export const memorySchema = `
  CREATE TABLE memory (
    scope TEXT NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, holder INTEGER NOT NULL, value BLOB NOT NULL, labels TEXT NOT NULL,
    writer TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (scope, owner, key)
  ) WITHOUT ROWID;
  CREATE INDEX memory_holder ON memory (holder);
  CREATE TABLE memory_pending (
    run_no INTEGER NOT NULL, step TEXT NOT NULL, is_undo INTEGER NOT NULL, facts BLOB NOT NULL, PRIMARY KEY (run_no, step, is_undo)
  ) WITHOUT ROWID;
`;

type MemoryEntry = Entry<
  "effect.intended" | "effect.completed" | "effect.failed" | "undo.intended" | "undo.completed"
>;

export interface MemoryProjector {
  project(entry: MemoryEntry, runNo: number): void;
  forget(facts: EntryFacts["memory.forgotten"]): void;
}

export function memoryProjector(db: DatabaseSync): MemoryProjector {
  const setPending = db.prepare("INSERT OR REPLACE INTO memory_pending VALUES (?, ?, ?, ?)");
  const pendingOf = db.prepare(
    "SELECT facts FROM memory_pending WHERE run_no = ? AND step = ? AND is_undo = ?",
  );
  const removePending = db.prepare(
    "DELETE FROM memory_pending WHERE run_no = ? AND step = ? AND is_undo = ?",
  );
  const write = db.prepare("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const remove = db.prepare("DELETE FROM memory WHERE scope = ? AND owner = ? AND key = ?");
  /** Most entries are of programs that remember nothing: they cost one look at a flag. */
  let isAnyPending = db.prepare("SELECT EXISTS (SELECT 1 FROM memory_pending) AS any").get()?.["any"] === 1;

  function expect(no: number, step: string, isUndo: 0 | 1, facts: Value): void {
    setPending.run(no, step, isUndo, encodeCbor(facts));
    isAnyPending = true;
  }

  function take(no: number, step: string, isUndo: 0 | 1): ValueMap | undefined {
    if (!isAnyPending) return undefined;
    const facts = pendingOf.get(no, step, isUndo)?.["facts"];
    if (!(facts instanceof Uint8Array)) return undefined;
    removePending.run(no, step, isUndo);
    const known = decodeCbor(facts);
    return isMap(known) ? known : undefined;
  }

  function put(place: MemoryPlace, holder: number, what: ValueMap): void {
    const { value, labels, writer, run, seq, atMs } = what;
    write.run(
      place.scope,
      place.owner,
      place.key,
      holder,
      encodeCbor(value ?? null),
      JSON.stringify(labels),
      textIn(writer),
      textIn(run),
      Number(seq),
      Number(atMs),
    );
  }

  function completed(entry: Entry<"effect.completed">, no: number): void {
    const { step, result, labels } = entry.facts;
    const pending = take(no, step, 0);
    if (pending === undefined || result.kind !== "inline" || !isMap(result.value)) return;
    put(placeIn(result.value), no, {
      value: result.value["value"] ?? null,
      labels: [...labels],
      writer: pending["key"] ?? "",
      run: entry.run,
      seq: entry.seq,
      atMs: entry.atMs,
    });
  }

  function undone(step: string, no: number): void {
    const params = take(no, step, 1);
    if (params === undefined) return;
    const place = placeIn(params);
    const previous = params["previous"] ?? null;
    if (isMap(previous)) put(place, no, previous);
    else remove.run(place.scope, place.owner, place.key);
  }

  return {
    project(entry, no) {
      switch (entry.kind) {
        case "effect.intended":
          if (entry.facts.capability === rememberCapability)
            expect(no, entry.facts.step, 0, { key: entry.facts.key });
          return;
        case "effect.completed":
          completed(entry, no);
          return;
        case "effect.failed":
          take(no, entry.facts.step, 0);
          return;
        case "undo.intended": {
          const { capability, params, step } = entry.facts;
          // They are small enough never to stand in a blob.
          if (capability === restoreMemoryCapability) expect(no, step, 1, params);
          return;
        }
        case "undo.completed":
          undone(entry.facts.step, no);
      }
    },
    forget: ({ scope, owner, key }) => void remove.run(scope, owner, key),
  };
}

export function memoryRecords(db: DatabaseSync, flush: () => void): Memory {
  const one = db.prepare("SELECT * FROM memory WHERE scope = ? AND owner = ? AND key = ?");
  const some = db.prepare(
    "SELECT * FROM memory WHERE scope = ? AND owner = ? AND key > ? ORDER BY key LIMIT ?",
  );
  return {
    find({ scope, owner, key }) {
      flush();
      const row = one.get(scope, owner, key);
      return row === undefined ? null : rememberedIn(row);
    },
    list({ scope, owner, limit, after = "" }) {
      flush();
      return some.all(scope, owner, after, limit).map(rememberedIn);
    },
  };
}

function placeIn(facts: ValueMap): MemoryPlace {
  const scope = facts["scope"] === "workspace" ? "workspace" : "program";
  return { scope, owner: textIn(facts["owner"]), key: textIn(facts["key"]) };
}

function textIn(value: unknown): string {
  if (typeof value !== "string") throw new Error("Invariant broken: names of what is remembered are texts");
  return value;
}

function rememberedIn(row: Record<string, unknown>): Remembered {
  const { scope, owner, key, value, labels, writer, run, seq, at_ms: atMs } = row;
  const known: unknown = JSON.parse(String(labels));
  return {
    ...placeIn({ scope: String(scope), owner: String(owner), key: String(key) }),
    value: valueIn(value instanceof Uint8Array ? decodeCbor(value) : null),
    labels: Array.isArray(known) ? allLabels.filter((label: Label) => known.includes(label)) : [],
    writer: textIn(writer),
    run: runId(String(run)),
    seq: Number(seq),
    atMs: Number(atMs),
  };
}

function valueIn(value: Value): Remembered["value"] {
  const { inline, $blob: blob, sizeBytes } = isMap(value) ? value : {};
  if (inline instanceof Uint8Array) return { inline };
  if (typeof blob !== "string") throw new Error("Invariant broken: a remembered value is inline or a blob");
  return { blob: sha256(blob), sizeBytes: Number(sizeBytes) };
}

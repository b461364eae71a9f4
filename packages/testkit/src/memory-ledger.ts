// A ledger in memory, for tests of what stands on the ledger: it keeps the contract of the port (order, durability, all-or-nothing
// groups) and lets a test decide when entries become durable, crash at any moment, and see what a restart would find.
import { createHash } from "node:crypto";
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import type { Entry, EntryDraft, RunEntry } from "@writ/core/entry";
import { isRunEntry } from "@writ/core/entry";
import { nodeId, sha256, type RunId, type Sha256 } from "@writ/core/ids";
import { entryBytesMax } from "@writ/core/limits";
import type { Ledger } from "@writ/core/ports";
import { parseValue } from "@writ/core/value";

export interface MemoryLedger extends Ledger {
  /** Everything appended, durable or not. */
  entries(): readonly Entry[];
  /** Group commits so far. */
  commits(): number;
  /** Makes everything appended so far durable; for a ledger made with `manual`. */
  sync(): void;
  /** The next sync fails: the ledger stops, as the port says. */
  breakDown(): void;
  /**
   * What a restart finds: everything durable, and of the rest the first `kept` whole groups (a crash may lose or keep what was not
   * yet acknowledged). The crashed ledger takes nothing more and acknowledges nothing more.
   */
  crash(kept?: number): MemoryLedger;
  /** Runs that have started, or are being undone, and have not ended. */
  unfinishedRuns(): readonly RunId[];
}

export interface MemoryLedgerOptions {
  readonly entries?: readonly Entry[];
  /** Entries become durable only by `sync()`. */
  readonly manual?: boolean;
  /** Asked before and after every sync; false freezes the ledger there for ever, as a crash would. */
  readonly reach?: (point: "before-sync" | "after-sync") => boolean;
}

/** What begins a run, or lets one that has ended go on. */
const opens: ReadonlySet<string> = new Set([
  "run.started",
  "undo.requested",
  "step.retry-ordered",
  "step.skip-ordered",
]);

const zeroHash = sha256("0".repeat(64));

export function memoryLedger(options: MemoryLedgerOptions = {}): MemoryLedger {
  const entries: Entry[] = [...(options.entries ?? [])];
  /** Length of the ledger after each group. */
  const groupEnds: number[] = entries.map((_, i) => i + 1);
  const lastOfRun = new Map<RunId, Sha256>();
  for (const entry of entries) if (isRunEntry(entry)) lastOfRun.set(entry.run, entry.hash);
  const waiters: {
    readonly seq: number;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  const listeners = new Set<(entries: readonly Entry[]) => void>();
  let durable = entries.length;
  let commits = 0;
  let scheduled = false;
  let state: "open" | "breaking" | "stopped" | "frozen" = "open";

  const place = (draft: EntryDraft): Entry => {
    const facts = decodeCbor(checkedBytes(draft));
    const seq = entries.length;
    const previousHash = entries.at(-1)?.hash ?? zeroHash;
    const runPrevious = draft.run === null ? null : (lastOfRun.get(draft.run) ?? null);
    const hash = sha256(
      createHash("sha256")
        .update(`${seq} ${previousHash} ${draft.kind}`)
        .update(checkedBytes(draft))
        .digest("hex"),
    );
    const links = {
      v: 1,
      node: nodeId("n_00000000"),
      epoch: 1,
      seq,
      previousHash,
      runPrevious,
      hash,
    } as const;
    const entry = { ...draft, facts, ...links } as unknown as Entry;
    entries.push(entry);
    if (draft.run !== null) lastOfRun.set(draft.run, hash);
    return entry;
  };

  const sync = (): void => {
    scheduled = false;
    if (state === "frozen" || durable === entries.length) return;
    if (options.reach?.("before-sync") === false) {
      state = "frozen";
      return;
    }
    if (state !== "open") {
      state = "stopped";
      for (const { reject } of waiters.splice(0)) reject(stopped());
      return;
    }
    const from = durable;
    durable = entries.length;
    commits += 1;
    if (options.reach?.("after-sync") === false) {
      state = "frozen";
      return;
    }
    for (const listener of listeners) listener(entries.slice(from, durable));
    const done = waiters.filter(({ seq }) => seq < durable);
    waiters.splice(0, waiters.length, ...waiters.filter(({ seq }) => seq >= durable));
    for (const { resolve } of done) resolve();
  };

  const schedule = (): void => {
    if (options.manual === true || scheduled) return;
    scheduled = true;
    queueMicrotask(sync);
  };

  const appendAll = (drafts: readonly EntryDraft[]): readonly Entry[] => {
    if (state === "stopped") throw stopped();
    const appended = drafts.map(place);
    groupEnds.push(entries.length);
    schedule();
    return appended;
  };

  const ledger: MemoryLedger = {
    node: "n_00000000",
    append(draft) {
      const [entry] = appendAll([draft]);
      if (entry === undefined) throw new Error("one draft makes one entry");
      return entry;
    },
    appendAll,
    durable(seq) {
      if (state === "stopped") return Promise.reject(stopped());
      if (seq < durable && state === "open") return Promise.resolve();
      return new Promise((resolve, reject) => waiters.push({ seq, resolve, reject }));
    },
    head: () => ({ seq: entries.length - 1, hash: entries.at(-1)?.hash ?? zeroHash }),
    durableSeq: () => durable - 1,
    read(seq) {
      const entry = entries[seq];
      return entry === undefined || seq >= durable
        ? Promise.reject(new RangeError(`no entry ${seq}`))
        : Promise.resolve(entry);
    },
    async *scan(from, to = Number.POSITIVE_INFINITY) {
      yield* entries.slice(from, Math.min(to, durable));
    },
    readRun: (run) =>
      Promise.resolve(
        entries
          .slice(0, durable)
          .filter((entry): entry is RunEntry => isRunEntry(entry) && entry.run === run),
      ),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    entries: () => entries,
    commits: () => commits,
    sync,
    breakDown: () => {
      state = "breaking";
    },
    crash(kept = 0) {
      state = "frozen";
      const open = groupEnds.filter((end) => end > durable);
      const end = kept === 0 ? durable : (open[Math.min(kept, open.length) - 1] ?? durable);
      const { reach: _, ...rest } = options;
      return memoryLedger({ ...rest, entries: entries.slice(0, end) });
    },
    unfinishedRuns: () => {
      const open = new Set<RunId>();
      for (const entry of entries.slice(0, durable)) {
        if (entry.run !== null && opens.has(entry.kind)) open.add(entry.run);
        if (entry.kind === "run.ended") open.delete(entry.run);
      }
      return [...open];
    },
  };
  return ledger;
}

/** The facts as the real ledger would write them. @throws when they hold anything that is no value, or are too large */
function checkedBytes(draft: EntryDraft): Uint8Array {
  const facts: unknown = draft.facts;
  const bytes = encodeCbor(parseValue(withoutUndefined(facts, draft.kind)));
  if (bytes.length > entryBytesMax)
    throw refusal("ledger.too-large", "rejected", `an entry of ${bytes.length} bytes`);
  return bytes;
}

/** Refuses what JSON-like facts must not hold, with the place named. */
function withoutUndefined(facts: unknown, at: string): unknown {
  if (facts === undefined || typeof facts === "function") throw new TypeError(`${at} is ${typeof facts}`);
  if (Array.isArray(facts)) for (const [i, item] of facts.entries()) withoutUndefined(item, `${at}/${i}`);
  else if (typeof facts === "object" && facts !== null && Object.getPrototypeOf(facts) === Object.prototype) {
    for (const [name, fact] of Object.entries(facts)) withoutUndefined(fact, `${at}/${name}`);
  }
  return facts;
}

function stopped(): Error {
  return refusal("ledger.stopped", "broken", "The ledger has stopped");
}

function refusal(code: string, kind: "rejected" | "broken", message: string): Error {
  return Object.assign(new Error(message), { code, kind, remedy: "This is a simulation.", facts: {} });
}

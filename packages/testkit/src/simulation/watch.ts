// What must hold at every moment, checked on each durable entry and on each deed; and a second fold of every run beside the node's.
//   SV1  What the node has told of stays as it was, whatever happens later.
//   SV2  Nothing is done before its intent is durable.
//   SV3  The state of a run is the fold of its entries; steps move along the table only; an ended run leaves nothing open.
//   SV4  What was done is not recorded as failed, and what was not done is not recorded as done, unless a module lied.
import { isRunEntry, type Entry, type RunEntry } from "@writ/core/entry";
import type { HashedProgram } from "@writ/core/program";
import { sha256, type ProgramHash, type RunId, type Sha256 } from "@writ/core/ids";
import type { Value } from "@writ/core/value";
import type { Engine } from "@writ/runtime/engine";
import { decide, initialState } from "@writ/runtime/machine";
import { prepareProgram, type PreparedProgram } from "@writ/runtime/program-index";
import { transitions, type RunState, type StepStatus } from "@writ/runtime/state";
import type { Oracle } from "./oracle.ts";

export interface Watch {
  readonly problems: readonly string[];
  readonly entries: readonly Entry[];
  /** Runs as folded from what was told. */
  readonly runs: ReadonlyMap<RunId, RunState>;
  problem(text: string): void;
  /** A new life begins: it tells of everything again from the first entry. */
  newLife(): void;
  told(entries: readonly Entry[]): void;
  /** At the moment of an effect. */
  deed(key: string): void;
  blob(hash: Sha256, value: Value): void;
  /** Compares the node's own states with the second fold; only when everything appended is durable. */
  compare(engine: Engine, headSeq: number): void;
}

const problemsMax = 20;
const settled: ReadonlySet<StepStatus> = new Set([
  "COMPLETED",
  "FAILED",
  "SKIPPED",
  "ABORTED",
  "ROLLED_BACK",
]);

export function createWatch(oracle: Oracle, programs: ReadonlyMap<ProgramHash, HashedProgram>): Watch {
  const problems: string[] = [];
  const entries: Entry[] = [];
  const runs = new Map<RunId, RunState>();
  const prepared = new Map<ProgramHash, PreparedProgram>();
  const blobs = new Map<Sha256, Value>();
  const intents = new Map<string, RunEntry>();
  /** Key of the intent of each attempt. */
  const attempts = new Map<string, string>();
  let expectedSeq = 0;

  const problem = (text: string): void => {
    if (problems.length < problemsMax) problems.push(text);
  };

  const storedOf = (entry: RunEntry): Value | undefined => {
    if (entry.kind === "effect.completed")
      return entry.facts.result.kind === "blob" ? blobs.get(entry.facts.result.sha256) : undefined;
    if (entry.kind !== "effect.intended" && entry.kind !== "undo.intended") return undefined;
    const hash = entry.facts.params["$blob"];
    return typeof hash === "string" ? blobs.get(sha256(hash)) : undefined;
  };

  const fold = (entry: RunEntry): void => {
    let state = runs.get(entry.run);
    if (state === undefined) {
      const hash = entry.kind === "run.started" ? entry.facts.program : undefined;
      const program = hash === undefined ? undefined : programs.get(hash);
      if (hash === undefined || program === undefined) {
        problem(`SV3 entry ${entry.seq} (${entry.kind}) belongs to a run that has not begun`);
        return;
      }
      let ready = prepared.get(hash);
      if (ready === undefined) {
        ready = prepareProgram(program);
        prepared.set(hash, ready);
      }
      state = initialState(entry.run, ready);
    }
    try {
      const next = decide(state, entry, storedOf(entry)).state;
      moved(state, next, entry);
      runs.set(entry.run, next);
    } catch (error) {
      problem(`SV3 entry ${entry.seq} (${entry.kind}) of run ${entry.run} does not fold: ${String(error)}`);
    }
  };

  const moved = (before: RunState, after: RunState, entry: RunEntry): void => {
    for (const [id, step] of after.steps) {
      const from = before.steps.get(id)?.status;
      if (from === undefined || from === step.status || reachable[from].has(step.status)) continue;
      // In a loop the step of a new iteration begins anew, and so does what fell when a person orders the failed step again.
      const isOrdered = entry.kind === "step.retry-ordered" || entry.kind === "step.skip-ordered";
      const isRenewed =
        isOrdered ||
        (after.prepared.loops.length > 0 && (settled.has(from) || reachable[from].has("COMPLETED")));
      if (!isRenewed || (step.status !== "PENDING" && !reachable.PENDING.has(step.status)))
        problem(`SV3 step ${id} went from ${from} to ${step.status} with entry ${entry.seq} (${entry.kind})`);
    }
    if (entry.kind !== "run.ended") return;
    const open = [...after.steps].filter(([, { status }]) => !settled.has(status));
    if (open.length > 0)
      problem(
        `SV3 run ${entry.run} ended with ${open.map(([id, { status }]) => `${id} ${status}`).join(", ")}`,
      );
    if (entry.facts.status !== "rolled_back") return;
    for (const [id, { status, undo }] of after.steps)
      if (status === "COMPLETED" && undo !== null)
        problem(`SV3 run ${entry.run} is rolled back and ${id} is not`);
  };

  const outcome = (entry: RunEntry): void => {
    if (entry.kind === "effect.intended" || entry.kind === "undo.intended") {
      intents.set(entry.facts.key, entry);
      if (entry.kind === "effect.intended")
        attempts.set(`${entry.run} ${entry.facts.step} ${entry.facts.attempt}`, entry.facts.key);
      return;
    }
    if (entry.kind !== "effect.completed" && entry.kind !== "effect.failed") return;
    const key = attempts.get(`${entry.run} ${entry.facts.step} ${entry.facts.attempt}`);
    const intent = key === undefined ? undefined : intents.get(key);
    if (key === undefined || intent?.kind !== "effect.intended") {
      problem(`SV2 entry ${entry.seq} (${entry.kind}) closes what was not intended`);
      return;
    }
    if (intent.facts.effect === "read" || oracle.lies.has(key)) return;
    const isDone = oracle.isDone(key);
    if (entry.kind === "effect.completed" && !isDone)
      problem(`SV4 step ${entry.facts.step} of ${entry.run} is recorded as done and was not`);
    if (entry.kind === "effect.failed" && isDone && entry.facts.retryable !== true)
      problem(`SV4 step ${entry.facts.step} of ${entry.run} is recorded as failed and was done`);
  };

  return {
    problems,
    entries,
    runs,
    problem,
    newLife() {
      expectedSeq = 0;
    },
    told(given) {
      for (const entry of given) {
        if (entry.seq !== expectedSeq)
          problem(`SV1 entry ${entry.seq} was told where ${expectedSeq} was due`);
        expectedSeq = entry.seq + 1;
        const known = entries[entry.seq];
        if (known !== undefined) {
          if (known.hash !== entry.hash) problem(`SV1 entry ${entry.seq} (${known.kind}) is another one now`);
          continue;
        }
        if (entry.previousHash !== (entries.at(-1)?.hash ?? "0".repeat(64)))
          problem(`SV1 entry ${entry.seq} does not link to the one before it`);
        entries.push(entry);
        if (!isRunEntry(entry)) continue;
        outcome(entry);
        fold(entry);
      }
      if (given[0]?.seq === 0 && expectedSeq < entries.length)
        problem(`SV1 entries ${expectedSeq} to ${entries.length - 1} were told and are lost`);
    },
    deed(key) {
      if (!intents.has(key)) problem(`SV2 something was done under the key ${key} without a durable intent`);
    },
    blob: (hash, value) => blobs.set(hash, value),
    compare(engine, headSeq) {
      if (headSeq !== entries.length - 1) return;
      for (const state of engine.active()) {
        const folded = runs.get(state.run);
        const parts = ["seq", "steps", "slots", "approvals", "ending", "ended"] as const;
        const other = parts.filter((part) => !isSame(state[part], folded?.[part]));
        if (other.length > 0)
          problem(`SV3 run ${state.run}: ${other.join(", ")} differ from the fold of the ledger`);
      }
    },
  };
}

/** Where the table leads in any number of moves: one entry may settle several. */
const reachable = ((): Readonly<Record<StepStatus, ReadonlySet<StepStatus>>> => {
  const from = (start: StepStatus): ReadonlySet<StepStatus> => {
    const found = new Set<StepStatus>();
    const pending = [...transitions[start]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      pending.push(...transitions[next]);
    }
    return found;
  };
  const names: readonly StepStatus[] = Object.keys(transitions).filter(isStatus);
  return Object.fromEntries(names.map((name) => [name, from(name)])) as Record<
    StepStatus,
    ReadonlySet<StepStatus>
  >;
})();

/** Equal as data; a prototype or the order of keys makes no difference. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && isSame(value, b.get(key)));
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a);
  const right = new Map<string, unknown>(Object.entries(b));
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && isSame(value, right.get(key)))
  );
}

function isStatus(name: string): name is StepStatus {
  return Object.hasOwn(transitions, name);
}

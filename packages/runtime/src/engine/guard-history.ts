// What was commanded last on each target: folded from the ledger, so that cooldowns and steps survive restarts. A target is looked up
// the first time that a guard asks for it, and followed from then on.
//   B6  Nothing that was commanded on a target is forgotten by a restart, however long ago it was.
import type { Target } from "@writ/core/capability";
import type { Entry } from "@writ/core/entry";
import type { RunId, Sha256 } from "@writ/core/ids";
import type { Ledger } from "@writ/core/ports";
import type { ValueMap } from "@writ/core/value";
import type { Commanded } from "../gate/guard.ts";
import { guardEffectsMax, guardLookBackChunk, guardTargetsMax } from "../limits.ts";

export interface GuardHistory {
  /** Called with every entry of a run as it is appended. */
  note(entry: Entry): void;
  /** True when everything that was commanded on these targets is known. */
  knows(targets: readonly Target[]): boolean;
  /** Reads the ledger back as far as it takes. */
  load(targets: readonly Target[], nowMs: number): Promise<void>;
  /** Oldest first. */
  of(target: Target): readonly Commanded[];
}

/** Targets that an effect changes. */
export function movedTargets(targets: readonly Target[]): readonly Target[] {
  return targets.filter(({ does }) => does !== "read" && does !== "list");
}

interface Followed {
  effects: readonly Commanded[];
  /** Entries that came while the ledger was read back; null once it has been. */
  pending: Entry[] | null;
}

export function createGuardHistory(ledger: Ledger): GuardHistory {
  const followed = new Map<string, Followed>();
  const loading = new Map<string, Promise<void>>();
  /** Run and step of an effect whose outcome is to come → what it moves. */
  const open = new Map<string, readonly string[]>();

  const loadOne = async (key: string, nowMs: number): Promise<void> => {
    const pending: Entry[] = [];
    const target: Followed = { effects: [], pending };
    // Followed before it is read back, so that nothing appended meanwhile is missed.
    followed.delete(key);
    followed.set(key, target);
    for (const oldest of followed.keys()) {
      if (followed.size <= guardTargetsMax) break;
      followed.delete(oldest);
    }
    const before = await readBackwards(ledger, key, nowMs);
    const known = new Set(before.map(({ seq }) => seq));
    const all = [...before, ...pending.filter(({ seq }) => !known.has(seq))];
    target.effects = fold(all, key);
    for (const { run, step, state } of target.effects) if (state === "open") opened(`${run} ${step}`, key);
    target.pending = null;
  };

  const opened = (effect: string, key: string): void => {
    open.set(effect, [...new Set([...(open.get(effect) ?? []), key])]);
  };

  return {
    note(entry) {
      if (followed.size === 0 || !isOfEffect(entry)) return;
      const effect = `${entry.run ?? ""} ${"step" in entry.facts ? entry.facts.step : ""}`;
      for (const target of followed.values()) target.pending?.push(entry);
      for (const key of keysOf(entry)) if (followed.has(key)) opened(effect, key);
      for (const key of open.get(effect) ?? []) {
        const target = followed.get(key);
        if (target?.pending === null) target.effects = folded(target.effects, entry, key);
      }
      if (entry.kind !== "effect.intended" && entry.kind !== "undo.intended" && isOutcome(entry))
        open.delete(effect);
    },
    knows: (targets) =>
      movedTargets(targets).every((target) => followed.get(keyOf(target))?.pending === null),
    async load(targets, nowMs) {
      for (const key of new Set(movedTargets(targets).map(keyOf))) {
        if (followed.get(key)?.pending === null) continue;
        const load = loading.get(key) ?? loadOne(key, nowMs).finally(() => loading.delete(key));
        loading.set(key, load);
        await load;
      }
    },
    of: (target) => followed.get(keyOf(target))?.effects ?? [],
  };
}

/** All entries of the runs that moved the target in the last minute, and of the last that surely did. */
async function readBackwards(ledger: Ledger, key: string, nowMs: number): Promise<readonly Entry[]> {
  const head = ledger.head().seq;
  await ledger.durable(head);
  const entries = new Map<number, Entry>();
  const runs = new Set<RunId>();
  for (let to = head + 1; to > 0; to -= guardLookBackChunk) {
    let firstMs = Number.POSITIVE_INFINITY;
    const found = new Set<RunId>();
    for await (const entry of ledger.scan(Math.max(0, to - guardLookBackChunk), to)) {
      firstMs = Math.min(firstMs, entry.atMs);
      if (entry.run !== null && keysOf(entry).includes(key) && !runs.has(entry.run)) found.add(entry.run);
    }
    for (const run of found) {
      runs.add(run);
      for (const entry of await ledger.readRun(run)) if (isOfEffect(entry)) entries.set(entry.seq, entry);
    }
    if (firstMs >= nowMs - 60_000) continue;
    if (fold(inOrder(entries), key).some(({ state }) => state === "done")) break;
  }
  return inOrder(entries);
}

function inOrder(entries: ReadonlyMap<number, Entry>): readonly Entry[] {
  return [...entries.values()].sort((a, b) => a.seq - b.seq);
}

/** What an intent is about to move. */
function keysOf(entry: Entry): readonly string[] {
  if (entry.kind !== "effect.intended" && entry.kind !== "undo.intended") return [];
  if (entry.kind === "effect.intended" && entry.facts.effect === "read") return [];
  return movedTargets(entry.facts.targets).map(keyOf);
}

function keyOf({ kind, resolved }: Target): string {
  return `${kind} ${resolved}`;
}

function isOfEffect({ kind }: Entry): boolean {
  return kind.startsWith("effect.") ? kind !== "effect.progress" : kind.startsWith("undo.");
}

/** It says how an effect ended; one that is held may still be settled. */
function isOutcome({ kind }: Entry): boolean {
  return ["effect.completed", "effect.failed", "effect.settled", "undo.completed", "undo.settled"].includes(
    kind,
  );
}

function fold(entries: readonly Entry[], key: string): readonly Commanded[] {
  let effects: readonly Commanded[] = [];
  for (const entry of entries) effects = folded(effects, entry, key);
  return effects;
}

function folded(effects: readonly Commanded[], entry: Entry, key: string): readonly Commanded[] {
  switch (entry.kind) {
    case "effect.intended":
    case "undo.intended": {
      if (!keysOf(entry).includes(key)) return effects;
      const { step, params } = entry.facts;
      const more: Commanded = {
        run: entry.run,
        step,
        atMs: entry.atMs,
        params: paramsOf(params),
        state: "open",
      };
      return [...effects, more].slice(-guardEffectsMax);
    }
    case "effect.completed":
    case "undo.completed":
      return settled(effects, { run: entry.run, step: entry.facts.step, state: "done" });
    case "effect.failed":
      return settled(effects, { run: entry.run, step: entry.facts.step, state: "failed" });
    case "effect.settled":
    case "undo.settled": {
      const { decision, step } = entry.facts;
      return settled(effects, { run: entry.run, step, state: decision === "done" ? "done" : "failed" });
    }
    default:
      return effects;
  }
}

/** Large parameters stand in a blob; numbers that guards look at do not. */
function paramsOf(params: ValueMap | { readonly $blob: Sha256 }): ValueMap {
  return "$blob" in params ? {} : params;
}

/** The newest open effect of the step has this outcome. */
function settled(
  effects: readonly Commanded[],
  how: { readonly run: string; readonly step: string; readonly state: "done" | "failed" },
): readonly Commanded[] {
  const { run, step, state } = how;
  const at = effects.findLastIndex(
    (effect) => effect.run === run && effect.step === step && effect.state === "open",
  );
  return effects.map((effect, i) => (i === at ? { ...effect, state } : effect));
}

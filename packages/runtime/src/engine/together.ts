// Changes of several runs in one commit: what waits for an event is matched with the event, never before and never after it.
import { sessionOfSourceKey, type Event } from "@writ/core/event";
import type { EntryDraft, RunEntryKind } from "@writ/core/entry";
import type { RunId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { Value } from "@writ/core/value";
import { decide, type Command, type MachineEntry } from "../machine.ts";
import type { RunState } from "../state.ts";
import type { ActiveRun, Core, RunChange } from "./core.ts";
import { matchOf } from "./waits.ts";

/** An event, and where it is waited for. */
export interface Heard {
  readonly key: string;
  readonly event: Event;
  readonly labels: readonly Label[];
}

export interface Changed {
  readonly drafts: readonly EntryDraft[];
  /** The entries were appended: the runs are what they say, and what follows is carried out. */
  publish(): void;
}

/** What an entry that is appended first lets runs hear. */
export function heardOf(first: EntryDraft | null): Heard | null {
  if (first?.kind !== "event.received") return null;
  const { event, labels, sourceKey } = first.facts;
  return { key: sessionOfSourceKey(sourceKey), event, labels };
}

/** The changes, then a match of every wait that the event means something to; each run is folded in order. */
export function changesWith(
  core: Core,
  changes: readonly {
    readonly run: ActiveRun;
    readonly change: RunChange;
    /** Of a result that the entry holds by its hash. */
    readonly stored?: Value;
  }[],
  heard: Heard | null,
  at: { readonly seq: number; readonly atMs: number },
): Changed {
  const states = new Map<RunId, { readonly run: ActiveRun; state: RunState; commands: Command[] }>();
  const drafts: EntryDraft[] = [];
  const fold = (run: ActiveRun, change: RunChange, stored?: Value): void => {
    const draft: EntryDraft<RunEntryKind> = {
      ...change,
      run: run.run,
      cause: heard?.event.id ?? null,
      actor: { kind: "node" },
      atMs: at.atMs,
    };
    const known = states.get(run.run) ?? { run, state: run.state, commands: [] };
    const entry: MachineEntry = { ...draft, seq: at.seq + drafts.length };
    const { state, commands } = decide(known.state, entry, stored);
    drafts.push(draft);
    states.set(run.run, { run, state, commands: [...known.commands, ...commands] });
  };
  for (const { run, change, stored } of changes) fold(run, change, stored);
  for (const { run, step } of heard === null ? [] : core.waits.waiting(heard.key)) {
    const state = states.get(run.run)?.state ?? run.state;
    if (core.broken.has(run.run) || core.runs.get(run.run) !== run || heard === null) continue;
    const match = matchOf(core, state, step, heard);
    if (match === undefined) continue;
    try {
      fold(run, match);
    } catch (error) {
      core.markBroken(run.run, error, match.kind);
    }
  }
  return {
    drafts,
    publish() {
      // All first: carrying out what follows for one may look at another.
      for (const { run, state } of states.values()) run.state = state;
      for (const { run, state, commands } of states.values()) core.publish(run, state, commands);
    },
  };
}

// Snapshots: the state of a long run, written into the ledger now and then, so that folding it begins there.
//   Y2  A snapshot says after which entry it is; the entries after that one are folded onto it, and it changes nothing itself.
//   Y3  Replay folds from the first entry and compares: a snapshot that is not what the fold gives is a divergence.
import { encodeCbor } from "@writ/core/cbor";
import type { RunEntry } from "@writ/core/entry";
import type { RunId } from "@writ/core/ids";
import { snapshotBytesMax, snapshotEntriesDefault } from "../limits.ts";
import { encodeState } from "../state-codec.ts";
import { store, type ActiveRun, type Core } from "./core.ts";

/** Called after every entry of a run; writes a snapshot after each `snapshotEntries` of them. */
export function createSnapshots(core: Core): (run: ActiveRun) => void {
  const every = core.options.snapshotEntries ?? snapshotEntriesDefault;
  const counts = new WeakMap<ActiveRun, number>();
  return (run) => {
    const count = (counts.get(run) ?? 0) + 1;
    counts.set(run, count < every ? count : 0);
    if (count < every || core.phase() !== "running") return;
    const { state } = run;
    if (state.ended !== null || state.ending !== null) return;
    const value = encodeState(state);
    if (encodeCbor(value).length > snapshotBytesMax) return;
    const written = store(value, core.options).then((stored) => {
      if (core.phase() !== "running" || core.runs.get(run.run) !== run || run.state.ended !== null) return;
      const facts = { after: state.seq, program: state.prepared.hashed.hash, state: stored };
      core.apply(run, { kind: "run.snapshot", facts });
    });
    core.track(written);
  };
}

/** The last snapshot among the entries, and what follows it; undefined when there is none or the links after it do not hold. */
export function lastSnapshot(
  run: RunId,
  entries: readonly RunEntry[],
):
  | { readonly snapshot: Extract<RunEntry, { kind: "run.snapshot" }>; readonly after: readonly RunEntry[] }
  | undefined {
  const snapshot = entries.findLast((entry) => entry.kind === "run.snapshot");
  if (snapshot?.kind !== "run.snapshot") return undefined;
  const after = entries.filter(({ seq }) => seq > snapshot.facts.after);
  const isLinked = after.every(
    (entry, i) => entry.run === run && (i === 0 || entry.runPrevious === after[i - 1]?.hash),
  );
  return isLinked ? { snapshot, after } : undefined;
}

// A long history, made quickly: finished runs of two entries each, `run.started` and `run.ended`, written by the store itself into a data
// folder that no node has open. Real entries in a real chain with real projections; nothing replays them, so nobody misses the steps.
import { setTimeout as sleep } from "node:timers/promises";
import type { EntryDraft } from "@writ/core/entry";
import { eventId, programHash, runId } from "@writ/core/ids";
import { nodeEntropy } from "@writ/store/node-crypto";
import { openStore } from "@writ/store/open-store";

const runsPerBatch = 2000;

export async function writeHistory(
  dataFolder: string,
  runs: number,
  program: string,
): Promise<{ readonly runs: number; readonly entries: number; readonly seconds: number }> {
  const from = performance.now();
  const store = await openStore({
    dataFolder,
    version: "bench",
    entropy: nodeEntropy,
    world: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      randomBelow: (below) => Math.floor(Math.random() * below),
      sleep: (ms) => sleep(ms),
    },
  });
  try {
    for (let done = 0; done < runs;) {
      const count = Math.min(runsPerBatch, runs - done);
      const drafts = Array.from({ length: count }, (_, k) => runOf(done + k, program)).flat();
      await store.ledger.durable(store.ledger.appendAll(drafts).at(-1)?.seq ?? -1);
      done += count;
    }
    const entries = store.ledger.head().seq + 1;
    return { runs, entries, seconds: (performance.now() - from) / 1000 };
  } finally {
    await store.close();
  }
}

function runOf(number: number, program: string): readonly EntryDraft[] {
  const hash = programHash(program);
  const run = runId(`r_0history${String(number).padStart(12, "0")}`);
  const node = { kind: "node" } as const;
  const base = { run, cause: null, actor: node, atMs: 1_795_000_000_000 + number } as const;
  const event = {
    specversion: "1.0",
    id: eventId(`history-${number}`),
    source: `/programs/${program}`,
    type: "writ.manual",
    time: "2026-11-20T08:00:00.000Z",
    data: {},
  } as const;
  return [
    {
      ...base,
      kind: "run.started",
      facts: {
        program: hash,
        event,
        labels: ["origin:event"],
        priority: "normal",
        principal: node,
        workspace: "bench",
      },
    },
    { ...base, kind: "run.ended", facts: { status: "finished", result: null, fault: null } },
  ];
}

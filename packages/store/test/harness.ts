// Shared by the tests of this package: drafts of entries, a store on a simulated disk.
import type { EntryDraft } from "@writ/core/entry";
import { eventId, programHash, runId, stepId, type RunId } from "@writ/core/ids";
import type { Disk } from "@writ/core/ports";
import { createKeys, type NodeKeys } from "@writ/store/keys";
import type { LedgerLimits } from "@writ/store/limits";
import { openStore, type Store } from "@writ/store/open-store";
import type { SimulatedWorld } from "@writ/testkit/simulated-world";

/** Small, so that a few hundred entries roll segments and sign checkpoints. */
export const smallLimits: Partial<LedgerLimits> = {
  segmentBytesMax: 32 * 1024,
  frameBytesMax: 8 * 1024,
  preallocateBytes: 4 * 1024,
  checkpointEntries: 64,
  runTailsMax: 4,
};

export const testProgram = programHash("ab".repeat(32));
const node = { kind: "node" } as const;

export function run(number: number): RunId {
  return runId(`r_${String(number).padStart(10, "0")}`);
}

export function runStarted(id: RunId, atMs = 1): EntryDraft<"run.started"> {
  const event = {
    specversion: "1.0",
    id: eventId(`e-${id}`),
    source: "/sources/inbox",
    type: "filesystem.file_arrived",
    time: "2026-11-20T08:00:00Z",
    data: { path: "inbox/a.csv" },
  } as const;
  return {
    kind: "run.started",
    run: id,
    cause: null,
    actor: node,
    atMs,
    facts: {
      program: testProgram,
      event,
      labels: [],
      priority: "normal",
      principal: node,
      workspace: "demo",
    },
  };
}

export function timerSet(id: RunId, attempt: number, atMs = 1): EntryDraft<"timer.set"> {
  const facts = { step: stepId("wait"), attempt, atMs: 5, why: "wait" } as const;
  return { kind: "timer.set", run: id, cause: null, actor: node, atMs, facts };
}

export function runEnded(id: RunId, atMs = 1): EntryDraft<"run.ended"> {
  const facts = { status: "finished", result: null, fault: null } as const;
  return { kind: "run.ended", run: id, cause: null, actor: node, atMs, facts };
}

/** Made once: a key pair of ML-DSA costs milliseconds. */
export const testKeys: NodeKeys = createKeys();

export function simulatedStore(disk: Disk, world: SimulatedWorld): Promise<Store> {
  return openStore({
    disk,
    keys: testKeys,
    world,
    entropy: world.entropy,
    version: "0.1.0",
    limits: smallLimits,
  });
}

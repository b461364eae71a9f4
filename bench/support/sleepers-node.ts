// One phase of `bench/sleepers.ts`: fills a data folder, or opens it as a node does.
import process from "node:process";
import { capabilityId, eventId, runId, stepId } from "@writ/core/ids";
import type { EntryDraft } from "@writ/core/entry";
import { hashedProgram } from "@writ/core/program-codec";
import type { Policy } from "@writ/core/ports";
import { sha256 } from "@writ/core/ids";
import { createEngine, type Engine } from "@writ/runtime/engine";
import { followRegistry } from "@writ/server/node/registry";
import { systemEntropy, systemWorld } from "@writ/server/world";
import { nodeHasher } from "@writ/store/node-crypto";
import { openStore, type Store } from "@writ/store/open-store";

declare const gc: () => void;

const [folder = "", phase, ...counts] = process.argv.slice(2);
const dayMs = 24 * 3_600_000;
const program = hashedProgram(
  {
    format: 1,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: 30 * dayMs,
    concurrencyMax: 1_000_000,
    capabilities: [],
    invariants: [],
    workspace: {
      name: "bench",
      zone: "UTC",
      profile: "power_user",
      folders: [],
      files: [],
      roles: [],
      columns: [],
      hosts: [],
    },
    slots: [],
    body: {
      steps: [
        {
          id: stepId("sleep"),
          after: [],
          tolerates: [],
          op: { op: "wait", until: { kind: "duration", ms: dayMs } },
          failure: { kind: "safe_halt" },
          timeoutMs: null,
        },
      ],
    },
  },
  nodeHasher,
);
const policy: Policy = { hash: sha256("0".repeat(64)), decide: () => ({ kind: "permit" }) };
const event = (i: number) => ({
  specversion: "1.0" as const,
  id: eventId(`e${i}`),
  source: "/bench",
  type: "bench.run",
  time: "2026-01-01T00:00:00.000Z",
  data: { number: i },
});

async function open(): Promise<{ store: Store; engine: Engine; ms: Record<string, number> }> {
  const startedMs = performance.now();
  const ms: Record<string, number> = {};
  const store = await openStore({
    dataFolder: folder,
    world: systemWorld,
    entropy: systemEntropy,
    version: "bench",
  });
  ms["openStore"] = performance.now() - startedMs;
  const registry = await followRegistry(store);
  ms["registry"] = performance.now() - startedMs;
  const engine = createEngine({
    ledger: store.ledger,
    blobs: registry.blobs,
    modules: { find: () => undefined, all: () => [], sources: () => [] },
    policy: () => policy,
    registry: registry.now,
    world: systemWorld,
    entropy: systemEntropy,
    hasher: nodeHasher,
    loadProgram: () => Promise.resolve(program),
    unfinishedRuns: async () => store.projections.unfinishedRuns(),
    parked: store.projections.parked,
  });
  await engine.recover();
  ms["recovered"] = performance.now() - startedMs;
  return { store, engine, ms };
}

function report(what: string, facts: Readonly<Record<string, unknown>>): void {
  gc();
  const { rss, heapUsed } = process.memoryUsage();
  process.stdout.write(
    `${JSON.stringify({ what, ...facts, rssMb: Math.round(rss / 1e5) / 10, heapMb: Math.round(heapUsed / 1e5) / 10 })}\n`,
  );
}

/** Runs of one effect each, as the engine would record them. */
async function history(store: Store, count: number): Promise<void> {
  const node = { kind: "node" } as const;
  const base = { cause: null, actor: node } as const;
  const capability = capabilityId("bench.count@1.0.0");
  const step = stepId("a1");
  for (let i = 0; i < count; i++) {
    const atMs = Date.now();
    const seconds = Math.floor(atMs / 1000).toString(16);
    const random = Buffer.from(systemEntropy.bytes(8)).toString("hex");
    const run = runId(`r_${seconds}${random}`);
    const drafts: readonly EntryDraft[] = [
      {
        ...base,
        kind: "run.started",
        run,
        atMs,
        facts: {
          program: program.hash,
          event: event(i),
          labels: [],
          priority: "normal",
          principal: node,
          workspace: "bench",
        },
      },
      {
        ...base,
        kind: "effect.intended",
        run,
        atMs,
        facts: {
          step,
          attempt: 1,
          capability,
          params: { name: `effect ${i}` },
          verdict: { kind: "allow", policy: policy.hash, approval: null },
          targets: [],
          before: {},
          key: random,
          effect: "write",
        },
      },
      {
        ...base,
        kind: "effect.completed",
        run,
        atMs,
        facts: {
          step,
          attempt: 1,
          result: { kind: "inline", value: { counted: i } },
          labels: [],
          undo: null,
          evidence: "observed",
          resolved: false,
        },
      },
      { ...base, kind: "run.ended", run, atMs, facts: { status: "finished", result: null, fault: null } },
    ];
    const last = store.ledger.appendAll(drafts).at(-1);
    if (i % 500 === 499) await store.ledger.durable(last?.seq ?? 0);
  }
}

const { store, engine, ms } = await open();
if (phase === "fill") {
  const [finished = 0, sleeping = 0] = counts.map(Number);
  const { seq } = store.ledger.append({
    kind: "workspace.added",
    run: null,
    cause: null,
    actor: { kind: "node" },
    atMs: Date.now(),
    facts: {
      name: "bench",
      root: "/bench",
      file: {
        kind: "inline",
        value: {
          version: 1,
          name: "bench",
          zone: "UTC",
          currencies: [],
          folders: {},
          files: {},
          roles: {},
          tables: {},
          hosts: [],
          profile: "power_user",
        },
      },
    },
  });
  await store.ledger.durable(seq);
  report("empty", {});
  let fromMs = performance.now();
  await history(store, finished);
  report("history", { finished, seconds: Math.round((performance.now() - fromMs) / 100) / 10 });
  fromMs = performance.now();
  let busy = 0;
  for (let i = 0; i < sleeping;) {
    try {
      const { durable } = engine.startRun({
        program,
        event: event(i),
        labels: [],
        principal: { kind: "node" },
        workspace: "bench",
      });
      i++;
      if (i % 500 === 0) await durable;
    } catch {
      busy++;
      await systemWorld.sleep(100);
    }
  }
  const seconds = Math.round((performance.now() - fromMs) / 100) / 10;
  while (engine.load().active > 0) await systemWorld.sleep(200);
  report("sleeping", { sleeping, seconds, busy, ...engine.load() });
} else {
  const queries: Record<string, number> = {};
  const timed = (name: string, query: () => unknown): void => {
    const fromMs = performance.now();
    query();
    queries[name] = Math.round((performance.now() - fromMs) * 10) / 10;
  };
  timed("countsMs", () => store.projections.counts());
  timed("newestRunsMs", () => store.projections.runs({ limit: 50 }));
  timed("finishedRunsMs", () => store.projections.runs({ status: "finished", limit: 50 }));
  timed("waitingRunsMs", () => store.projections.runs({ status: "running", limit: 50 }));
  const rounded = Object.fromEntries(
    Object.entries(ms).map(([name, value]) => [`${name}Ms`, Math.round(value)]),
  );
  report("start", { entries: store.ledger.head().seq + 1, ...rounded, ...engine.load(), ...queries });
}
await engine.stop();
await store.close("done");

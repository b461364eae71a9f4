// The ledger alone, on a real disk: entries made durable and entries verified, beside what the disk itself can do.
//   node --conditions=@writ/source bench/ledger.ts [--seconds 3] [--entries 200000]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeEntry, encodeEntry, readEnvelope } from "@writ/core/entry-codec";
import type { EntryDraft } from "@writ/core/entry";
import { eventId, programHash, runId, sha256, stepId, type RunId } from "@writ/core/ids";
import { decimal } from "@writ/core/value";
import { nodeEntropy } from "@writ/store/node-crypto";
import { openStore, type Store } from "@writ/store/open-store";
import { verifyFolder } from "@writ/store/verify-folder";
import { numberArgument } from "./support/arguments.ts";
import { fdatasyncRate, percentile, report, rounded } from "./support/figures.ts";

const seconds = numberArgument("seconds", 3);
const entriesToVerify = numberArgument("entries", 200_000);

const node = { kind: "node" } as const;
const program = programHash("ab".repeat(32));
const actor = { kind: "program", program } as const;
let runs = 0;

function nextRun(): RunId {
  return runId(`r_${String(runs++).padStart(24, "0")}`);
}

/** A run of one event and three effects, as the machine records it: eight entries. */
function draftsOf(run: RunId): readonly EntryDraft[] {
  const base = { run, cause: null, actor, atMs: 1_795_000_000_000 } as const;
  const event = {
    specversion: "1.0",
    id: eventId(`event-${run}`),
    source: "/sources/invoices/inbox",
    type: "filesystem.file_arrived",
    time: "2026-11-20T08:00:00.000Z",
    data: { path: "inbox/2026-11-invoice-0042.csv", name: "2026-11-invoice-0042.csv", sizeBytes: 1834 },
  } as const;
  const effects = [1, 2, 3].flatMap((number): readonly EntryDraft[] => [
    {
      ...base,
      kind: "timer.set",
      facts: { step: stepId(`step_${number}`), attempt: 1, atMs: 1_795_000_060_000, why: "timeout" },
    },
    {
      ...base,
      kind: "effect.completed",
      facts: {
        step: stepId(`step_${number}`),
        attempt: 1,
        result: { kind: "inline", value: { sum: decimal("10000.01"), rows: 12 } },
        labels: ["origin:file"],
        undo: null,
        evidence: "observed",
        resolved: false,
      },
    },
  ]);
  return [
    {
      ...base,
      actor: node,
      kind: "run.started",
      facts: {
        program,
        event,
        labels: ["origin:event"],
        priority: "normal",
        principal: actor,
        workspace: "invoices",
      },
    },
    ...effects,
    { ...base, kind: "run.ended", facts: { status: "finished", result: null, fault: null } },
  ];
}

function microseconds(count: number, operation: () => unknown): number {
  for (let i = 0; i < count / 10; i++) operation();
  const from = performance.now();
  for (let i = 0; i < count; i++) operation();
  return ((performance.now() - from) * 1000) / count;
}

function codec(): void {
  const [, , draft] = draftsOf(nextRun());
  if (draft === undefined) throw new Error("no draft");
  const hash = new Uint8Array(32).fill(7);
  const place = { node: store.node, epoch: 1, seq: 123_456, previousHash: hash, runPrevious: hash };
  const bytes = encodeEntry(draft, place);
  const text = sha256("cd".repeat(32));
  const figures = [
    ["encode an entry", microseconds(200_000, () => encodeEntry(draft, place))],
    ["decode an entry", microseconds(200_000, () => decodeEntry(bytes, text))],
    ["read the envelope of an entry", microseconds(200_000, () => readEnvelope(bytes))],
  ] as const;
  for (const [figure, value] of figures)
    report({ bench: "ledger", figure, value: rounded(value), unit: "µs", entryBytes: bytes.length });
}

/** That many callers, each appending one entry and waiting until it is durable, one run after another. */
async function append(waiting: number): Promise<void> {
  const untilMs = performance.now() + seconds * 1000;
  const waits: number[] = [];
  let commits = 0;
  const stop = store.ledger.subscribe(() => commits++);
  const caller = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      for (const draft of draftsOf(nextRun())) {
        const from = performance.now();
        await store.ledger.durable(store.ledger.append(draft).seq);
        waits.push(performance.now() - from);
      }
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: waiting }, caller));
  const elapsedMs = performance.now() - from;
  stop();
  report({
    bench: "ledger",
    figure: "entries appended, each awaited until durable",
    value: rounded((waits.length * 1000) / elapsedMs, 0),
    unit: "1/s",
    waiting,
    commitsPerSecond: rounded((commits * 1000) / elapsedMs, 0),
    p50Ms: rounded(percentile(waits, 0.5)),
    p99Ms: rounded(percentile(waits, 0.99)),
  });
}

async function fill(entries: number): Promise<void> {
  for (let seq = store.ledger.head().seq; seq < entries;) {
    // 128 runs side by side, as a busy node has them.
    const sideBySide = Array.from({ length: 128 }, () => draftsOf(nextRun()));
    for (let k = 0; k < 8; k++) {
      for (const drafts of sideBySide) {
        const draft = drafts[k];
        if (draft !== undefined) seq = store.ledger.append(draft).seq;
      }
      await store.ledger.durable(seq);
    }
  }
}

const folder = await mkdtemp(path.join(tmpdir(), "writ-bench-"));
const open = (): Promise<Store> =>
  openStore({
    dataFolder: folder,
    version: "bench",
    entropy: nodeEntropy,
    world: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      randomBelow: (below) => Math.floor(Math.random() * below),
      sleep: (ms) => sleep(ms),
    },
  });
let store = await open();
try {
  for (const kind of ["append", "overwrite"] as const) {
    report({
      bench: "ledger",
      figure: `raw fdatasync of 4 KiB, ${kind}`,
      value: rounded(await fdatasyncRate(kind, seconds, folder), 0),
      unit: "1/s",
    });
  }
  codec();
  for (const waiting of [1, 16, 128]) await append(waiting);
  await fill(entriesToVerify);
  const memoryMb = rounded(process.memoryUsage().rss / 1024 / 1024, 0);
  const entries = store.ledger.head().seq + 1;
  await store.close();

  let from = performance.now();
  const cpuBefore = process.cpuUsage();
  const verified = await verifyFolder(folder);
  const verifyMs = performance.now() - from;
  const cpu = process.cpuUsage(cpuBefore);
  if (verified.bad !== null) throw new Error(`The ledger does not verify: ${verified.bad.message}`);
  report({
    bench: "ledger",
    figure: "entries verified: chain, runs, checkpoints",
    value: rounded((verified.entries * 1000) / verifyMs, 0),
    unit: "1/s",
    perCpuSecond: rounded((verified.entries * 1_000_000) / (cpu.user + cpu.system), 0),
    entries: verified.entries,
    checkpoints: verified.checkpoints,
    runs: verified.runs,
  });
  from = performance.now();
  store = await open();
  report({
    bench: "ledger",
    figure: "opening a data folder",
    value: rounded(performance.now() - from, 0),
    unit: "ms",
    entries,
    memoryMbBefore: memoryMb,
  });
} finally {
  await store.close().catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
}

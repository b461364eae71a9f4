// One run as a file that proves itself: gathered here, checked anywhere (`core/run-export`).
import type { RunExportFile } from "@writ/core/api";
import { fromHex, toBase64, toHex } from "@writ/core/bytes";
import { encodeEntry, readEnvelope } from "@writ/core/entry-codec";
import type { Entry, NodeEntry, RunEntry } from "@writ/core/entry";
import { sha256, type ProgramHash, type RunId } from "@writ/core/ids";
import { calledRuns, encodeRunExport, programsOf } from "@writ/core/run-export";
import type { ProvedEntries } from "@writ/store/prove";
import { fault } from "../faults.ts";
import { exportBlobBytesMax, exportEntriesMax, exportLookBackEntries } from "../limits.ts";
import { bytesOf, type NodeContext } from "./context.ts";
import { findProgram } from "./programs.ts";

export interface ExportParts {
  readonly nodeEntries: () => AsyncIterable<NodeEntry>;
  readonly prove: (seqs: readonly number[]) => Promise<ProvedEntries>;
}

/** @throws run.unknown, program.unknown, store.blob-missing, store.blob-damaged */
export async function exportRun(node: NodeContext, parts: ExportParts, run: RunId): Promise<RunExportFile> {
  const runs = await withCalled(node, run);
  const own = runs.flat();
  const [started] = own;
  if (started?.kind !== "run.started") throw fault("run.unknown", `Cannot find the run \`${run}\``, { run });
  const hashes = programsOf(own);
  const received = await receivedEntry(node, started);
  const decisions = await decisionsOn(parts, hashes);
  const entries = [...decisions, ...(received === null ? [] : [received]), ...own].sort(
    (a, b) => a.seq - b.seq,
  );
  const { checkpoint, size, proofs } = await parts.prove(entries.map(({ seq }) => seq));
  const encoded = entries.map((entry) => ({
    bytes: bytesOfEntry(entry),
    proof: proofs.get(entry.seq) ?? [],
  }));
  const blobs = await blobsOf(
    node,
    encoded.flatMap(({ bytes }) => readEnvelope(bytes).blobs),
  );
  const programs = await Promise.all(hashes.map((hash) => envelopeOf(node, hash)));
  const bytes = encodeRunExport({
    run,
    checkpoint,
    entries: encoded,
    programs,
    blobs: blobs.kept,
  });
  return {
    name: `${run}.writ`,
    bytes: toBase64(bytes),
    sizeBytes: bytes.length,
    entries: entries.length,
    treeSize: size,
    blobsMissing: blobs.missing,
  };
}

/** The run and those it called, in the order in which the file holds their programs. @throws run.unknown, run.export-too-large */
async function withCalled(
  { ledger }: Pick<NodeContext, "ledger">,
  run: RunId,
): Promise<readonly (readonly RunEntry[])[]> {
  const runs: (readonly RunEntry[])[] = [];
  const pending = [run];
  let count = 0;
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    const entries = await ledger.readRun(next);
    if (entries.length === 0) throw fault("run.unknown", `Cannot find the run \`${next}\``, { run: next });
    count += entries.length;
    if (count > exportEntriesMax) {
      throw fault("run.export-too-large", `Cannot export the run \`${run}\`: it has too many entries`, {
        run,
        exportEntriesMax,
      });
    }
    runs.push(entries);
    pending.push(...calledRuns(entries));
  }
  return runs;
}

/** @throws program.unknown, program.not-approved, store.blob-missing, store.blob-damaged */
async function envelopeOf(node: NodeContext, hash: ProgramHash): Promise<Uint8Array> {
  const { approval, name } = findProgram(node, hash);
  if (approval !== null) return await bytesOf(node.blobs, approval.envelope);
  throw fault("program.not-approved", `Cannot export a run of \`${name}\`: nobody has approved this hash`, {
    program: hash,
  });
}

/** What introduces the node and its keys, and what was decided on the programs. */
export async function decisionsOn(
  { nodeEntries }: Pick<ExportParts, "nodeEntries">,
  programs: readonly ProgramHash[],
): Promise<readonly NodeEntry[]> {
  const found: NodeEntry[] = [];
  for await (const entry of nodeEntries()) {
    const isKey =
      entry.kind === "ledger.created" || entry.kind === "key.added" || entry.kind === "key.revoked";
    if (isKey || ("program" in entry.facts && programs.includes(entry.facts.program))) found.push(entry);
  }
  return found;
}

/** The entry that recorded the event of a run, near before its start; null for a run that somebody asked for. */
export async function receivedEntry(
  { ledger }: Pick<NodeContext, "ledger">,
  started: RunEntry & { readonly kind: "run.started" },
): Promise<Entry | null> {
  const { id } = started.facts.event;
  let found: Entry | null = null;
  for await (const entry of ledger.scan(Math.max(0, started.seq - exportLookBackEntries), started.seq)) {
    if (entry.kind === "event.received" && entry.facts.event.id === id) found = entry;
  }
  return found;
}

function bytesOfEntry(entry: Entry): Uint8Array {
  const { seq, node, epoch, previousHash, runPrevious } = entry;
  return encodeEntry(entry, {
    seq,
    node,
    epoch,
    previousHash: fromHex(previousHash),
    runPrevious: runPrevious === null ? null : fromHex(runPrevious),
  });
}

/** As many as fit; the verifier lists the others by their hash. */
async function blobsOf(
  { blobs, hasher }: Pick<NodeContext, "blobs" | "hasher">,
  names: readonly string[],
): Promise<{ readonly kept: readonly Uint8Array[]; readonly missing: number }> {
  const kept: Uint8Array[] = [];
  let sizeBytes = 0;
  let missing = 0;
  for (const name of [...new Set(names)].sort()) {
    const bytes = await blobs.get(sha256(name)).catch(() => undefined);
    if (bytes === undefined || sizeBytes + bytes.length > exportBlobBytesMax) missing++;
    else {
      if (toHex(hasher.sha256(bytes)) !== name) throw new Error("Invariant broken: a blob has its own hash");
      sizeBytes += bytes.length;
      kept.push(bytes);
    }
  }
  return { kept, missing };
}

// A memory on a ledger in memory: folds durable entries as the projections do, so that the engine can be tested with it.
import { isMap, type Value, type ValueMap } from "@writ/core/value";
import { runId, sha256 } from "@writ/core/ids";
import { labels as allLabels } from "@writ/core/label";
import type { Memory, MemoryPlace, Models, Modules, Remembered } from "@writ/core/ports";
import { rememberCapability, restoreMemoryCapability } from "@writ/core/program-steps";
import { builtInModules } from "@writ/modules/registry";
import type { MemoryLedger } from "./memory-ledger.ts";

export function ledgerMemory(ledger: MemoryLedger): Memory {
  return {
    find: (place) => fold(ledger).get(textOf(place)) ?? null,
    list: ({ scope, owner, limit, after = "" }) =>
      [...fold(ledger).values()]
        .filter((one) => one.scope === scope && one.owner === owner && one.key > after)
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit),
  };
}

/** A site's capabilities, and beside them the real ones of memory and models. */
export function withMemory(site: Modules, ledger: MemoryLedger, models?: Models): Modules {
  const memory = ledgerMemory(ledger);
  const ours = builtInModules({ memory, ...(models === undefined ? {} : { models }) });
  return {
    find: (id) => site.find(id) ?? ours.find(id),
    all: () => [...site.all(), ...ours.all()],
    sources: () => site.sources(),
  };
}

function fold(ledger: MemoryLedger): ReadonlyMap<string, Remembered> {
  const known = new Map<string, Remembered>();
  const writers = new Map<string, string>();
  const restores = new Map<string, ValueMap>();
  for (const entry of ledger.entries()) {
    if (entry.seq > ledger.durableSeq()) break;
    if (entry.kind === "memory.forgotten") known.delete(textOf(entry.facts));
    if (entry.kind === "effect.intended" && entry.facts.capability === rememberCapability)
      writers.set(`${entry.run} ${entry.facts.step}`, entry.facts.key);
    if (entry.kind === "undo.intended" && entry.facts.capability === restoreMemoryCapability)
      restores.set(`${entry.run} ${entry.facts.step}`, mapOf({ ...entry.facts.params }));
    if (entry.kind === "effect.completed") {
      const { step, result, labels } = entry.facts;
      const writer = writers.get(`${entry.run} ${step}`);
      if (writer === undefined || result.kind !== "inline") continue;
      const { run, seq, atMs } = entry;
      const value = mapOf(result.value)["value"] ?? null;
      const said = rememberedOf(mapOf(result.value), { value, labels: [...labels], writer, run, seq, atMs });
      known.set(textOf(said), said);
    }
    if (entry.kind === "undo.completed") {
      const params = restores.get(`${entry.run} ${entry.facts.step}`);
      if (params === undefined) continue;
      const previous = params["previous"] ?? null;
      if (isMap(previous)) known.set(textOf(placeOf(params)), rememberedOf(params, previous));
      else known.delete(textOf(placeOf(params)));
    }
  }
  return known;
}

function rememberedOf(place: ValueMap, { value, labels, writer, run, seq, atMs }: ValueMap): Remembered {
  const { inline, $blob: blob, sizeBytes } = mapOf(value);
  const known = Array.isArray(labels) ? labels : [];
  return {
    ...placeOf(place),
    value:
      inline instanceof Uint8Array ? { inline } : { blob: sha256(text(blob)), sizeBytes: Number(sizeBytes) },
    labels: allLabels.filter((label) => known.includes(label)),
    writer: text(writer),
    run: runId(text(run)),
    seq: Number(seq),
    atMs: Number(atMs),
  };
}

function placeOf({ scope, owner, key }: ValueMap): MemoryPlace {
  return { scope: scope === "workspace" ? "workspace" : "program", owner: text(owner), key: text(key) };
}

function textOf({ scope, owner, key }: MemoryPlace): string {
  return JSON.stringify([scope, owner, key]);
}

function mapOf(value: Value | undefined): ValueMap {
  return value !== undefined && isMap(value) ? value : {};
}

function text(value: Value | undefined): string {
  if (typeof value !== "string") throw new Error("the simulation wrote no text");
  return value;
}

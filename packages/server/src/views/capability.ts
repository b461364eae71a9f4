// What is shown of a capability, and the search over them.
import type { CapabilityDetail, CapabilitySummary } from "@writ/core/api";
import type { CapabilityDefinition } from "@writ/core/capability";
import { toJson, parseValue, type Json } from "@writ/core/value";

type JsonObject = { readonly [key: string]: Json };

export function capabilitySummary(definition: CapabilityDefinition, isRevoked: boolean): CapabilitySummary {
  return {
    id: definition.id,
    summary: { ...definition.summary },
    effect: definition.effect.kind,
    risk: definition.risk,
    criticality: definition.criticality,
    permission: definition.permission,
    phrases: { en: [...definition.phrases.en], fr: [...definition.phrases.fr] },
    revoked: isRevoked,
  };
}

export function capabilityDetail(definition: CapabilityDefinition, isRevoked: boolean): CapabilityDetail {
  const { effect } = definition;
  return {
    ...capabilitySummary(definition, isRevoked),
    params: schemaAsJson(definition.params),
    result: schemaAsJson(definition.result),
    undo: effect.kind === "write" ? effect.undo : null,
    crash: definition.crash,
    labels: [...definition.labels],
    timeoutMs: definition.timeoutMs,
    resultBytesMax: definition.resultBytesMax,
    retryOn: [...definition.retryOn],
  };
}

/** Best first: words found in the id count most, then summary and phrases; all are kept when there is no word. */
export function searchCapabilities(
  definitions: readonly CapabilityDefinition[],
  search: string,
): readonly CapabilityDefinition[] {
  const words = [
    ...new Set(
      foldText(search)
        .split(/[^a-z0-9]+/)
        .filter((word) => word.length > 1),
    ),
  ];
  if (words.length === 0) return definitions;
  return definitions
    .map((definition) => ({ definition, score: scoreOf(definition, words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || (a.definition.id < b.definition.id ? -1 : 1))
    .map(({ definition }) => definition);
}

/** Up to five names that share the most pairs of neighbouring letters with what was written (Dice's coefficient). */
export function closestNames(written: string, names: readonly string[]): readonly string[] {
  const wanted = pairs(written);
  return [...new Set(names)]
    .map((name) => {
      const own = pairs(name);
      const shared = [...own].filter((pair) => wanted.has(pair)).length;
      return { name, score: (2 * shared) / Math.max(1, own.size + wanted.size) };
    })
    .filter(({ score }) => score > 0.3)
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .slice(0, 5)
    .map(({ name }) => name);
}

function pairs(text: string): ReadonlySet<string> {
  const folded = foldText(text.replace(/@.*$/, ""));
  return new Set(Array.from({ length: Math.max(0, folded.length - 1) }, (_, i) => folded.slice(i, i + 2)));
}

function scoreOf(definition: CapabilityDefinition, words: readonly string[]): number {
  const id = foldText(definition.id);
  const said = foldText(
    [...Object.values(definition.summary), ...Object.values(definition.phrases).flat()].join(" "),
  );
  let score = 0;
  for (const word of words) {
    // "files" finds "file", "delete" finds "deletes".
    const stem = word.length > 4 ? word.replace(/e?s$/, "") : word;
    if (id.includes(stem)) score += 3;
    if (said.includes(stem)) score += 1;
  }
  return score;
}

function foldText(text: string): string {
  return text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
}

/** A schema is data; TypeBox's marks are not enumerable and fall away. */
function schemaAsJson(schema: object): JsonObject {
  return toJson(parseValue(JSON.parse(JSON.stringify(schema)))) as JsonObject;
}

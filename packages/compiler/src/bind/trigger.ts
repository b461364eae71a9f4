// The trigger: source, configuration and the conditions that the event alone decides.
import type { Catalog, SourceDefinition } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import { capabilityName } from "@writ/core/ids";
import type { Trigger } from "@writ/core/program";
import { schemaProblems } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import { daysAt } from "../language/grammar-times.ts";
import { conditionAt } from "../language/nodes.ts";
import type { DayWindow, NodeKey, Term, TriggerNode } from "../language/tree.ts";
import { keywords } from "../language/vocabulary.ts";
import { ruleProblem } from "../rule-problems.ts";
import { bindCondition } from "./conditions.ts";
import { termsOf } from "./nouns.ts";
import { arrivedFile, notePath } from "./paths.ts";
import { Chain, type Binding } from "./state.ts";
import { placePath, sorted } from "./terms.ts";

export function sourceOf(start: TriggerNode, catalog: Catalog): SourceDefinition | null {
  switch (start.k) {
    case "event":
      return catalog.sources.find(({ id }) => id === start.source) ?? null;
    case "every":
    case "at":
      return catalog.sources.find(({ id }) => capabilityName(id) === "clock.tick") ?? null;
    case "request":
      return null;
  }
}

export function watchedFolder(start: TriggerNode, catalog: Catalog): string | null {
  if (start.k !== "event") return null;
  for (const term of Object.values(start.args)) {
    if (term.k === "place" && term.of === "folder") return term.name;
    if (term.k === "path") {
      const path = term.path.replace(/\/$/u, "");
      const found = Object.entries(catalog.workspace.folders).find(([, folder]) => folder.path === path);
      if (found !== undefined) return found[0];
    }
  }
  return null;
}

export interface Guard {
  /** Conditions on the event alone: the trigger's filter. */
  readonly filter: readonly NodeKey[];
  /** Conditions that need a read: the first thing the run decides. */
  readonly inside: readonly NodeKey[];
  readonly windows: readonly DayWindow[];
}

export const noGuard: Guard = { filter: [], inside: [], windows: [] };

export function splitGuard(binding: Binding, where: NodeKey): Guard {
  const node = conditionAt(binding.tree, where);
  const parts = node.k === "and" ? node.of : [where];
  const filter: NodeKey[] = [];
  const inside: NodeKey[] = [];
  const windows: DayWindow[] = [];
  for (const key of parts) {
    const part = conditionAt(binding.tree, key);
    if (part.k === "clock") windows.push({ from: part.from, to: part.to, days: part.days });
    else if (termsOf(binding, key).some(({ term }) => term.k === "noun")) inside.push(key);
    else filter.push(key);
  }
  return { filter, inside, windows };
}

export function conjunction(
  binding: Binding,
  keys: readonly NodeKey[],
  at: Parameters<typeof bindCondition>[2],
): Expression | null {
  const parts = keys.map((key) => bindCondition(binding, key, at));
  return parts.reduce((left, right) =>
    left === null || right === null ? null : { kind: "binary", operator: "&&", left, right },
  );
}

export function bindTrigger(binding: Binding, start: TriggerNode, guard: Guard): Trigger | null {
  const trigger = triggerOf(binding, start, guard);
  if (trigger?.kind !== "source" || binding.source === null) return trigger;
  for (const { at, message } of schemaProblems(binding.source.config, trigger.config))
    binding.problems.push(
      ruleProblem(
        "rule.value",
        `Cannot listen to \`${binding.source.id}\` so: \`${at}\` ${message}`,
        binding.spanOf(binding.tree.trigger),
      ),
    );
  return trigger;
}

function triggerOf(binding: Binding, start: TriggerNode, guard: Guard): Trigger | null {
  const { tree, source } = binding;
  const { throttleMs } = tree.limits;
  if (start.k === "request") return { kind: "manual" };
  if (source === null) return null;
  const zone = binding.catalog.workspace.zone;
  switch (start.k) {
    case "event": {
      const file = arrivedFile(Object.keys(keywords(source.event).properties ?? {}));
      const filter =
        guard.filter.length === 0
          ? null
          : conjunction(binding, guard.filter, { chain: new Chain(binding, new Map()), file });
      const config: Record<string, Value> = {};
      for (const [param, term] of Object.entries(start.args)) config[param] = configValue(binding, term);
      return {
        kind: "source",
        source: source.id,
        config: sorted(config),
        filter: filter === null ? null : renderExpression(filter),
        holdMs: start.holdMs,
        throttleMs,
      };
    }
    case "every":
      return {
        kind: "source",
        source: source.id,
        config: { every_ms: start.ms },
        filter: null,
        holdMs: 0,
        throttleMs,
      };
    case "at":
      return {
        kind: "source",
        source: source.id,
        config: { cron: cronOf(start.minute % 1440, daysAt(start.minute, start.days)), zone },
        filter: null,
        holdMs: 0,
        throttleMs,
      };
  }
}

/** Five fields: minute, hour, day of the month, month, day of the week. */
function cronOf(minute: number, days: readonly number[]): string {
  return `${minute % 60} ${Math.floor(minute / 60)} * * ${days.length === 0 ? "*" : days.join(",")}`;
}

function configValue(binding: Binding, term: Term): Value {
  switch (term.k) {
    case "place":
      return placePath(binding, term);
    case "path":
      notePath(binding, term.path);
      return term.path.replace(/\/$/u, "");
    case "text":
      return term.text;
    case "quantity":
      return Number(term.value);
    case "url":
      return term.url;
    case "role":
      return term.name;
    case "file":
    case "field":
    case "time":
    case "noun":
    case "list":
      return null;
  }
}

// Tree to program: names, units and things resolved to exact versions; nothing of the language is left.
//   R10 Step ids are s1, s2 … in reading order; a read stands before its first use.
//   R11 What of the workspace the program used is frozen into it, and nothing else.
import type { Catalog, SourceDefinition } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import { capabilityName, roleName, slotName } from "@writ/core/ids";
import { approvalTimeoutMsDefault, runTimeoutMsDefault } from "@writ/core/limits";
import type {
  Block,
  FrozenWorkspace,
  Invariant,
  Program,
  ProgramSource,
  TimeWindow,
  Trigger,
} from "@writ/core/program";
import { schemaProblems, type Schema } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import type { Reading } from "../language/parse.ts";
import type {
  ConditionNode,
  DayWindow,
  InvariantNode,
  NodeKey,
  StepNode,
  Term,
  TriggerNode,
} from "../language/tree.ts";
import { keywords } from "../language/vocabulary.ts";
import { ruleProblem, type RuleProblem } from "../rule-problems.ts";
import { addAct, areIndependent, arrivedFile, bindAct, notePath, type BoundAct } from "./acts.ts";
import { bindCondition } from "./conditions.ts";
import { Binding, Chain, type FileState } from "./state.ts";
import { placePath, sorted } from "./terms.ts";

export type Bound =
  | { readonly kind: "bound"; readonly program: Program; readonly spans: ProgramSource["spans"] }
  | { readonly kind: "problems"; readonly problems: readonly RuleProblem[] };

/** Runs of one rule at once: a run that waits for a person must not keep the next file waiting. */
const runsAtOnce = 128;

export function bindTree(reading: Reading, catalog: Catalog): Bound {
  const { tree, spans } = reading;
  const start = tree.nodes[tree.trigger] as TriggerNode;
  const source = sourceOf(start, catalog);
  const binding = new Binding({ catalog, tree, spans, source, folder: watchedFolder(start, catalog) });
  if (source === null && start.k !== "request") {
    binding.problems.push(
      ruleProblem(
        "rule.unknown-source",
        "Cannot find an event source for this trigger",
        binding.spanOf(tree.trigger),
      ),
    );
    return { kind: "problems", problems: binding.problems };
  }
  const event = Object.keys(keywords(source?.event).properties ?? {});
  const guard = start.k === "event" && start.where !== null ? splitGuard(binding, start.where) : noGuard;
  const trigger = bindTrigger(binding, start, guard);
  const chain = new Chain(binding, new Map());
  const file = arrivedFile(event);
  if (guard.inside.length > 0) bindGuarded(binding, chain, guard.inside, tree.steps, file);
  else bindSteps(binding, chain, tree.steps, file);
  const invariants = tree.invariants.map((key) => bindInvariant(binding, key));
  if (binding.problems.length > 0 || trigger === null)
    return { kind: "problems", problems: binding.problems };
  const program: Program = {
    format: 1,
    trigger,
    windows: [...tree.limits.windows, ...guard.windows].map((window) => timeWindow(window, catalog)),
    priority: tree.limits.priority,
    runTimeoutMs: runTimeoutMsDefault,
    concurrencyMax: runsAtOnce,
    capabilities: [...binding.used.capabilities].sort(),
    invariants,
    workspace: freeze(binding),
    slots: [
      { name: slotName("event"), schema: eventSchema(source), labels: source?.labels ?? [] },
      ...binding.slots,
    ],
    body: { steps: chain.steps },
  };
  const ties: Record<string, readonly [number, number]> = {
    trigger: binding.spanOf(tree.trigger),
    ...binding.stepSpans,
  };
  tree.invariants.forEach((key, index) => {
    ties[`invariant.${index}`] = binding.spanOf(key);
  });
  return { kind: "bound", program, spans: ties };
}

function sourceOf(start: TriggerNode, catalog: Catalog): SourceDefinition | null {
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

function watchedFolder(start: TriggerNode, catalog: Catalog): string | null {
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

interface Guard {
  /** Conditions on the event alone: the trigger's filter. */
  readonly filter: readonly NodeKey[];
  /** Conditions that need a read: the first thing the run decides. */
  readonly inside: readonly NodeKey[];
  readonly windows: readonly DayWindow[];
}

const noGuard: Guard = { filter: [], inside: [], windows: [] };

function splitGuard(binding: Binding, where: NodeKey): Guard {
  const node = binding.tree.nodes[where] as ConditionNode;
  const parts = node.k === "and" ? node.of : [where];
  const filter: NodeKey[] = [];
  const inside: NodeKey[] = [];
  const windows: DayWindow[] = [];
  for (const key of parts) {
    const part = binding.tree.nodes[key] as ConditionNode;
    if (part.k === "clock") windows.push({ from: part.from, to: part.to, days: part.days });
    else if (reads(binding, key)) inside.push(key);
    else filter.push(key);
  }
  return { filter, inside, windows };
}

function reads(binding: Binding, key: NodeKey): boolean {
  const node = binding.tree.nodes[key] as ConditionNode;
  switch (node.k) {
    case "cmp":
      return node.left.k === "noun" || node.right.k === "noun";
    case "between":
      return [node.of, node.low, node.high].some((term) => term.k === "noun");
    case "and":
    case "or":
      return node.of.some((part) => reads(binding, part));
    case "not":
      return reads(binding, node.of);
    case "clock":
      return false;
  }
}

function conjunction(
  binding: Binding,
  keys: readonly NodeKey[],
  at: Parameters<typeof bindCondition>[2],
): Expression | null {
  const parts = keys.map((key) => bindCondition(binding, key, at));
  return parts.reduce((left, right) =>
    left === null || right === null ? null : { kind: "binary", operator: "&&", left, right },
  );
}

function bindTrigger(binding: Binding, start: TriggerNode, guard: Guard): Trigger | null {
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
        config: { cron: cronOf(start.minute % 1440, start.days), zone },
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

/** Binds the steps in order; gives where the event's file is after them. */
function bindSteps(binding: Binding, chain: Chain, keys: readonly NodeKey[], start: FileState): FileState {
  let file = start;
  for (const key of keys) file = bindStep(binding, chain, key, file);
  return file;
}

function bindStep(binding: Binding, chain: Chain, key: NodeKey, file: FileState): FileState {
  const node = binding.tree.nodes[key] as StepNode;
  switch (node.k) {
    case "act": {
      const act = bindAct(binding, key, { chain, file });
      if (act === null) return file;
      addAct(binding, chain, act);
      return act.fileAfter;
    }
    case "wait":
      chain.add(binding.nextStep(binding.spanOf(key)), {
        op: "wait",
        until: { kind: "duration", ms: node.ms },
      });
      return file;
    case "par":
      return bindParallel(binding, chain, key, node.of, file);
    case "if":
      return bindBranch(binding, chain, [node.when], {
        key,
        file,
        then: node.then,
        otherwise: node.otherwise ?? [],
      });
    case "approve": {
      binding.used.roles.add(node.role);
      const id = binding.nextStep(binding.spanOf(key));
      const body = block(binding, chain, node.body, file);
      const otherwise = node.otherwise === null ? null : block(binding, chain, node.otherwise, file);
      chain.add(id, {
        op: "approve",
        role: roleName(node.role),
        withinMs: node.withinMs ?? approvalTimeoutMsDefault,
        message: null,
        body: body.block,
        otherwise: otherwise === null ? null : otherwise.block,
      });
      if (body.isStale || otherwise?.isStale === true) chain.invalidate();
      if (otherwise === null || sameFile(body.file, otherwise.file)) return body.file;
      return { kind: "elsewhere" };
    }
  }
}

function block(
  binding: Binding,
  outer: Chain,
  keys: readonly NodeKey[],
  file: FileState,
): { readonly block: Block; readonly file: FileState; readonly isStale: boolean } {
  const chain = new Chain(binding, outer.loaded);
  const after = bindSteps(binding, chain, keys, file);
  return { block: { steps: chain.steps }, file: after, isStale: chain.isStale };
}

interface Branch {
  readonly key: NodeKey;
  readonly file: FileState;
  readonly then: readonly NodeKey[];
  readonly otherwise: readonly NodeKey[];
}

function bindBranch(
  binding: Binding,
  chain: Chain,
  conditions: readonly NodeKey[],
  { key, file, then, otherwise }: Branch,
): FileState {
  const when = conjunction(binding, conditions, { chain, file });
  const id = binding.nextStep(binding.spanOf(key));
  const yes = block(binding, chain, then, file);
  const no = block(binding, chain, otherwise, file);
  if (when === null) return file;
  chain.add(id, {
    op: "branch",
    arms: [{ when: renderExpression(when), block: yes.block }],
    otherwise: no.block,
  });
  if (yes.isStale || no.isStale) chain.invalidate();
  return eitherFile(when, yes.file, no.file);
}

/** The rule's own condition on what had to be read: the whole body stands under it. */
function bindGuarded(
  binding: Binding,
  chain: Chain,
  conditions: readonly NodeKey[],
  steps: readonly NodeKey[],
  file: FileState,
): void {
  bindBranch(binding, chain, conditions, { key: binding.tree.trigger, file, then: steps, otherwise: [] });
}

function sameFile(a: FileState, b: FileState): boolean {
  if (a.kind !== "at" || b.kind !== "at") return a.kind === b.kind;
  return renderExpression(a.path) === renderExpression(b.path);
}

/** Where the file is after a branch. The condition reads slots that are never written again, so it can decide once more. */
function eitherFile(when: Expression, yes: FileState, no: FileState): FileState {
  if (sameFile(yes, no)) return yes;
  if (yes.kind !== "at" || no.kind !== "at") return { kind: "elsewhere" };
  const choose = (a: Expression, b: Expression): Expression =>
    renderExpression(a) === renderExpression(b) ? a : { kind: "conditional", when, then: a, otherwise: b };
  return { kind: "at", path: choose(yes.path, no.path), name: choose(yes.name, no.name) };
}

function bindParallel(
  binding: Binding,
  chain: Chain,
  key: NodeKey,
  keys: readonly NodeKey[],
  file: FileState,
): FileState {
  const acts: BoundAct[] = [];
  for (const inner of keys) {
    const act = bindAct(binding, inner, { chain, file });
    if (act !== null) acts.push(act);
  }
  if (acts.length < keys.length) return file;
  const watched =
    binding.folder === null ? null : (binding.catalog.workspace.folders[binding.folder]?.path ?? null);
  if (acts.some((a, index) => acts.slice(index + 1).some((b) => !areIndependent(a, b, watched)))) {
    binding.problems.push(
      ruleProblem(
        "rule.dependent-list",
        "Cannot tell the order of these steps: they touch the same thing",
        binding.spanOf(key),
        { suggestions: ["then"] },
      ),
    );
    return file;
  }
  const before = chain.tails;
  const ends = acts.map((act) => addAct(binding, chain, act, before));
  chain.join(ends);
  return acts.find(({ fileAfter }) => !sameFile(fileAfter, file))?.fileAfter ?? file;
}

function bindInvariant(binding: Binding, key: NodeKey): Invariant {
  const node = binding.tree.nodes[key] as InvariantNode;
  const path = (term: Term): string => {
    if (term.k === "place") return placePath(binding, term);
    if (term.k !== "path") return ".";
    notePath(binding, term.path);
    return term.path.replace(/\/$/u, "");
  };
  switch (node.k) {
    case "writesWithin":
      return { kind: "writes-within", paths: [node.place === null ? "." : path(node.place)] };
    case "neverWrites":
      return { kind: "never-writes", paths: [path(node.place)] };
    case "neverCalls":
      return { kind: "never-calls", capability: node.capability };
    case "neverSends":
      return { kind: "never-sends" };
  }
}

function timeWindow(window: DayWindow, catalog: Catalog): TimeWindow {
  return { fromMinute: window.from, toMinute: window.to, days: window.days, zone: catalog.workspace.zone };
}

/** What the slot `event` holds. */
function eventSchema(source: SourceDefinition | null): Schema {
  const text = { type: "string", maxLength: 4096 };
  return {
    type: "object",
    properties: {
      id: text,
      type: text,
      source: text,
      time: text,
      data: source?.event ?? { type: "object", properties: {}, additionalProperties: false },
    },
    required: ["id", "type", "source", "time", "data"],
    additionalProperties: false,
  };
}

function freeze(binding: Binding): FrozenWorkspace {
  const { workspace } = binding.catalog;
  const { used } = binding;
  const places = (
    names: ReadonlySet<string>,
    all: Readonly<Record<string, { readonly path: string; readonly access?: "read" | "write" }>>,
  ): FrozenWorkspace["folders"] =>
    [...names].sort().flatMap((key) => {
      const place = all[key];
      return place === undefined ? [] : [{ name: key, path: place.path, access: place.access ?? "write" }];
    });
  return {
    name: workspace.name,
    zone: workspace.zone,
    profile: workspace.profile,
    folders: places(used.folders, workspace.folders),
    files: places(used.files, workspace.files),
    roles: [...used.roles].sort(),
    columns: [...used.columns.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { folder, column }]) => {
        const declared = workspace.tables[folder]?.columns[column];
        if (declared === undefined) return [];
        const { type, currency, unit, min = null, max = null } = declared;
        return [{ folder, column, type, dimension: currency ?? unit ?? null, min, max }];
      }),
    hosts: workspace.hosts
      .filter(({ host }) => used.hosts.has(host))
      .map(({ host, scheme, risk, idempotent = false }) => ({ host, scheme, risk, idempotent }))
      .sort((a, b) => (a.host < b.host ? -1 : 1)),
  };
}

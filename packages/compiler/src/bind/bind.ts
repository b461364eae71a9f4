// Tree to program: names, units and things resolved to exact versions; nothing of the language is left.
//   R10 Step ids are s1, s2 … in reading order; a read stands before its first use.
//   R11 What of the workspace the program used is frozen into it, and nothing else.
import type { Catalog } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import { roleName, slotName } from "@writ/core/ids";
import { approvalTimeoutMsDefault, runTimeoutMsDefault } from "@writ/core/limits";
import type { Block, Invariant, Program, ProgramSource, TimeWindow } from "@writ/core/program";
import { checkProgram } from "@writ/core/program-check";
import type { Reading } from "../language/parse.ts";
import { invariantAt, stepAt, triggerAt } from "../language/nodes.ts";
import type { DayWindow, NodeKey, Term, Tree, TriggerNode } from "../language/tree.ts";
import { keywords } from "../language/vocabulary.ts";
import { ruleProblem, type RuleProblem } from "../rule-problems.ts";
import { addAct, bindAct, type BoundAct } from "./acts.ts";
import { eventSchema, freeze } from "./freeze.ts";
import { areIndependent } from "./independent.ts";
import { arrivedFile, notePath } from "./paths.ts";
import { Binding, Chain, type FileState } from "./state.ts";
import { placePath, type Place } from "./terms.ts";
import { readNouns } from "./nouns.ts";
import {
  bindTrigger,
  conjunction,
  noGuard,
  sourceOf,
  splitGuard,
  watchedFolder,
  type Guard,
} from "./trigger.ts";

export type Bound =
  | { readonly kind: "bound"; readonly program: Program; readonly spans: ProgramSource["spans"] }
  | { readonly kind: "problems"; readonly problems: readonly RuleProblem[] };

/** Runs of one rule at once: a run that waits for a person must not keep the next file waiting. */
const runsAtOnce = 128;

export function bindTree(reading: Reading, catalog: Catalog): Bound {
  const { tree, spans } = reading;
  const start = triggerAt(tree, tree.trigger);
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
  checkLimits(binding, start, guard);
  const chain = new Chain(binding, new Map());
  const file = arrivedFile(event);
  if (guard.inside.length > 0) bindGuarded(binding, chain, guard.inside, tree.steps, file);
  else bindSteps(binding, chain, tree.steps, file);
  const invariants = tree.invariants.map((key) => bindInvariant(binding, key));
  if (binding.problems.length > 0 || trigger === null)
    return { kind: "problems", problems: distinctProblems(binding.problems) };
  const program: Program = {
    format: 1,
    trigger,
    windows: [...tree.limits.windows, ...guard.windows].map((window) => timeWindow(window, catalog)),
    priority: tree.limits.priority,
    runTimeoutMs: runTimeoutMsDefault + waitedMs(tree),
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
  const [first] = checkProgram(program, catalog.capabilities);
  if (first === undefined) return { kind: "bound", program, spans: ties };
  const span = ties[first.at] ?? ties["trigger"] ?? [0, 0];
  return { kind: "problems", problems: [ruleProblem("rule.value", first.message, span)] };
}

/** Limits of when a rule starts mean nothing where a person starts it, and a program's windows are alternatives: neither is dropped in silence. */
function checkLimits(binding: Binding, start: TriggerNode, guard: Guard): void {
  const { windows, throttleMs } = binding.tree.limits;
  const refuse = (what: string) =>
    binding.problems.push(ruleProblem("rule.unsupported", what, binding.spanOf(binding.tree.trigger)));
  if (start.k === "request" && (windows.length > 0 || throttleMs > 0))
    refuse("Cannot limit when a rule on request starts: whoever asks for it decides that");
  if (guard.windows.length > 1 || (guard.windows.length === 1 && windows.length > 0))
    refuse("Cannot keep several time windows that must hold at once: say the one that is left of them");
}

/** The longest that waits and people may take is added to what a run may take. */
function waitedMs(tree: Tree): number {
  return Object.values(tree.nodes).reduce((sum, node) => {
    if (node.k === "wait") return sum + node.ms;
    return node.k === "approve" ? sum + (node.withinMs ?? approvalTimeoutMsDefault) : sum;
  }, 0);
}

/** A term that is bound in two places has its problem once. */
function distinctProblems(problems: readonly RuleProblem[]): readonly RuleProblem[] {
  const byPlace = new Map<string, RuleProblem>();
  for (const problem of problems) {
    const key = `${problem.code} ${problem.span.join("-")}`;
    if (!byPlace.has(key)) byPlace.set(key, problem);
  }
  return [...byPlace.values()];
}

/** Binds the steps in order; gives where the event's file is after them. */
function bindSteps(binding: Binding, chain: Chain, keys: readonly NodeKey[], start: FileState): FileState {
  let file = start;
  for (const key of keys) file = bindStep(binding, chain, key, file);
  return file;
}

function bindStep(binding: Binding, chain: Chain, key: NodeKey, file: FileState): FileState {
  const node = stepAt(binding.tree, key);
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
        file,
        then: node.then,
        otherwise: node.otherwise ?? [],
      });
    case "approve": {
      binding.used.roles.add(node.role);
      readAhead(binding, node.body, { chain, file });
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

/**
 * Reads whose results the approved steps use, up to the first that moves or changes the file, are done before asking: the person
 * sees what will be done with its values.
 */
function readAhead(binding: Binding, body: readonly NodeKey[], at: Place): void {
  for (const key of body) {
    const node = stepAt(binding.tree, key);
    if (node.k === "wait" || node.k === "approve") return;
    const acts = node.k === "act" ? [key] : node.k === "par" ? node.of : [];
    if (node.k === "if") readNouns(binding, node.when, at);
    for (const act of acts) readNouns(binding, act, at);
    if (node.k === "if" || acts.some((act) => touchesFile(binding, act))) return;
  }
}

function touchesFile(binding: Binding, key: NodeKey): boolean {
  const node = stepAt(binding.tree, key);
  if (node.k !== "act") return true;
  return binding
    .capability(node.capability)
    .resources.some(({ param, does }) => does !== "read" && node.args[param]?.k === "file");
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
  readonly file: FileState;
  readonly then: readonly NodeKey[];
  readonly otherwise: readonly NodeKey[];
}

/** The branch is tied to the words of its condition: they are what a counterexample underlines. */
function bindBranch(
  binding: Binding,
  chain: Chain,
  conditions: readonly NodeKey[],
  { file, then, otherwise }: Branch,
): FileState {
  const when = conjunction(binding, conditions, { chain, file });
  const spans = conditions.map((condition) => binding.spanOf(condition));
  const id = binding.nextStep([spans[0]?.[0] ?? 0, spans.at(-1)?.[1] ?? 0]);
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
  bindBranch(binding, chain, conditions, { file, then: steps, otherwise: [] });
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
  const node = invariantAt(binding.tree, key);
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

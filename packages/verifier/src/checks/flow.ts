// Checks 29 and 30: where labels travel. A fixpoint over slots; branches pass the labels of their conditions on (implicit flow).
//   L1  A slot carries the labels of what produced it: the capability's own, those of its inputs, and those of the conditions around it.
//       A step is also decided by the branches and checks of the steps it comes after: they may end the run, or have it skipped.
//   L2  What is secret reaches no step that leaves containment, neither as an argument nor by deciding whether it runs.
//       A step that replaces a failed one is decided by what the failed one read.
//   L3  What is untrusted neither chooses an argument of a consequential step nor decides whether it runs, unless an approval dominates
//       the step. The trigger itself, with its filter, is what the person approved with the program; it steers nothing.
import type { Expression } from "@writ/core/expression";
import { isUntrusted, labels as allLabels, type Label } from "@writ/core/label";
import { isActuator } from "@writ/core/guard-rules";
import { decisionsBefore, type Decision } from "../model/decisions.ts";
import { expressionsOf, outputOf, type Analysis, type Site, type VaryingSlot } from "../model/analysis.ts";
import { conditionsOf, impliedChoices } from "../model/formula.ts";
import { nameOfPath, type AccessPath } from "../model/typing.ts";
import { pathsReadDirectly } from "../encode/replay.ts";
import { isApproved } from "./approval.ts";
import { isConsequential, isSeenOutside, paramsWith } from "./consequence.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

/** Why a slot has a label: the step that wrote it and the slot or event field it took it from. */
interface Reason {
  readonly site: Site;
  readonly from: string | null;
}
type Decisions = (site: Site) => readonly Decision[];
type Labels = ReadonlyMap<string, ReadonlyMap<Label, Reason | null>>;

const secrecy = {
  check: 29,
  name: "no secret leaves",
  claim:
    "For all runs: nothing secret reaches the network or a person outside, as an argument or by deciding whether a step runs",
  method: "fixpoint",
} as const;

const integrity = {
  check: 30,
  name: "untrusted data steers nothing consequential",
  claim:
    "For all runs: without an approval, no untrusted value chooses what an irreversible, moving or outgoing step does or whether it runs " +
    "(the trigger with its filter is what the program's own approval covers)",
  method: "fixpoint",
} as const;

export function checkFlow(analysis: Analysis): readonly Result[] {
  const decisions = decisionsBefore(analysis);
  const labels = labelsOf(analysis, decisions);
  const secrets: Result[] = [];
  const steering: Result[] = [];
  for (const site of analysis.sites) {
    if (site.action === null) continue;
    if (isSeenOutside(analysis, site)) {
      const references = paramsWith(site.action.definition.params, "x-secret");
      const found = firstFlow(
        analysis,
        { labels, decisions },
        site,
        references,
        true,
        (label) => label === "secret",
      );
      if (found !== null) {
        const how = found.param === null ? "decides whether" : `is sent as \`${found.param}\` when`;
        const summary = `A secret (${found.said}) ${how} step \`${site.step.id}\` of “${analysis.name}” sends something out`;
        secrets.push(violated(secrecy, "verifier.secret-leak", flowExample(analysis, site, found, summary)));
      }
    }
    if (isConsequential(analysis, site) && !isApproved(site)) {
      const found = firstFlow(analysis, { labels, decisions }, site, [], false, isUntrusted);
      if (found !== null) {
        const { definition } = site.action;
        const what =
          definition.effect.kind === "irreversible"
            ? "cannot be undone"
            : isActuator(definition)
              ? "moves a device"
              : "leaves the workspace";
        const how = found.param === null ? "decides whether it runs" : `chooses its \`${found.param}\``;
        const summary =
          `Step \`${site.step.id}\` of “${analysis.name}” ${what}, and data from outside (${found.said}) ${how} ` +
          "without anybody's approval";
        steering.push(
          violated(integrity, "verifier.untrusted-steering", flowExample(analysis, site, found, summary)),
        );
      }
    }
  }
  return [
    ...(secrets.length === 0 ? [holds(secrecy)] : secrets),
    ...(steering.length === 0 ? [holds(integrity)] : steering),
  ];
}

interface Flow {
  /** The parameter reached, or null when the flow decides whether the step runs. */
  readonly param: string | null;
  readonly said: string;
  readonly steps: readonly string[];
  readonly at: readonly string[];
}

function firstFlow(
  analysis: Analysis,
  { labels, decisions }: { readonly labels: Labels; readonly decisions: Decisions },
  site: Site,
  skipped: readonly string[],
  countsTrigger: boolean,
  isBad: (label: Label) => boolean,
): Flow | null {
  for (const [param, expression] of site.action?.params ?? []) {
    if (skipped.includes(param)) continue;
    const found = source(analysis, labels, expression, isBad);
    if (found !== null) return { param, ...found, at: [] };
  }
  for (const { expression, at } of conditionsOf(site.reach)) {
    if (at === "trigger" && !countsTrigger) continue;
    const found = source(analysis, labels, expression, isBad);
    if (found !== null) return { param: null, ...found, at: [at] };
  }
  for (const { expression, at } of decisions(site)) {
    const found = source(analysis, labels, expression, isBad);
    if (found !== null) return { param: null, ...found, at: [at] };
  }
  for (const step of failuresOf(site)) {
    const found = firstInput(analysis, labels, step, isBad);
    if (found !== null) return { param: null, ...found, at: [step] };
  }
  return null;
}

/** Steps whose failure brings the site about: it stands in what replaces them. */
function failuresOf(site: Site): readonly string[] {
  return [...impliedChoices(site.reach)].flatMap((choice) =>
    choice.startsWith("failed ") ? [choice.slice("failed ".length)] : [],
  );
}

/** What a step, or a step inside it, reads and works on: that decides whether it fails. */
function firstInput(
  analysis: Analysis,
  labels: Labels,
  step: string,
  isBad: (label: Label) => boolean,
): { readonly said: string; readonly steps: readonly string[] } | null {
  for (const other of analysis.sites) {
    if (!other.path.includes(step) || failuresOf(other).includes(step)) continue;
    const own = other.action?.definition.labels.find(isBad);
    if (own !== undefined)
      return { said: `whether step \`${other.step.id}\` fails, ${origins[own]}`, steps: [other.step.id] };
    const { op } = other.step;
    const read = [
      ...expressionsOf(other.step).map((text) => analysis.expressionOf(text)),
      ...(op.op === "check" ? [{ kind: "name", name: op.slot } as const] : []),
    ];
    for (const expression of read) {
      const found = source(analysis, labels, expression, isBad);
      if (found !== null) return found;
    }
  }
  return null;
}

function source(
  analysis: Analysis,
  labels: Labels,
  expression: Expression,
  isBad: (label: Label) => boolean,
): { readonly said: string; readonly steps: readonly string[] } | null {
  for (const path of pathsReadDirectly(expression)) {
    for (const [label, reason] of labelsAt(analysis, labels, path)) {
      if (!isBad(label)) continue;
      return {
        said: `${nameOfPath(analysis, path)}, ${origins[label]}`,
        steps: trail(labels, reason, label),
      };
    }
  }
  return null;
}

const origins: Readonly<Record<Label, string>> = {
  "origin:event": "from an event",
  "origin:file": "from a file",
  "origin:web": "from the web",
  "origin:model": "from a model",
  "origin:command": "from a command",
  "origin:person": "from a person",
  secret: "marked secret",
  simulated: "from a simulation",
};

/** The steps the label came through, first one first. */
function trail(labels: Labels, last: Reason | null, label: Label): readonly string[] {
  const steps: string[] = [];
  for (let reason = last; reason !== null && steps.length < 100;) {
    if (steps.includes(reason.site.step.id)) break;
    steps.unshift(reason.site.step.id);
    reason = reason.from === null ? null : (labels.get(reason.from)?.get(label) ?? null);
  }
  return steps;
}

function flowExample(analysis: Analysis, site: Site, flow: Flow, summary: string) {
  const path = [...flow.steps, ...site.path.filter((step) => !flow.steps.includes(step))];
  return counterexample(analysis, { summary, path, keys: [...flow.at, ...flow.steps, site.step.id] });
}

/** What others gave may be anything, but nothing secret is remembered for a whole workspace (the gate sees to it). */
function mayCarry({ step: { op } }: Site, label: Label): boolean {
  return label !== "secret" || op.op !== "recall" || op.scope !== "workspace";
}

function labelsOf(analysis: Analysis, decisions: Decisions): Labels {
  const labels = new Map<string, Map<Label, Reason | null>>();
  for (const slot of analysis.program.slots) {
    labels.set(slot.name, new Map(slot.labels.map((label) => [label, null] as const)));
  }
  let isChanged = true;
  const add = (slot: string, label: Label, reason: Reason): void => {
    const present = labels.get(slot) ?? new Map<Label, Reason | null>();
    if (present.has(label)) return;
    labels.set(slot, present.set(label, reason));
    isChanged = true;
  };
  /** What a loop carries or goes over comes from any iteration; what others gave may be anything. */
  const addVarying = (slot: string, { site, from, isForeign }: VaryingSlot): void => {
    if (isForeign)
      for (const label of allLabels) if (mayCarry(site, label)) add(slot, label, { site, from: null });
    const inputs = [
      ...from,
      ...conditionsOf(site.reach).flatMap((condition) =>
        condition.at === "trigger" ? [] : [condition.expression],
      ),
      ...decisions(site).map(({ expression }) => expression),
      ...decidedWithin(site),
    ];
    for (const path of inputs.flatMap(pathsReadDirectly))
      for (const [label] of labelsAt(analysis, labels, path)) add(slot, label, { site, from: path.root });
  };
  /** How often a loop runs is decided by all that decides inside it. */
  const decidedWithin = (site: Site): readonly Expression[] =>
    site.step.op.op !== "loop" && site.step.op.op !== "run"
      ? []
      : analysis.sites.flatMap((inner) =>
          inner.loops.includes(site.step.id) ? decisions(inner).map(({ expression }) => expression) : [],
        );
  // Labels are only added and there are finitely many, so this ends.
  while (isChanged) {
    isChanged = false;
    for (const [slot, varies] of analysis.varying) addVarying(slot, varies);
    for (const site of analysis.sites) {
      if (site.action?.isCompensation === true) continue;
      const slot = outputOf(site.step);
      if (slot === null) continue;
      for (const label of site.action?.definition.labels ?? []) add(slot, label, { site, from: null });
      if (site.action !== null && paramsWith(site.action.definition.result, "x-secret").length > 0) {
        add(slot, "secret", { site, from: null });
      }
      const { op } = site.step;
      const inputs: readonly Expression[] = [
        ...(op.op === "eval" ? [analysis.expressionOf(op.expression)] : (site.action?.params.values() ?? [])),
        ...conditionsOf(site.reach).flatMap((condition) =>
          condition.at === "trigger" ? [] : [condition.expression],
        ),
        ...decisions(site).map(({ expression }) => expression),
      ];
      for (const path of inputs.flatMap(pathsReadDirectly)) {
        for (const [label] of labelsAt(analysis, labels, path)) add(slot, label, { site, from: path.root });
      }
    }
  }
  return labels;
}

function labelsAt(analysis: Analysis, labels: Labels, path: AccessPath): ReadonlyMap<Label, Reason | null> {
  if (path.root !== "event") return labels.get(path.root) ?? new Map();
  // The node itself writes the event's id and time.
  const [field] = path.fields;
  if (field === "id" || field === "time" || field === "type" || field === "source") return new Map();
  const own: readonly Label[] = analysis.source?.labels ?? [];
  return new Map(own.map((label) => [label, null] as const));
}

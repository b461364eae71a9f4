// What `it` and `the sum` refer to. Every antecedent that the rule allows is a reading; none is preferred.
import { Identities } from "./chart.ts";
import type { Sentence } from "./grammar.ts";
import type { Draft, DraftCondition, DraftInvariant, DraftStep, DraftTerm, DraftTrigger } from "./tree.ts";

type Replace = (term: DraftTerm) => DraftTerm;

/** That many meanings are kept of one sentence; as many as that may be fewer than there are. */
export const alternativesMax = 8;

export type Said = Extract<DraftTerm, { k: "said" }>;

/** `it` is the event's file, or a file named before in the same sentence: one sentence for each meaning. */
export function resolveIt(sentence: Sentence): readonly Sentence[] {
  const mentioned: DraftTerm[] = [];
  const choices: (readonly DraftTerm[])[] = [];
  rewriteSentence(sentence, (term) => {
    if (term.k === "it") {
      const own: DraftTerm = { k: "file", ...spanOf(term) };
      choices.push([
        own,
        ...new Identities().distinct(mentioned).map((named) => ({ ...named, ...spanOf(term) })),
      ]);
    } else if (term.k === "path" || (term.k === "place" && term.of === "file")) {
      if (!(term.k === "path" && term.path.endsWith("/"))) mentioned.push(term);
    }
    return term;
  });
  return products(choices).map((choice) => {
    let next = 0;
    return rewriteSentence(sentence, (term) => (term.k === "it" ? (choice[next++] ?? term) : term));
  });
}

/** `the sum` is a noun spoken of before. Drafts for each meaning, or the first term that refers to nothing. */
export function resolveSaid(draft: Draft): readonly Draft[] | Said {
  const spoken: DraftTerm[] = [];
  const choices: (readonly DraftTerm[])[] = [];
  let lost: Said | null = null;
  rewriteDraft(draft, (term) => {
    if (term.k === "noun") spoken.push(term);
    if (term.k === "said") {
      const fitting = new Identities().distinct(
        spoken.filter(
          (noun) =>
            noun.k === "noun" &&
            term.nouns.some(
              ({ capability, field }) => capability === noun.capability && field === noun.field,
            ),
        ),
      );
      if (fitting.length === 0) lost ??= term;
      choices.push(fitting.map((noun) => ({ ...noun, ...spanOf(term) })));
    }
    return term;
  });
  if (lost !== null) return lost;
  return products(choices).map((choice) => {
    let next = 0;
    return rewriteDraft(draft, (term) => (term.k === "said" ? (choice[next++] ?? term) : term));
  });
}

function spanOf(term: DraftTerm): { readonly span?: readonly [number, number] } {
  return term.span === undefined ? {} : { span: term.span };
}

function products<T>(choices: readonly (readonly T[])[]): readonly (readonly T[])[] {
  let all: (readonly T[])[] = [[]];
  for (const options of choices)
    all = all.flatMap((some) => options.map((option) => [...some, option])).slice(0, alternativesMax);
  return all;
}

function rewriteSentence(sentence: Sentence, replace: Replace): Sentence {
  switch (sentence.s) {
    case "rule":
      return {
        ...sentence,
        trigger: rewriteTrigger(sentence.trigger, replace),
        steps: sentence.steps.map((step) => rewriteStep(step, replace)),
      };
    case "steps":
    case "else":
      return { ...sentence, steps: sentence.steps.map((step) => rewriteStep(step, replace)) };
    case "invariant":
      return { ...sentence, invariant: rewriteInvariant(sentence.invariant, replace) };
    case "limit":
      return sentence;
  }
}

function rewriteDraft(draft: Draft, replace: Replace): Draft {
  return {
    ...draft,
    trigger: rewriteTrigger(draft.trigger, replace),
    steps: draft.steps.map((step) => rewriteStep(step, replace)),
    invariants: draft.invariants.map((invariant) => rewriteInvariant(invariant, replace)),
  };
}

function rewriteTrigger(trigger: DraftTrigger, replace: Replace): DraftTrigger {
  if (trigger.k !== "event") return trigger;
  return {
    ...trigger,
    args: rewriteTerms(trigger.args, replace),
    where: trigger.where === null ? null : rewriteCondition(trigger.where, replace),
  };
}

function rewriteInvariant(invariant: DraftInvariant, replace: Replace): DraftInvariant {
  if (invariant.k === "writesWithin")
    return { ...invariant, place: invariant.place === null ? null : rewriteTerm(invariant.place, replace) };
  if (invariant.k === "neverWrites") return { ...invariant, place: rewriteTerm(invariant.place, replace) };
  return invariant;
}

function rewriteStep(step: DraftStep, replace: Replace): DraftStep {
  const all = (steps: readonly DraftStep[]): readonly DraftStep[] =>
    steps.map((inner) => rewriteStep(inner, replace));
  switch (step.k) {
    case "act":
      return { ...step, args: rewriteTerms(step.args, replace) };
    case "if":
      return {
        ...step,
        when: rewriteCondition(step.when, replace),
        then: all(step.then),
        otherwise: step.otherwise === null ? null : all(step.otherwise),
      };
    case "approve":
      return {
        ...step,
        body: all(step.body),
        otherwise: step.otherwise === null ? null : all(step.otherwise),
      };
    case "wait":
      return step;
    case "par":
      return { ...step, of: step.of.map((act) => ({ ...act, args: rewriteTerms(act.args, replace) })) };
  }
}

function rewriteCondition(condition: DraftCondition, replace: Replace): DraftCondition {
  switch (condition.k) {
    case "cmp":
      return {
        ...condition,
        left: rewriteTerm(condition.left, replace),
        right: rewriteTerm(condition.right, replace),
      };
    case "between":
      return {
        ...condition,
        of: rewriteTerm(condition.of, replace),
        low: rewriteTerm(condition.low, replace),
        high: rewriteTerm(condition.high, replace),
      };
    case "clock":
      return condition;
    case "and":
    case "or":
      return { ...condition, of: condition.of.map((part) => rewriteCondition(part, replace)) };
    case "not":
      return { ...condition, of: rewriteCondition(condition.of, replace) };
  }
}

function rewriteTerms(
  args: Readonly<Record<string, DraftTerm>>,
  replace: Replace,
): Readonly<Record<string, DraftTerm>> {
  const inOrder = Object.entries(args).sort(([, a], [, b]) => (a.span?.[0] ?? 0) - (b.span?.[0] ?? 0));
  return Object.fromEntries(inOrder.map(([name, term]) => [name, rewriteTerm(term, replace)]));
}

function rewriteTerm(term: DraftTerm, replace: Replace): DraftTerm {
  if (term.k === "list") return { ...term, of: term.of.map((item) => rewriteTerm(item, replace)) };
  return replace(term);
}

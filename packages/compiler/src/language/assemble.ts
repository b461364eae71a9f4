// Sentences to drafts: which steps, invariants and limits belong together, and which `if` an `otherwise` sentence answers.
import { ruleProblem, type RuleProblem } from "../rule-problems.ts";
import type { LimitPart, Sentence } from "./grammar.ts";
import { noLimits, type Draft, type DraftStep, type Limits } from "./tree.ts";

/** That many drafts are kept of one rule; as many as that may be fewer than there are. */
export const draftsMax = 8;

/** The drafts that the sentences' readings add up to. */
export function assemble(
  read: readonly (readonly Sentence[])[],
  text: string,
): readonly Draft[] | RuleProblem {
  interface Partial {
    readonly trigger: Draft["trigger"] | null;
    readonly steps: readonly DraftStep[];
    readonly invariants: Draft["invariants"];
    readonly limits: Limits;
  }
  let partials: readonly Partial[] = [{ trigger: null, steps: [], invariants: [], limits: noLimits }];
  let refused: RuleProblem | null = null;
  const refuse = (one: RuleProblem): readonly Partial[] => {
    refused ??= one;
    return [];
  };
  for (const sentences of read) {
    const before = partials;
    partials = sentences
      .flatMap((sentence) =>
        before.flatMap((partial): readonly Partial[] => {
          switch (sentence.s) {
            case "rule":
              if (partial.trigger !== null)
                return refuse(
                  ruleProblem(
                    "rule.two-triggers",
                    "Cannot start one rule in two ways",
                    sentence.trigger.span ?? [0, 0],
                  ),
                );
              return [{ ...partial, trigger: sentence.trigger, steps: sentence.steps }];
            case "steps":
              if (partial.trigger === null)
                return refuse(
                  ruleProblem("rule.no-trigger", "Cannot tell what starts this rule", [
                    sentence.steps[0]?.span?.[0] ?? 0,
                    sentence.steps[0]?.span?.[1] ?? text.length,
                  ]),
                );
              return [{ ...partial, steps: [...partial.steps, ...sentence.steps] }];
            case "else": {
              const answers = answer(partial.steps, sentence.steps);
              if (answers.length === 0)
                return refuse(
                  ruleProblem(
                    "rule.otherwise-alone",
                    "Cannot tell which `if` this answers",
                    sentence.steps[0]?.span ?? [0, 0],
                  ),
                );
              return answers.map((steps) => ({ ...partial, steps }));
            }
            case "invariant":
              return [{ ...partial, invariants: [...partial.invariants, sentence.invariant] }];
            case "limit": {
              const limits = addLimit(partial.limits, sentence.limit);
              return limits === null
                ? refuse(
                    ruleProblem("rule.conflicting-limits", "Cannot take this limit twice", sentence.span),
                  )
                : [{ ...partial, limits }];
            }
          }
        }),
      )
      .slice(0, draftsMax);
    if (partials.length === 0 && refused !== null) return refused;
  }
  const drafts = partials.flatMap((partial) =>
    partial.trigger === null ? [] : [{ ...partial, trigger: partial.trigger }],
  );
  return drafts.length === 0
    ? ruleProblem("rule.no-trigger", "Cannot tell what starts this rule", [0, text.length])
    : drafts;
}

/** The steps with an `otherwise` for each `if` or approval that is still open at their end. */
function answer(
  steps: readonly DraftStep[],
  otherwise: readonly DraftStep[],
): readonly (readonly DraftStep[])[] {
  const last = steps.at(-1);
  if (last === undefined || (last.k !== "if" && last.k !== "approve")) return [];
  const before = steps.slice(0, -1);
  const own = last.otherwise === null ? [[...before, { ...last, otherwise }]] : [];
  const inner =
    last.k === "if"
      ? last.otherwise === null
        ? answer(last.then, otherwise).map((then) => [...before, { ...last, then }])
        : answer(last.otherwise, otherwise).map((inside) => [...before, { ...last, otherwise: inside }])
      : answer(last.body, otherwise).map((body) => [...before, { ...last, body }]);
  return last.k === "if" && own.length > 0
    ? [...own, ...inner.filter((variant) => containsOpenIf(variant.at(-1)))]
    : [...own, ...inner];
}

/** `otherwise` answers an `if` before an approval inside it. */
function containsOpenIf(step: DraftStep | undefined): boolean {
  if (step?.k !== "if") return false;
  const last = step.then.at(-1);
  return last?.k === "if" ? last.otherwise !== null : false;
}

function addLimit(limits: Limits, part: LimitPart): Limits | null {
  switch (part.l) {
    case "window":
      return { ...limits, windows: [...limits.windows, part.window] };
    case "throttle":
      return limits.throttleMs > 0 ? null : { ...limits, throttleMs: part.ms };
    case "priority":
      return limits.priority !== "normal" ? null : { ...limits, priority: part.priority };
    case "failure":
      return limits.failure !== noLimits.failure ? null : { ...limits, failure: part.failure };
  }
}

// Checks 3 and 39: no condition is impossible, and what the proof assumes is not.
//   N1  Every arm of every branch, and the trigger itself, must be possible within the contracts and the workspace's ranges. All arms
//       are asked at once, each over values of its own, so one `sat` answers for all; a core names the conditions that clash.
//   N2  A part the encoding does not know is free, so an arm is never called impossible for what is not understood.
//   N3  The ranges and contracts alone must be possible; otherwise they would prove everything.
import { createEncoder } from "../encode/encoder.ts";
import { createScript, type Owner, type Script } from "../encode/script.ts";
import type { Analysis } from "../model/analysis.ts";
import { and, type Formula } from "../model/formula.ts";
import { counterexample, holds, quoteRule, unknown, violated, type Context, type Result } from "./result.ts";

interface Part {
  readonly reach: Formula;
  readonly key: string;
  readonly path: readonly string[];
  readonly says: string;
}

const base = {
  check: 3,
  name: "no impossible condition",
  claim:
    "For each branch there are values, within the contracts and ranges, that take it; the trigger can fire",
  method: "solver",
} as const;

const roundsMax = 8;

export async function checkConditions(context: Context): Promise<readonly Result[]> {
  const { subject } = context;
  const results: Result[] = [];
  let parts = partsOf(subject);
  for (let round = 0; round < roundsMax; round++) {
    const { script, labels } = scriptOf(subject, parts);
    const answer = await context.ask({ script });
    const asked = { ...base, answer };
    if (answer.result === "sat") return [...results, holds(asked)];
    if (answer.result === "unknown") return [...results, unknown(asked, answer.reason)];
    const clash = answer.core.flatMap((name) => labels.get(name) ?? []);
    // The core names one impossible part and perhaps assumptions; without a part the assumptions themselves clash (check 39 says so).
    const [first] = clash;
    const part = first === undefined ? undefined : parts[first.part];
    if (part === undefined) return [...results, unknown(asked, "the assumptions clash")];
    const own = clash.filter((one) => one.part === first?.part);
    results.push(
      violated(asked, "verifier.vacuous-condition", clashOf(subject, part, own, answer.core, script)),
    );
    parts = parts.filter((other) => other !== part && !other.path.includes(part.key));
  }
  return results;
}

function clashOf(
  analysis: Analysis,
  part: Part,
  clash: readonly { readonly says: string; readonly at: string }[],
  core: readonly string[],
  script: Script,
) {
  const assumed = core.flatMap((name) => script.labels.get(name) ?? []).filter((label) => label !== "");
  const texts = core.some((name) => name.startsWith("text ")) ? ["no text can be all of this"] : [];
  const needs = [...new Set([...clash.map((one) => one.says), ...assumed, ...texts])];
  const keys = [...clash.map((one) => one.at), part.key];
  return counterexample(analysis, {
    summary: `${part.says} of “${analysis.name}” can never be true: it needs ${needs.join(" and ")}`,
    values: needs.map((need) => ({ name: "needs", value: need })),
    path: part.path,
    keys,
  });
}

function partsOf(analysis: Analysis): readonly Part[] {
  const parts: Part[] = [];
  if (analysis.program.trigger.kind === "source") {
    parts.push({
      reach: analysis.filter,
      key: "trigger",
      path: [],
      says: `The trigger ${quoteRule(analysis, ["trigger"], "")}`.trim(),
    });
  }
  for (const arm of analysis.arms) {
    // Nothing happens in an empty `otherwise`: it is no part of the rule that could be impossible.
    if (arm.kind === "otherwise" && arm.block.steps.length === 0) continue;
    const which = arm.kind === "otherwise" ? "The `otherwise` of" : "The condition of";
    const path = analysis.sites.find((site) => site.step === arm.step)?.path ?? [arm.step.id];
    const says = `${which} ${quoteRule(analysis, [arm.step.id], `step \`${arm.step.id}\``)}`;
    parts.push({ reach: arm.reach, key: arm.step.id, path, says });
  }
  return parts;
}

function scriptOf(analysis: Analysis, parts: readonly Part[]) {
  const script = createScript("Check 3: each part of the rule can happen (one copy of the values for each)");
  const labels = new Map<string, { readonly part: number; readonly says: string; readonly at: string }>();
  for (const [index, part] of parts.entries()) {
    const owner: Owner = { prefix: `a${index}`, analysis };
    const encoder = createEncoder(script, owner, owner);
    const whole = part.key === "trigger" ? part.reach : and(analysis.filter, part.reach);
    for (const [i, conjunct] of encoder.conjuncts(whole).entries()) {
      const name = `a${index} condition ${i}`;
      script.assert(conjunct.smt, name, "");
      labels.set(name, { part: index, says: conjunct.says, at: conjunct.at });
    }
    const name = `a${index} trigger`;
    script.assert(encoder.trigger(), name, "");
    labels.set(name, { part: index, says: "an event that the trigger accepts", at: "trigger" });
  }
  return { script, labels };
}

const assumptions = {
  check: 39,
  name: "assumptions consistent",
  claim: "The contracts of the capabilities and the ranges of the workspace can hold at the same time",
  method: "solver",
} as const;

export async function checkAssumptions(context: Context): Promise<readonly Result[]> {
  const { subject } = context;
  const script = createScript("Check 39: contracts and ranges are possible together");
  const owner: Owner = { prefix: "p", analysis: subject };
  const encoder = createEncoder(script, owner, owner);
  // Encoding every condition and every operand declares each value the proofs speak of, with its ranges; nothing else is asserted.
  encoder.trigger();
  for (const site of subject.sites) {
    encoder.formula(site.reach);
    for (const expression of site.action?.params.values() ?? []) encoder.term(expression);
  }
  const answer = await context.ask({ script });
  const asked = { ...assumptions, answer };
  if (answer.result === "sat") return [holds(asked)];
  if (answer.result === "unknown") return [unknown(asked, answer.reason)];
  const labels = answer.core.flatMap((name) => script.labels.get(name) ?? []);
  return [
    violated(
      asked,
      "verifier.inconsistent-assumptions",
      counterexample(subject, {
        summary: `What is assumed for “${subject.name}” cannot be true at once: ${labels.join(" and ")}`,
        values: labels.map((label) => ({ name: "assumed", value: label })),
        keys: [],
      }),
    ),
  ];
}

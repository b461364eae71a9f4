// Check 38: whether a model is asked at run time. For people: a program without any is free of models for ever, whatever its data say.
import { askCapability, capabilitiesOf } from "@writ/core/program-steps";
import type { Analysis } from "../model/analysis.ts";
import { counterexample, information, type Result } from "./result.ts";

const base = { check: 38, method: "graph" } as const;

export function checkModels(analysis: Analysis): readonly Result[] {
  const asks = analysis.sites.filter(({ step }) => capabilitiesOf(step).includes(askCapability));
  const [first] = asks;
  if (first === undefined) {
    const claim = "For all runs: no model is asked; nothing that happens depends on what a model says";
    return [information({ ...base, name: "llm_free", claim }, null)];
  }
  const steps = [...new Set(asks.map(({ step }) => step.id))];
  const claim = `A model is asked by ${steps
    .map((id) => `\`${id}\``)
    .join(", ")
    .slice(0, 500)}; what it answers is untrusted data`;
  return [
    information(
      { ...base, name: "asks a model", claim },
      counterexample(analysis, { summary: claim, values: [], path: first.path, keys: steps }),
    ),
  ];
}

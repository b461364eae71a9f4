// What is shown of a preview: what a run would do, as far as it can be told without acting.
import type { Preview as ApiPreview } from "@writ/core/api";
import { allSteps, type HashedProgram } from "@writ/core/program";
import { toJson } from "@writ/core/value";
import type { Preview, PreviewedStep } from "@writ/runtime/engine";
import { labelOf } from "./program.ts";
import { apiEffect } from "./effect.ts";

type ApiStep = ApiPreview["steps"][number];

export function previewView(preview: Preview, { program }: HashedProgram): ApiPreview {
  const labels = new Map(allSteps(program.body).map((step) => [step.id, labelOf(step).slice(0, 4096)]));
  return {
    program: preview.program,
    outcome: outcomeOf(preview),
    reason: preview.fault === null ? null : `${preview.fault.code}: ${preview.fault.message}`,
    steps: preview.steps.map((step) => ({
      id: step.step,
      op: step.op,
      label: labels.get(step.step) ?? step.op,
      forecast: forecastOf(step),
      note: noteOf(step),
      effect: step.effect === null ? null : apiEffect(step.effect),
      result: toJson(step.result),
    })),
    result: toJson(preview.result),
  };
}

function outcomeOf({ status }: Preview): ApiPreview["outcome"] {
  switch (status) {
    case "finished":
    case "waiting":
    case "unknown":
      return status;
    case "failed":
    case "cancelled":
    case "rolled_back":
      return "failed";
  }
}

function forecastOf({ verdict }: PreviewedStep): ApiStep["forecast"] {
  switch (verdict) {
    case "would":
    case "done":
      return "would-run";
    case "needs-approval":
      return "would-wait";
    case "refused":
      return "would-fail";
    case "unknown":
      return "unknown";
  }
}

function noteOf({ verdict, role, fault }: PreviewedStep): string {
  if (fault !== null) return `${fault.code}: ${fault.message}`;
  if (role !== null) return `waits for the ${role}`;
  return verdict === "done" ? "read now, for the preview" : "";
}

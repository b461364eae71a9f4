import type { ForkOutcome } from "@writ/core/api";
import { paragraphs, section } from "./layout.ts";
import { renderPreview, renderRunSummary } from "./run.ts";

/** Every part of a simulation says that it is one. */
export function renderFork(outcome: ForkOutcome): string {
  if (outcome.kind === "started") return renderRunSummary(outcome.run);
  const { forkedFrom, preview, replayed, entries } = outcome.result;
  return paragraphs(
    `SIMULATED fork of ${forkedFrom.run} after entry ${forkedFrom.seq}; nothing of it happened or is recorded`,
    renderPreview(preview),
    replayed.length === 0 ? "" : `reads taken from the record: ${replayed.join(", ")}`,
    section(
      "Simulated entries",
      entries.map(({ kind, step }) => `simulated  ${kind}${step === null ? "" : ` ${step}`}`).join("\n"),
    ),
  );
}

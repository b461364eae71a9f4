// What is shown of a simulated fork: all of it is labelled as simulated (K42).
import type { SimulatedRun } from "@writ/core/api";
import type { SimulatedFork } from "@writ/runtime/engine";
import { previewView } from "./preview.ts";

export function simulatedView(fork: SimulatedFork): SimulatedRun {
  return {
    simulated: true,
    forkedFrom: { ...fork.forkedFrom },
    preview: previewView(fork, fork.hashed),
    replayed: [...fork.replayed],
    entries: fork.entries.map(({ kind, facts, atMs, simulated }) => ({
      simulated,
      atMs,
      kind,
      step: "step" in facts ? facts.step : null,
    })),
  };
}

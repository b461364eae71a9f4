// The whole node in simulated time on a simulated disk: a scenario by seed, what came of it, and the smallest scenario that still fails.
import type { CapabilityDefinition } from "@writ/core/capability";
import { play, type Played } from "./simulation/play.ts";
import { scenarioOf, type Scenario } from "./simulation/scenario.ts";
import { simulatedKeys } from "./simulation/keys.ts";
import { definitions } from "./simulation/modules.ts";

export type { Observation } from "./simulation/matrix.ts";
export type { Played, Scenario };

export interface Simulation {
  scenario(seed: number): Scenario;
  play(scenario: Scenario): Promise<Played>;
}

/** The same seed gives the same bytes. */
export function createSimulation(): Simulation {
  const keys = simulatedKeys();
  const capabilities: readonly CapabilityDefinition[] = definitions();
  return {
    scenario: (seed) => scenarioOf(seed, capabilities),
    play: (scenario) => play(scenario, keys),
  };
}

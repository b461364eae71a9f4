// The whole node in simulated time on a simulated disk: a scenario by seed, what came of it, and the smallest scenario that still fails.
import type { CapabilityDefinition } from "@writ/core/capability";
import { simulatedKeys } from "./simulation/keys.ts";
import { definitions } from "./simulation/modules.ts";
import { play, type Played } from "./simulation/play.ts";
import { scenarioOf, type Scenario } from "./simulation/scenario.ts";
import { shrink } from "./simulation/shrink.ts";

export type { Observation } from "./simulation/matrix.ts";
export type { Played, Scenario };

export interface Simulation {
  scenario(seed: number): Scenario;
  play(scenario: Scenario): Promise<Played>;
  /** The scenario with a crash at each point that it passes when nothing is cut off, and for each third a second one soon after. */
  everyPoint(scenario: Scenario): AsyncIterable<{ readonly scenario: Scenario; readonly played: Played }>;
  /** The smallest scenario found that fails too. */
  shrink(scenario: Scenario): Promise<Scenario>;
}

const shrinkPlaysMax = 400;

/** The same seed gives the same bytes. */
export function createSimulation(): Simulation {
  const keys = simulatedKeys();
  const capabilities: readonly CapabilityDefinition[] = definitions();
  return {
    scenario: (seed) => scenarioOf(seed, capabilities),
    play: (scenario) => play(scenario, keys),
    async *everyPoint(scenario) {
      const calm = { ...scenario, crashes: [] };
      const whole = await play(calm, keys);
      yield { scenario: calm, played: whole };
      for (let point = 0; point < (whole.points[0] ?? 0); point++) {
        const how = point % 2 === 0 ? "power" : "kill";
        const first = { point, how, downMs: (point * 37) % 5000, rot: false } as const;
        const second = { ...first, point: (point * 13) % 40, how: "power" } as const;
        const crashed: Scenario = { ...calm, crashes: point % 3 === 0 ? [first, second] : [first] };
        yield { scenario: crashed, played: await play(crashed, keys) };
      }
    },
    shrink: (scenario) =>
      shrink(
        scenario,
        capabilities,
        async (candidate) => {
          try {
            return (await play(candidate, keys)).problems.length > 0;
          } catch {
            return true;
          }
        },
        shrinkPlaysMax,
      ),
  };
}

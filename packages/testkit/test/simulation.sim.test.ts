// The whole node in simulation, bounded: regression seeds first, then as many seeds as fit. `npm run sim -- --seed N --runs 1` plays one again.
import { expect, test } from "vitest";
import { createSimulation } from "@writ/testkit/simulation";
import { regressionSeeds } from "./regression-seeds.ts";

const simulation = createSimulation();
const first = Number(process.env["SIM_SEED"] ?? 1);
const count = Number(process.env["SIM_COUNT"] ?? 300);
const chunk = 20;

async function problemsOf(seed: number): Promise<readonly string[]> {
  const { problems } = await simulation.play(simulation.scenario(seed));
  return problems;
}

test("S1 the same seed gives the same ledger, byte for byte", async () => {
  for (const seed of [2, 5, 14]) {
    const one = await simulation.play(simulation.scenario(seed));
    const two = await simulation.play(simulation.scenario(seed));
    expect(one.entries.length).toBeGreaterThan(20);
    expect(two.entries.map(({ hash }) => hash)).toEqual(one.entries.map(({ hash }) => hash));
    expect(two.points).toEqual(one.points);
  }
});

for (const { seed, was } of regressionSeeds) {
  test(`S4 seed ${seed}: ${was}`, async () => {
    expect(await problemsOf(seed)).toEqual([]);
  });
}

for (let from = first; from < first + count; from += chunk) {
  test(`S4 every invariant holds, seeds ${from} to ${Math.min(first + count, from + chunk) - 1}`, async () => {
    for (let seed = from; seed < Math.min(first + count, from + chunk); seed++)
      expect(await problemsOf(seed), `npm run sim -- --seed ${seed} --runs 1`).toEqual([]);
  });
}

// Check 21 for what a rule says it never does: never calls a capability, never sends. By looking at every step of every path.
import { capabilityName } from "@writ/core/ids";
import type { Analysis, Site } from "../model/analysis.ts";
import { leavesContainment } from "./consequence.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

export function checkForbidden(analysis: Analysis): readonly Result[] {
  return analysis.program.invariants.flatMap((invariant, index) => {
    switch (invariant.kind) {
      case "writes-within":
      case "never-writes":
        return [];
      case "never-calls": {
        const name = capabilityName(invariant.capability);
        return judge(analysis, index, `never calls \`${name}\``, (site) => {
          const id = site.action?.definition.id;
          // Another version does the same thing under the same name.
          return id !== undefined && capabilityName(id) === name;
        });
      }
      case "never-sends":
        return judge(analysis, index, "never sends anything", (site) => leavesContainment(analysis, site));
    }
  });
}

function judge(
  analysis: Analysis,
  index: number,
  says: string,
  isBad: (site: Site) => boolean,
): readonly Result[] {
  const base = { check: 21, name: says, claim: `For all runs: the rule ${says}`, method: "graph" } as const;
  const found = analysis.sites.filter(isBad).map((site) =>
    violated(
      base,
      "verifier.invariant",
      counterexample(analysis, {
        summary: `“${analysis.name}” says that it ${says}, but step \`${site.step.id}\` does (\`${site.action?.definition.id ?? ""}\`)`,
        path: site.path,
        keys: [site.step.id, `invariant.${index}`],
      }),
    ),
  );
  return found.length === 0 ? [holds(base)] : found;
}

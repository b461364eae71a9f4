// Which capability an action means: by name, in the newest version that the plan's requirements allow.
import type { CapabilityDefinition, Catalog } from "@writ/core/capability";
import { capabilityName } from "@writ/core/ids";
import { closest, pointer, problem, suggestion, type PlanProblem } from "./problem.ts";
import type { Plan, PlanAction } from "./read.ts";
import { compareVersions, fitsRange } from "./versions.ts";

/** Checks the requirements, and returns the search. What is not found becomes a problem and undefined. */
export function capabilityFinder(plan: Plan, catalog: Catalog, problems: PlanProblem[]) {
  const open = catalog.capabilities.filter(({ internal }) => internal !== true);
  const modules = new Set(open.map(({ id }) => id.slice(0, id.indexOf("."))));
  for (const { module, range, at } of plan.moduleRequirements) {
    if (fitsRange("1.0.0", range) === null) {
      problems.push(
        problem(
          "plan.module-version",
          at,
          `Cannot read the version range \`${range}\`: use ==, !=, >=, <=, >, < and ~= with numbers`,
          { range },
        ),
      );
    } else if (!modules.has(module)) {
      const near = closest(module, [...modules], problems);
      problems.push(
        problem(
          "plan.module-version",
          at,
          `Cannot find the module \`${module.slice(0, 80)}\`${suggestion(near)}`,
          { module, closest: near },
        ),
      );
    } else {
      const versions = open.filter(({ id }) => id.startsWith(`${module}.`)).map(({ id }) => versionOf(id));
      if (!versions.some((version) => fitsRange(version, range) === true)) {
        problems.push(
          problem(
            "plan.module-version",
            at,
            `Cannot run the plan: it needs \`${module}\` ${range}, this node has ${[...new Set(versions)].join(", ")}`,
            {
              module,
              range,
              versions: [...new Set(versions)],
            },
          ),
        );
      }
    }
  }
  return ({ module, action, node }: PlanAction): CapabilityDefinition | undefined => {
    const name = `${module}.${action}`;
    const named = open
      .filter(({ id }) => capabilityName(id) === name)
      .sort((a, b) => compareVersions(versionOf(b.id), versionOf(a.id)));
    const [newest] = named;
    if (newest === undefined) {
      const near = closest(
        name,
        open.map(({ id }) => capabilityName(id)),
        problems,
      );
      const inModule = open.flatMap(({ id }) => (id.startsWith(`${module}.`) ? [capabilityName(id)] : []));
      problems.push(
        problem(
          "plan.unknown-action",
          pointer(node.at, "action"),
          `Cannot find the action \`${name}\`${suggestion(near)}`,
          {
            closest: near,
            module: inModule.slice(0, 50),
            modules: [...modules].sort(),
          },
        ),
      );
      return undefined;
    }
    const ranges = plan.moduleRequirements.filter((requirement) => requirement.module === module);
    const fitting = named.find(({ id }) =>
      ranges.every(({ range }) => fitsRange(versionOf(id), range) !== false),
    );
    if (fitting === undefined) {
      problems.push(
        problem(
          "plan.module-version",
          pointer(node.at, "action"),
          `Cannot perform \`${name}\`: no version of it fits \`${ranges.map(({ range }) => range).join(", ")}\``,
          {
            versions: named.map(({ id }) => versionOf(id)),
          },
        ),
      );
    }
    return fitting;
  };
}

function versionOf(id: string): string {
  return id.slice(id.indexOf("@") + 1);
}

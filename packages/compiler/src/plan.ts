// Plans (IML 2.0) to programs. A plan is JSON as models write it; everything in it is either used or refused by name.
import type { Catalog } from "@writ/core/capability";
import type { Program, ProgramSource } from "@writ/core/program";
import { checkProgram } from "@writ/core/program-check";
import { readJson, spanAt, type JsonNode } from "./plan/json.ts";
import { problemsMax } from "./plan/limits.ts";
import { lowerPlan } from "./plan/lower.ts";
import type { PlanProblem } from "./plan/problem.ts";
import { readPlan, type Plan } from "./plan/read.ts";
import { resolvePlan } from "./plan/resolve.ts";

export { planFaults } from "./plan/faults.ts";
export type { PlanProblem } from "./plan/problem.ts";

export type PlanCompilation =
  | { readonly kind: "compiled"; readonly program: Program; readonly source: ProgramSource }
  | { readonly kind: "rejected"; readonly problems: readonly PlanProblem[] };

/** The program of a plan, or everything that is wrong with it that can be said at once. Pure; never throws for what the text holds. */
export function compilePlan({
  text,
  catalog,
}: {
  readonly text: string;
  readonly catalog: Catalog;
}): PlanCompilation {
  const reading = readJson(text);
  if (reading.kind === "unreadable") return { kind: "rejected", problems: [reading.problem] };
  const { root } = reading;
  const problems: PlanProblem[] = [];
  const plan = readPlan(root, problems);
  const resolved = plan === null ? null : resolvePlan(plan, catalog, problems);
  if (plan === null || resolved === null || problems.length > 0) return rejected(problems, root);
  const program = lowerPlan(resolved, catalog, problems);
  if (problems.length > 0) return rejected(problems, root);
  for (const { code, message, at: id, remedy, facts } of checkProgram(program, catalog.capabilities)) {
    const action = plan.actions.find((one) => one.id === id || `approve.${one.id}` === id);
    problems.push({ code, message, at: action?.node.at ?? "", span: null, remedy, facts });
  }
  if (problems.length > 0) return rejected(problems, root);
  return { kind: "compiled", program, source: sourceOf(plan, text) };
}

function rejected(problems: readonly PlanProblem[], root: JsonNode): PlanCompilation {
  return {
    kind: "rejected",
    problems: problems
      .map((problem) => ({ ...problem, span: spanAt(root, problem.at) }))
      .sort((a, b) => a.span[0] - b.span[0])
      .slice(0, problemsMax),
  };
}

function sourceOf(plan: Plan, text: string): ProgramSource {
  return {
    kind: "plan",
    name: plan.description === "" ? (plan.id ?? "plan") : plan.description,
    text,
    language: null,
    spans: Object.fromEntries(
      plan.actions.flatMap(({ id, approval, node }) => {
        const span = [node.start, node.end] as const;
        return approval === null
          ? [[id, span]]
          : [
              [id, span],
              [`approve.${id}`, span],
            ];
      }),
    ),
  };
}

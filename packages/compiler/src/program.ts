// Programs written as JSON, step by step: for engineers who need what no sentence and no plan can say yet. The text takes the same road as
// every other: checked, proved, approved, signed.
import type { Catalog } from "@writ/core/capability";
import { formatNeeded } from "@writ/core/program-format";
import { allSteps, type Program, type ProgramSource } from "@writ/core/program";
import { checkProgram } from "@writ/core/program-check";
import { capabilitiesOf } from "@writ/core/program-steps";
import { readJson, spanAt } from "./plan/json.ts";
import { problemsMax } from "./plan/limits.ts";
import type { PlanCompilation } from "./plan.ts";
import type { PlanProblem } from "./plan/problem.ts";
import { freezeWorkspace } from "./freeze-workspace.ts";
import { programForm, type Places } from "./program/shape.ts";
import { declareSlots } from "./program/slots.ts";

export { programTextFaults } from "./program/faults.ts";

/** The program of a JSON text, or everything that is wrong with it that can be said at once. Pure; never throws for what the text holds. */
export function compileProgram({
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
  const places: Places = new Map();
  const written = programForm(catalog, places)(root, problems);
  if (written === undefined || problems.length > 0) {
    const placed = problems.map((problem) => ({ ...problem, span: spanAt(root, problem.at) }));
    return { kind: "rejected", problems: sorted(placed) };
  }
  const { name, ...head } = written;
  const steps = allSteps(head.body);
  const draft: Program = {
    ...head,
    format: 2,
    capabilities: [...new Set(steps.flatMap(capabilitiesOf))].sort(),
    workspace: freezeWorkspace(catalog.workspace),
    slots: declareSlots(steps, head.trigger, catalog),
  };
  const program = { ...draft, format: formatNeeded(draft) };
  for (const { code, message, at, remedy, facts } of checkProgram(program, catalog.capabilities)) {
    problems.push({ code, message, at: "", span: places.get(at) ?? [0, 0], remedy, facts });
  }
  if (problems.length > 0) return { kind: "rejected", problems: sorted(problems) };
  const source: ProgramSource = {
    kind: "program",
    name,
    text,
    language: null,
    spans: Object.fromEntries(places),
  };
  return { kind: "compiled", program, source };
}

function sorted(problems: readonly PlanProblem[]): readonly PlanProblem[] {
  return problems.toSorted((a, b) => (a.span?.[0] ?? 0) - (b.span?.[0] ?? 0)).slice(0, problemsMax);
}

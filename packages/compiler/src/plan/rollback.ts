// Compensations that a plan names itself.
import { closest, pointer, problem, suggestion, type PlanProblem } from "./problem.ts";
import type { Plan, PlanAction } from "./read.ts";
import type { ResolvedAction } from "./resolve.ts";

/** Ids that are compensations only (K93): they never run by themselves, so nothing may wait for them or read from them. */
export function compensatingIds(
  plan: Plan,
  known: ReadonlyMap<string, ResolvedAction>,
  problems: PlanProblem[],
): ReadonlySet<string> {
  const byId = new Map(plan.actions.map((action) => [action.id, action]));
  const compensating = new Set<string>();
  for (const action of plan.actions) {
    const { id, rollback } = action;
    if (rollback === null) continue;
    const at = pointer(rollback.at, "action");
    const target = byId.get(rollback.action);
    const refuse = (why: string) =>
      problems.push(
        problem(
          "plan.rollback",
          at,
          `Cannot take \`${id}\` back through \`${rollback.action.slice(0, 80)}\`: ${why}`,
          { action: id },
        ),
      );
    if (target === undefined) {
      const near = closest(rollback.action, [...byId.keys()], problems);
      problems.push(
        problem(
          "plan.unknown-reference",
          at,
          `Cannot find the action \`${rollback.action.slice(0, 80)}\`${suggestion(near)}`,
          { closest: near },
        ),
      );
      continue;
    }
    compensating.add(target.id);
    if (known.get(id)?.definition.effect.kind === "read")
      refuse(`\`${id}\` only reads, there is nothing to take back`);
    if (known.get(target.id)?.definition.effect.kind === "read") refuse("it only reads");
    if (target.rollback !== null) {
      const circle = rollbackChain(id, byId);
      refuse(
        circle.at(-1) === id
          ? `they take each other back (${circle.join(" → ")})`
          : "it has a rollback itself, and chains of them are not supported yet",
      );
    }
    if (target.approval !== null) refuse("it asks for an approval, and what takes back does not wait");
    if (target.retry !== null) refuse("it asks for a retry, which a compensation does not have");
    for (const field of ["on_error", "timeout"]) {
      const given = target.node.kind === "object" ? target.node.fields.get(field) : undefined;
      const value = given?.kind === "scalar" ? given.value : null;
      // What fails to take back is always told, as `abort` says. `on_error: retry` asks for a retry, which was just refused.
      if (value === null || value === "abort" || target.retry !== null) continue;
      refuse(`it has \`${field}\`, which a compensation does not have`);
    }
    for (const { id: other, at: where } of target.dependsOn) {
      if (byId.get(other)?.rollback?.action !== target.id) {
        problems.push(
          problem(
            "plan.rollback",
            where,
            `Cannot let \`${target.id}\` wait for \`${other.slice(0, 80)}\`: it runs only to take something back`,
            { action: target.id },
          ),
        );
      }
    }
  }
  return compensating;
}

function rollbackChain(id: string, byId: ReadonlyMap<string, PlanAction>): readonly string[] {
  const chain = [id];
  for (
    let next = byId.get(id)?.rollback?.action;
    next !== undefined;
    next = byId.get(next)?.rollback?.action
  ) {
    const isBack = chain.includes(next);
    chain.push(next);
    if (isBack) break;
  }
  return chain;
}

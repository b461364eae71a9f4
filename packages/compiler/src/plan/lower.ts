// A resolved plan to a program: actions become steps, references slots, failures policies, approvals blocks.
import type { Catalog } from "@writ/core/capability";
import { expressionLengthMax, runTimeoutMsDefault } from "@writ/core/limits";
import { renderExpression } from "@writ/core/expression";
import { roleName, stepId, type StepId } from "@writ/core/ids";
import { joinLabels, type Label } from "@writ/core/label";
import type {
  Compensation,
  FailurePolicy,
  Opcode,
  Operand,
  Operands,
  Program,
  SlotDeclaration,
  Step,
} from "@writ/core/program";
import { freezeWorkspace } from "../freeze-workspace.ts";
import { failureOf, lastPolicy } from "./failure.ts";
import type { JsonNode } from "./json.ts";
import { planConcurrencyMax } from "./limits.ts";
import { operandOf, textOperand, type Slots } from "./operand.ts";
import { containsTemplate } from "./params.ts";
import { pointer, problem, type PlanProblem } from "./problem.ts";
import type { PlanApproval } from "./read.ts";
import type { ResolvedAction, ResolvedPlan } from "./resolve.ts";

/** Ids of actions hold no dot, so these never meet one. */
const finishId = stepId("plan.finish");
const approveId = (id: string): StepId => stepId(`approve.${id}`);

export function lowerPlan(plan: ResolvedPlan, catalog: Catalog, problems: PlanProblem[]): Program {
  const slots: Slots = new Map(plan.actions.map(({ action, slot }) => [action.id, slot]));
  const lower = { plan, catalog, slots, problems };
  const certain = new Set<StepId>();
  const steps = plan.actions.map((action, place) => {
    const step = lowerAction(action, edges(action, place, { ...plan, certain }), lower);
    if (isCertain(step, certain)) certain.add(step.id);
    return step;
  });
  const called = plan.actions.flatMap(({ definition, compensation }) =>
    compensation === null ? [definition.id] : [definition.id, compensation.definition.id],
  );
  return {
    format: 1,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: runTimeoutMsDefault,
    concurrencyMax: planConcurrencyMax,
    capabilities: [...new Set(called)].sort(),
    invariants: [],
    workspace: freezeWorkspace(catalog.workspace),
    slots: declarations(plan),
    body: { steps: [...steps, finishStep(plan, steps, certain)] },
  };
}

interface Lowering {
  readonly plan: ResolvedPlan;
  readonly catalog: Catalog;
  readonly slots: Slots;
  readonly problems: PlanProblem[];
}

/** The step of the program's body that an action stands in: itself, or the approval around it. */
function outerId({ action }: ResolvedAction): StepId {
  return action.approval === null ? stepId(action.id) : approveId(action.id);
}

function lowerAction(resolved: ResolvedAction, { after, tolerates }: Edges, lower: Lowering): Step {
  const { action, definition } = resolved;
  const { approval } = action;
  const op = opcode(resolved, lower);
  const last = lastPolicy(action.onError);
  const failure = (then: FailurePolicy) =>
    failureOf(then, {
      action,
      definition,
      params: op.params,
      workspace: lower.catalog.workspace,
      problems: lower.problems,
    });
  const id = stepId(action.id);
  if (approval === null)
    return { id, after, tolerates, op, failure: failure(last), timeoutMs: action.timeoutMs };
  checkApproval(approval, resolved, lower.problems);
  // Inside, a failure ends the block; what it means for the plan is decided once, around it.
  const inner: Step = {
    id,
    after: [],
    tolerates: [],
    op,
    failure: failure({ kind: "safe_halt" }),
    timeoutMs: action.timeoutMs,
  };
  return {
    id: approveId(action.id),
    after,
    tolerates,
    op: {
      op: "approve",
      role: roleName("owner"),
      withinMs: approval.withinMs,
      message: approvalMessage(approval, resolved, lower.slots),
      body: { steps: [inner] },
      otherwise: null,
    },
    failure: last,
    timeoutMs: null,
  };
}

function opcode(
  { action, definition, slot, params, compensation }: ResolvedAction,
  lower: Lowering,
): Extract<Opcode, { op: "load" | "call" }> {
  const operands = operandsOf(params, lower);
  if (definition.effect.kind === "read") {
    return { op: "load", capability: definition.id, params: operands, output: slot, freshnessMsMax: null };
  }
  const back: Compensation | null =
    action.rollback === null || compensation === null
      ? null
      : { capability: compensation.definition.id, params: operandsOf(compensation.params, lower) };
  return { op: "call", capability: definition.id, params: operands, output: slot, compensation: back };
}

function operandsOf(params: ReadonlyMap<string, JsonNode>, { slots, problems }: Lowering): Operands {
  return Object.fromEntries(
    [...params].map(([name, node]) => {
      // What is written out stands in the expression too; building it first would cost more than it is worth.
      const written = containsTemplate(node) ? textLength(node) : 0;
      const operand: Operand =
        written > expressionLengthMax ? { kind: "literal", value: null } : operandOf(node, slots);
      const length = operand.kind === "expression" ? operand.text.length : written;
      if (length > expressionLengthMax) {
        problems.push(
          problem(
            "plan.too-large",
            node.at,
            `Cannot take ${length} characters with templates in \`${name}\`: at most ${expressionLengthMax}`,
            { lengthMax: expressionLengthMax },
          ),
        );
      }
      return [name, operand];
    }),
  );
}

function textLength(node: JsonNode): number {
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" ? node.value.replaceAll(/\{\{.*?\}\}/gs, "").length : 1;
    case "list":
      return node.items.reduce((sum, item) => sum + textLength(item), 0);
    case "object":
      return [...node.fields.values()].reduce((sum, item) => sum + textLength(item), 0);
  }
}

interface Edges {
  readonly after: readonly StepId[];
  readonly tolerates: readonly StepId[];
}

/**
 * What a step waits for, and what of it may have failed or been skipped (N14, N15): what only stood before it in the list always; a dependency
 * whose action says `continue` when nothing is read from it; a dependency whose result is read never. What is certain needs no tolerance.
 */
function edges(
  { action, reads, undoReads }: ResolvedAction,
  place: number,
  { mode, actions, dependencies, certain }: ResolvedPlan & { readonly certain: ReadonlySet<StepId> },
): Edges {
  const depends = dependencies.get(action.id) ?? new Set<string>();
  const read = new Set(
    [...reads, ...undoReads].flatMap(({ reference }) => (reference.root === "result" ? [reference.id] : [])),
  );
  const previous = mode === "sequential" ? actions[place - 1] : undefined;
  const before = actions.filter((other) => depends.has(other.action.id) || other === previous);
  const isTolerated = ({ action: { id, onError } }: ResolvedAction) =>
    !read.has(id) && (!depends.has(id) || onError === "continue");
  return {
    after: before.map(outerId),
    tolerates: before.filter((other) => isTolerated(other) && !certain.has(outerId(other))).map(outerId),
  };
}

/** Returns the results, by action id, of the actions that have surely completed whenever the end is reached (N17). */
function finishStep(plan: ResolvedPlan, steps: readonly Step[], certain: ReadonlySet<StepId>): Step {
  const awaited = new Set(steps.flatMap(({ after }) => after));
  const after = steps.filter(({ id }) => !awaited.has(id)).map(({ id }) => id);
  const results = plan.actions.filter((action) => certain.has(outerId(action)));
  const text = renderExpression({
    kind: "map",
    entries: results.map(({ action, slot }) => [action.id, { kind: "name", name: slot }] as const),
  });
  return {
    id: finishId,
    after,
    tolerates: after.filter((id) => !certain.has(id)),
    op: { op: "finish", result: { kind: "expression", text } },
    failure: { kind: "safe_halt" },
    timeoutMs: null,
  };
}

/** Whether it has completed whenever the run goes on after it. `certain` holds those before it that have. */
function isCertain({ after, tolerates, failure }: Step, certain: ReadonlySet<StepId>): boolean {
  const last = failure.kind === "retry" ? failure.then : failure;
  const isReached = after.every((other) => certain.has(other) || tolerates.includes(other));
  return isReached && last.kind !== "skip" && last.kind !== "continue";
}

function checkApproval(
  approval: PlanApproval,
  { action, definition }: ResolvedAction,
  problems: PlanProblem[],
): void {
  if (approval.onTimeout !== "skip") return;
  const at = pointer(approval.at, "timeout_behavior");
  if (
    definition.criticality === "critical" ||
    definition.risk === "critical" ||
    approval.risk === "critical"
  ) {
    problems.push(
      problem("plan.approval", at, `Cannot skip \`${action.id}\` when nobody answers: it is critical`, {
        action: action.id,
      }),
    );
  } else if (action.onError !== "skip") {
    problems.push(
      problem(
        "plan.unsupported",
        at,
        "Cannot use `timeout_behavior: skip` without `on_error: skip`: an approval that expires fails the action, and `on_error` says what follows",
        {
          field: "timeout_behavior",
        },
      ),
    );
  }
}

function approvalMessage(approval: PlanApproval, { action }: ResolvedAction, slots: Slots): Operand {
  const message = approval.message ?? action.label ?? `${action.module}.${action.action}`;
  return textOperand(approval.risk === null ? message : `${message} (risk: ${approval.risk})`, slots);
}

/** Labels travel: a result carries those of its capability and of everything its parameters were made from. */
function declarations({ actions }: ResolvedPlan): readonly SlotDeclaration[] {
  const labels = new Map<string, readonly Label[]>();
  return actions.map(({ action, definition, slot, reads }) => {
    const sources = reads.map(({ reference }): readonly Label[] =>
      reference.root === "trigger" ? ["origin:event"] : (labels.get(reference.id) ?? []),
    );
    const all = joinLabels(definition.labels, sources.flat());
    labels.set(action.id, all);
    return { name: slot, schema: definition.result, labels: all };
  });
}

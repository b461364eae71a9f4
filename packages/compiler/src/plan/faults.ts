import type { FaultTable } from "@writ/core/fault";

/** Why a plan is refused. They are outcomes: `compilePlan` returns them in a list, it does not throw them. */
export const planFaults = {
  "plan.too-large": { kind: "rejected", remedy: "Split the plan into smaller plans." },
  "plan.json": {
    kind: "rejected",
    remedy: "Send one JSON object (RFC 8259); correct the text at the named place.",
  },
  "plan.duplicate-key": { kind: "rejected", remedy: "Keep one of the two fields of that name." },
  "plan.number": { kind: "rejected", remedy: "Write the number as text, or with fewer digits." },
  "plan.version": {
    kind: "rejected",
    remedy: 'Write the plan in IML 2.0 and set `protocol_version` to "2.0".',
  },
  "plan.field": { kind: "rejected", remedy: "Give the field a value of the named form." },
  "plan.missing-field": { kind: "rejected", remedy: "Add the named field." },
  "plan.unknown-field": {
    kind: "rejected",
    remedy: "Remove the field or use one of the names listed in the facts.",
  },
  "plan.unsupported": {
    kind: "rejected",
    remedy: "Remove the field: this version would have to ignore it, and nothing in a plan is ignored.",
  },
  "plan.too-many-actions": {
    kind: "rejected",
    remedy: "Split the plan, or ask the owner for a wider profile.",
  },
  "plan.duplicate-id": { kind: "rejected", remedy: "Give each action its own id." },
  "plan.unknown-action": {
    kind: "rejected",
    remedy: "Use one of the actions listed in the facts, or search the capabilities.",
  },
  "plan.module-version": {
    kind: "rejected",
    remedy: "Ask for a version this node has, or have the module updated.",
  },
  "plan.params": {
    kind: "rejected",
    remedy: "Correct the parameter; the capability's schema says what it takes.",
  },
  "plan.path": {
    kind: "rejected",
    remedy: "Use a path relative to the workspace, with `/` between names and without `..`.",
  },
  "plan.host": {
    kind: "rejected",
    remedy: "Use a host of the workspace's allow-list, or ask the owner to add it with its risk.",
  },
  "plan.template": {
    kind: "rejected",
    remedy: "Use `{{result.<id>.<field>}}` or `{{trigger.<field>}}`, closed by `}}`.",
  },
  "plan.environment": {
    kind: "rejected",
    remedy: "Write the value itself: no profile may read the node's environment.",
  },
  "plan.unknown-reference": { kind: "rejected", remedy: "Use the id of an action of this plan." },
  "plan.unknown-result-field": {
    kind: "rejected",
    remedy: "Use one of the result's fields listed in the facts.",
  },
  "plan.reference-order": {
    kind: "rejected",
    remedy: "Move the action behind the one it reads from, or name that one in `depends_on`.",
  },
  "plan.dependency": { kind: "rejected", remedy: "Name ids of other actions of this plan in `depends_on`." },
  "plan.cycle": { kind: "rejected", remedy: "Remove one of the dependencies of the named circle." },
  "plan.rollback": {
    kind: "rejected",
    remedy:
      "Let `rollback` name a writing action of this plan that nothing else uses and that has no rollback itself.",
  },
  "plan.retry-class": { kind: "rejected", remedy: "Use the error classes listed in the facts." },
  "plan.retry-unsafe": {
    kind: "rejected",
    remedy:
      "Remove the retry: repeating the action could repeat its effect, or no failure of it is known to pass.",
  },
  "plan.approval": {
    kind: "rejected",
    remedy:
      "Let an approval that nobody answers end in `reject`: a critical action is never skipped silently.",
  },
} as const satisfies FaultTable;

export type PlanProblemCode = keyof typeof planFaults;

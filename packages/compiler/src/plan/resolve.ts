// A plan against the catalog: which capability each action is, what it reads, what it waits for, what takes it back.
import type { CapabilityDefinition, Catalog } from "@writ/core/capability";
import { capabilityName, slotName, type SlotName } from "@writ/core/ids";
import { capabilityFinder } from "./capabilities.ts";
import type { JsonNode } from "./json.ts";
import { planReferencesMax, profileActionsMax } from "./limits.ts";
import { followsIn, orderActions, type Dependencies } from "./order.ts";
import { checkParams } from "./params.ts";
import { closest, pointer, problem, suggestion, type PlanProblem } from "./problem.ts";
import type { Plan, PlanAction } from "./read.ts";
import { referencedIds, referencesIn, textReferences, type PlacedReference } from "./references.ts";
import { compensatingIds } from "./rollback.ts";

export interface ResolvedAction {
  readonly action: PlanAction;
  readonly definition: CapabilityDefinition;
  readonly slot: SlotName;
  readonly params: ReadonlyMap<string, JsonNode>;
  /** By its parameters and its approval's message. */
  readonly reads: readonly PlacedReference[];
  /** By the parameters of what takes it back (K100). */
  readonly undoReads: readonly PlacedReference[];
  readonly compensation: {
    readonly definition: CapabilityDefinition;
    readonly params: ReadonlyMap<string, JsonNode>;
  } | null;
}

export interface ResolvedPlan {
  readonly mode: Plan["mode"];
  /** The actions of the normal run, in an order that respects `dependencies`. */
  readonly actions: readonly ResolvedAction[];
  /** Named in `depends_on` or by a reference. */
  readonly dependencies: Dependencies;
}

/** The plan with every name resolved, or null when there are problems (pushed to the list). */
export function resolvePlan(plan: Plan, catalog: Catalog, problems: PlanProblem[]): ResolvedPlan | null {
  const before = problems.length;
  checkProfile(plan, catalog, problems);
  const known = resolveActions(plan, catalog, problems);
  if (hasTooManyReads(known, problems)) return null;
  const compensating = compensatingIds(plan, known, problems);
  const normal = plan.actions.filter(({ id }) => !compensating.has(id));
  const explicit = explicitDependencies(plan, compensating, problems);
  const dependencies = new Map<string, ReadonlySet<string>>();
  for (const action of normal) {
    const resolved = known.get(action.id);
    const reads =
      resolved === undefined ? [] : referencedIds(resolved, { plan, known, compensating, problems });
    dependencies.set(action.id, new Set([...(explicit.get(action.id) ?? []), ...reads]));
  }
  const ordered = orderActions(
    normal.map(({ id }) => id),
    dependencies,
  );
  if ("circle" in ordered) {
    const [first = ""] = ordered.circle;
    const node = plan.actions.find(({ id }) => id === first)?.node;
    problems.push(
      problem(
        "plan.cycle",
        node?.at ?? "/actions",
        `Cannot order the actions: ${ordered.circle.join(" → ")} wait for each other`,
        {
          circle: ordered.circle,
        },
      ),
    );
    return null;
  }
  if (plan.mode === "sequential") checkForwardReads(normal, ordered.order, known, explicit, problems);
  if (problems.length > before) return null;
  return {
    mode: plan.mode,
    actions: ordered.order.flatMap((id) => known.get(id) ?? []),
    dependencies,
  };
}

function hasTooManyReads(known: ReadonlyMap<string, ResolvedAction>, problems: PlanProblem[]): boolean {
  let count = 0;
  for (const { reads, undoReads } of known.values()) count += reads.length + undoReads.length;
  if (count <= planReferencesMax) return false;
  problems.push(
    problem(
      "plan.too-large",
      "/actions",
      `Cannot take ${count} templates in one plan: at most ${planReferencesMax}`,
      {
        count,
        countMax: planReferencesMax,
      },
    ),
  );
  return true;
}

function checkProfile(plan: Plan, { workspace }: Catalog, problems: PlanProblem[]): void {
  const countMax = profileActionsMax[workspace.profile];
  const count = plan.actions.length;
  if (count <= countMax) return;
  problems.push(
    problem(
      "plan.too-many-actions",
      "/actions",
      `Cannot take ${count} actions: the profile \`${workspace.profile}\` allows ${countMax}`,
      {
        count,
        countMax,
        profile: workspace.profile,
      },
    ),
  );
}

function resolveActions(
  plan: Plan,
  catalog: Catalog,
  problems: PlanProblem[],
): ReadonlyMap<string, ResolvedAction> {
  const find = capabilityFinder(plan, catalog, problems);
  const definitions = new Map(plan.actions.map((action) => [action.id, find(action)]));
  const resolved = new Map<string, ResolvedAction>();
  const taken = new Set<string>();
  const check = (definition: CapabilityDefinition, params: ReadonlyMap<string, JsonNode>, at: string) =>
    checkParams(definition.params, params, at, {
      workspace: catalog.workspace,
      name: capabilityName(definition.id),
      problems,
    });
  const targets = new Set(plan.actions.map(({ rollback }) => rollback?.action));
  for (const action of plan.actions) {
    const definition = definitions.get(action.id);
    if (definition === undefined) continue;
    const params = fieldsOf(action.params);
    // Those of a compensation are complete only together with what `rollback` adds.
    if (!targets.has(action.id)) check(definition, params, action.params?.at ?? action.node.at);
    const reads = [...params.values()].flatMap((node) => referencesIn(node, problems));
    if (action.approval?.message != null) {
      reads.push(
        ...textReferences(action.approval.message, pointer(action.approval.at, "message"), problems),
      );
    }
    const compensation = compensationOf(action, plan, definitions, check);
    resolved.set(action.id, {
      action,
      definition,
      slot: slotFor(action.id, taken),
      params,
      reads,
      undoReads: compensation === null ? [] : undoReferences(action, compensation.params, problems),
      compensation,
    });
  }
  return resolved;
}

/** The named action's parameters, overlaid by those of `rollback`. */
function compensationOf(
  action: PlanAction,
  plan: Plan,
  definitions: ReadonlyMap<string, CapabilityDefinition | undefined>,
  check: (definition: CapabilityDefinition, params: ReadonlyMap<string, JsonNode>, at: string) => void,
): ResolvedAction["compensation"] {
  const { rollback } = action;
  const target = plan.actions.find(({ id }) => id === rollback?.action);
  const definition = target === undefined ? undefined : definitions.get(target.id);
  if (rollback === null || target === undefined || definition === undefined) return null;
  const params = new Map([...fieldsOf(target.params), ...fieldsOf(rollback.params)]);
  check(definition, params, rollback.at);
  return { definition, params };
}

/** Unreadable templates are reported where they stand: those of the named action with that action, those of `rollback` here. */
function undoReferences(
  { rollback }: PlanAction,
  params: ReadonlyMap<string, JsonNode>,
  problems: PlanProblem[],
): readonly PlacedReference[] {
  const own = fieldsOf(rollback?.params ?? null);
  return [...params].flatMap(([name, node]) => referencesIn(node, own.has(name) ? problems : []));
}

function explicitDependencies(
  plan: Plan,
  compensating: ReadonlySet<string>,
  problems: PlanProblem[],
): Dependencies {
  const ids = new Set(plan.actions.map(({ id }) => id));
  const explicit = new Map<string, ReadonlySet<string>>();
  for (const { id, dependsOn } of plan.actions) {
    if (compensating.has(id)) continue;
    const valid = new Set<string>();
    for (const { id: other, at } of dependsOn) {
      if (other === id)
        problems.push(problem("plan.dependency", at, `Cannot let \`${id}\` wait for itself`, { action: id }));
      else if (!ids.has(other)) {
        const near = closest(other, [...ids], problems);
        problems.push(
          problem(
            "plan.dependency",
            at,
            `Cannot find the action \`${other.slice(0, 80)}\` that \`${id}\` waits for${suggestion(near)}`,
            { closest: near, known: [...ids].slice(0, 50) },
          ),
        );
      } else if (compensating.has(other)) {
        problems.push(
          problem(
            "plan.rollback",
            at,
            `Cannot let \`${id}\` wait for \`${other}\`: it runs only to take something back`,
            { action: other },
          ),
        );
      } else valid.add(other);
    }
    explicit.set(id, valid);
  }
  return explicit;
}

/** In sequential mode the list is the order: what reads from a later action must say so in `depends_on`. */
function checkForwardReads(
  actions: readonly PlanAction[],
  order: readonly string[],
  known: ReadonlyMap<string, ResolvedAction>,
  explicit: Dependencies,
  problems: PlanProblem[],
): void {
  const places = new Map(actions.map(({ id }, place) => [id, place]));
  const follows = followsIn(order, explicit);
  for (const [place, { id }] of actions.entries()) {
    const resolved = known.get(id);
    for (const { reference, at } of [...(resolved?.reads ?? []), ...(resolved?.undoReads ?? [])]) {
      if (reference.root !== "result" || (places.get(reference.id) ?? -1) <= place) continue;
      if (follows(id, reference.id)) continue;
      problems.push(
        problem(
          "plan.reference-order",
          at,
          `Cannot read the result of \`${reference.id}\` in \`${id}\`: it runs later and \`${id}\` does not depend on it`,
          { reader: id, read: reference.id },
        ),
      );
    }
  }
}

function fieldsOf(node: JsonNode | null): ReadonlyMap<string, JsonNode> {
  return node?.kind === "object" ? node.fields : new Map();
}

/** `r_` and the id with `_` for `-`; a number behind it when two ids meet. The prefix keeps it off CEL's words and `event`. */
function slotFor(id: string, taken: Set<string>): SlotName {
  const name = `r_${id.replaceAll("-", "_")}`;
  let unique = name;
  for (let count = 2; taken.has(unique); count++) unique = `${name}__${count}`;
  taken.add(unique);
  return slotName(unique);
}

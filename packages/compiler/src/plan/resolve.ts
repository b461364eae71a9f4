// A plan against the catalog: which capability each action is, what it reads, what it waits for, what takes it back.
import type { CapabilityDefinition, Catalog } from "@writ/core/capability";
import { capabilityName, slotName, type SlotName } from "@writ/core/ids";
import type { Schema } from "@writ/core/schema";
import type { JsonNode } from "./json.ts";
import { planReferencesMax, profileActionsMax } from "./limits.ts";
import { followsIn, orderActions, type Dependencies } from "./order.ts";
import { checkParams, fieldSchema, shapeOf } from "./params.ts";
import { closest, pointer, problem, suggestion, type PlanProblem } from "./problem.ts";
import type { Plan, PlanAction } from "./read.ts";
import { readTemplates, type PathPart, type Reference } from "./templates.ts";
import { compareVersions, fitsRange } from "./versions.ts";

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

export interface PlacedReference {
  readonly reference: Reference;
  readonly at: string;
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

function capabilityFinder(plan: Plan, catalog: Catalog, problems: PlanProblem[]) {
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

/** Ids that are compensations only (K93): they never run by themselves, so nothing may wait for them or read from them. */
function compensatingIds(
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

interface ReferenceScope {
  readonly plan: Plan;
  readonly known: ReadonlyMap<string, ResolvedAction>;
  readonly compensating: ReadonlySet<string>;
  readonly problems: PlanProblem[];
}

/** The other actions whose results an action or its compensation reads; wrong references become problems. */
function referencedIds(
  { action, reads, undoReads }: ResolvedAction,
  scope: ReferenceScope,
): readonly string[] {
  const { compensating, problems } = scope;
  const idsOf = (placed: readonly PlacedReference[], own: "refused" | "allowed") =>
    placed.flatMap(({ reference, at }) => {
      if (reference.root !== "result" || !checkReference(reference, at, scope)) return [];
      const { id } = reference;
      if (id === action.id && own === "allowed") return [];
      if (id !== action.id && !compensating.has(id)) return [id];
      const [code, why] =
        id === action.id
          ? (["plan.reference-order", ` in \`${id}\` itself`] as const)
          : (["plan.rollback", ": it runs only to take something back"] as const);
      problems.push(problem(code, at, `Cannot read the result of \`${id}\`${why}`, { action: id }));
      return [];
    });
  return [...idsOf(reads, "refused"), ...idsOf(undoReads, "allowed")];
}

/** Whether the reference names an action and a field its result may have. */
function checkReference(
  reference: Extract<Reference, { root: "result" }>,
  at: string,
  { plan, known, problems }: ReferenceScope,
): boolean {
  const target = known.get(reference.id);
  if (target === undefined) {
    const ids = plan.actions.map(({ id }) => id);
    // It is there, but what it does is unknown: that is a problem of its own.
    if (ids.includes(reference.id)) return true;
    const near = closest(reference.id, ids, problems);
    problems.push(
      problem(
        "plan.unknown-reference",
        at,
        `Cannot find the action \`${reference.id}\` whose result is read${suggestion(near)}`,
        {
          closest: near,
          known: ids.slice(0, 50),
        },
      ),
    );
    return false;
  }
  const missing = missingField(target.definition.result, reference.path);
  if (missing === null) return true;
  const near = closest(String(missing.part), missing.available, problems);
  problems.push(
    problem(
      "plan.unknown-result-field",
      at,
      `Cannot read \`${String(missing.part)}\` of the result of \`${reference.id}\` (\`${capabilityName(target.definition.id)}\`)${suggestion(near)}`,
      {
        available: missing.available,
        closest: near,
      },
    ),
  );
  return false;
}

/** The first part of a path that no value of the schema has, or null. */
function missingField(
  schema: Schema,
  path: readonly PathPart[],
): { readonly part: PathPart; readonly available: readonly string[] } | null {
  let current = schema;
  for (const [i, part] of path.entries()) {
    const shape = shapeOf(current);
    if (shape.anyOf !== undefined) {
      const tries = shape.anyOf.map((alternative) => missingField(alternative, path.slice(i)));
      return tries.includes(null)
        ? null
        : { part, available: tries.flatMap((missing) => missing?.available ?? []) };
    }
    if (shape["x-decimal"] === true) return { part, available: [] };
    if (shape.type === undefined) return null;
    if (shape.type === "array" && typeof part === "number") current = shape.items ?? {};
    else if (shape.type === "object" && typeof part === "string") {
      const inner = fieldSchema(shape, part);
      if (inner === undefined) return { part, available: Object.keys(shape.properties) };
      current = inner;
    } else return { part, available: shape.type === "array" ? ["[0]"] : Object.keys(shape.properties) };
  }
  return null;
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

/** All references in the texts of a node; unreadable ones, and templates in field names, become problems. */
function referencesIn(node: JsonNode, problems: PlanProblem[]): PlacedReference[] {
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" ? textReferences(node.value, node.at, problems) : [];
    case "list":
      return node.items.flatMap((item) => referencesIn(item, problems));
    case "object":
      return [...node.fields].flatMap(([key, item]) => {
        if (key.includes("{{"))
          problems.push(
            problem(
              "plan.template",
              item.at,
              `Cannot use a template in the field name \`${key.slice(0, 80)}\``,
            ),
          );
        return referencesIn(item, problems);
      });
  }
}

function textReferences(text: string, at: string, problems: PlanProblem[]): PlacedReference[] {
  const read = readTemplates(text, at);
  if ("problem" in read) {
    problems.push(read.problem);
    return [];
  }
  return read.parts.flatMap((part) => (part.kind === "reference" ? [{ reference: part.reference, at }] : []));
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

function versionOf(id: string): string {
  return id.slice(id.indexOf("@") + 1);
}

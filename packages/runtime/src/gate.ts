// The gate: what every effect passes, whoever asked for it. Pure: the same recorded inputs give the same verdict.
//   G1  The checks run in this order and the first that fails decides: known and not revoked, policy, schema, containment, labels,
//       rate, approval. The resource (one path, one lock) is held by the caller while the gate looks.
//   G2  An approval narrows: nothing that any other check denies is allowed by it.
//   G3  An approval covers exactly the effect it was given for; anything else is `approval.stale`.
//   G4  Untrusted data may not choose what a consequential step does, or whether it happens, without an approval.
//   G5  What is secret does not leave.
import { askCapability, rememberCapability } from "@writ/core/program-steps";
import type { Capability, CapabilityDefinition, Risk, Target, WorkspaceContext } from "@writ/core/capability";
import type { Actor, EffectPreview, GateVerdict } from "@writ/core/entry";
import { isConsequential, isMoving, isSending } from "@writ/core/consequence";
import { faultRecord, type FaultFacts } from "@writ/core/fault";
import { roleName, type ApprovalId, type CapabilityId, type RoleName } from "@writ/core/ids";
import { isUntrusted, joinLabels, type Label } from "@writ/core/label";
import type { Policy, PolicyRequest, PolicyVerdict } from "@writ/core/ports";
import { guardProblems } from "@writ/core/guard-rules";
import type { FailurePolicy, Guard, Program } from "@writ/core/program";
import type { ValueMap } from "@writ/core/value";
import { fault, type runtimeFaults } from "./faults.ts";
import { problemsOf } from "./fit.ts";
import { hasRole, type EmergencyStop } from "./registry.ts";
import { stopOf, stoppedFault } from "./gate/emergency.ts";
import { deviceProblem, hostProblem, pathProblem } from "./gate/containment.ts";
import { namedPlaces } from "./gate/places.ts";
import { coverage } from "./effect-hash.ts";
import type { Hasher } from "@writ/core/ports";

/** An approval that was given for the step. */
export interface GivenApproval {
  readonly approval: ApprovalId;
  readonly role: RoleName;
  readonly by?: Actor | null;
  /** What was approved, in the order in which it is done, and which of them is this step. */
  readonly effects: readonly EffectPreview[];
  readonly index: number;
}

/** A person ordered the effect while the run was under way; `changedBy` put other parameters in the place of the author's. */
export interface GateOrder {
  readonly changedBy: Actor | null;
}

/** What the gate knows of a capability: its data, and what its call risks. */
export type Judged = CapabilityDefinition & Pick<Capability, "riskOf">;

export interface Rate {
  /** In words: `effects of one session`. */
  readonly what: string;
  readonly count: number;
  readonly countMax: number;
}

export interface GateInput {
  readonly capability: CapabilityId;
  readonly definition: Judged | undefined;
  /** Why it was revoked. */
  readonly revoked: string | undefined;
  readonly params: ValueMap;
  readonly targets: readonly Target[];
  readonly paramLabels: readonly Label[];
  /** Labels of what decided that the step runs. */
  readonly controlLabels: readonly Label[];
  readonly program: Program;
  readonly workspace: WorkspaceContext;
  readonly principal: PolicyRequest["principal"];
  readonly policy: Pick<Policy, "hash">;
  readonly decide: (request: PolicyRequest) => PolicyVerdict;
  readonly approvals: readonly GivenApproval[];
  /** What the step says of its guard and its failures; absent for what is no step of a program. */
  readonly step?: { readonly guard: Guard | undefined; readonly failure: FailurePolicy };
  /** Emergency stops in force. */
  readonly stops?: readonly EmergencyStop[];
  /** Sends to the busiest of the targets' hosts in the last minute, and how many may be. */
  readonly sends: { readonly count: number; readonly countMax: number; readonly retryAfterMs?: number };
  /** What else is counted by the minute. */
  readonly rates?: readonly Rate[];
  /** An undo takes back what was allowed before: its parameters come from the capability itself, so labels do not apply. */
  readonly purpose: "effect" | "undo";
  readonly hasher: Hasher;
  readonly order?: GateOrder;
}

const riskOrder: readonly Risk[] = ["low", "medium", "high", "critical"];

export function gate(input: GateInput): GateVerdict {
  const { definition } = input;
  if (definition === undefined) {
    return deny("capability.unknown", `Cannot use \`${input.capability}\`: this node does not have it`, {
      capability: input.capability,
    });
  }
  if (definition.internal === true && input.purpose === "effect") {
    return deny(
      "capability.unknown",
      `Cannot use \`${input.capability}\`: it only takes back what others did`,
      {
        capability: input.capability,
      },
    );
  }
  if (input.revoked !== undefined) {
    return deny(
      "capability.revoked",
      `Cannot use \`${input.capability}\`: it was revoked: ${input.revoked}`,
      {
        capability: input.capability,
        reason: input.revoked,
      },
    );
  }
  const stop = stopOf(input.stops ?? [], {
    definition,
    workspace: input.workspace.name,
    targets: input.targets,
  });
  if (stop !== undefined) return { kind: "deny", fault: stoppedFault(input.capability, stop) };
  const policy = input.decide(policyRequest(input, definition));
  if (policy.kind === "forbid") {
    return deny("gate.policy-denied", `Cannot use \`${input.capability}\`: ${policy.reason}`, {
      capability: input.capability,
      policies: [...policy.policies],
    });
  }
  return (
    guardDenial(input, definition) ??
    schemaDenial(input, definition) ??
    containmentDenial(input, definition) ??
    secretDenial(input) ??
    rateDenial(input) ??
    approvalVerdict(input, definition, policy)
  );
}

/** By what it found it would touch, and by what it says that it touches: a device that could not be looked at moves all the same. */
function decidesMuch({ targets }: GateInput, definition: Judged): boolean {
  return isConsequential(definition, [...targets, ...definition.resources.filter(isMoving)]);
}

function policyRequest(input: GateInput, definition: Judged): PolicyRequest {
  return {
    principal: input.principal,
    profile: input.workspace.file.profile,
    capability: input.capability,
    permission: definition.permission,
    effect: definition.effect.kind,
    risk: riskOf(input, definition),
    workspace: input.workspace.name,
    targets: input.targets,
    labels: joinLabels(input.paramLabels, input.controlLabels),
    hostRisk: hostRiskOf(input),
    ...deviceRiskOf(input, definition),
  };
}

/** The higher of what the capability says of itself and of this call. */
function riskOf(input: GateInput, definition: Judged): Risk {
  const own = definition.riskOf?.(input.params, input.workspace.file) ?? "low";
  return riskOrder[Math.max(riskOrder.indexOf(definition.risk), riskOrder.indexOf(own))] ?? "critical";
}

function hostRiskOf(input: GateInput): Risk | null {
  const hosts = input.targets.filter((target) => target.kind === "host");
  if (hosts.length === 0) return null;
  const risks = hosts.map(({ name }) => {
    const listed = input.workspace.file.hosts.find(({ host }) => host === name);
    return listed === undefined ? riskOrder.length - 1 : riskOrder.indexOf(listed.risk);
  });
  return riskOrder[Math.max(...risks)] ?? "critical";
}

function deviceRiskOf(
  { targets, workspace }: GateInput,
  definition: Judged,
): Pick<PolicyRequest, "deviceRisk"> {
  const moved = definition.effect.kind === "read" ? [] : targets.filter(isMoving);
  if (moved.length === 0) return {};
  const { devices = {} } = workspace.file;
  const risks = moved.map(({ name }) => {
    const listed = Object.hasOwn(devices, name) ? devices[name] : undefined;
    return listed === undefined ? riskOrder.length - 1 : riskOrder.indexOf(listed.risk);
  });
  return { deviceRisk: riskOrder[Math.max(...risks)] ?? "critical" };
}

/** G11: what moves something is guarded as its integrity level demands, whoever proved the program. */
function guardDenial(input: GateInput, definition: CapabilityDefinition): GateVerdict | undefined {
  if (input.purpose === "undo" || input.step === undefined) return undefined;
  const problems = guardProblems(definition, input.step);
  if (problems.length === 0) return undefined;
  const { capability } = input;
  return deny(
    "guard.missing",
    `Cannot move something by \`${capability}\`: ${problems.map(({ message }) => message).join("; ")}`,
    { capability, criticality: definition.criticality, missing: problems.map(({ missing }) => missing) },
  );
}

function schemaDenial(input: GateInput, definition: CapabilityDefinition): GateVerdict | undefined {
  const problems = problemsOf(definition.params, input.params);
  if (problems.length === 0) return undefined;
  const found = problems
    .map(({ at, message }) => `${at === "" ? "they" : `\`${at}\``} ${message}`)
    .join("; ");
  return deny("gate.params-invalid", `Cannot use \`${input.capability}\` with these parameters: ${found}`, {
    capability: input.capability,
    problems: problems.map(({ at, message }) => ({ at, message })),
  });
}

function containmentDenial(input: GateInput, definition: CapabilityDefinition): GateVerdict | undefined {
  const { program, workspace } = input;
  for (const invariant of program.invariants) {
    if (invariant.kind === "never-calls" && invariant.capability === input.capability) {
      return deny("gate.invariant", `Cannot use \`${input.capability}\`: the program promised never to`, {
        capability: input.capability,
      });
    }
    if (invariant.kind === "never-sends" && input.targets.some(isSending)) {
      return deny(
        "gate.invariant",
        `Cannot use \`${input.capability}\`: the program promised to send nothing`,
        {
          capability: input.capability,
        },
      );
    }
  }
  for (const place of namedPlaces(definition.params, input.params)) {
    const problem =
      place.kind === "host"
        ? hostProblem(place.text, workspace.file.hosts)
        : pathProblem(
            { name: place.text, resolved: null, writes: false, removes: false },
            program,
            workspace,
          );
    if (problem !== undefined)
      return deny(problem.code, problem.message, { param: place.at, ...problem.facts });
  }
  for (const target of input.targets) {
    if (target.kind === "person" || target.kind === "memory") continue;
    const problem =
      target.kind === "device"
        ? deviceProblem(target.name, workspace.file)
        : target.kind === "host"
          ? hostProblem(target.name, workspace.file.hosts)
          : pathProblem(
              {
                name: target.name,
                resolved: target.resolved,
                writes: target.does !== "read" && target.does !== "list",
                removes: target.does === "remove",
                whole: target.kind === "folder" && target.does === "replace",
              },
              program,
              workspace,
            );
    if (problem !== undefined)
      return deny(problem.code, problem.message, { target: target.name, ...problem.facts });
  }
  return undefined;
}

function secretDenial(input: GateInput): GateVerdict | undefined {
  // A model sees what it is asked, wherever it runs.
  const isSeen = input.capability === askCapability || input.targets.some(isSending) || isShared(input);
  if (!input.paramLabels.includes("secret") || !isSeen) return undefined;
  return deny("gate.secret-leaves", `Cannot use \`${input.capability}\`: a secret would leave the node`, {
    capability: input.capability,
    targets: input.targets.filter(isSending).map(({ name }) => name),
  });
}

/** Every program of the workspace may recall it. */
function isShared({ capability, params }: GateInput): boolean {
  return capability === rememberCapability && params["scope"] === "workspace";
}

function rateDenial(input: GateInput): GateVerdict | undefined {
  const sends = { what: "sends to one host", ...input.sends };
  const over = [sends, ...(input.rates ?? [])].find(({ count, countMax }) => count >= countMax);
  if (over === undefined) return undefined;
  const { what, count, countMax } = over;
  return deny("gate.rate", `Cannot use \`${input.capability}\` now: ${count} ${what} in a minute`, {
    what,
    count,
    countMax,
    retryAfterMs: input.sends.retryAfterMs ?? 60_000,
  });
}

function approvalVerdict(
  input: GateInput,
  definition: CapabilityDefinition,
  policy: Exclude<PolicyVerdict, { kind: "forbid" }>,
): GateVerdict {
  const { approvals, capability, params, targets, hasher } = input;
  const changedBy = input.order?.changedBy ?? null;
  const given = approvals.map((one) => {
    const covers = coverage(one.effects, one.index, { capability, params, targets }, hasher);
    // Nobody has seen what a person put there since.
    return { ...one, covers: covers === "partly" && changedBy !== null ? "no" : covers };
  });
  const stale = given.find(({ covers }) => covers === "no");
  // Somebody who orders it anew is asked for a new approval; the order itself is none.
  if (stale !== undefined && input.order === undefined) {
    return deny(
      "approval.stale",
      `Cannot use \`${capability}\`: what was approved is not what would be done now`,
      {
        approval: stale.approval,
        capability,
      },
    );
  }
  const isUnseen = ({ covers, effects, index }: (typeof given)[number]): boolean =>
    covers === "partly" &&
    (Object.keys(effects[index]?.later ?? {}).length === 0 || decidesMuch(input, definition));
  const seen = given.filter((one) => one.covers !== "no" && !isUnseen(one));
  const unseen = given.filter(isUnseen).map(({ role }) => ({
    role,
    reason: "what it touches could not be seen when it was approved",
  }));
  const outdated = given
    .filter(({ covers }) => covers === "no")
    .map(({ role }) => ({ role, reason: "what was approved is not what would be done now" }));
  for (const need of [...needsOf(input, definition, policy), ...unseen, ...outdated]) {
    // Whoever changed the parameters is not the one who approves them.
    const enough = seen.some(
      ({ role, by }) => (need.role === null || hasRole([role], need.role)) && !isSamePerson(by, changedBy),
    );
    if (!enough)
      return {
        kind: "needs",
        need: "approval",
        role: roleName(need.role ?? "operator"),
        reason: need.reason,
        ...(changedBy?.kind === "person" ? { notBy: changedBy.id } : {}),
      };
  }
  if (changedBy !== null && seen.length === 0) {
    const reason = "its parameters were changed while the run was under way";
    return { kind: "needs", need: "approval", role: roleName("operator"), reason };
  }
  return { kind: "allow", policy: input.policy.hash, approval: approvals.at(-1)?.approval ?? null };
}

function isSamePerson(a: Actor | null | undefined, b: Actor | null): boolean {
  return a?.kind === "person" && b?.kind === "person" && a.id === b.id;
}

/** Whose approval it takes; role null is satisfied by any approval that covers the effect, and asked of an operator. */
function needsOf(
  input: GateInput,
  definition: CapabilityDefinition,
  policy: Exclude<PolicyVerdict, { kind: "forbid" }>,
): readonly { readonly role: string | null; readonly reason: string }[] {
  const needs: { role: string | null; reason: string }[] = [];
  if (policy.kind === "permit-with-approval") needs.push({ role: policy.role, reason: policy.reason });
  const { effect } = definition;
  if (effect.kind === "irreversible" && effect.approval !== "listed") {
    needs.push({ role: effect.approval, reason: "it cannot be taken back" });
  }
  if (input.purpose === "effect" && definition.criticality === "critical" && effect.kind !== "read") {
    needs.push({ role: null, reason: "it is critical, and no profile lets it go ahead without a person" });
  }
  if (input.purpose === "effect" && decidesMuch(input, definition)) {
    const untrusted = [
      ...input.paramLabels.filter(isUntrusted).map((label) => `${label} in its parameters`),
      ...input.controlLabels.filter(isUntrusted).map((label) => `${label} decided that it happens`),
    ];
    if (untrusted.length > 0) {
      needs.push({
        role: null,
        reason: `data from outside decides about something that cannot be contained: ${untrusted.join(", ")}`,
      });
    }
  }
  return needs;
}

function deny(code: keyof typeof runtimeFaults, message: string, facts: FaultFacts): GateVerdict {
  const record = faultRecord(fault(code, message, facts));
  if (record === undefined) throw new Error("a fault of our own table has a code");
  return { kind: "deny", fault: record };
}

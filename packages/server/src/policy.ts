// Policy: Cedar decides, deny first. Two questions about every effect: may it be performed, and may it go ahead with nobody asked.
//   S20  No policy permits it: forbidden. A policy that cannot be evaluated: forbidden.
//   S21  An approval is asked for by a `forbid` of `proceed_unasked`; it never permits what `perform` denies.
//   S22  The same request under the same policy hash gives the same verdict; verdicts are remembered by what policies can see.
//   S24  A text of policies is used only after it was checked against the schema: before its hash is first recorded. A node that starts
//        again with the recorded text loads Cedar (20 MB, a tenth of a second) with its first decision.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type { AuthorizationAnswer, EntityJson } from "@cedar-policy/cedar-wasm/nodejs";
import { roleName, sha256, type Sha256 } from "@writ/core/ids";
import type { Policy, PolicyRequest, PolicyVerdict } from "@writ/core/ports";
import { fault } from "./faults.ts";
import { policyVerdictsMax } from "./limits.ts";

export interface PolicyFile {
  /** File name, such as `readonly.cedar`. */
  readonly name: string;
  readonly text: string;
}

export interface CedarPolicy extends Policy {
  readonly files: readonly PolicyFile[];
}

export interface UncheckedPolicy extends CedarPolicy {
  /** @throws policy.invalid naming file and place */
  check(): void;
}

interface ParsedPolicy {
  readonly id: string;
  readonly text: string;
  readonly approval: string | null;
  readonly reason: string;
}

/** The one text that is hashed and recorded: files in name order, each under its name. */
export function policyText(files: readonly PolicyFile[]): string {
  return [...files]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((file) => `// ---- ${file.name}\n${file.text.trimEnd()}\n`)
    .join("\n");
}

type Cedar = typeof import("@cedar-policy/cedar-wasm/nodejs");
const require = createRequire(import.meta.url);
const cedar = (): Cedar => require("@cedar-policy/cedar-wasm/nodejs") as Cedar;

/**
 * Parses, validates against the schema and prepares the policies.
 * @throws policy.invalid naming file and place
 */
export function openPolicy(files: readonly PolicyFile[], schema: string): CedarPolicy {
  const policy = readPolicy(files, schema);
  policy.check();
  return policy;
}

/** The same, not checked yet: for a text whose hash says that it was (S24). Its first decision parses it, and @throws policy.invalid. */
export function readPolicy(files: readonly PolicyFile[], schema: string): UncheckedPolicy {
  const hash = sha256(
    createHash("sha256").update(schema).update("\0").update(policyText(files)).digest("hex"),
  );
  let parsed: ReadonlyMap<string, ParsedPolicy> | null = null;
  const remembered = new Map<string, PolicyVerdict>();
  return {
    hash,
    files,
    check() {
      const policies = parsePolicies(files);
      validatePolicies(policies, schema);
      preparePolicies(hash, policies);
      parsed = policies;
    },
    decide(request) {
      const visible = visibleTo(request);
      const key = JSON.stringify(visible);
      const known = remembered.get(key);
      if (known !== undefined) return known;
      if (parsed === null) {
        const policies = parsePolicies(files);
        preparePolicies(hash, policies);
        parsed = policies;
      }
      const verdict = decide(hash, parsed, visible);
      if (remembered.size >= policyVerdictsMax) remembered.clear();
      remembered.set(key, verdict);
      return verdict;
    },
  };
}

function parsePolicies(files: readonly PolicyFile[]): ReadonlyMap<string, ParsedPolicy> {
  const policies = new Map<string, ParsedPolicy>();
  for (const policy of files.flatMap(parseFile)) {
    if (policies.has(policy.id)) throw invalid(`two policies are called \`${policy.id}\``, { id: policy.id });
    policies.set(policy.id, policy);
  }
  return policies;
}

function textsOf(policies: ReadonlyMap<string, ParsedPolicy>): Record<string, string> {
  return Object.fromEntries([...policies].map(([id, policy]) => [id, policy.text]));
}

function validatePolicies(policies: ReadonlyMap<string, ParsedPolicy>, schema: string): void {
  const checked = cedar().validate({ schema, policies: { staticPolicies: textsOf(policies) } });
  const problems =
    checked.type === "failure"
      ? checked.errors.map((error) => error.message)
      : checked.validationErrors.map(({ policyId, error }) => `${policyId}: ${error.message}`);
  if (problems.length > 0) throw invalid(problems[0] ?? "", { problems });
}

function preparePolicies(hash: Sha256, policies: ReadonlyMap<string, ParsedPolicy>): void {
  const prepared = cedar().preparsePolicySet(hash, { staticPolicies: textsOf(policies) });
  if (prepared.type === "failure") throw invalid(prepared.errors[0]?.message ?? "unreadable", {});
}

/** What policies can see of a request: coarse on purpose, so that policies speak of kinds of things and verdicts are remembered. */
interface Visible {
  readonly principal: string;
  readonly id: string;
  readonly roles: readonly string[];
  readonly capability: string;
  readonly permission: string;
  readonly effect: string;
  readonly risk: string;
  readonly profile: string;
  readonly workspace: string;
  readonly labels: readonly string[];
  readonly targets: readonly string[];
  readonly does: readonly string[];
  readonly folders: readonly string[];
  readonly hosts: readonly string[];
  readonly hostRisk: string;
  readonly deviceRisk: string;
}

const principalTypes = { person: "Person", agent: "Agent", program: "Program" } as const;

function visibleTo(request: PolicyRequest): Visible {
  const { principal, targets } = request;
  const hosts = targets.filter((target) => target.kind === "host");
  const paths = targets.filter((target) => target.kind === "file" || target.kind === "folder");
  return {
    principal: principalTypes[principal.kind],
    id: principal.id,
    roles: distinct(principal.roles),
    capability: request.capability,
    permission: request.permission,
    effect: request.effect,
    risk: request.risk,
    profile: request.profile,
    workspace: request.workspace,
    labels: distinct(request.labels),
    targets: distinct(targets.map((target) => target.kind)),
    does: distinct(targets.map((target) => target.does)),
    folders: distinct(paths.map((target) => folderOf(target.name))),
    hosts: distinct(hosts.map((target) => target.name)),
    deviceRisk: request.deviceRisk ?? "none",
    hostRisk: hosts.length === 0 ? "none" : (request.hostRisk ?? "unknown"),
  };
}

function decide(hash: Sha256, policies: ReadonlyMap<string, ParsedPolicy>, visible: Visible): PolicyVerdict {
  const perform = ask(hash, "perform", visible);
  const unasked = perform.decision === "deny" ? perform : ask(hash, "proceed_unasked", visible);
  // A skipped policy could be the one that says whom to ask.
  if (unasked.isBroken)
    return {
      kind: "forbid",
      reason: `a policy cannot be evaluated: ${unasked.reasons.join(", ")}`,
      policies: unasked.reasons,
    };
  if (perform.decision === "deny") {
    const reasons = perform.reasons
      .map((id) => policies.get(id)?.reason ?? "")
      .filter((reason) => reason !== "");
    return {
      kind: "forbid",
      reason: reasons[0] ?? `no policy of the profile ${visible.profile} permits ${visible.permission}`,
      policies: perform.reasons,
    };
  }
  if (unasked.decision === "allow") return { kind: "permit" };
  const asking = unasked.reasons.map((id) => policies.get(id)).filter((policy) => policy?.approval != null);
  const [first] = asking;
  if (first?.approval == null) {
    return {
      kind: "forbid",
      reason: "no policy lets it go ahead unasked, and none says whom to ask",
      policies: unasked.reasons,
    };
  }
  // An owner's approval is the stricter one: where several policies ask, it wins.
  const strictest = asking.find((policy) => policy?.approval === "owner") ?? first;
  return { kind: "permit-with-approval", role: strictest.approval ?? "owner", reason: strictest.reason };
}

function ask(hash: Sha256, action: string, visible: Visible) {
  const principal = { type: visible.principal, id: visible.id };
  const resource = { type: "Capability", id: visible.capability };
  const roles = visible.roles.map((id) => ({ type: "Role", id }));
  const name = visible.capability.replace(/@.*$/, "");
  const entities: EntityJson[] = [
    { uid: principal, attrs: {}, parents: roles },
    {
      uid: resource,
      attrs: {
        name,
        module: name.slice(0, name.indexOf(".")),
        permission: visible.permission,
        effect: visible.effect,
        risk: visible.risk,
      },
      parents: [],
    },
    ...roles.map((uid) => ({ uid, attrs: {}, parents: [] })),
  ];
  const { profile, workspace, labels, targets, does, folders, hosts, hostRisk, deviceRisk } = visible;
  const answer = cedar().statefulIsAuthorized({
    principal,
    action: { type: "Action", id: action },
    resource,
    context: {
      profile,
      workspace,
      labels: [...labels],
      targets: [...targets],
      does: [...does],
      folders: [...folders],
      hosts: [...hosts],
      hostRisk,
      deviceRisk,
    },
    preparsedPolicySetId: hash,
    entities,
  });
  return failClosed(answer);
}

/** Cedar skips a policy that cannot be evaluated; a skipped `forbid` would be a hole, so any error denies. */
function failClosed(answer: AuthorizationAnswer): {
  readonly decision: "allow" | "deny";
  readonly reasons: readonly string[];
  readonly isBroken: boolean;
} {
  if (answer.type === "failure") return { decision: "deny", reasons: [], isBroken: true };
  const { decision, diagnostics } = answer.response;
  if (diagnostics.errors.length > 0) {
    return { decision: "deny", reasons: diagnostics.errors.map(({ policyId }) => policyId), isBroken: true };
  }
  return { decision, reasons: diagnostics.reason, isBroken: false };
}

function parseFile(file: PolicyFile): readonly ParsedPolicy[] {
  const parts = cedar().policySetTextToParts(file.text);
  if (parts.type === "failure") {
    throw invalid(`\`${file.name}\`: ${parts.errors[0]?.message ?? "unreadable"}`, {
      file: file.name,
      problems: parts.errors,
    });
  }
  return parts.policies.map((text, index) => {
    const answer = cedar().policyToJson(text);
    if (answer.type === "failure")
      throw invalid(`\`${file.name}\`: policy ${index + 1} is unreadable`, { file: file.name });
    const { annotations = {}, effect, action } = answer.json;
    const approval = annotations["approval"] ?? null;
    if (approval !== null && (effect !== "forbid" || !JSON.stringify(action).includes('"proceed_unasked"'))) {
      throw invalid(`\`${file.name}\`: @approval stands only on a forbid of proceed_unasked`, {
        file: file.name,
        text,
      });
    }
    if (approval !== null && !isRole(approval)) {
      throw invalid(`\`${file.name}\`: @approval("${approval}") names no role`, { file: file.name, text });
    }
    return {
      id: annotations["id"] ?? `${file.name}:${index + 1}`,
      text,
      approval,
      reason: annotations["reason"] ?? "",
    };
  });
}

function isRole(text: string): boolean {
  try {
    roleName(text);
    return true;
  } catch {
    return false;
  }
}

function folderOf(path: string): string {
  const slash = path.indexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function distinct(items: readonly string[]): readonly string[] {
  return items.length < 2 ? items : [...new Set(items)].sort();
}

function invalid(what: string, facts: Readonly<Record<string, unknown>>) {
  return fault("policy.invalid", `Cannot use the policies: ${what}`, facts);
}

// What is shown of a program: its steps as a graph, and what it will ask of people.
import type { ApiFault, ApprovalNeed, Graph, ProofReport } from "@writ/core/api";
import type { FaultRecord } from "@writ/core/fault";
import type { Sha256 } from "@writ/core/ids";
import {
  allSteps,
  blocksOf,
  type Block,
  type Certificate,
  type FailurePolicy,
  type Program,
  type Step,
  type WaitUntil,
} from "@writ/core/program";
import { factsAsJson } from "../http/problem.ts";

export function apiFault({ code, kind, message, remedy, facts }: FaultRecord): ApiFault {
  return { code, kind, message, remedy, facts: factsAsJson(facts) };
}

export function triggerOf(program: Program): string {
  return program.trigger.kind === "manual" ? "manual" : program.trigger.source;
}

/** One line of what a step does. */
export function labelOf(step: Step): string {
  const { op } = step;
  switch (op.op) {
    case "load":
    case "call":
      return `${op.op} ${op.capability}`;
    case "eval":
      return `${op.output} = ${op.expression}`;
    case "check":
      return `check ${op.slot}`;
    case "branch":
      return `if ${op.arms.map((arm) => arm.when).join(" | ")}`;
    case "parallel":
      return `parallel, ${op.join.kind}`;
    case "wait":
      return waitLabel(op.until);
    case "approve":
      return `ask the ${op.role}`;
    case "emit":
      return `emit ${op.type}`;
    case "fail":
      return `fail ${op.code}`;
    case "finish":
      return "finish";
    case "loop":
      return `loop, at most ${op.iterationsMax} times`;
    case "ask":
      return `ask model ${op.model}`;
    case "recall":
    case "remember":
      return `${op.op} in the ${op.scope}'s memory`;
    case "run":
      return `run program ${op.program.slice(0, 12)}`;
  }
}

function waitLabel(until: WaitUntil): string {
  switch (until.kind) {
    case "duration":
      return `wait ${until.ms} ms`;
    case "time":
      return "wait until a time";
    case "event":
      return `wait for ${until.type ?? "an event"} of ${until.source ?? "another run"}`;
    case "condition":
      return `wait until ${until.condition} holds`;
  }
}

export function proofReport(certificate: Certificate, hash: Sha256): ProofReport {
  return {
    verdict: certificate.verdict,
    certificate: hash,
    solver: certificate.solver,
    encoder: certificate.encoder,
    against: [...certificate.against],
    elapsedMs: certificate.elapsedMs,
    checks: certificate.checks.map(({ check, name, verdict, claim, method }) => ({
      check,
      name,
      verdict,
      claim,
      method,
    })),
  };
}

/** The approvals a person can foresee: the program's own, and those its steps will ask for. The gate may ask for more. */
export function approvalNeeds(program: Program, isApproved: boolean): ApprovalNeed[] {
  const steps = allSteps(program.body).flatMap((step): readonly ApprovalNeed[] => {
    const needs: ApprovalNeed[] = [];
    if (step.op.op === "approve") {
      needs.push({
        when: "during-run",
        role: step.op.role,
        step: step.id,
        reason: "the program asks before it goes on",
      });
    }
    for (const policy of policies(step.failure)) {
      if (policy.kind === "ask_person") {
        needs.push({ when: "during-run", role: policy.role, step: step.id, reason: "when this step fails" });
      }
    }
    return needs;
  });
  const own: ApprovalNeed = {
    when: "before-deployment",
    role: "operator",
    step: null,
    reason: "somebody must approve exactly this program",
  };
  return isApproved ? steps : [own, ...steps];
}

/** `drawing` comes from the compiler, which knows the words of the sentence. */
export function graphOf(program: Program, drawing: string): Graph {
  const steps = allSteps(program.body);
  const edges: Graph["edges"] = [];
  for (const step of steps) {
    for (const before of step.after) edges.push({ source: before, target: step.id, kind: "after" });
    for (const block of blocksOf(step.op)) edges.push(...entries(step, block, "block"));
    for (const policy of policies(step.failure)) {
      if (policy.kind === "degrade") edges.push(...entries(step, policy.block, "fallback"));
    }
  }
  return {
    text: drawing,
    nodes: steps.map((step) => ({ id: step.id, op: step.op.op, label: labelOf(step).slice(0, 4096) })),
    edges,
  };
}

/** Edges to the steps a block begins with. */
function entries(step: Step, block: Block, kind: "block" | "fallback"): Graph["edges"] {
  return block.steps
    .filter(({ after }) => after.length === 0)
    .map((first) => ({ source: step.id, target: first.id, kind }));
}

function* policies(policy: FailurePolicy): Generator<FailurePolicy> {
  for (
    let next: FailurePolicy | null = policy;
    next !== null;
    next = next.kind === "retry" ? next.then : null
  )
    yield next;
}

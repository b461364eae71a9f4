// Which format a program needs. Format 2 is format 1 with the additions listed here; nothing else tells the two apart.
import { allSteps, type FailurePolicy, type Program, type Step } from "./program.ts";

/** What of format 2 the program uses, each with the step that does, in the order of its steps. */
export function format2Features(program: Program): readonly string[] {
  const { listens = [], conflict, queueMax, resources = [], onPreempted } = program;
  return [
    ...(listens.length > 0 ? ["listens"] : []),
    ...(conflict === undefined ? [] : ["conflict"]),
    ...(queueMax === undefined ? [] : ["queueMax"]),
    ...(resources.length > 0 ? ["resources"] : []),
    ...(onPreempted === undefined ? [] : ["onPreempted"]),
    ...allSteps(program.body).flatMap((step) =>
      featuresOf(step).map((feature) => `${feature} of step \`${step.id}\``),
    ),
  ];
}

/** The format a program has to be written in: 2 when it uses anything of it. */
export function formatNeeded(program: Program): 1 | 2 {
  return format2Features(program).length === 0 ? 1 : 2;
}

function featuresOf(step: Step): readonly string[] {
  const features: string[] = [];
  const { op } = step;
  switch (op.op) {
    case "loop":
    case "ask":
    case "recall":
    case "remember":
    case "run":
      features.push(`opcode ${op.op}`);
      break;
    case "wait":
      if (op.until.kind === "event" || op.until.kind === "condition")
        features.push(`wait on ${op.until.kind}`);
      if (op.missed !== undefined) features.push("missed");
      if (op.output !== undefined) features.push("output");
      break;
    case "call":
      if (op.guard !== undefined) features.push("guard");
      break;
    case "load":
    case "eval":
    case "check":
    case "branch":
    case "parallel":
    case "approve":
    case "emit":
    case "fail":
    case "finish":
      break;
  }
  if (step.priority !== undefined) features.push("priority");
  if (step.preemptible !== undefined) features.push("preemptible");
  features.push(...policyFeatures(step.failure));
  return features;
}

function policyFeatures(policy: FailurePolicy): readonly string[] {
  const features: string[] = [];
  let last = policy;
  while (last.kind === "retry") {
    if (last.jitter !== undefined) features.push("jitter");
    last = last.then;
  }
  if (last.kind === "ask_model" || last.kind === "recompile") features.push(`policy ${last.kind}`);
  return features;
}

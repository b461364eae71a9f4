// The smallest scenario that still fails: parts are left out one by one, as long as something is wrong without them.
import type { CapabilityDefinition } from "@writ/core/capability";
import { blocksOf, type Block, type Program, type Step } from "@writ/core/program";
import { completed } from "./programs.ts";
import type { Scenario } from "./scenario.ts";

/** Plays at most `playsMax` scenarios. */
export async function shrink(
  scenario: Scenario,
  capabilities: readonly CapabilityDefinition[],
  fails: (scenario: Scenario) => Promise<boolean>,
  playsMax: number,
): Promise<Scenario> {
  let smallest = scenario;
  let plays = 0;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const candidate of smaller(smallest, capabilities)) {
      if (plays++ >= playsMax) return smallest;
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}

function* smaller(scenario: Scenario, capabilities: readonly CapabilityDefinition[]): Generator<Scenario> {
  for (const part of ["actions", "happenings", "misbehaviours", "crashes", "faults"] as const) {
    const items: readonly unknown[] = scenario[part];
    if (items.length > 2) yield { ...scenario, [part]: items.slice(0, items.length >> 1) };
    for (let i = 0; i < items.length; i++) yield { ...scenario, [part]: items.filter((_, k) => k !== i) };
  }
  for (const [i, program] of scenario.programs.entries()) {
    for (const body of smallerBlocks(program.body)) {
      const made: Program | null = completed({ ...program, body }, capabilities);
      if (made !== null)
        yield { ...scenario, programs: scenario.programs.map((other, k) => (k === i ? made : other)) };
    }
  }
}

/** The block with one step less, here or in a block inside. */
function* smallerBlocks(block: Block): Generator<Block> {
  for (const [i, step] of block.steps.entries()) {
    if (block.steps.length > 1) {
      const isOther = (id: string): boolean => id !== step.id;
      const steps = block.steps.filter((_, k) => k !== i);
      yield {
        steps: steps.map((each) => ({
          ...each,
          after: each.after.filter(isOther),
          tolerates: each.tolerates.filter(isOther),
        })),
      };
    }
    for (const made of smallerSteps(step))
      yield { steps: block.steps.map((each, k) => (k === i ? made : each)) };
  }
}

function* smallerSteps(step: Step): Generator<Step> {
  if (step.failure.kind !== "safe_halt") yield { ...step, failure: { kind: "safe_halt" } };
  for (const inner of blocksOf(step.op)) {
    for (const made of smallerBlocks(inner)) yield { ...step, op: replaced(step.op, inner, made) };
  }
}

function replaced(op: Step["op"], old: Block, made: Block): Step["op"] {
  const swap = (block: Block): Block => (block === old ? made : block);
  switch (op.op) {
    case "branch":
      return {
        ...op,
        arms: op.arms.map((arm) => ({ ...arm, block: swap(arm.block) })),
        otherwise: swap(op.otherwise),
      };
    case "parallel":
      return { ...op, branches: op.branches.map(swap) };
    case "approve":
      return { ...op, body: swap(op.body), otherwise: op.otherwise === null ? null : swap(op.otherwise) };
    default:
      return "body" in op ? { ...op, body: swap(op.body) } : op;
  }
}

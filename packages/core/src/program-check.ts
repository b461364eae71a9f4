// Structural checks of a program: what must hold before anyone proves, approves or runs it, decided from the program and the capabilities alone.
// The rules P5 … P15 stand in SPEC.md; each problem names the one it breaks.
import type { CapabilityDefinition } from "./capability.ts";
import { coreFaults } from "./faults.ts";
import type { FaultFacts } from "./fault.ts";
import { blockDepthMax, programStepsMax, runsUnfinishedMax } from "./limits.ts";
import { allSteps, blocksOf, type Block, type FailurePolicy, type Program, type Step } from "./program.ts";
import { format2Features } from "./program-format.ts";
import { capabilitiesOf } from "./program-steps.ts";
import { flowProblems } from "./program-check/flow.ts";
import { isWhole, type Report } from "./program-check/report.ts";
import { headProblems, loopProblems } from "./program-check/format2.ts";
import { expressionNames, operandsOf, stepProblems, textsOf } from "./program-check/steps.ts";

export { isRepeatable, isRetryCode, stepTimeoutCode } from "./program-check/repeatable.ts";
export { operandsOf, textsOf };

export interface ProgramProblem {
  readonly code: "program.invalid";
  /** Number of the broken rule in SPEC.md. */
  readonly rule: string;
  /** `trigger`, `program`, or the id of a step. */
  readonly at: string;
  readonly message: string;
  readonly remedy: string;
  readonly facts: FaultFacts;
}

/** All structural problems, or an empty list. `capabilities` are those the node knows; their contracts decide what a step may do. */
export function checkProgram(
  program: Program,
  capabilities: readonly CapabilityDefinition[],
): readonly ProgramProblem[] {
  const problems: ProgramProblem[] = [];
  const report: Report = (rule, at, message, facts = {}) => {
    problems.push({
      code: "program.invalid",
      rule,
      at,
      message,
      remedy: coreFaults["program.invalid"].remedy,
      facts: { rule, ...facts },
    });
  };
  if (isTooLarge(program, report)) return problems;
  const steps = allSteps(program.body);
  checkIds(steps, report);
  checkHead(program, report);
  checkCapabilities(program, steps, capabilities, report);
  checkFormat(program, report);
  headProblems(program, steps, report);
  loopProblems(program.body, report);
  const known = new Map(capabilities.map((definition) => [definition.id, definition]));
  for (const step of steps) stepProblems({ step, program, known, report });
  // The flow is only defined when ids and order are.
  if (problems.every(({ rule }) => rule !== "P5")) flowProblems(program, steps, report);
  return problems;
}

/** Depth is measured without recursion, so that what follows may recurse. */
function isTooLarge(program: Program, report: Report): boolean {
  let count = 0;
  const pending: { readonly block: Block; readonly depth: number }[] = [{ block: program.body, depth: 1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    count += next.block.steps.length;
    if (next.depth > blockDepthMax || count > programStepsMax) {
      const what =
        next.depth > blockDepthMax
          ? `more than ${blockDepthMax} nested blocks`
          : `more than ${programStepsMax} steps`;
      report("P6", "program", `Cannot take a program of ${what}`, { blockDepthMax, programStepsMax });
      return true;
    }
    for (const step of next.block.steps) {
      let policies = 0;
      for (let policy: FailurePolicy | null = step.failure; policy !== null; policies++) {
        if (policies > 2) {
          report("P6", step.id, `Cannot take step \`${step.id}\`: its failure policies nest too deep`);
          return true;
        }
        if (policy.kind === "degrade") pending.push({ block: policy.block, depth: next.depth + 1 });
        policy = policy.kind === "retry" ? policy.then : null;
      }
      for (const block of blocksOf(step.op)) pending.push({ block, depth: next.depth + 1 });
    }
  }
  return false;
}

function checkIds(steps: readonly Step[], report: Report): void {
  const seen = new Set<string>();
  for (const { id } of steps) {
    if (seen.has(id)) report("P5", id, `Cannot have two steps called \`${id}\``);
    seen.add(id);
  }
}

function checkFormat(program: Program, report: Report): void {
  if (program.format !== 1) return;
  const [feature] = format2Features(program);
  if (feature !== undefined)
    report("P21", "program", `Cannot have ${feature} in a program of format 1`, { feature });
}

function checkHead({ trigger, windows, runTimeoutMs, concurrencyMax, slots }: Program, report: Report): void {
  if (trigger.kind === "source") {
    if (trigger.filter !== null) {
      for (const name of expressionNames(trigger.filter, "trigger", report)) {
        if (name !== "event")
          report(
            "P8",
            "trigger",
            `Cannot use \`${name}\` in the trigger's filter: only \`event\` is known there`,
            { name },
          );
      }
    }
    if (!isWhole(trigger.holdMs) || !isWhole(trigger.throttleMs))
      report("P13", "trigger", "Cannot take a negative or broken time in the trigger");
  }
  for (const { fromMinute, toMinute, days } of windows) {
    const fits = [fromMinute, toMinute].every((minute) => isWhole(minute) && minute <= 1440);
    if (!fits || days.some((day) => !isWhole(day) || day > 6) || new Set(days).size !== days.length) {
      report(
        "P13",
        "trigger",
        `Cannot take the time window ${fromMinute}–${toMinute} on days ${days.join(", ")}`,
      );
    }
  }
  if (!isWhole(runTimeoutMs) || runTimeoutMs < 1)
    report("P13", "program", `Cannot take a run timeout of ${runTimeoutMs} ms`);
  if (!isWhole(concurrencyMax) || concurrencyMax < 1 || concurrencyMax > runsUnfinishedMax) {
    report("P13", "program", `Cannot run ${concurrencyMax} at once`, { runsUnfinishedMax });
  }
  const names = slots.map(({ name }) => name);
  if (new Set(names).size !== names.length) report("P7", "program", "Cannot declare a slot twice");
}

function checkCapabilities(
  program: Program,
  steps: readonly Step[],
  definitions: readonly CapabilityDefinition[],
  report: Report,
): void {
  const called = new Set<string>();
  for (const step of steps) for (const id of capabilitiesOf(step)) called.add(id);
  const expected = [...called].sort();
  if (expected.join(" ") !== program.capabilities.join(" ")) {
    report(
      "P9",
      "program",
      "Cannot accept the list of capabilities: it is not exactly, sorted, what the steps call",
      {
        listed: program.capabilities,
        called: expected,
      },
    );
  }
  const known = new Map(definitions.map((definition) => [String(definition.id), definition]));
  for (const id of expected) {
    const definition = known.get(id);
    if (definition === undefined)
      report("P9", "program", `Cannot find the capability \`${id}\``, { capability: id });
    else if (definition.internal === true)
      report("P9", "program", `Cannot call \`${id}\`: it serves undo only`, { capability: id });
  }
}

// A program as lines of text.
import type {
  Block,
  FailurePolicy,
  Invariant,
  Loop,
  Opcode,
  Operand,
  Operands,
  Program,
  Step,
  TimeWindow,
  Trigger,
  WaitUntil,
} from "@writ/core/program";
import { guardText } from "@writ/core/guard-text";
import { isDecimal, toJson, type Value } from "@writ/core/value";

export function listing(program: Program): readonly string[] {
  const { priority, invariants, capabilities } = program;
  return [
    `trigger    ${trigger(program.trigger)}`,
    ...program.windows.map((window) => `window     ${timeWindow(window)}`),
    ...(priority === "normal" ? [] : [`priority   ${priority}`]),
    ...invariants.map((invariant) => `invariant  ${invariantText(invariant)}`),
    ...capabilities.map((id) => `uses       ${id}`),
    ...block(program.body, ""),
  ];
}

function trigger(head: Trigger): string {
  if (head.kind === "manual") return "manual";
  const config = Object.entries(head.config).map(([key, value]) => `${key} = ${valueText(value)}`);
  return [
    `${head.source} ${config.join(", ")}`.trimEnd(),
    ...(head.filter === null ? [] : [`where ${head.filter}`]),
    ...(head.holdMs === 0 ? [] : [`held for ${head.holdMs} ms`]),
    ...(head.throttleMs === 0 ? [] : [`at most once per ${head.throttleMs} ms`]),
  ].join("; ");
}

function timeWindow({ fromMinute, toMinute, days, zone }: TimeWindow): string {
  const time = (minute: number): string =>
    `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  return `${time(fromMinute)}–${time(toMinute)} ${zone}${days.length === 0 ? "" : ` on days ${days.join(", ")}`}`;
}

function invariantText(invariant: Invariant): string {
  switch (invariant.kind) {
    case "writes-within":
      return `writes only within ${invariant.paths.map((path) => `\`${path}\``).join(", ")}`;
    case "never-writes":
      return `never writes to ${invariant.paths.map((path) => `\`${path}\``).join(", ")}`;
    case "never-calls":
      return `never calls ${invariant.capability}`;
    case "never-sends":
      return "never sends";
  }
}

function block({ steps }: Block, indent: string): readonly string[] {
  return steps.flatMap((step) => stepLines(step, indent));
}

function stepLines(step: Step, indent: string): readonly string[] {
  const after = step.after.length > 1 ? `  after ${step.after.join(", ")}` : "";
  const tolerated =
    step.tolerates.length === 0 ? "" : `  also when ${step.tolerates.join(", ")} failed or was skipped`;
  const failure = step.failure.kind === "safe_halt" ? "" : `  on failure ${failureText(step.failure)}`;
  const [first = "", ...rest] = opcodeLines(step.op, indent);
  return [
    `${indent}${step.id.padEnd(4)} ${first}${after}${tolerated}${failure}`,
    ...rest,
    ...alternative(step.failure, indent),
  ];
}

function alternative(policy: FailurePolicy, indent: string): readonly string[] {
  if (policy.kind === "retry") return alternative(policy.then, indent);
  return policy.kind === "degrade"
    ? [`${indent}     alternative`, ...block(policy.block, `${indent}     `)]
    : [];
}

function opcodeLines(op: Opcode, indent: string): readonly string[] {
  const inner = `${indent}     `;
  switch (op.op) {
    case "load":
      return [`load ${op.capability} ${operands(op.params)} → ${op.output}`];
    case "call": {
      const call = `call ${op.capability} ${operands(op.params)}${op.output === null ? "" : ` → ${op.output}`}`;
      const { compensation: back } = op;
      const guard = guardText(op.guard).map((asked) => `${indent}     ${asked}`);
      const undo =
        back === null ? [] : [`${indent}     taken back by ${back.capability} ${operands(back.params)}`];
      return [call, ...guard, ...undo];
    }
    case "eval":
      return [`eval ${op.expression} → ${op.output}`];
    case "check":
      return [`check ${op.slot}`];
    case "branch": {
      const [head, ...more] = op.arms;
      return [
        `if ${head?.when ?? "false"}`,
        ...(head === undefined ? [] : block(head.block, inner)),
        ...more.flatMap((arm) => [`${indent}     else if ${arm.when}`, ...block(arm.block, inner)]),
        ...(op.otherwise.steps.length === 0
          ? []
          : [`${indent}     otherwise`, ...block(op.otherwise, inner)]),
      ];
    }
    case "parallel":
      return [
        `parallel, joined by ${op.join.kind}`,
        ...op.branches.flatMap((branch) => [`${indent}     branch`, ...block(branch, inner)]),
      ];
    case "wait":
      return [
        `wait ${waitText(op.until)}${op.missed === undefined ? "" : `, when missed ${op.missed}`}${op.output === undefined ? "" : ` → ${op.output}`}`,
      ];
    case "approve":
      return [
        `ask ${op.role} within ${op.withinMs} ms`,
        ...block(op.body, inner),
        ...(op.otherwise === null ? [] : [`${indent}     if refused`, ...block(op.otherwise, inner)]),
      ];
    case "emit":
      return [`emit ${op.type} ${operands(op.data)}`];
    case "fail":
      return [`fail ${op.code} ${operandText(op.message)}`];
    case "finish":
      return [`finish ${operandText(op.result)}`];
    case "loop":
      return loopLines(op, inner);
    case "ask":
      return [
        `ask model ${op.model} ${operandText(op.prompt)}, at most ${op.attemptsMax} answers → ${op.output}`,
      ];
    case "recall":
      return [`recall ${operandText(op.key)} of the ${op.scope} → ${op.output}`];
    case "remember":
      return [`remember ${operandText(op.key)} = ${operandText(op.value)} in the ${op.scope}`];
    case "run":
      return [`run ${op.program} ${operands(op.input)}${op.output === null ? "" : ` → ${op.output}`}`];
  }
}

function loopLines(op: Loop, inner: string): readonly string[] {
  const over = op.over === null ? "" : ` over ${operandText(op.over.list)} as ${op.over.item}`;
  const index = op.index === null ? "" : `, number in ${op.index}`;
  const until = op.until === null ? "" : `, until ${op.until}${op.mustConverge ? " or fail" : ""}`;
  return [
    `loop${over} at most ${op.iterationsMax} times${index}${until}`,
    ...op.carry.map(({ slot, initial, next }) => `${inner}${slot} = ${operandText(initial)}, then ${next}`),
    ...block(op.body, inner),
  ];
}

function waitText(until: WaitUntil): string {
  switch (until.kind) {
    case "duration":
      return `${until.ms} ms`;
    case "time":
      return `until ${operandText(until.at)}`;
    case "event":
      return `for ${eventText(until)}${until.filter === null ? "" : ` when ${until.filter}`} within ${until.withinMs} ms`;
    case "condition":
      return `for ${eventText(until)} until ${until.condition} holds ${until.holdMs} ms (down: ${until.down}) within ${until.withinMs} ms`;
  }
}

function eventText({ source, config, type }: Extract<WaitUntil, { kind: "event" | "condition" }>): string {
  const literals = Object.entries(config).map(([name, value]) => [name, { kind: "literal", value }] as const);
  return `${type ?? "an event"} of ${source === null ? "another run" : `${source} ${operands(Object.fromEntries(literals))}`}`;
}

function failureText(policy: FailurePolicy): string {
  switch (policy.kind) {
    case "retry":
      return `retry up to ${policy.attemptsMax} attempts on ${policy.on.join(", ")}, then ${failureText(policy.then)}`;
    case "safe_value":
      return `use ${valueText(policy.value)}`;
    case "ask_person":
      return `ask ${policy.role} within ${policy.withinMs} ms`;
    case "degrade":
      return "run the alternative";
    case "safe_halt":
      return "stop";
    case "skip":
      return "skip";
    case "continue":
      return "go on";
    case "compensate":
      return "undo everything";
    case "ask_model":
      return `ask model ${policy.model}, at most ${policy.attemptsMax} answers`;
    case "recompile":
      return `wait for ${policy.role} to give another version within ${policy.withinMs} ms`;
  }
}

function operands(params: Operands): string {
  return Object.entries(params)
    .map(([name, operand]) => `${name} = ${operandText(operand)}`)
    .join(", ");
}

function operandText(operand: Operand): string {
  return operand.kind === "expression" ? operand.text : valueText(operand.value);
}

function valueText(value: Value): string {
  return isDecimal(value) ? value.toFixed() : JSON.stringify(toJson(value));
}

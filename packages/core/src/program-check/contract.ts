// What a step owes to others: parameters of the capability's form, roles of the workspace, times within their limits.
import type { CapabilityDefinition } from "../capability.ts";
import type { Operands, Program, Step } from "../program.ts";
import { schemaProblems, type Schema } from "../schema.ts";
import { isWhole, type Report } from "./report.ts";

export interface StepCheck {
  readonly step: Step;
  readonly program: Program;
  readonly known: ReadonlyMap<string, CapabilityDefinition>;
  readonly report: Report;
}

export function checkParams(
  operands: Operands,
  definition: CapabilityDefinition,
  id: string,
  report: Report,
): void {
  const { properties, required } = objectSchema(definition.params);
  for (const [name, operand] of Object.entries(operands)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema === undefined) {
      report("P11", id, `Cannot give \`${definition.id}\` a parameter \`${name.slice(0, 80)}\``, {
        known: Object.keys(properties),
      });
    } else if (operand.kind === "literal") {
      for (const { at, message } of schemaProblems(schema, operand.value)) {
        report("P11", id, `Cannot give \`${definition.id}\` this \`${name}${at}\`: ${message}`);
      }
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(operands, name))
      report("P11", id, `Cannot call \`${definition.id}\` without \`${name}\``);
  }
}

function objectSchema(schema: Schema): {
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
} {
  const { properties = {}, required = [] } = schema as {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
  };
  return { properties, required };
}

export function checkRole(role: string, { step, program, report }: StepCheck): void {
  if (role !== "owner" && !program.workspace.roles.includes(role)) {
    report("P15", step.id, `Cannot ask \`${role}\` in step \`${step.id}\`: the workspace has no such role`, {
      roles: program.workspace.roles,
    });
  }
}

export function within(count: number, max: number): boolean {
  return isWhole(count) && count >= 1 && count <= max;
}

// What steps compute from slots. Pure; a failure is a fault of the expression.
import { evaluate, freeNames, parseExpression, type Expression } from "@writ/core/expression";
import { joinLabels, type Label } from "@writ/core/label";
import type { Operand, Operands } from "@writ/core/program";
import type { Value, ValueMap } from "@writ/core/value";
import type { PreparedProgram } from "../program-index.ts";
import type { SlotState } from "../state.ts";

export interface Scope {
  readonly slots: ReadonlyMap<string, SlotState>;
  readonly prepared: PreparedProgram;
}

export interface Computed<T extends Value = Value> {
  readonly value: T;
  readonly labels: readonly Label[];
}

/** @throws expression.* */
export function computeText(text: string, scope: Scope): Computed {
  const expression = expressionOf(text, scope);
  const names = namesOf(expression);
  const bindings: Record<string, Value> = {};
  const labels: (readonly Label[])[] = [];
  for (const name of names) {
    const slot = scope.slots.get(name);
    if (slot === undefined) continue;
    bindings[name] = slot.value;
    labels.push(slot.labels);
  }
  return { value: evaluate(expression, bindings), labels: joinLabels(...labels) };
}

/** @throws expression.* */
export function computeOperand(operand: Operand, scope: Scope): Computed {
  return operand.kind === "literal" ? { value: operand.value, labels: [] } : computeText(operand.text, scope);
}

/** @throws expression.* */
export function computeOperands(operands: Operands, scope: Scope): Computed<ValueMap> {
  const computed = Object.entries(operands).map(
    ([name, operand]) => [name, computeOperand(operand, scope)] as const,
  );
  // Not by assignment: a name may be `__proto__`.
  const value = Object.fromEntries(computed.map(([name, one]) => [name, one.value]));
  return { value, labels: joinLabels(...computed.map(([, one]) => one.labels)) };
}

/** The operands that can be computed now, and the texts of those that read a slot that is not yet written. */
export function computeKnown(
  operands: Operands,
  scope: Scope,
): {
  readonly params: ValueMap;
  readonly later: Readonly<Record<string, string>>;
  readonly labels: readonly Label[];
} {
  const params: Record<string, Value> = {};
  const later: Record<string, string> = {};
  const labels: (readonly Label[])[] = [];
  for (const [name, operand] of Object.entries(operands)) {
    if (operand.kind === "expression" && !isKnown(operand.text, scope)) {
      later[name] = operand.text;
      continue;
    }
    const computed = computeOperand(operand, scope);
    params[name] = computed.value;
    labels.push(computed.labels);
  }
  return { params, later, labels: joinLabels(...labels) };
}

export function isKnown(text: string, scope: Scope): boolean {
  return namesOf(expressionOf(text, scope)).every((name) => scope.slots.has(name));
}

export function expressionOf(text: string, scope: Scope): Expression {
  return scope.prepared.expressions.get(text) ?? parseExpression(text);
}

const namesByExpression = new WeakMap<Expression, readonly string[]>();

/** Remembered by the tree itself: the same tree always has the same names. */
function namesOf(expression: Expression): readonly string[] {
  let names = namesByExpression.get(expression);
  if (names === undefined) {
    names = freeNames(expression);
    namesByExpression.set(expression, names);
  }
  return names;
}

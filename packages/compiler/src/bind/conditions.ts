// Conditions as CEL: what is compared has one dimension, numbers stay exact.
import type { Expression } from "@writ/core/expression";
import { decimal } from "@writ/core/value";
import { convert, dimensionOf } from "../language/quantity.ts";
import { conditionAt } from "../language/nodes.ts";
import type { NodeKey, Operator, Term } from "../language/tree.ts";
import { ruleProblem } from "../rule-problems.ts";
import type { Binding } from "./state.ts";
import { bindTerm, type BoundTerm, type Place } from "./terms.ts";

/** Null when a problem was noted. */
export function bindCondition(binding: Binding, key: NodeKey, at: Place | null): Expression | null {
  const node = conditionAt(binding.tree, key);
  switch (node.k) {
    case "cmp":
      return compare(binding, key, node, at);
    case "between": {
      const low = compare(binding, key, { left: node.of, operator: ">=", right: node.low }, at, [
        "of",
        "low",
      ]);
      const high = compare(binding, key, { left: node.of, operator: "<=", right: node.high }, at, [
        "of",
        "high",
      ]);
      return low === null || high === null
        ? null
        : { kind: "binary", operator: "&&", left: low, right: high };
    }
    case "and":
    case "or": {
      const parts = node.of.map((part) => bindCondition(binding, part, at));
      const operator = node.k === "and" ? "&&" : "||";
      return parts.reduce((left, right) =>
        left === null || right === null ? null : { kind: "binary", operator, left, right },
      );
    }
    case "not": {
      const of = bindCondition(binding, node.of, at);
      return of === null ? null : { kind: "unary", operator: "!", of };
    }
    case "clock":
      binding.problems.push(
        ruleProblem(
          "rule.unsupported",
          "Cannot test the time of day here: it can only limit the whole rule (`Only between 08:00 and 18:00.`)",
          binding.spanOf(key),
        ),
      );
      return null;
  }
}

function compare(
  binding: Binding,
  key: NodeKey,
  node: { readonly left: Term; readonly operator: Operator; readonly right: Term },
  at: Place | null,
  parts: readonly [string, string] = ["left", "right"],
): Expression | null {
  const left = bindTerm(binding, node.left, `${key}.${parts[0]}`, at);
  const right = bindTerm(binding, node.right, `${key}.${parts[1]}`, at);
  if (left === null || right === null) return null;
  const { operator } = node;
  const numbers = left.type.kind === "number" && right.type.kind === "number";
  const texts = left.type.kind === "text" && right.type.kind === "text";
  const needs =
    operator === "=" || operator === "!=" ? "either" : isTextOperator(operator) ? "texts" : "numbers";
  if ((!numbers && !texts) || (needs === "texts" && !texts) || (needs === "numbers" && !numbers)) {
    binding.problems.push(
      ruleProblem(
        "rule.type",
        `Cannot apply \`${operator}\` to a ${left.type.kind} and a ${right.type.kind}`,
        binding.spanOf(key),
      ),
    );
    return null;
  }
  const pair = numbers ? alignUnits(binding, key, parts, left, right) : { left, right };
  if (pair === null) return null;
  const a = pair.left.expression;
  const b = pair.right.expression;
  if (isTextOperator(operator)) return { kind: "call", name: operator, arguments: [a, b] };
  const cel = operator === "=" ? "==" : operator;
  return { kind: "binary", operator: cel, left: a, right: b };
}

function isTextOperator(operator: Operator): operator is "contains" | "startsWith" | "endsWith" {
  return operator === "contains" || operator === "startsWith" || operator === "endsWith";
}

/** Both sides in the unit of the one that is measured; never a guess about a unit that is not written. */
function alignUnits(
  binding: Binding,
  key: NodeKey,
  parts: readonly [string, string],
  left: BoundTerm,
  right: BoundTerm,
): { readonly left: BoundTerm; readonly right: BoundTerm } | null {
  if (left.type.kind !== "number" || right.type.kind !== "number") return { left, right };
  const [a, b] = [left.type, right.type];
  if (a.unit === b.unit) return { left, right };
  const missing = a.unit === null && a.written ? 0 : b.unit === null && b.written ? 1 : null;
  const unit = a.unit ?? b.unit ?? "";
  if (missing !== null) {
    binding.problems.push(
      ruleProblem(
        "rule.unit-missing",
        `Cannot compare with a number that has no unit: an amount in \`${unit}\` is compared`,
        binding.spanOf(`${key}.${parts[missing]}`),
        { expected: [unit] },
      ),
    );
    return null;
  }
  const converted =
    a.unit === null || b.unit === null
      ? null
      : b.written
        ? rewrite(right, b.unit, a.unit)
        : a.written
          ? rewrite(left, a.unit, b.unit)
          : null;
  if (converted === null) {
    binding.problems.push(
      ruleProblem(
        "rule.dimension",
        `Cannot compare ${amount(a.unit)} with ${amount(b.unit)}`,
        binding.spanOf(key),
        { expected: [a.unit ?? b.unit ?? ""] },
      ),
    );
    return null;
  }
  return b.written ? { left, right: converted } : { left: converted, right };
}

function amount(unit: string | null): string {
  if (unit === null) return "a plain number";
  const dimension = dimensionOf(unit);
  return dimension === unit ? `an amount in \`${unit}\`` : `a ${dimension} in \`${unit}\``;
}

function rewrite(term: BoundTerm, from: string, to: string): BoundTerm | null {
  const { expression } = term;
  if (expression.kind !== "literal" || expression.value === null || typeof expression.value !== "object")
    return null;
  const value = convert(expression.value.toFixed(), from, to);
  if (value === null) return null;
  return {
    expression: { kind: "literal", value: decimal(value) },
    type: { kind: "number", unit: to, written: true },
  };
}

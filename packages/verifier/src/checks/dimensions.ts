// Check 1: amounts of different currencies or units are never compared, added or subtracted. Types only; no solver.
import { children, type BinaryOperator, type Expression } from "@writ/core/expression";
import { expressionsOf, type Analysis } from "../model/analysis.ts";
import { accessPath, dimensionOf, nameOfPath } from "../model/typing.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";

const base = {
  check: 1,
  name: "dimensions agree",
  claim: "For all runs: no amount is compared with, added to or taken from one of another currency or unit",
  method: "types",
} as const;

const mixing: ReadonlySet<BinaryOperator> = new Set(["+", "-", "<", "<=", ">", ">=", "==", "!="]);

export function checkDimensions(analysis: Analysis): readonly Result[] {
  const { trigger } = analysis.program;
  const filter = trigger.kind === "source" ? trigger.filter : null;
  const places = [
    ...(filter === null ? [] : [{ text: filter, step: "trigger" }]),
    ...analysis.sites.flatMap(({ step }) =>
      expressionsOf(step).map((text) => ({ text, step: String(step.id) })),
    ),
  ];
  const found = places.flatMap(({ text, step }) =>
    clashes(analysis, analysis.expressionOf(text)).map((says) =>
      violated(
        base,
        "verifier.dimension",
        counterexample(analysis, {
          summary: `“${analysis.name}” mixes units: ${says}`,
          path: [step],
          keys: [step],
        }),
      ),
    ),
  );
  return found.length === 0 ? [holds(base)] : found;
}

function clashes(analysis: Analysis, whole: Expression): readonly string[] {
  const found: string[] = [];
  const pending = [whole];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    pending.push(...children(next));
    if (next.kind !== "binary" || !mixing.has(next.operator)) continue;
    const [left, right] = [
      dimensionOfExpression(analysis, next.left),
      dimensionOfExpression(analysis, next.right),
    ];
    if (left === null || right === null || left.unit === right.unit) continue;
    found.push(`${left.name} in ${left.unit} with ${right.name} in ${right.unit}`);
  }
  return found;
}

function dimensionOfExpression(
  analysis: Analysis,
  expression: Expression,
): { readonly name: string; readonly unit: string } | null {
  const path = accessPath(expression);
  if (path !== null) {
    const unit = dimensionOf(analysis, path);
    return unit === null ? null : { name: nameOfPath(analysis, path), unit };
  }
  if (expression.kind === "unary") return dimensionOfExpression(analysis, expression.of);
  if (expression.kind === "binary" && (expression.operator === "+" || expression.operator === "-")) {
    return (
      dimensionOfExpression(analysis, expression.left) ?? dimensionOfExpression(analysis, expression.right)
    );
  }
  const [first] = expression.kind === "call" ? expression.arguments : [];
  if (first !== undefined && expression.kind === "call" && ["abs", "round"].includes(expression.name)) {
    return dimensionOfExpression(analysis, first);
  }
  return null;
}

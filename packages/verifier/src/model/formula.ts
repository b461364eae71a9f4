// Formulas: when a step is reached, as truth over the program's conditions and over choices the world makes (an approval, a failure).
import { evaluate, type Bindings, type Expression } from "@writ/core/expression";

export type Formula =
  | { readonly kind: "true" }
  | { readonly kind: "false" }
  /** A condition of the program. `at` names the part of the rule it came from: a step id or `trigger`. */
  | { readonly kind: "condition"; readonly expression: Expression; readonly at: string }
  | { readonly kind: "choice"; readonly name: string }
  | { readonly kind: "not"; readonly of: Formula }
  | { readonly kind: "and"; readonly of: readonly Formula[] }
  | { readonly kind: "or"; readonly of: readonly Formula[] };

export const always: Formula = { kind: "true" };
export const never: Formula = { kind: "false" };

export function and(...of: readonly Formula[]): Formula {
  const flat = of.flatMap((part) => (part.kind === "and" ? part.of : part.kind === "true" ? [] : [part]));
  const distinct = [...new Set(flat)];
  if (distinct.some((part) => part.kind === "false")) return never;
  const [first, ...rest] = distinct;
  if (first === undefined) return always;
  return rest.length === 0 ? first : { kind: "and", of: distinct };
}

export function or(...of: readonly Formula[]): Formula {
  const flat = of.flatMap((part) => (part.kind === "or" ? part.of : part.kind === "false" ? [] : [part]));
  if (flat.some((part) => part.kind === "true")) return always;
  const [first, ...rest] = flat;
  if (first === undefined) return never;
  return rest.length === 0 ? first : { kind: "or", of: flat };
}

export function not(of: Formula): Formula {
  if (of.kind === "true") return never;
  if (of.kind === "false") return always;
  return of.kind === "not" ? of.of : { kind: "not", of };
}

/** Choices that must have been made whenever the formula is true. */
export function impliedChoices(formula: Formula): ReadonlySet<string> {
  switch (formula.kind) {
    case "choice":
      return new Set([formula.name]);
    case "and":
      return new Set(formula.of.flatMap((part) => [...impliedChoices(part)]));
    case "or": {
      const [first, ...rest] = formula.of.map(impliedChoices);
      return new Set([...(first ?? [])].filter((name) => rest.every((other) => other.has(name))));
    }
    case "true":
    case "false":
    case "condition":
    case "not":
      return new Set();
  }
}

export function conditionsOf(
  formula: Formula,
): readonly { readonly expression: Expression; readonly at: string }[] {
  switch (formula.kind) {
    case "condition":
      return [formula];
    case "not":
      return conditionsOf(formula.of);
    case "and":
    case "or":
      return formula.of.flatMap(conditionsOf);
    case "true":
    case "false":
    case "choice":
      return [];
  }
}

/** @throws what evaluating a condition throws */
export function holds(formula: Formula, bindings: Bindings, choices: ReadonlyMap<string, boolean>): boolean {
  switch (formula.kind) {
    case "true":
      return true;
    case "false":
      return false;
    case "condition":
      return evaluate(formula.expression, bindings) === true;
    case "choice":
      return choices.get(formula.name) ?? false;
    case "not":
      return !holds(formula.of, bindings, choices);
    case "and":
      return formula.of.every((part) => holds(part, bindings, choices));
    case "or":
      return formula.of.some((part) => holds(part, bindings, choices));
  }
}

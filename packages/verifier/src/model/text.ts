// The texts an expression can give, as a regular language that covers all of them.
import type { Expression } from "@writ/core/expression";
import { isDecimal, decimalText } from "@writ/core/value";
import { basenameLanguage, noSlashLanguage } from "../automata/path.ts";
import { anything, chars, concat, optional, plus, union, word, type Regular } from "../automata/regular.ts";
import type { Analysis } from "./analysis.ts";
import { accessPath, kindOf, languageOfPath, pathText, present, schemaOf } from "./typing.ts";

const digits = plus(chars([[48, 57]]));
const decimalLanguage = concat(optional(word("-")), digits, optional(concat(word("."), digits)));

/** Over-approximates: every text the expression can give is in the language. */
export function languageOf(analysis: Analysis, expression: Expression, decodes: boolean): Regular {
  switch (expression.kind) {
    case "literal": {
      const { value } = expression;
      if (typeof value === "string") return word(value);
      if (isDecimal(value)) return word(decimalText(value));
      return word(String(value));
    }
    case "name":
    case "field":
      return ofAccess(analysis, expression, decodes);
    case "conditional":
      return union(
        languageOf(analysis, expression.then, decodes),
        languageOf(analysis, expression.otherwise, decodes),
      );
    case "binary":
      if (expression.operator !== "+") return anything;
      if (isNumber(analysis, expression.left) || isNumber(analysis, expression.right)) return decimalLanguage;
      return concat(
        languageOf(analysis, expression.left, decodes),
        languageOf(analysis, expression.right, decodes),
      );
    case "call":
      return ofCall(analysis, expression, decodes);
    case "has":
      return union(word("true"), word("false"));
    case "unary":
      return expression.operator === "-" ? decimalLanguage : union(word("true"), word("false"));
    case "index":
      return isSingleSegment(analysis, expression) ? noSlashLanguage : anything;
    case "list":
    case "map":
    case "each":
      return anything;
  }
}

/** True when no text the expression gives can hold a separator. */
export function isSingleSegment(analysis: Analysis, expression: Expression): boolean {
  switch (expression.kind) {
    case "literal":
      return typeof expression.value === "string" && !/[/\0]/.test(expression.value);
    case "field":
    case "name": {
      const path = accessPath(expression);
      const schema = path === null ? null : schemaOf(analysis, path);
      return schema !== null && present(schema)["x-language"] === "basename";
    }
    case "index":
      return (
        expression.of.kind === "call" &&
        expression.of.name === "split" &&
        isSingleSegment(analysis, expression.of.arguments[0] ?? expression)
      );
    case "call":
      if (expression.name === "basename") return true;
      return (
        ["lower", "upper", "trim", "replace"].includes(expression.name) &&
        isSingleSegment(analysis, expression.arguments[0] ?? expression) &&
        (expression.name !== "replace" || isSingleSegment(analysis, expression.arguments[2] ?? expression))
      );
    case "binary":
      return (
        expression.operator === "+" &&
        isSingleSegment(analysis, expression.left) &&
        isSingleSegment(analysis, expression.right)
      );
    case "has":
    case "unary":
    case "conditional":
    case "list":
    case "map":
    case "each":
      return false;
  }
}

function ofAccess(analysis: Analysis, expression: Expression, decodes: boolean): Regular {
  const path = accessPath(expression);
  if (path === null) return anything;
  const writers = analysis.writers.get(path.root) ?? [];
  if (path.fields.length === 0 && writers.length > 0) {
    const evals = writers.map((site) => (site.step.op.op === "eval" ? site.step.op.expression : null));
    if (evals.every((text) => text !== null)) {
      // A slot is written before it is read (check 35), so following the writers ends.
      return union(...evals.map((text) => languageOf(analysis, analysis.expressionOf(text), decodes)));
    }
  }
  const schema = schemaOf(analysis, path);
  switch (kindOf(schema)) {
    case "number":
    case "integer":
      return decimalLanguage;
    case "boolean":
      return union(word("true"), word("false"));
    case "text": {
      const options = schema === null ? undefined : (present(schema)["enum"] ?? [present(schema)["const"]]);
      if (
        Array.isArray(options) &&
        options.length > 0 &&
        options.every((option) => typeof option === "string")
      ) {
        return union(...options.map(word));
      }
      // The event's time and id are written by the node itself: RFC 3339 and a ULID hold no separator.
      if (pathText(path) === "event.time")
        return plus(
          chars([
            [43, 43],
            [45, 46],
            [48, 58],
            [84, 84],
            [90, 90],
          ]),
        );
      return languageOfPath(analysis, path, decodes);
    }
    case "list":
    case "map":
    case "unknown":
      return anything;
  }
}

function ofCall(
  analysis: Analysis,
  expression: Extract<Expression, { kind: "call" }>,
  decodes: boolean,
): Regular {
  const [first, second, third] = expression.arguments;
  switch (expression.name) {
    case "decimal":
    case "size":
    case "count":
    case "sum":
    case "min":
    case "max":
    case "round":
    case "abs":
      return decimalLanguage;
    case "contains":
    case "startsWith":
    case "endsWith":
      return union(word("true"), word("false"));
    case "string":
      return first === undefined ? anything : languageOf(analysis, first, decodes);
    case "lower":
    case "upper":
      // Neither makes a separator or a dot out of another character, and neither empties a text.
      return first !== undefined && isName(analysis, first)
        ? basenameLanguage(decodes)
        : segment(analysis, expression);
    case "replace":
      // What is put in holds a character that no dot segment has, so the name stays a name.
      return first !== undefined &&
        isName(analysis, first) &&
        second !== undefined &&
        third?.kind === "literal" &&
        typeof third.value === "string" &&
        /[^./\0%]/.test(third.value) &&
        !/[/\0%]/.test(third.value)
        ? basenameLanguage(decodes)
        : segment(analysis, expression);
    case "basename":
    case "trim":
      return segment(analysis, expression);
    case "join":
      if (first?.kind === "list" && second !== undefined) {
        const between = languageOf(analysis, second, decodes);
        return concat(
          ...first.items.flatMap((item, i) => {
            const language = languageOf(analysis, item, decodes);
            return i === 0 ? [language] : [between, language];
          }),
        );
      }
      return anything;
    case "split":
    case "json":
    case "merge":
      return anything;
  }
}

function segment(analysis: Analysis, expression: Expression): Regular {
  return isSingleSegment(analysis, expression) ? noSlashLanguage : anything;
}

function isName(analysis: Analysis, expression: Expression): boolean {
  if (expression.kind === "call" && (expression.name === "lower" || expression.name === "upper")) {
    const [first] = expression.arguments;
    return first !== undefined && isName(analysis, first);
  }
  const path = accessPath(expression);
  const schema = path === null ? null : schemaOf(analysis, path);
  return schema !== null && present(schema)["x-language"] === "basename";
}

function isNumber(analysis: Analysis, expression: Expression): boolean {
  if (expression.kind === "literal") return isDecimal(expression.value);
  const path = accessPath(expression);
  const kind = path === null ? "unknown" : kindOf(schemaOf(analysis, path));
  return kind === "number" || kind === "integer";
}

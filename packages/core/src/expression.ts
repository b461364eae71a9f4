// Expressions: CEL text in, a small closed tree out; one evaluator for the machine, the gate and the previews.
//   X1  The grammar is CEL's (parsed by @bufbuild/cel); the tree is a closed subset, so machine, solver and edge agree on every case.
//   X2  Every number is an exact decimal inside an expression. Division rounds half-even at 40 places and is refused by zero.
//   X3  Evaluation is total and bounded: it returns a value or throws a fault with a code; it never loops, never calls out.
//   X4  A doubled `!!` or `--` cancels, as in CEL's grammar.
//   X5  `&&` and `||` short-circuit left to right; both sides must be booleans.
// The library's evaluator is not used: its operators know int, uint and double but no decimal.
import { parse } from "@bufbuild/cel";
import Big from "big.js";
import { fault } from "./faults.ts";
import { expressionDepthMax, expressionItemsMax, expressionLengthMax, textLengthMax } from "./limits.ts";
import {
  decimal,
  decimalText,
  equalValues,
  isDecimal,
  isMap,
  isNumeric,
  toDecimal,
  type Decimal,
  type Value,
  type ValueMap,
} from "./value.ts";

export type BinaryOperator =
  | "&&"
  | "||"
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "+"
  | "-"
  | "*"
  | "/"
  | "%"
  | "in";
export type UnaryOperator = "!" | "-";

/** The functions an expression may call: name → number of arguments (a method's target counts as the first). */
export const functionArity = {
  decimal: 1,
  string: 1,
  size: 1,
  sum: 1,
  min: 1,
  max: 1,
  count: 1,
  contains: 2,
  startsWith: 2,
  endsWith: 2,
  lower: 1,
  upper: 1,
  trim: 1,
  join: 2,
  split: 2,
  replace: 3,
  round: 2,
  abs: 1,
  basename: 1,
  json: 1,
  merge: 2,
} as const;
export type FunctionName = keyof typeof functionArity;

export type Expression =
  | { readonly kind: "literal"; readonly value: null | boolean | string | Decimal }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "field"; readonly of: Expression; readonly field: string }
  | { readonly kind: "has"; readonly of: Expression; readonly field: string }
  | { readonly kind: "index"; readonly of: Expression; readonly at: Expression }
  | { readonly kind: "unary"; readonly operator: UnaryOperator; readonly of: Expression }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "conditional";
      readonly when: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    }
  | { readonly kind: "call"; readonly name: FunctionName; readonly arguments: readonly Expression[] }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [string, Expression])[] }
  | {
      readonly kind: "each";
      readonly macro: "all" | "exists" | "map" | "filter";
      readonly over: Expression;
      readonly name: string;
      readonly body: Expression;
    };

export type Bindings = Readonly<Record<string, Value>>;

/** @throws expression.syntax, expression.unsupported, expression.range */
export function parseExpression(text: string): Expression {
  if (text.length > expressionLengthMax) {
    throw fault("expression.range", `Cannot read an expression of ${text.length} characters`, {
      lengthMax: expressionLengthMax,
    });
  }
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw fault(
      "expression.syntax",
      `Cannot read the expression \`${text.slice(0, 200)}\`: ${message.slice(0, 200)}`,
      { text: text.slice(0, 1000) },
      error,
    );
  }
  return fromCel(parsed.expr, text, 0);
}

/** The value of an expression. Pure. @throws expression.type, expression.unknown-name, expression.missing-field, expression.range */
export function evaluate(expression: Expression, bindings: Bindings): Value {
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "name": {
      if (!Object.hasOwn(bindings, expression.name)) {
        throw fault("expression.unknown-name", `Cannot find \`${expression.name}\``, {
          name: expression.name,
          available: Object.keys(bindings).slice(0, 50),
        });
      }
      return bindings[expression.name] as Value;
    }
    case "field":
      return fieldOf(evaluate(expression.of, bindings), expression.field);
    case "has": {
      const of = evaluate(expression.of, bindings);
      return isMap(of) && Object.hasOwn(of, expression.field);
    }
    case "index": {
      const of = evaluate(expression.of, bindings);
      const at = evaluate(expression.at, bindings);
      if (Array.isArray(of)) return itemOf(of, at);
      if (typeof at === "string") return fieldOf(of, at);
      throw typeFault("index", [of, at]);
    }
    case "unary": {
      const of = evaluate(expression.of, bindings);
      if (expression.operator === "!") return !boolean(of, "!");
      return numeric(of, "-").neg();
    }
    case "binary":
      return evaluateBinary(expression, bindings);
    case "conditional":
      return boolean(evaluate(expression.when, bindings), "?:")
        ? evaluate(expression.then, bindings)
        : evaluate(expression.otherwise, bindings);
    case "call":
      return callFunction(
        expression.name,
        expression.arguments.map((argument) => evaluate(argument, bindings)),
      );
    case "list":
      return expression.items.map((item) => evaluate(item, bindings));
    case "map":
      return Object.fromEntries(expression.entries.map(([key, item]) => [key, evaluate(item, bindings)]));
    case "each":
      return evaluateEach(expression, bindings);
  }
}

/** Names the expression reads that it does not bind itself (slots), sorted and distinct. */
export function freeNames(expression: Expression): readonly string[] {
  const names = new Set<string>();
  collectNames(expression, new Set(), names);
  return [...names].sort();
}

/** The children of an expression, in operand order. */
export function children(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "literal":
    case "name":
      return [];
    case "field":
    case "has":
    case "unary":
      return [expression.of];
    case "index":
      return [expression.of, expression.at];
    case "binary":
      return [expression.left, expression.right];
    case "conditional":
      return [expression.when, expression.then, expression.otherwise];
    case "call":
      return expression.arguments;
    case "list":
      return expression.items;
    case "map":
      return expression.entries.map(([, item]) => item);
    case "each":
      return [expression.over, expression.body];
  }
}

const precedence: Readonly<Record<BinaryOperator, number>> = {
  "||": 1,
  "&&": 2,
  "==": 3,
  "!=": 3,
  "<": 3,
  "<=": 3,
  ">": 3,
  ">=": 3,
  in: 3,
  "+": 4,
  "-": 4,
  "*": 5,
  "/": 5,
  "%": 5,
};

/** The one canonical CEL text of a tree: `parseExpression(renderExpression(e))` equals `e`. Programs store this text. */
export function renderExpression(expression: Expression): string {
  return render(expression, 0);
}

function render(expression: Expression, outer: number): string {
  switch (expression.kind) {
    case "literal": {
      const { value } = expression;
      if (value === null) return "null";
      if (typeof value === "boolean") return value ? "true" : "false";
      if (typeof value === "string") return quote(value);
      return renderNumber(value);
    }
    case "name":
      return expression.name;
    case "field":
      return isIdentifier(expression.field)
        ? `${render(expression.of, 9)}.${expression.field}`
        : `${render(expression.of, 9)}[${quote(expression.field)}]`;
    case "has":
      return `has(${render(expression.of, 9)}.${expression.field})`;
    case "index":
      return `${render(expression.of, 9)}[${render(expression.at, 0)}]`;
    case "unary":
      // The CEL grammar cancels a doubled operator, so the canonical text does as well.
      if (expression.of.kind === "unary" && expression.of.operator === expression.operator)
        return render(expression.of.of, outer);
      return wrap(`${expression.operator}${render(expression.of, 8)}`, 7, outer);
    case "binary": {
      const level = precedence[expression.operator];
      return wrap(
        `${render(expression.left, level)} ${expression.operator} ${render(expression.right, level + 1)}`,
        level,
        outer,
      );
    }
    case "conditional":
      return wrap(
        `${render(expression.when, 1)} ? ${render(expression.then, 1)} : ${render(expression.otherwise, 0)}`,
        0.5,
        outer,
      );
    case "call":
      return `${expression.name}(${expression.arguments.map((argument) => render(argument, 0)).join(", ")})`;
    case "list":
      return `[${expression.items.map((item) => render(item, 0)).join(", ")}]`;
    case "map":
      return `{${expression.entries.map(([key, item]) => `${quote(key)}: ${render(item, 0)}`).join(", ")}}`;
    case "each":
      return `${render(expression.over, 9)}.${expression.macro}(${expression.name}, ${render(expression.body, 0)})`;
  }
}

function wrap(text: string, level: number, outer: number): string {
  return level < outer ? `(${text})` : text;
}

function isIdentifier(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) && !reservedWords.has(text);
}

const reservedWords = new Set([
  "true",
  "false",
  "null",
  "in",
  "as",
  "break",
  "const",
  "continue",
  "else",
  "for",
  "function",
  "if",
  "import",
  "let",
  "loop",
  "package",
  "namespace",
  "return",
  "var",
  "void",
  "while",
]);

/** Integers that CEL can read as int stay plain; every other decimal is written `decimal("…")`, so no digit is lost. */
function renderNumber(value: Decimal): string {
  const text = decimalText(value);
  if (/^\d{1,15}$/.test(text)) return text;
  return `decimal(${quote(text)})`;
}

function quote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (character === '"' || character === "\\") quoted += `\\${character}`;
    else if (character === "\n") quoted += "\\n";
    else if (character === "\r") quoted += "\\r";
    else if (character === "\t") quoted += "\\t";
    else if (code < 32 || code === 127) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += character;
  }
  return `${quoted}"`;
}

function collectNames(expression: Expression, bound: ReadonlySet<string>, names: Set<string>): void {
  if (expression.kind === "name") {
    if (!bound.has(expression.name)) names.add(expression.name);
    return;
  }
  if (expression.kind === "each") {
    collectNames(expression.over, bound, names);
    collectNames(expression.body, new Set([...bound, expression.name]), names);
    return;
  }
  for (const child of children(expression)) collectNames(child, bound, names);
}

function evaluateBinary(expression: Extract<Expression, { kind: "binary" }>, bindings: Bindings): Value {
  const { operator } = expression;
  const left = evaluate(expression.left, bindings);
  if (operator === "&&")
    return boolean(left, operator) && boolean(evaluate(expression.right, bindings), operator);
  if (operator === "||")
    return boolean(left, operator) || boolean(evaluate(expression.right, bindings), operator);
  const right = evaluate(expression.right, bindings);
  switch (operator) {
    case "==":
      return equalValues(left, right);
    case "!=":
      return !equalValues(left, right);
    case "<":
      return compare(left, right, operator) < 0;
    case "<=":
      return compare(left, right, operator) <= 0;
    case ">":
      return compare(left, right, operator) > 0;
    case ">=":
      return compare(left, right, operator) >= 0;
    case "+":
      if (typeof left === "string" && typeof right === "string") return bounded(left + right);
      if (Array.isArray(left) && Array.isArray(right)) return boundedList([...left, ...right]);
      return numeric(left, operator).plus(numeric(right, operator));
    case "-":
      return numeric(left, operator).minus(numeric(right, operator));
    case "*":
      return decimal(numeric(left, operator).times(numeric(right, operator)).toString());
    case "/":
      return divide(numeric(left, operator), numeric(right, operator));
    case "%": {
      const divisor = numeric(right, operator);
      if (divisor.eq(0)) throw fault("expression.range", "Cannot divide by zero");
      return numeric(left, operator).mod(divisor);
    }
    case "in":
      if (Array.isArray(right)) return right.some((item: Value) => equalValues(item, left));
      if (isMap(right) && typeof left === "string") return Object.hasOwn(right, left);
      throw typeFault("in", [left, right]);
  }
}

const Division = Big();
Division.DP = 40;
Division.RM = 2;

function divide(left: Decimal, right: Decimal): Decimal {
  if (right.eq(0)) throw fault("expression.range", "Cannot divide by zero");
  return new Big(new Division(left).div(right).toString());
}

function evaluateEach(expression: Extract<Expression, { kind: "each" }>, bindings: Bindings): Value {
  const over = list(evaluate(expression.over, bindings), expression.macro);
  const body = (item: Value) => evaluate(expression.body, { ...bindings, [expression.name]: item });
  switch (expression.macro) {
    case "all":
      return over.every((item) => boolean(body(item), "all"));
    case "exists":
      return over.some((item) => boolean(body(item), "exists"));
    case "map":
      return over.map(body);
    case "filter":
      return over.filter((item) => boolean(body(item), "filter"));
  }
}

function callFunction(name: FunctionName, args: readonly Value[]): Value {
  const [first = null, second = null, third = null] = args;
  switch (name) {
    case "decimal":
      return typeof first === "string" ? decimal(first) : numeric(first, name);
    case "string":
      return render1(first);
    case "size":
    case "count":
      if (typeof first === "string") return new Big([...first].length);
      if (Array.isArray(first)) return new Big(first.length);
      if (isMap(first)) return new Big(Object.keys(first).length);
      throw typeFault(name, args);
    case "sum":
      return list(first, name).reduce<Decimal>((sum, item) => sum.plus(numeric(item, name)), new Big(0));
    case "min":
    case "max": {
      const items = list(first, name).map((item) => numeric(item, name));
      const [head, ...rest] = items;
      if (head === undefined) throw fault("expression.range", `Cannot take the ${name} of an empty list`);
      return rest.reduce(
        (best, item) => ((name === "min" ? item.lt(best) : item.gt(best)) ? item : best),
        head,
      );
    }
    case "contains":
      return text(first, name).includes(text(second, name));
    case "startsWith":
      return text(first, name).startsWith(text(second, name));
    case "endsWith":
      return text(first, name).endsWith(text(second, name));
    case "lower":
      return text(first, name).toLowerCase();
    case "upper":
      return text(first, name).toUpperCase();
    case "trim":
      return text(first, name).trim();
    case "join":
      return bounded(list(first, name).map(render1).join(text(second, name)));
    case "split":
      return boundedList(text(first, name).split(text(second, name)));
    case "replace":
      return bounded(text(first, name).split(text(second, name)).join(text(third, name)));
    case "round":
      return numeric(first, name).round(
        Math.max(0, Math.min(40, Number(numeric(second, name)))),
        Big.roundHalfEven,
      );
    case "abs":
      return numeric(first, name).abs();
    case "basename":
      return text(first, name).split("/").at(-1) ?? "";
    case "json":
      return bounded(canonicalJson(first));
    case "merge": {
      if (!isMap(first) || !isMap(second)) throw typeFault(name, args);
      return { ...first, ...second };
    }
  }
}

/** Text of a value as templates and messages write it: decimals plain, lists and maps as JSON. */
export function render1(value: Value): string {
  if (typeof value === "string") return value;
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (isNumeric(value)) return decimalText(toDecimal(value));
  return canonicalJson(value);
}

function canonicalJson(value: Value): string {
  if (isDecimal(value)) return decimalText(value);
  if (typeof value === "number") return decimalText(new Big(value));
  if (value instanceof Uint8Array) throw typeFault("json", [value]);
  if (Array.isArray(value)) return `[${value.map((item: Value) => canonicalJson(item)).join(",")}]`;
  if (isMap(value))
    return `{${Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Value)}`)
      .join(",")}}`;
  return JSON.stringify(value);
}

function fieldOf(of: Value, field: string): Value {
  if (!isMap(of))
    throw fault("expression.type", `Cannot read the field \`${field}\` of ${typeName(of)}`, { field });
  if (!Object.hasOwn(of, field)) {
    throw fault("expression.missing-field", `Cannot find the field \`${field}\``, {
      field,
      available: Object.keys(of).slice(0, 50),
    });
  }
  return (of as ValueMap)[field] as Value;
}

function itemOf(of: readonly Value[], at: Value): Value {
  const index = Number(numeric(at, "index"));
  const item = Number.isInteger(index) ? of[index] : undefined;
  if (item === undefined)
    throw fault("expression.range", `Cannot take item ${index} of a list of ${of.length}`, {
      index,
      count: of.length,
    });
  return item;
}

function compare(left: Value, right: Value, operator: string): number {
  if (isNumeric(left) && isNumeric(right)) return toDecimal(left).cmp(toDecimal(right));
  if (typeof left === "string" && typeof right === "string") return left < right ? -1 : left > right ? 1 : 0;
  throw typeFault(operator, [left, right]);
}

function boolean(value: Value, operator: string): boolean {
  if (typeof value !== "boolean") throw typeFault(operator, [value]);
  return value;
}

function numeric(value: Value, operator: string): Decimal {
  if (!isNumeric(value)) throw typeFault(operator, [value]);
  return toDecimal(value);
}

function text(value: Value, operator: string): string {
  if (typeof value !== "string") throw typeFault(operator, [value]);
  return value;
}

function list(value: Value, operator: string): readonly Value[] {
  if (!Array.isArray(value)) throw typeFault(operator, [value]);
  return boundedList(value);
}

function boundedList(items: readonly Value[]): readonly Value[] {
  if (items.length > expressionItemsMax)
    throw fault("expression.range", `Cannot visit ${items.length} items`, { itemsMax: expressionItemsMax });
  return items;
}

function bounded(written: string): string {
  if (written.length > textLengthMax)
    throw fault("expression.range", `Cannot build a text of ${written.length} characters`, {
      lengthMax: textLengthMax,
    });
  return written;
}

function typeName(value: Value): string {
  if (value === null) return "null";
  if (isNumeric(value)) return "a number";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Uint8Array) return "bytes";
  if (typeof value === "object") return "a map";
  return typeof value === "string" ? "a text" : "a truth value";
}

function typeFault(operator: string, values: readonly Value[]) {
  return fault("expression.type", `Cannot apply \`${operator}\` to ${values.map(typeName).join(" and ")}`, {
    operator,
  });
}

type CelExpr = NonNullable<ReturnType<typeof parse>["expr"]>;

const binaryOfCel: Readonly<Record<string, BinaryOperator>> = {
  "_&&_": "&&",
  "_||_": "||",
  "_==_": "==",
  "_!=_": "!=",
  "_<_": "<",
  "_<=_": "<=",
  "_>_": ">",
  "_>=_": ">=",
  "_+_": "+",
  "_-_": "-",
  "_*_": "*",
  "_/_": "/",
  "_%_": "%",
  "@in": "in",
};

function fromCel(expr: CelExpr, source: string, depth: number): Expression {
  if (depth > expressionDepthMax)
    throw fault("expression.range", `Cannot read an expression nested deeper than ${expressionDepthMax}`, {
      depthMax: expressionDepthMax,
    });
  const inner = (child: CelExpr | undefined): Expression => {
    if (child === undefined) throw unsupported("an empty operand", source);
    return fromCel(child, source, depth + 1);
  };
  const { exprKind } = expr;
  switch (exprKind.case) {
    case "constExpr": {
      const { constantKind } = exprKind.value;
      switch (constantKind.case) {
        case "nullValue":
          return { kind: "literal", value: null };
        case "boolValue":
        case "stringValue":
          return { kind: "literal", value: constantKind.value };
        case "int64Value":
        case "uint64Value":
        case "doubleValue":
          return { kind: "literal", value: decimal(constantKind.value) };
        default:
          throw unsupported(`a constant of kind ${constantKind.case ?? "unknown"}`, source);
      }
    }
    case "identExpr":
      return { kind: "name", name: exprKind.value.name };
    case "selectExpr":
      return {
        kind: exprKind.value.testOnly ? "has" : "field",
        of: inner(exprKind.value.operand),
        field: exprKind.value.field,
      };
    case "listExpr":
      return { kind: "list", items: exprKind.value.elements.map(inner) };
    case "structExpr":
      return {
        kind: "map",
        entries: exprKind.value.entries.map((entry) => {
          const key = entry.keyKind.case === "mapKey" ? inner(entry.keyKind.value) : undefined;
          if (key?.kind !== "literal" || typeof key.value !== "string")
            throw unsupported("a map key that is no text", source);
          return [key.value, inner(entry.value)] as const;
        }),
      };
    case "callExpr": {
      const { function: name, target } = exprKind.value;
      const args = [...(target === undefined ? [] : [inner(target)]), ...exprKind.value.args.map(inner)];
      return fromCall(name, args, source);
    }
    case "comprehensionExpr":
      return fromComprehension(exprKind.value, inner, source);
    default:
      throw unsupported("this construct", source);
  }
}

function fromCall(name: string, args: readonly Expression[], source: string): Expression {
  const [first, second, third] = args;
  const operator = Object.hasOwn(binaryOfCel, name) ? binaryOfCel[name] : undefined;
  if (operator !== undefined && first !== undefined && second !== undefined)
    return { kind: "binary", operator, left: first, right: second };
  if (name === "!_" && first !== undefined) return { kind: "unary", operator: "!", of: first };
  if (name === "-_" && first !== undefined) {
    if (first.kind === "literal" && isDecimal(first.value))
      return { kind: "literal", value: first.value.neg() };
    return { kind: "unary", operator: "-", of: first };
  }
  if (name === "_[_]" && first !== undefined && second !== undefined) {
    if (second.kind === "literal" && typeof second.value === "string")
      return { kind: "field", of: first, field: second.value };
    return { kind: "index", of: first, at: second };
  }
  if (name === "_?_:_" && first !== undefined && second !== undefined && third !== undefined) {
    return { kind: "conditional", when: first, then: second, otherwise: third };
  }
  if (
    name === "decimal" &&
    first?.kind === "literal" &&
    typeof first.value === "string" &&
    args.length === 1
  ) {
    return { kind: "literal", value: decimal(first.value) };
  }
  if (Object.hasOwn(functionArity, name) && functionArity[name as FunctionName] === args.length) {
    return { kind: "call", name: name as FunctionName, arguments: args };
  }
  throw unsupported(`\`${name}\` with ${args.length} arguments`, source);
}

type Comprehension = Extract<CelExpr["exprKind"], { case: "comprehensionExpr" }>["value"];

/** Recognises the four macros by the shape the parser expands them to; every other fold is refused. */
function fromComprehension(
  fold: Comprehension,
  inner: (child: CelExpr | undefined) => Expression,
  source: string,
): Expression {
  const step = fold.loopStep?.exprKind;
  const over = inner(fold.iterRange);
  const common = { kind: "each", over, name: fold.iterVar } as const;
  if (fold.iterVar2 === "" && step?.case === "callExpr") {
    const { function: name, args } = step.value;
    if (name === "_||_") return { ...common, macro: "exists", body: inner(args[1]) };
    if (name === "_&&_") return { ...common, macro: "all", body: inner(args[1]) };
    const added = args[1]?.exprKind;
    if (name === "_+_" && added?.case === "listExpr" && isAccumulator(args[0]))
      return { ...common, macro: "map", body: inner(added.value.elements[0]) };
    if (name === "_?_:_" && args[1]?.exprKind.case === "callExpr" && isAccumulator(args[2])) {
      const kept = args[1].exprKind.value.args[1]?.exprKind;
      const item = kept?.case === "listExpr" ? kept.value.elements[0]?.exprKind : undefined;
      if (item?.case === "identExpr" && item.value.name === fold.iterVar)
        return { ...common, macro: "filter", body: inner(args[0]) };
    }
  }
  throw unsupported("this comprehension", source);
}

function isAccumulator(expr: CelExpr | undefined): boolean {
  return expr?.exprKind.case === "identExpr" && expr.exprKind.value.name === "@result";
}

function unsupported(what: string, source: string) {
  return fault("expression.unsupported", `Cannot use ${what} in \`${source.slice(0, 200)}\``, {
    text: source.slice(0, 1000),
    functions: Object.keys(functionArity),
  });
}

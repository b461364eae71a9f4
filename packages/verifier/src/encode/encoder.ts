// Expressions and formulas of one program as terms of a script.
import { renderExpression, type BinaryOperator, type Expression } from "@writ/core/expression";
import type { TimeWindow } from "@writ/core/program";
import { decimalText, isDecimal, type Decimal } from "@writ/core/value";
import { anything, concat, word, wordAnyCase, nothing, type Regular } from "../automata/regular.ts";
import type { Analysis } from "../model/analysis.ts";
import type { Formula } from "../model/formula.ts";
import { sharedReads } from "../model/reads.ts";
import {
  accessPath,
  columnOf,
  kindOf,
  languageOfPath,
  nameOfPath,
  pathText,
  present,
  schemaOf,
  triggerLanguage,
  watchedFolder,
  watchedPattern,
  watchesOneFolder,
  type AccessPath,
} from "../model/typing.ts";
import { clean, conjunction, disjunction, negation, type Owner, type Script } from "./script.ts";

/** A text as the solver's side sees it: fixed parts and variables in between. */
export type TextPart = string | { readonly variable: string; readonly fold: "none" | "lower" | "upper" };

export type Term =
  | { readonly kind: "number"; readonly smt: string }
  | { readonly kind: "truth"; readonly smt: string }
  | { readonly kind: "text"; readonly parts: readonly TextPart[] }
  | { readonly kind: "null" }
  | { readonly kind: "list"; readonly items: readonly Term[] }
  | { readonly kind: "map"; readonly entries: ReadonlyMap<string, Term> }
  | { readonly kind: "unknown"; readonly path: AccessPath | null };

export interface Encoder {
  readonly owner: Owner;
  term(expression: Expression): Term;
  formula(formula: Formula): string;
  /** The condition as separate conjuncts, so that a core can name the ones that clash. */
  conjuncts(
    formula: Formula,
  ): readonly { readonly smt: string; readonly says: string; readonly at: string }[];
  /** That the trigger lets the event through: the pattern of its names and the time windows. */
  trigger(): string;
  equal(left: Term, right: Term): string;
}

export function createEncoder(script: Script, owner: Owner, eventOwner: Owner): Encoder {
  const { analysis } = owner;
  const terms = new Map<Expression, Term>();
  const freeIndexes = new Map<string, number>();

  const readings = owner === eventOwner ? new Map<string, string>() : sharedReads(analysis);
  /** The constant's owner and name: one for all programs where they see the same, one for each where they do not. */
  const placeOf = (path: AccessPath) => {
    const reading = readings.get(path.root) ?? null;
    const isShared = path.root === "event" || reading !== null;
    const at = isShared ? eventOwner : owner;
    const name = `${at.prefix}.${pathText(reading === null ? path : { ...path, root: reading })}`;
    return { owner: at, path, reading, name };
  };

  const free = (expression: Expression | string, sort: "Real" | "Bool"): string => {
    const of = typeof expression === "string" ? expression : renderExpression(expression);
    script.approximate(of);
    // The number keeps two long expressions that begin alike apart.
    const key = `${sort} ${of}`;
    const index = freeIndexes.get(key) ?? freeIndexes.size;
    freeIndexes.set(key, index);
    const name = `${owner.prefix}?${index} ${of.slice(0, 120)}`;
    return script.declare(name, sort, { kind: "free", of });
  };

  const number = (path: AccessPath): string => {
    const { name, ...where } = placeOf(path);
    const schema = schemaOf(analysis, path);
    const isInteger = kindOf(schema) === "integer";
    const isNew = !script.meanings.has(clean(name));
    const symbol = script.declare(name, isInteger ? "Int" : "Real", { kind: "number", ...where });
    const real = isInteger ? `(to_real ${symbol})` : symbol;
    if (isNew) {
      for (const bound of boundsOf(analysis, path)) {
        script.assert(
          `(${bound.operator} ${real} ${smtNumber(bound.value)})`,
          `range ${name} ${bound.operator}`,
          `${nameOfPath(analysis, path)} ${bound.operator === ">=" ? "is at least" : bound.operator === "<=" ? "is at most" : bound.operator} ${bound.value} (${bound.because})`,
        );
      }
      relateAggregate(path, name);
    }
    return real;
  };

  /** What is always true of the four aggregates of one column. */
  const relateAggregate = (path: AccessPath, name: string): void => {
    const use = columnOf(analysis, path);
    const sibling = (field: string): AccessPath => ({ root: path.root, fields: [field] });
    if (use === null || schemaOf(analysis, sibling("count")) === null) return;
    if (use.field === "min" || use.field === "max") relateEnds(sibling);
    if (use.field !== "sum") return;
    const [sum, count] = [number(path), number(sibling("count"))];
    const label = (text: string) => `${nameOfPath(analysis, path)}: ${text}`;
    script.assert(`(=> (= ${count} 0.0) (= ${sum} 0.0))`, `sum ${name} empty`, label("nothing adds up to 0"));
    const { column } = use;
    if (column?.max != null) {
      const term = `(<= ${sum} (* ${smtNumber(column.max)} ${count}))`;
      script.assert(term, `sum ${name} max`, label(`each ${use.columnName} is at most ${column.max}`));
    }
    if (column?.min != null) {
      const term = `(>= ${sum} (* ${smtNumber(column.min)} ${count}))`;
      script.assert(term, `sum ${name} min`, label(`each ${use.columnName} is at least ${column.min}`));
    }
  };

  const related = new Set<string>();

  /** What the smallest and the largest of a column say of each other and of the sum. Nothing has a smallest: there is at least one row. */
  const relateEnds = (sibling: (field: string) => AccessPath): void => {
    const all = ["min", "max", "sum", "count"].map(sibling);
    const name = placeOf(sibling("count")).name;
    if (related.has(name) || all.some((path) => schemaOf(analysis, path) === null)) return;
    related.add(name);
    const [min = "", max = "", sum = "", count = ""] = all.map(number);
    const facts = {
      "some row": [`(>= ${count} 1.0)`, "there is a row"],
      ends: [`(<= ${min} ${max})`, "the minimum is at most the maximum"],
      one: [`(=> (= ${count} 1.0) (and (= ${sum} ${max}) (= ${min} ${max})))`, "one row is all of them"],
      negative: [`(=> (<= ${max} 0.0) (<= ${sum} ${min}))`, "amounts below 0 add up to less than each"],
      positive: [`(=> (>= ${min} 0.0) (>= ${sum} ${max}))`, "amounts above 0 add up to more than each"],
    };
    for (const [fact, [term = "", says = ""]] of Object.entries(facts))
      script.assert(term, `ends ${name} ${fact}`, says);
  };

  const textVariable = (path: AccessPath): readonly TextPart[] => {
    const { name: variable, ...where } = placeOf(path);
    const name = pathText(path);
    const folder = watchedFolder(analysis);
    if (
      name === "event.data.path" &&
      folder !== null &&
      watchesOneFolder(analysis) &&
      hasEventName(analysis)
    ) {
      const prefix = folder === "" ? [] : [`${folder}/`];
      return [...prefix, ...textVariable({ root: "event", fields: ["data", "name"] })];
    }
    if (name === "event.data.folder" && folder !== null && watchesOneFolder(analysis)) return [folder];
    script.text({ name: variable, ...where, base: languageOfPath(analysis, path, false) });
    return [{ variable, fold: "none" }];
  };

  const access = (path: AccessPath, expression: Expression): Term => {
    const writers = analysis.writers.get(path.root) ?? [];
    const [writer] = writers;
    if (writers.length === 1 && writer?.step.op.op === "eval") {
      const value = term(analysis.expressionOf(writer.step.op.expression));
      return path.fields.reduce<Term>(
        (at, field) =>
          at.kind === "map"
            ? (at.entries.get(field) ?? { kind: "unknown", path: null })
            : { kind: "unknown", path },
        value,
      );
    }
    switch (kindOf(schemaOf(analysis, path))) {
      case "number":
      case "integer":
        return { kind: "number", smt: number(path) };
      case "boolean": {
        const { name, ...where } = placeOf(path);
        return { kind: "truth", smt: script.declare(name, "Bool", { kind: "boolean", ...where }) };
      }
      case "text":
        return { kind: "text", parts: textVariable(path) };
      case "list":
      case "map":
      case "unknown":
        return { kind: "unknown", path: accessPath(expression) };
    }
  };

  const term = (expression: Expression): Term => {
    const known = terms.get(expression);
    if (known !== undefined) return known;
    const fresh = encode(expression);
    terms.set(expression, fresh);
    return fresh;
  };

  const encode = (expression: Expression): Term => {
    switch (expression.kind) {
      case "literal": {
        const { value } = expression;
        if (value === null) return { kind: "null" };
        if (typeof value === "boolean") return { kind: "truth", smt: String(value) };
        if (typeof value === "string") return { kind: "text", parts: value === "" ? [] : [value] };
        return { kind: "number", smt: smtNumber(value) };
      }
      case "name":
      case "field": {
        const path = accessPath(expression);
        return path === null ? { kind: "unknown", path: null } : access(path, expression);
      }
      case "unary":
        return expression.operator === "!"
          ? { kind: "truth", smt: negation(truth(expression.of)) }
          : { kind: "number", smt: `(- ${amount(expression.of)})` };
      case "binary":
        return binary(expression);
      case "conditional": {
        const when = truth(expression.when);
        const then = term(expression.then);
        const otherwise = term(expression.otherwise);
        if (when === "true") return then;
        if (when === "false") return otherwise;
        if (then.kind === "number" || otherwise.kind === "number") {
          return {
            kind: "number",
            smt: `(ite ${when} ${amount(expression.then)} ${amount(expression.otherwise)})`,
          };
        }
        if (then.kind === "truth" || otherwise.kind === "truth") {
          return {
            kind: "truth",
            smt: `(ite ${when} ${truth(expression.then)} ${truth(expression.otherwise)})`,
          };
        }
        return { kind: "unknown", path: null };
      }
      case "call":
        return call(expression);
      case "list":
        return { kind: "list", items: expression.items.map(term) };
      case "map":
        return {
          kind: "map",
          entries: new Map(expression.entries.map(([key, item]) => [key, term(item)] as const)),
        };
      case "has":
        return { kind: "truth", smt: free(expression, "Bool") };
      case "index":
      case "each":
        return expression.kind === "each" && (expression.macro === "all" || expression.macro === "exists")
          ? { kind: "truth", smt: free(expression, "Bool") }
          : { kind: "unknown", path: null };
    }
  };

  /** The expression as a number; a free one where the encoding does not know it. */
  const amount = (expression: Expression): string => {
    const value = term(expression);
    if (value.kind === "number") return value.smt;
    return value.kind === "unknown" && value.path !== null && schemaOf(analysis, value.path) === null
      ? number(value.path)
      : free(expression, "Real");
  };

  const truth = (expression: Expression): string => {
    const value = term(expression);
    return value.kind === "truth" ? value.smt : free(expression, "Bool");
  };

  /** The expression as a text, or null where the encoding does not know it. */
  const parts = (expression: Expression): readonly TextPart[] | null => {
    const value = term(expression);
    if (value.kind === "text") return value.parts;
    return value.kind === "unknown" && value.path !== null && schemaOf(analysis, value.path) === null
      ? textVariable(value.path)
      : null;
  };

  const binary = (expression: Extract<Expression, { kind: "binary" }>): Term => {
    const { operator, left, right } = expression;
    switch (operator) {
      case "&&":
        return { kind: "truth", smt: conjunction([truth(left), truth(right)]) };
      case "||":
        return { kind: "truth", smt: disjunction([truth(left), truth(right)]) };
      case "==":
      case "!=": {
        const same = equalExpressions(left, right);
        return { kind: "truth", smt: operator === "==" ? same : negation(same) };
      }
      case "<":
      case "<=":
      case ">":
      case ">=":
        return { kind: "truth", smt: comparison(operator, left, right, expression) };
      case "in":
        return right.kind === "list"
          ? { kind: "truth", smt: disjunction(right.items.map((item) => equalExpressions(left, item))) }
          : { kind: "truth", smt: free(expression, "Bool") };
      case "+": {
        const [a, b] = [term(left), term(right)];
        if (a.kind === "text" || b.kind === "text") {
          const [x, y] = [parts(left), parts(right)];
          return x === null || y === null
            ? { kind: "unknown", path: null }
            : { kind: "text", parts: joinParts(x, y) };
        }
        if (a.kind === "list" || b.kind === "list") return { kind: "unknown", path: null };
        return { kind: "number", smt: `(+ ${amount(left)} ${amount(right)})` };
      }
      case "-":
        return { kind: "number", smt: `(- ${amount(left)} ${amount(right)})` };
      case "*":
        return { kind: "number", smt: `(* ${amount(left)} ${amount(right)})` };
      case "/":
        // Division rounds at 40 places; only by a fixed number is it close enough to be said in the reals.
        return right.kind === "literal" && isDecimal(right.value) && !right.value.eq(0)
          ? { kind: "number", smt: `(/ ${amount(left)} ${amount(right)})` }
          : { kind: "number", smt: free(expression, "Real") };
      case "%":
        return { kind: "number", smt: free(expression, "Real") };
    }
  };

  const comparison = (
    operator: Extract<BinaryOperator, "<" | "<=" | ">" | ">=">,
    left: Expression,
    right: Expression,
    whole: Expression,
  ): string => {
    const [a, b] = [term(left), term(right)];
    if (a.kind === "text" || b.kind === "text") return free(whole, "Bool");
    return `(${operator} ${amount(left)} ${amount(right)})`;
  };

  const equalExpressions = (left: Expression, right: Expression): string => {
    const [a, b] = [term(left), term(right)];
    // A value of unknown kind takes the kind of the other side.
    if (a.kind === "unknown" && b.kind === "text") {
      const known = parts(left);
      return known === null
        ? free(`${renderExpression(left)} == ${renderExpression(right)}`, "Bool")
        : equal({ kind: "text", parts: known }, b);
    }
    if (b.kind === "unknown" && a.kind === "text") return equalExpressions(right, left);
    if (a.kind === "unknown" && b.kind === "number") return `(= ${amount(left)} ${b.smt})`;
    if (b.kind === "unknown" && a.kind === "number") return equalExpressions(right, left);
    if (a.kind === "unknown" || b.kind === "unknown" || a.kind === "null" || b.kind === "null") {
      const [x, y] = [renderExpression(left), renderExpression(right)].sort();
      return x === y ? "true" : free(`${x} == ${y}`, "Bool");
    }
    return equal(a, b);
  };

  const call = (expression: Extract<Expression, { kind: "call" }>): Term => {
    const [first, second] = expression.arguments;
    switch (expression.name) {
      case "startsWith":
      case "endsWith":
      case "contains": {
        const text = first === undefined ? null : parts(first);
        const [only, ...rest] = text ?? [];
        if (
          second?.kind !== "literal" ||
          typeof second.value !== "string" ||
          only === undefined ||
          rest.length > 0
        ) {
          return { kind: "truth", smt: free(expression, "Bool") };
        }
        const part = second.value;
        if (typeof only === "string") {
          const isTrue =
            expression.name === "contains"
              ? only.includes(part)
              : expression.name === "startsWith"
                ? only.startsWith(part)
                : only.endsWith(part);
          return { kind: "truth", smt: String(isTrue) };
        }
        const wanted = folded(part, only.fold);
        const language =
          expression.name === "startsWith"
            ? concat(wanted, anything)
            : expression.name === "endsWith"
              ? concat(anything, wanted)
              : concat(anything, wanted, anything);
        return {
          kind: "truth",
          smt: atom(only.variable, language, `${expression.name} ${only.fold} ${part}`),
        };
      }
      case "lower":
      case "upper": {
        const text = first === undefined ? null : parts(first);
        if (text === null) return { kind: "unknown", path: null };
        const fold = expression.name;
        return {
          kind: "text",
          parts: text.map((part) =>
            typeof part === "string"
              ? fold === "lower"
                ? part.toLowerCase()
                : part.toUpperCase()
              : { ...part, fold },
          ),
        };
      }
      case "string": {
        const value = first === undefined ? null : term(first);
        return value?.kind === "text" ? value : { kind: "unknown", path: null };
      }
      case "decimal":
        return {
          kind: "number",
          smt: first === undefined || term(first).kind === "text" ? free(expression, "Real") : amount(first),
        };
      case "abs": {
        if (first === undefined) return { kind: "unknown", path: null };
        const value = amount(first);
        return { kind: "number", smt: `(ite (>= ${value} 0.0) ${value} (- ${value}))` };
      }
      case "sum":
      case "min":
      case "max":
        return { kind: "number", smt: aggregate(expression) };
      case "size":
      case "count": {
        const size = free(expression, "Real");
        script.assert(`(>= ${size} 0.0)`, `size ${size}`, "a size is never negative");
        return { kind: "number", smt: size };
      }
      case "round":
        return { kind: "number", smt: free(expression, "Real") };
      case "trim":
      case "join":
      case "split":
      case "replace":
      case "basename":
      case "json":
      case "merge":
        return { kind: "unknown", path: null };
    }
  };

  const aggregate = (expression: Extract<Expression, { kind: "call" }>): string => {
    const [list] = expression.arguments;
    if (list?.kind !== "list" || list.items.length === 0) return free(expression, "Real");
    const amounts = list.items.map(amount);
    const [head = "0.0", ...rest] = amounts;
    if (expression.name === "sum") return rest.length === 0 ? head : `(+ ${amounts.join(" ")})`;
    const operator = expression.name === "min" ? "<" : ">";
    return rest.reduce((best, item) => `(ite (${operator} ${item} ${best}) ${item} ${best})`, head);
  };

  const atom = (text: string, language: Regular, says: string): string =>
    script.declare(`${text} ${says}`, "Bool", { kind: "atom", text, language, says });

  const equal = (left: Term, right: Term): string => {
    if (left.kind === "number" && right.kind === "number")
      return left.smt === right.smt ? "true" : `(= ${left.smt} ${right.smt})`;
    if (left.kind === "truth" && right.kind === "truth")
      return left.smt === right.smt ? "true" : `(= ${left.smt} ${right.smt})`;
    if (left.kind === "text" && right.kind === "text") return equalTexts(left.parts, right.parts);
    if (left.kind === "null" && right.kind === "null") return "true";
    if (left.kind === "list" && right.kind === "list") {
      if (left.items.length !== right.items.length) return "false";
      return conjunction(left.items.map((item, i) => equal(item, right.items[i] ?? { kind: "null" })));
    }
    if (left.kind === "map" && right.kind === "map") {
      if (left.entries.size !== right.entries.size) return "false";
      const sides = [...left.entries].map(([key, item]) => {
        const other = right.entries.get(key);
        return other === undefined ? "false" : equal(item, other);
      });
      return conjunction(sides);
    }
    if (left.kind === "unknown" || right.kind === "unknown") {
      const [a, b] = [left, right].map((side) =>
        side.kind === "unknown" && side.path !== null ? pathText(side.path) : "…",
      );
      if (a === b && a !== "…")
        return a?.startsWith("event.") === true || left === right ? "true" : free(`${a} == ${b}`, "Bool");
      return free(`${a} == ${b} ${script.meanings.size}`, "Bool");
    }
    return "false";
  };

  const equalTexts = (left: readonly TextPart[], right: readonly TextPart[]): string => {
    const [a, b] = withoutCommonEnds(left, right);
    if (a.length === 0 && b.length === 0) return "true";
    const [x, ...moreX] = a;
    const [y, ...moreY] = b;
    if (moreX.length === 0 && moreY.length === 0) {
      if (typeof x === "string" && typeof y === "string") return x === y ? "true" : "false";
      if (x === undefined || y === undefined) {
        const other = x ?? y;
        return typeof other === "string" || other === undefined
          ? "false"
          : atom(other.variable, word(""), "equals ");
      }
      if (typeof x === "string" && typeof y !== "string")
        return atom(y.variable, folded(x, y.fold), `equals ${y.fold} ${x}`);
      if (typeof y === "string" && typeof x !== "string")
        return atom(x.variable, folded(y, x.fold), `equals ${x.fold} ${y}`);
      if (typeof x !== "string" && typeof y !== "string" && x.fold === "none" && y.fold === "none") {
        if (x.variable === y.variable) return "true";
        const [first, second] = [x.variable, y.variable].sort();
        const name = `${first} = ${second}`;
        return script.declare(name, "Bool", { kind: "same-text", left: first ?? "", right: second ?? "" });
      }
    }
    // One side is fixed and the other has one variable with fixed text around it: they differ when the fixed parts do.
    const fixed = [a, b].find((side) => side.every((part) => typeof part === "string"));
    const open = fixed === a ? b : a;
    if (
      fixed !== undefined &&
      open.some((part) => typeof part === "string" && !fixed.join("").includes(part))
    )
      return "false";
    return free(`${describe(left)} == ${describe(right)}`, "Bool");
  };

  const formula = (of: Formula): string => {
    switch (of.kind) {
      case "true":
      case "false":
        return of.kind;
      case "condition":
        return truth(of.expression);
      case "choice":
        return script.declare(`${owner.prefix} ${of.name}`, "Bool", {
          kind: "choice",
          owner,
          choice: of.name,
        });
      case "not":
        return negation(formula(of.of));
      case "and":
        return conjunction(of.of.map(formula));
      case "or":
        return disjunction(of.of.map(formula));
    }
  };

  const conjuncts = (of: Formula): readonly { smt: string; says: string; at: string }[] => {
    if (of.kind === "and") return of.of.flatMap(conjuncts);
    if (of.kind === "condition") return split(of.expression, false, of.at);
    if (of.kind === "not" && of.of.kind === "condition") return split(of.of.expression, true, of.of.at);
    return [{ smt: formula(of), says: "an earlier part of the program lets it through", at: "" }];
  };

  const split = (
    expression: Expression,
    isNegated: boolean,
    at: string,
  ): readonly { smt: string; says: string; at: string }[] => {
    const operator = isNegated ? "||" : "&&";
    if (expression.kind === "binary" && expression.operator === operator) {
      return [...split(expression.left, isNegated, at), ...split(expression.right, isNegated, at)];
    }
    if (expression.kind === "unary" && expression.operator === "!")
      return split(expression.of, !isNegated, at);
    const smt = truth(expression);
    const said = sayCondition(analysis, expression);
    return [{ smt: isNegated ? negation(smt) : smt, says: isNegated ? `not (${said})` : said, at }];
  };

  const trigger = (): string => {
    const path: AccessPath = { root: "event", fields: ["data", "name"] };
    const language = triggerLanguage(analysis, path);
    const clocks = analysis.program.windows.map((window) => windowTerm(script, window));
    const inWindow = clocks.length === 0 ? "true" : disjunction(clocks);
    if (language === null || !hasEventName(analysis)) return inWindow;
    const [part] = textVariable(path);
    if (part === undefined || typeof part === "string") return inWindow;
    return conjunction([
      atom(part.variable, language, `matches ${watchedPattern(analysis) ?? ""}`),
      inWindow,
    ]);
  };

  return { owner, term, formula, conjuncts, trigger, equal };
}

/** The condition as a person reads it: `sum of amount > 10000`. */
export function sayCondition(analysis: Analysis, expression: Expression): string {
  const path = accessPath(expression);
  if (path !== null) return nameOfPath(analysis, path);
  if (expression.kind === "binary") {
    const { operator, left, right } = expression;
    return `${sayCondition(analysis, left)} ${operator} ${sayCondition(analysis, right)}`;
  }
  if (expression.kind === "literal" && isDecimal(expression.value)) return decimalText(expression.value);
  return renderExpression(expression);
}

function hasEventName(analysis: Analysis): boolean {
  return schemaOf(analysis, { root: "event", fields: ["data", "name"] }) !== null;
}

function windowTerm(script: Script, window: TimeWindow): string {
  const { zone, fromMinute, toMinute, days } = window;
  const minute = script.declare(`clock ${zone} minute`, "Int", { kind: "clock", part: "minute", zone });
  const day = script.declare(`clock ${zone} day`, "Int", { kind: "clock", part: "day", zone });
  script.assert(
    `(and (>= ${minute} 0) (< ${minute} 1440))`,
    `range clock ${zone} minute`,
    "a minute of a day",
  );
  script.assert(`(and (>= ${day} 0) (< ${day} 7))`, `range clock ${zone} day`, "a day of the week");
  const onDay = days.length === 0 ? "true" : disjunction(days.map((each) => `(= ${day} ${each})`));
  if (fromMinute <= toMinute) {
    return conjunction([`(>= ${minute} ${fromMinute})`, `(< ${minute} ${toMinute})`, onDay]);
  }
  // After midnight the window belongs to the day before.
  const dayAfter =
    days.length === 0 ? "true" : disjunction(days.map((each) => `(= ${day} ${(each + 1) % 7})`));
  return disjunction([
    conjunction([`(>= ${minute} ${fromMinute})`, onDay]),
    conjunction([`(< ${minute} ${toMinute})`, dayAfter]),
  ]);
}

interface Bound {
  readonly operator: ">=" | "<=" | ">" | "<";
  readonly value: string;
  readonly because: string;
}

function boundsOf(analysis: Analysis, path: AccessPath): readonly Bound[] {
  const bounds: Bound[] = [];
  const schema = schemaOf(analysis, path);
  const because = "the capability's contract";
  if (schema !== null) {
    const one = present(schema);
    const keys = [
      ["minimum", ">="],
      ["maximum", "<="],
      ["exclusiveMinimum", ">"],
      ["exclusiveMaximum", "<"],
    ] as const;
    for (const [key, operator] of keys) {
      const value = one[key];
      if (typeof value === "number") bounds.push({ operator, value: String(value), because });
    }
  }
  const use = columnOf(analysis, path);
  if (use?.field === "count" && !bounds.some((bound) => bound.operator === ">=")) {
    bounds.push({ operator: ">=", value: "0", because: "a count" });
  }
  if (use !== null && (use.field === "min" || use.field === "max") && use.column !== null) {
    const { min, max } = use.column;
    const column = `the workspace's range of column ${use.columnName}`;
    if (min !== null) bounds.push({ operator: ">=", value: min, because: column });
    if (max !== null) bounds.push({ operator: "<=", value: max, because: column });
  }
  return bounds;
}

/** A decimal as an SMT-LIB Real. */
export function smtNumber(value: Decimal | string): string {
  const text = typeof value === "string" ? plain(value) : decimalText(value);
  const positive = text.replace(/^-/, "");
  const real = positive.includes(".") ? positive : `${positive}.0`;
  return text.startsWith("-") ? `(- ${real})` : real;
}

function plain(text: string): string {
  return /[eE]/.test(text) ? BigInt(Number(text)).toString() : text;
}

function folded(text: string, fold: "none" | "lower" | "upper"): Regular {
  if (fold === "none") return word(text);
  const isPossible = fold === "lower" ? text === text.toLowerCase() : text === text.toUpperCase();
  return isPossible ? wordAnyCase(text) : nothing;
}

function joinParts(left: readonly TextPart[], right: readonly TextPart[]): readonly TextPart[] {
  const last = left.at(-1);
  const first = right[0];
  if (typeof last === "string" && typeof first === "string") {
    return [...left.slice(0, -1), last + first, ...right.slice(1)];
  }
  return [...left, ...right];
}

function samePart(a: TextPart | undefined, b: TextPart | undefined): boolean {
  if (typeof a === "string" || typeof b === "string" || a === undefined || b === undefined) return a === b;
  return a.variable === b.variable && a.fold === b.fold;
}

/** Both texts without what they share at the start and at the end. */
function withoutCommonEnds(
  left: readonly TextPart[],
  right: readonly TextPart[],
): readonly [readonly TextPart[], readonly TextPart[]] {
  let [a, b] = [left, right];
  while (a.length > 0 && b.length > 0) {
    const [x, y] = [a[0], b[0]];
    if (samePart(x, y)) {
      [a, b] = [a.slice(1), b.slice(1)];
    } else if (typeof x === "string" && typeof y === "string" && (x.startsWith(y) || y.startsWith(x))) {
      const shared = Math.min(x.length, y.length);
      [a, b] = [withHead(a, x.slice(shared)), withHead(b, y.slice(shared))];
    } else break;
  }
  while (a.length > 0 && b.length > 0) {
    const [x, y] = [a.at(-1), b.at(-1)];
    if (samePart(x, y)) {
      [a, b] = [a.slice(0, -1), b.slice(0, -1)];
    } else if (typeof x === "string" && typeof y === "string" && (x.endsWith(y) || y.endsWith(x))) {
      const shared = Math.min(x.length, y.length);
      [a, b] = [withTail(a, x.slice(0, -shared)), withTail(b, y.slice(0, -shared))];
    } else break;
  }
  return [a, b];
}

function withHead(parts: readonly TextPart[], head: string): readonly TextPart[] {
  return head === "" ? parts.slice(1) : [head, ...parts.slice(1)];
}

function withTail(parts: readonly TextPart[], tail: string): readonly TextPart[] {
  return tail === "" ? parts.slice(0, -1) : [...parts.slice(0, -1), tail];
}

function describe(parts: readonly TextPart[]): string {
  return parts.map((part) => (typeof part === "string" ? part : `{${part.variable}}`)).join("");
}

// Terms as expressions with a type: what is a number, in which unit or currency, and what is a text.
import type { CapabilityDefinition } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import type { SlotName } from "@writ/core/ids";
import type { Operand } from "@writ/core/program";
import type { Schema } from "@writ/core/schema";
import { decimal, isDecimal, type Value } from "@writ/core/value";
import { closest } from "../language/closest.ts";
import type { Term } from "../language/tree.ts";
import { fold } from "../language/token.ts";
import { keywords, propertyOf } from "../language/vocabulary.ts";
import { ruleProblem } from "../rule-problems.ts";
import type { Binding, Chain, FileState } from "./state.ts";

type TermType =
  /** `unit` is null for a plain number; `written` marks a number that stands in the text. */
  | { readonly kind: "number"; readonly unit: string | null; readonly written: boolean }
  | { readonly kind: "text" };

export interface BoundTerm {
  readonly expression: Expression;
  readonly type: TermType;
}

/** Where a term is spoken: the chain that its reads join, and where the file is at that moment. */
export interface Place {
  readonly chain: Chain;
  readonly file: FileState;
}

export const name = (text: string): Expression => ({ kind: "name", name: text });
export const field = (of: Expression, text: string): Expression => ({ kind: "field", of, field: text });
export const literal = (value: string | null | boolean): Expression => ({ kind: "literal", value });
export const eventData = (text: string): Expression => field(field(name("event"), "data"), text);

/** A literal stays a value; anything else is canonical CEL. */
export function operandOf(expression: Expression): Operand {
  return expression.kind === "literal"
    ? { kind: "literal", value: expression.value }
    : { kind: "expression", text: renderExpression(expression) };
}

const text = (expression: Expression): BoundTerm => ({ expression, type: { kind: "text" } });

/** Null when a problem was noted. */
export function bindTerm(binding: Binding, term: Term, key: string, at: Place | null): BoundTerm | null {
  switch (term.k) {
    case "file": {
      const path = filePath(binding, key, at);
      return path === null ? null : text(path);
    }
    case "field":
      return bindField(binding, term.field, key);
    case "time":
      return text(field(name("event"), "time"));
    case "noun":
      return bindNoun(binding, term, key, at);
    case "text":
      return text(literal(term.text));
    case "quantity":
      return {
        expression: { kind: "literal", value: decimal(term.value) },
        type: { kind: "number", unit: term.unit, written: true },
      };
    case "path":
      return text(literal(term.path));
    case "place":
      return text(literal(placePath(binding, term)));
    case "role":
      binding.used.roles.add(term.name);
      return text(literal(term.name));
    case "url":
      return text(literal(term.url));
    case "list": {
      const items = term.of.map((item, index) => bindTerm(binding, item, `${key}.${index}`, at));
      const whole = items.flatMap((item) => (item === null ? [] : [item.expression]));
      return whole.length < items.length ? null : text({ kind: "list", items: whole });
    }
  }
}

/** Path of a named folder or file; it is noted as used. */
export function placePath(binding: Binding, term: Extract<Term, { k: "place" }>): string {
  const { workspace } = binding.catalog;
  if (term.of === "folder") {
    binding.used.folders.add(term.name);
    return workspace.folders[term.name]?.path ?? term.name;
  }
  binding.used.files.add(term.name);
  return workspace.files[term.name]?.path ?? term.name;
}

export function filePath(binding: Binding, key: string, at: Place | null): Expression | null {
  const state: FileState = at?.file ?? { kind: "none" };
  if (state.kind === "at") return state.path;
  const span = binding.spanOf(key);
  switch (state.kind) {
    case "none":
      binding.problems.push(
        ruleProblem("rule.no-antecedent", "Cannot tell which file this is: no file starts this rule", span),
      );
      return null;
    case "gone":
      binding.problems.push(
        ruleProblem("rule.file-gone", "Cannot use the file here: it has been deleted by then", span),
      );
      return null;
    case "elsewhere":
      binding.problems.push(
        ruleProblem(
          "rule.file-elsewhere",
          "Cannot tell where the file is here: it depends on how a condition or an approval before came out",
          span,
        ),
      );
      return null;
  }
}

function bindField(binding: Binding, wanted: string, key: string): BoundTerm | null {
  const properties = keywords(binding.source?.event).properties ?? {};
  const schema = Object.hasOwn(properties, wanted) ? properties[wanted] : undefined;
  if (schema === undefined) {
    binding.problems.push(
      ruleProblem("rule.unknown-field", `Cannot find a \`${wanted}\` in this event`, binding.spanOf(key), {
        expected: Object.keys(properties).sort(),
      }),
    );
    return null;
  }
  const unit = unitOf(schema) ?? (wanted.endsWith("Bytes") ? "By" : null);
  return {
    expression: eventData(wanted),
    type: isNumberSchema(schema) ? { kind: "number", unit, written: false } : { kind: "text" },
  };
}

function isNumberSchema(schema: Schema): boolean {
  const { type } = keywords(schema);
  return type === "integer" || type === "number" || isDecimalSchema(schema);
}

function isDecimalSchema(schema: Schema): boolean {
  return (schema as { readonly "x-decimal"?: boolean })["x-decimal"] === true;
}

function unitOf(schema: Schema): string | null {
  const marks = schema as { readonly "x-unit"?: string; readonly "x-currency"?: string };
  return marks["x-currency"] ?? marks["x-unit"] ?? null;
}

function bindNoun(
  binding: Binding,
  term: Extract<Term, { k: "noun" }>,
  key: string,
  at: Place | null,
): BoundTerm | null {
  const definition = binding.capability(term.capability);
  const result = propertyOf(definition.result, term.field);
  if (result === undefined || at === null) return null;
  const args: Record<string, string> = { ...term.args };
  let unit = unitOf(result);
  const said = args["column"];
  if (said !== undefined) {
    const column = bindColumn(binding, said, key);
    if (column === null) return null;
    args["column"] = column.name;
    if (isDecimalSchema(result)) unit ??= column.unit;
  }
  const slot = loadSlot(binding, definition, args, key, at);
  if (slot === null) return null;
  if (unit !== null && unitOf(result) === null)
    binding.annotate(slot, (schema) => withUnit(schema, term.field, unit));
  return {
    expression: field(name(slot), term.field),
    type: isNumberSchema(result) ? { kind: "number", unit, written: false } : { kind: "text" },
  };
}

/** The unit of a result, known from the column, is part of the slot's type: proofs and forms show it. */
function withUnit(schema: Schema, property: string, unit: string): Schema {
  const properties = keywords(schema).properties ?? {};
  const mark = /^[A-Z]{3}$/.test(unit) ? { "x-currency": unit } : { "x-unit": unit };
  return { ...schema, properties: { ...properties, [property]: { ...properties[property], ...mark } } };
}

/** A declared column by its heading or an alias, in any case. A folder without a table has columns nobody declared. */
function bindColumn(
  binding: Binding,
  said: string,
  key: string,
): { readonly name: string; readonly unit: string | null } | null {
  const { folder, catalog } = binding;
  const table = folder === null ? undefined : catalog.workspace.tables[folder];
  if (folder === null || table === undefined) return { name: said, unit: null };
  const wanted = fold(said);
  const found = Object.entries(table.columns).filter(([column, { aliases = [] }]) =>
    [column, ...aliases].some((known) => fold(known) === wanted),
  );
  const [only] = found;
  if (only === undefined || found.length > 1) {
    const known = Object.entries(table.columns).flatMap(([column, { aliases = [] }]) => [column, ...aliases]);
    binding.problems.push(
      ruleProblem(
        "rule.unknown-column",
        `Cannot find the column \`${said}\` in the files of \`${folder}\``,
        binding.spanOf(key),
        { expected: [...known].sort(), suggestions: closest(said, known) },
      ),
    );
    return null;
  }
  const [column, { currency, unit }] = only;
  binding.used.columns.set(`${folder}/${column}`, { folder, column });
  return { name: column, unit: currency ?? unit ?? null };
}

/** One step for the same read of the same file: spoken of twice, read once. */
function loadSlot(
  binding: Binding,
  definition: CapabilityDefinition,
  args: Readonly<Record<string, string>>,
  key: string,
  at: Place,
): SlotName | null {
  const wanted = loadKey(definition, args);
  const known = at.chain.loaded.get(wanted);
  if (known !== undefined) return known;
  const params: Record<string, Operand> = {};
  for (const param of requiredOf(definition)) {
    const given = args[param];
    if (given !== undefined) params[param] = { kind: "literal", value: given };
    else if (keywords(propertyOf(definition.params, param))["x-path"] === "file") {
      const path = filePath(binding, key, at);
      if (path === null) return null;
      params[param] = operandOf(path);
    } else {
      binding.problems.push(
        ruleProblem(
          "rule.missing-parameter",
          `Cannot read \`${definition.id}\` without its \`${param}\``,
          binding.spanOf(key),
        ),
      );
      return null;
    }
  }
  const id = binding.nextStep(binding.spanOf(key));
  const output = binding.slotFor(definition, id);
  binding.used.capabilities.add(definition.id);
  at.chain.add(id, {
    op: "load",
    capability: definition.id,
    params: sorted(params),
    output,
    freshnessMsMax: null,
  });
  at.chain.loaded.set(wanted, output);
  return output;
}

/** Identity of a read of the event's file, wherever the file is. */
export function loadKey(definition: CapabilityDefinition, args: Readonly<Record<string, string>>): string {
  return `${definition.id} ${JSON.stringify(sorted(args))}`;
}

export function requiredOf(definition: CapabilityDefinition): readonly string[] {
  return (definition.params as { readonly required?: readonly string[] }).required ?? [];
}

export function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A literal number as the schema wants it. */
export function valueFor(schema: Schema | undefined, value: Value): Value {
  const { type } = keywords(schema);
  return (type === "integer" || type === "number") && isDecimal(value) ? Number(value.toFixed()) : value;
}

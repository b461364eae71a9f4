// The forms of what stands in a program's fields: names, expressions, operands, schemas, capabilities.
import type { Catalog } from "@writ/core/capability";
import { parseExpression, renderExpression } from "@writ/core/expression";
import { faultRecord } from "@writ/core/fault";
import { capabilityName, type CapabilityId } from "@writ/core/ids";
import type { Operand } from "@writ/core/program";
import type { Schema } from "@writ/core/schema";
import { decimal, type Decimal, type Value } from "@writ/core/value";
import { valueOf, type JsonNode } from "../plan/json.ts";
import { closest, suggestion, type PlanProblem } from "../plan/problem.ts";
import { refuse, text, wrong, type Form } from "./forms.ts";

/** A text that one of the id makers of core takes. */
export const id =
  <T>(make: (text: string) => T, expected: string): Form<T> =>
  (node, problems) => {
    const value = text(expected)(node, problems);
    if (value === undefined) return undefined;
    try {
      return make(value);
    } catch (error) {
      if (faultRecord(error) === undefined) throw error;
      return wrong(node, problems, expected);
    }
  };

/** Canonical CEL text; a leading `=` is allowed, as in operands. */
export const expression: Form<string> = (node, problems) => {
  const value = text("a CEL expression as text", null, Number.MAX_SAFE_INTEGER)(node, problems);
  return value === undefined
    ? undefined
    : canonical(value.startsWith("=") ? value.slice(1) : value, node, problems);
};

function canonical(written: string, node: JsonNode, problems: PlanProblem[]): string | undefined {
  try {
    return renderExpression(parseExpression(written));
  } catch (error) {
    const record = faultRecord(error);
    if (record === undefined) throw error;
    return refuse(problems, "program.expression", node.at, { message: record.message, facts: record.facts });
  }
}

/**
 * A text that begins with `=` is an expression; `{"literal": …}` is exactly that value, whatever it looks like; anything else stands
 * for itself.
 */
export const operand: Form<Operand> = (node, problems) => {
  if (node.kind === "scalar" && typeof node.value === "string" && node.value.startsWith("=")) {
    const written = canonical(node.value.slice(1), node, problems);
    return written === undefined ? undefined : { kind: "expression", text: written };
  }
  if (node.kind === "object" && node.fields.size === 1) {
    const literal = node.fields.get("literal");
    if (literal !== undefined) return { kind: "literal", value: valueOf(literal) };
  }
  const hidden = hiddenExpression(node);
  if (hidden !== undefined) {
    return refuse(problems, "program.expression", hidden.at, {
      message: `Cannot take \`${hidden.at}\`: an expression inside a list or an object would stay text`,
    });
  }
  return { kind: "literal", value: valueOf(node) };
};

/** Somebody who writes `=` inside a value means an expression; nothing would ever compute it. */
function hiddenExpression(node: JsonNode): JsonNode | undefined {
  if (node.kind === "scalar")
    return typeof node.value === "string" && node.value.startsWith("=") ? node : undefined;
  const inner = node.kind === "list" ? node.items : [...node.fields.values()];
  for (const item of inner) {
    const found = hiddenExpression(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

export const value: Form<Value> = (node) => valueOf(node);

/** A decimal as text, or as a number that JSON holds exactly. */
export const decimalForm: Form<Decimal> = (node, problems) => {
  const written = node.kind === "scalar" ? node.value : null;
  if (typeof written !== "string" && typeof written !== "number")
    return wrong(node, problems, "a decimal number");
  try {
    return decimal(written);
  } catch (error) {
    if (faultRecord(error) === undefined) throw error;
    return wrong(node, problems, "a decimal number");
  }
};

export const schema: Form<Schema> = (node, problems) =>
  node.kind === "object"
    ? (valueOf(node) as unknown as Schema)
    : wrong(node, problems, "a JSON Schema object");

/** `module.action@1.2.3`, or without the version the newest that the catalog has. */
export function fromCatalog(known: readonly CapabilityId[], what: string): Form<CapabilityId> {
  const names = new Map<string, CapabilityId>();
  for (const one of known) {
    names.set(one, one);
    const before = names.get(capabilityName(one));
    if (before === undefined || isNewer(one, before)) names.set(capabilityName(one), one);
  }
  return (node, problems) => {
    const written = text(`the id of ${what}`)(node, problems);
    if (written === undefined) return undefined;
    const found = names.get(written);
    if (found !== undefined) return found;
    const near = closest(written, [...names.keys()], problems);
    return refuse(problems, "program.field", node.at, {
      message: `Cannot find ${what} \`${written.slice(0, 80)}\`${suggestion(near)}`,
      facts: { closest: near },
    });
  };
}

function isNewer(one: CapabilityId, other: CapabilityId): boolean {
  const [a, b] = [one, other].map((each) =>
    each
      .slice(each.indexOf("@") + 1)
      .split(".")
      .map(Number),
  );
  for (const [i, part] of (a ?? []).entries()) {
    const than = b?.[i] ?? 0;
    if (part !== than) return part > than;
  }
  return false;
}

/** What a program may name: capabilities that serve undo only are left out. */
export function nameable(catalog: Catalog): readonly CapabilityId[] {
  return catalog.capabilities.filter(({ internal }) => internal !== true).map((one) => one.id);
}

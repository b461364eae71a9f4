// Parameters to operands: what is written out is frozen, what holds a template becomes an expression over slots.
import { renderExpression, type Expression } from "@writ/core/expression";
import type { SlotName } from "@writ/core/ids";
import type { Operand } from "@writ/core/program";
import { decimal } from "@writ/core/value";
import { valueOf, type JsonNode } from "./json.ts";
import { containsTemplate } from "./params.ts";
import { hasTemplate, readTemplates, type Reference, type TextPart } from "./templates.ts";

/** Slots by the id of the action whose result they hold. */
export type Slots = ReadonlyMap<string, SlotName>;

export function operandOf(node: JsonNode, slots: Slots): Operand {
  if (!containsTemplate(node)) return { kind: "literal", value: valueOf(node) };
  return { kind: "expression", text: renderExpression(expressionOf(node, slots)) };
}

/** A text with or without templates, always of type text. */
export function textOperand(text: string, slots: Slots): Operand {
  if (!hasTemplate(text)) return { kind: "literal", value: text };
  return { kind: "expression", text: renderExpression(joined(partsOf(text), slots)) };
}

function expressionOf(node: JsonNode, slots: Slots): Expression {
  switch (node.kind) {
    case "scalar": {
      if (typeof node.value === "number") return { kind: "literal", value: decimal(node.value) };
      if (typeof node.value !== "string" || !hasTemplate(node.value))
        return { kind: "literal", value: node.value };
      const parts = partsOf(node.value);
      const [first] = parts;
      // Only a template: the value keeps its type.
      if (parts.length === 1 && first?.kind === "reference")
        return referenceExpression(first.reference, slots);
      return joined(parts, slots);
    }
    case "list":
      return { kind: "list", items: node.items.map((item) => expressionOf(item, slots)) };
    case "object":
      return {
        kind: "map",
        entries: [...node.fields].map(([key, item]) => [key, expressionOf(item, slots)] as const),
      };
  }
}

/** More than this many parts are joined as a balanced tree, whose depth grows with the logarithm of their number. */
const plainPartsMax = 24;

/** The texts one after another, always of type text. */
function joined(parts: readonly TextPart[], slots: Slots): Expression {
  const texts: readonly Expression[] = parts.map((part) =>
    part.kind === "text"
      ? { kind: "literal", value: part.text }
      : { kind: "call", name: "string", arguments: [referenceExpression(part.reference, slots)] },
  );
  const plus = (left: Expression, right: Expression): Expression => ({
    kind: "binary",
    operator: "+",
    left,
    right,
  });
  if (texts.length <= plainPartsMax) return texts.reduce(plus);
  const half = Math.ceil(parts.length / 2);
  return plus(joined(parts.slice(0, half), slots), joined(parts.slice(half), slots));
}

function referenceExpression(reference: Reference, slots: Slots): Expression {
  let expression: Expression =
    reference.root === "result"
      ? { kind: "name", name: slots.get(reference.id) ?? "" }
      : { kind: "field", of: { kind: "name", name: "event" }, field: "data" };
  for (const part of reference.path) {
    expression =
      typeof part === "number"
        ? { kind: "index", of: expression, at: { kind: "literal", value: decimal(part) } }
        : { kind: "field", of: expression, field: part };
  }
  return expression;
}

function partsOf(text: string): readonly TextPart[] {
  const read = readTemplates(text, "");
  return "parts" in read ? read.parts : [{ kind: "text", text }];
}

// Values against schemas. Inside, numbers are decimals; a schema of JSON asks for `integer`, `number` or a decimal's text.
//   F1  A decimal becomes a number only where the schema wants one and no digit is lost.
//   F2  Nothing else is converted: a text never becomes a number, a missing field never a default.
import { schemaProblems, type Schema, type SchemaProblem } from "@writ/core/schema";
import { decimal, decimalText, isDecimal, isMap, type Value } from "@writ/core/value";

/** The value as a capability wants it. */
export function fit(schema: Schema, value: Value): Value {
  return walk(schema, value, false);
}

/** Mismatches of a value with a schema, or an empty list. */
export function problemsOf(schema: Schema, value: Value): readonly SchemaProblem[] {
  return schemaProblems(schema, walk(schema, value, true));
}

function walk(schema: unknown, value: Value, checking: boolean): Value {
  if (typeof schema !== "object" || schema === null) return value;
  const { type, properties, additionalProperties, patternProperties, items, anyOf } = schema as Record<
    string,
    unknown
  >;
  const exact = (schema as Record<string, unknown>)["x-decimal"] === true;
  if (Array.isArray(anyOf)) return fitAny(anyOf, value, checking);
  if (exact) {
    if (typeof value === "number" && type !== "string") return decimal(value);
    return checking && type === "string" && isDecimal(value) ? decimalText(value) : value;
  }
  if (isDecimal(value)) return type === "integer" || type === "number" ? toNumber(value) : value;
  if (Array.isArray(value))
    return items === undefined ? value : value.map((item: Value) => walk(items, item, checking));
  if (
    isMap(value) &&
    (isRecord(properties) || isRecord(patternProperties) || isRecord(additionalProperties))
  ) {
    const patterns = isRecord(patternProperties) ? Object.values(patternProperties) : [];
    const fitted: Record<string, Value> = {};
    for (const [key, item] of Object.entries(value)) {
      const inner =
        isRecord(properties) && Object.hasOwn(properties, key)
          ? properties[key]
          : (patterns[0] ?? additionalProperties);
      fitted[key] = walk(inner, item, checking);
    }
    return fitted;
  }
  return value;
}

/** The first alternative that takes the value as it fits there; the value itself when none does. */
function fitAny(schemas: readonly unknown[], value: Value, checking: boolean): Value {
  // A decimal stays one where one of the alternatives takes it.
  const order = isDecimal(value)
    ? [...schemas.filter(isExact), ...schemas.filter((schema) => !isExact(schema))]
    : schemas;
  for (const schema of order) {
    const fitted = walk(schema, value, checking);
    if (
      isSchema(schema) &&
      schemaProblems(schema, checking ? fitted : walk(schema, value, true)).length === 0
    )
      return fitted;
  }
  return value;
}

function isExact(schema: unknown): boolean {
  return isRecord(schema) && schema["x-decimal"] === true;
}

function toNumber(value: Value): Value {
  if (!isDecimal(value)) return value;
  const number = Number(value.toString());
  return Number.isFinite(number) && value.eq(number) ? number : value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): value is Schema {
  return isRecord(value);
}

// Every parameter that names a place, found through the schema, also nested and inside lists.
import { isMap, type Value } from "@writ/core/value";

export interface NamedPlace {
  readonly kind: "path" | "host";
  /** JSON pointer into the parameters. */
  readonly at: string;
  readonly text: string;
}

export function namedPlaces(schema: unknown, value: Value): readonly NamedPlace[] {
  const places: NamedPlace[] = [];
  walk(schema, value, { at: "", places });
  return places;
}

function walk(
  schema: unknown,
  value: Value,
  found: { readonly at: string; readonly places: NamedPlace[] },
): void {
  if (!isRecord(schema)) return;
  const { at, places } = found;
  if (Array.isArray(schema["anyOf"])) for (const inner of schema["anyOf"]) walk(inner, value, found);
  if (typeof value === "string") {
    if (schema["x-path"] !== undefined) places.push({ kind: "path", at, text: value });
    if (schema["x-host"] === true) places.push({ kind: "host", at, text: value });
    return;
  }
  if (Array.isArray(value)) {
    const items = schema["items"];
    for (const [index, item] of value.entries()) {
      // A list of marked texts may carry the mark on the list.
      const inner = isRecord(items) ? { ...markOf(schema), ...items } : markOf(schema);
      walk(inner, item, { at: `${at}/${index}`, places });
    }
    return;
  }
  if (!isMap(value)) return;
  const { properties, additionalProperties, patternProperties } = schema;
  const patterns = isRecord(patternProperties) ? Object.values(patternProperties) : [];
  for (const [key, item] of Object.entries(value)) {
    const inner =
      isRecord(properties) && Object.hasOwn(properties, key)
        ? properties[key]
        : (patterns[0] ?? additionalProperties);
    walk(inner, item, { at: `${at}/${key}`, places });
  }
}

function markOf(schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    ["x-path", "x-host"].flatMap((mark) => (Object.hasOwn(schema, mark) ? [[mark, schema[mark]]] : [])),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

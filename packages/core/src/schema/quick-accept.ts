// A check that says yes quickly, for schemas that are used over and over: closures over the schema's parts, no code is compiled.
//   Q1  What it accepts, the schema accepts. What it does not accept is for the whole check to decide: the two need not agree on no.
//   Q2  A keyword it does not know makes it accept nothing.

type Accept = (data: unknown) => boolean;
type Keywords = Readonly<Record<string, unknown>>;

const nothing: Accept = () => false;
const anything: Accept = () => true;
const annotations: ReadonlySet<string> = new Set(["title", "description", "default", "examples", "$id"]);
const known: Readonly<Record<string, readonly string[]>> = {
  null: [],
  boolean: ["const", "enum"],
  string: ["const", "enum", "minLength", "maxLength", "pattern"],
  integer: ["const", "enum", "minimum", "maximum"],
  number: ["const", "enum", "minimum", "maximum"],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
};

export function quickAccept(schema: unknown): Accept {
  if (!isRecord(schema)) return nothing;
  const { type, anyOf } = schema;
  if (Array.isArray(anyOf) && type === undefined) {
    if (!hasOnly(schema, ["anyOf"])) return nothing;
    const alternatives = anyOf.map(quickAccept);
    return (data) => alternatives.some((accepts) => accepts(data));
  }
  if (type === undefined && hasOnly(schema, [])) return anything;
  if (typeof type !== "string" || !Object.hasOwn(known, type)) return nothing;
  if (!hasOnly(schema, ["type", ...(known[type] ?? [])])) return nothing;
  const listed = listedValues(schema);
  const accepts = byType(type, schema);
  return listed === null ? accepts : (data) => listed.includes(data) && accepts(data);
}

function byType(type: string, schema: Keywords): Accept {
  switch (type) {
    case "null":
      return (data) => data === null;
    case "boolean":
      return (data) => typeof data === "boolean";
    case "string":
      return text(schema);
    case "integer":
      return number(schema, Number.isSafeInteger);
    case "number":
      return number(schema, Number.isFinite);
    case "array":
      return array(schema);
    default:
      return object(schema);
  }
}

function text({ minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern }: Keywords): Accept {
  // The schema counts graphemes, which are never more than code units; only the empty text surely has none.
  if (typeof minLength !== "number" || minLength > 1 || typeof maxLength !== "number") return nothing;
  const form = typeof pattern === "string" ? new RegExp(pattern, "u") : null;
  if (pattern !== undefined && form === null) return nothing;
  return (data) =>
    typeof data === "string" &&
    data.length >= minLength &&
    data.length <= maxLength &&
    (form === null || form.test(data));
}

function number(schema: Keywords, isOne: (data: unknown) => boolean): Accept {
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
  if (typeof minimum !== "number" || typeof maximum !== "number") return nothing;
  return (data) => typeof data === "number" && isOne(data) && data >= minimum && data <= maximum;
}

function array({ items, minItems = 0, maxItems = Number.POSITIVE_INFINITY }: Keywords): Accept {
  if (typeof minItems !== "number" || typeof maxItems !== "number") return nothing;
  const accepts = quickAccept(items);
  return (data) =>
    Array.isArray(data) && data.length >= minItems && data.length <= maxItems && data.every(accepts);
}

function object({ properties = {}, required = [], additionalProperties }: Keywords): Accept {
  if (!isRecord(properties) || !Array.isArray(required)) return nothing;
  const isOpen = additionalProperties === undefined || additionalProperties === true;
  const others = isOpen
    ? anything
    : additionalProperties === false
      ? nothing
      : quickAccept(additionalProperties);
  const parts = new Map(Object.entries(properties).map(([name, part]) => [name, quickAccept(part)]));
  const names: readonly unknown[] = required;
  return (data) => {
    if (!isRecord(data) || Array.isArray(data)) return false;
    const present = Object.getOwnPropertyNames(data);
    for (const name of present) if (!(parts.get(name) ?? others)(data[name])) return false;
    return names.every((name) => typeof name === "string" && Object.hasOwn(data, name));
  };
}

/** The values that `const` and `enum` allow, or null when all are; nothing but plain ones. */
function listedValues(schema: Keywords): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return isPlain(schema["const"]) ? [schema["const"]] : [];
  const { enum: values } = schema;
  if (values === undefined) return null;
  return Array.isArray(values) ? values.filter(isPlain) : [];
}

function isPlain(value: unknown): boolean {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}

function hasOnly(schema: Keywords, keywords: readonly string[]): boolean {
  return Object.keys(schema).every(
    (key) => keywords.includes(key) || annotations.has(key) || key.startsWith("x-"),
  );
}

function isRecord(value: unknown): value is Keywords {
  return typeof value === "object" && value !== null;
}

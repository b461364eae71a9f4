// Schemas: contracts as data, in a JSON Schema subset. The only file that imports TypeBox.
//   C1  Subset: type null, boolean, integer, number, string (maxLength or enum or const), array (maxItems), closed object, anyOf, const; annotations
//       title, description, default, and Writ's `x-unit`, `x-decimal`, `x-path`, `x-host`, `x-secret`, `x-currency`.
//   C2  A decimal is `{ type: "string", "x-decimal": true }` in JSON; inside it is a Decimal (see `decimalSchema`).
import Type, { type Static, type TSchema } from "typebox";
import Value from "typebox/value";
import { fault } from "./faults.ts";
import { quickAccept } from "./schema/quick-accept.ts";

export { Type };
export type { Static, TSchema };

/** A schema as data, as it stands in programs, catalogs and tool definitions. */
export type Schema = TSchema;

const allowedShownMax = 20;

export interface SchemaProblem {
  /** JSON pointer into the data. */
  readonly at: string;
  readonly message: string;
}

/** What says yes quickly, by schema; schemas are data that nobody changes. */
const quick = new WeakMap<Schema, (data: unknown) => boolean>();

/**
 * All mismatches of the data with the schema, or an empty list. Never compiles code; a match takes about 0.3 µs for a small object and
 * a schema that was used before, anything else about 20 µs.
 */
export function schemaProblems(schema: Schema, data: unknown): readonly SchemaProblem[] {
  let accepts = quick.get(schema);
  if (accepts === undefined) {
    accepts = quickAccept(schema);
    quick.set(schema, accepts);
  }
  if (accepts(data) || Value.Check(schema, data)) return [];
  const problems = [...Value.Errors(schema, data)].map((error) => ({
    at: error.instancePath,
    message: messageOf(error),
  }));
  return problems.length === 0
    ? [{ at: "", message: "does not match" }]
    : problems
        .filter((problem) => problem.message !== "schema is false" || problems.length === 1)
        .slice(0, 20);
}

/** What would have been allowed is said, as far as a person reads it. */
function messageOf({ keyword, message, params }: ReturnType<typeof Value.Errors>[number]): string {
  if (keyword !== "enum") return message;
  const allowed = params.allowedValues;
  const shown = allowed.slice(0, allowedShownMax).map((value) => JSON.stringify(value));
  return `must be one of ${shown.join(", ")}${allowed.length > shown.length ? ", …" : ""}`;
}

/** A check for a schema that is used over and over: about 0.3 µs for small data that matches. */
export function preparedCheck<S extends TSchema>(schema: S): (data: unknown) => data is Static<S> {
  const accepts = quickAccept(schema);
  return (data): data is Static<S> => accepts(data) || Value.Check(schema, data);
}

/** The data as the schema's type. @throws core.schema-mismatch naming what it was for and every wrong field */
export function parse<S extends TSchema>(schema: S, data: unknown, what: string): Static<S> {
  const problems = schemaProblems(schema, data);
  if (problems.length > 0) {
    const first = problems
      .map((problem) => `${problem.at === "" ? "the whole" : `\`${problem.at}\``} ${problem.message}`)
      .join("; ");
    throw fault("core.schema-mismatch", `Cannot read ${what}: ${first}`, { problems });
  }
  return data as Static<S>;
}

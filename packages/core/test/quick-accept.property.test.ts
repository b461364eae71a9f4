import fc from "fast-check";
import { expect, test } from "vitest";
import Value from "typebox/value";
import { schemaProblems, Type, type Schema } from "@writ/core/schema";
import { quickAccept } from "../src/schema/quick-accept.ts";

const names = fc.constantFrom("a", "b", "c", "__proto__");
const { schema } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<Schema>(Type.Null(), Type.Boolean(), Type.Integer(), Type.Number()),
    fc
      .record({ least: fc.nat(3), most: fc.nat(6) })
      .map(({ least, most }) => Type.Integer({ minimum: least, maximum: most })),
    fc
      .record({ least: fc.nat(2), most: fc.nat(4) })
      .map(({ least, most }) => Type.String({ minLength: least, maxLength: most })),
    fc.constantFrom<Schema>(
      Type.String({ pattern: "^[a-c]+$" }),
      Type.Literal("a"),
      Type.Enum(["a", "b", 3]),
      { type: "string", enum: ["a", "b"] },
      { type: "string", format: "date" },
      { type: ["string", "null"] },
      { type: "integer", multipleOf: 2 },
    ),
    tie("schema").map((items) => Type.Array(items, { maxItems: 3 })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((any) => Type.Union(any)),
    fc
      .dictionary(names, fc.record({ part: tie("schema"), isOptional: fc.boolean() }), { maxKeys: 3 })
      .chain((parts) =>
        fc
          .boolean()
          .map((isClosed) =>
            Type.Object(
              Object.fromEntries(
                Object.entries(parts).map(([name, { part, isOptional }]) => [
                  name,
                  isOptional ? Type.Optional(part) : part,
                ]),
              ),
              isClosed ? { additionalProperties: false } : {},
            ),
          ),
      ),
  ),
}));
const { data } = fc.letrec<{ data: unknown }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(
      null,
      true,
      undefined,
      0,
      1,
      2.5,
      5,
      -1,
      Number.NaN,
      "",
      "a",
      "b",
      "abc",
      "é",
      "👩‍👩‍👧",
      "abcdef",
    ),
    fc.array(tie("data"), { maxLength: 4 }),
    fc.dictionary(names, tie("data"), { maxKeys: 3 }),
  ),
}));

test("C3 what is accepted quickly matches the schema", () => {
  fc.assert(
    fc.property(schema, fc.array(data, { minLength: 20, maxLength: 20 }), (contract, samples) => {
      const accepts = quickAccept(contract);
      for (const sample of samples) if (accepts(sample)) expect(Value.Check(contract, sample)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("C3 closed objects of short texts, as most parameters are, need no more than the quick check", () => {
  const params = Type.Object(
    { path: Type.String({ maxLength: 4096 }), count: Type.Optional(Type.Integer({ minimum: 1 })) },
    { additionalProperties: false },
  );
  const accepts = quickAccept(params);
  expect(accepts({ path: "inbox/a.csv", count: 3 })).toBe(true);
  expect(accepts({ path: "inbox/a.csv", more: 1 })).toBe(false);
  expect(accepts({ count: 3 })).toBe(false);
  expect(schemaProblems(params, { path: "inbox/a.csv", count: 0 })).toHaveLength(1);
  expect(schemaProblems(Type.Enum(["low", "high"]), "urgent")).toEqual([
    { at: "", message: 'must be one of "low", "high"' },
  ]);
});

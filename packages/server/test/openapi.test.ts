import { routes } from "@writ/core/api";
import { expect, test } from "vitest";
import { openApiDocument } from "../src/http/openapi.ts";

const document = openApiDocument("1.2.3") as unknown as {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly operationId: string; readonly security?: unknown }>>>
  >;
};

test("S4 the document has one operation for every route of the table and no other", () => {
  const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { operationId }]) => `${operationId} ${method.toUpperCase()} ${path}`,
    ),
  );
  const table = Object.entries(routes).map(([name, route]) => `${name} ${route.method} ${route.path}`);
  expect(listed.sort()).toEqual(table.sort());
});

test("K60 only /health is open", () => {
  const open = Object.values(document.paths).flatMap((operations) =>
    Object.values(operations)
      .filter(({ security }) => Array.isArray(security) && security.length === 0)
      .map(({ operationId }) => operationId),
  );
  expect(open).toEqual(["health"]);
});

test("S4 tuples are written as JSON Schema 2020-12 writes them", () => {
  const text = JSON.stringify(document);
  expect(document.openapi).toBe("3.1.1");
  expect(text).toContain('"prefixItems"');
  expect(text).not.toContain("additionalItems");
});

// OpenAPI 3.1 from the route table: the document lists what is served, because both come from the same data.
import { Problem, routes, type RouteDefinition } from "@writ/core/api";
import type { Schema } from "@writ/core/schema";
import type { Json } from "@writ/core/value";

type JsonObject = { readonly [key: string]: Json };

export function openApiDocument(version: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [name, route] of Object.entries<RouteDefinition>(routes)) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = operation(name, route);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Writ",
      version,
      summary:
        "Sentences and plans become programs that are proven, signed, undone when they fail, and recorded",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        signature: {
          type: "apiKey",
          in: "header",
          name: "webhook-signature",
          description: "Standard Webhooks: HMAC-SHA256 over `webhook-id.webhook-timestamp.body`",
        },
      },
      schemas: { Problem: jsonSchema(Problem) },
      responses: {
        Problem: {
          description: "A fault: what could not be done and why, and what to do about it (RFC 9457)",
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      },
    },
  };
}

function operation(name: string, route: RouteDefinition): JsonObject {
  const success =
    route.protocol === "websocket"
      ? { "101": { description: "Switches to WebSocket; every message is an entry as JSON" } }
      : { [route.status]: { description: route.summary, content: content(route.response) } };
  return {
    operationId: name,
    summary: route.summary,
    ...securityOf(route),
    parameters: [...parameters(route.params, "path"), ...parameters(route.query, "query")],
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: content(route.body) } }),
    responses: { ...success, default: { $ref: "#/components/responses/Problem" } },
  };
}

function securityOf({ access }: RouteDefinition): JsonObject {
  if (access === "public") return { security: [] };
  return access === "signed" ? { security: [{ signature: [] }] } : { "x-access": access };
}

function parameters(schema: Schema | undefined, place: "path" | "query"): readonly JsonObject[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    schema: jsonSchema(property),
  }));
}

function content(schema: Schema): JsonObject {
  return { "application/json": { schema: jsonSchema(schema) } };
}

/** The schema in the dialect of OpenAPI 3.1 (JSON Schema 2020-12), where a tuple is `prefixItems`. */
function jsonSchema(schema: Schema): JsonObject {
  return JSON.parse(
    JSON.stringify(schema, (_key, value: unknown) => {
      if (typeof value !== "object" || value === null || !("items" in value) || !Array.isArray(value.items))
        return value;
      const { items, ...rest } = value;
      return {
        ...Object.fromEntries(Object.entries(rest).filter(([key]) => key !== "additionalItems")),
        prefixItems: items,
        items: false,
      };
    }),
  ) as JsonObject;
}

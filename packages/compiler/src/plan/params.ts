// Parameters against a capability's schema, aware of templates: what is written out is checked now, what a template stands for is checked by the
// gate when its value is known. Paths and hosts are looked at wherever the schema marks them, at any depth (K86).
import { schemaProblems, type Schema } from "@writ/core/schema";
import { isSecretHeader } from "@writ/core/secret-headers";
import type { WorkspaceFile } from "@writ/core/workspace";
import { valueOf, type JsonNode } from "./json.ts";
import { problemsMax } from "./limits.ts";
import { closest, pointer, problem, suggestion, type PlanProblem } from "./problem.ts";
import { hasTemplate, readTemplates, type TextPart } from "./templates.ts";

interface ParamCheck {
  readonly workspace: WorkspaceFile;
  /** `module.action`, for messages. */
  readonly name: string;
  readonly problems: PlanProblem[];
}

/** Checks named parameters against the closed object that the capability takes. `at` is where a missing one would stand. */
export function checkParams(
  schema: Schema,
  params: ReadonlyMap<string, JsonNode>,
  at: string,
  check: ParamCheck,
): void {
  const { properties, required } = shapeOf(schema);
  for (const [name, node] of params) {
    const inner = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (inner === undefined) {
      const near = closest(name, Object.keys(properties), check.problems);
      check.problems.push(
        problem(
          "plan.params",
          node.at,
          `Cannot give \`${check.name}\` a parameter \`${name.slice(0, 80)}\`${suggestion(near)}`,
          {
            known: Object.keys(properties),
            closest: near,
          },
        ),
      );
      continue;
    }
    if (isSecret(inner)) {
      check.problems.push(secretProblem(node.at, `the parameter \`${name}\``, check));
      continue;
    }
    if (name === "headers" && node.kind === "object") checkHeaders(node, check);
    if (containsTemplate(node)) checkShape(inner, node, check);
    else {
      for (const { at: where, message } of schemaProblems(inner, valueOf(node))) {
        check.problems.push(
          problem(
            "plan.params",
            node.at + where,
            `Cannot give \`${check.name}\` this \`${name}${where}\`: it ${message}`,
            { message },
          ),
        );
      }
    }
    checkPlaces(inner, node, check);
  }
  for (const name of required) {
    if (!params.has(name)) {
      check.problems.push(
        problem("plan.params", at, `Cannot perform \`${check.name}\` without \`${name}\``, { missing: name }),
      );
    }
  }
}

function isSecret(schema: Schema): boolean {
  const { anyOf, "x-secret": marked } = shapeOf(schema);
  return marked === true || (anyOf ?? []).some(isSecret);
}

function checkHeaders(node: Extract<JsonNode, { readonly kind: "object" }>, check: ParamCheck): void {
  for (const [name, value] of node.fields)
    if (isSecretHeader(name))
      check.problems.push(secretProblem(value.at, `the header \`${name.slice(0, 80)}\``, check));
}

/** Names the place and never what stands there. */
function secretProblem(at: string, what: string, check: ParamCheck): PlanProblem {
  return {
    ...problem("plan.unsupported", at, `Cannot give \`${check.name}\` ${what}: a plan holds no secrets`, {}),
    remedy:
      "Leave it out: what a plan says is kept in the ledger in clear, for ever, and this version has no references to secrets. " +
      "Let a proxy on an allowed host add the credentials.",
  };
}

export function containsTemplate(node: JsonNode): boolean {
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" && hasTemplate(node.value);
    case "list":
      return node.items.some(containsTemplate);
    case "object":
      return [...node.fields.values()].some(containsTemplate);
  }
}

interface Shape {
  readonly type?: string;
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly patternProperties: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly maxItems?: number;
  readonly "x-path"?: string;
  readonly "x-host"?: boolean;
  readonly "x-decimal"?: boolean;
  readonly "x-secret"?: boolean;
}

/** A schema's parts, with the absent lists empty. */
export function shapeOf(schema: Schema): Shape {
  return { properties: {}, required: [], patternProperties: {}, ...(schema as Partial<Shape>) };
}

/** The schema of a field of an object, or undefined when there can be none of that name. */
export function fieldSchema(shape: Shape, name: string): Schema | undefined {
  if (Object.hasOwn(shape.properties, name)) return shape.properties[name];
  for (const [pattern, schema] of Object.entries(shape.patternProperties)) {
    if (new RegExp(pattern, "u").test(name)) return schema;
  }
  if (typeof shape.additionalProperties === "object") return shape.additionalProperties;
  return shape.additionalProperties === false ? undefined : {};
}

/** For a node with templates inside: everything that is certain whatever they stand for. */
function checkShape(schema: Schema, node: JsonNode, check: ParamCheck): void {
  if (!containsTemplate(node)) {
    for (const { at, message } of schemaProblems(schema, valueOf(node))) {
      check.problems.push(
        problem("plan.params", node.at + at, `Cannot give \`${check.name}\` this value: it ${message}`, {
          message,
        }),
      );
    }
    return;
  }
  const shape = shapeOf(schema);
  if (shape.anyOf !== undefined) {
    const tries = shape.anyOf.map((alternative) => {
      const problems: PlanProblem[] = [];
      checkShape(alternative, node, { ...check, problems });
      return problems;
    });
    if (tries.every((problems) => problems.length > 0))
      check.problems.push(...(tries[0] ?? []).slice(0, problemsMax));
    return;
  }
  const wrong = (expected: string) =>
    check.problems.push(
      problem("plan.params", node.at, `Cannot give \`${check.name}\` this value: expected ${expected}`, {
        expected,
      }),
    );
  if (shape["x-decimal"] === true && node.kind !== "scalar") {
    wrong("a number");
    return;
  }
  switch (node.kind) {
    case "scalar": {
      const parts = partsOf(node);
      const isMixed = parts !== null && (parts.length > 1 || parts[0]?.kind === "text");
      if (isMixed && shape.type !== undefined && shape.type !== "string") {
        wrong(`${shape.type}; text around a template makes a text`);
      }
      return;
    }
    case "list":
      if (shape.type !== undefined && shape.type !== "array") wrong(shape.type);
      else {
        if (shape.maxItems !== undefined && node.items.length > shape.maxItems)
          wrong(`at most ${shape.maxItems} items`);
        for (const item of node.items) checkShape(shape.items ?? {}, item, check);
      }
      return;
    case "object":
      if (shape.type !== undefined && shape.type !== "object") {
        wrong(shape.type);
        return;
      }
      for (const [name, item] of node.fields) {
        const inner = fieldSchema(shape, name);
        if (inner === undefined)
          wrong(`none of the name \`${name.slice(0, 80)}\`, but ${Object.keys(shape.properties).join(", ")}`);
        else checkShape(inner, item, check);
      }
      for (const name of shape.required) if (!node.fields.has(name)) wrong(`a field \`${name}\``);
  }
}

function checkPlaces(schema: Schema, node: JsonNode, check: ParamCheck): void {
  const shape = shapeOf(schema);
  for (const alternative of shape.anyOf ?? []) checkPlaces(alternative, node, check);
  switch (node.kind) {
    case "scalar": {
      const parts = partsOf(node);
      if (parts === null) return;
      if (shape["x-path"] !== undefined) checkPath(parts, node, check);
      if (shape["x-host"] === true) checkHost(parts, node, check);
      return;
    }
    case "list":
      for (const item of node.items) checkPlaces(shape.items ?? {}, item, check);
      return;
    case "object":
      for (const [name, item] of node.fields) checkPlaces(fieldSchema(shape, name) ?? {}, item, check);
  }
}

/** The parts of a text, or null for what is no text or has an unreadable template (reported elsewhere). */
function partsOf(node: JsonNode): readonly TextPart[] | null {
  if (node.kind !== "scalar" || typeof node.value !== "string") return null;
  const read = readTemplates(node.value, node.at);
  return "parts" in read ? read.parts : null;
}

/** Stands for what a template may give while the text around it is looked at; no path or URL of a plan can hold it. */
const unknownText = "\u0000";
const controlOrBackslash = /[\\\p{Cc}]/u;

function checkPath(parts: readonly TextPart[], node: JsonNode, check: ParamCheck): void {
  const path = parts.map((part) => (part.kind === "text" ? part.text : unknownText)).join("");
  const written = parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
  const why =
    path.startsWith("/") || /^[A-Za-z]:/.test(path)
      ? "is absolute"
      : path.split("/").includes("..")
        ? "leaves its folder with `..`"
        : controlOrBackslash.test(written)
          ? "holds a backslash or a control character"
          : path.startsWith("~")
            ? "begins with `~`"
            : null;
  if (why !== null) {
    check.problems.push(
      problem("plan.path", node.at, `Cannot use the path \`${shown(node)}\`: it ${why}`, {
        path: shown(node),
      }),
    );
  }
}

function checkHost(parts: readonly TextPart[], node: JsonNode, check: ParamCheck): void {
  const url = parts.map((part) => (part.kind === "text" ? part.text : unknownText)).join("");
  const authority = /^([^/?#]*:\/\/)?([^/?#]*)/.exec(url)?.[0] ?? "";
  // Chosen by a template: the gate decides when it is known, and the proof asks who may choose it.
  if (authority.includes(unknownText)) return;
  const found = /^(https?):\/\/([^@\\]+?)(:\d{1,5})?$/i.exec(authority);
  const hosts = check.workspace.hosts.map(({ scheme, host }) => `${scheme}://${host}`);
  if (found === null) {
    check.problems.push(
      problem(
        "plan.host",
        node.at,
        `Cannot use the address \`${shown(node)}\`: expected http or https, a host and no user name`,
        { hosts },
      ),
    );
    return;
  }
  const [, scheme = "", host = "", port] = found;
  const wanted =
    `${scheme}://${host}${port ?? (scheme.toLowerCase() === "https" ? ":443" : ":80")}`.toLowerCase();
  if (!hosts.some((known) => known.toLowerCase() === wanted)) {
    check.problems.push(
      problem("plan.host", node.at, `Cannot send to \`${wanted}\`: it is not in the workspace's allow-list`, {
        wanted,
        hosts,
      }),
    );
  }
}

function shown(node: JsonNode): string {
  return node.kind === "scalar" ? String(node.value).slice(0, 200) : pointer(node.at, "");
}

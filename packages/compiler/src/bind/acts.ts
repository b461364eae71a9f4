// Acts: phrases with their parameters become calls; a move takes the event's file along.
import type { CapabilityDefinition } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import type { Opcode, Operand } from "@writ/core/program";
import type { StepId } from "@writ/core/ids";
import { schemaProblems } from "@writ/core/schema";
import type { NodeKey, StepNode, Term } from "../language/tree.ts";
import { keywords, paramKind, propertyOf } from "../language/vocabulary.ts";
import { ruleProblem } from "../rule-problems.ts";
import type { Binding, Chain, FileState } from "./state.ts";
import {
  bindTerm,
  eventData,
  filePath,
  literal,
  loadKey,
  operandOf,
  placePath,
  requiredOf,
  sorted,
  valueFor,
  type BoundTerm,
  type Place,
} from "./terms.ts";

type Act = Extract<StepNode, { k: "act" }>;

/** An act whose parameters are bound, not yet a step. */
export interface BoundAct {
  readonly definition: CapabilityDefinition;
  readonly key: NodeKey;
  readonly node: Act;
  readonly expressions: Readonly<Record<string, Expression>>;
  readonly params: Readonly<Record<string, Operand>>;
  readonly fileAfter: FileState;
}

/** Binds the parameters; reads they need join the chain. Null when a problem was noted. */
export function bindAct(binding: Binding, key: NodeKey, at: Place): BoundAct | null {
  const node = binding.tree.nodes[key] as Act;
  const definition = binding.capability(node.capability);
  const expressions: Record<string, Expression> = {};
  let isWhole = true;
  for (const [param, term] of Object.entries(node.args)) {
    const expression = bindArgument(binding, definition, param, { term, key: `${key}.${param}`, node, at });
    if (expression === null) isWhole = false;
    else expressions[param] = expression;
  }
  for (const param of requiredOf(definition)) {
    if (Object.hasOwn(node.args, param)) continue;
    isWhole = false;
    binding.problems.push(
      ruleProblem(
        "rule.missing-parameter",
        `Cannot perform \`${definition.id}\` without its \`${param}\``,
        binding.spanOf(key),
      ),
    );
  }
  if (!isWhole) return null;
  const params = Object.fromEntries(
    Object.entries(expressions).map(([param, expression]) => {
      const operand = foldList(operandOf(expression), expression);
      return [
        param,
        operand.kind === "literal"
          ? { ...operand, value: valueFor(propertyOf(definition.params, param), operand.value) }
          : operand,
      ] as const;
    }),
  );
  if (!literalsFit(binding, definition, key, params)) return null;
  return {
    definition,
    key,
    node,
    expressions,
    params: sorted(params),
    fileAfter: fileAfter(definition, node, expressions, at.file),
  };
}

/** Values that stand in the text are checked here, not when the program runs. */
function literalsFit(
  binding: Binding,
  definition: CapabilityDefinition,
  key: NodeKey,
  params: Readonly<Record<string, Operand>>,
): boolean {
  let fits = true;
  for (const [param, operand] of Object.entries(params)) {
    const schema = propertyOf(definition.params, param);
    if (operand.kind !== "literal" || schema === undefined) continue;
    const [first] = schemaProblems(schema, operand.value);
    if (first === undefined) continue;
    fits = false;
    binding.problems.push(
      ruleProblem(
        "rule.value",
        `Cannot give \`${definition.id}\` this \`${param}${first.at}\`: it ${first.message}`,
        binding.spanOf(`${key}.${param}`),
      ),
    );
  }
  return fits;
}

/** A list of literals is a literal. */
function foldList(operand: Operand, expression: Expression): Operand {
  if (expression.kind !== "list") return operand;
  const values = expression.items.flatMap((item) => (item.kind === "literal" ? [item.value] : []));
  return values.length === expression.items.length ? { kind: "literal", value: values } : operand;
}

export function addAct(binding: Binding, chain: Chain, act: BoundAct, after?: readonly StepId[]): StepId {
  const { definition } = act;
  const id = binding.nextStep(binding.spanOf(act.key));
  binding.used.capabilities.add(definition.id);
  const output = binding.slotFor(definition, id);
  const op: Opcode =
    definition.effect.kind === "read"
      ? { op: "load", capability: definition.id, params: act.params, output, freshnessMsMax: null }
      : { op: "call", capability: definition.id, params: act.params, output, compensation: null };
  chain.add(id, op, after);
  noteReads(chain, act, output);
  return id;
}

/** A read of the event's file can be spoken of again; a change of that file makes what was read stale. */
function noteReads(
  chain: Chain,
  { definition, node }: BoundAct,
  output: Parameters<Chain["loaded"]["set"]>[1],
): void {
  if (definition.effect.kind === "read") {
    const literals: Record<string, string> = {};
    let ofFile = false;
    for (const [param, term] of Object.entries(node.args)) {
      if (term.k === "file") ofFile = true;
      else if (term.k === "text") literals[param] = term.text;
      else return;
    }
    const key = loadKey(definition, literals);
    if (ofFile && !chain.loaded.has(key)) chain.loaded.set(key, output);
    return;
  }
  const changes = definition.resources.some(
    ({ param, does }) => node.args[param]?.k === "file" && (does === "append" || does === "replace"),
  );
  if (changes) chain.invalidate();
}

interface Argument {
  readonly term: Term;
  readonly key: string;
  readonly node: Act;
  readonly at: Place;
}

function bindArgument(
  binding: Binding,
  definition: CapabilityDefinition,
  param: string,
  argument: Argument,
): Expression | null {
  const { term, key, at } = argument;
  const schema = propertyOf(definition.params, param);
  const kind = paramKind(definition, param);
  if (kind === "keep" || kind === "file" || kind === "folder")
    return bindPath(binding, definition, param, argument);
  if (kind === "url" && term.k === "url") noteHost(binding, term.url);
  if (kind === "list" && term.k === "list" && keywords(schema).type !== "array")
    return bindRecord(binding, term, key, at);
  if (term.k === "list") {
    const items = term.of.map((item, index) => bindTerm(binding, item, `${key}.${index}`, at));
    if (items.some((item) => item === null)) return null;
    return { kind: "list", items: items.flatMap((item) => (item === null ? [] : [item.expression])) };
  }
  const bound = bindTerm(binding, term, key, at);
  if (bound === null) return null;
  return keywords(schema).type === "string" ? asText(bound) : bound.expression;
}

/** A number where a text is wanted is written plainly. */
function asText({ expression, type }: BoundTerm): Expression {
  if (type.kind === "text") return expression;
  if (expression.kind === "literal" && expression.value !== null && typeof expression.value === "object")
    return literal(expression.value.toFixed());
  return { kind: "call", name: "string", arguments: [expression] };
}

/** Values for an object parameter, each under the name of what it is; a single quoted text stays a text. */
function bindRecord(
  binding: Binding,
  list: Extract<Term, { k: "list" }>,
  key: string,
  at: Place,
): Expression | null {
  const [only] = list.of;
  if (list.of.length === 1 && only?.k === "text") return literal(only.text);
  const entries: [string, Expression][] = [];
  for (const [index, term] of list.of.entries()) {
    const bound = bindTerm(binding, term, `${key}.${index}`, at);
    if (bound === null) return null;
    const wanted = recordKey(term);
    const taken = entries.filter(([known]) => known === wanted || known.startsWith(`${wanted}_`)).length;
    entries.push([taken === 0 ? wanted : `${wanted}_${taken + 1}`, bound.expression]);
  }
  return { kind: "map", entries };
}

function recordKey(term: Term): string {
  switch (term.k) {
    case "noun":
    case "field":
      return term.field;
    case "time":
      return "time";
    case "quantity":
      return "value";
    default:
      return "text";
  }
}

function noteHost(binding: Binding, url: string): void {
  const parts = /^(https?):\/\/([^/?#]+)/iu.exec(url);
  if (parts === null) return;
  const [, scheme = "", authority = ""] = parts;
  const host = /:\d+$/u.test(authority)
    ? authority
    : `${authority}:${scheme.toLowerCase() === "https" ? 443 : 80}`;
  if (
    binding.catalog.workspace.hosts.some((known) => known.host === host.toLowerCase() || known.host === host)
  )
    binding.used.hosts.add(host);
}

/** A path parameter. A folder named for a file keeps the file's name, where the capability says whose name that is. */
function bindPath(
  binding: Binding,
  definition: CapabilityDefinition,
  param: string,
  { term, key, node, at }: Argument,
): Expression | null {
  if (term.k === "file") return filePath(binding, key, at);
  const kind = paramKind(definition, param);
  if (term.k === "place") {
    const path = placePath(binding, term);
    return term.of === "folder" && kind === "keep"
      ? within(binding, definition, param, { path, node, key, at })
      : literal(path);
  }
  if (term.k !== "path") return bindTerm(binding, term, key, at)?.expression ?? null;
  notePath(binding, term.path);
  if (kind === "folder") return literal(term.path.replace(/\/$/u, ""));
  const isFolder = term.path.endsWith("/") || folderNames(binding, term.path).length > 0;
  const hasExtension = /[^./]\.[^./]+$/u.test(term.path);
  const isFile =
    hasExtension || Object.values(binding.catalog.workspace.files).some(({ path }) => path === term.path);
  if (isFolder && kind === "keep")
    return within(binding, definition, param, { path: term.path.replace(/\/$/u, ""), node, key, at });
  if (isFolder || !isFile) {
    binding.problems.push(
      ruleProblem(
        "rule.path-kind",
        isFolder
          ? `Cannot use the folder \`${term.path}\` where a file is meant`
          : `Cannot tell whether \`${term.path}\` is a folder or a file`,
        binding.spanOf(key),
      ),
    );
    return null;
  }
  return literal(term.path);
}

interface Within {
  readonly path: string;
  readonly node: Act;
  readonly key: string;
  readonly at: Place;
}

function within(
  binding: Binding,
  definition: CapabilityDefinition,
  param: string,
  { path, node, key, at }: Within,
): Expression | null {
  const from = keywords(propertyOf(definition.params, param))["x-path-name-of"] ?? "";
  const source = node.args[from];
  const folder = path === "." ? "" : `${path}/`;
  if (source?.k === "file") {
    if (at.file.kind !== "at") return filePath(binding, key, at);
    return joined(folder, at.file.name);
  }
  const sourcePath =
    source?.k === "path" ? source.path : source?.k === "place" ? placePath(binding, source) : null;
  if (sourcePath === null) return null;
  return literal(`${folder}${sourcePath.split("/").at(-1) ?? ""}`);
}

function joined(folder: string, file: Expression): Expression {
  if (folder === "") return file;
  if (file.kind === "literal" && typeof file.value === "string") return literal(folder + file.value);
  return { kind: "binary", operator: "+", left: literal(folder), right: file };
}

function folderNames(binding: Binding, path: string): readonly string[] {
  const plain = path.replace(/\/$/u, "");
  return Object.entries(binding.catalog.workspace.folders).flatMap(([key, folder]) =>
    folder.path === plain ? [key] : [],
  );
}

/** Places of the workspace that a written path lies in are frozen with the program. */
export function notePath(binding: Binding, path: string): void {
  for (const [key, folder] of Object.entries(binding.catalog.workspace.folders))
    if (path === folder.path || path.startsWith(`${folder.path}/`)) binding.used.folders.add(key);
  for (const [key, file] of Object.entries(binding.catalog.workspace.files))
    if (path === file.path) binding.used.files.add(key);
}

/** A capability that removes the event's file and creates another moved it there. */
function fileAfter(
  definition: CapabilityDefinition,
  node: Act,
  expressions: Readonly<Record<string, Expression>>,
  before: FileState,
): FileState {
  const removes = definition.resources.some(
    ({ kind, param, does }) => kind === "file" && does === "remove" && node.args[param]?.k === "file",
  );
  if (!removes) return before;
  const target = definition.resources.find(
    ({ kind, does }) => kind === "file" && (does === "create" || does === "replace"),
  );
  const path = target === undefined ? undefined : expressions[target.param];
  if (path === undefined) return { kind: "gone" };
  return { kind: "at", path, name: nameIn(path, before) };
}

function nameIn(path: Expression, before: FileState): Expression {
  if (before.kind === "at") {
    const kept = renderExpression(before.name);
    if (path.kind === "binary" && path.operator === "+" && renderExpression(path.right) === kept)
      return before.name;
    if (renderExpression(path) === kept) return before.name;
  }
  if (path.kind === "literal" && typeof path.value === "string")
    return literal(path.value.split("/").at(-1) ?? "");
  return { kind: "call", name: "basename", arguments: [path] };
}

/** The event's file at the start of a run. */
export function arrivedFile(event: readonly string[]): FileState {
  if (!event.includes("path")) return { kind: "none" };
  const path = eventData("path");
  return {
    kind: "at",
    path,
    name: event.includes("name") ? eventData("name") : { kind: "call", name: "basename", arguments: [path] },
  };
}

/** Whether two acts can run at once: no shared resource, or both only read it, or both only append to it. */
export function areIndependent(a: BoundAct, b: BoundAct, watched: string | null): boolean {
  return touches(a).every((one) =>
    touches(b).every(
      (other) =>
        (one.does === other.does && (one.does === "read" || one.does === "append")) ||
        apart(one, other, watched),
    ),
  );
}

interface Touch {
  readonly kind: string;
  readonly does: string;
  readonly where: Expression;
}

function touches({ definition, expressions }: BoundAct): readonly Touch[] {
  return definition.resources.flatMap(({ kind, param, does }) => {
    const where = expressions[param];
    return where === undefined ? [] : [{ kind, does, where }];
  });
}

/** Certainly different: other kinds of things, or places that cannot be one. Unsure counts as the same. */
function apart(a: Touch, b: Touch, watched: string | null): boolean {
  const isFile = (touch: Touch): boolean => touch.kind === "file" || touch.kind === "folder";
  if (!isFile(a) || !isFile(b)) return a.kind !== b.kind;
  const [one, other] = [regionOf(a.where, watched), regionOf(b.where, watched)];
  if (one === null || other === null) return false;
  const within = (inner: Region, outer: Region): boolean =>
    outer.kind === "below"
      ? inner.path.startsWith(outer.path)
      : inner.kind === "at" && inner.path === outer.path;
  return !within(one, other) && !within(other, one);
}

interface Region {
  readonly kind: "at" | "below";
  readonly path: string;
}

/** Where a path can be: exactly there, somewhere below a folder, or unknown. */
function regionOf(path: Expression, watched: string | null): Region | null {
  if (path.kind === "literal" && typeof path.value === "string" && isPlain(path.value))
    return { kind: "at", path: path.value };
  if (
    path.kind === "binary" &&
    path.left.kind === "literal" &&
    typeof path.left.value === "string" &&
    isPlain(path.left.value)
  )
    return { kind: "below", path: path.left.value };
  const isArrival = renderExpression(path) === renderExpression(eventData("path"));
  return isArrival && watched !== null && isPlain(watched) ? { kind: "below", path: `${watched}/` } : null;
}

function isPlain(path: string): boolean {
  return !path.startsWith("/") && !path.split("/").some((part) => part === ".." || part === ".");
}

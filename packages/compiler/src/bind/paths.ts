// Paths: what a path parameter names, and where the event's file is after an act.
import type { CapabilityDefinition } from "@writ/core/capability";
import { renderExpression, type Expression } from "@writ/core/expression";
import type { StepNode, Term } from "../language/tree.ts";
import { keywords, paramKind, propertyOf } from "../language/vocabulary.ts";
import { ruleProblem } from "../rule-problems.ts";
import type { Binding, FileState } from "./state.ts";
import { bindTerm, eventData, filePath, literal, placePath, type Place } from "./terms.ts";

type Act = Extract<StepNode, { k: "act" }>;

/** A term in a parameter's place: `node` is its act, `key` its place in the tree. */
export interface Argument {
  readonly term: Term;
  readonly key: string;
  readonly node: Act;
  readonly at: Place;
}

/** A path parameter. A folder named for a file keeps the file's name, where the capability says whose name that is. */
export function bindPath(
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
export function fileAfter(
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

// Acts: phrases with their parameters become calls; a move takes the event's file along.
import type { CapabilityDefinition } from "@writ/core/capability";
import type { Expression } from "@writ/core/expression";
import type { Opcode, Operand } from "@writ/core/program";
import type { StepId } from "@writ/core/ids";
import { schemaProblems } from "@writ/core/schema";
import { actAt } from "../language/nodes.ts";
import type { NodeKey, StepNode, Term } from "../language/tree.ts";
import { keywords, paramKind, propertyOf } from "../language/vocabulary.ts";
import { ruleProblem } from "../rule-problems.ts";
import type { Binding, Chain, FileState } from "./state.ts";
import { bindPath, fileAfter, type Argument } from "./paths.ts";
import {
  bindTerm,
  literal,
  loadKey,
  operandOf,
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
  const node = actAt(binding.tree, key);
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

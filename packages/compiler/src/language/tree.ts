// The abstract tree of a rule: what it means, in no language. Nodes stand in a table of ids, so that the tree has one fixed depth and
// every node can be tied to the words it came from; those ties (`Spans`) are kept beside the tree.
import type { CapabilityId } from "@writ/core/ids";
import type { Priority } from "@writ/core/event";

export type NodeKey = string;
/** Characters [start, end) of the rule's text. */
export type Span = readonly [number, number];
/** Node key, or `key.part` for a part of a node. */
export type Spans = Readonly<Record<string, Span>>;

export type Operator = ">" | ">=" | "<" | "<=" | "=" | "!=" | "contains" | "startsWith" | "endsWith";

/** Something a sentence names. */
export type Term =
  /** The file that the event is about, wherever it is now. */
  | { readonly k: "file" }
  /** A field of the event's data. */
  | { readonly k: "field"; readonly field: string }
  /** When the event happened. */
  | { readonly k: "time" }
  | {
      readonly k: "noun";
      readonly capability: CapabilityId;
      readonly field: string;
      readonly args: Readonly<Record<string, string>>;
    }
  | { readonly k: "text"; readonly text: string }
  /** Exact decimal in plain notation; unit is a UCUM code, a currency or null. */
  | { readonly k: "quantity"; readonly value: string; readonly unit: string | null }
  | { readonly k: "path"; readonly path: string }
  | { readonly k: "place"; readonly of: "folder" | "file"; readonly name: string }
  | { readonly k: "role"; readonly name: string }
  | { readonly k: "url"; readonly url: string }
  | { readonly k: "list"; readonly of: readonly Term[] };

export type TriggerNode =
  | {
      readonly k: "event";
      readonly source: CapabilityId;
      readonly args: Readonly<Record<string, Term>>;
      readonly where: NodeKey | null;
      readonly holdMs: number;
    }
  | { readonly k: "every"; readonly ms: number }
  | { readonly k: "at"; readonly minute: number; readonly days: readonly number[] }
  | { readonly k: "request" };

export type ConditionNode =
  | { readonly k: "cmp"; readonly left: Term; readonly operator: Operator; readonly right: Term }
  | { readonly k: "between"; readonly of: Term; readonly low: Term; readonly high: Term }
  | { readonly k: "clock"; readonly from: number; readonly to: number; readonly days: readonly number[] }
  | { readonly k: "and" | "or"; readonly of: readonly NodeKey[] }
  | { readonly k: "not"; readonly of: NodeKey };

export type StepNode =
  | { readonly k: "act"; readonly capability: CapabilityId; readonly args: Readonly<Record<string, Term>> }
  | {
      readonly k: "if";
      readonly when: NodeKey;
      readonly then: readonly NodeKey[];
      readonly otherwise: readonly NodeKey[] | null;
    }
  | {
      readonly k: "approve";
      readonly role: string;
      readonly withinMs: number | null;
      readonly body: readonly NodeKey[];
      readonly otherwise: readonly NodeKey[] | null;
    }
  | { readonly k: "wait"; readonly ms: number }
  | { readonly k: "par"; readonly of: readonly NodeKey[] };

export type InvariantNode =
  /** Null is the workspace itself. */
  | { readonly k: "writesWithin"; readonly place: Term | null }
  | { readonly k: "neverWrites"; readonly place: Term }
  | { readonly k: "neverCalls"; readonly capability: CapabilityId }
  | { readonly k: "neverSends" };

export type TreeNode = TriggerNode | ConditionNode | StepNode | InvariantNode;

export interface DayWindow {
  readonly from: number;
  readonly to: number;
  readonly days: readonly number[];
}

export interface OnFailure {
  /** Further attempts, 0 for none. */
  readonly retry: number;
  readonly then: "stop" | "skip" | "undo";
}

export interface Limits {
  readonly windows: readonly DayWindow[];
  readonly throttleMs: number;
  readonly priority: Priority;
  readonly failure: OnFailure;
}

export const noLimits: Limits = {
  windows: [],
  throttleMs: 0,
  priority: "normal",
  failure: { retry: 0, then: "stop" },
};

export interface Tree {
  readonly v: 1;
  readonly trigger: NodeKey;
  readonly steps: readonly NodeKey[];
  readonly invariants: readonly NodeKey[];
  readonly limits: Limits;
  readonly nodes: Readonly<Record<NodeKey, TreeNode>>;
}

// Drafts: the same, nested, while a sentence is being read. `it` and `said` still wait for what they refer to.
export type DraftTerm = (
  | Exclude<Term, { k: "list" }>
  | { readonly k: "it" }
  | {
      readonly k: "said";
      readonly nouns: readonly { readonly capability: CapabilityId; readonly field: string }[];
    }
  | { readonly k: "list"; readonly of: readonly DraftTerm[] }
) & { readonly span?: Span };

export type DraftCondition = (
  | { readonly k: "cmp"; readonly left: DraftTerm; readonly operator: Operator; readonly right: DraftTerm }
  | { readonly k: "between"; readonly of: DraftTerm; readonly low: DraftTerm; readonly high: DraftTerm }
  | { readonly k: "clock"; readonly from: number; readonly to: number; readonly days: readonly number[] }
  | { readonly k: "and" | "or"; readonly of: readonly DraftCondition[] }
  | { readonly k: "not"; readonly of: DraftCondition }
) & { readonly span?: Span };

export type DraftAct = {
  readonly k: "act";
  readonly capability: CapabilityId;
  readonly args: Readonly<Record<string, DraftTerm>>;
  readonly span?: Span;
};

export type DraftStep =
  | DraftAct
  | ((
      | {
          readonly k: "if";
          readonly when: DraftCondition;
          readonly then: readonly DraftStep[];
          readonly otherwise: readonly DraftStep[] | null;
        }
      | {
          readonly k: "approve";
          readonly role: string;
          readonly withinMs: number | null;
          readonly body: readonly DraftStep[];
          readonly otherwise: readonly DraftStep[] | null;
        }
      | { readonly k: "wait"; readonly ms: number }
      | { readonly k: "par"; readonly of: readonly DraftAct[] }
    ) & { readonly span?: Span });

export type DraftTrigger = (
  | {
      readonly k: "event";
      readonly source: CapabilityId;
      readonly args: Readonly<Record<string, DraftTerm>>;
      readonly where: DraftCondition | null;
      readonly holdMs: number;
    }
  | Exclude<TriggerNode, { k: "event" }>
) & { readonly span?: Span };

export type DraftInvariant = (
  | { readonly k: "writesWithin"; readonly place: DraftTerm | null }
  | { readonly k: "neverWrites"; readonly place: DraftTerm }
  | Extract<InvariantNode, { k: "neverCalls" | "neverSends" }>
) & { readonly span?: Span };

export interface Draft {
  readonly trigger: DraftTrigger;
  readonly steps: readonly DraftStep[];
  readonly invariants: readonly DraftInvariant[];
  readonly limits: Limits;
}

/** The table of nodes, numbered in reading order, and the spans of nodes and of their terms. `it` must have been resolved. */
export function plant(draft: Draft): { readonly tree: Tree; readonly spans: Spans } {
  const nodes: Record<NodeKey, TreeNode> = {};
  const spans: Record<string, Span> = {};
  let count = 0;

  const open = (span: Span | undefined): NodeKey => {
    const key = `n${++count}`;
    if (span !== undefined) spans[key] = span;
    return key;
  };
  const term = (key: string, of: DraftTerm): Term => {
    if (of.span !== undefined) spans[key] = of.span;
    const { span: _, ...rest } = of;
    if (rest.k === "list")
      return { k: "list", of: rest.of.map((item, index) => term(`${key}.${index}`, item)) };
    if (rest.k === "it" || rest.k === "said") return { k: "file" };
    return rest;
  };
  const terms = (key: string, args: Readonly<Record<string, DraftTerm>>): Record<string, Term> =>
    Object.fromEntries(
      Object.keys(args)
        .sort()
        .flatMap((name) => {
          const of = args[name];
          return of === undefined ? [] : [[name, term(`${key}.${name}`, of)] as const];
        }),
    );
  const condition = (of: DraftCondition): NodeKey => {
    const key = open(of.span);
    switch (of.k) {
      case "cmp":
        nodes[key] = {
          k: "cmp",
          left: term(`${key}.left`, of.left),
          operator: of.operator,
          right: term(`${key}.right`, of.right),
        };
        return key;
      case "between":
        nodes[key] = {
          k: "between",
          of: term(`${key}.of`, of.of),
          low: term(`${key}.low`, of.low),
          high: term(`${key}.high`, of.high),
        };
        return key;
      case "clock":
        nodes[key] = { k: "clock", from: of.from, to: of.to, days: of.days };
        return key;
      case "and":
      case "or":
        nodes[key] = { k: of.k, of: of.of.map(condition) };
        return key;
      case "not":
        nodes[key] = { k: "not", of: condition(of.of) };
        return key;
    }
  };
  const block = (steps: readonly DraftStep[]): readonly NodeKey[] => steps.map(step);
  const step = (of: DraftStep): NodeKey => {
    const key = open(of.span);
    switch (of.k) {
      case "act":
        nodes[key] = { k: "act", capability: of.capability, args: terms(key, of.args) };
        return key;
      case "if":
        nodes[key] = {
          k: "if",
          when: condition(of.when),
          then: block(of.then),
          otherwise: of.otherwise === null ? null : block(of.otherwise),
        };
        return key;
      case "approve":
        nodes[key] = {
          k: "approve",
          role: of.role,
          withinMs: of.withinMs,
          body: block(of.body),
          otherwise: of.otherwise === null ? null : block(of.otherwise),
        };
        return key;
      case "wait":
        nodes[key] = { k: "wait", ms: of.ms };
        return key;
      case "par":
        nodes[key] = { k: "par", of: block(of.of) };
        return key;
    }
  };
  const trigger = (of: DraftTrigger): NodeKey => {
    const key = open(of.span);
    if (of.k === "event") {
      nodes[key] = {
        k: "event",
        source: of.source,
        args: terms(key, of.args),
        where: of.where === null ? null : condition(of.where),
        holdMs: of.holdMs,
      };
    } else {
      const { span: _, ...rest } = of;
      nodes[key] = rest;
    }
    return key;
  };
  const invariant = (of: DraftInvariant): NodeKey => {
    const key = open(of.span);
    switch (of.k) {
      case "writesWithin":
        nodes[key] = { k: of.k, place: of.place === null ? null : term(`${key}.place`, of.place) };
        return key;
      case "neverWrites":
        nodes[key] = { k: of.k, place: term(`${key}.place`, of.place) };
        return key;
      case "neverCalls":
        nodes[key] = { k: of.k, capability: of.capability };
        return key;
      case "neverSends":
        nodes[key] = { k: of.k };
        return key;
    }
  };

  const root = trigger(draft.trigger);
  const steps = block(draft.steps);
  const invariants = draft.invariants.map(invariant);
  return { tree: { v: 1, trigger: root, steps, invariants, limits: draft.limits, nodes }, spans };
}

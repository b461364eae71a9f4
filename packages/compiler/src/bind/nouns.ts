// The nouns a condition or an act speaks of.
import { actOrConditionAt } from "../language/nodes.ts";
import type { NodeKey, Term } from "../language/tree.ts";
import type { Binding } from "./state.ts";
import { bindTerm, type Place } from "./terms.ts";

/** Does the reads of every noun of the node now; what was read already is not read again. */
export function readNouns(binding: Binding, key: NodeKey, at: Place): void {
  for (const { term, key: place } of termsOf(binding, key))
    if (term.k === "noun") bindTerm(binding, term, place, at);
}

interface Spoken {
  readonly term: Term;
  readonly key: string;
}

/** Every term of an act or a condition, with its place in the tree. */
export function termsOf(binding: Binding, key: NodeKey): readonly Spoken[] {
  const node = actOrConditionAt(binding.tree, key);
  switch (node.k) {
    case "act":
      return Object.entries(node.args).flatMap(([param, term]) =>
        term.k === "list"
          ? term.of.map((item, index) => ({ term: item, key: `${key}.${param}.${index}` }))
          : [{ term, key: `${key}.${param}` }],
      );
    case "cmp":
      return [
        { term: node.left, key: `${key}.left` },
        { term: node.right, key: `${key}.right` },
      ];
    case "between":
      return [
        { term: node.of, key: `${key}.of` },
        { term: node.low, key: `${key}.low` },
        { term: node.high, key: `${key}.high` },
      ];
    case "and":
    case "or":
      return node.of.flatMap((part) => termsOf(binding, part));
    case "not":
      return termsOf(binding, node.of);
    case "clock":
      return [];
  }
}

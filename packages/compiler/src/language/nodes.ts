// Nodes of a tree by what stands in their place. A tree that puts another kind there was not made by `plant`.
import { assert } from "@writ/core/fault";
import type { ConditionNode, InvariantNode, NodeKey, StepNode, Tree, TreeNode, TriggerNode } from "./tree.ts";

type Kinds<Node extends TreeNode> = Readonly<Record<Node["k"], true>>;

const triggers: Kinds<TriggerNode> = { event: true, every: true, at: true, request: true };
const conditions: Kinds<ConditionNode> = {
  cmp: true,
  between: true,
  clock: true,
  and: true,
  or: true,
  not: true,
};
const steps: Kinds<StepNode> = { act: true, if: true, approve: true, wait: true, par: true };
const invariants: Kinds<InvariantNode> = {
  writesWithin: true,
  neverWrites: true,
  neverCalls: true,
  neverSends: true,
};

function nodeOf<Node extends TreeNode>(kinds: Kinds<Node>) {
  const fits = (node: TreeNode | undefined): node is Node =>
    node !== undefined && Object.hasOwn(kinds, node.k);
  return (tree: Tree, key: NodeKey): Node => {
    const node = tree.nodes[key];
    assert(fits(node), `R6 the node \`${key}\` is of the kind its place asks for`);
    return node;
  };
}

export const triggerAt = nodeOf<TriggerNode>(triggers);
export const conditionAt = nodeOf<ConditionNode>(conditions);
export const stepAt = nodeOf<StepNode>(steps);
export const invariantAt = nodeOf<InvariantNode>(invariants);

export function actAt(tree: Tree, key: NodeKey): Extract<StepNode, { k: "act" }> {
  const node = stepAt(tree, key);
  assert(node.k === "act", `R6 the node \`${key}\` is an act`);
  return node;
}

export const actOrConditionAt = nodeOf<ConditionNode | Extract<StepNode, { k: "act" }>>({
  ...conditions,
  act: true,
});

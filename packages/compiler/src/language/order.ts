// Orders of a plain list: `A and B` says none, so where the acts depend on each other every order is a reading.
import type { Draft, DraftAct, DraftStep } from "./tree.ts";

/** Lists longer than this have too many orders to ask about. */
const actsMax = 3;

/** The draft with its one list in each order, the written one first; empty when it has no list, several, or a long one. */
export function ordersOf(draft: Draft): readonly Draft[] {
  const lists = listsIn(draft.steps);
  const [list] = lists;
  if (list === undefined || lists.length > 1 || list.of.length > actsMax) return [];
  return permutations(list.of).map((acts) => ({ ...draft, steps: replaced(draft.steps, acts) }));
}

type Listed = Extract<DraftStep, { k: "par" }>;

function listsIn(steps: readonly DraftStep[]): readonly Listed[] {
  return steps.flatMap((step): readonly Listed[] => {
    switch (step.k) {
      case "par":
        return [step];
      case "if":
        return [...listsIn(step.then), ...listsIn(step.otherwise ?? [])];
      case "approve":
        return [...listsIn(step.body), ...listsIn(step.otherwise ?? [])];
      case "act":
      case "wait":
        return [];
    }
  });
}

function replaced(steps: readonly DraftStep[], acts: readonly DraftAct[]): readonly DraftStep[] {
  const inside = (block: readonly DraftStep[] | null): readonly DraftStep[] | null =>
    block === null ? null : replaced(block, acts);
  return steps.flatMap((step): readonly DraftStep[] => {
    switch (step.k) {
      case "par":
        return acts;
      case "if":
        return [{ ...step, then: replaced(step.then, acts), otherwise: inside(step.otherwise) }];
      case "approve":
        return [{ ...step, body: replaced(step.body, acts), otherwise: inside(step.otherwise) }];
      case "act":
      case "wait":
        return [step];
    }
  });
}

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((first, index) =>
    permutations(items.toSpliced(index, 1)).map((rest) => [first, ...rest]),
  );
}

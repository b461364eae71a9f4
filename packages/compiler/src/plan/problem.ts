import type { FaultFacts } from "@writ/core/fault";
import { editDistance } from "../language/closest.ts";
import { planFaults, type PlanProblemCode } from "./faults.ts";
import { problemsMax } from "./limits.ts";

/** One reason why a plan is refused. */
export interface PlanProblem {
  readonly code: string;
  readonly message: string;
  /** JSON pointer (RFC 6901) into the plan; "" is the whole. */
  readonly at: string;
  /** Characters [start, end) of the text where `at` stands, or null when the text could not be read as JSON. */
  readonly span: readonly [number, number] | null;
  readonly remedy: string;
  readonly facts: FaultFacts;
}

export function problem(
  code: PlanProblemCode,
  at: string,
  message: string,
  facts: FaultFacts = {},
): PlanProblem {
  return { code, message, at, span: null, remedy: planFaults[code].remedy, facts };
}

/** The pointer of a child. */
export function pointer(at: string, key: string | number): string {
  return `${at}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** Up to three known names that are near the wrong one, nearest first: about as near as the best, at most a third of the letters off. */
export function closest(
  wrong: string,
  known: readonly string[],
  found: readonly PlanProblem[],
): readonly string[] {
  // Nobody will see more problems than these; looking for names costs time that a hostile plan could multiply.
  if (found.length >= problemsMax) return [];
  const limit = Math.max(2, Math.floor(wrong.length / 3));
  const near = known
    .map((name) => ({ name, distance: editDistance(wrong.slice(0, 200), name) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  const best = near[0]?.distance ?? 0;
  return near
    .filter(({ distance }) => distance <= best + 2)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** "; did you mean `a` or `b`?" or nothing. */
export function suggestion(names: readonly string[]): string {
  return names.length === 0 ? "" : `; did you mean ${names.map((name) => `\`${name}\``).join(" or ")}?`;
}

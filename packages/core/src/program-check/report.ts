import type { FaultFacts } from "../fault.ts";

/** Takes down a problem: the rule it breaks, where, and what was attempted. */
export type Report = (rule: string, at: string, message: string, facts?: FaultFacts) => void;

export function isWhole(count: number): boolean {
  return Number.isSafeInteger(count) && count >= 0;
}

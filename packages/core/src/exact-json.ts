// JSON whose numbers are what was written, or nothing.
import { decimal } from "./value.ts";

/**
 * A reviver for `JSON.parse`: a number that a float would round or lose throws.
 * @throws RangeError
 */
export function exactNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined) return value;
  if (Number.isFinite(value) && isSame(source, value)) return value;
  throw new RangeError(`the number ${source.slice(0, 60)} cannot be held exactly; write it as text`);
}

function isSame(source: string, value: number): boolean {
  try {
    return decimal(source).eq(decimal(value));
  } catch {
    return false;
  }
}

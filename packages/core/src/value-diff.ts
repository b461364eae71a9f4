// What differs between two values: each place that was added, removed or changed, by name. See SPEC.md, V3.
import { equalValues, isMap, type Value } from "./value.ts";

export interface ValueChange {
  /** JSON pointer (RFC 6901) of the place; "" is the whole. */
  readonly at: string;
  readonly kind: "added" | "removed" | "changed";
  /** Undefined where it was not there. */
  readonly before?: Value;
  readonly after?: Value;
}

/** Changes by place, parents never beside their children; at most `changesMax`, the rest is not looked for. */
export function valueChanges(before: Value, after: Value, changesMax = 1000): readonly ValueChange[] {
  const changes: ValueChange[] = [];
  compare(before, after, "", changes, changesMax);
  return changes;
}

function compare(before: Value, after: Value, at: string, changes: ValueChange[], changesMax: number): void {
  if (changes.length >= changesMax || equalValues(before, after)) return;
  if (isMap(before) && isMap(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const place = `${at}/${pointerPart(key)}`;
      part(
        Object.hasOwn(before, key) ? before[key] : undefined,
        Object.hasOwn(after, key) ? after[key] : undefined,
        place,
        changes,
        changesMax,
      );
    }
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    for (let i = 0; i < Math.max(before.length, after.length); i++)
      part(before[i] as Value, after[i] as Value, `${at}/${i}`, changes, changesMax);
    return;
  }
  changes.push({ at, kind: "changed", before, after });
}

function part(
  before: Value | undefined,
  after: Value | undefined,
  at: string,
  changes: ValueChange[],
  changesMax: number,
): void {
  if (changes.length >= changesMax) return;
  if (before === undefined && after !== undefined) changes.push({ at, kind: "added", after });
  else if (before !== undefined && after === undefined) changes.push({ at, kind: "removed", before });
  else if (before !== undefined && after !== undefined) compare(before, after, at, changes, changesMax);
}

function pointerPart(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

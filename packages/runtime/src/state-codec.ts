// The state of a run as a value, for snapshots: everything but the program, which is named by its hash beside it. Any state is plain data
// (maps, lists, values), so the form needs no knowledge of what states hold; the machine that wrote it is the one that reads it.
//   Y1  A state reads back as it was, and the same state has the same bytes.
import { isDecimal, type Value, type ValueMap } from "@writ/core/value";
import { fault } from "./faults.ts";
import type { PreparedProgram } from "./program-index.ts";
import type { RunState } from "./state.ts";

/** Marks a `Map` (a list of pairs), or a value's own map that has such a key (a map). */
const mark = "$m";

export function encodeState(state: RunState): Value {
  const { prepared: _, ...rest } = state;
  return encoded(rest);
}

/** @throws runtime.value-not-recorded when the value is no state of this run */
export function decodeState(value: Value, prepared: PreparedProgram): RunState {
  const state = decoded(value);
  if (!isState(state))
    throw fault("runtime.value-not-recorded", "Cannot read the snapshot: it holds no state", {});
  return { ...state, prepared };
}

function encoded(part: unknown): Value {
  if (part === null || typeof part === "string" || typeof part === "number" || typeof part === "boolean")
    return part;
  if (part instanceof Uint8Array || isDecimal(part)) return part;
  if (Array.isArray(part)) return part.map((one) => encoded(one));
  if (part instanceof Map)
    return { [mark]: [...part].map(([key, one]): Value => [encoded(key), encoded(one)]) };
  if (typeof part !== "object" || !isPlain(part))
    throw new TypeError(
      `Invariant broken: Y1 a state holds no ${typeof part === "object" ? part.constructor.name : typeof part}`,
    );
  // Without inheritance: `__proto__` is a key like any other.
  const map: Record<string, Value> = Object.create(null);
  // What is absent and what is undefined are the same to the machine.
  for (const [key, one] of Object.entries(part)) if (one !== undefined) map[key] = encoded(one);
  return Object.hasOwn(map, mark) ? { [mark]: map } : map;
}

/** What a class keeps inside (a `Set`, say) would be lost without a word. */
function isPlain(part: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(part);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function decoded(value: Value): unknown {
  if (Array.isArray(value)) return value.map((one: Value) => decoded(one));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || isDecimal(value))
    return value;
  const map = value as ValueMap;
  const marked = map[mark];
  if (Array.isArray(marked)) return new Map(marked.map((pair: Value) => pairOf(pair)));
  const own = marked === undefined ? map : (marked as ValueMap);
  return Object.fromEntries(Object.entries(own).map(([key, one]) => [key, decoded(one)]));
}

function pairOf(pair: Value): [unknown, unknown] {
  const [key = null, one = null] = Array.isArray(pair) ? pair : [];
  return [decoded(key), decoded(one)];
}

function isState(state: unknown): state is Omit<RunState, "prepared"> {
  return (
    typeof state === "object" &&
    state !== null &&
    "steps" in state &&
    state.steps instanceof Map &&
    "seq" in state
  );
}

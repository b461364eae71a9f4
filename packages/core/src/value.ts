// Values: what slots, parameters, results and entries hold.
//   V1  Numbers that are measured or owed are decimals, exact; `number` stands for integers and for doubles a device delivered.
//   V2  A value is a tree: no cycles, no undefined, at most `valueDepthMax` deep.
import Big from "big.js";
import { toBase64 } from "./bytes.ts";
import { fault } from "./faults.ts";
import { decimalDigitsMax, valueDepthMax } from "./limits.ts";

/** An exact decimal number. Arithmetic other than division is exact. */
export type Decimal = Big;
export type Value = null | boolean | number | string | Decimal | Uint8Array | readonly Value[] | ValueMap;
export interface ValueMap {
  readonly [key: string]: Value;
}
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function isDecimal(value: unknown): value is Decimal {
  return value instanceof Big;
}

export function isMap(value: unknown): value is ValueMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !isDecimal(value) &&
    !(value instanceof Uint8Array)
  );
}

const decimalPattern = /^-?\d+(\.\d+)?([eE][+-]?\d{1,3})?$/;

/** @throws core.invalid-value when the text is no decimal number or has more than `decimalDigitsMax` digits. */
export function decimal(text: string | number | bigint): Decimal {
  const written = String(text);
  if (written.length > decimalDigitsMax + 6 || !decimalPattern.test(written)) {
    throw fault("core.invalid-value", `Cannot read \`${written.slice(0, 80)}\` as a decimal number`, {
      text: written.slice(0, 200),
    });
  }
  const big = new Big(written);
  if (big.c.length > decimalDigitsMax || Math.abs(big.e) > decimalDigitsMax) {
    throw fault(
      "core.invalid-value",
      `Cannot hold \`${written.slice(0, 80)}\`: more than ${decimalDigitsMax} digits`,
      { digitsMax: decimalDigitsMax },
    );
  }
  return big;
}

/** Plain notation without exponent or trailing zeros: the one text form of a decimal. */
export function decimalText(value: Decimal): string {
  const text = value.toFixed();
  return text === "-0" ? "0" : text;
}

/** Checks an unknown JSON-like tree and returns it as a value. @throws core.invalid-value */
export function parseValue(input: unknown, depth = 0): Value {
  if (depth > valueDepthMax) {
    throw fault("core.invalid-value", `Cannot take a value nested deeper than ${valueDepthMax}`, {
      depthMax: valueDepthMax,
    });
  }
  if (input === null || typeof input === "boolean" || typeof input === "string") return input;
  if (typeof input === "number") {
    if (!Number.isFinite(input)) throw fault("core.invalid-value", `Cannot take \`${input}\` as a number`);
    return input;
  }
  if (isDecimal(input) || input instanceof Uint8Array) return input;
  if (Array.isArray(input)) return input.map((item) => parseValue(item, depth + 1));
  if (typeof input === "object") {
    const map: Record<string, Value> = Object.create(null);
    for (const [key, item] of Object.entries(input)) map[key] = parseValue(item, depth + 1);
    return map;
  }
  throw fault("core.invalid-value", `Cannot take a ${typeof input} as a value`);
}

/** JSON for people and clients: decimals as text in plain notation, bytes as base64. Not reversible; CBOR is the stored form. */
export function toJson(value: Value): Json {
  if (isDecimal(value)) return decimalText(value);
  if (value instanceof Uint8Array) return toBase64(value);
  if (Array.isArray(value)) return value.map((item: Value) => toJson(item));
  if (isMap(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
  return value as Json;
}

/** Structural equality; a number equals a decimal of the same amount. */
export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (isNumeric(a) && isNumeric(b)) return toDecimal(a).eq(toDecimal(b));
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return (
      a instanceof Uint8Array &&
      b instanceof Uint8Array &&
      a.length === b.length &&
      a.every((byte, i) => byte === b[i])
    );
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item: Value, i) => equalValues(item, b[i] as Value))
    );
  }
  if (isMap(a) && isMap(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && equalValues(a[key] as Value, b[key] as Value))
    );
  }
  return false;
}

export function isNumeric(value: Value): value is number | Decimal {
  return typeof value === "number" || isDecimal(value);
}

export function toDecimal(value: number | Decimal): Decimal {
  return typeof value === "number" ? new Big(value) : value;
}

// Writing deterministic CBOR; the rules stand in `../cbor.ts`.
import { fault } from "../faults.ts";
import { decimalDigitsMax } from "../limits.ts";
import { isDecimal, type Decimal } from "../value.ts";
import { cborDepthMax, compareKeys, floatWidth, halfBits } from "./form.ts";

/** Writes items one after another into a buffer that it reuses; `finish` copies the bytes out. */
export interface CborWriter {
  reset(): void;
  mapHead(pairs: number): void;
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
  number(value: number): void;
  value(value: unknown): void;
  finish(): Uint8Array;
}

declare const TextEncoder: new () => {
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
};

export function cborWriter(): CborWriter {
  const encoder = new TextEncoder();
  let buffer = new Uint8Array(8192);
  let view = new DataView(buffer.buffer);
  let at = 0;

  function reserve(size: number): void {
    if (at + size <= buffer.length) return;
    const larger = new Uint8Array(Math.max(buffer.length * 2, at + size));
    larger.set(buffer);
    buffer = larger;
    view = new DataView(buffer.buffer);
  }

  /** Head without reserving: at most 9 bytes. */
  function head(major: number, n: number): void {
    const type = major << 5;
    if (n < 24) buffer[at++] = type | n;
    else if (n < 0x100) {
      buffer[at++] = type | 24;
      buffer[at++] = n;
    } else if (n < 0x10000) {
      buffer[at++] = type | 25;
      buffer[at++] = n >> 8;
      buffer[at++] = n;
    } else if (n < 0x100000000) {
      buffer[at] = type | 26;
      view.setUint32(at + 1, n);
      at += 5;
    } else {
      buffer[at] = type | 27;
      view.setUint32(at + 1, Math.floor(n / 0x100000000));
      view.setUint32(at + 5, n % 0x100000000);
      at += 9;
    }
  }

  function text(content: string): void {
    const length = content.length;
    reserve(length * 3 + 9);
    if (length < 48) {
      const start = at;
      head(3, length);
      let i = 0;
      for (; i < length; i++) {
        const unit = content.charCodeAt(i);
        if (unit > 127) break;
        buffer[at++] = unit;
      }
      if (i === length) return;
      at = start;
    }
    if (!content.isWellFormed()) {
      throw fault("core.invalid-value", "Cannot encode a text with half a surrogate pair", {
        text: content.slice(0, 200).toWellFormed(),
      });
    }
    // The head is as long as for plain ASCII, unless the bytes turn out to be more.
    const headGuess = headSize(length);
    const { written } = encoder.encodeInto(content, buffer.subarray(at + headGuess));
    const headNeeded = headSize(written);
    if (headNeeded !== headGuess) {
      buffer.copyWithin(at + headNeeded, at + headGuess, at + headGuess + written);
    }
    head(3, written);
    at += written;
  }

  function bytes(content: Uint8Array): void {
    reserve(content.length + 9);
    head(2, content.length);
    buffer.set(content, at);
    at += content.length;
  }

  function number(value: number): void {
    reserve(9);
    if (Number.isSafeInteger(value)) {
      if (value >= 0) head(0, value);
      else head(1, -1 - value);
      return;
    }
    if (!Number.isFinite(value)) throw fault("core.invalid-value", `Cannot encode \`${value}\` as a number`);
    const width = floatWidth(value);
    if (width === 2) {
      buffer[at] = 0xf9;
      view.setUint16(at + 1, halfBits(value));
    } else if (width === 4) {
      buffer[at] = 0xfa;
      view.setFloat32(at + 1, value);
    } else {
      buffer[at] = 0xfb;
      view.setFloat64(at + 1, value);
    }
    at += 1 + width;
  }

  function decimalFraction(value: Decimal): void {
    if (value.c.length > decimalDigitsMax || Math.abs(value.e) > decimalDigitsMax) {
      throw fault("core.invalid-value", `Cannot encode a decimal of more than ${decimalDigitsMax} digits`, {
        digitsMax: decimalDigitsMax,
      });
    }
    reserve(64);
    buffer[at++] = 0xc4;
    buffer[at++] = 0x82;
    const digits = value.c;
    if (digits.length === 1 && digits[0] === 0) {
      buffer[at++] = 0;
      buffer[at++] = 0;
      return;
    }
    number(value.e - digits.length + 1);
    if (digits.length <= 15) {
      let mantissa = 0;
      for (const digit of digits) mantissa = mantissa * 10 + digit;
      number(value.s * mantissa);
    } else bigInteger(BigInt(digits.join("")) * BigInt(value.s));
  }

  function bigInteger(value: bigint): void {
    const negative = value < 0n;
    const magnitude = negative ? -1n - value : value;
    if (magnitude < 1n << 64n) {
      if (magnitude <= 0xffff_ffffn) head(negative ? 1 : 0, Number(magnitude));
      else {
        buffer[at] = negative ? 0x3b : 0x1b;
        view.setBigUint64(at + 1, magnitude);
        at += 9;
      }
      return;
    }
    buffer[at++] = negative ? 0xc3 : 0xc2;
    const hex = magnitude.toString(16);
    const padded = hex.length % 2 === 0 ? hex : `0${hex}`;
    head(2, padded.length / 2);
    for (let i = 0; i < padded.length; i += 2) buffer[at++] = Number.parseInt(padded.slice(i, i + 2), 16);
  }

  function value(content: unknown, depth: number): void {
    switch (typeof content) {
      case "string":
        return text(content);
      case "number":
        return number(content);
      case "boolean":
        reserve(1);
        buffer[at++] = content ? 0xf5 : 0xf4;
        return;
      case "object":
        if (content === null) {
          reserve(1);
          buffer[at++] = 0xf6;
          return;
        }
        if (depth >= cborDepthMax) {
          throw fault("core.invalid-value", `Cannot encode a value nested deeper than ${cborDepthMax}`, {
            depthMax: cborDepthMax,
          });
        }
        return compound(content, depth);
      case "undefined":
      case "function":
      case "symbol":
      case "bigint":
        throw fault("core.invalid-value", `Cannot encode a ${typeof content}`);
    }
  }

  function compound(content: object, depth: number): void {
    if (Array.isArray(content)) {
      reserve(9);
      head(4, content.length);
      for (let i = 0; i < content.length; i++) value(content[i], depth + 1);
      return;
    }
    if (content instanceof Uint8Array) return bytes(content);
    if (isDecimal(content)) return decimalFraction(content);
    const prototype: unknown = Object.getPrototypeOf(content);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw fault("core.invalid-value", "Cannot encode an object that is no plain map");
    }
    map(content as Readonly<Record<string, unknown>>, depth);
  }

  function map(content: Readonly<Record<string, unknown>>, depth: number): void {
    const keys = Object.keys(content);
    let count = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      if (content[key] === undefined) continue;
      let place = count++;
      // Insertion sort in place: maps are small, and the keys before `count` are sorted already.
      while (place > 0 && compareKeys(keys[place - 1] as string, key) > 0) {
        keys[place] = keys[place - 1] as string;
        place--;
      }
      keys[place] = key;
      if (count > 64) return largeMap(content, depth);
    }
    reserve(9);
    head(5, count);
    for (let i = 0; i < count; i++) {
      const key = keys[i] as string;
      text(key);
      value(content[key], depth + 1);
    }
  }

  function largeMap(content: Readonly<Record<string, unknown>>, depth: number): void {
    const keys = Object.keys(content)
      .filter((key) => content[key] !== undefined)
      .sort(compareKeys);
    reserve(9);
    head(5, keys.length);
    for (const key of keys) {
      text(key);
      value(content[key], depth + 1);
    }
  }

  return {
    reset: () => {
      at = 0;
      // One giant value must not hold its buffer for ever.
      if (buffer.length > 4 * 1024 * 1024) {
        buffer = new Uint8Array(8192);
        view = new DataView(buffer.buffer);
      }
    },
    mapHead: (pairs) => {
      reserve(9);
      head(5, pairs);
    },
    text,
    bytes,
    number,
    value: (content) => value(content, 0),
    finish: () => buffer.slice(0, at),
  };
}

function headSize(n: number): number {
  return n < 24 ? 1 : n < 0x100 ? 2 : n < 0x10000 ? 3 : n < 0x100000000 ? 5 : 9;
}

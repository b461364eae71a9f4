// Deterministic CBOR (RFC 8949, section 4.2): one value, one sequence of bytes. Everything hashed or signed except programs is in this form.
//   B1  Shortest heads; definite lengths; map keys are texts in bytewise order of their encodings, each once.
//   B2  A number that is a safe integer is a CBOR integer; any other is the shortest of f16, f32, f64 that holds it exactly.
//       NaN and infinities are refused; -0 is 0.
//   B3  A decimal is tag 4 [exponent, mantissa] in normal form: no trailing zero in the mantissa, zero is [0, 0].
//   B4  A property that is undefined is not written; undefined anywhere else is refused.
//   B5  The decoder refuses every byte sequence that the encoder would not have written.
import { fromUtf8, utf8 } from "./bytes.ts";
import { fault } from "./faults.ts";
import { decimalDigitsMax, valueDepthMax } from "./limits.ts";
import { decimal, isDecimal, type Decimal, type Value } from "./value.ts";

/** Facts wrap values a few levels deep (event, data, stored value), so bytes may nest deeper than one value. */
export const cborDepthMax = valueDepthMax + 16;

/** @throws core.invalid-value for NaN, infinities, texts with lone surrogates, objects that are no plain maps, and too deep nesting */
export function encodeCbor(value: Value): Uint8Array {
  shared.reset();
  shared.value(value);
  return shared.finish();
}

/** @throws core.cbor-invalid when the bytes are not the deterministic encoding of exactly one value */
export function decodeCbor(bytes: Uint8Array): Value {
  const { value, end } = readItem(bytes);
  if (end !== bytes.length) throw invalid("bytes after the value", end);
  return value;
}

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

// Encoding is synchronous and never re-entered, so that one buffer serves every caller.
const shared = cborWriter();

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

// Maps from bytes inherit nothing, not even `__proto__`: a key is data, whatever its name.
const noInheritance: object = Object.freeze(Object.create(null));

/** The first item of the bytes, and where it ends. @throws core.cbor-invalid at the first deviation */
function readItem(source: Uint8Array): { readonly value: Value; readonly end: number } {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const end = source.length;
  let at = 0;

  function need(count: number): void {
    if (count > end - at) throw invalid("end of bytes inside a value", at);
  }

  /** The argument of a head whose initial byte was just read. @returns NaN when it is no safe integer (8 bytes, above 2^53 - 1) */
  function argument(initial: number): number {
    const info = initial & 31;
    if (info < 24) return info;
    let n: number;
    if (info === 24) {
      need(1);
      n = source[at++] as number;
      if (n < 24) throw invalid("a head longer than needed", at);
    } else if (info === 25) {
      need(2);
      n = view.getUint16(at);
      at += 2;
      if (n < 0x100) throw invalid("a head longer than needed", at);
    } else if (info === 26) {
      need(4);
      n = view.getUint32(at);
      at += 4;
      if (n < 0x10000) throw invalid("a head longer than needed", at);
    } else if (info === 27) {
      need(8);
      const high = view.getUint32(at);
      if (high === 0) throw invalid("a head longer than needed", at);
      n = high < 0x200000 ? high * 0x100000000 + view.getUint32(at + 4) : Number.NaN;
      at += 8;
    } else throw invalid("an indefinite length or a reserved head", at);
    return n;
  }

  function head(major: number, name: string): number {
    need(1);
    const initial = source[at] as number;
    if (initial >> 5 !== major) throw invalid(`another type where ${name} was expected`, at);
    at++;
    return argument(initial);
  }

  function length(initial: number, bytesEach: number): number {
    const count = argument(initial);
    // NaN compares false: a length above 2^53 is refused here too.
    if (!(count * bytesEach <= end - at)) throw invalid("a length beyond the bytes", at);
    return count;
  }

  function textOf(size: number): string {
    const from = at;
    at += size;
    if (size <= 40) {
      let text = "";
      for (let i = from; i < at; i++) {
        const byte = source[i] as number;
        if (byte > 127) return utf8Text(from);
        text += String.fromCharCode(byte);
      }
      return text;
    }
    return utf8Text(from);
  }

  function utf8Text(from: number): string {
    try {
      return fromUtf8(source.subarray(from, at));
    } catch (error) {
      throw invalid("a text that is not UTF-8", from, error);
    }
  }

  function text(): string {
    need(1);
    const initial = source[at] as number;
    if (initial >> 5 !== 3) throw invalid("another type where a text was expected", at);
    at++;
    return textOf(length(initial, 1));
  }

  function bytesOf(size: number): Uint8Array {
    const content = source.slice(at, at + size);
    at += size;
    return content;
  }

  function number(): number {
    need(1);
    const initial = source[at] as number;
    const content = value(0);
    if (typeof content !== "number") throw invalid("another type where a number was expected", at);
    if (initial >> 5 > 1) throw invalid("a fraction where an integer was expected", at);
    return content;
  }

  function float(width: number): number {
    need(width);
    const content =
      width === 2 ? halfValue(view.getUint16(at)) : width === 4 ? view.getFloat32(at) : view.getFloat64(at);
    if (!Number.isFinite(content)) throw invalid("a number that is not finite", at);
    if (Number.isSafeInteger(content) || floatWidth(content) !== width)
      throw invalid("a number that is not in its shortest form", at);
    at += width;
    return content;
  }

  function integer(initial: number): number {
    const argumentValue = argument(initial);
    const content = initial >> 5 === 0 ? argumentValue : -1 - argumentValue;
    if (!Number.isSafeInteger(content)) throw invalid("an integer beyond 2^53 - 1", at);
    return content;
  }

  function decimalFraction(): Decimal {
    const from = at;
    if (head(4, "a decimal fraction") !== 2) throw invalid("a decimal fraction without two parts", from);
    const exponent = number();
    need(1);
    const initial = source[at++] as number;
    let mantissa: string;
    if (initial >> 5 <= 1) {
      const place = at;
      const small = argument(initial);
      const magnitude = Number.isNaN(small) ? view.getBigUint64(place) : BigInt(small);
      mantissa = String(initial >> 5 === 0 ? magnitude : -1n - magnitude);
    } else if (initial === 0xc2 || initial === 0xc3) {
      const size = head(2, "a big integer");
      need(size);
      if (size < 9 || source[at] === 0 || size > 64)
        throw invalid("a big integer that is not in its shortest form", at);
      let magnitude = 0n;
      for (let i = 0; i < size; i++) magnitude = (magnitude << 8n) | BigInt(source[at++] as number);
      mantissa = String(initial === 0xc2 ? magnitude : -1n - magnitude);
    } else throw invalid("a decimal fraction without an integer mantissa", from);
    if (mantissa === "0" ? exponent !== 0 : mantissa.endsWith("0"))
      throw invalid("a decimal fraction that is not in normal form", from);
    if (Math.abs(exponent) > 2 * decimalDigitsMax) throw invalid("a decimal fraction out of range", from);
    try {
      return decimal(`${mantissa}e${exponent}`);
    } catch (error) {
      throw invalid("a decimal fraction out of range", from, error);
    }
  }

  function value(depth: number): Value {
    need(1);
    const initial = source[at++] as number;
    switch (initial >> 5) {
      case 0:
      case 1:
        return integer(initial);
      case 2:
        return bytesOf(length(initial, 1));
      case 3:
        return textOf(length(initial, 1));
      case 4: {
        deeper(depth);
        const count = length(initial, 1);
        const list: Value[] = [];
        for (let i = 0; i < count; i++) list.push(value(depth + 1));
        return list;
      }
      case 5:
        return map(length(initial, 2), depth);
      case 6:
        deeper(depth);
        if (initial !== 0xc4) throw invalid("a tag other than 4", at);
        return decimalFraction();
      default:
        return simple(initial);
    }
  }

  function deeper(depth: number): void {
    if (depth >= cborDepthMax) throw invalid(`nesting deeper than ${cborDepthMax}`, at);
  }

  function map(count: number, depth: number): Value {
    deeper(depth);
    const content = Object.create(noInheritance) as Record<string, Value>;
    let previous: string | undefined;
    for (let i = 0; i < count; i++) {
      const key = text();
      if (previous !== undefined && compareKeys(previous, key) >= 0)
        throw invalid("map keys that are not in order, each once", at);
      previous = key;
      content[key] = value(depth + 1);
    }
    return content;
  }

  function simple(initial: number): Value {
    if (initial === 0xf4) return false;
    if (initial === 0xf5) return true;
    if (initial === 0xf6) return null;
    if (initial === 0xf9) return float(2);
    if (initial === 0xfa) return float(4);
    if (initial === 0xfb) return float(8);
    throw invalid("a simple value other than false, true and null", at);
  }

  const item = value(0);
  return { value: item, end: at };
}

/**
 * Where the item at `at` ends, without building it: heads and lengths are checked, but neither texts nor the order of keys.
 * @throws core.cbor-invalid
 */
export function skipCbor(bytes: Uint8Array, at: number): number {
  const end = bytes.length;
  // Items still to pass; nothing is built and nothing recurses, so depth needs no limit.
  for (let pending = 1; pending > 0; pending--) {
    if (at >= end) throw invalid("end of bytes inside a value", at);
    const initial = bytes[at++] as number;
    const major = initial >> 5;
    const info = initial & 31;
    let argument = info;
    if (info >= 24) {
      const size = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : 0;
      if (size === 0 || at + size > end) throw invalid("a head that is wrong or cut off", at);
      argument = 0;
      for (const stop = at + size; at < stop; at++) argument = argument * 256 + (bytes[at] as number);
    }
    if (major === 2 || major === 3) at += argument;
    else if (major === 4) pending += argument;
    else if (major === 5) pending += 2 * argument;
    else if (major === 6) pending++;
    if (at > end || pending > end) throw invalid("a length beyond the bytes", at);
  }
  return at;
}

/** Bytewise order of the encoded keys: by length in UTF-8 first, because the head comes first. */
function compareKeys(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let difference = 0;
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x > 127 || y > 127) return compareEncoded(a, b);
    if (difference === 0) difference = x - y;
  }
  if (a.length === b.length) return difference;
  const longer = a.length > b.length ? a : b;
  for (let i = shorter; i < longer.length; i++) if (longer.charCodeAt(i) > 127) return compareEncoded(a, b);
  return a.length - b.length;
}

function compareEncoded(a: string, b: string): number {
  const x = utf8(a);
  const y = utf8(b);
  if (x.length !== y.length) return x.length - y.length;
  for (let i = 0; i < x.length; i++) {
    const difference = (x[i] as number) - (y[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function headSize(n: number): number {
  return n < 24 ? 1 : n < 0x100 ? 2 : n < 0x10000 ? 3 : n < 0x100000000 ? 5 : 9;
}

const scratch = new DataView(new ArrayBuffer(4));

/** Bytes of the shortest binary float that holds the finite, non-zero number exactly. */
function floatWidth(value: number): 2 | 4 | 8 {
  if (Math.fround(value) !== value) return 8;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const exponent = (bits >>> 23) & 255;
  if (exponent >= 113 && exponent <= 142) return (bits & 0x1fff) === 0 ? 2 : 4;
  if (exponent >= 103 && exponent <= 112) {
    const mantissa = (bits & 0x7fffff) | 0x800000;
    return (mantissa & ((1 << (126 - exponent)) - 1)) === 0 ? 2 : 4;
  }
  return 4;
}

/** The binary16 bits of a number of `floatWidth` 2. */
function halfBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  const mantissa = bits & 0x7fffff;
  if (exponent >= 113) return sign | ((exponent - 112) << 10) | (mantissa >>> 13);
  return sign | ((mantissa | 0x800000) >>> (126 - exponent));
}

function halfValue(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function invalid(what: string, at: number, cause?: unknown): Error {
  return fault("core.cbor-invalid", `Cannot decode the bytes: ${what} at byte ${at}`, { at }, cause);
}

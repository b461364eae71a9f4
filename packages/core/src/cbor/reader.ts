// Reading deterministic CBOR, and refusing every other; the rules stand in `../cbor.ts`.
import { fromUtf8 } from "../bytes.ts";
import { fault } from "../faults.ts";
import { decimalDigitsMax } from "../limits.ts";
import { decimal, type Decimal, type Value } from "../value.ts";
import { cborDepthMax, compareKeys, floatWidth, halfValue } from "./form.ts";

// Maps from bytes inherit nothing, not even `__proto__`: a key is data, whatever its name.
const noInheritance: object = Object.freeze(Object.create(null));

/** The one item that the bytes are. @throws core.cbor-invalid at the first deviation */
export function readItem(source: Uint8Array): Value {
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
  if (at !== end) throw invalid("bytes after the value", at);
  return item;
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

function invalid(what: string, at: number, cause?: unknown): Error {
  return fault("core.cbor-invalid", `Cannot decode the bytes: ${what} at byte ${at}`, { at }, cause);
}

// What writer and reader must agree on: the order of keys, the width of floats, the depth.
import { utf8 } from "../bytes.ts";
import { valueDepthMax } from "../limits.ts";

/** Facts wrap values a few levels deep (event, data, stored value), so bytes may nest deeper than one value. */
export const cborDepthMax = valueDepthMax + 16;

/** Bytewise order of the encoded keys: by length in UTF-8 first, because the head comes first. */
export function compareKeys(a: string, b: string): number {
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

const scratch = new DataView(new ArrayBuffer(4));

/** Bytes of the shortest binary float that holds the finite, non-zero number exactly. */
export function floatWidth(value: number): 2 | 4 | 8 {
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
export function halfBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  const mantissa = bits & 0x7fffff;
  if (exponent >= 113) return sign | ((exponent - 112) << 10) | (mantissa >>> 13);
  return sign | ((mantissa | 0x800000) >>> (126 - exponent));
}

/** The number that binary16 bits stand for; NaN for infinities and NaNs. */
export function halfValue(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

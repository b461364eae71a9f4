// Bytes and text: hexadecimal, base64 and UTF-8 without any platform module.

const hexDigits = "0123456789abcdef";
const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const hexOfByte: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => hexDigits.charAt(byte >> 4) + hexDigits.charAt(byte & 15),
);

/** The value of a hexadecimal digit by its character code; 16 for what is none. */
const nibbleOfUnit = Uint8Array.from({ length: 128 }, (_, unit) => {
  const digit = hexDigits.indexOf(String.fromCharCode(unit).toLowerCase());
  return digit < 0 ? 16 : digit;
});

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += hexOfByte[byte];
  return text;
}

/** @throws RangeError when the text is not an even number of hexadecimal digits */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  let wrong = text.length & 1;
  for (let i = 0; i < bytes.length; i++) {
    const high = nibbleOfUnit[text.charCodeAt(2 * i)] ?? 16;
    const low = nibbleOfUnit[text.charCodeAt(2 * i + 1)] ?? 16;
    wrong |= (high | low) & 16;
    bytes[i] = (high << 4) | low;
  }
  if (wrong !== 0) throw new RangeError("not hexadecimal");
  return bytes;
}

/** Standard base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += base64Digits.charAt(word >> 18) + base64Digits.charAt((word >> 12) & 63);
    text += i + 1 < bytes.length ? base64Digits.charAt((word >> 6) & 63) : "=";
    text += i + 2 < bytes.length ? base64Digits.charAt(word & 63) : "=";
  }
  return text;
}

/** @throws RangeError when the text is not standard, padded base64 */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new RangeError("not base64");
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let i = 0, out = 0; i < text.length; i += 4) {
    let word = 0;
    for (let k = 0; k < 4; k++) word = (word << 6) | Math.max(0, base64Digits.indexOf(text.charAt(i + k)));
    for (let k = 16; k >= 0 && out < bytes.length; k -= 8) bytes[out++] = (word >> k) & 255;
  }
  return bytes;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM?: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** @throws TypeError when the bytes are not UTF-8 */
export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

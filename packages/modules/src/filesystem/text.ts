// Text and bytes: encodings by name, strict where a character could be lost without notice.
import iconv from "iconv-lite";
import { fault } from "../faults.ts";

export type Bom = "utf-8" | "utf-16le" | "utf-16be" | null;

/** @throws filesystem.encoding-unknown */
export function assertEncoding(encoding: string): void {
  if (!iconv.encodingExists(encoding) || /^(base64|hex|binary)$/i.test(encoding)) {
    throw fault("filesystem.encoding-unknown", `Cannot use the encoding \`${encoding.slice(0, 64)}\``, {
      encoding: encoding.slice(0, 64),
    });
  }
}

/** @throws filesystem.not-encodable naming the first character that would be lost */
export function encodeText(text: string, encoding: string, path: string): Uint8Array {
  assertEncoding(encoding);
  if (!text.isWellFormed()) throw notEncodable("an unpaired surrogate", encoding, path);
  if (isUtf8(encoding)) return Buffer.from(text, "utf8");
  const bytes = iconv.encode(text, encoding);
  if (iconv.decode(bytes, encoding, { stripBOM: false }) !== text) {
    const lost = [...text].find(
      (character) => iconv.decode(iconv.encode(character, encoding), encoding) !== character,
    );
    throw notEncodable(`\`${lost ?? "?"}\``, encoding, path);
  }
  return bytes;
}

function notEncodable(what: string, encoding: string, path: string) {
  return fault(
    "filesystem.not-encodable",
    `Cannot write \`${path}\` as ${encoding}: it cannot hold ${what}`,
    {
      path,
      encoding,
    },
  );
}

export function isUtf8(encoding: string): boolean {
  return /^utf-?8$/i.test(encoding);
}

export interface TextDecoding {
  /** @throws NotText */
  write(bytes: Uint8Array): string;
  end(): string;
}

/** Thrown by a decoding when the bytes are not in its encoding; its callers turn it into a fault with a guess. */
export class NotText extends Error {}

/** Decodes chunk by chunk; a byte order mark of the encoding is left out. */
export function decodingOf(encoding: string): TextDecoding {
  if (!isUtf8(encoding)) {
    const decoder = iconv.getDecoder(encoding);
    return { write: (bytes) => decoder.write(Buffer.from(bytes)), end: () => decoder.end() ?? "" };
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw new NotText("not text");
    }
  };
  return { write: decode, end: () => decode() };
}

export function bomOf(bytes: Uint8Array): Bom {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return null;
}

/** A guess from the first bytes, for people: which encoding text that is not UTF-8 may be in, or `binary`. */
export function guessEncoding(sample: Uint8Array): string {
  const bom = bomOf(sample);
  if (bom !== null) return bom;
  let zerosEven = 0;
  let zerosOdd = 0;
  let controls = 0;
  for (const [index, byte] of sample.entries()) {
    if (byte === 0 && index % 2 === 0) zerosEven++;
    else if (byte === 0) zerosOdd++;
    else if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13) controls++;
  }
  if (zerosOdd > sample.length / 4 && zerosEven === 0) return "utf-16le";
  if (zerosEven > sample.length / 4 && zerosOdd === 0) return "utf-16be";
  if (zerosEven + zerosOdd > 0 || controls > sample.length / 50) return "binary";
  return "windows-1252";
}

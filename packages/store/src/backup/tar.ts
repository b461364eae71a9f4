// Archives in the ustar format (POSIX.1-1988), as far as backups need it: plain files with short names, readable by every `tar`.
import { fromUtf8, utf8 } from "@writ/core/bytes";

export const tarBlockBytes = 512;

export interface TarMember {
  readonly name: string;
  readonly sizeBytes: number;
}

/** @throws RangeError for names over 100 bytes and sizes from 8 GiB on, which the format cannot say */
export function tarHeader({ name, sizeBytes }: TarMember): Uint8Array {
  const nameBytes = utf8(name);
  if (nameBytes.length > 100 || sizeBytes >= 8 ** 11) throw new RangeError(`no ustar member can be ${name}`);
  const header = new Uint8Array(tarBlockBytes);
  header.set(nameBytes, 0);
  const fields = [
    [100, "0000600\0"],
    [108, "0000000\0"],
    [116, "0000000\0"],
    [124, `${sizeBytes.toString(8).padStart(11, "0")}\0`],
    [136, "00000000000\0"],
    [148, "        "],
    [156, "0"],
    [257, "ustar\0" + "00"],
  ] as const;
  for (const [at, text] of fields) header.set(utf8(text), at);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return header;
}

/** The member that the header announces, null for the block of zeros at the end, undefined when it is no header of ours. */
export function parseTarHeader(header: Uint8Array): TarMember | null | undefined {
  if (header.length !== tarBlockBytes) return undefined;
  if (header.every((byte) => byte === 0)) return null;
  try {
    const name = fromUtf8(header.subarray(0, header.indexOf(0)));
    const size = /^([0-7]{11})\0$/.exec(fromUtf8(header.subarray(124, 136)))?.[1];
    if (size === undefined || name === "") return undefined;
    const member = { name, sizeBytes: Number.parseInt(size, 8) };
    return tarHeader(member).every((byte, i) => byte === header[i]) ? member : undefined;
  } catch {
    return undefined;
  }
}

/** Zeros after a member of this size, up to the next block. */
export function tarPadding(sizeBytes: number): number {
  return (tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes;
}

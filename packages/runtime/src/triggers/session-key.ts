import { toHex } from "@writ/core/bytes";
import { encodeCbor } from "@writ/core/cbor";
import type { Value } from "@writ/core/value";

/** The same for everybody who listens to the same source with the same configuration in one workspace. */
export function sessionKey(
  workspace: string,
  source: string,
  config: Readonly<Record<string, Value>>,
): string {
  return `${workspace}/${source}/${fingerprint(encodeCbor(config))}`;
}

/** 64 bits of FNV-1a: tells the few configurations of one source in one workspace apart; nothing is trusted because of it. */
function fingerprint(bytes: Uint8Array): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return toHex(Uint8Array.from({ length: 8 }, (_, i) => Number((hash >> BigInt(56 - 8 * i)) & 0xffn)));
}

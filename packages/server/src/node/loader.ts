// Programs read back for use: everything about them is checked again when they are read, and what they were checked against is
// compared each time they are used.
import { decodeCertificate } from "@writ/core/certificate-codec";
import type { ProgramHash } from "@writ/core/ids";
import type { Blobs, Hasher, KeyRing } from "@writ/core/ports";
import { decodeProgram, hashProgram } from "@writ/core/program-codec";
import type { HashedProgram } from "@writ/core/program";
import { decodeEnvelope, verifySignedProgram } from "@writ/core/signature";
import { checkCapabilities, openProgram, type Registry } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import { keptProgramsMax } from "../limits.ts";
import { bytesOf } from "./context.ts";

export interface ProgramLoader {
  /** A program that may begin. @throws as `open`, capability.revoked */
  readonly load: (hash: ProgramHash) => Promise<HashedProgram>;
  /**
   * A program whose runs go on, are undone or replayed: what was revoked since is refused by the gate, effect by effect.
   * @throws program.unknown, program.refused, program.certificate, program.version, program.malformed, signature.*
   */
  readonly open: (hash: ProgramHash) => Promise<HashedProgram>;
}

export interface LoaderParts {
  readonly blobs: Blobs;
  readonly hasher: Hasher;
  readonly keyRing: KeyRing;
  readonly registry: () => Registry;
}

export function createProgramLoader(parts: LoaderParts): ProgramLoader {
  const opened = new Map<
    ProgramHash,
    { readonly known: unknown; readonly keys: unknown; readonly program: Promise<HashedProgram> }
  >();
  const open = (hash: ProgramHash): Promise<HashedProgram> => {
    const { programs, keys } = parts.registry();
    const known = programs.get(hash);
    const before = opened.get(hash);
    if (before !== undefined && before.known === known && before.keys === keys) return before.program;
    if (opened.size >= keptProgramsMax) opened.clear();
    const program = read(parts, hash);
    opened.set(hash, { known, keys, program });
    program.catch(() => opened.delete(hash));
    return program;
  };
  return {
    open,
    async load(hash) {
      const hashed = await open(hash);
      checkCapabilities(parts.registry(), hashed.program);
      return hashed;
    },
  };
}

async function read({ blobs, hasher, keyRing, registry }: LoaderParts, hash: ProgramHash) {
  const program = await openProgram(registry(), hash, {
    bytesOf: (stored) => bytesOf(blobs, stored),
    decodeEnvelope,
    verify: (envelope) => verifySignedProgram(envelope, keyRing),
    decode: decodeProgram,
    hash: (payload) => hashProgram(payload, hasher),
  });
  const known = registry().programs.get(hash);
  const certificate =
    known === undefined ? undefined : decodeCertificate(await bytesOf(blobs, known.certificate));
  if (certificate?.program !== hash || certificate.verdict !== "proved") {
    throw fault(
      "program.certificate",
      `Cannot run the program \`${known?.name ?? hash}\`: its certificate does not prove it`,
      {
        program: hash,
      },
    );
  }
  return program;
}

// What is stored of the programs: found by hash, read once, checked to belong together, signed when approved.
import { decodeCertificate, hashCertificate } from "@writ/core/certificate-codec";
import type { Actor } from "@writ/core/entry";
import { programHash } from "@writ/core/ids";
import { decodeProgram, hashProgram } from "@writ/core/program-codec";
import type { HashedProgram } from "@writ/core/program";
import { encodeEnvelope, signProgram } from "@writ/core/signature";
import type { RegisteredProgram } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import { keptProgramsMax } from "../limits.ts";
import { bytesOf, record, storeBytes, type KeptProgram, type NodeContext } from "./context.ts";
import { parseSource } from "./source.ts";

/** @throws program.unknown */
export function findProgram(node: Pick<NodeContext, "registry">, hash: string): RegisteredProgram {
  const known = node.registry().programs.get(programHash(hash));
  if (known === undefined)
    throw fault("program.unknown", `Cannot find the program \`${hash}\``, { program: hash });
  return known;
}

/** @throws program.certificate, program.malformed, program.version, certificate.malformed, store.blob-missing, store.blob-damaged */
export async function keptOf(node: NodeContext, known: RegisteredProgram): Promise<KeptProgram> {
  const { bytes, source, certificate } = known;
  const before = node.kept.get(known.hash);
  if (before?.bytes === bytes && before.source === source && before.certificate === certificate)
    return await before.program;
  if (node.kept.size >= keptProgramsMax) node.kept.clear();
  const program = readKept(node, known);
  node.kept.set(known.hash, { bytes, source, certificate, program });
  program.catch(() => node.kept.delete(known.hash));
  return await program;
}

async function readKept(node: NodeContext, known: RegisteredProgram): Promise<KeptProgram> {
  const [bytes, sourceBytes, certificateBytes] = await Promise.all([
    bytesOf(node.blobs, known.bytes),
    bytesOf(node.blobs, known.source),
    bytesOf(node.blobs, known.certificate),
  ]);
  const actual = hashProgram(bytes, node.hasher);
  const certificate = decodeCertificate(certificateBytes);
  if (actual !== known.hash || certificate.program !== known.hash) {
    throw fault(
      "program.certificate",
      `Cannot use \`${known.name}\`: what is stored of it does not belong together`,
      {
        program: known.hash,
        stored: actual,
        proved: certificate.program,
      },
    );
  }
  return {
    program: decodeProgram(bytes),
    bytes,
    source: parseSource(sourceBytes),
    certificate,
    certificateBytes,
  };
}

export async function hashedOf(node: NodeContext, known: RegisteredProgram): Promise<HashedProgram> {
  const { program, bytes } = await keptOf(node, known);
  return { hash: known.hash, program, bytes };
}

/** Signs exactly the bytes whose hash is approved. @throws program.not-proved, program.malformed */
export async function approveProgram(
  node: NodeContext,
  known: RegisteredProgram,
  actor: Actor,
  comment: string,
): Promise<void> {
  const { certificate, certificateBytes, bytes } = await keptOf(node, known);
  if (known.verdict !== "proved" || certificate.verdict !== "proved") {
    throw fault("program.not-proved", `Cannot approve \`${known.name}\`: its proof was refused`, {
      program: known.hash,
    });
  }
  const envelope = await storeBytes(node.blobs, encodeEnvelope(signProgram(bytes, node.signer)));
  await record(node, actor, {
    kind: "program.approved",
    facts: {
      program: known.hash,
      certificate: hashCertificate(certificateBytes, node.hasher),
      envelope,
      comment,
    },
  });
}

// Programs: kept once compiled, approved by a person, signed, deployed; verified again at each of these steps.
//   S12  An approval names a hash. What is signed is re-hashed first; an edited text is another program without an approval.
//   S13  Deployment verifies signature, keys, revocations, format and certificate again, and proves again against programs that were
//        deployed since; it never trusts what an earlier step found.
import type { BodyOf, Envelope, ProgramDetail, ProgramState, ProgramSummary } from "@writ/core/api";
import { hashCertificate } from "@writ/core/certificate-codec";
import type { Actor } from "@writ/core/entry";
import { fromBase64, toBase64 } from "@writ/core/bytes";
import type { CapabilityId, ProgramHash } from "@writ/core/ids";
import { decodeProgram, hashProgram } from "@writ/core/program-codec";
import { allSteps, type Program, type ProgramSource, type SignedProgram } from "@writ/core/program";
import { decodeEnvelope, programPayloadType, verifySignedProgram } from "@writ/core/signature";
import { toJson, parseValue, type Json } from "@writ/core/value";
import { newestPrograms, programsWithPrefix, type RegisteredProgram } from "@writ/runtime/registry";
import type { CompileRoad } from "../compile.ts";
import type { Projections } from "@writ/store/projections";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import { asFault } from "../http/problem.ts";
import { bytesOf, record, type NodeContext } from "../node/context.ts";
import { approveProgram, findProgram, keptOf } from "../node/programs.ts";
import { migrateRuns } from "./migration.ts";
import { workspaceOf } from "./workspaces.ts";
import { counterexamplesOf } from "../views/counterexample.ts";
import { actorText } from "../views/entry.ts";
import { approvalNeeds, apiFault, graphOf, proofReport, triggerOf } from "../views/program.ts";

const programsPerPage = 200;

export function programHandlers(
  node: NodeContext,
  road: CompileRoad,
  projections: Projections,
): Pick<
  Handlers,
  | "compileProgram"
  | "importProgram"
  | "listPrograms"
  | "getProgram"
  | "getCertificate"
  | "exportProgram"
  | "approveProgram"
  | "deployProgram"
  | "undeployProgram"
  | "pauseProgram"
  | "resumeProgram"
> {
  const { inOrder } = node;
  const change = (
    hash: string,
    actor: Actor,
    decide: (known: RegisteredProgram) => Parameters<typeof record>[2],
  ): Promise<ProgramSummary> =>
    inOrder(async () => {
      const known = findProgram(node, hash);
      await record(node, actor, decide(known));
      await node.triggers.sync();
      return summaryOf(node, known.hash);
    });
  return {
    compileProgram: ({ body, caller }) => road.compile(body, caller.actor),
    importProgram: ({ body, caller }) => inOrder(() => importProgram(node, road, body, caller.actor)),
    listPrograms: async ({ query }) => {
      const broken = node.triggers.broken();
      const wanted: RegisteredProgram[] = [];
      const limit = query.limit ?? programsPerPage;
      for (const one of newestPrograms(node.registry())) {
        if (wanted.length >= limit) break;
        if (query.state === undefined || stateOf(one, broken.has(one.hash)) === query.state) wanted.push(one);
      }
      return { programs: await Promise.all(wanted.map((one) => listed(node, one))) };
    },
    getProgram: ({ params }) => detailOf(node, findByPrefix(node, params.hash).hash),
    getCertificate: async ({ params }) => {
      const { certificate } = await keptOf(node, findProgram(node, params.hash));
      return toJson(parseValue(certificate)) as { readonly [key: string]: Json };
    },
    exportProgram: async ({ params }) => {
      const known = findProgram(node, params.hash);
      const envelope = decodeEnvelope(await bytesOf(node.blobs, approvalOf(known).envelope));
      return {
        payloadType: envelope.payloadType,
        payload: toBase64(envelope.payload),
        signatures: envelope.signatures.map(({ keyId, algorithm, signature }) => ({
          keyId,
          algorithm,
          signature: toBase64(signature),
        })),
      };
    },
    approveProgram: ({ params, body, caller }) =>
      inOrder(async () => {
        const known = findProgram(node, params.hash);
        if (known.approval === null) await approveProgram(node, known, caller.actor, body.comment ?? "");
        return summaryOf(node, known.hash);
      }),
    deployProgram: async ({ params, body, caller }) => {
      const before = body.replaces === undefined ? undefined : findProgram(node, body.replaces);
      if (before !== undefined) assertDeployed(before);
      const summary = await inOrder(async () => {
        const known = findProgram(node, params.hash);
        if (known.deployedAtMs !== null) {
          throw fault("program.deployed", `Cannot deploy \`${known.name}\`: it is deployed`, {
            program: known.hash,
          });
        }
        approvalOf(known);
        await road.proveAgain(await node.loadProgram(known.hash), known, caller.actor, before?.hash);
        await record(node, caller.actor, ...deployment(known.hash, before?.hash));
        await node.triggers.sync();
        return summaryOf(node, known.hash);
      });
      if (before === undefined || body.migrate !== true) return summary;
      return {
        ...summary,
        runs: await migrateRuns({ ...node, projections }, before, summary.hash, caller.actor),
      };
    },
    undeployProgram: ({ params, body, caller }) =>
      change(params.hash, caller.actor, (known) => {
        assertDeployed(known);
        return { kind: "program.undeployed", facts: { program: known.hash, reason: body.reason ?? "" } };
      }),
    pauseProgram: ({ params, caller }) =>
      change(params.hash, caller.actor, (known) => {
        assertDeployed(known);
        if (known.paused)
          throw fault("program.paused", `Cannot pause \`${known.name}\`: it is paused`, {
            program: known.hash,
          });
        return { kind: "program.paused", facts: { program: known.hash } };
      }),
    resumeProgram: ({ params, caller }) =>
      change(params.hash, caller.actor, (known) => {
        assertDeployed(known);
        if (!known.paused) {
          throw fault("program.not-paused", `Cannot resume \`${known.name}\`: it is not paused`, {
            program: known.hash,
          });
        }
        return { kind: "program.resumed", facts: { program: known.hash } };
      }),
  };
}

/** One commit: nothing that arrives finds neither of both, or both. */
function deployment(program: ProgramHash, replaces: ProgramHash | undefined): Parameters<typeof record>[2][] {
  if (replaces === undefined) return [{ kind: "program.deployed", facts: { program } }];
  const reason = `replaced by ${program.slice(0, 8)}`;
  return [
    { kind: "program.undeployed", facts: { program: replaces, reason } },
    { kind: "program.deployed", facts: { program, replaces } },
  ];
}

/** A signed program from elsewhere: its signatures must be by keys of this ring, and it is proved here again. */
async function importProgram(
  node: NodeContext,
  road: CompileRoad,
  body: BodyOf<"importProgram">,
  actor: Actor,
): Promise<ProgramSummary> {
  const envelope = envelopeOf(body.envelope);
  verifySignedProgram(envelope, node.keyRing);
  const program = decodeProgram(envelope.payload);
  const hashed = { hash: hashProgram(envelope.payload, node.hasher), program, bytes: envelope.payload };
  const known = node.registry().programs.get(hashed.hash);
  const workspace = workspaceOf(node, body.workspace ?? program.workspace.name);
  if (known === undefined) {
    const name = body.name ?? `imported ${hashed.hash.slice(0, 8)}`;
    const source: ProgramSource = { kind: "program", name, text: "", language: null, spans: {} };
    const verified = await road.take(hashed, source, workspace.name, actor);
    if (verified.kind === "refused") {
      throw fault("program.not-proved", `Cannot take \`${name}\`: its proof is refused here`, {
        program: hashed.hash,
        counterexamples: await counterexamplesOf(node, verified, source),
      });
    }
  }
  const kept = findProgram(node, hashed.hash);
  if (kept.approval === null) await approveProgram(node, kept, actor, "imported");
  return await summaryOf(node, hashed.hash);
}

function envelopeOf(given: Envelope): SignedProgram {
  if (given.payloadType !== programPayloadType) {
    throw fault("program.malformed", `Cannot take a payload of type \`${given.payloadType}\``, {
      wanted: programPayloadType,
    });
  }
  try {
    return {
      payloadType: programPayloadType,
      payload: fromBase64(given.payload),
      signatures: given.signatures.map(({ keyId, algorithm, signature }) => ({
        keyId,
        algorithm,
        signature: fromBase64(signature),
      })),
    };
  } catch (error) {
    throw fault(
      "program.malformed",
      "Cannot read the envelope: payload and signatures are base64",
      {},
      error,
    );
  }
}

export async function summaryOf(node: NodeContext, hash: ProgramHash): Promise<ProgramSummary> {
  const known = findProgram(node, hash);
  const { program, source } = await keptOf(node, known);
  return summary(node, known, source.kind, triggerOf(program));
}

/** A program whose record is damaged is listed as broken; it does not hide the others. */
async function listed(node: NodeContext, known: RegisteredProgram): Promise<ProgramSummary> {
  try {
    return await summaryOf(node, known.hash);
  } catch (error) {
    return {
      ...summary(node, known, "program", "unknown"),
      state: "broken",
      fault: apiFault(asFault(error)),
    };
  }
}

export async function detailOf(node: NodeContext, hash: ProgramHash): Promise<ProgramDetail> {
  const known = findProgram(node, hash);
  const { program, bytes, source, certificate, certificateBytes } = await keptOf(node, known);
  return {
    ...summary(node, known, source.kind, triggerOf(program)),
    text: source.text,
    language: source.language,
    rendered: source.rendered,
    graph: graphOf(program, source.drawing),
    proof: proofReport(certificate, hashCertificate(certificateBytes, node.hasher)),
    capabilities: (await capabilitiesOf(node, program)).map((id) => {
      const capability = node.modules.find(id);
      return { id, risk: capability?.risk ?? "unknown", effect: capability?.effect.kind ?? "unknown" };
    }),
    approvalsNeeded: approvalNeeds(program, known.approval !== null),
    approvedBy: known.approval === null ? null : actorText(known.approval.by),
    sizeBytes: bytes.length,
  };
}

/** Of the program and of all that it calls: who approves it approves what those do, too. */
async function capabilitiesOf(node: NodeContext, program: Program): Promise<readonly CapabilityId[]> {
  const found = new Set(program.capabilities);
  const seen = new Set<ProgramHash>();
  const open = [program];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { op } of allSteps(next.body)) {
      const known = op.op === "run" ? node.registry().programs.get(op.program) : undefined;
      if (known === undefined || seen.has(known.hash)) continue;
      seen.add(known.hash);
      const called = await keptOf(node, known);
      for (const id of called.program.capabilities) found.add(id);
      open.push(called.program);
    }
  }
  return [...found].toSorted();
}

function summary(
  node: NodeContext,
  known: RegisteredProgram,
  kind: ProgramSummary["kind"],
  trigger: string,
): ProgramSummary {
  const broken = node.triggers.broken().get(known.hash);
  return {
    hash: known.hash,
    name: known.name,
    kind,
    workspace: known.workspace,
    state: stateOf(known, broken !== undefined),
    trigger,
    compiledAtMs: known.compiledAtMs,
    approvedAtMs: known.approval?.atMs ?? null,
    deployedAtMs: known.deployedAtMs,
    fault: broken === undefined ? null : apiFault(broken),
  };
}

function stateOf(known: RegisteredProgram, isBroken: boolean): ProgramState {
  if (known.deployedAtMs !== null) {
    if (isBroken) return "broken";
    return known.paused ? "paused" : "deployed";
  }
  if (known.undeployed) return "undeployed";
  if (known.verdict === "refused") return "refused";
  return known.approval === null ? "compiled" : "approved";
}

/** @throws program.unknown, program.prefix */
function findByPrefix(node: NodeContext, prefix: string): RegisteredProgram {
  const found = programsWithPrefix(node.registry(), prefix);
  const [only] = found;
  if (only === undefined)
    throw fault("program.unknown", `Cannot find a program \`${prefix}…\``, { program: prefix });
  if (found.length > 1) {
    throw fault("program.prefix", `Cannot tell which program \`${prefix}…\` is: ${found.length} begin so`, {
      programs: found.map(({ hash, name }) => ({ hash, name })),
    });
  }
  return only;
}

function approvalOf(known: RegisteredProgram): NonNullable<RegisteredProgram["approval"]> {
  if (known.approval !== null) return known.approval;
  throw fault(
    "program.not-approved",
    `Cannot deploy or export \`${known.name}\`: nobody has approved this hash`,
    {
      program: known.hash,
    },
  );
}

function assertDeployed(known: RegisteredProgram): void {
  if (known.deployedAtMs !== null) return;
  throw fault("program.not-deployed", `Cannot do this to \`${known.name}\`: it is not deployed`, {
    program: known.hash,
  });
}

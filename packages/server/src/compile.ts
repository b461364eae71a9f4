// The compile road, the only way in: text → program → bytes and hash → proof against everything deployed → kept with its certificate.
//   S18  What is not proved is kept as refused and can be neither approved nor run; a solver that gives up has not proved anything.
//   S19  A plan is proved like a rule (K45). Its express signature is the node's; whatever needs a person is asked for by the gate.
import type { BodyOf, CompileOutcome, CompileProblem, ProgramDetail } from "@writ/core/api";
import type { Catalog, Language } from "@writ/core/capability";
import { encodeCertificate, hashCertificate } from "@writ/core/certificate-codec";
import type { Actor, Stored } from "@writ/core/entry";
import { faultRecord } from "@writ/core/fault";
import type { ProgramHash } from "@writ/core/ids";
import { hashedProgram } from "@writ/core/program-codec";
import { allSteps, type HashedProgram, type Program, type ProgramSource } from "@writ/core/program";
import type { Json } from "@writ/core/value";
import { drawGraph } from "@writ/compiler/graph";
import { compilePlan, type PlanProblem } from "@writ/compiler/plan";
import { compileProgram } from "@writ/compiler/program";
import { renderTree } from "@writ/compiler/render";
import type { RuleProblem } from "@writ/compiler/rule";
import {
  deployedPrograms as deployedOf,
  type RegisteredProgram,
  type RegisteredWorkspace,
} from "@writ/runtime/registry";
import type { DeployedProgram, Verified } from "@writ/verifier/verify";
import { fault } from "./faults.ts";
import { detailOf } from "./handlers/programs.ts";
import { workspaceOf } from "./handlers/workspaces.ts";
import { createCatalogs, type WorkspaceCatalog } from "./node/catalogs.ts";
import { bytesOf, record, storeBytes, type NodeContext } from "./node/context.ts";
import { approveProgram, findProgram, keptOf } from "./node/programs.ts";
import type { Prover } from "./node/prover.ts";
import { encodeSource } from "./node/source.ts";
import { counterexamplesOf } from "./views/counterexample.ts";
import { excerptOf } from "./views/excerpt.ts";
import { approvalNeeds, proofReport } from "./views/program.ts";

type Refused = Extract<CompileOutcome, { readonly kind: "refused" }>;
type Rejected = Extract<CompileOutcome, { readonly kind: "rejected" }>;
type Ambiguous = Extract<CompileOutcome, { readonly kind: "ambiguous" }>;

export interface CompileRoad {
  compile(body: BodyOf<"compileProgram">, actor: Actor): Promise<CompileOutcome>;
  /** Compiles and proves a plan and keeps nothing. */
  check(text: string, workspace: string | undefined): Promise<Json>;
  /** Compiles, proves, keeps and signs a plan at once. */
  express(
    text: string,
    workspace: string | undefined,
    actor: Actor,
  ): Promise<HashedProgram | Refused | Rejected>;
  /**
   * Returns when the program is proved against all that is deployed now.
   * @throws program.not-proved, program.contradicted
   */
  proveAgain(
    program: HashedProgram,
    known: RegisteredProgram,
    actor: Actor,
    replaces?: ProgramHash,
  ): Promise<void>;
  /** Proves a program from elsewhere and keeps it. */
  take(program: HashedProgram, source: ProgramSource, workspace: string, actor: Actor): Promise<Verified>;
}

/** A text that became a program, with how it reads. */
interface Compiled {
  readonly kind: "compiled";
  readonly program: Program;
  readonly source: ProgramSource;
  readonly rendered: { readonly en: string; readonly fr: string } | null;
}

interface Proved {
  readonly compiled: Compiled;
  readonly hashed: HashedProgram;
  readonly verified: Verified;
  readonly workspace: RegisteredWorkspace;
}

export function createCompileRoad(node: NodeContext, prover: Prover): CompileRoad {
  const catalogs = createCatalogs(node);
  const prove = async (
    text: string,
    kind: "rule" | "plan" | "program",
    options: {
      readonly workspace?: string | undefined;
      readonly language?: Language | undefined;
      readonly name?: string | undefined;
      readonly replaces?: string | undefined;
    },
  ): Promise<Proved | Rejected | Ambiguous> => {
    const workspace = workspaceOf(node, options.workspace);
    const known = await catalogs.of(workspace);
    const compiled =
      kind === "rule"
        ? compileRuleText(text, known, options)
        : compileJsonText(kind, text, known.catalog, options.name);
    if (compiled.kind !== "compiled") return compiled;
    const hashed = hashedProgram(compiled.program, node.hasher);
    const deployed = await deployedPrograms(node, hashed.hash, options.replaces);
    const { source } = compiled;
    const verified = await prover.prove({
      program: hashed,
      source,
      catalog: known.catalog,
      deployed,
      callable: await callablePrograms(node, [hashed, ...deployed], workspace.name),
    });
    return { compiled, hashed, verified, workspace };
  };
  return {
    async compile(body, actor) {
      const proved = await prove(body.text, body.kind, body);
      if ("kind" in proved) return proved;
      await node.inOrder(() => keep(node, proved, actor));
      if (proved.verified.kind === "refused") return await refusedOf(node, proved);
      return { kind: "compiled", program: await freshDetail(node, proved) };
    },
    async check(text, workspace) {
      const proved = await prove(text, "plan", { workspace });
      if ("kind" in proved) return asJson(proved.kind === "rejected" ? placedByPointer(proved) : proved);
      if (proved.verified.kind === "refused") return asJson(await refusedOf(node, proved));
      const { program, hash } = proved.hashed;
      return {
        kind: "proved",
        hash,
        capabilities: program.capabilities,
        approvalsNeeded: asJson(approvalNeeds(program, true)),
        checks: proved.verified.certificate.checks.map(({ name, verdict, claim }) => ({
          name,
          verdict,
          claim,
        })),
      };
    },
    async express(text, workspace, actor) {
      const proved = await prove(text, "plan", { workspace });
      if ("kind" in proved) {
        if (proved.kind === "rejected") return placedByPointer(proved);
        throw new Error("Invariant broken: a plan has one reading");
      }
      await node.inOrder(async () => {
        await keep(node, proved, actor);
        const known = findProgram(node, proved.hashed.hash);
        if (proved.verified.kind === "proved" && known.approval === null)
          await approveProgram(node, known, { kind: "node" }, "express: a plan that was proved");
      });
      return proved.verified.kind === "refused" ? await refusedOf(node, proved) : proved.hashed;
    },
    async proveAgain(hashed, known, actor, replaces) {
      const { certificate, source } = await keptOf(node, known);
      if (certificate.verdict !== "proved") {
        throw fault("program.not-proved", `Cannot deploy \`${known.name}\`: its proof was refused`, {
          program: known.hash,
        });
      }
      const deployed = await deployedPrograms(node, known.hash, replaces);
      if (deployed.every(({ hash }) => certificate.against.includes(hash))) return;
      const { catalog } = await catalogs.of(workspaceOf(node, known.workspace));
      const again = await prover.prove({
        program: hashed,
        source,
        catalog,
        deployed,
        callable: await callablePrograms(node, [hashed, ...deployed], known.workspace),
      });
      if (again.kind === "refused") {
        throw fault(
          "program.contradicted",
          `Cannot deploy \`${known.name}\`: with what was deployed since it was proved, its proof is refused: ${again.problems[0]?.message ?? ""}`,
          { program: known.hash, counterexamples: await counterexamplesOf(node, again, source) },
        );
      }
      const { hash, name, workspace } = known;
      const facts = {
        program: hash,
        bytes: await storedAgain(node, known.bytes),
        source: await storedAgain(node, known.source),
        certificate: await storeBytes(node.blobs, encodeCertificate(again.certificate)),
        verdict: "proved",
        name,
        workspace,
      } as const;
      await record(node, actor, { kind: "program.compiled", facts });
    },
    async take(hashed, source, workspaceName, actor) {
      const workspace = workspaceOf(node, workspaceName);
      const { catalog } = await catalogs.of(workspace);
      const deployed = await deployedPrograms(node, hashed.hash);
      const verified = await prover.prove({
        program: hashed,
        source,
        catalog,
        deployed,
        callable: await callablePrograms(node, [hashed, ...deployed], workspaceName),
      });
      const compiled = { kind: "compiled", program: hashed.program, source, rendered: null } as const;
      await keep(node, { compiled, hashed, verified, workspace }, actor);
      return verified;
    },
  };
}

/** Records the program unless exactly this is what is known already. One at a time: it looks at what is known, then records. */
async function keep(
  node: NodeContext,
  { compiled, hashed, verified, workspace }: Proved,
  actor: Actor,
): Promise<void> {
  const { certificate } = verified;
  const known = node.registry().programs.get(hashed.hash);
  // A refusal that others brought about is an answer, not a fact about a program whose runs may be under way.
  if (known !== undefined && known.approval !== null && certificate.verdict === "refused") return;
  let isReadable = false;
  if (known !== undefined && known.workspace === workspace.name) {
    // What cannot be read any more is recorded again.
    const before = await keptOf(node, known).then(
      (kept) => kept.certificate,
      () => undefined,
    );
    isReadable = before !== undefined;
    // The twin of a program in another language is the same program; what is known keeps the words it was approved with.
    const isSame =
      before?.against.join() === certificate.against.join() &&
      before.verdict === certificate.verdict &&
      before.encoder === certificate.encoder;
    if (isSame) return;
  }
  const { source, rendered } = compiled;
  // Somebody approved it by these words: another text of the same program does not take their place.
  const approved = known?.approval == null || !isReadable ? undefined : known;
  const [bytes, storedSource, storedCertificate] = await Promise.all([
    storeBytes(node.blobs, hashed.bytes),
    approved === undefined
      ? storeBytes(node.blobs, encodeSource(source, rendered, drawGraph(hashed.program)))
      : storedAgain(node, approved.source),
    storeBytes(node.blobs, encodeCertificate(certificate)),
  ]);
  await record(node, actor, {
    kind: "program.compiled",
    facts: {
      program: hashed.hash,
      bytes,
      source: storedSource,
      certificate: storedCertificate,
      verdict: certificate.verdict,
      name: approved?.name ?? source.name.slice(0, 256),
      workspace: workspace.name,
    },
  });
}

/** What is known of a program as an entry may carry it: the registry knows only where it stands. */
async function storedAgain(node: NodeContext, known: Stored): Promise<Stored> {
  return await storeBytes(node.blobs, await bytesOf(node.blobs, known));
}

/** The stored program with the words of this compilation. */
async function freshDetail(node: NodeContext, { compiled, hashed }: Proved): Promise<ProgramDetail> {
  const { source, rendered } = compiled;
  return { ...(await detailOf(node, hashed.hash)), text: source.text, language: source.language, rendered };
}

async function refusedOf(node: NodeContext, { compiled, hashed, verified }: Proved): Promise<Refused> {
  const { certificate } = verified;
  return {
    kind: "refused",
    hash: hashed.hash,
    name: compiled.source.name,
    rendered: compiled.rendered,
    proof: proofReport(certificate, hashCertificate(encodeCertificate(certificate), node.hasher)),
    counterexamples: await counterexamplesOf(node, verified, compiled.source),
  };
}

/**
 * Programs that are armed, paused, or broken: one whose capability was revoked is armed again when it is restored. Only what cannot
 * be read at all, and so cannot run either, is left out.
 */
async function deployedPrograms(
  node: NodeContext,
  except: ProgramHash,
  replaces?: string,
): Promise<readonly DeployedProgram[]> {
  const broken = node.triggers.broken();
  const deployed = deployedOf(node.registry()).filter(({ hash }) => hash !== except && hash !== replaces);
  const found = await Promise.all(
    deployed.map(async (known): Promise<DeployedProgram | undefined> => {
      try {
        const { program, source } = await keptOf(node, known);
        return { hash: known.hash, program, source };
      } catch {
        // Its record is damaged, its signed form is what runs: it is compared with that, only its words are missing.
        try {
          const { program } = await node.openProgram(known.hash);
          return { hash: known.hash, program };
        } catch (error) {
          if (broken.has(known.hash)) return undefined;
          throw error;
        }
      }
    }),
  );
  return found.filter((one) => one !== undefined);
}

/** The programs that these call, and those that they call: approved ones of the workspace, read back and checked. */
async function callablePrograms(
  node: NodeContext,
  callers: readonly Pick<DeployedProgram, "program">[],
  workspace: string,
): Promise<readonly DeployedProgram[]> {
  const found = new Map<ProgramHash, DeployedProgram>();
  const pending = [...callers];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const { op } of allSteps(next.program.body)) {
      if (op.op !== "run" || found.has(op.program)) continue;
      if (node.registry().programs.get(op.program)?.workspace !== workspace) continue;
      try {
        const { hash, program } = await node.loadProgram(op.program);
        found.set(hash, { hash, program });
        pending.push({ program });
      } catch (error) {
        // Nobody may call it: the proof says so of the step that does.
        if (faultRecord(error) === undefined) throw error;
      }
    }
  }
  return [...found.values()];
}

function compileJsonText(
  kind: "plan" | "program",
  text: string,
  catalog: Catalog,
  name: string | undefined,
): Compiled | Rejected {
  const compiled = kind === "plan" ? compilePlan({ text, catalog }) : compileProgram({ text, catalog });
  if (compiled.kind === "rejected")
    return { kind: "rejected", problems: compiled.problems.map((problem) => planProblem(problem, text)) };
  const source = name === undefined ? compiled.source : { ...compiled.source, name };
  return { kind: "compiled", program: compiled.program, source, rendered: null };
}

function planProblem({ code, message, at, span, remedy, facts }: PlanProblem, text: string): CompileProblem {
  const closest: unknown = facts["closest"];
  return {
    code,
    message,
    remedy,
    span: span === null ? null : [span[0], span[1]],
    // The empty pointer is the whole plan: nothing to point at.
    at: at === "" || at.length > 1024 ? null : at,
    // A problem of the whole would underline the whole; of what takes several lines, the first is enough.
    excerpt: span === null || at === "" ? null : excerptOf(text, [firstLine(text, span)]),
    suggestions: Array.isArray(closest)
      ? closest.filter((name) => typeof name === "string").slice(0, 20)
      : [],
  };
}

function firstLine(text: string, [start, end]: readonly [number, number]): readonly [number, number] {
  const newline = text.indexOf("\n", start);
  return [start, newline < 0 ? end : Math.min(end, newline)];
}

/** A plan that came as a value has places in it, but no text to count characters in. */
function placedByPointer({ kind, problems }: Rejected): Rejected {
  return { kind, problems: problems.map((problem) => ({ ...problem, span: null, excerpt: null })) };
}

function compileRuleText(
  text: string,
  { catalog, rules }: WorkspaceCatalog,
  { language, name }: { readonly language?: Language | undefined; readonly name?: string | undefined },
): Compiled | Rejected | Ambiguous {
  const outcome = rules.compile({
    text,
    ...(language === undefined ? {} : { language }),
    ...(name === undefined ? {} : { name }),
  });
  switch (outcome.kind) {
    case "rejected":
      return { kind: "rejected", problems: outcome.problems.map((problem) => ruleProblem(problem, text)) };
    case "ambiguous":
      return {
        kind: "ambiguous",
        readings: outcome.readings.map(({ text: said, differsAt }) => ({
          en: said.en,
          fr: said.fr,
          difference: excerptOf(text, differsAt) ?? "",
        })),
      };
    case "compiled": {
      const { program, source, tree } = outcome;
      return {
        kind: "compiled",
        program,
        source,
        rendered: { en: renderTree(tree, "en", catalog), fr: renderTree(tree, "fr", catalog) },
      };
    }
  }
}

function ruleProblem(
  { code, message, span, expected, suggestions, remedy }: RuleProblem,
  text: string,
): CompileProblem {
  return {
    code,
    message,
    remedy,
    span: [span[0], span[1]],
    at: null,
    excerpt: excerptOf(text, [span]),
    suggestions: (suggestions.length > 0 ? suggestions : expected).slice(0, 20),
  };
}

function asJson(value: unknown): Json {
  return value as Json;
}

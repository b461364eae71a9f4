// Program, other programs and catalog in; certificate or counterexample out.
//   V1  A program is proved only when every check holds; `unknown` refuses as `violated` does (a solver that is absent, fails or runs out
//       of time has proven nothing).
//   V2  The certificate names the program's hash: any edit is another program with another proof.
//   V3  The same program against the same programs gives the same certificate, but for the time it took.
import type { Catalog } from "@writ/core/capability";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import type { ProgramHash } from "@writ/core/ids";
import type { Solver } from "@writ/core/ports";
import type {
  Certificate,
  CertificateCheck,
  HashedProgram,
  Program,
  ProgramSource,
} from "@writ/core/program";
import { checkApproval } from "./checks/approval.ts";
import { checkChains } from "./checks/chains.ts";
import { checkAssumptions, checkConditions } from "./checks/conditions.ts";
import { checkConflicts, checkParallel, type ConflictCache } from "./checks/conflicts.ts";
import { checkContainment } from "./checks/containment.ts";
import { checkDimensions } from "./checks/dimensions.ts";
import { checkFlow } from "./checks/flow.ts";
import { checkForbidden } from "./checks/forbidden.ts";
import { checkGuards } from "./checks/guards.ts";
import { checkModels } from "./checks/models.ts";
import { checkRanges } from "./checks/ranges.ts";
import { checkRetries } from "./checks/retries.ts";
import { holds, unknown, type Context, type Result } from "./checks/result.ts";
import { checkStructure } from "./checks/structure.ts";
import { ask, type Answer } from "./encode/ask.ts";
import { encoderVersion } from "./encode/version.ts";
import { fault, verifierFaults } from "./faults.ts";
import { deployedMax, queryTimeoutMs, resultsMax } from "./limits.ts";
import { analyse, type Analysis, type Subject } from "./model/analysis.ts";

export interface DeployedProgram {
  readonly hash: HashedProgram["hash"];
  readonly program: Program;
  readonly source?: ProgramSource;
}

export interface VerifyRequest {
  readonly program: HashedProgram;
  readonly source?: ProgramSource;
  readonly catalog: Catalog;
  /** Programs it will run beside, without the version it replaces. */
  readonly deployed: readonly DeployedProgram[];
  /** Approved programs that it or a deployed one may call, and those that they call. */
  readonly callable?: readonly DeployedProgram[];
  /** A monotonic clock in milliseconds, for `elapsedMs`; without one that is 0. */
  readonly nowMs?: () => number;
}

export type Verified =
  | { readonly kind: "proved"; readonly certificate: Certificate }
  | {
      readonly kind: "refused";
      readonly certificate: Certificate;
      /** Coded for people and clients; facts hold the counterexample, and the spans of the other rule under `otherSpans`. */
      readonly problems: readonly FaultRecord[];
    };

export interface Verifier {
  verify(request: VerifyRequest): Promise<Verified>;
}

export interface VerifierOptions {
  /** Null refuses every program: nothing is signed without a proof. */
  readonly solver: Solver | null;
  readonly limits?: { readonly queryTimeoutMs?: number };
}

export function createVerifier(options: VerifierOptions): Verifier {
  const timeoutMs = options.limits?.queryTimeoutMs ?? queryTimeoutMs;
  const memory = createMemory();
  return {
    async verify(request) {
      const { program, source, catalog, deployed, nowMs = () => 0 } = request;
      if (deployed.length > deployedMax) {
        throw fault("verifier.not-proved", `Cannot compare with ${deployed.length} deployed programs`, {
          deployedMax,
        });
      }
      const startedMs = nowMs();
      const callable = new Map((request.callable ?? []).map((one) => [one.hash, one.program]));
      const { analysis, conflicts } = memory.of(catalog, (hash) => callable.get(hash));
      const subject = analysis({ ...program, ...(source === undefined ? {} : { source }) });
      const others = deployed.map((one) => analysis(one));
      const asking = createAsking(options.solver, timeoutMs);
      const results = atMost(await runChecks({ subject, deployed: others, ask: asking.ask }, conflicts));
      results.push(asking.result());
      const isProved = results.every(
        (result) => result.verdict === "holds" || result.verdict === "information",
      );
      const certificate: Certificate = {
        v: 1,
        program: program.hash,
        verdict: isProved ? "proved" : "refused",
        encoder: encoderVersion,
        solver: await asking.version(),
        against: [...new Set([...deployed.map((one) => one.hash), ...subject.called])].sort(),
        checks: results.map(checkOf),
        elapsedMs: Math.max(0, nowMs() - startedMs),
      };
      if (isProved) return { kind: "proved", certificate };
      return { kind: "refused", certificate, problems: results.flatMap(problemOf) };
    },
  };
}

/** Enough of each check's results for a person; a program with more faults than that is refused all the same. */
function atMost(results: readonly Result[]): Result[] {
  const counts = new Map<string, number>();
  return results.filter((result) => {
    const key = `${result.check} ${result.verdict}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count <= resultsMax;
  });
}

async function runChecks(context: Context, conflicts: ConflictCache): Promise<Result[]> {
  const { subject } = context;
  const structure = checkStructure(subject);
  // The other checks read a graph; where there is none, they would speak of something else.
  if (structure.some((result) => result.verdict !== "holds")) return [...structure];
  // Questions are asked first: the solver works on them in its thread while the rest is decided here.
  const asked = Promise.all([
    checkAssumptions(context),
    checkConditions(context),
    checkRanges(context),
    checkParallel(context),
    checkConflicts(context, conflicts),
    checkChains(context),
  ]);
  const decided = [
    ...structure,
    ...checkDimensions(subject),
    ...checkContainment(subject),
    ...checkForbidden(subject),
    ...checkFlow(subject),
    ...checkApproval(subject),
    ...checkRetries(subject),
    ...checkGuards(subject),
    ...checkModels(subject),
  ];
  return [...decided, ...(await asked).flat()].sort((a, b) => a.check - b.check);
}

/** What is known of programs under one catalog. */
interface Known {
  readonly analyses: Map<string, Analysis>;
  readonly conflicts: ConflictCache;
}

/**
 * Remembers what only depends on programs and catalog: the verifier of a node meets the same deployed programs again and again, often
 * decoded afresh. A hash stands for its program; a program whose text came to be another is read again.
 */
function createMemory() {
  const analysesMax = 4096;
  const pairsMax = 100_000;
  const byCatalog = new WeakMap<Catalog, Known>();
  return {
    of(catalog: Catalog, called: (hash: ProgramHash) => Program | undefined) {
      let known = byCatalog.get(catalog);
      if (known === undefined || known.analyses.size > analysesMax || known.conflicts.pairs.size > pairsMax) {
        known = { analyses: new Map(), conflicts: { pairs: new Map(), meetings: new Map() } };
        byCatalog.set(catalog, known);
      }
      const { analyses, conflicts } = known;
      return {
        conflicts,
        analysis: (subject: Subject): Analysis => {
          const present = analyses.get(subject.hash);
          if (
            present?.called.every((hash) => called(hash) !== undefined) === true &&
            isSameSource(present.subject.source, subject.source)
          )
            return present;
          const analysis = analyse(subject, catalog, called);
          // Known another time, it is another analysis.
          if (!analysis.isComplete) return analysis;
          analyses.set(subject.hash, analysis);
          if (present === undefined) return analysis;
          for (const key of conflicts.pairs.keys())
            if (key.includes(subject.hash)) conflicts.pairs.delete(key);
          return analysis;
        },
      };
    },
  };
}

function isSameSource(left: ProgramSource | undefined, right: ProgramSource | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined) return false;
  return (
    left.name === right.name &&
    left.text === right.text &&
    JSON.stringify(left.spans) === JSON.stringify(right.spans)
  );
}

/** Asks the solver for all checks and keeps account for check 40. */
function createAsking(solver: Solver | null, timeoutMs: number) {
  const unanswered: string[] = [];
  let isAsked = false;
  const notAnswered = (text: string, reason: string): Answer => {
    unanswered.push(reason);
    return { result: "unknown", text, reason };
  };
  return {
    ask: async (options: Parameters<Context["ask"]>[0]): Promise<Answer> => {
      if (solver === null) return notAnswered(options.script.render([]), "there is no solver");
      try {
        isAsked = true;
        const answer = await ask({ ...options, solver, timeoutMs });
        return answer.result === "unknown" ? notAnswered(answer.text, answer.reason) : answer;
      } catch (error) {
        return notAnswered(options.script.render([]), faultRecord(error)?.message ?? String(error));
      }
    },
    /** Check 40. */
    result(): Result {
      const base = {
        check: 40,
        name: "every question answered",
        claim: `Every question was answered within ${timeoutMs} ms`,
        method: "solver",
      } as const;
      const [reason] = unanswered;
      if (solver === null) return unknown(base, "there is no solver");
      return reason === undefined ? holds(base) : unknown(base, reason);
    },
    async version(): Promise<string | null> {
      if (solver === null || !isAsked) return null;
      return solver.version().catch(() => null);
    },
  };
}

function checkOf(result: Result): CertificateCheck {
  const { check, name, verdict, claim, method, query, counterexample } = result;
  return { check, name, verdict, claim, method, query, counterexample };
}

function problemOf(result: Result): readonly FaultRecord[] {
  if (result.code === null) return [];
  const definition = verifierFaults[result.code];
  const { check, name, verdict, counterexample, otherName, otherSpans } = result;
  return [
    {
      code: result.code,
      kind: definition.kind,
      message: counterexample?.summary ?? result.claim,
      remedy: definition.remedy,
      facts: { check, name, verdict, counterexample, otherName, otherSpans },
    },
  ];
}

// Re-checks a certificate without trusting the verifier that made it, and without a solver.
//   R1  The certificate names the program that is checked, says what it refuses or proves, and every query's hash is that of its text.
//   R2  What is graph, automata, fixpoint or types work is done again from the program; it must come to the same verdicts.
//   R3  With a solver, every query that the certificate holds whole is asked again, and must be answered as the certificate says; and the
//       questions that the program alone decides (2, 3, 33, 39) are made again from it: a query that asks something else is no proof.
//   R4  A certificate that proves holds no check that is violated or unknown, and every query under a `holds` has the answer it needs.
import { createHash } from "node:crypto";
import type { Catalog } from "@writ/core/capability";
import type { Fault } from "@writ/core/fault";
import type { Solver } from "@writ/core/ports";
import type { Certificate, CertificateCheck, HashedProgram } from "@writ/core/program";
import { checkApproval } from "./checks/approval.ts";
import { checkAssumptions, checkConditions } from "./checks/conditions.ts";
import { checkParallel } from "./checks/conflicts.ts";
import { checkContainment } from "./checks/containment.ts";
import { checkDimensions } from "./checks/dimensions.ts";
import { checkFlow } from "./checks/flow.ts";
import { checkForbidden } from "./checks/forbidden.ts";
import { checkRanges } from "./checks/ranges.ts";
import type { Context } from "./checks/result.ts";
import { checkRetries } from "./checks/retries.ts";
import { checkStructure } from "./checks/structure.ts";
import { ask } from "./encode/ask.ts";
import { encoderVersion } from "./encode/version.ts";
import { fault } from "./faults.ts";
import { queryTimeoutMs } from "./limits.ts";
import { analyse, type Analysis } from "./model/analysis.ts";

/** Numbers of the checks that every proof answers. */
export const requiredChecks: readonly number[] = [1, 2, 3, 10, 16, 28, 29, 30, 32, 33, 35, 36, 39, 40];

/** Checks whose query must be satisfiable to hold: that something can happen, or that assumptions can be met. */
const satisfiable: ReadonlySet<number> = new Set([3, 39]);

export interface CheckRequest {
  readonly certificate: Certificate;
  readonly program: HashedProgram;
  readonly catalog: Catalog;
  /** The programs that it calls, and those that they call. */
  readonly callable?: readonly HashedProgram[];
  /** Asked every query again when given. */
  readonly solver?: Solver;
}

export type Checked =
  | { readonly kind: "confirmed"; readonly queriesAsked: number; readonly queriesCut: number }
  | { readonly kind: "rejected"; readonly problems: readonly Fault[] };

export async function checkCertificate(request: CheckRequest): Promise<Checked> {
  const { certificate, program, catalog, solver } = request;
  const callable = new Map((request.callable ?? []).map((one) => [one.hash, one.program]));
  const subject = { hash: program.hash, program: program.program };
  const analysis = analyse(subject, catalog, (hash) => callable.get(hash));
  const problems: Fault[] = [...formProblems(certificate, program), ...graphProblems(certificate, analysis)];
  if (solver !== undefined && problems.length === 0)
    problems.push(...(await questionProblems(certificate, analysis, solver)));
  let queriesAsked = 0;
  let queriesCut = 0;
  for (const [index, check] of certificate.checks.entries()) {
    const { query } = check;
    if (query === null) continue;
    const isWhole = createHash("sha256").update(query.text).digest("hex") === query.sha256;
    if (!isWhole) {
      // A text that was cut says so; any other difference is an edit.
      if (/\n; cut: \d+ characters\n$/.test(query.text)) queriesCut++;
      else problems.push(invalid(check, index, "its query is not the one that was hashed"));
      continue;
    }
    if (solver === undefined) continue;
    queriesAsked++;
    const answer = await solver.check(query.text, queryTimeoutMs);
    if (answer.result !== query.result) {
      problems.push(invalid(check, index, `its query is ${answer.result}, not ${query.result}`));
    }
  }
  return problems.length === 0
    ? { kind: "confirmed", queriesAsked, queriesCut }
    : { kind: "rejected", problems };
}

function formProblems(certificate: Certificate, program: HashedProgram): readonly Fault[] {
  const problems: Fault[] = [];
  const reject = (message: string, facts: Readonly<Record<string, unknown>> = {}) =>
    problems.push(fault("verifier.certificate-invalid", `Cannot accept the certificate: ${message}`, facts));
  const hash = createHash("sha256").update(program.bytes).digest("hex");
  if (hash !== program.hash)
    reject("the program's bytes do not have its hash", { hash, program: program.hash });
  if (certificate.program !== program.hash) {
    reject("it is about another program", { certificate: certificate.program, program: program.hash });
  }
  if (certificate.encoder !== encoderVersion)
    reject(`it was made by \`${certificate.encoder}\``, { expected: encoderVersion });
  if (certificate.verdict === "proved") {
    const present = new Set(certificate.checks.map((check) => check.check));
    const missing = requiredChecks.filter((check) => !present.has(check));
    if (missing.length > 0) reject(`checks ${missing.join(", ")} are missing`, { missing });
    const open = certificate.checks.filter(
      (check) => check.verdict === "violated" || check.verdict === "unknown",
    );
    if (open.length > 0)
      reject(`check ${open[0]?.check} does not hold`, { checks: open.map((check) => check.check) });
  } else if (
    certificate.checks.every((check) => check.verdict === "holds" || check.verdict === "information")
  ) {
    reject("it refuses, but every check holds");
  }
  for (const [index, check] of certificate.checks.entries()) {
    if (check.verdict !== "holds" || check.query === null) continue;
    const needed = satisfiable.has(check.check) ? "sat" : "unsat";
    if (check.query.result !== needed) {
      problems.push(
        invalid(check, index, `it holds only when its query is ${needed}, not ${check.query.result}`),
      );
    }
  }
  return problems;
}

/** The verdicts of everything that needs no solver, made again. */
function graphProblems(certificate: Certificate, analysis: Analysis): readonly Fault[] {
  const structure = checkStructure(analysis);
  const isGraph = structure.every((result) => result.verdict === "holds");
  const again = isGraph
    ? [
        ...structure,
        ...checkDimensions(analysis),
        ...checkContainment(analysis),
        ...checkForbidden(analysis),
        ...checkFlow(analysis),
        ...checkApproval(analysis),
        ...checkRetries(analysis),
      ]
    : structure;
  const verdictsOf = (checks: readonly CertificateCheck[], like: CertificateCheck) =>
    [
      ...new Set(
        checks
          .filter((check) => check.check === like.check && check.claim === like.claim)
          .map((check) => check.verdict),
      ),
    ]
      .sort()
      .join(",");
  const seen = new Set<string>();
  return again.flatMap((result, index) => {
    const key = `${result.check} ${result.claim}`;
    if (seen.has(key)) return [];
    seen.add(key);
    const [now, then] = [verdictsOf(again, result), verdictsOf(certificate.checks, result)];
    return now === then
      ? []
      : [invalid(result, index, `it comes out as ${now}, not as ${then === "" ? "checked" : then}`)];
  });
}

/** What the solver is asked about the program alone, asked again in the verifier's own words. */
async function questionProblems(
  certificate: Certificate,
  analysis: Analysis,
  solver: Solver,
): Promise<readonly Fault[]> {
  if (checkStructure(analysis).some((result) => result.verdict !== "holds")) return [];
  const context: Context = {
    subject: analysis,
    deployed: [],
    ask: (options) => ask({ ...options, solver, timeoutMs: queryTimeoutMs }),
  };
  const again = [
    ...(await checkAssumptions(context)),
    ...(await checkConditions(context)),
    ...(await checkRanges(context)),
    ...(await checkParallel(context)),
  ];
  const saysOf = (checks: readonly CertificateCheck[], number: number) =>
    checks
      .filter((check) => check.check === number)
      .map((check) => `${check.verdict} ${check.query?.sha256 ?? "unasked"}`)
      .sort()
      .join(", ");
  const first = new Map(again.toReversed().map((result) => [result.check, result]));
  return [...first.values()].flatMap((result) =>
    saysOf(again, result.check) === saysOf(certificate.checks, result.check)
      ? []
      : [
          invalid(
            result,
            certificate.checks.findIndex(({ check }) => check === result.check),
            "it asks something else, or comes out otherwise",
          ),
        ],
  );
}

function invalid(check: CertificateCheck, index: number, what: string): Fault {
  return fault(
    "verifier.certificate-invalid",
    `Cannot accept check ${check.check} (${check.name}): ${what}`,
    {
      check: check.check,
      index,
    },
  );
}

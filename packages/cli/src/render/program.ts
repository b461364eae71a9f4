import type {
  ApiCounterexample,
  ApprovalNeed,
  CompileOutcome,
  CompileProblem,
  ProgramDetail,
  ProgramSummary,
  ProofReport,
} from "@writ/core/api";
import { indent, paragraphs, section, shortHash, table, time } from "./layout.ts";
import { renderFault } from "./run.ts";

export function renderOutcome(outcome: CompileOutcome): string {
  switch (outcome.kind) {
    case "compiled":
      return paragraphs(
        renderProgram(outcome.program),
        `Next: writ approve ${shortHash(outcome.program.hash)}`,
      );
    case "refused":
      return paragraphs(
        `refused: ${outcome.name} (${shortHash(outcome.hash)})`,
        renderCounterexamples(outcome.counterexamples),
        renderTexts(outcome.rendered),
        renderProof(outcome.proof),
      );
    case "ambiguous":
      return paragraphs(
        `ambiguous: it can be read in ${outcome.readings.length} ways. Write the one you mean:`,
        ...outcome.readings.map((reading, index) =>
          indent(`${index + 1}. ${reading.en}\n   ${reading.fr}\n   differs: ${reading.difference}`),
        ),
      );
    case "rejected":
      return paragraphs("rejected: it cannot be compiled", renderProblems(outcome.problems));
  }
}

export function renderProgram(program: ProgramDetail): string {
  const language = program.language === null ? "" : `, ${program.language}`;
  return paragraphs(
    `${program.state}: ${program.name} (${program.kind}${language}, workspace ${program.workspace})`,
    renderFault(program.fault),
    renderTexts(program.rendered),
    section("Graph", program.graph.text),
    renderProof(program.proof),
    section(
      "Capabilities",
      table(
        ["id", "effect", "risk"],
        program.capabilities.map((c) => [c.id, c.effect, c.risk]),
      ),
    ),
    section("Approvals needed", renderNeeds(program.approvalsNeeded)),
    `Hash ${program.hash}`,
  );
}

export function renderPrograms(programs: readonly ProgramSummary[]): string {
  if (programs.length === 0) return "no programs";
  return table(
    ["hash", "state", "name", "kind", "workspace", "trigger", "compiled"],
    programs.map((program) => [
      shortHash(program.hash),
      program.state,
      program.name,
      program.kind,
      program.workspace,
      program.trigger,
      time(program.compiledAtMs),
    ]),
  );
}

export function renderSummary(program: ProgramSummary): string {
  return paragraphs(
    `${program.state}: ${program.name} ${program.hash}`,
    program.fault === null ? "" : `not armed: ${renderFault(program.fault)}`,
  );
}

export function renderProblems(problems: readonly CompileProblem[]): string {
  return problems
    .map((problem) =>
      [
        `${problem.code}: ${problem.message}${problem.at === null ? "" : ` (at \`${problem.at}\`)`}`,
        problem.excerpt === null ? "" : indent(problem.excerpt),
        problem.suggestions.length === 0 ? "" : `  did you mean: ${problem.suggestions.join(", ")}`,
        `  ${problem.remedy}`,
      ]
        .filter((line) => line !== "")
        .join("\n"),
    )
    .join("\n\n");
}

export function renderCounterexamples(counterexamples: readonly ApiCounterexample[]): string {
  return counterexamples
    .map((found) =>
      paragraphs(
        `${found.summary}   [check ${found.check}, ${found.name}]`,
        found.excerpt === null ? "" : indent(found.excerpt),
        section("for example", found.values.map(({ name, value }) => `${name} = ${value}`).join("\n")),
        found.path.length === 0 ? "" : `by way of ${found.path.join(" → ")}`,
        found.other === null
          ? ""
          : `the other program: ${found.other.name} (${shortHash(found.other.program)})\n${indent(found.other.excerpt ?? "")}`,
      ),
    )
    .join("\n\n");
}

function renderTexts(rendered: { readonly en: string; readonly fr: string } | null): string {
  return rendered === null ? "" : section("Reads as", `${rendered.en}\n${rendered.fr}`);
}

const marks: Readonly<Record<ProofReport["checks"][number]["verdict"], string>> = {
  holds: "holds      ",
  violated: "VIOLATED   ",
  unknown: "UNKNOWN    ",
  information: "information",
};

function renderProof(proof: ProofReport): string {
  const solver = proof.solver === null ? "no solver needed" : proof.solver;
  const others =
    proof.against.length === 1 ? "1 deployed program" : `${proof.against.length} deployed programs`;
  const head = `Proof: ${proof.verdict} (${solver}, ${Math.round(proof.elapsedMs)} ms, against ${others})`;
  return section(
    head,
    proof.checks
      .map(
        (check) =>
          `${marks[check.verdict]}  ${String(check.check).padStart(2)} ${check.name}: ${check.claim}`,
      )
      .join("\n"),
  );
}

function renderNeeds(needs: readonly ApprovalNeed[]): string {
  return needs
    .map((need) => {
      const when =
        need.when === "before-deployment" ? "before deployment" : `during a run, at ${need.step ?? "?"}`;
      return `${when}: ${need.role} (${need.reason})`;
    })
    .join("\n");
}

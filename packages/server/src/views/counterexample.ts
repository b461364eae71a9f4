// Counterexamples as a person reads them: concrete values, and the words that clash underlined.
import type { ApiCounterexample } from "@writ/core/api";
import type { Counterexample, ProgramSource } from "@writ/core/program";
import type { RegisteredProgram } from "@writ/runtime/registry";
import type { Verified } from "@writ/verifier/verify";
import { keptOf } from "../node/programs.ts";
import type { NodeContext } from "../node/context.ts";
import { excerptOf } from "./excerpt.ts";

type Words = Pick<ProgramSource, "text" | "spans">;

export async function counterexamplesOf(
  node: NodeContext,
  verified: Verified,
  source: Words,
): Promise<ApiCounterexample[]> {
  const shown: ApiCounterexample[] = [];
  for (const { check, name, claim, verdict, counterexample } of verified.certificate.checks) {
    if (verdict !== "violated" && verdict !== "unknown") continue;
    if (counterexample === null) {
      // A solver that gave up has no values to show, and is a refusal all the same.
      shown.push({
        check,
        name,
        summary: claim,
        values: [],
        path: [],
        spans: [],
        excerpt: null,
        other: null,
      });
      continue;
    }
    const spans = spansOf(counterexample, source);
    shown.push({
      check,
      name,
      summary: counterexample.summary,
      values: [...counterexample.values],
      path: [...counterexample.path],
      spans: spans.map(([start, end]) => [start, end]),
      excerpt: excerptOf(source.text, spans),
      other: await otherOf(node, counterexample, otherSpansOf(verified, counterexample)),
    });
  }
  return shown;
}

/** The verifier's own spans, or those of the steps the counterexample passes through. */
function spansOf(counterexample: Counterexample, source: Words): readonly (readonly [number, number])[] {
  if (counterexample.spans.length > 0) return counterexample.spans;
  return counterexample.path.flatMap((step) => {
    const span = Object.hasOwn(source.spans, step) ? source.spans[step] : undefined;
    return span === undefined ? [] : [span];
  });
}

const excerptLinesMax = 12;
const excerptLengthMax = 2000;
type Spans = readonly (readonly [number, number])[];

/** Words of the other program that clash; the verifier knows them, the certificate does not carry them. */
function otherSpansOf(verified: Verified, counterexample: Counterexample): Spans {
  if (verified.kind === "proved") return [];
  const problem = verified.problems.find(({ facts }) => facts["counterexample"] === counterexample);
  const spans = problem?.facts["otherSpans"];
  return Array.isArray(spans) ? (spans as Spans) : [];
}

async function otherOf(
  node: NodeContext,
  { other }: Counterexample,
  spans: Spans,
): Promise<ApiCounterexample["other"]> {
  const known = other === null ? undefined : node.registry().programs.get(other);
  if (known === undefined) return null;
  return { program: known.hash, name: known.name, excerpt: await wordsOf(node, known, spans) };
}

/** Null when its record is damaged: that it clashes is known from its signed form. */
async function wordsOf(node: NodeContext, known: RegisteredProgram, spans: Spans): Promise<string | null> {
  try {
    const { text } = (await keptOf(node, known)).source;
    const beginning = text.split("\n").slice(0, excerptLinesMax).join("\n");
    return excerptOf(text, spans) ?? beginning.slice(0, excerptLengthMax);
  } catch {
    return null;
  }
}

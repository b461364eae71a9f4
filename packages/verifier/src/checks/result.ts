// What a check says, before it becomes part of a certificate.
import { createHash } from "node:crypto";
import { sha256 } from "@writ/core/ids";
import type { CertificateCheck, Counterexample } from "@writ/core/program";
import type { Answer, AskOptions } from "../encode/ask.ts";
import type { verifierFaults } from "../faults.ts";
import { queryTextLengthMax } from "../limits.ts";
import type { Analysis } from "../model/analysis.ts";

export type ProblemCode = keyof typeof verifierFaults;

export interface Result extends CertificateCheck {
  /** What a refusal is reported as; null when the verdict is no refusal. */
  readonly code: ProblemCode | null;
  /** Characters of the other rule's text, where there is one. */
  readonly otherSpans: readonly (readonly [number, number])[];
  readonly otherName: string | null;
}

export interface Context {
  readonly subject: Analysis;
  readonly deployed: readonly Analysis[];
  /** Asks the solver; without one, or when it fails, the answer is unknown with the reason. */
  ask(options: Omit<AskOptions, "solver" | "timeoutMs">): Promise<Answer>;
}

export type Method = CertificateCheck["method"];

interface Base {
  readonly check: number;
  readonly name: string;
  readonly claim: string;
  readonly method: Method;
  readonly answer?: Answer | null;
}

export function holds(base: Base): Result {
  return { ...common(base), verdict: "holds", counterexample: null, code: null };
}

export function information(
  base: Base,
  counterexample: Counterexample | null,
  other: Analysis | null = null,
): Result {
  return {
    ...common(base),
    verdict: "information",
    counterexample,
    code: null,
    otherName: other?.name ?? null,
  };
}

export function unknown(base: Base, reason: string): Result {
  return {
    ...common(base),
    verdict: "unknown",
    claim: `Not proved: ${reason}. The claim was: ${base.claim}`,
    counterexample: null,
    code: "verifier.not-proved",
  };
}

export function violated(
  base: Base,
  code: ProblemCode,
  counterexample: Counterexample,
  other: { readonly analysis: Analysis; readonly keys: readonly string[] } | null = null,
): Result {
  return {
    ...common(base),
    verdict: "violated",
    counterexample,
    code,
    otherSpans: other === null ? [] : spansOf(other.analysis, other.keys),
    otherName: other?.analysis.name ?? null,
  };
}

function common(base: Base) {
  const { check, name, claim, method, answer = null } = base;
  return { check, name, claim, method, query: queryOf(answer), otherSpans: [], otherName: null };
}

function queryOf(answer: Answer | null): CertificateCheck["query"] {
  if (answer === null) return null;
  const isWhole = answer.text.length <= queryTextLengthMax;
  return {
    text: isWhole
      ? answer.text
      : `${answer.text.slice(0, queryTextLengthMax)}\n; cut: ${answer.text.length} characters\n`,
    sha256: sha256(createHash("sha256").update(answer.text).digest("hex")),
    result: answer.result,
  };
}

/** Characters of the rule's text that the parts came from, in order of the text, without repetition. */
export function spansOf(analysis: Analysis, keys: readonly string[]): readonly (readonly [number, number])[] {
  const spans = analysis.subject.source?.spans ?? {};
  const found = new Map<string, readonly [number, number]>();
  for (const key of keys) {
    const span = Object.hasOwn(spans, key) ? spans[key] : undefined;
    if (span !== undefined) found.set(span.join("-"), span);
  }
  return [...found.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** The words of the rule at the first of these parts, in quotation marks, or what to say instead. */
export function quoteRule(analysis: Analysis, keys: readonly string[], otherwise: string): string {
  const [span] = spansOf(analysis, keys);
  const words =
    span === undefined ? "" : (analysis.subject.source?.text.slice(span[0], span[1]).trim() ?? "");
  return words === "" ? otherwise : `“${words}”`;
}

export function counterexample(
  analysis: Analysis,
  facts: {
    readonly summary: string;
    readonly values?: Counterexample["values"];
    readonly path?: readonly string[];
    readonly keys: readonly string[];
    readonly other?: Counterexample["other"];
  },
): Counterexample {
  const { summary, values = [], path = [], keys, other = null } = facts;
  return { summary, values, path, spans: spansOf(analysis, keys), other };
}

/** Values in a sentence: `sum of amount = 10000.01 EUR, file = inbox/a.csv`. */
export function sayValues(values: Counterexample["values"]): string {
  return values.map(({ name, value }) => `${name} = ${value}`).join(", ");
}

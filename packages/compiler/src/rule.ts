// Rule text in; a program, a question or a list of problems out. Never a guess.
import type { Catalog, Language } from "@writ/core/capability";
import type { Program, ProgramSource } from "@writ/core/program";
import { bindTree, type Bound } from "./bind/bind.ts";
import type { Grammar } from "./language/chart.ts";
import { detectLanguage } from "./language/detect.ts";
import { english } from "./language/english.ts";
import { french } from "./language/french.ts";
import { buildGrammar } from "./language/grammar.ts";
import { parseRule, type Reading } from "./language/parse.ts";
import type { Surface } from "./language/surface.ts";
import type { Span, Tree } from "./language/tree.ts";
import { differences } from "./language/difference.ts";
import { renderProgramText, renderTree } from "./render.ts";
import { ruleProblem, type RuleProblem } from "./rule-problems.ts";

export type { Span, Spans, Tree } from "./language/tree.ts";
export { ruleFaults, type RuleProblem, type RuleProblemCode } from "./rule-problems.ts";

/** One meaning of an ambiguous rule, said unambiguously in both languages. */
export interface RuleReading {
  readonly text: Readonly<Record<Language, string>>;
  /** The program it would be, as `renderProgramText` writes it: tells readings apart that sound the same. */
  readonly listing: string;
  /** Characters of the rule whose meaning differs from another reading's. */
  readonly differsAt: readonly Span[];
}

export type RuleOutcome =
  | {
      readonly kind: "compiled";
      readonly program: Program;
      readonly source: ProgramSource;
      readonly tree: Tree;
    }
  | { readonly kind: "ambiguous"; readonly language: Language; readonly readings: readonly RuleReading[] }
  | { readonly kind: "rejected"; readonly language: Language; readonly problems: readonly RuleProblem[] };

export interface RuleRequest {
  readonly text: string;
  /** Detected when absent. */
  readonly language?: Language;
  readonly catalog: Catalog;
  readonly name?: string;
}

/** The grammars of one catalog. Building them costs more than reading a rule: keep it for as long as the catalog is the same. */
export interface RuleCompiler {
  compile(request: Omit<RuleRequest, "catalog">): RuleOutcome;
}

export function ruleCompiler(catalog: Catalog): RuleCompiler {
  const grammars = new Map<Language, Grammar>();
  const grammarOf = (surface: Surface): Grammar => {
    const known = grammars.get(surface.language);
    if (known !== undefined) return known;
    const built = buildGrammar(surface, catalog);
    grammars.set(surface.language, built);
    return built;
  };
  return {
    compile({ text, language, name }) {
      const detected = language ?? detectLanguage(text);
      const surface = detected === "fr" ? french : english;
      const parsed = parseRule(text, surface, grammarOf(surface));
      if (parsed.kind === "problems")
        return { kind: "rejected", language: detected, problems: parsed.problems };
      const meanings = meaningsOf(parsed.readings, catalog);
      const [only] = meanings.bound;
      if (only === undefined) return { kind: "rejected", language: detected, problems: meanings.problems };
      if (meanings.bound.length === 1 && !parsed.isWhole)
        return {
          kind: "rejected",
          language: detected,
          problems: [
            ruleProblem("rule.too-complex", "Cannot read this rule: it can be read in too many ways", [
              0,
              text.length,
            ]),
          ],
        };
      if (meanings.bound.length > 1)
        return {
          kind: "ambiguous",
          language: detected,
          readings: meanings.bound.map(({ reading, bound }) => ({
            text: {
              en: renderTree(reading.tree, "en", catalog),
              fr: renderTree(reading.tree, "fr", catalog),
            },
            listing: renderProgramText(bound.program),
            differsAt: differences(
              reading,
              meanings.bound.map((other) => other.reading),
            ),
          })),
        };
      return {
        kind: "compiled",
        program: only.bound.program,
        source: {
          kind: "rule",
          name: name ?? parsed.name ?? "rule",
          text,
          language: detected,
          spans: only.bound.spans,
        },
        tree: only.reading.tree,
      };
    },
  };
}

export function compileRule(request: RuleRequest): RuleOutcome {
  const { catalog, ...rest } = request;
  return ruleCompiler(catalog).compile(rest);
}

interface Meaning {
  readonly reading: Reading;
  readonly bound: Extract<Bound, { kind: "bound" }>;
}

/**
 * Readings that make sense in the catalog, one for each program. A list whose acts depend on each other is read in every order.
 * When no reading makes sense, the problems of the first.
 */
function meaningsOf(
  readings: readonly Reading[],
  catalog: Catalog,
): { readonly bound: readonly Meaning[]; readonly problems: readonly RuleProblem[] } {
  const bound: Meaning[] = [];
  let problems: readonly RuleProblem[] = [];
  const seen = new Set<string>();
  const tried = readings.map((reading) => ({ reading, result: bindTree(reading, catalog) }));
  const ordered = tried.flatMap(({ reading, result }) =>
    result.kind === "problems" && result.problems.every(({ code }) => code === "rule.dependent-list")
      ? reading.orders().map((order) => ({ reading: order, result: bindTree(order, catalog) }))
      : [],
  );
  for (const { reading, result } of [...tried, ...ordered]) {
    if (result.kind === "problems") {
      if (problems.length === 0) problems = result.problems;
      continue;
    }
    const key = JSON.stringify(result.program);
    if (!seen.has(key)) bound.push({ reading, bound: result });
    seen.add(key);
  }
  return { bound, problems };
}

// Text to trees: sentence by sentence, all readings kept. Problems point at the words and say what was expected there.
import { ruleTextLengthMax } from "@writ/core/limits";
import { ruleProblem, type RuleProblem } from "../rule-problems.ts";
import { alternativesMax, resolveIt, resolveSaid } from "./anaphora.ts";
import { assemble, draftsMax } from "./assemble.ts";
import { fullBudget, parseTokens, type Budget, type Grammar } from "./chart.ts";
import type { Sentence } from "./grammar.ts";
import { ordersOf } from "./order.ts";
import { stopped } from "./stopped.ts";
import type { Surface } from "./surface.ts";
import { tokenize, type Token } from "./token.ts";
import { plant, type Draft, type Span, type Spans, type Tree } from "./tree.ts";

export interface Reading {
  readonly tree: Tree;
  readonly spans: Spans;
  /** The same with its plain list in each order, for when the acts of the list depend on each other. */
  readonly orders: () => readonly Reading[];
}

type ParsedRule =
  | {
      readonly kind: "readings";
      readonly readings: readonly Reading[];
      readonly name: string | null;
      /** False when there are more readings than are kept: then one that makes sense is not the only one. */
      readonly isWhole: boolean;
    }
  | { readonly kind: "problems"; readonly problems: readonly RuleProblem[] };

/** Bounds the depth of every recursion over what a sentence says. */
const sentenceTokensMax = 200;

const sentencesMax = 200;

const problemsMax = 20;

export function parseRule(text: string, surface: Surface, grammar: Grammar): ParsedRule {
  const refused = refuseText(text);
  if (refused !== null) return { kind: "problems", problems: [refused] };
  const lexed = tokenize(text, surface.language);
  if (lexed.kind === "quote-open")
    return problem(ruleProblem("rule.quote-open", "Cannot find the end of the quoted text", lexed.span));
  if (lexed.kind === "character")
    return problem(
      ruleProblem(
        "rule.character",
        `Cannot read \`${text.slice(lexed.span[0], lexed.span[1])}\` in a rule`,
        lexed.span,
      ),
    );
  if (lexed.kind === "number")
    return problem(ruleProblem("rule.number", "Cannot hold a number of so many digits", lexed.span));
  const sentences = split(lexed.tokens);
  if (sentences.length > sentencesMax)
    return problem(
      ruleProblem("rule.too-long", `Cannot read more than ${sentencesMax} sentences`, [0, text.length]),
    );

  const problems: RuleProblem[] = [];
  const read: (readonly Sentence[])[] = [];
  const budget = fullBudget();
  let name: string | null = null;
  let isWhole = true;
  for (const [index, tokens] of sentences.entries()) {
    let parsed = readSentence(tokens, surface, grammar, budget);
    const colon = tokens.findIndex((token) => token.text === ":");
    if (index === 0 && parsed.kind === "problem" && colon > 0 && colon < 9) {
      name = text.slice(tokens[0]?.span[0] ?? 0, tokens[colon]?.span[0]).trim();
      parsed = readSentence(tokens.slice(colon + 1), surface, grammar, budget);
    }
    if (parsed.kind === "problem") {
      problems.push(parsed.problem);
      if (parsed.problem.code === "rule.too-complex") break;
    } else {
      isWhole &&= parsed.isWhole;
      read.push(
        parsed.sentences.flatMap((sentence) => {
          const meanings = resolveIt(sentence);
          isWhole &&= meanings.length < alternativesMax;
          return meanings;
        }),
      );
    }
  }
  if (problems.length > 0) return { kind: "problems", problems: problems.slice(0, problemsMax) };

  const assembled = assemble(read, text);
  if ("code" in assembled) return problem(assembled);
  isWhole &&= assembled.length < draftsMax;
  const drafts: Draft[] = [];
  for (const draft of assembled) {
    const resolved = resolveSaid(draft);
    if ("k" in resolved) {
      const span = resolved.span ?? [0, 0];
      return problem(
        ruleProblem(
          "rule.no-antecedent",
          `Cannot tell what \`${text.slice(...span)}\` is: nothing of that name was spoken of before`,
          span,
        ),
      );
    }
    isWhole &&= resolved.length < alternativesMax;
    drafts.push(...resolved);
  }
  const readings = drafts.map((draft) => ({
    ...plant(draft),
    orders: (): readonly Reading[] =>
      ordersOf(draft).map((ordered) => ({ ...plant(ordered), orders: () => [] })),
  }));
  const seen = new Set<string>();
  return {
    kind: "readings",
    name,
    isWhole,
    readings: readings.filter(({ tree }) => {
      const key = JSON.stringify(tree);
      return seen.has(key) ? false : seen.add(key) !== undefined;
    }),
  };
}

function problem(one: RuleProblem): ParsedRule {
  return { kind: "problems", problems: [one] };
}

function refuseText(text: string): RuleProblem | null {
  if (text.length > ruleTextLengthMax)
    return ruleProblem(
      "rule.too-long",
      `Cannot read a rule of ${text.length} characters: at most ${ruleTextLengthMax}`,
      [0, text.length],
    );
  const hidden = /[^\P{C}\n\r\t]/u.exec(text);
  if (hidden !== null) {
    const code = (hidden[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    return ruleProblem("rule.control-character", `Cannot read the character U+${code} in a rule`, [
      hidden.index,
      hidden.index + hidden[0].length,
    ]);
  }
  if (text.trim() === "") return ruleProblem("rule.empty", "Cannot read an empty rule", [0, text.length]);
  return null;
}

/** Sentences end with a full stop; the last one may go without. */
function split(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const sentences: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "mark" && token.text === ".") sentences.push([]);
    else sentences.at(-1)?.push(token);
  }
  return sentences.filter((sentence) => sentence.length > 0);
}

type ReadSentence =
  | { readonly kind: "sentences"; readonly sentences: readonly Sentence[]; readonly isWhole: boolean }
  | { readonly kind: "problem"; readonly problem: RuleProblem };

function readSentence(
  tokens: readonly Token[],
  surface: Surface,
  grammar: Grammar,
  budget: Budget,
): ReadSentence {
  const whole: Span = [tokens[0]?.span[0] ?? 0, tokens.at(-1)?.span[1] ?? 0];
  if (tokens.length > sentenceTokensMax)
    return {
      kind: "problem",
      problem: ruleProblem(
        "rule.too-complex",
        `Cannot read a sentence of ${tokens.length} words: at most ${sentenceTokensMax}`,
        whole,
      ),
    };
  const parsed = parseTokens(grammar, "Sentence", tokens, budget);
  switch (parsed.kind) {
    case "too-complex":
      return {
        kind: "problem",
        problem: ruleProblem(
          "rule.too-complex",
          "Cannot read this sentence: it can be read in too many ways",
          whole,
        ),
      };
    case "stopped":
      return { kind: "problem", problem: stopped(tokens, parsed, surface, grammar) };
    case "values":
      if (parsed.values.length === 0)
        return {
          kind: "problem",
          problem: ruleProblem(
            "rule.value",
            "Cannot read this sentence: a number in it cannot stand where it does (like `25:00`, `12 am` for noon or midnight, or `0 minutes`)",
            whole,
          ),
        };
      // The productions of `Sentence` make nothing else.
      return { kind: "sentences", sentences: parsed.values as readonly Sentence[], isWhole: parsed.isWhole };
  }
}

// Why a sentence could not be read: the words where reading stopped, what was expected there, and what comes closest.
import { ruleProblem, type RuleProblem, type RuleProblemCode } from "../rule-problems.ts";
import type { Grammar, Parsed } from "./chart.ts";
import { closest } from "./closest.ts";
import { english } from "./english.ts";
import { french } from "./french.ts";
import type { Surface } from "./surface.ts";
import type { Token } from "./token.ts";
import type { Span } from "./tree.ts";

const expectedMax = 40;

export function stopped(
  tokens: readonly Token[],
  parsed: Extract<Parsed, { kind: "stopped" }>,
  surface: Surface,
  grammar: Grammar,
): RuleProblem {
  const { at } = parsed;
  const token = tokens[at];
  const last = tokens.at(-1);
  const words = entityWords(parsed.expected, grammar);
  const expected = describe(parsed.expected, words, surface, grammar);
  const construct = unsupportedAt(tokens, at, surface);
  if (construct !== null)
    return ruleProblem(
      "rule.unsupported",
      `Cannot compile \`${construct.name}\`: this version does not run it`,
      construct.span,
      { expected },
    );
  if (token === undefined)
    return ruleProblem(
      "rule.incomplete",
      `Cannot end the sentence after \`${last?.raw ?? ""}\``,
      last?.span ?? [0, 0],
      { expected },
    );
  const suggestions = closest(token.text, candidates(parsed.expected, words, grammar));
  const other = surface.language === "en" ? french : english;
  const foreign =
    token.kind === "word" &&
    suggestions.length === 0 &&
    other.common.includes(token.text) &&
    !surface.common.includes(token.text);
  const code = foreign ? "rule.mixed-language" : codeFor(token, tokens[at - 1], parsed.expected, grammar);
  return ruleProblem(code, messageFor(code, token), token.span, { expected, suggestions });
}

function messageFor(code: RuleProblemCode, token: Token): string {
  switch (code) {
    case "rule.mixed-language":
      return `Cannot read \`${token.raw}\`: it is a word of the other language`;
    case "rule.unknown-verb":
      return `Cannot find \`${token.raw}\` among what can be done`;
    case "rule.unknown-place":
      return `Cannot find a folder or file called \`${token.raw}\``;
    case "rule.unknown-role":
      return `Cannot find a role called \`${token.raw}\``;
    case "rule.unknown-unit":
      return `Cannot find a unit or currency called \`${token.raw}\``;
    default:
      return `Cannot read \`${token.raw}\` here`;
  }
}

function codeFor(
  token: Token,
  before: Token | undefined,
  expected: readonly string[],
  grammar: Grammar,
): RuleProblemCode {
  if (token.kind !== "word") return "rule.syntax";
  const names = new Set(expected);
  const expects = (symbol: string): boolean => {
    const first = grammar.first[grammar.numbers.get(symbol) ?? -1];
    if (first === undefined || first.size === 0) return false;
    for (const terminal of first) if (!names.has(grammar.names[terminal] ?? "")) return false;
    return true;
  };
  if (before?.kind === "number" && expects("Unit")) return "rule.unknown-unit";
  if (expects("Act")) return "rule.unknown-verb";
  if (expects("RoleWord")) return "rule.unknown-role";
  if (expects("FolderWord") || expects("FileWord")) return "rule.unknown-place";
  return "rule.syntax";
}

const entitySymbols = ["FolderWord", "FileWord", "RoleWord", "ColumnWord"];

/** Whole names of folders, files, roles and columns that begin with an expected word. */
function entityWords(expected: readonly string[], grammar: Grammar): readonly string[] {
  const names = new Set(expected);
  return entitySymbols.flatMap((symbol) =>
    (grammar.of[grammar.numbers.get(symbol) ?? -1] ?? [])
      .map((production) => production.right.map((part) => grammar.names[part] ?? ""))
      .filter((parts) => names.has(parts[0] ?? "") && parts.every((part) => part.startsWith("=")))
      .map((parts) => parts.map((part) => part.slice(1)).join(" ")),
  );
}

/** What can be suggested: names whole and by their first word, and the grammar's own words. */
function candidates(
  expected: readonly string[],
  entities: readonly string[],
  grammar: Grammar,
): readonly string[] {
  const inNames = firstOfNames(grammar);
  const literals = expected.flatMap((name) =>
    name.startsWith("=") && !inNames.has(name) ? [name.slice(1)] : [],
  );
  const firsts = entities.map((words) => words.split(" ")[0] ?? "");
  return [...entities, ...firsts, ...literals].filter((word) => /\p{L}{2}/u.test(word));
}

function firstOfNames(grammar: Grammar): ReadonlySet<string> {
  return new Set(
    entitySymbols.flatMap((symbol) =>
      [...(grammar.first[grammar.numbers.get(symbol) ?? -1] ?? [])].map(
        (number) => grammar.names[number] ?? "",
      ),
    ),
  );
}

const classNames: Readonly<Record<"en" | "fr", Readonly<Record<string, string>>>> = {
  en: {
    "#number": "a number",
    "#quoted": 'a text in quotes, such as "amount"',
    "#path": "a path, such as journal.csv",
    "#url": "an address, such as http://127.0.0.1:8080/",
    "#time": "a time, such as 08:00",
    "#word": "a kind of file, such as CSV",
  },
  fr: {
    "#number": "un nombre",
    "#quoted": "un texte entre guillemets, comme « montant »",
    "#path": "un chemin, comme journal.csv",
    "#url": "une adresse, comme http://127.0.0.1:8080/",
    "#time": "une heure, comme 08:00",
    "#word": "un type de fichier, comme CSV",
  },
};

/** Words and classes as people read them: whole names instead of their first words, no articles. */
function describe(
  expected: readonly string[],
  entities: readonly string[],
  surface: Surface,
  grammar: Grammar,
): readonly string[] {
  const classes = classNames[surface.language];
  const inNames = firstOfNames(grammar);
  const shown = expected.flatMap((name) => {
    if (inNames.has(name) || surface.articles.includes(name.slice(1))) return [];
    if (name.startsWith("=")) return [name.slice(1)];
    const described = classes[name];
    return described === undefined ? [] : [described];
  });
  return [...new Set([...entities, ...shown])]
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .slice(0, expectedMax);
}

/** A construct of the full language that this version refuses by name, at or just before the place where reading stopped. */
function unsupportedAt(
  tokens: readonly Token[],
  at: number,
  surface: Surface,
): { readonly name: string; readonly span: Span } | null {
  for (const [name, wordings] of Object.entries(surface.unsupported))
    for (const wording of wordings) {
      const isFirst = wording.startsWith("^ ");
      const words = (isFirst ? wording.slice(2) : wording).split(" ");
      const last = isFirst ? 0 : at;
      for (let start = Math.max(0, at - words.length); start <= last; start++) {
        if (!words.every((word, index) => tokens[start + index]?.text === word)) continue;
        const from = tokens[start]?.span[0] ?? 0;
        return { name, span: [from, tokens[start + words.length - 1]?.span[1] ?? from] };
      }
    }
  return null;
}

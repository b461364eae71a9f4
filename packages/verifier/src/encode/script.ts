// A question to the solver under construction: constants, named assertions, and what each constant stands for in the program.
//   E1  Decimals are Real, counts are Int, truth values are Bool. No text ever reaches the solver: what a condition says of a text is
//       a Bool (an atom) with a regular language, and `encode/ask.ts` checks by automata that the solver's choice is possible.
//   E2  The same calls in the same order give the same text, so a certificate can be compared byte by byte.
//   E3  A part the encoding does not know is a free constant and is listed in `approximated`: more is possible, never less.
import type { Machine } from "../automata/machine.ts";
import type { Regular } from "../automata/regular.ts";
import type { Analysis } from "../model/analysis.ts";
import type { AccessPath } from "../model/typing.ts";

/** Whose value a constant is. Events shared by two programs have one owner. */
export interface Owner {
  readonly prefix: string;
  readonly analysis: Analysis;
}

export type Meaning =
  | {
      readonly kind: "number" | "boolean";
      readonly owner: Owner;
      readonly path: AccessPath;
      /** What was read, when every program that the event starts reads the same. */
      readonly reading: string | null;
    }
  | { readonly kind: "choice"; readonly owner: Owner; readonly choice: string }
  | {
      readonly kind: "atom";
      readonly text: string;
      readonly language: Regular | Machine;
      readonly says: string;
    }
  | { readonly kind: "same-text"; readonly left: string; readonly right: string }
  | { readonly kind: "clock"; readonly part: "minute" | "day"; readonly zone: string }
  | { readonly kind: "selector"; readonly index: number }
  | { readonly kind: "free"; readonly of: string };

/** A text of the program; it has a language and no constant. */
export interface TextVariable {
  readonly name: string;
  readonly owner: Owner;
  readonly path: AccessPath;
  readonly reading: string | null;
  readonly base: Regular;
}

export interface Script {
  readonly meanings: ReadonlyMap<string, Meaning>;
  readonly texts: ReadonlyMap<string, TextVariable>;
  readonly approximated: ReadonlySet<string>;
  /** What each named assertion says, for cores. */
  readonly labels: ReadonlyMap<string, string>;
  declare(name: string, sort: "Real" | "Int" | "Bool", meaning: Meaning): string;
  text(variable: TextVariable): void;
  /** The term must hold. The name must be new; `label` says it for a person. */
  assert(term: string, name: string, label: string): void;
  approximate(expression: string): void;
  /** SMT-LIB, ending in `(check-sat)`. */
  render(lemmas: readonly string[]): string;
}

export function createScript(title: string): Script {
  const meanings = new Map<string, Meaning>();
  const texts = new Map<string, TextVariable>();
  const approximated = new Set<string>();
  const labels = new Map<string, string>();
  const declarations: string[] = [];
  const assertions: string[] = [];
  return {
    meanings,
    texts,
    approximated,
    labels,
    declare(written, sort, meaning) {
      const name = clean(written);
      const symbol = quote(name);
      if (!meanings.has(name)) {
        meanings.set(name, meaning);
        declarations.push(`(declare-const ${symbol} ${sort})`);
      }
      return symbol;
    },
    text(variable) {
      if (!texts.has(variable.name)) texts.set(variable.name, variable);
    },
    assert(term, written, label) {
      const name = clean(written);
      if (labels.has(name)) return;
      labels.set(name, label);
      assertions.push(`(assert (! ${term} :named ${quote(name)}))`);
    },
    approximate(expression) {
      approximated.add(expression);
    },
    render: (lemmas) =>
      [`; ${title}`, ...declarations, ...assertions, ...lemmas, "(check-sat)", ""].join("\n"),
  };
}

export function quote(name: string): string {
  return `|${name}|`;
}

/** A name that can stand between bars. */
export function clean(name: string): string {
  return name.replaceAll(/[|\\\n\r]/g, "_");
}

export function conjunction(terms: readonly string[]): string {
  const [first, ...rest] = terms.filter((term) => term !== "true");
  if (terms.includes("false")) return "false";
  if (first === undefined) return "true";
  return rest.length === 0 ? first : `(and ${[first, ...rest].join(" ")})`;
}

export function disjunction(terms: readonly string[]): string {
  const [first, ...rest] = terms.filter((term) => term !== "false");
  if (terms.includes("true")) return "true";
  if (first === undefined) return "false";
  return rest.length === 0 ? first : `(or ${[first, ...rest].join(" ")})`;
}

export function negation(term: string): string {
  if (term === "true") return "false";
  if (term === "false") return "true";
  return `(not ${term})`;
}

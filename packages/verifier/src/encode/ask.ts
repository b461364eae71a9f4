// Asks a script and makes sure that the texts of the answer exist: the solver chooses what holds of a text, automata find one.
// Where none exists, that choice is excluded by a lemma (true of all texts, so the script says the same) and the solver is asked again.
import type { Solver } from "@writ/core/ports";
import { decimal, type Decimal } from "@writ/core/value";
import { machineOf, shortestWord, type Machine } from "../automata/machine.ts";
import { anything, chars, concat, word, type Regular } from "../automata/regular.ts";
import { parseSexprs, type Sexpr } from "../solver/sexpr.ts";
import { textRoundsMax } from "../limits.ts";
import { disjunction, negation, quote, type Script, type TextVariable } from "./script.ts";

export interface Solution {
  /** By the constant's name. Absent where the solver gave none a decimal can hold. */
  readonly numbers: ReadonlyMap<string, Decimal>;
  readonly truths: ReadonlyMap<string, boolean>;
  /** By the text's name. */
  readonly texts: ReadonlyMap<string, string>;
}

export type Answer =
  | { readonly result: "sat"; readonly text: string; readonly solution: Solution }
  | { readonly result: "unsat"; readonly text: string; readonly core: readonly string[] }
  | { readonly result: "unknown"; readonly text: string; readonly reason: string };

export interface AskOptions {
  readonly script: Script;
  readonly solver: Solver;
  readonly timeoutMs: number;
  /** Names of the constants that decide the answer; the rest may have impossible texts. Default: all. */
  relevant?(truths: ReadonlyMap<string, boolean>): ReadonlySet<string>;
  /** Clauses that exclude answers seen before. */
  readonly excluding?: readonly string[];
}

export async function ask(options: AskOptions): Promise<Answer> {
  const { script, solver, timeoutMs } = options;
  const lemmas = [...(options.excluding ?? [])];
  for (let round = 0; round < textRoundsMax; round++) {
    const text = script.render(lemmas);
    const answer = await solver.check(text, timeoutMs);
    if (answer.result === "unsat") return { result: "unsat", text, core: answer.core };
    if (answer.result === "unknown") return { result: "unknown", text, reason: answer.reason };
    const { numbers, truths } = readModel(answer.model);
    const relevant = options.relevant?.(truths) ?? null;
    const chosen = chooseTexts(script, truths, relevant);
    if (chosen.kind === "texts") {
      return { result: "sat", text, solution: { numbers, truths, texts: chosen.texts } };
    }
    if (chosen.kind === "too-large")
      return { result: "unknown", text, reason: "the patterns of texts are too large" };
    lemmas.push(lemma(script, truths, chosen.atoms, lemmas.length));
  }
  return {
    result: "unknown",
    text: script.render(lemmas),
    reason: `no possible texts were found in ${textRoundsMax} rounds`,
  };
}

type Chosen =
  | { readonly kind: "texts"; readonly texts: ReadonlyMap<string, string> }
  | { readonly kind: "impossible"; readonly atoms: readonly string[] }
  | { readonly kind: "too-large" };

function chooseTexts(
  script: Script,
  truths: ReadonlyMap<string, boolean>,
  relevant: ReadonlySet<string> | null,
): Chosen {
  const groups = new Map<string, string>();
  const rootOf = (name: string): string => {
    let root = name;
    for (let next = groups.get(root); next !== undefined; next = groups.get(root)) root = next;
    return root;
  };
  const atoms: { readonly name: string; readonly text: string; readonly language: Regular | Machine }[] = [];
  const joins: string[] = [];
  const splits: { readonly name: string; readonly left: string; readonly right: string }[] = [];
  for (const [name, meaning] of script.meanings) {
    if (relevant !== null && !relevant.has(name)) continue;
    if (meaning.kind === "atom") atoms.push({ name, ...meaning });
    if (meaning.kind === "same-text") {
      if (truths.get(name) === true) {
        joins.push(name);
        const [left, right] = [rootOf(meaning.left), rootOf(meaning.right)];
        if (left !== right) groups.set(left, right);
      } else splits.push({ name, ...meaning });
    }
  }
  const members = new Map<string, TextVariable[]>();
  for (const variable of script.texts.values()) {
    const root = rootOf(variable.name);
    members.set(root, [...(members.get(root) ?? []), variable]);
  }
  const texts = new Map<string, string>();
  for (const [root, variables] of members) {
    const names = new Set(variables.map((variable) => variable.name));
    const own = atoms.filter((atom) => names.has(atom.text));
    const inside = [...new Set(variables.map((variable) => variable.base))].map(machine);
    const outside: Machine[] = [];
    for (const atom of own) (truths.get(atom.name) === true ? inside : outside).push(machine(atom.language));
    const apart = splits.filter((split) => rootOf(split.left) === root || rootOf(split.right) === root);
    for (const split of apart) {
      if (rootOf(split.left) === rootOf(split.right)) {
        return { kind: "impossible", atoms: [...joins, split.name] };
      }
      const other = texts.get(rootOf(split.left) === root ? split.right : split.left);
      if (other !== undefined) outside.push(machine(word(other)));
    }
    // A name that begins with a letter reads better than the shortest one; both are possible, or only the second.
    const pleasant = shortestWord({ in: [...inside, beginsWithLetter], out: outside });
    const found = pleasant.kind === "word" ? pleasant : shortestWord({ in: inside, out: outside });
    if (found.kind === "too-large") return { kind: "too-large" };
    if (found.kind === "none") {
      return {
        kind: "impossible",
        atoms: [...own.map((atom) => atom.name), ...joins, ...apart.map((split) => split.name)],
      };
    }
    for (const name of names) texts.set(name, found.word);
  }
  return { kind: "texts", texts };
}

const beginsWithLetter = machineOf(concat(chars([[97, 122]]), anything));
const machines = new WeakMap<Regular, Machine>();

function machine(language: Regular | Machine): Machine {
  if ("step" in language) return language;
  let present = machines.get(language);
  if (present === undefined) {
    present = machineOf(language);
    machines.set(language, present);
  }
  return present;
}

function lemma(
  script: Script,
  truths: ReadonlyMap<string, boolean>,
  atoms: readonly string[],
  index: number,
): string {
  const clause = disjunction(
    atoms.map((name) => (truths.get(name) === true ? negation(quote(name)) : quote(name))),
  );
  const said = atoms.map((name) => {
    const meaning = script.meanings.get(name);
    const says = meaning?.kind === "atom" ? `${meaning.text} ${meaning.says}` : name;
    return truths.get(name) === true ? says : `not (${says})`;
  });
  return `; no text: ${said.join(" and ").replaceAll("\n", " ")}\n(assert (! ${clause} :named |text ${index}|))`;
}

function readModel(model: Readonly<Record<string, string>>): {
  readonly numbers: ReadonlyMap<string, Decimal>;
  readonly truths: ReadonlyMap<string, boolean>;
} {
  const numbers = new Map<string, Decimal>();
  const truths = new Map<string, boolean>();
  for (const [name, written] of Object.entries(model)) {
    if (written === "true" || written === "false") {
      truths.set(name, written === "true");
      continue;
    }
    const number = readNumber(parseSexprs(written)[0] ?? "");
    if (number !== null) numbers.set(name, number);
  }
  return { numbers, truths };
}

/** A value of the solver as a decimal; a fraction without an end is cut at 12 places, and replay decides whether it still holds. */
export function readNumber(value: Sexpr): Decimal | null {
  if (typeof value === "string") {
    return /^\d+(\.\d+)?$/.test(value) && value.length <= 100 ? decimal(value) : null;
  }
  const [operator, first, second] = value;
  if (first === undefined) return null;
  const left = readNumber(first);
  if (left === null) return null;
  if (operator === "-" && second === undefined) return left.neg();
  if (operator !== "/" || second === undefined) return null;
  const right = readNumber(second);
  if (right === null || right.eq(0)) return null;
  const quotient = left.div(right);
  return quotient.round(12);
}

/**
 * False when the atoms that the terms claim outright (alone, negated, or in a conjunction) leave no text: then nothing needs to be
 * asked. True says nothing.
 */
export function hasTexts(script: Script, terms: readonly string[]): boolean {
  const truths = new Map<string, boolean>();
  const pending = terms.flatMap(parseSexprs).map((term) => ({ term, isTrue: true }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { term, isTrue } = next;
    if (typeof term === "string") {
      if (term === "false" && isTrue) return false;
      if (script.meanings.get(term)?.kind !== "atom") continue;
      if ((truths.get(term) ?? isTrue) !== isTrue) return false;
      truths.set(term, isTrue);
    } else if (term[0] === "not" && term[1] !== undefined) {
      pending.push({ term: term[1], isTrue: !isTrue });
    } else if (term[0] === (isTrue ? "and" : "or")) {
      pending.push(...term.slice(1).map((part) => ({ term: part, isTrue })));
    }
  }
  return chooseTexts(script, truths, new Set(truths.keys())).kind !== "impossible";
}

/** Constants that a term speaks of. */
export function symbolsOf(term: string): ReadonlySet<string> {
  return new Set([...term.matchAll(/\|([^|]*)\|/g)].map(([, name]) => name ?? ""));
}

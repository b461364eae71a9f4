// A chart parser (Earley, "An efficient context-free parsing algorithm", 1970) with one token of lookahead that keeps every reading.
//   G1  No production is empty and no chain of single-symbol productions returns to itself, so every derivation is finite.
//   G2  Values of one symbol over one stretch of tokens are distinct; ways of deriving the same value are one reading.
//   G3  Work is bounded: when the budget is spent the sentence is refused as too complex, never read in part.
import type { Token, TokenKind } from "./token.ts";
import type { Span } from "./tree.ts";

/** What a production makes of its parts, by field name. */
export type Fields = Readonly<Record<string, unknown>>;
export type Build = (fields: Fields, span: Span, tokens: readonly Token[]) => unknown;

export interface GrammarSymbol {
  /** Literal word or mark (`=then`), token class (`#number`), or name of other productions (`Cond`). */
  readonly name: string;
  readonly field: string | null;
}

export interface Production {
  readonly left: string;
  readonly right: readonly GrammarSymbol[];
  readonly build: Build;
}

interface Compiled {
  readonly left: number;
  readonly right: readonly number[];
  readonly fields: readonly (string | null)[];
  readonly build: Build;
  readonly index: number;
}

export interface Grammar {
  readonly names: readonly string[];
  readonly numbers: ReadonlyMap<string, number>;
  readonly productions: readonly Compiled[];
  /** Productions of a symbol, by symbol number; empty for terminals. */
  readonly of: readonly (readonly Compiled[])[];
  /** Terminals that a symbol can begin with. */
  readonly first: readonly ReadonlySet<number>[];
}

export type Parsed =
  /** `isWhole` is false when there are more readings than are kept. */
  | { readonly kind: "values"; readonly values: readonly unknown[]; readonly isWhole: boolean }
  /** `at` is the index of the first token that fits nowhere (the number of tokens when the sentence ended too early). */
  | { readonly kind: "stopped"; readonly at: number; readonly expected: readonly string[] }
  | { readonly kind: "too-complex" };

const readingsMax = 6;
const prefixesMax = 24;

/** What reading may still cost, shared by the sentences of one text: chart items, and combinations of values. */
export interface Budget {
  items: number;
  combinations: number;
}

export function fullBudget(): Budget {
  return { items: 600_000, combinations: 40_000 };
}

function isTerminal(name: string): boolean {
  return name.startsWith("=") || name.startsWith("#");
}

export function compileGrammar(productions: readonly Production[]): Grammar {
  const names: string[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (name: string): number => {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    numbers.set(name, names.length);
    names.push(name);
    return names.length - 1;
  };
  const compiled = productions.map((production, index) => ({
    left: numberOf(production.left),
    right: production.right.map((symbol) => numberOf(symbol.name)),
    fields: production.right.map((symbol) => symbol.field),
    build: production.build,
    index,
  }));
  const of: Compiled[][] = names.map(() => []);
  for (const production of compiled) of[production.left]?.push(production);
  const first = names.map((name, number) => new Set<number>(isTerminal(name) ? [number] : []));
  for (let grew = true; grew;) {
    grew = false;
    for (const { left, right } of compiled) {
      const target = first[left];
      const source = first[right[0] ?? -1];
      if (target === undefined || source === undefined) continue;
      const before = target.size;
      for (const terminal of source) target.add(terminal);
      grew ||= target.size > before;
    }
  }
  return { names, numbers, productions: compiled, of, first };
}

/** Terminal names a token stands for. */
function terminalsOf(token: Token): readonly string[] {
  const kinds: Readonly<Record<TokenKind, readonly string[]>> = {
    word: [`=${token.text}`, "#word"],
    mark: [`=${token.text}`],
    number: [
      "#number",
      ...(token.other === undefined ? [] : ["#other-number"]),
      ...(token.thousands === undefined ? [] : ["#thousands"]),
    ],
    quoted: ["#quoted"],
    path: ["#path"],
    url: ["#url"],
    time: ["#time"],
  };
  return kinds[token.kind];
}

interface Item {
  readonly production: Compiled;
  readonly dot: number;
  readonly start: number;
}

export function parseTokens(
  grammar: Grammar,
  root: string,
  tokens: readonly Token[],
  budget: Budget = fullBudget(),
): Parsed {
  const chart = recognize(grammar, root, tokens, budget);
  if (chart.kind !== "chart") return chart;
  return extract(grammar, chart.root, tokens, chart.sets, budget);
}

type Recognized =
  | { readonly kind: "chart"; readonly root: number; readonly sets: readonly ItemSet[] }
  | Extract<Parsed, { kind: "stopped" | "too-complex" }>;

interface ItemSet {
  readonly items: Item[];
  readonly keys: Set<number>;
  /** Items by the symbol they wait for. */
  readonly waiting: Map<number, Item[]>;
  /** Symbol → starts from which it was completed here. */
  readonly completed: Map<number, Set<number>>;
}

function recognize(grammar: Grammar, root: string, tokens: readonly Token[], budget: Budget): Recognized {
  const rootNumber = grammar.numbers.get(root) ?? -1;
  const seen = tokens.map(
    (token) =>
      new Set(terminalsOf(token).flatMap((name) => grammar.numbers.get(name) ?? [])) as ReadonlySet<number>,
  );
  const width = tokens.length + 1;
  const sets: ItemSet[] = Array.from({ length: width }, () => ({
    items: [],
    keys: new Set(),
    waiting: new Map(),
    completed: new Map(),
  }));
  const predicted = new Set<number>();

  const add = (at: number, production: Compiled, dot: number, start: number): void => {
    const set = sets[at];
    if (set === undefined) return;
    const key = (production.index * 64 + dot) * width + start;
    if (set.keys.has(key)) return;
    set.keys.add(key);
    budget.items--;
    const item = { production, dot, start };
    set.items.push(item);
    const next = production.right[dot];
    if (next === undefined) return;
    const waiting = set.waiting.get(next);
    if (waiting === undefined) set.waiting.set(next, [item]);
    else waiting.push(item);
  };
  const predict = (at: number, symbol: number): void => {
    const here = seen[at];
    if (here === undefined) return;
    const key = at * grammar.names.length + symbol;
    if (predicted.has(key)) return;
    predicted.add(key);
    for (const production of grammar.of[symbol] ?? []) {
      const begins = grammar.first[production.right[0] ?? -1];
      if (begins !== undefined && meets(here, begins)) add(at, production, 0, at);
    }
  };

  let furthest = 0;
  predict(0, rootNumber);
  for (let at = 0; at < width; at++) {
    const set = sets[at];
    if (set === undefined) break;
    if (set.items.length > 0) furthest = at;
    if (budget.items < 0) return { kind: "too-complex" };
    for (let index = 0; index < set.items.length; index++) {
      const item = set.items[index] as Item;
      const next = item.production.right[item.dot];
      if (next === undefined) {
        const { left } = item.production;
        const starts = set.completed.get(left);
        if (starts === undefined) set.completed.set(left, new Set([item.start]));
        else if (starts.has(item.start)) continue;
        else starts.add(item.start);
        for (const waiting of sets[item.start]?.waiting.get(left) ?? [])
          add(at, waiting.production, waiting.dot + 1, waiting.start);
        continue;
      }
      if (isTerminal(grammar.names[next] ?? "")) {
        if (seen[at]?.has(next) === true) add(at + 1, item.production, item.dot + 1, item.start);
      } else predict(at, next);
    }
  }
  if (sets[tokens.length]?.completed.get(rootNumber)?.has(0) === true && tokens.length > 0)
    return { kind: "chart", root: rootNumber, sets };
  return { kind: "stopped", at: furthest, expected: expectedAt(grammar, rootNumber, sets, furthest) };
}

function meets(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  for (const item of a) if (b.has(item)) return true;
  return false;
}

/** Terminals that any unfinished item could take next: from the items themselves, since prediction has looked ahead. */
function expectedAt(grammar: Grammar, root: number, sets: readonly ItemSet[], at: number): readonly string[] {
  const expected = new Set<number>(at === 0 ? (grammar.first[root] ?? []) : []);
  for (const item of sets[at]?.items ?? []) {
    const next = item.production.right[item.dot];
    if (next === undefined || (item.dot === 0 && at > 0)) continue;
    for (const terminal of grammar.first[next] ?? []) expected.add(terminal);
  }
  return [...expected].map((number) => grammar.names[number] ?? "");
}

class TooComplex extends Error {}

function extract(
  grammar: Grammar,
  root: number,
  tokens: readonly Token[],
  sets: readonly ItemSet[],
  budget: Budget,
): Parsed {
  const width = tokens.length + 1;
  const ofSymbol = new Map<number, readonly unknown[]>();
  const ofPrefix = new Map<number, readonly Fields[]>();
  const identities = new Identities();

  let isWhole = true;

  const kept = <T>(found: readonly T[], countMax: number): readonly T[] => {
    const all = identities.distinct(found);
    if (all.length > countMax) isWhole = false;
    return all.slice(0, countMax);
  };
  const values = (symbol: number, start: number, end: number): readonly unknown[] => {
    if (isTerminal(grammar.names[symbol] ?? "")) return [tokens[start]];
    const key = (symbol * width + start) * width + end;
    const known = ofSymbol.get(key);
    if (known !== undefined) return known;
    const found: unknown[] = [];
    const span: Span = [tokens[start]?.span[0] ?? 0, tokens[end - 1]?.span[1] ?? 0];
    for (const production of grammar.of[symbol] ?? []) {
      if (sets[end]?.keys.has((production.index * 64 + production.right.length) * width + start) !== true)
        continue;
      for (const fields of prefixes(production, production.right.length, start, end))
        found.push(production.build(fields, span, tokens.slice(start, end)));
    }
    const result = kept(
      found.filter((value) => value !== undefined),
      readingsMax,
    );
    ofSymbol.set(key, result);
    return result;
  };
  const prefixes = (production: Compiled, dot: number, start: number, end: number): readonly Fields[] => {
    if (dot === 0) return start === end ? [{}] : [];
    const key = ((production.index * 64 + dot) * width + start) * width + end;
    const known = ofPrefix.get(key);
    if (known !== undefined) return known;
    const symbol = production.right[dot - 1] ?? -1;
    const field = production.fields[dot - 1] ?? null;
    const middles = isTerminal(grammar.names[symbol] ?? "")
      ? [end - 1]
      : [...(sets[end]?.completed.get(symbol) ?? [])];
    const found: Fields[] = [];
    for (const middle of middles) {
      if (middle < start) continue;
      if (sets[middle]?.keys.has((production.index * 64 + dot - 1) * width + start) !== true) continue;
      const before = prefixes(production, dot - 1, start, middle);
      if (before.length === 0) continue;
      for (const value of values(symbol, middle, end)) {
        for (const fields of before) {
          if (--budget.combinations < 0) throw new TooComplex();
          found.push(field === null ? fields : { ...fields, [field]: value });
        }
      }
    }
    const result = kept(found, prefixesMax);
    ofPrefix.set(key, result);
    return result;
  };

  try {
    const all = values(root, 0, tokens.length);
    return { kind: "values", values: all, isWhole };
  } catch (error) {
    if (error instanceof TooComplex) return { kind: "too-complex" };
    throw error;
  }
}

/**
 * Identity of values by what they say, spans aside. Parts that were seen keep their number, so the identity of a whole costs no more
 * than its own fields.
 */
export class Identities {
  readonly #numbers = new Map<string, number>();
  readonly #known = new WeakMap<object, string>();

  of(value: unknown): string {
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const whole = Array.isArray(value)
      ? `[${value.map((item) => this.of(item)).join()}]`
      : `{${Object.entries(value)
          .filter(([name]) => name !== "span")
          .map(([name, part]) => `${name}:${this.of(part)}`)
          .join()}}`;
    const number = this.#numbers.get(whole) ?? this.#numbers.size;
    this.#numbers.set(whole, number);
    const identity = `#${number}`;
    this.#known.set(value, identity);
    return identity;
  }

  /** The first of each that say the same. */
  distinct<T>(values: readonly T[]): readonly T[] {
    if (values.length < 2) return values;
    const seen = new Set<string>();
    return values.filter((value) => {
      const identity = this.of(value);
      if (seen.has(identity)) return false;
      seen.add(identity);
      return true;
    });
  }
}

// Machines: deterministic automata built while they are walked (subset construction), and the search for a shortest word that
// some of them accept and others refuse. The search always ends: states are finite and counted.
import { automatonStatesMax } from "../limits.ts";
import { codePointMax, contains, type CharSet, type Regular } from "./regular.ts";

/** A deterministic automaton. `step` must be total. States are numbers given by the machine itself; `start` is 0. */
export interface Machine {
  step(state: number, code: number): number;
  accepts(state: number): boolean;
  /** No word from here is accepted; lets the search stop early. May answer false when it does not know. */
  isDead(state: number): boolean;
  /** Sets of characters it tells apart. */
  readonly sets: readonly CharSet[];
}

export type SearchResult =
  | { readonly kind: "word"; readonly word: string }
  | { readonly kind: "none" }
  | { readonly kind: "too-large" };

interface Nfa {
  readonly edges: readonly (readonly { readonly set: CharSet; readonly to: number }[])[];
  readonly silent: readonly (readonly number[])[];
  readonly start: number;
  readonly end: number;
}

const movesMax = 100_000;

export function machineOf(language: Regular): Machine {
  const nfa = thompson(language);
  const states: (readonly number[])[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (set: readonly number[]): number => {
    const key = set.join(",");
    let number = numbers.get(key);
    if (number === undefined) {
      number = states.length;
      numbers.set(key, number);
      states.push(set);
    }
    return number;
  };
  numberOf(closure(nfa, [nfa.start]));
  const sets = new Map<string, CharSet>();
  for (const edges of nfa.edges) for (const edge of edges) sets.set(keyOf(edge.set), edge.set);
  // Searches ask for few characters again and again (one of each class), so every move is made once.
  const moves = new Map<number, number>();
  return {
    sets: [...sets.values()],
    step(state, code) {
      const move = state * 0x110000 + code;
      let next = moves.get(move);
      if (next === undefined) {
        const targets: number[] = [];
        for (const from of states[state] ?? []) {
          for (const edge of nfa.edges[from] ?? []) if (contains(edge.set, code)) targets.push(edge.to);
        }
        next = numberOf(closure(nfa, targets));
        if (moves.size < movesMax) moves.set(move, next);
      }
      return next;
    },
    accepts: (state) => states[state]?.includes(nfa.end) === true,
    isDead: (state) => states[state]?.length === 0,
  };
}

/** True when the language has the word. */
export function accepts(machine: Machine, text: string): boolean {
  let state = 0;
  for (const character of text) state = machine.step(state, character.codePointAt(0) ?? 0);
  return machine.accepts(state);
}

/**
 * A shortest word that every machine of `in` accepts and every machine of `out` refuses. Inclusion `A ⊆ B` is the search with
 * `in: [A], out: [B]`: no word means it holds, and a word is the shortest that escapes.
 */
export function shortestWord(options: {
  readonly in: readonly Machine[];
  readonly out?: readonly Machine[];
  readonly statesMax?: number;
}): SearchResult {
  const { in: inside, out: outside = [], statesMax = automatonStatesMax } = options;
  const machines = [...inside, ...outside];
  const alphabet = representatives(machines.flatMap((machine) => machine.sets));
  interface Visit {
    readonly states: readonly number[];
    readonly from: number;
    readonly code: number;
  }
  const visits: Visit[] = [{ states: machines.map(() => 0), from: -1, code: 0 }];
  const seen = new Set<string>([visits[0]?.states.join(",") ?? ""]);
  for (let at = 0; at < visits.length; at++) {
    const visit = visits[at] as Visit;
    const isFound = machines.every(
      (machine, i) => machine.accepts(visit.states[i] as number) === i < inside.length,
    );
    if (isFound) return { kind: "word", word: spell(visits, at) };
    for (const code of alphabet) {
      const states = machines.map((machine, i) => machine.step(visit.states[i] as number, code));
      if (inside.some((machine, i) => machine.isDead(states[i] as number))) continue;
      const key = states.join(",");
      if (seen.has(key)) continue;
      if (visits.length >= statesMax) return { kind: "too-large" };
      seen.add(key);
      visits.push({ states, from: at, code });
    }
  }
  return { kind: "none" };
}

function spell(visits: readonly { readonly from: number; readonly code: number }[], last: number): string {
  const codes: number[] = [];
  for (let at = last; at > 0; at = visits[at]?.from ?? 0) codes.push(visits[at]?.code ?? 0);
  return String.fromCodePoint(...codes.reverse());
}

// Letters a person reads easily come first, so that witnesses look like names and not like control characters.
const pleasant = [
  ..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./ %~!#$&'()+,;=@[]^{}é",
].map((character) => character.codePointAt(0) ?? 0);

const keys = new WeakMap<CharSet, string>();

function keyOf(set: CharSet): string {
  let key = keys.get(set);
  if (key === undefined) {
    key = set.join(";");
    keys.set(set, key);
  }
  return key;
}

/** One code point of every class of characters that no set tells apart, pleasant ones first. Surrogates are no characters. */
export function representatives(sets: readonly CharSet[]): readonly number[] {
  const distinct = [...new Map(sets.map((set) => [keyOf(set), set])).values()];
  const cuts = new Set<number>([0, 0xd800, 0xe000]);
  for (const set of distinct)
    for (const [low, high] of set) {
      cuts.add(low);
      if (high < codePointMax) cuts.add(high + 1);
    }
  const bounds = [...cuts].sort((a, b) => a - b);
  // Which sets a stretch between two bounds is in: walked set by set, since both are sorted.
  const classes: string[] = bounds.map(() => "");
  for (const [index, set] of distinct.entries()) {
    let at = 0;
    for (const [i, low] of bounds.entries()) {
      while (at < set.length && (set[at]?.[1] ?? 0) < low) at++;
      if (at < set.length && (set[at]?.[0] ?? 0) <= low) classes[i] = `${classes[i] ?? ""},${index}`;
    }
  }
  const chosen = new Map<string, number>();
  for (const code of pleasant) {
    const name = classes[stretchOf(bounds, code)] ?? "";
    if (!chosen.has(name)) chosen.set(name, code);
  }
  for (const [i, low] of bounds.entries()) {
    const name = classes[i] ?? "";
    if (!chosen.has(name) && (low < 0xd800 || low >= 0xe000)) chosen.set(name, low);
  }
  return [...chosen.values()];
}

function stretchOf(bounds: readonly number[], code: number): number {
  let [low, high] = [0, bounds.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((bounds[middle] ?? 0) <= code) low = middle;
    else high = middle - 1;
  }
  return low;
}

function closure(nfa: Nfa, from: readonly number[]): readonly number[] {
  const reached = new Set(from);
  const pending = [...from];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    for (const next of nfa.silent[state] ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      pending.push(next);
    }
  }
  return [...reached].sort((a, b) => a - b);
}

/** Thompson's construction (K. Thompson, CACM 11(6), 1968). Languages are built by us, so the recursion is bounded. */
function thompson(language: Regular): Nfa {
  const edges: { set: CharSet; to: number }[][] = [];
  const silent: number[][] = [];
  const state = (): number => {
    edges.push([]);
    silent.push([]);
    return edges.length - 1;
  };
  const build = (part: Regular, from: number, to: number): void => {
    switch (part.kind) {
      case "nothing":
        return;
      case "empty":
        silent[from]?.push(to);
        return;
      case "chars":
        edges[from]?.push({ set: part.set, to });
        return;
      case "concat": {
        let at = from;
        for (const [i, item] of part.parts.entries()) {
          const next = i === part.parts.length - 1 ? to : state();
          build(item, at, next);
          at = next;
        }
        return;
      }
      case "union":
        for (const item of part.of) build(item, from, to);
        return;
      case "star": {
        const inner = state();
        const outer = state();
        silent[from]?.push(inner, to);
        build(part.of, inner, outer);
        silent[outer]?.push(inner, to);
        return;
      }
    }
  };
  const start = state();
  const end = state();
  build(language, start, end);
  return { edges, silent, start, end };
}

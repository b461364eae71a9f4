// Where a path ends up after `.`, `..`, `//` (and, in the decoded reading, `%2e`, `%2f`) are taken away, as a machine.
//   A1  The verdict is about words of a path: symbolic links are looked at by the gate when the path is used.
//   A2  A path that leaves the workspace at any point is outside, even when it would come back: the workspace's own name is not known.
//   A3  Nothing is forgotten in the safe direction: deeper than `pathDepthMax` the place is `lost`, which no claim accepts.
import { pathDepthMax } from "../limits.ts";
import type { Machine } from "./machine.ts";
import { allBut, chars, concat, plus, single, star, union, word, type Regular } from "./regular.ts";

/** Where a path is, seen from a set of named places. */
export type Place =
  /** At or below one of the places. */
  | "inside"
  /** A folder that contains one of the places. */
  | "above"
  /** In the workspace, but neither of both. */
  | "elsewhere"
  /** Outside the workspace. */
  | "outside"
  /** Too deep to follow. */
  | "lost";

interface TrieNode {
  readonly children: Map<string, TrieNode>;
  readonly parent: TrieNode | null;
  isPlace: boolean;
}

type Part = "start" | "text" | "." | ".." | `name:${string}`;
interface State {
  readonly node: TrieNode | null;
  /** Segments beyond the trie's node. */
  readonly extra: number;
  readonly part: Part;
  /** Characters of an escape that is not complete yet. */
  readonly percent: "" | "%" | "%2";
  readonly fate: "walking" | "outside" | "lost";
  readonly isFirst: boolean;
}

/** The normal form of a workspace-relative path written by an author. */
export function segmentsOf(path: string): readonly string[] {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(segment);
  }
  return segments;
}

/** Accepts the paths whose place is one of `wanted`. */
export function placeMachine(options: {
  readonly places: readonly string[];
  readonly wanted: readonly Place[];
  /** Also reads `%2e` as `.` and `%2f` as `/`. */
  readonly decodes: boolean;
}): Machine {
  const { places, wanted, decodes } = options;
  const root = trie(places);
  const states: State[] = [];
  const numbers = new Map<string, number>();
  const nodes = new Map<TrieNode, number>();
  const numberOf = (state: State): number => {
    if (state.node !== null && !nodes.has(state.node)) nodes.set(state.node, nodes.size);
    const node = state.node === null ? -1 : (nodes.get(state.node) ?? -1);
    const key = `${node} ${state.extra} ${state.part} ${state.percent} ${state.fate} ${state.isFirst}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = states.length;
      numbers.set(key, number);
      states.push(state);
    }
    return number;
  };
  numberOf({ node: root, extra: 0, part: "start", percent: "", fate: "walking", isFirst: true });
  const names = new Set<string>();
  collectNames(root, names);
  const special = `./${decodes ? "%2eEfF" : ""}${[...names].join("")}`;
  return {
    sets: [...new Set(special)].map(single),
    step: (state, code) => numberOf(next(states[state] as State, code, names, decodes)),
    accepts: (state) => wanted.includes(placeOf(close(flush(states[state] as State, names)))),
    isDead: () => false,
  };
}

export function placeOfPath(path: string, places: readonly string[], decodes = false): Place {
  const names = new Set<string>();
  const root = trie(places);
  collectNames(root, names);
  let state: State = { node: root, extra: 0, part: "start", percent: "", fate: "walking", isFirst: true };
  for (const character of path) state = next(state, character.codePointAt(0) ?? 0, names, decodes);
  return placeOf(close(flush(state, names)));
}

/** A file name as a source reports it: no separator, not empty, not `.` or `..`. */
export function basenameLanguage(decodes: boolean): Regular {
  // In the decoded reading a name that would turn into a separator or a dot is none: sources hand over names, not URLs.
  const plain = decodes ? chars(allBut("/\0.%")) : chars(allBut("/\0."));
  const dot = word(".");
  const rest = decodes ? star(nameChar) : star(chars(allBut("/\0")));
  return union(
    concat(plain, rest),
    concat(dot, plain, rest),
    concat(dot, dot, decodes ? nameChar : chars(allBut("/\0")), rest),
  );
}

/** Names joined by single separators: a path below the workspace in normal form. */
export function plainPathLanguage(decodes: boolean): Regular {
  const name = basenameLanguage(decodes);
  return concat(name, star(concat(word("/"), name)));
}

export const noSlashLanguage: Regular = star(chars(allBut("/\0")));
const nameChar = chars(allBut("/\0%"));
export const someText: Regular = plus(chars(allBut("")));

function trie(places: readonly string[]): TrieNode {
  const root: TrieNode = { children: new Map(), parent: null, isPlace: false };
  for (const place of places) {
    let node = root;
    for (const segment of segmentsOf(place)) {
      let child = node.children.get(segment);
      if (child === undefined) {
        child = { children: new Map(), parent: node, isPlace: false };
        node.children.set(segment, child);
      }
      node = child;
    }
    node.isPlace = true;
  }
  return root;
}

function collectNames(node: TrieNode, names: Set<string>): void {
  for (const [name, child] of node.children) {
    names.add(name);
    collectNames(child, names);
  }
}

function next(state: State, code: number, names: ReadonlySet<string>, decodes: boolean): State {
  if (state.fate !== "walking") return state;
  const character = String.fromCodePoint(code);
  if (!decodes) return append(state, character, names);
  const { percent } = state;
  if (percent === "%2" && /[eEfF]/.test(character)) {
    return append({ ...state, percent: "" }, /[eE]/.test(character) ? "." : "/", names);
  }
  if (percent === "%" && character === "2") return { ...state, percent: "%2" };
  const flushed = flush(state, names);
  return character === "%" ? { ...flushed, percent: "%" } : append(flushed, character, names);
}

/** An escape that came to nothing stands for itself. */
function flush(state: State, names: ReadonlySet<string>): State {
  let flushed: State = { ...state, percent: "" };
  for (const character of state.percent) flushed = append(flushed, character, names);
  return flushed;
}

function append(state: State, character: string, names: ReadonlySet<string>): State {
  const { part } = state;
  if (state.fate !== "walking") return state;
  if (character === "/") return separate(state);
  if (part === "text") return state;
  const longer = `${part === "start" ? "" : part.startsWith("name:") ? part.slice(5) : part}${character}`;
  if (longer === "." || longer === "..") return { ...state, part: longer };
  const isPrefix = [...names].some((name) => name.startsWith(longer));
  return { ...state, part: isPrefix ? `name:${longer}` : "text" };
}

function separate(state: State): State {
  if (state.isFirst && state.part === "start") return { ...state, fate: "outside" };
  return { ...endSegment(state), part: "start", isFirst: false };
}

function close(state: State): State {
  return state.fate === "walking" ? endSegment(state) : state;
}

function endSegment(state: State): State {
  const { part, node, extra } = state;
  if (part === "start" || part === ".") return state;
  if (part === "..") {
    if (extra >= pathDepthMax) return { ...state, fate: "lost" };
    if (extra > 0) return { ...state, extra: extra - 1 };
    const parent = node?.parent ?? null;
    return parent === null ? { ...state, fate: "outside" } : { ...state, node: parent };
  }
  const name = part.startsWith("name:") ? part.slice(5) : null;
  const child = extra === 0 && name !== null ? node?.children.get(name) : undefined;
  if (child !== undefined) return { ...state, node: child };
  return { ...state, extra: Math.min(pathDepthMax, extra + 1) };
}

function placeOf(state: State): Place {
  if (state.fate !== "walking") return state.fate;
  for (let node = state.node; node !== null; node = node.parent) if (node.isPlace) return "inside";
  if (state.extra > 0) return "elsewhere";
  return state.node !== null && state.node.children.size > 0 ? "above" : "elsewhere";
}

// Regular languages over Unicode as small expressions. Characters are sets of code points, never an explicit alphabet.

/** Inclusive ranges of code points, sorted and disjoint. */
export type CharSet = readonly (readonly [number, number])[];

export type Regular =
  | { readonly kind: "nothing" }
  | { readonly kind: "empty" }
  | { readonly kind: "chars"; readonly set: CharSet }
  | { readonly kind: "concat"; readonly parts: readonly Regular[] }
  | { readonly kind: "union"; readonly of: readonly Regular[] }
  | { readonly kind: "star"; readonly of: Regular };

export const codePointMax = 0x10ffff;
export const anyChar: CharSet = [[0, codePointMax]];

export const nothing: Regular = { kind: "nothing" };
export const empty: Regular = { kind: "empty" };
/** Every text: what is known of a value from outside. */
export const anything: Regular = { kind: "star", of: { kind: "chars", set: anyChar } };

export function chars(set: CharSet): Regular {
  return { kind: "chars", set };
}

export function word(text: string): Regular {
  const parts = [...text].map((character) => chars(single(character)));
  return parts.length === 0 ? empty : concat(...parts);
}

/** The word in any mixture of capitals and small letters. */
export function wordAnyCase(text: string): Regular {
  return concat(
    ...[...text].map((character) => {
      const forms = new Set([character, character.toLowerCase(), character.toUpperCase()]);
      return union(...[...forms].map(word));
    }),
  );
}

export function concat(...parts: readonly Regular[]): Regular {
  const flat = parts.flatMap((part) =>
    part.kind === "concat" ? part.parts : part.kind === "empty" ? [] : [part],
  );
  if (flat.some((part) => part.kind === "nothing")) return nothing;
  const [first, ...rest] = flat;
  if (first === undefined) return empty;
  return rest.length === 0 ? first : { kind: "concat", parts: flat };
}

export function union(...of: readonly Regular[]): Regular {
  const flat = of
    .flatMap((part) => (part.kind === "union" ? part.of : [part]))
    .filter((part) => part.kind !== "nothing");
  const [first, ...rest] = flat;
  if (first === undefined) return nothing;
  return rest.length === 0 ? first : { kind: "union", of: flat };
}

export function star(of: Regular): Regular {
  return of.kind === "empty" || of.kind === "nothing" ? empty : { kind: "star", of };
}

export function plus(of: Regular): Regular {
  return concat(of, star(of));
}

export function optional(of: Regular): Regular {
  return union(empty, of);
}

export function single(character: string): CharSet {
  const code = character.codePointAt(0) ?? 0;
  return [[code, code]];
}

/** Every character but these. */
export function allBut(characters: string): CharSet {
  const codes = [...new Set([...characters].map((character) => character.codePointAt(0) ?? 0))].sort(
    (a, b) => a - b,
  );
  const set: (readonly [number, number])[] = [];
  let from = 0;
  for (const code of codes) {
    if (code > from) set.push([from, code - 1]);
    from = code + 1;
  }
  if (from <= codePointMax) set.push([from, codePointMax]);
  return set;
}

export function complementOf(set: CharSet): CharSet {
  const result: (readonly [number, number])[] = [];
  let from = 0;
  for (const [low, high] of [...set].sort((a, b) => a[0] - b[0])) {
    if (low > from) result.push([from, low - 1]);
    from = Math.max(from, high + 1);
  }
  if (from <= codePointMax) result.push([from, codePointMax]);
  return result;
}

export function contains(set: CharSet, code: number): boolean {
  return set.some(([low, high]) => code >= low && code <= high);
}

/** What every word of the language begins with, as far as it is plainly written. */
export function prefixOf(language: Regular): string {
  const parts = language.kind === "concat" ? language.parts : [language];
  let prefix = "";
  for (const part of parts) {
    const [range, ...others] = part.kind === "chars" ? part.set : [];
    if (range === undefined || others.length > 0 || range[0] !== range[1]) break;
    prefix += String.fromCodePoint(range[0]);
  }
  return prefix;
}

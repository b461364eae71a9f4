// Collects the productions of one grammar from templates and word lists.
import type { Build, Fields, Production } from "./chart.ts";
import type { Construct, Surface } from "./surface.ts";
import { expandTemplate, parseTemplate } from "./template.ts";

/** Values were made by the productions below, which give every field the type its reader expects. */
export function take<T>(fields: Fields, name: string): T {
  return fields[name] as T;
}

export class GrammarBuilder {
  readonly productions: Production[] = [];
  readonly #alternatives = new Set<string>();
  readonly surface: Surface;

  constructor(surface: Surface) {
    this.surface = surface;
  }

  /** Adds every expansion of a template. `rename` maps flavour-dependent symbols. */
  template(
    left: string,
    text: string,
    build: Build,
    rename: (symbol: string) => string = (name) => name,
  ): void {
    for (const sequence of expandTemplate(parseTemplate(text))) {
      for (const { name } of sequence) this.#alternative(name);
      const right = sequence.map((symbol) => ({ ...symbol, name: rename(symbol.name) }));
      this.productions.push({ left, right, build });
    }
  }

  construct(left: string, construct: Construct, build: Build, rename?: (symbol: string) => string): void {
    for (const text of this.surface.templates[construct]) this.template(left, text, build, rename);
  }

  /** Words (already folded) that stand for a value. */
  words(left: string, words: readonly string[], value: unknown): void {
    if (words.length === 0) return;
    this.productions.push({
      left,
      right: words.map((word) => ({ name: `=${word}`, field: null })),
      build: () => value,
    });
  }

  #alternative(name: string): void {
    if (!name.startsWith("<") || this.#alternatives.has(name)) return;
    this.#alternatives.add(name);
    for (const word of name.slice(1, -1).split("|")) this.words(name, [word], word);
  }
}

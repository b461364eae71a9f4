// Templates: one notation for the surface of a construct, read by the parser and written by the renderer.
//   `word`        a word; `a|b` one of several (the first is written)
//   `word?`       may be left out, is written;  `word~` may be left out, is not written
//   `ART`         an optional article; the renderer picks its form, writes `a` for `ART:a`, none for `ART~`
//   `{Sym:field}` a part; `#class:field` a token of a class
//   `[ … ]`       a group that is there when its fields are
import type { GrammarSymbol } from "./chart.ts";

type TemplatePart =
  | { readonly kind: "words"; readonly words: readonly string[]; readonly use: "needed" | "shown" | "hidden" }
  /** `written` is the form to write, empty for none; null leaves it to the renderer. */
  | { readonly kind: "article"; readonly written: string | null }
  | { readonly kind: "part"; readonly symbol: string; readonly field: string | null }
  | { readonly kind: "group"; readonly parts: readonly TemplatePart[]; readonly fields: readonly string[] };

export type Template = readonly TemplatePart[];

export function parseTemplate(text: string): Template {
  const outer: TemplatePart[] = [];
  let group: TemplatePart[] | null = null;
  for (const item of text.split(" ")) {
    if (item === "[") group = [];
    else if (item === "]") {
      if (group !== null)
        outer.push({
          kind: "group",
          parts: group,
          fields: group.flatMap((part) => (part.kind === "part" && part.field !== null ? [part.field] : [])),
        });
      group = null;
    } else (group ?? outer).push(parsePart(item));
  }
  return outer;
}

function parsePart(item: string): TemplatePart {
  if (item === "ART") return { kind: "article", written: null };
  if (item === "ART~") return { kind: "article", written: "" };
  if (item.startsWith("ART:")) return { kind: "article", written: item.slice(4) };
  if (item.startsWith("{")) {
    const [symbol = "", field] = item.slice(1, -1).split(":");
    return { kind: "part", symbol, field: field ?? null };
  }
  if (item.startsWith("#")) {
    const [symbol = "", field] = item.split(":");
    return { kind: "part", symbol, field: field ?? null };
  }
  const mark = item.at(-1);
  const use = mark === "?" ? "shown" : mark === "~" ? "hidden" : "needed";
  return { kind: "words", words: (use === "needed" ? item : item.slice(0, -1)).split("|"), use };
}

/** Every sequence of symbols the template stands for. Alternations become symbols `<a|b>` of their own. */
export function expandTemplate(template: Template): readonly (readonly GrammarSymbol[])[] {
  let sequences: GrammarSymbol[][] = [[]];
  const append = (options: readonly (readonly GrammarSymbol[])[]): void => {
    sequences = sequences.flatMap((sequence) => options.map((option) => [...sequence, ...option]));
  };
  for (const part of template) {
    switch (part.kind) {
      case "article":
        append([[], [{ name: "Art", field: null }]]);
        break;
      case "part":
        append([[{ name: part.symbol, field: part.field }]]);
        break;
      case "words": {
        const name = part.words.length === 1 ? `=${part.words[0]}` : `<${part.words.join("|")}>`;
        const symbol = { name, field: null };
        append(part.use === "needed" ? [[symbol]] : [[], [symbol]]);
        break;
      }
      case "group":
        append([[], ...expandTemplate(part.parts)]);
        break;
    }
  }
  return sequences.filter((sequence) => sequence.length > 0);
}

/** Fields that must be given for the template to be written, and all it can take. */
export function templateFields(template: Template): {
  readonly needed: readonly string[];
  readonly all: readonly string[];
} {
  const needed = template.flatMap((part) =>
    part.kind === "part" && part.field !== null ? [part.field] : [],
  );
  return {
    needed,
    all: [...needed, ...template.flatMap((part) => (part.kind === "group" ? part.fields : []))],
  };
}

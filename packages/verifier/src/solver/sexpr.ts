// S-expressions: the solver's answers as trees.

export type Sexpr = string | readonly Sexpr[];

/** Every top-level expression of the text. Quoted symbols `|a b|` lose their bars; strings keep their quotes. */
export function parseSexprs(text: string): readonly Sexpr[] {
  const top: Sexpr[] = [];
  const open: Sexpr[][] = [];
  const pattern = /\(|\)|\|[^|]*\||"(?:[^"]|"")*"|;[^\n]*|[^\s()|";]+/g;
  for (const [token] of text.matchAll(pattern)) {
    if (token.startsWith(";")) continue;
    if (token === "(") {
      open.push([]);
    } else if (token === ")") {
      const done = open.pop();
      if (done === undefined) continue;
      (open.at(-1) ?? top).push(done);
    } else {
      (open.at(-1) ?? top).push(token.startsWith("|") ? token.slice(1, -1) : token);
    }
  }
  return top;
}

export function renderSexpr(expression: Sexpr): string {
  return typeof expression === "string" ? expression : `(${expression.map(renderSexpr).join(" ")})`;
}

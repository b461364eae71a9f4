// Templates: `{{result.<id>.<field>[n]}}` and `{{trigger.<field>}}` inside texts.
import { problem, type PlanProblem } from "./problem.ts";

export type PathPart = string | number;

export type Reference =
  | { readonly root: "result"; readonly id: string; readonly path: readonly PathPart[] }
  | { readonly root: "trigger"; readonly path: readonly PathPart[] };

export type TextPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "reference"; readonly reference: Reference };

/** The parts of a text in order, or the problem of its first wrong template. */
export function readTemplates(
  text: string,
  at: string,
): { readonly parts: readonly TextPart[] } | { readonly problem: PlanProblem } {
  const parts: TextPart[] = [];
  let position = 0;
  for (;;) {
    const open = text.indexOf("{{", position);
    if (open < 0) break;
    if (open > position) parts.push({ kind: "text", text: text.slice(position, open) });
    const close = text.indexOf("}}", open + 2);
    if (close < 0) {
      return {
        problem: problem(
          "plan.template",
          at,
          `Cannot read the template \`${text.slice(open, open + 60)}\`: it is not closed`,
        ),
      };
    }
    const inner = text.slice(open + 2, close).trim();
    const reference = referenceOf(inner, at);
    if ("code" in reference) return { problem: reference };
    parts.push({ kind: "reference", reference });
    position = close + 2;
  }
  if (position < text.length || parts.length === 0) parts.push({ kind: "text", text: text.slice(position) });
  return { parts };
}

export function hasTemplate(text: string): boolean {
  return text.includes("{{");
}

const idPattern = /^[A-Za-z0-9_-]{1,64}/;
const partPattern = /^(?:\.([A-Za-z0-9_-]+)|\[(\d{1,6})\]|\["([^"\\\]]{1,128})"\])/;

function referenceOf(inner: string, at: string): Reference | PlanProblem {
  const dot = inner.search(/[.[]/);
  const root = dot < 0 ? inner : inner.slice(0, dot);
  const rest = dot < 0 ? "" : inner.slice(dot);
  switch (root) {
    case "result": {
      const id = rest.startsWith(".") ? idPattern.exec(rest.slice(1))?.[0] : undefined;
      const path = id === undefined ? null : pathOf(rest.slice(1 + id.length));
      if (id === undefined || path === null) return unreadable(inner, at);
      return { root: "result", id, path };
    }
    case "trigger": {
      const path = pathOf(rest);
      if (path === null) return unreadable(inner, at);
      return { root: "trigger", path };
    }
    case "env":
      return problem(
        "plan.environment",
        at,
        `Cannot use \`{{${inner}}}\`: plans do not read the node's environment`,
        {
          template: inner,
        },
      );
    case "memory":
    case "snapshot":
      return problem(
        "plan.unsupported",
        at,
        `Cannot use \`{{${inner}}}\`: \`${root}\` templates are not supported yet`,
        {
          template: inner,
        },
      );
    default:
      return unreadable(inner, at);
  }
}

function pathOf(text: string): readonly PathPart[] | null {
  const path: PathPart[] = [];
  for (let rest = text; rest !== "";) {
    const found = partPattern.exec(rest);
    if (found === null) return null;
    const [whole, name, index, quoted] = found;
    path.push(index === undefined ? (name ?? quoted ?? "") : Number(index));
    rest = rest.slice(whole.length);
  }
  return path;
}

function unreadable(inner: string, at: string): PlanProblem {
  return problem("plan.template", at, `Cannot read the template \`{{${inner.slice(0, 80)}}}\``, {
    template: inner.slice(0, 200),
    forms: [
      "{{result.<id>}}",
      "{{result.<id>.<field>}}",
      "{{result.<id>.<field>[0]}}",
      "{{trigger.<field>}}",
    ],
  });
}

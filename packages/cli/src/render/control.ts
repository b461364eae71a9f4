import type { RunDetail } from "@writ/core/api";
import { brief, indent, paragraphs } from "./layout.ts";
import { renderEffect } from "./effect.ts";

/** Steps that stand at a breakpoint, each with what it would do and the commands that decide on it. */
export function renderIntercepted(run: RunDetail): string {
  return paragraphs(
    ...run.steps.map(({ id, intercepted }) =>
      intercepted === undefined
        ? ""
        : [
            indent(renderEffect(intercepted.effect)),
            `  writ run go-on ${run.id} ${id} [--set NAME=VALUE]`,
            `  writ run skip ${run.id} ${id} --reason TEXT`,
            `  writ run cancel ${run.id} [--undo]`,
          ].join("\n"),
    ),
  );
}

/** What people put in the place of what the author wrote. */
export function renderChanged(run: RunDetail): string {
  return run.steps
    .flatMap(({ id, changed }) =>
      changed === undefined
        ? []
        : Object.entries(changed.params).map(
            ([name, value]) =>
              `${id}: ${name} = ${brief(value)} by ${changed.by}; written: ${brief(changed.written[name] ?? null)}`,
          ),
    )
    .join("\n");
}

export function renderBreakpoints(run: RunDetail): string {
  return (run.breakpoints ?? []).map(({ id, where }) => `${id}  before ${where}`).join("\n");
}

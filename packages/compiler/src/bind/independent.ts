// Which acts of a list can run at once.
import { renderExpression, type Expression } from "@writ/core/expression";
import type { BoundAct } from "./acts.ts";
import { eventData } from "./terms.ts";

/** Whether two acts can run at once: no shared resource, or both only read it, or both only append to it. */
export function areIndependent(a: BoundAct, b: BoundAct, watched: string | null): boolean {
  return touches(a).every((one) =>
    touches(b).every(
      (other) =>
        (one.does === other.does && (one.does === "read" || one.does === "append")) ||
        apart(one, other, watched),
    ),
  );
}

interface Touch {
  readonly kind: string;
  readonly does: string;
  readonly where: Expression;
}

function touches({ definition, expressions }: BoundAct): readonly Touch[] {
  return definition.resources.flatMap(({ kind, param, does }) => {
    const where = expressions[param];
    return where === undefined ? [] : [{ kind, does, where }];
  });
}

/** Certainly different: other kinds of things, or places that cannot be one. Unsure counts as the same. */
function apart(a: Touch, b: Touch, watched: string | null): boolean {
  const isFile = (touch: Touch): boolean => touch.kind === "file" || touch.kind === "folder";
  if (!isFile(a) || !isFile(b)) return a.kind !== b.kind;
  const [one, other] = [regionOf(a, watched), regionOf(b, watched)];
  if (one === null || other === null) return false;
  const within = (inner: Region, outer: Region): boolean =>
    outer.kind === "below"
      ? inner.path.startsWith(outer.path)
      : inner.kind === "at" && inner.path === outer.path;
  return !within(one, other) && !within(other, one);
}

interface Region {
  readonly kind: "at" | "below";
  readonly path: string;
}

/** Where a path can be: exactly there, somewhere below a folder, or unknown. */
function regionOf({ kind, where: path }: Touch, watched: string | null): Region | null {
  if (path.kind === "literal" && typeof path.value === "string" && isPlain(path.value)) {
    // What is done to a folder is done to all that is in it.
    return kind === "folder"
      ? { kind: "below", path: `${path.value.replace(/\/+$/u, "")}/` }
      : { kind: "at", path: path.value };
  }
  if (
    path.kind === "binary" &&
    path.left.kind === "literal" &&
    typeof path.left.value === "string" &&
    isPlain(path.left.value)
  )
    return { kind: "below", path: path.left.value };
  const isArrival = renderExpression(path) === renderExpression(eventData("path"));
  return isArrival && watched !== null && isPlain(watched) ? { kind: "below", path: `${watched}/` } : null;
}

function isPlain(path: string): boolean {
  return !path.startsWith("/") && !path.split("/").some((part) => part === ".." || part === ".");
}

// Where readings of one text part: the smallest stretches that stand for something else in another reading.
import type { Reading } from "./parse.ts";
import type { Span } from "./tree.ts";

export function differences(reading: Reading, all: readonly Reading[]): readonly Span[] {
  const own = marks(reading);
  const others = all.filter((other) => other !== reading).map(marks);
  const spans = [...own.entries()]
    .filter(([mark]) => others.some((other) => !other.has(mark)))
    .map(([, span]) => span)
    .sort((a, b) => a[1] - a[0] - (b[1] - b[0]) || a[0] - b[0]);
  const smallest: Span[] = [];
  for (const span of spans)
    if (!smallest.some(([start, end]) => span[0] <= start && end <= span[1])) smallest.push(span);
  return smallest.length === 0 ? reordered(reading, all) : smallest.sort((a, b) => a[0] - b[0]).slice(0, 8);
}

/** Readings of the same parts in another order part where the steps change places. */
function reordered({ tree, spans }: Reading, all: readonly Reading[]): readonly Span[] {
  const moved = tree.steps.flatMap((key, index) => {
    const span = spans[key];
    const isMoved = all.some((other) => other.spans[other.tree.steps[index] ?? ""]?.join() !== span?.join());
    return isMoved && span !== undefined ? [span] : [];
  });
  if (moved.length === 0) return [];
  return [[Math.min(...moved.map(([start]) => start)), Math.max(...moved.map(([, end]) => end))]];
}

/** What every node says about its own stretch of text; references to other nodes stand as their spans. */
function marks({ tree, spans }: Reading): ReadonlyMap<string, Span> {
  const found = new Map<string, Span>();
  for (const [key, node] of Object.entries(tree.nodes)) {
    const span = spans[key];
    if (span === undefined) continue;
    const said = JSON.stringify(node, (_name, value: unknown) =>
      typeof value === "string" && Object.hasOwn(tree.nodes, value) ? (spans[value] ?? value) : value,
    );
    found.set(`${span.join("-")} ${said}`, span);
  }
  for (const [key, span] of Object.entries(spans)) {
    if (Object.hasOwn(tree.nodes, key)) continue;
    found.set(`${span.join("-")} ${JSON.stringify(termAt(tree, key.split(".")))}`, span);
  }
  return found;
}

/** The term a span key such as `n3.values.0` speaks of. */
function termAt(tree: Reading["tree"], [node = "", ...path]: readonly string[]): unknown {
  let at: unknown = tree.nodes[node];
  for (const part of path) {
    if (typeof at !== "object" || at === null) return undefined;
    const own = at as Readonly<Record<string, unknown>>;
    const inside = (own["args"] ?? (Array.isArray(own["of"]) ? own["of"] : own)) as Readonly<
      Record<string, unknown>
    >;
    at = inside[part];
  }
  return at;
}

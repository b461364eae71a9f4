// Dependencies between actions: who waits for whom, in which order, and the circle where there is one.

/** Who each action waits for. Only ids that are keys may stand in the sets. */
export type Dependencies = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The ids so that each follows what it depends on; of two that could come next, the one that stands first in `ids` does.
 * A circle is returned as the ids along it, its first one repeated at the end.
 */
export function orderActions(
  ids: readonly string[],
  dependencies: Dependencies,
): { readonly order: readonly string[] } | { readonly circle: readonly string[] } {
  const left = new Set(ids);
  const order: string[] = [];
  while (left.size > 0) {
    const next = [...left].find((id) => ![...(dependencies.get(id) ?? [])].some((other) => left.has(other)));
    if (next === undefined) return { circle: circleIn(left, dependencies) };
    left.delete(next);
    order.push(next);
  }
  return { order };
}

/** Everything an action depends on, directly or through others. */
export function ancestorsOf(id: string, dependencies: Dependencies): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = [...(dependencies.get(id) ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    pending.push(...(dependencies.get(next) ?? []));
  }
  return found;
}

/** Every action that is left waits for another one that is left, so that following them must come back. */
function circleIn(left: ReadonlySet<string>, dependencies: Dependencies): readonly string[] {
  const path: string[] = [];
  let id = [...left][0] as string;
  while (!path.includes(id)) {
    path.push(id);
    id = [...(dependencies.get(id) ?? [])].find((other) => left.has(other)) as string;
  }
  return [...path.slice(path.indexOf(id)), id];
}

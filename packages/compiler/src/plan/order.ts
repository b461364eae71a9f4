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
  const missing = new Map(ids.map((id) => [id, dependencies.get(id)?.size ?? 0]));
  const followers = followersOf(dependencies);
  const order: string[] = [];
  while (left.size > 0) {
    const next = firstOf(left, (id) => missing.get(id) === 0);
    if (next === undefined) return { circle: circleIn(left, dependencies) };
    left.delete(next);
    order.push(next);
    for (const follower of followers.get(next) ?? []) missing.set(follower, (missing.get(follower) ?? 0) - 1);
  }
  return { order };
}

/** Whether the first action depends on the second, directly or through others. `order` respects the dependencies. */
export function followsIn(
  order: readonly string[],
  dependencies: Dependencies,
): (id: string, other: string) => boolean {
  const places = new Map(order.map((id, place) => [id, place]));
  const bit = (id: string) => 1n << BigInt(places.get(id) ?? 0);
  const before = new Map<string, bigint>();
  for (const id of order) {
    let all = 0n;
    for (const other of dependencies.get(id) ?? []) all |= (before.get(other) ?? 0n) | bit(other);
    before.set(id, all);
  }
  return (id, other) => ((before.get(id) ?? 0n) & bit(other)) !== 0n;
}

function followersOf(dependencies: Dependencies): ReadonlyMap<string, readonly string[]> {
  const followers = new Map<string, string[]>();
  for (const [id, others] of dependencies) {
    for (const other of others) {
      const list = followers.get(other);
      if (list === undefined) followers.set(other, [id]);
      else list.push(id);
    }
  }
  return followers;
}

function firstOf(ids: Iterable<string>, fits: (id: string) => boolean): string | undefined {
  for (const id of ids) if (fits(id)) return id;
  return undefined;
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

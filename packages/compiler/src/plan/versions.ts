// Version ranges of `module_requirements`: the part of PEP 440 that compares release numbers. Letters (pre-releases, epochs) are refused.

type Release = readonly number[];

/** Whether a version such as `1.4.0` fits a range such as `>=1.2,<2`; null when the range cannot be read. */
export function fitsRange(version: string, range: string): boolean | null {
  const release = releaseOf(version);
  let fits = true;
  for (const clause of range.split(",")) {
    const found = /^\s*(==|!=|>=|<=|~=|>|<)\s*(\d{1,9}(?:\.\d{1,9}){0,4})(\.\*)?\s*$/.exec(clause);
    if (found === null) return null;
    const [, operator = "", written = "", wildcard] = found;
    const bound = releaseOf(written);
    if (wildcard !== undefined && operator !== "==" && operator !== "!=") return null;
    if (operator === "~=" && bound.length < 2) return null;
    fits &&= fitsClause(release, operator, bound, wildcard !== undefined);
  }
  return fits;
}

/** Negative when `a` is older than `b`. */
export function compareVersions(a: string, b: string): number {
  return compare(releaseOf(a), releaseOf(b));
}

function fitsClause(release: Release, operator: string, bound: Release, wildcard: boolean): boolean {
  const order = compare(release, bound);
  const isWithin = compare(release.slice(0, bound.length), bound) === 0;
  switch (operator) {
    case "==":
      return wildcard ? isWithin : order === 0;
    case "!=":
      return wildcard ? !isWithin : order !== 0;
    case ">=":
      return order >= 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case "<":
      return order < 0;
    default:
      return order >= 0 && compare(release.slice(0, bound.length - 1), bound.slice(0, -1)) === 0;
  }
}

function releaseOf(version: string): Release {
  return version.split(".").map(Number);
}

function compare(a: Release, b: Release): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

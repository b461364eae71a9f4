// Resources: named things of the world that a run has to itself, or shares, from its turn until it has ended (its undo included).
//   A1  All resources of a run are taken at once, with its turn, or none. So no two runs wait for each other's resources.
//   A2  Exclusive excludes everybody. Shared runs share: up to the units that the node says there are, or without bound.
//   A3  What stands before in the line is not passed by anybody who wants the same: readers do not starve writers.
//   A4  Given back when the run has ended, in success, failure and cancel (K82); after a crash those that had begun have them again
//       before anybody else.
import type { ResourceNeed } from "@writ/core/program";
import type { ActiveRun } from "./core.ts";

export interface Resources {
  isFree(needs: readonly ResourceNeed[]): boolean;
  take(needs: readonly ResourceNeed[], run: ActiveRun): void;
  /** Gives back all that the run has; nothing when it has none. */
  release(run: ActiveRun): void;
  /** Those who have what keeps these needs from being met. */
  blockers(needs: readonly ResourceNeed[]): readonly ActiveRun[];
  holders(name: string): readonly ActiveRun[];
  /** Units there are of it; infinite where nobody said. */
  unitsOf(name: string): number;
  names(): readonly string[];
}

interface Holding {
  readonly run: ActiveRun;
  readonly need: ResourceNeed;
}

export function createResources(units: (name: string) => number | undefined): Resources {
  const held = new Map<string, Holding[]>();
  const unitsOf = (name: string): number => units(name) ?? Number.POSITIVE_INFINITY;

  const isMet = ({ name, count, access }: ResourceNeed): boolean => {
    const holdings = held.get(name);
    if (holdings === undefined) return true;
    if (access === "exclusive" || holdings.some(({ need }) => need.access === "exclusive")) return false;
    return holdings.reduce((sum, { need }) => sum + need.count, count) <= unitsOf(name);
  };

  return {
    isFree: (needs) => needs.every(isMet),
    take(needs, run) {
      for (const need of needs) {
        const holdings = held.get(need.name);
        if (holdings === undefined) held.set(need.name, [{ run, need }]);
        else holdings.push({ run, need });
      }
    },
    release(run) {
      for (const { name } of needsOf(run)) {
        const left = (held.get(name) ?? []).filter((holding) => holding.run !== run);
        if (left.length === 0) held.delete(name);
        else held.set(name, left);
      }
    },
    blockers: (needs) => [
      ...new Set(
        needs
          .filter((need) => !isMet(need))
          .flatMap(({ name }) => (held.get(name) ?? []).map(({ run }) => run)),
      ),
    ],
    holders: (name) => (held.get(name) ?? []).map(({ run }) => run),
    unitsOf,
    names: () => [...held.keys()],
  };
}

const none: readonly ResourceNeed[] = [];

export function needsOf({ state }: ActiveRun): readonly ResourceNeed[] {
  return state.prepared.hashed.program.resources ?? none;
}

/** Both cannot have what they want while the other stands before it. */
export function compete(a: readonly ResourceNeed[], b: readonly ResourceNeed[]): boolean {
  return a.some((one) => b.some((other) => one.name === other.name));
}

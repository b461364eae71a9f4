// What a simulation plays, as data: drawn from a seed, and shrunk by leaving parts out.
import type { CapabilityDefinition } from "@writ/core/capability";
import type { Program } from "@writ/core/program";
import { seededRandom, type SeededRandom } from "../seeded-random.ts";
import { misbehaviourKinds, type Misbehaviour } from "./oracle.ts";
import { makeProgram } from "./programs.ts";
import type { Happening } from "./source.ts";

export type Action = { readonly atMs: number } & (
  | { readonly kind: "start"; readonly program: number }
  /** `pick`: which of the runs there are, modulo their number. */
  | { readonly kind: "cancel"; readonly pick: number; readonly undo: boolean }
  | { readonly kind: "undo"; readonly pick: number }
  | { readonly kind: "stop"; readonly downMs: number }
  | { readonly kind: "jump"; readonly ms: number }
  | { readonly kind: "pause" | "resume" | "undeploy"; readonly program: number }
  | { readonly kind: "revoke" | "restore"; readonly capability: string }
  | { readonly kind: "meddle"; readonly name: string }
  /** A person's order to one of the runs under way. */
  | { readonly kind: "order"; readonly order: Order; readonly pick: number }
  | { readonly kind: "emergency"; readonly scope: "everything" | "target" }
);

export const orders = [
  "retry",
  "pause",
  "resume",
  "priority",
  "skip",
  "breakpoint",
  "clear-breakpoint",
  "release",
] as const;
export type Order = (typeof orders)[number];

/** The end of one life: at its n-th point, or never when it does not get there. */
export interface Crash {
  readonly point: number;
  readonly how: "power" | "kill";
  readonly downMs: number;
  /** A bit of what was written long ago is another one when the node comes back. */
  readonly rot: boolean;
}

export type DiskFault = { readonly life: number } & (
  | { readonly kind: "sync-fails"; readonly after: number; readonly prefix: string }
  | { readonly kind: "full"; readonly freeBytes: number }
);

export interface Scenario {
  readonly seed: number;
  readonly programs: readonly Program[];
  readonly actions: readonly Action[];
  readonly happenings: readonly Happening[];
  readonly misbehaviours: readonly Misbehaviour[];
  readonly crashes: readonly Crash[];
  readonly faults: readonly DiskFault[];
  readonly people: {
    /** Chance that somebody who sees an open question answers it now. */
    readonly answers: number;
    readonly approves: number;
    readonly everyMs: number;
  };
  /** Runs that the node keeps in memory at once; those that only wait are parked. */
  readonly runsActiveMax: number;
  readonly disk: { readonly turnsMax: number; readonly latencyMs: number };
}

export function scenarioOf(seed: number, capabilities: readonly CapabilityDefinition[]): Scenario {
  const random = seededRandom(seed);
  // Some seeds are small and calm, so that a crash is what matters; others are crowded.
  const size = random.pick([1, 1, 2, 3, 6]);
  const programs = programsOf(random, capabilities, 1 + random.below(size + 1));
  const spanMs = random.pick([2000, 30_000, 300_000]);
  const when = (): number => random.below(spanMs);
  const some = <T>(chance: number, most: number, make: () => T): readonly T[] =>
    random.chance(chance) ? Array.from({ length: 1 + random.below(most) }, make) : [];
  const manual = programs.flatMap(({ trigger }, i) => (trigger.kind === "manual" || i === 0 ? [i] : []));
  const actions: Action[] = [
    ...Array.from({ length: 1 + random.below(2 * size) }, () => ({
      kind: "start" as const,
      atMs: when(),
      program: random.pick(manual),
    })),
    ...some(0.3, 3, () => ({
      kind: "cancel" as const,
      atMs: when(),
      pick: random.below(100),
      undo: random.chance(0.6),
    })),
    ...some(0.2, 2, () => ({ kind: "undo" as const, atMs: when() + 10_000, pick: random.below(100) })),
    ...some(0.2, 2, () => ({ kind: "stop" as const, atMs: when(), downMs: downtime(random) })),
    ...some(0.2, 2, () => ({
      kind: "jump" as const,
      atMs: when(),
      // Back by half an hour at most: what waits by the wall clock waits that much longer.
      ms: random.chance(0.5)
        ? -random.below(random.pick([5000, 1_800_000]))
        : random.below(random.pick([5000, 3_600_000, 86_400_000])),
    })),
    ...some(0.4, 2 * size, () => ({
      kind: "order" as const,
      atMs: when(),
      order: random.pick(orders),
      pick: random.below(100),
    })),
    ...some(0.1, 1, () => ({
      kind: "emergency" as const,
      atMs: when(),
      scope: random.pick(["everything", "target"] as const),
    })),
    ...some(0.1, 1, () => ({ kind: "meddle" as const, atMs: when(), name: random.pick(["a", "b"]) })),
    ...some(0.1, 2, () => ({
      kind: random.pick(["pause", "resume", "undeploy"] as const),
      atMs: when(),
      program: random.below(programs.length),
    })),
    ...some(0.1, 2, () => ({
      kind: random.pick(["revoke", "restore"] as const),
      atMs: when(),
      capability: random.pick(["sim.put", "sim.append@1.0.0", "sim.remove"]),
    })),
  ].sort((a, b) => a.atMs - b.atMs);
  const happenings = some(0.6, random.pick([4, 4, 30]), () => ({
    atMs: when(),
    channel: random.pick(["north", "south"]),
    n: random.below(10),
  })).toSorted((a, b) => a.atMs - b.atMs);
  const names = ["a", "b", "host", "count", "undo a", "undo b", ...programs.map((_, i) => `own${i}`)];
  const misbehaviours = some(0.6, 2 * size, () => ({
    name: random.pick(names),
    call: random.below(random.pick([1, 3, 6])),
    kind: random.pick(misbehaviourKinds),
    ms: 1 + random.below(random.pick([100, 4000, 20_000])),
  }));
  const crashes = some(0.75, random.pick([1, 2, 5]), () => ({
    point: random.below(random.pick([8, 30, 120, 400])),
    how: random.pick(["power", "power", "kill"] as const),
    downMs: downtime(random),
    rot: random.chance(0.05),
  }));
  const faults: readonly DiskFault[] = some(0.15, 2, () =>
    random.chance(0.7)
      ? {
          kind: "sync-fails" as const,
          life: random.below(3),
          after: random.below(60),
          prefix: random.pick(["ledger/", "blobs/", "checkpoints/"]),
        }
      : { kind: "full" as const, life: random.below(3), freeBytes: random.below(200_000) },
  );
  return {
    seed,
    programs,
    actions,
    happenings,
    misbehaviours,
    crashes,
    faults,
    people: {
      answers: random.pick([0, 0.3, 1]),
      approves: random.pick([0.2, 0.8, 1]),
      everyMs: random.pick([200, 3000, 20_000]),
    },
    runsActiveMax: random.pick([3, 100, 100]),
    disk: { turnsMax: random.below(3), latencyMs: random.pick([0, 0, 0, 3, 200]) },
  };
}

function programsOf(
  random: SeededRandom,
  capabilities: readonly CapabilityDefinition[],
  count: number,
): readonly Program[] {
  const programs: Program[] = [];
  while (programs.length < count) {
    const made = makeProgram(random, capabilities, programs.length);
    if (made !== null) programs.push(made);
  }
  return programs;
}

function downtime(random: SeededRandom): number {
  return random.below(random.pick([1, 1000, 100_000, 86_400_000]));
}

// What really happened in the simulated world, seen from outside the node: it outlives every crash and knows what modules lie about.
import { createHash } from "node:crypto";
import type { SeededRandom } from "../seeded-random.ts";

/** What a module does when it is called on a name, the given time from the first on. */
export interface Misbehaviour {
  readonly name: string;
  /** Number of the call on this name, from 0. */
  readonly call: number;
  readonly kind: MisbehaviourKind;
  readonly ms: number;
}

export const misbehaviourKinds = [
  /** Nothing done, a fault that passes. */
  "busy",
  /** Nothing done, a fault that stays. */
  "broken",
  /** Takes its time; stops when it is told to. */
  "slow",
  /** Takes its time and does not listen; then it is done. */
  "late",
  /** Never does anything and never answers. */
  "hang",
  /** Does it, then throws an error without a code. */
  "done-then-bug",
  /** Does it, then says that it does not know. */
  "done-then-unknown",
  /** Does it and answers what its contract forbids. */
  "done-bad-answer",
  /** Does nothing and says that it did. */
  "lie-done",
  /** Does it and says with a code that it did not. */
  "lie-failed",
  /** Does it twice. */
  "twice",
  /** Answers more than an entry holds. */
  "large",
] as const;
export type MisbehaviourKind = (typeof misbehaviourKinds)[number];

/** A call that reached the world. */
export interface Deed {
  readonly capability: string;
  readonly name: string;
  readonly key: string;
  readonly run: string;
  readonly step: string;
  /** Times the world changed because of this call; 0 when it had been done before under the same key. */
  readonly times: number;
  readonly isUndo: boolean;
  readonly life: number;
}

export interface Oracle {
  readonly files: Map<string, readonly string[]>;
  readonly deeds: readonly Deed[];
  /** Keys about which a module lied: what the node believes of them may be wrong, and that is not its fault. */
  readonly lies: ReadonlySet<string>;
  /** Keys whose call has not ended and may still act. */
  readonly acting: ReadonlySet<string>;
  /** Keys whose effect stands or stood in the world. */
  isDone(key: string): boolean;
  next(name: string): Misbehaviour | undefined;
  /** From now on every module does what it should. */
  behave(): void;
  record(deed: Omit<Deed, "life">): void;
  lie(key: string): void;
  begin(key: string): void;
  end(key: string): void;
  /** A process has died: what it was doing it does no more. */
  newLife(): void;
  life(): number;
  /** Somebody else changes a file. */
  meddle(name: string, random: SeededRandom): void;
}

export function createOracle(misbehaviours: readonly Misbehaviour[]): Oracle {
  const files = new Map<string, readonly string[]>();
  const deeds: Deed[] = [];
  const lies = new Set<string>();
  const acting = new Set<string>();
  const done = new Set<string>();
  const calls = new Map<string, number>();
  let life = 0;
  let isGood = false;
  return {
    files,
    deeds,
    lies,
    acting,
    isDone: (key) => done.has(key),
    next(name) {
      const call = calls.get(name) ?? 0;
      calls.set(name, call + 1);
      if (isGood) return undefined;
      return misbehaviours.find((each) => each.name === name && each.call === call);
    },
    behave() {
      isGood = true;
    },
    record(deed) {
      deeds.push({ ...deed, life });
      if (deed.times > 0) done.add(deed.key);
    },
    lie: (key) => lies.add(key),
    begin: (key) => acting.add(key),
    end: (key) => acting.delete(key),
    newLife() {
      acting.clear();
      life++;
    },
    life: () => life,
    meddle(name, random) {
      files.set(name, [...(files.get(name) ?? []), `somebody ${random.below(1_000_000)}`]);
    },
  };
}

/** SHA-256 of the lines; of nothing when there is no file. */
export function stateOf(content: readonly string[] | undefined): string {
  return createHash("sha256")
    .update((content ?? []).join("\n"))
    .digest("hex");
}

// Bit rot: one bit of what was durable long ago is another one.
import type { SeededRandom } from "../seeded-random.ts";
import type { SimulatedDisk } from "../simulated-disk.ts";

export interface Rotten {
  readonly name: string;
  readonly kind: "segment" | "checkpoint";
  /** Puts the right bit back, as from a copy. */
  mend(disk: SimulatedDisk): void;
}

/** Flips a bit in a segment that is not the last one, or in a checkpoint; null when there is none. */
export function rot(disk: SimulatedDisk, random: SeededRandom): Rotten | null {
  const files = disk.files();
  const names = [...files.keys()].toSorted();
  const segments = names.filter((name) => name.endsWith(".segment")).slice(0, -1);
  const checkpoints = names
    .filter((name) => name.startsWith("checkpoints/") && name.endsWith(".txt"))
    .slice(-1);
  const candidates = [...segments, ...segments, ...checkpoints].filter(
    (name) => (files.get(name)?.length ?? 0) > 0,
  );
  if (candidates.length === 0) return null;
  const name = random.pick(candidates);
  const at = { offset: random.below(files.get(name)?.length ?? 1), bit: random.below(8) };
  disk.flipBit(name, at);
  return {
    name,
    kind: name.endsWith(".segment") ? "segment" : "checkpoint",
    mend(after) {
      if (after.files().has(name)) after.flipBit(name, at);
    },
  };
}

// What an approval binds to: the capability, its parameters and the state of what it touches.
//   H1  The state of a file that is only appended to, and of one that an earlier effect of the same approval changes, is left out:
//       both change by what was approved, and nothing else would then ever match.
//   H2  A host binds by its name and port, not by the addresses it resolves to today.
//       The conditions under which it would happen bind like its state: what was approved in a sandbox is not done without one.
//   H3  Where the targets were not looked at, nothing binds them. If every parameter was known (an earlier effect of the approval was to
//       make what this one touches), or if the effect is consequential, the exact effect is asked for once more before it happens.
import { toHex } from "@writ/core/bytes";
import type { Target } from "@writ/core/capability";
import { encodeCbor } from "@writ/core/cbor";
import type { EffectPreview } from "@writ/core/entry";
import { sha256, type CapabilityId, type Sha256 } from "@writ/core/ids";
import type { Hasher } from "@writ/core/ports";
import { equalValues, type ValueMap } from "@writ/core/value";

export interface BoundEffect {
  readonly capability: CapabilityId;
  readonly params: ValueMap;
  readonly targets: readonly Target[];
}

export function effectHash(effect: BoundEffect, hasher: Hasher): Sha256 {
  const targets = effect.targets.map(({ kind, name, resolved, does, state, conditions }) => ({
    kind,
    name,
    resolved,
    does,
    state,
    // Only where there are some: what was approved before there were any stays approved.
    ...(conditions === undefined ? {} : { conditions }),
  }));
  return sha256(
    toHex(hasher.sha256(encodeCbor({ capability: effect.capability, params: effect.params, targets }))),
  );
}

/** The targets as they bind, after the effects before it. */
export function bindingTargets(
  targets: readonly Target[],
  before: readonly EffectPreview[],
): readonly Target[] {
  const touched = new Set(
    before.flatMap((effect) =>
      effect.targets.filter(changes).map((target) => `${target.kind} ${target.resolved}`),
    ),
  );
  return targets.map((target) => {
    if (target.kind === "host") return { ...target, resolved: target.name, state: null };
    // What a device shows moves by itself; ranges, preconditions and read-backs look at it when it counts.
    if (target.kind === "device") return { ...target, state: null };
    const moving =
      target.does === "append" || target.does === "list" || touched.has(`${target.kind} ${target.resolved}`);
    return moving ? { ...target, state: null } : target;
  });
}

/**
 * How far the approval at this place of the list is one of the effect. `partly`: nothing speaks against it, but what it touches was not
 * seen when it was given (H3).
 */
export function coverage(
  effects: readonly EffectPreview[],
  index: number,
  effect: BoundEffect,
  hasher: Hasher,
): "no" | "partly" | "fully" {
  const approved = effects[index];
  if (approved === undefined || approved.capability !== effect.capability) return "no";
  if (approved.hash !== null) {
    const targets = bindingTargets(effect.targets, effects.slice(0, index));
    return effectHash({ ...effect, targets }, hasher) === approved.hash ? "fully" : "no";
  }
  // Some parameters were not known yet: those that were must be the same, and no other may have come up.
  const names = Object.keys(effect.params);
  const isSame =
    names.every((name) => Object.hasOwn(approved.params, name) || Object.hasOwn(approved.later, name)) &&
    Object.entries(approved.params).every(([name, value]) => {
      const now = effect.params[name];
      return now !== undefined && equalValues(now, value);
    });
  return isSame ? "partly" : "no";
}

function changes(target: Target): boolean {
  return target.does !== "read" && target.does !== "list";
}

// What is shown of an effect before it happens.
import type { Effect } from "@writ/core/api";
import type { EffectPreview } from "@writ/core/entry";
import { toJson, type Json } from "@writ/core/value";

export function apiEffect(effect: EffectPreview): Effect {
  return {
    step: effect.step,
    capability: effect.capability,
    params: toJson(effect.params) as { readonly [key: string]: Json },
    later: { ...effect.later },
    ...(effect.guard === undefined ? {} : { guard: [...effect.guard] }),
    targets: effect.targets.map(({ kind, name, resolved, does, state, conditions }) => ({
      kind,
      name,
      resolved,
      does,
      state,
      ...(conditions === undefined ? {} : { conditions }),
    })),
    hash: effect.hash,
  };
}

import type { Effect } from "@writ/core/api";
import { brief, shortHash } from "./layout.ts";

export function renderEffect(effect: Effect): string {
  const params = Object.entries(effect.params).map(([name, value]) => `  ${name} = ${brief(value)}`);
  const later = Object.entries(effect.later).map(
    ([name, text]) => `  ${name} = known later: ${typeof text === "string" ? text : brief(text)}`,
  );
  const targets = effect.targets.map(
    (target) =>
      `  ${target.does} ${target.kind} ${target.name} → ${target.resolved}` +
      (target.state === null ? "" : `, now ${shortHash(target.state)}`) +
      (target.conditions === undefined ? "" : ` (${target.conditions})`),
  );
  const hash = effect.hash === null ? [] : [`  hash ${effect.hash}`];
  const guard = (effect.guard ?? []).map((asked) => `  ${asked}`);
  return [`${effect.step}: ${effect.capability}`, ...params, ...later, ...targets, ...guard, ...hash].join(
    "\n",
  );
}

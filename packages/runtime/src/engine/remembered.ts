// Ended runs that are remembered, up to a number and a size; the ledger tells the same of the others when it is asked.
import type { RunId } from "@writ/core/ids";
import type { Value } from "@writ/core/value";
import { rememberedBytesMax, rememberedRunsMax } from "../limits.ts";
import type { RunState } from "../state.ts";
import { sizeOf } from "./core.ts";

export interface Remembered {
  /** The run's last state; the oldest are forgotten for it. */
  keep(state: RunState): void;
  get(run: RunId): RunState | undefined;
  has(run: RunId): boolean;
  /** It goes on: what it was at its end is not what it is. */
  forget(run: RunId): void;
}

export function createRemembered(): Remembered {
  const states = new Map<RunId, RunState>();
  const sizes = new Map<RunId, number>();
  let bytes = 0;

  const forget = (run: RunId): void => {
    bytes -= sizes.get(run) ?? 0;
    sizes.delete(run);
    states.delete(run);
  };

  return {
    keep(state) {
      forget(state.run);
      const sizeBytes = valuesBytes(state);
      bytes += sizeBytes;
      sizes.set(state.run, sizeBytes);
      states.set(state.run, state);
      while (states.size > 1 && (states.size > rememberedRunsMax || bytes > rememberedBytesMax)) {
        const [oldest] = states.keys();
        if (oldest !== undefined) forget(oldest);
      }
    },
    get: (run) => states.get(run),
    has: (run) => states.has(run),
    forget,
  };
}

/** About as many bytes as the values of a state take. */
function valuesBytes({ slots, steps, event, ended }: RunState): number {
  const values: Value[] = [event?.data ?? null, ended?.result ?? null];
  for (const { value } of slots.values()) values.push(value);
  for (const { effect, undo } of steps.values()) {
    for (const done of [effect, undo?.effect]) if (done != null) values.push(done.params, done.before);
    if (undo?.call != null) values.push(undo.call.params);
  }
  return values.reduce<number>((sum, value) => sum + sizeOf(value), 0);
}

// Who waits for which events now. What has ended meanwhile is found out by who asks.
import type { RunId, StepId } from "@writ/core/ids";
import { eventWaitOf } from "../machine/wait.ts";
import { sessionKey } from "../triggers/session-key.ts";
import type { ActiveRun } from "./core.ts";

export interface Waits {
  add(run: ActiveRun, step: StepId): void;
  forget(run: RunId): void;
  waiting(key: string): readonly { readonly run: ActiveRun; readonly step: StepId }[];
}

/** Where events that runs of a workspace emit are waited for. */
export function emittedKey(workspace: string): string {
  return `emitted/${workspace}`;
}

export function createWaits(): Waits {
  const byKey = new Map<string, Map<string, { readonly run: ActiveRun; readonly step: StepId }>>();
  const keysOf = new Map<RunId, Set<string>>();
  return {
    add(run, step) {
      const { state } = run;
      const until = eventWaitOf(state.prepared.steps.get(step)?.step.op, state.steps.get(step));
      if (until === undefined) return;
      const key =
        until.source === null
          ? emittedKey(state.workspace)
          : sessionKey(state.workspace, until.source, until.config);
      const waiting = byKey.get(key) ?? new Map<string, { run: ActiveRun; step: StepId }>();
      byKey.set(key, waiting.set(`${run.run} ${step}`, { run, step }));
      keysOf.set(run.run, (keysOf.get(run.run) ?? new Set()).add(key));
    },
    forget(run) {
      for (const key of keysOf.get(run) ?? []) {
        const waiting = byKey.get(key);
        for (const id of waiting?.keys() ?? []) if (id.startsWith(`${run} `)) waiting?.delete(id);
        if (waiting?.size === 0) byKey.delete(key);
      }
      keysOf.delete(run);
    },
    waiting: (key) => [...(byKey.get(key)?.values() ?? [])],
  };
}

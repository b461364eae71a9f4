// Events that runs emit: recorded, heard by runs that wait for them and by programs they start, in one commit.
import type { Event } from "@writ/core/event";
import { hasCode } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { StartRun } from "../engine.ts";
import { busyRetryMs, emittedHopsMax } from "../limits.ts";
import { labelsOfEmitted } from "../machine/advance.ts";
import type { ActiveRun, Core, RunChange } from "./core.ts";
import { stepOf } from "./job.ts";
import { emittedKey } from "./waiting.ts";

export interface EmitParts {
  readonly core: Core;
  /** The programs that an emitted event starts. */
  readonly startsOf: (event: Event, labels: readonly Label[], workspace: string) => readonly StartRun[];
  /** One commit: the change, what waits for the event, and the starts. @throws runtime.busy, runtime.full */
  readonly commit: (
    changes: readonly { readonly run: ActiveRun; readonly change: RunChange }[],
    heard: { readonly key: string; readonly event: Event; readonly labels: readonly Label[] } | null,
    starts: readonly StartRun[],
  ) => void;
}

export function emit({ core, startsOf, commit }: EmitParts, run: ActiveRun, id: StepId, event: Event): void {
  if (core.phase() !== "running" || stepOf(run, id).phase.kind !== "emitting") return;
  const labels = labelsOfEmitted(run.state, id);
  const { workspace } = run.state;
  const change: RunChange = {
    kind: "event.emitted",
    facts: { step: id, event, ...(labels.length === 0 ? {} : { labels }) },
  };
  // What is secret is not told to others; a chain of programs that start each other ends.
  const isSecret = labels.includes("secret");
  const isTooFar = (event.hops ?? 0) >= emittedHopsMax;
  if (isSecret || isTooFar)
    core.options.log?.warn("event.not-delivered", {
      run: run.run,
      step: id,
      type: event.type,
      why: isSecret ? "secret" : "too many hops",
    });
  const heard = isSecret ? null : { key: emittedKey(workspace), event, labels };
  const starts = isSecret || isTooFar ? [] : startsOf(event, labels, workspace);
  try {
    commit([{ run, change }], heard, starts);
  } catch (error) {
    if (!hasCode(error, "runtime.busy") && !hasCode(error, "runtime.full")) throw error;
    // Nothing was recorded: the event is emitted when there is room for what it starts.
    const key = `emit ${id}`;
    const again = (): void => {
      run.timers.delete(key);
      emit({ core, startsOf, commit }, run, id, event);
    };
    run.timers.set(key, core.timers.at(core.options.world.nowMs() + busyRetryMs, again));
  }
}

// Calling a capability with a deadline.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { graceMs } from "../limits.ts";
import { createAbort, recordOf, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { contextOf } from "./look.ts";
import { createReports } from "./reports.ts";

export type Called<T> =
  | { readonly kind: "returned"; readonly value: T }
  | { readonly kind: "threw"; readonly fault: FaultRecord }
  | { readonly kind: "late"; readonly fault: FaultRecord; readonly said: FaultRecord }
  | { readonly kind: "silent"; readonly fault: FaultRecord };

/**
 * Late: it was told to stop and ended with an error, which says nothing about what it did. Silent: it was told to stop and did not
 * even end; it may still act.
 */
export function withDeadline<T>(
  core: Core,
  run: ActiveRun,
  id: StepId,
  flight: InFlight,
  call: (context: ReturnType<typeof contextOf>) => Promise<T>,
): Promise<Called<T>> {
  const controller = createAbort();
  return new Promise((settle) => {
    let stopped: FaultRecord | null = null;
    let takeBack = core.timers.at(core.options.world.nowMs() + flight.timeoutMs, () =>
      stop(lateFault(flight, id)),
    );
    const stop = (why: FaultRecord): void => {
      if (stopped !== null) return;
      stopped = why;
      takeBack();
      takeBack = core.timers.at(core.options.world.nowMs() + graceMs, () =>
        done({ kind: "silent", fault: why }),
      );
      controller.abort(why);
    };
    const reports = flight.reports === true ? createReports(core, run, id, flight, stop) : undefined;
    flight.abort = (reason) => stop(recordOf(reason));
    const done = (called: Called<T>): void => {
      takeBack();
      reports?.close();
      settle(called);
    };
    const context = contextOf(
      core,
      { run, step: id, key: flight.key, workspace: flight.workspace },
      {
        before: flight.before,
        signal: controller.signal,
        ...(reports === undefined ? {} : { reports: reports.members }),
      },
    );
    // In a promise chain, so that a capability that throws before its first await is treated like any other.
    void Promise.resolve()
      .then(() => call(context))
      .then(
        (value) => done({ kind: "returned", value }),
        (error: unknown) => {
          const known = recordOf(error);
          if (known.code === "runtime.bug") {
            const { message, facts } = known;
            core.options.log?.error("capability.bug", {
              run: run.run,
              step: id,
              capability: flight.capability.id,
              message,
              facts,
            });
          }
          if (stopped !== null) done({ kind: "late", fault: stopped, said: known });
          else done({ kind: "threw", fault: known });
        },
      );
  });
}

/** It was told to stop and never said what it did. */
export function isOpen(called: Called<unknown>): boolean {
  return called.kind === "late" || called.kind === "silent";
}

function lateFault({ capability, timeoutMs }: InFlight, step: StepId): FaultRecord {
  const late = fault("runtime.timeout", `\`${capability.id}\` did not answer in ${timeoutMs} ms`, {
    step,
    timeoutMs,
  });
  return recordOf(late);
}

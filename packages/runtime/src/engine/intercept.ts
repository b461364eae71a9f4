// Stopping at a breakpoint: what would be done is shown and recorded, nothing is attempted.
import type { Target } from "@writ/core/capability";
import { bindingTargets, effectHash } from "../effect-hash.ts";
import { breakpointFor } from "../machine/intercept.ts";
import { shownParams } from "./approvals.ts";
import { isRefusedEntry, recordOf, type Core } from "./core.ts";
import { stepOf, type Job } from "./job.ts";

/** True when the step stands at a breakpoint; it is recorded with what would be done. */
export function stopsAtBreakpoint(core: Core, job: Job, targets: readonly Target[]): boolean {
  const { run, step, capability, params } = job;
  if (run.state.control.breakpoints.length === 0) return false;
  const bound = { capability, params, targets: bindingTargets(targets, []) };
  const hash = effectHash(bound, core.options.hasher);
  const hit = breakpointFor(run.state, { step, capability, hash });
  if (hit === null) return false;
  const { attempt } = stepOf(run, step);
  const shown = shownParams(core, params).then((resolved) => {
    const now = stepOf(run, step);
    if (core.phase() !== "running" || run.state.control.paused !== null) return;
    if (now.phase.kind !== "attempting" || now.attempt !== attempt) return;
    const effect = { step, ...bound, params: resolved, later: {}, hash };
    const facts = { step, attempt, breakpoint: hit.breakpoint, effect };
    try {
      core.apply(run, { kind: "step.intercepted", facts });
    } catch (error) {
      if (!isRefusedEntry(error)) throw error;
      // Nobody can be shown what the ledger cannot hold.
      core.apply(run, { kind: "effect.refused", facts: { step, attempt, fault: recordOf(error) } });
      return;
    }
    core.notify("operator", "A step stands at a breakpoint", `Run ${run.run}, step ${step}: ${capability}`);
  });
  core.track(shown);
  return true;
}

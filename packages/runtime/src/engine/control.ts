// Orders of people to runs that are under way. Each is judged, recorded, and answered for when it is durable.
import type { Actor } from "@writ/core/entry";
import type { Priority } from "@writ/core/event";
import { Fault, type FaultRecord } from "@writ/core/fault";
import type { ProgramHash, RunId, StepId } from "@writ/core/ids";
import type { ValueMap } from "@writ/core/value";
import { pauseProblem, priorityProblem, resumeProblem, skipProblem } from "../machine/control.ts";
import { migrateProblem } from "../machine/migrate.ts";
import type { PreparedProgram } from "../program-index.ts";
import { releaseProblem } from "../machine/intercept.ts";
import { fault } from "../faults.ts";
import { breakpointsMax } from "../limits.ts";
import { breakpointAt, checkParams } from "./breakpoints.ts";
import { retryProblem } from "../machine/reopen.ts";
import type { RunState } from "../state.ts";
import type { ActiveRun, Core, RunChange } from "./core.ts";

export interface Control {
  /** Nothing new begins; what is under way is let finish. @throws run.unknown, run.ended, run.paused */
  pauseRun(run: RunId, actor: Actor, reason: string): Promise<void>;
  /** What came due meanwhile happens now. @throws run.unknown, run.ended, run.not-paused */
  resumeRun(run: RunId, actor: Actor, reason: string): Promise<void>;
  /** @throws run.unknown, run.ended */
  setPriority(run: RunId, actor: Actor, priority: Priority): Promise<void>;
  /**
   * Tries a failed step again, with what fell with it; a run that ended as failed goes on. Its time limit begins anew.
   * @throws run.unknown, run.ended, run.order, runtime.busy
   */
  retryStep(run: RunId, step: StepId, actor: Actor, reason: string): Promise<void>;
  /** Goes on without the step, also in a run that ended because of it. @throws run.unknown, run.ended, run.order */
  skipStep(run: RunId, step: StepId, actor: Actor, reason: string): Promise<void>;
  /**
   * Moves the run to another version of its program, when all that has begun is the same there.
   * @throws run.unknown, run.ended, run.migration, program.unknown, program.refused, signature.*
   */
  migrateRun(run: RunId, target: ProgramHash, actor: Actor): Promise<void>;
  /** `where`: a step's id, or a capability (`*` for any characters). Resolves with its id. @throws run.unknown, run.ended, run.breakpoint */
  setBreakpoint(run: RunId, actor: Actor, where: string): Promise<string>;
  /** A step that stands there goes on standing. @throws run.unknown, run.ended, run.breakpoint */
  clearBreakpoint(run: RunId, actor: Actor, breakpoint: string): Promise<void>;
  /**
   * Lets a step go on from a breakpoint, with `params` in the place of those the author wrote: then it takes a new approval.
   * @throws run.unknown, run.ended, run.order, gate.params-invalid, runtime.parameter-too-large
   */
  releaseStep(
    run: RunId,
    step: StepId,
    actor: Actor,
    given: { readonly params: ValueMap | null; readonly comment: string },
  ): Promise<void>;
}

const reasonLengthMax = 1024;

export function createControl(
  core: Core,
  parts: {
    readonly activeRun: (run: RunId) => Promise<ActiveRun>;
    /** @throws program.unknown, program.refused, signature.* */
    readonly prepare: (program: ProgramHash) => Promise<PreparedProgram>;
    readonly withdraw: (run: ActiveRun) => void;
    readonly enter: (run: ActiveRun) => void;
    /** The run in memory, also one that has ended and of which `problem` says nothing. */
    readonly reopened: (run: RunId, problem: (state: RunState) => FaultRecord | null) => Promise<ActiveRun>;
  },
): Control {
  const { activeRun, reopened } = parts;
  const order = async (
    run: ActiveRun,
    problem: FaultRecord | null,
    actor: Actor,
    change: RunChange,
  ): Promise<void> => {
    if (problem !== null) throw new Fault({ ...problem, facts: { ...problem.facts, run: run.run } });
    await core.options.ledger.durable(core.apply(run, change, { actor }));
  };
  return {
    async pauseRun(run, actor, reason) {
      const active = await activeRun(run);
      const facts = { by: actor, reason: reason.slice(0, reasonLengthMax).toWellFormed() };
      await order(active, pauseProblem(active.state), actor, { kind: "run.paused", facts });
    },
    async resumeRun(run, actor, reason) {
      const active = await activeRun(run);
      const facts = { by: actor, reason: reason.slice(0, reasonLengthMax).toWellFormed() };
      await order(active, resumeProblem(active.state), actor, { kind: "run.resumed", facts });
    },
    async setPriority(run, actor, priority) {
      const active = await activeRun(run);
      const facts = { by: actor, priority };
      await order(active, priorityProblem(active.state), actor, { kind: "run.priority-set", facts });
    },
    async retryStep(run, step, actor, reason) {
      const facts = { step, by: actor, reason: reason.slice(0, reasonLengthMax).toWellFormed() };
      const change = { kind: "step.retry-ordered", facts } as const;
      const problem = (state: RunState) => retryProblem(state, step);
      const active = await reopened(run, problem);
      await order(active, problem(active.state), actor, change);
    },
    async skipStep(run, step, actor, reason) {
      const problem = (state: RunState) => skipProblem(state, step);
      const active = await reopened(run, problem);
      const facts = { step, by: actor, reason: reason.slice(0, reasonLengthMax).toWellFormed() };
      await order(active, skipProblem(active.state, step), actor, { kind: "step.skip-ordered", facts });
    },
    async migrateRun(run, hash, actor) {
      const target = await parts.prepare(hash);
      const active = await activeRun(run);
      const problem = migrateProblem(active.state, target);
      if (problem !== null) throw new Fault({ ...problem, facts: { ...problem.facts, run } });
      const facts = { source: active.state.program, target: hash, by: actor };
      // Its turn is one of its program's; it queues as a run of the other version where that has no place.
      parts.withdraw(active);
      const seq = core.apply(active, { kind: "run.migrated", facts }, { actor, target });
      parts.enter(active);
      await core.options.ledger.durable(seq);
    },
    async setBreakpoint(run, actor, where) {
      const active = await activeRun(run);
      const facts = { ...breakpointAt(where, active.state.prepared, core.options), by: actor };
      const count = active.state.control.breakpoints.length;
      if (count >= breakpointsMax)
        throw fault("run.breakpoint", `Cannot set a breakpoint: there are ${count}`, { breakpointsMax });
      await order(active, priorityProblem(active.state), actor, { kind: "breakpoint.set", facts });
      return facts.breakpoint;
    },
    async clearBreakpoint(run, actor, breakpoint) {
      const active = await activeRun(run);
      if (!active.state.control.breakpoints.some((one) => one.breakpoint === breakpoint))
        throw fault("run.breakpoint", `Cannot find the breakpoint \`${breakpoint}\``, { run, breakpoint });
      const facts = { breakpoint, by: actor };
      await order(active, null, actor, { kind: "breakpoint.cleared", facts });
    },
    async releaseStep(run, step, actor, { params, comment }) {
      const active = await activeRun(run);
      const problem = releaseProblem(active.state, step, params !== null);
      if (problem === null && params !== null) checkParams(core, active.state, step, params);
      const attempt = active.state.steps.get(step)?.attempt ?? 0;
      const facts = {
        step,
        attempt,
        by: actor,
        params,
        comment: comment.slice(0, reasonLengthMax).toWellFormed(),
      };
      await order(active, problem, actor, { kind: "step.released", facts });
    },
  };
}

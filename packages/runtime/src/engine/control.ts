// Orders of people to runs that are under way. Each is judged, recorded, and answered for when it is durable.
import type { Actor } from "@writ/core/entry";
import type { Priority } from "@writ/core/event";
import { Fault, type FaultRecord } from "@writ/core/fault";
import type { RunId, StepId } from "@writ/core/ids";
import { pauseProblem, priorityProblem, resumeProblem, skipProblem } from "../machine/control.ts";
import type { ActiveRun, Core, RunChange } from "./core.ts";

export interface Control {
  /** Nothing new begins; what is under way is let finish. @throws run.unknown, run.ended, run.paused */
  pauseRun(run: RunId, actor: Actor, reason: string): Promise<void>;
  /** What came due meanwhile happens now. @throws run.unknown, run.ended, run.not-paused */
  resumeRun(run: RunId, actor: Actor, reason: string): Promise<void>;
  /** @throws run.unknown, run.ended */
  setPriority(run: RunId, actor: Actor, priority: Priority): Promise<void>;
  /** Goes on without the step. @throws run.unknown, run.ended, run.order */
  skipStep(run: RunId, step: StepId, actor: Actor, reason: string): Promise<void>;
}

const reasonLengthMax = 1024;

export function createControl(
  core: Core,
  { activeRun }: { readonly activeRun: (run: RunId) => Promise<ActiveRun> },
): Control {
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
      const facts = { by: actor, reason: reason.slice(0, reasonLengthMax) };
      await order(active, pauseProblem(active.state), actor, { kind: "run.paused", facts });
    },
    async resumeRun(run, actor, reason) {
      const active = await activeRun(run);
      const facts = { by: actor, reason: reason.slice(0, reasonLengthMax) };
      await order(active, resumeProblem(active.state), actor, { kind: "run.resumed", facts });
    },
    async setPriority(run, actor, priority) {
      const active = await activeRun(run);
      const facts = { by: actor, priority };
      await order(active, priorityProblem(active.state), actor, { kind: "run.priority-set", facts });
    },
    async skipStep(run, step, actor, reason) {
      const active = await activeRun(run);
      const facts = { step, by: actor, reason: reason.slice(0, reasonLengthMax) };
      await order(active, skipProblem(active.state, step), actor, { kind: "step.skip-ordered", facts });
    },
  };
}

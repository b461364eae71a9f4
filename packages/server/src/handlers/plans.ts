// Plans: the express road. The same compiler, proof, signature and gate as a rule; only nobody has to deploy it first.
import { waitMsMax, type PlanOutcome } from "@writ/core/api";
import type { CompileRoad } from "../compile.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import type { RunWatch } from "../node/run-watch.ts";
import { apiApproval } from "../views/run.ts";
import { findProgram } from "../node/programs.ts";
import { manualEvent, namesOf, startedView, stateOf } from "./runs.ts";

export function planHandlers(
  node: NodeContext,
  road: CompileRoad,
  watch: RunWatch,
): Pick<Handlers, "runPlan"> {
  return {
    runPlan: async ({ body, caller, onGone }): Promise<PlanOutcome> => {
      const outcome = await road.express(JSON.stringify(body.plan), body.workspace, caller.actor);
      if ("kind" in outcome) return outcome;
      const { workspace } = findProgram(node, outcome.hash);
      const { run, durable } = node.engine.startRun({
        program: outcome,
        event: manualEvent(node, outcome, {}),
        labels: [],
        principal: caller.actor,
        workspace,
      });
      await durable;
      if (body.wait === true) await watch.settled(run, waitMsMax, onGone);
      const state = await stateOf(node, run);
      const started = startedView(state, outcome.hash);
      const approvals = [...state.approvals.values()]
        .filter((approval) => approval.state === "waiting")
        .map((approval) =>
          apiApproval({ ...approval, run, program: outcome.hash, workspace }, namesOf(node), caller.roles),
        );
      return { ...started, kind: "started", approvals };
    },
  };
}

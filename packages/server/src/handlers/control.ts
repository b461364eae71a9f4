// Orders to runs that are under way: pause, resume, priority, skip.
import { runId, stepId } from "@writ/core/ids";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import { findProgram } from "../node/programs.ts";
import { simulatedView } from "../views/simulated.ts";
import { runSummary } from "../views/run.ts";
import { dataOf, namesOf, stateOf } from "./runs.ts";

export function controlHandlers(
  node: NodeContext,
): Pick<
  Handlers,
  | "pauseRun"
  | "resumeRun"
  | "setPriority"
  | "skipStep"
  | "setBreakpoint"
  | "clearBreakpoint"
  | "releaseStep"
  | "retryStep"
  | "migrateRun"
  | "forkRun"
> {
  const { engine } = node;
  const nameOf = namesOf(node);
  const summary = async (run: ReturnType<typeof runId>) => runSummary(await stateOf(node, run), nameOf);
  return {
    pauseRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.pauseRun(run, caller.actor, body.reason ?? "");
      return summary(run);
    },
    resumeRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.resumeRun(run, caller.actor, body.reason ?? "");
      return summary(run);
    },
    setPriority: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.setPriority(run, caller.actor, body.priority);
      return summary(run);
    },
    setBreakpoint: async ({ params, body, caller }) => {
      const run = runId(params.run);
      const breakpoint = await engine.setBreakpoint(run, caller.actor, body.where);
      return { breakpoint, run: await summary(run) };
    },
    clearBreakpoint: async ({ params, caller }) => {
      const run = runId(params.run);
      await engine.clearBreakpoint(run, caller.actor, params.breakpoint);
      return summary(run);
    },
    releaseStep: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.releaseStep(run, stepId(params.step), caller.actor, {
        params: body.params === undefined ? null : dataOf(body.params),
        comment: body.comment ?? "",
      });
      return summary(run);
    },
    retryStep: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.retryStep(run, stepId(params.step), caller.actor, body.reason ?? "");
      return summary(run);
    },
    migrateRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.migrateRun(run, findProgram(node, body.program).hash, caller.actor);
      return summary(run);
    },
    forkRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      if (body.simulate === true)
        return { kind: "simulated", result: simulatedView(await engine.simulateFork(run, body.at)) };
      return { kind: "started", run: await summary(await engine.forkRun(run, body.at, caller.actor)) };
    },
    skipStep: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.skipStep(run, stepId(params.step), caller.actor, body.reason);
      return summary(run);
    },
  };
}

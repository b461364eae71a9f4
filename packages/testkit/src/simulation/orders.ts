// Orders of people to runs that are under way: whatever the run is doing, they are taken or refused, and nothing breaks.
import { priorities } from "@writ/core/event";
import type { RunState } from "@writ/runtime/state";
import { accountant, owner, type SimulatedNode } from "./node.ts";
import { attempt } from "./people.ts";
import type { Order } from "./scenario.ts";

export function giveOrder(
  node: SimulatedNode,
  order: Order,
  pick: number,
  runs: readonly RunState[],
  problem: (text: string) => void,
): void {
  const { engine } = node;
  const tell = (call: Promise<unknown>): void => attempt(call, problem);
  if (order === "retry") {
    retryFailed(node, runs, pick, tell);
    return;
  }
  const states = engine.active();
  const state = states[pick % Math.max(1, states.length)];
  if (state === undefined) return;
  const { run, steps } = state;
  const ids = [...steps.keys()];
  const step = ids[pick % Math.max(1, ids.length)];
  switch (order) {
    case "pause":
      return tell(engine.pauseRun(run, accountant, "wait"));
    case "resume":
      return tell(engine.resumeRun(run, accountant, "go on"));
    case "priority":
      return tell(engine.setPriority(run, owner, priorities[pick % priorities.length] ?? "normal"));
    case "skip":
      if (step !== undefined) tell(engine.skipStep(run, step, owner, "not now"));
      return;
    case "breakpoint":
      return tell(engine.setBreakpoint(run, owner, pick % 2 === 0 ? "sim.*" : (step ?? "sim.put")));
    case "clear-breakpoint": {
      const set = state.control.breakpoints[0];
      if (set !== undefined) tell(engine.clearBreakpoint(run, owner, set.breakpoint));
      return;
    }
    case "release": {
      const stands = [...steps].find(([, { phase }]) => phase.kind === "intercepted");
      if (stands === undefined) return;
      const [id, { phase }] = stands;
      const params =
        pick % 3 === 0 && phase.kind === "intercepted" && "text" in phase.effect.params
          ? { ...phase.effect.params, text: "changed" }
          : null;
      return tell(engine.releaseStep(run, id, owner, { params, comment: "" }));
    }
  }
}

/** One of the steps that failed is tried again, also when its run has ended because of it. */
function retryFailed(
  { engine }: SimulatedNode,
  runs: readonly RunState[],
  pick: number,
  tell: (call: Promise<unknown>) => void,
): void {
  const failed = runs.flatMap(({ run, steps }) =>
    [...steps].flatMap(([id, { status }]) => (status === "FAILED" ? [{ run, id }] : [])),
  );
  const chosen = failed[pick % Math.max(1, failed.length)];
  if (chosen !== undefined) tell(engine.retryStep(chosen.run, chosen.id, owner, "once more"));
}

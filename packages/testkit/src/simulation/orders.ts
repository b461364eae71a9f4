// Orders of people to runs that are under way: whatever the run is doing, they are taken or refused, and nothing breaks.
import { priorities } from "@writ/core/event";
import { accountant, owner, type SimulatedNode } from "./node.ts";
import { attempt } from "./people.ts";
import type { Order } from "./scenario.ts";

export function giveOrder(
  { engine }: SimulatedNode,
  order: Order,
  pick: number,
  problem: (text: string) => void,
): void {
  const states = engine.active();
  const state = states[pick % Math.max(1, states.length)];
  if (state === undefined) return;
  const { run, steps } = state;
  const ids = [...steps.keys()];
  const step = ids[pick % Math.max(1, ids.length)];
  const tell = (call: Promise<unknown>): void => attempt(call, problem);
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

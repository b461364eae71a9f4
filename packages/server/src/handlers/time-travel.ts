// Looking back: what a run was at any entry, where two runs part, why a step happened, and a run as evidence. Nothing here acts.
//   S99  An export reads the whole ledger and holds the whole file: one at a time, whoever asks and however often.
import type { Replay } from "@writ/core/api";
import { programsOf } from "@writ/core/run-export";
import { runId, stepId, type RunId } from "@writ/core/ids";
import { toJson, type Json } from "@writ/core/value";
import { outstanding } from "@writ/runtime/machine";
import type { RunState } from "@writ/runtime/state";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import { createQueue, type NodeContext } from "../node/context.ts";
import { keptOf } from "../node/programs.ts";
import { decisionsOn, exportRun, receivedEntry, type ExportParts } from "../node/run-export.ts";
import { entrySummary } from "../views/entry.ts";
import { runDiff } from "../views/run-diff.ts";
import { statusOf } from "../views/run.ts";
import { slotViews } from "../views/slot.ts";
import { whyLinks } from "../views/why.ts";
import { namesOf, stateOf } from "./runs.ts";

export function timeTravelHandlers(
  node: NodeContext,
  parts: ExportParts,
): Pick<Handlers, "replayRun" | "diffRuns" | "whyStep" | "exportRun"> {
  const nameOf = namesOf(node);
  const inTurn = createQueue();
  return {
    replayRun: ({ params, query }) => replayView(node, runId(params.run), query.to ?? null),
    diffRuns: async ({ params }) => {
      const [a, b] = await Promise.all([params.run, params.other].map((run) => stateOf(node, runId(run))));
      if (a === undefined || b === undefined) throw new Error("Invariant broken: two runs were asked for");
      return runDiff(a, b, nameOf);
    },
    whyStep: async ({ params }) => {
      const run = runId(params.run);
      const step = stepId(params.step);
      const state = await stateOf(node, run);
      const found = state.steps.get(step);
      if (found === undefined) {
        throw fault("run.unknown-step", `Cannot find the step \`${step}\` in run \`${run}\``, {
          run,
          step,
          steps: [...state.steps.keys()].slice(0, 100),
        });
      }
      const entries = await node.ledger.readRun(run);
      const [started] = entries;
      const known = node.registry().programs.get(state.program);
      const links = whyLinks({
        state,
        step,
        entries,
        received: started?.kind === "run.started" ? await receivedEntry(node, started) : null,
        decisions: (await decisionsOn(parts, programsOf(entries))).filter(({ kind }) =>
          kind.startsWith("program."),
        ),
        name: nameOf(state.program),
        source: known === undefined ? null : (await keptOf(node, known)).source,
      });
      return { run, step, state: found.status, links: [...links] };
    },
    exportRun: ({ params }) => inTurn(() => exportRun(node, parts, runId(params.run))),
  };
}

async function replayView(node: NodeContext, run: RunId, to: number | null): Promise<Replay> {
  const replay = await node.engine.replay(run);
  const steps = to === null ? replay.steps : replay.steps.filter(({ entry }) => entry.seq <= to);
  let before: RunState | null = null;
  const states = steps.map(({ entry, state }) => {
    const previous: RunState | null = before;
    before = state;
    const { seq, kind, step } = entrySummary(entry);
    const changed = [...state.steps]
      .filter(([id, now]) => previous?.steps.get(id)?.status !== now.status)
      .map(([id, now]) => ({ step: id as string, state: now.status }));
    return { seq, kind, step, changed, commands: [] as string[] };
  });
  const last = steps.at(-1)?.state;
  if (last === undefined) {
    const first = replay.steps[0]?.entry.seq;
    if (first === undefined) throw fault("run.unknown", `Cannot find the run \`${run}\``, { run });
    throw fault("run.not-begun", `Cannot replay the run \`${run}\` up to ${to}: it begins at ${first}`, {
      run,
      first,
    });
  }
  const { divergence } = replay;
  return {
    run,
    entries: steps.length,
    agrees: divergence === null,
    differences: divergence === null ? [] : [`entry ${divergence.seq}: ${divergence.fault.message}`],
    status: statusOf(last),
    states,
    at: to === null ? null : stateView(last),
    result: toJson(last.ended?.result ?? null) as Json,
  };
}

/** Everything of a state that a person debugs with. */
function stateView(state: RunState): NonNullable<Replay["at"]> {
  return {
    seq: state.seq,
    status: statusOf(state),
    steps: [...state.steps].map(([step, { status, attempt, phase }]) => ({
      step,
      state: status,
      attempt,
      waitsFor: phase.kind === "settled" || phase.kind === "blocked" ? null : phase.kind,
    })),
    slots: slotViews(state.slots),
    next: outstanding(state).map((command) =>
      "step" in command ? `${command.kind} ${command.step}` : command.kind,
    ),
  };
}

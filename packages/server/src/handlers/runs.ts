// Runs: started by hand or by a plan, followed, cancelled, undone, settled and replayed. The machine decides; this only asks it.
//   S14  A run is answered for only when its first entry is durable.
//   S15  Nobody starts a run of a program that is not deployed, or is paused.
import type { RunDetail, RunStatus, RunStarted, RunSummary } from "@writ/core/api";
import type { RunEntry } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import { eventId, programHash, runId, stepId, type ProgramHash, type RunId } from "@writ/core/ids";
import type { HashedProgram } from "@writ/core/program";
import { isMap, parseValue, toJson, type ValueMap } from "@writ/core/value";
import { isoTime } from "@writ/runtime/iso-time";
import type { RunState } from "@writ/runtime/state";
import type { Projections, RunRow } from "@writ/store/projections";
import { toHex } from "@writ/core/bytes";
import { waitMsMax } from "@writ/core/api";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import type { RunWatch } from "../node/run-watch.ts";
import { apiFault } from "../views/program.ts";
import { runDetail, runSummary, statusOf, type NameOf } from "../views/run.ts";
import { previewView } from "../views/preview.ts";
import { findProgram, hashedOf } from "../node/programs.ts";

const runsPerPage = 50;

export interface RunParts {
  readonly projections: Projections;
  readonly watch: RunWatch;
}

export function runHandlers(
  node: NodeContext,
  parts: RunParts,
): Pick<
  Handlers,
  "previewProgram" | "startRun" | "listRuns" | "getRun" | "cancelRun" | "undoRun" | "settleStep"
> {
  const { engine } = node;
  const { projections } = parts;
  const nameOf = namesOf(node);
  return {
    previewProgram: async ({ params, body }) => {
      const known = findProgram(node, params.hash);
      const program = await hashedOf(node, known);
      const event = manualEvent(node, program, dataOf(body.data));
      return previewView(await engine.preview(program, event, known.workspace), program);
    },
    startRun: async (request) => {
      const { params, query, body, caller } = request;
      const known = findProgram(node, params.hash);
      if (known.deployedAtMs === null) {
        throw fault("program.not-deployed", `Cannot run \`${known.name}\`: it is not deployed`, {
          program: known.hash,
        });
      }
      if (known.paused)
        throw fault("program.paused", `Cannot run \`${known.name}\`: it is paused`, { program: known.hash });
      const program = await node.loadProgram(known.hash);
      const event = manualEvent(node, program, dataOf(body.data ?? {}));
      const { run, durable } = engine.startRun({
        program,
        event,
        labels: ["origin:event"],
        principal: caller.actor,
        workspace: known.workspace,
        ...(body.breakpoints === undefined ? {} : { breakpoints: body.breakpoints }),
      });
      await durable;
      if (query.wait !== true)
        return { run, program: known.hash, status: "running", result: null, fault: null };
      await parts.watch.settled(run, waitMsMax, request.onGone);
      return startedView(await stateOf(node, run), known.hash);
    },
    listRuns: async ({ query }) => {
      // Only the machine knows who is being cancelled or paused; those runs are few.
      const { status } = query;
      if (status === "cancelling" || status === "paused") {
        const runs = engine.active().filter((state) => statusOf(state) === status);
        return { runs: runs.map((state) => runSummary(state, nameOf)), next: null };
      }
      const limit = query.limit ?? runsPerPage;
      const rows = projections.runs({
        ...(status === undefined ? {} : { status }),
        ...(query.program === undefined ? {} : { program: programHash(query.program) }),
        ...(query.before === undefined ? {} : { before: rowOf(projections, query.before).startedSeq }),
        limit: limit + 1,
      });
      const shown = rows.slice(0, limit);
      return {
        runs: shown.map((row) => summaryOfRow(node, row, nameOf)),
        next: rows.length > limit ? (shown.at(-1)?.run ?? null) : null,
      };
    },
    getRun: async ({ params, caller }) => detailOfRun(node, runId(params.run), caller.roles),
    cancelRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.cancelRun(run, caller.actor, { undo: body.undo ?? false, reason: body.reason ?? "" });
      return runSummary(await stateOf(node, run), nameOf);
    },
    undoRun: async ({ params, body, caller }) => {
      const run = runId(params.run);
      await engine.undoRun(run, caller.actor, body.reason ?? "");
      return runSummary(await stateOf(node, run), nameOf);
    },
    settleStep: async ({ params, body, caller }) => {
      const run = runId(params.run);
      const result = body.result === undefined ? undefined : parseValue(body.result);
      await engine.settle(run, stepId(params.step), body.decision, caller.actor, result);
      return runSummary(await stateOf(node, run), nameOf);
    },
  };
}

/** Names of programs, for people. */
export function namesOf(node: Pick<NodeContext, "registry">): NameOf {
  return (program) => node.registry().programs.get(program)?.name ?? program.slice(0, 8);
}

/** The state as it is now, or as the ledger's entries say for a run that has ended. @throws run.unknown */
export async function stateOf(node: Pick<NodeContext, "engine" | "ledger">, run: RunId): Promise<RunState> {
  const state = node.engine.state(run);
  if (state !== undefined) {
    // A crash could take back what is not durable; nobody is told of it before.
    await node.ledger.durable(state.seq);
    return state;
  }
  const last = (await node.engine.replay(run)).steps.at(-1)?.state;
  if (last === undefined) throw fault("run.unknown", `Cannot find the run \`${run}\``, { run });
  return last;
}

export async function detailOfRun(
  node: NodeContext,
  run: RunId,
  roles: readonly string[],
): Promise<RunDetail> {
  const state = await stateOf(node, run);
  const entries: readonly RunEntry[] = await node.ledger.readRun(run);
  return runDetail(state, entries, namesOf(node), roles);
}

export function startedView(state: RunState, program: ProgramHash): RunStarted {
  const { ended } = state;
  return {
    run: state.run,
    program,
    status: statusOf(state),
    result: toJson(ended?.result ?? null),
    fault: ended?.fault == null ? null : apiFault(ended.fault),
    ...(state.simulated === true ? { simulated: true } : {}),
  };
}

/** An event as a person sends it. For a program with a source it has the source's type, so that filters see what they expect. */
export function manualEvent(
  node: Pick<NodeContext, "world" | "entropy">,
  { program, hash }: HashedProgram,
  data: ValueMap,
): Event {
  const { trigger } = program;
  return {
    specversion: "1.0",
    id: eventId(toHex(node.entropy.bytes(16))),
    source: `/programs/${hash}`,
    type: trigger.kind === "manual" ? "writ.manual" : trigger.source.slice(0, trigger.source.indexOf("@")),
    time: isoTime(node.world.nowMs()),
    data,
  };
}

/** @throws request.invalid */
export function dataOf(data: unknown): ValueMap {
  const value = parseValue(data);
  if (isMap(value)) return value;
  throw fault("request.invalid", "Cannot take the data: it is no object");
}

function rowOf(projections: Projections, run: string): RunRow {
  const row = projections.run(runId(run));
  if (row === undefined) throw fault("run.unknown", `Cannot find the run \`${run}\``, { run });
  return row;
}

function summaryOfRow(node: NodeContext, row: RunRow, nameOf: NameOf): RunSummary {
  const state = node.engine.state(row.run);
  if (state !== undefined) return runSummary(state, nameOf);
  const [type = "", ...subject] = row.eventSummary.split(" ");
  return {
    id: row.run,
    program: row.program,
    programName: nameOf(row.program),
    workspace: row.workspace,
    status: row.status satisfies RunStatus,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs,
    event: { id: "", type, subject: subject.length === 0 ? null : subject.join(" ") },
  };
}

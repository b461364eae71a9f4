// What is shown of a run: folded from its entries by the machine, never kept twice.
import {
  pageEntriesMax,
  type Approval,
  type RunDetail,
  type RunStatus,
  type RunSummary,
} from "@writ/core/api";
import type { ApprovalId, ProgramHash, RunId } from "@writ/core/ids";
import type { RunEntry } from "@writ/core/entry";
import { toJson } from "@writ/core/value";
import { hasRole } from "@writ/runtime/registry";
import { runStatus, type ApprovalState, type RunState, type StepState } from "@writ/runtime/state";
import { breakpointsOf, controlOfStep } from "./control.ts";
import { apiEffect } from "./effect.ts";
import { actorText, entrySummary } from "./entry.ts";
import { apiFault, labelOf } from "./program.ts";

/** Names what ids stand for. */
export type NameOf = (program: ProgramHash) => string;

/**
 * One word for people: what waits, waits for one of them. A run that waits for a time is running, as it is in the projections, and so
 * is one whose approval is being drawn up: there is nothing to decide on yet.
 */
export function statusOf(state: RunState): RunStatus {
  const status = runStatus(state);
  if (status !== "waiting") return status;
  if ([...state.steps.values()].some(({ phase }) => phase.kind === "intercepted")) return status;
  const asked = [...state.steps.values()].flatMap(({ phase }) => (phase.kind === "approval" ? [phase] : []));
  return asked.length > 0 && asked.every(({ approval }) => approval !== null) ? status : "running";
}

export function runSummary(state: RunState, nameOf: NameOf): RunSummary {
  const { event } = state;
  return {
    id: state.run,
    program: state.program,
    programName: nameOf(state.program),
    workspace: state.workspace,
    status: statusOf(state),
    startedAtMs: state.startedAtMs,
    endedAtMs: state.ended?.atMs ?? null,
    ...(state.simulated === true ? { simulated: true } : {}),
    event: { id: event?.id ?? "", type: event?.type ?? "", subject: event?.subject ?? null },
  };
}

export function runDetail(
  state: RunState,
  entries: readonly RunEntry[],
  nameOf: NameOf,
  roles: readonly string[],
): RunDetail {
  return {
    ...runSummary(state, nameOf),
    startedBy: actorText(state.principal),
    eventData: toJson(state.event?.data ?? null),
    steps: [...state.prepared.steps.values()].map(({ step }) => {
      const of = state.steps.get(step.id);
      return {
        id: step.id,
        op: step.op.op,
        label: labelOf(step).slice(0, 4096),
        state: of?.status ?? "PENDING",
        attempt: of?.attempt ?? 0,
        fault: of?.fault === undefined || of.fault === null ? null : apiFault(of.fault),
        held: of === undefined ? null : heldOf(of),
        ...(of?.effect?.progress === undefined ? {} : { progress: toJson(of.effect.progress) }),
        ...controlOfStep(state, step),
      };
    }),
    approvals: [...state.approvals.values()].map((approval) =>
      apiApproval(
        { ...approval, run: state.run, program: state.program, workspace: state.workspace },
        nameOf,
        roles,
      ),
    ),
    ...(state.parent === undefined ? {} : { parent: { run: state.parent.run, step: state.parent.step } }),
    ...childrenOf(state),
    ...(state.control.forkedFrom === null ? {} : { forkedFrom: { ...state.control.forkedFrom } }),
    ...(state.control.breakpoints.length === 0 ? {} : { breakpoints: breakpointsOf(state) }),
    result: toJson(state.ended?.result ?? null),
    fault:
      state.ended?.fault === undefined || state.ended.fault === null ? null : apiFault(state.ended.fault),
    entries: entries.slice(-pageEntriesMax).map(entrySummary),
    entriesCount: entries.length,
  };
}

export interface PlacedApproval extends ApprovalState {
  readonly approval: ApprovalId;
  readonly run: RunId;
  readonly program: ProgramHash;
  readonly workspace: string;
}

export function apiApproval(approval: PlacedApproval, nameOf: NameOf, roles: readonly string[]): Approval {
  return {
    id: approval.approval,
    run: approval.run,
    step: approval.step,
    program: approval.program,
    programName: nameOf(approval.program),
    workspace: approval.workspace,
    role: approval.role,
    message: approval.message,
    effects: approval.effects.map(apiEffect),
    reason: approval.why === "gate" ? "gate" : "program",
    onExpiry: approval.onExpiry,
    requestedAtMs: approval.requestedAtMs,
    expiresAtMs: approval.expiresAtMs,
    state: approval.state,
    mayDecide: mayDecide(roles, approval.role),
  };
}

/** Agents hand in work; they never decide on it, whatever other roles they were given. */
export function mayDecide(roles: readonly string[], role: string): boolean {
  return !roles.includes("agent") && hasRole(roles, role);
}

function heldOf(step: StepState): RunDetail["steps"][number]["held"] {
  if (step.phase.kind === "held") return { what: "effect", reason: step.phase.reason };
  if (step.undo?.phase === "held")
    return { what: "undo", reason: step.undo.fault?.message ?? "the world moved on since" };
  return null;
}

function childrenOf({ steps, prepared }: RunState): Pick<RunDetail, "children"> {
  const children = prepared.calls.flatMap((step) => {
    const { phase, undo, past = [] } = steps.get(step) ?? {};
    const ended = [...past.map((one) => one.undo), undo].flatMap((one) => one?.children ?? []);
    const runs = phase?.kind === "child" ? [...ended, phase.run] : ended;
    return runs.map((run) => ({ step, run }));
  });
  return children.length === 0 ? {} : { children: children.slice(0, 10_000) };
}

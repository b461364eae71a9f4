// Sub-programs: starting the run of a step, having it follow the one that waits for it, and taking it back.
//   S1  The parent's `child.started` and the child's `run.started` are one commit, and so are its end and the parent's `child.ended`.
//   S4  A child is as its parent is: cancelled when its step is not wanted any more, paused and resumed with it, as urgent. That is
//       looked at after every entry of the parent and after a restart, so that no crash comes in between.
//   S5  Its turn and its resources are its parent's: it waits for neither.
import { toHex, utf8 } from "@writ/core/bytes";
import type { EntryFacts } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import type { FaultRecord } from "@writ/core/fault";
import { eventId, runId, type ProgramHash, type RunId, type StepId } from "@writ/core/ids";
import { joinLabels, type Label } from "@writ/core/label";
import { childDepthMax } from "@writ/core/limits";
import type { FailurePolicy, HashedProgram, ResourceNeed } from "@writ/core/program";
import type { StartRun } from "../engine.ts";
import { fault } from "../faults.ts";
import { isoTime } from "../iso-time.ts";
import { pauseProblem, priorityProblem } from "../machine/control.ts";
import { computeOperands } from "../machine/operands.ts";
import { checkCapabilities } from "../registry.ts";
import type { RunState } from "../state.ts";
import { recordOf, type ActiveRun, type Core, type RunChange } from "./core.ts";
import { stepOf } from "./job.ts";

export interface ChildStart extends StartRun {
  readonly run: RunId;
  readonly parent: NonNullable<RunState["parent"]>;
  readonly priority: RunState["priority"];
}

export interface ChildParts {
  readonly core: Core;
  /** One commit. */
  readonly commit: (
    change: { readonly run: ActiveRun; readonly change: RunChange },
    start: ChildStart,
  ) => void;
  /** The state of any run: in memory, remembered, or folded. @throws run.unknown, ... */
  readonly stateOf: (run: RunId) => Promise<RunState>;
  /** Takes back what a run that has ended did. */
  readonly undo: (state: RunState, reason: string) => void;
}

/** The same for every start of this attempt, also after a crash. It begins with its parent's time, beside which it stands in indexes. */
export function childRunId(
  parent: RunId,
  step: StepId,
  attempt: number,
  { options }: Pick<Core, "options">,
): RunId {
  const hash = toHex(options.hasher.sha256(utf8([parent, step, attempt, "child"].join("\n"))));
  return runId(`${parent.slice(0, 10)}${hash.slice(0, 16)}`);
}

export function startChild(parts: ChildParts, run: ActiveRun, id: StepId): void {
  if (parts.core.phase() === "running") parts.core.track(loadAndStart(parts, run, id));
}

async function loadAndStart({ core, commit }: ChildParts, run: ActiveRun, id: StepId): Promise<void> {
  const { attempt } = stepOf(run, id);
  const isWanted = (): boolean => {
    const { phase, attempt: current } = stepOf(run, id);
    if (core.phase() !== "running" || run.state.control.paused !== null) return false;
    return phase.kind === "attempting" && current === attempt;
  };
  try {
    const op = run.state.prepared.steps.get(id)?.step.op;
    if (op?.op !== "run") throw new Error(`Invariant broken: step ${id} runs no program`);
    const program = await callable(core, run, op.program);
    if (!isWanted()) return;
    const { value: data, labels } = computeOperands(op.input, run.state);
    const { state } = run;
    const child = childRunId(run.run, id, attempt, core);
    commit(
      { run, change: { kind: "child.started", facts: { step: id, attempt, run: child } } },
      {
        run: child,
        program,
        event: eventOf(core, state, { child, step: id }, data),
        labels: joinLabels(labels, stepOf(run, id).control),
        principal: state.principal,
        workspace: state.workspace,
        priority: state.priority,
        parent: { run: run.run, step: id, attempt, depth: depthOf(state) + 1 },
      },
    );
  } catch (error) {
    if (core.halted() !== null) throw error;
    if (!isWanted()) return;
    core.apply(run, { kind: "effect.refused", facts: { step: id, attempt, fault: recordOf(error) } });
  }
}

function eventOf(
  core: Core,
  { run, event }: RunState,
  { child, step }: { readonly child: RunId; readonly step: StepId },
  data: Event["data"],
): Event {
  return {
    specversion: "1.0",
    id: eventId(child),
    source: `/runs/${run}`,
    type: "writ.called",
    time: isoTime(core.options.world.nowMs()),
    data,
    // As the id of what the step would emit, which tells whoever asks why where to go on.
    cause: eventId(`${run}.${step}`),
    ...(event === null ? {} : { correlation: event.correlation ?? event.id }),
    ...(event?.hops === undefined ? {} : { hops: event.hops }),
  };
}

/** @throws program.unknown, program.refused, signature.*, capability.revoked, child.workspace, child.too-deep, child.resources */
async function callable(core: Core, run: ActiveRun, hash: ProgramHash): Promise<HashedProgram> {
  const { registry, loadProgram } = core.options;
  const { state } = run;
  if (depthOf(state) >= childDepthMax) {
    throw fault(
      "child.too-deep",
      `Cannot run a program: ${childDepthMax} runs above it wait for each other`,
      {
        program: hash,
        childDepthMax,
      },
    );
  }
  const workspace = registry().programs.get(hash)?.workspace;
  if (workspace !== undefined && workspace !== state.workspace) {
    throw fault("child.workspace", `Cannot run the program \`${hash}\`: it is one of \`${workspace}\``, {
      program: hash,
      workspace,
    });
  }
  const program = await loadProgram(hash);
  checkCapabilities(registry(), program.program);
  const held = state.prepared.hashed.program.resources ?? [];
  const missing = (program.program.resources ?? []).find((need) => !held.some((has) => covers(has, need)));
  if (missing !== undefined) {
    throw fault(
      "child.resources",
      `Cannot run the program \`${hash}\`: its parent lacks \`${missing.name}\``,
      {
        program: hash,
        resource: missing.name,
      },
    );
  }
  return program;
}

function covers(has: ResourceNeed, need: ResourceNeed): boolean {
  if (has.name !== need.name) return false;
  return has.access === "exclusive" || (need.access === "shared" && has.count >= need.count);
}

function depthOf({ parent }: RunState): number {
  return parent?.depth ?? 0;
}

/** The child of the step is to be as its parent is; one that has ended meanwhile is recorded. */
export function followChild({ core, stateOf }: ChildParts, run: ActiveRun, id: StepId): void {
  const { phase } = stepOf(run, id);
  if (phase.kind !== "child") return;
  const child = core.runs.get(phase.run);
  if (child !== undefined) obey(core, run, id, child);
  else core.track(findChild({ core, stateOf }, run, id, phase.run));
}

async function findChild(
  { core, stateOf }: Pick<ChildParts, "core" | "stateOf">,
  run: ActiveRun,
  id: StepId,
  of: RunId,
): Promise<void> {
  let state: RunState;
  try {
    state = await stateOf(of);
  } catch (error) {
    if (core.halted() !== null) throw error;
    // It stands where it is, and so does what waits for it.
    core.markBroken(of, error);
    return;
  }
  const { phase } = stepOf(run, id);
  if (phase.kind !== "child" || phase.run !== of || core.phase() !== "running") return;
  if (core.runs.get(run.run) !== run) return;
  const child = core.runs.get(of);
  if (child !== undefined) obey(core, run, id, child);
  else if (state.ended !== null) {
    const { result, status, fault: why } = state.ended;
    const stored = await storedResult(core, of);
    const now = stepOf(run, id).phase;
    if (now.kind !== "child" || now.run !== of || core.phase() !== "running") return;
    core.apply(run, endedChange(state, { status, result: stored, fault: why }), { stored: result });
  }
}

async function storedResult(core: Core, run: RunId): Promise<EntryFacts["run.ended"]["result"]> {
  const entries = await core.options.ledger.readRun(run);
  const last = entries.findLast((entry) => entry.kind === "run.ended");
  return last?.kind === "run.ended" ? last.facts.result : null;
}

/** What the end of the run is to the step that waits for it. */
export function endedChange(state: RunState, facts: EntryFacts["run.ended"]): RunChange {
  const { parent, run } = state;
  if (parent === undefined) throw new Error(`Invariant broken: run ${run} has no parent`);
  const { step, attempt } = parent;
  const { status, result, fault: why } = facts;
  const labels = joinLabels(labelsOfEnd(state), state.simulated === true ? ["simulated"] : []);
  return { kind: "child.ended", facts: { step, attempt, run, status, result, fault: why, labels } };
}

/** Of its result, and of everything that decided how it ended. */
function labelsOfEnd({ steps, blocks, ending, ended }: RunState): readonly Label[] {
  const own = ending?.labels ?? ended?.labels ?? [];
  return joinLabels(
    own,
    ...[...steps.values()].map(({ control }) => control),
    ...blocks.map(({ control }) => control),
  );
}

/** The run whose step waits for the end of this one, while it is in memory. */
export function waitingParent(core: Core, { run, state }: ActiveRun): ActiveRun | undefined {
  const parent = state.parent === undefined ? undefined : core.runs.get(state.parent.run);
  if (parent === undefined || state.parent === undefined || core.broken.has(parent.run)) return undefined;
  const phase = parent.state.steps.get(state.parent.step)?.phase;
  return phase?.kind === "child" && phase.run === run ? parent : undefined;
}

/** After an entry of the run: those it started are to follow. */
export function followChildren(parts: ChildParts, run: ActiveRun): void {
  for (const id of run.state.prepared.calls) {
    const { phase } = stepOf(run, id);
    const child = phase.kind === "child" ? parts.core.runs.get(phase.run) : undefined;
    if (child !== undefined) obey(parts.core, run, id, child);
  }
}

function obey(core: Core, run: ActiveRun, id: StepId, child: ActiveRun): void {
  const { ending, control, priority } = run.state;
  const { phase, aborting } = stepOf(run, id);
  if (core.phase() !== "running" || core.broken.has(child.run)) return;
  if (child.state.ended !== null || child.state.ending !== null) {
    // What is being taken back stands still with the rest.
    followPause(core, control.paused !== null, child);
    return;
  }
  const isLate = phase.kind === "child" && phase.isLate;
  if (ending !== null || aborting || isLate) {
    const undo = ending === null ? compensates(child.state) : ending.undo;
    const reason = isLate
      ? "the step that started it did not end in time"
      : "the step that started it is over";
    core.apply(child, { kind: "run.cancel-requested", facts: { by: { kind: "node" }, undo, reason } });
    return;
  }
  followPause(core, control.paused !== null, child);
  if (child.state.priority !== priority && priorityProblem(child.state) === null)
    core.apply(child, { kind: "run.priority-set", facts: { priority, by: { kind: "node" } } });
}

function followPause(core: Core, isPaused: boolean, child: ActiveRun): void {
  const { paused } = child.state.control;
  const facts = { by: { kind: "node" } as const, reason: "as the run that started it" };
  if (isPaused && pauseProblem(child.state) === null) core.apply(child, { kind: "run.paused", facts });
  else if (!isPaused && paused?.by.kind === "node") core.apply(child, { kind: "run.resumed", facts });
}

/** Takes back the runs that the step started, the last first, each until it has ended. */
export function undoChildren(parts: ChildParts, run: ActiveRun, id: StepId): void {
  if (parts.core.phase() === "running") parts.core.track(undoNext(parts, run, id));
}

async function undoNext({ core, stateOf, undo }: ChildParts, run: ActiveRun, id: StepId): Promise<void> {
  const isWanted = (): boolean =>
    core.phase() === "running" &&
    core.runs.get(run.run) === run &&
    run.state.control.paused === null &&
    stepOf(run, id).undo?.phase === "asked";
  let stays: FaultRecord | undefined;
  try {
    for (const child of stepOf(run, id).undo?.children?.toReversed() ?? []) {
      // While it is in memory, its end goes on from here.
      if (!isWanted() || core.runs.has(child)) return;
      const state = await stateOf(child);
      if (!isWanted() || core.runs.has(child)) return;
      // It came back into memory, and has ended, while it was looked for.
      if (state.ended === null || state.ending !== null) return;
      if (state.ended.status === "rolled_back") continue;
      const why = state.ended.fault;
      if (why !== null && Object.hasOwn(why.facts, "stays")) stays = why;
      else {
        undo(state, `the run ${run.run} that started it is taken back`);
        return;
      }
    }
    if (!isWanted()) return;
    core.apply(run, {
      kind: "undo.completed",
      facts: { step: id, ...(stays === undefined ? {} : { stays }) },
    });
  } catch (error) {
    if (core.halted() !== null) throw error;
    if (isWanted()) core.apply(run, { kind: "undo.held", facts: { step: id, fault: recordOf(error) } });
  }
}

/** A child has ended once more: what waits for that goes on. */
export function childTakenBack(core: Core, { run, state }: ActiveRun): void {
  const parent = state.parent === undefined ? undefined : core.runs.get(state.parent.run);
  if (parent === undefined) return;
  for (const [id, { undo }] of parent.state.steps) {
    if (undo?.phase === "asked" && undo.children?.includes(run) === true)
      core.enqueue(parent, [{ kind: "undo", step: id }]);
  }
}

function compensates(state: RunState): boolean {
  const last = (policy: FailurePolicy): FailurePolicy =>
    policy.kind === "retry" ? last(policy.then) : policy;
  return [...state.prepared.steps.values()].some(({ step }) => last(step.failure).kind === "compensate");
}

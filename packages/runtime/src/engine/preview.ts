// Preview: the real machine and the real gate on entries that are never written. Reads are performed, everything else is looked at and
// predicted; approvals are taken as given and shown.
import type { EffectPreview } from "@writ/core/entry";
import type { Event } from "@writ/core/event";
import { approvalId, runId, type StepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { Operands } from "@writ/core/program";
import { effectCallOf } from "@writ/core/program-steps";
import type { Value } from "@writ/core/value";
import type { Preview, PreviewedStep } from "../engine.ts";
import { bindingTargets, effectHash } from "../effect-hash.ts";
import { previewCommandsMax } from "../limits.ts";
import { decide, initialState, type Command } from "../machine.ts";
import { computeKnown } from "../machine/operands.ts";
import { effectAt, type PreparedProgram } from "../program-index.ts";
import { previewEffects } from "./approvals.ts";
import type { ForkPoint } from "./fork.ts";
import { recordOf, type ActiveRun, type Core, type RunChange } from "./core.ts";
import { guardNow, loadHistory } from "./guard.ts";
import { guardOfPreview, jobOf, stepOf, type Job } from "./job.ts";
import { contextOf, inspect, judge } from "./look.ts";

interface Previewing {
  readonly core: Core;
  readonly run: ActiveRun;
  readonly queue: Command[];
  readonly shown: Map<StepId, PreviewedStep>;
  readonly feed: (change: RunChange, stored?: Value) => void;
  readonly from: ForkPoint | null;
  /** Steps whose reads were taken from the record. */
  readonly replayed: StepId[];
}

/** What would be recorded; it never is (K42). */
export type SimulatedEntry = RunChange & { readonly simulated: true; readonly atMs: number };

export async function preview(
  core: Core,
  prepared: PreparedProgram,
  given: {
    readonly event: Event;
    readonly labels: readonly Label[];
    readonly workspace: string;
    /** It begins where another run stood. */
    readonly from?: ForkPoint;
  },
): Promise<Preview & { readonly entries: readonly SimulatedEntry[]; readonly replayed: readonly StepId[] }> {
  await core.loadWorkspace(given.workspace);
  const id = runId("r_preview000");
  const run: ActiveRun = {
    run: id,
    state: initialState(id, prepared),
    turn: "admitted",
    pending: [],
    inFlight: new Map(),
    timers: new Map(),
    arrivedMs: 0,
    inheritedDueMs: Number.POSITIVE_INFINITY,
    readBacks: new Map(),
  };
  const queue: Command[] = [];
  const entries: SimulatedEntry[] = [];
  const from = given.from ?? null;
  let seq = 0;
  const feed = (change: RunChange, stored?: Value): void => {
    const entry = {
      ...change,
      run: id,
      cause: null,
      actor: { kind: "node" as const },
      atMs: core.options.world.nowMs(),
      seq: seq++,
    };
    const { state, commands } = decide(run.state, entry, stored);
    entries.push({ ...change, simulated: true, atMs: entry.atMs });
    run.state = state;
    queue.push(...commands);
  };
  const previewing: Previewing = { core, run, queue, shown: new Map(), feed, from, replayed: [] };
  const { hashed } = prepared;
  feed({
    kind: "run.started",
    facts: {
      program: hashed.hash,
      event: given.event,
      labels: given.labels,
      priority: hashed.program.priority,
      principal: { kind: "program", program: hashed.hash },
      workspace: given.workspace,
      ...(from === null
        ? {}
        : {
            forkedFrom: {
              run: from.run,
              seq: from.seq,
              state: { kind: "inline" as const, value: from.carried },
            },
          }),
    },
  });
  let count = 0;
  for (
    let command = queue.shift();
    command !== undefined && count < previewCommandsMax;
    command = queue.shift()
  ) {
    await carryOut(previewing, command);
    count += 1;
  }
  showRest(previewing);
  const { ended } = run.state;
  return {
    program: hashed.hash,
    steps: [...previewing.shown.values()],
    status: ended?.status ?? "unknown",
    result: ended?.result ?? null,
    fault: ended?.fault ?? null,
    entries,
    replayed: previewing.replayed,
  };
}

async function carryOut(previewing: Previewing, command: Command): Promise<void> {
  const { run, feed } = previewing;
  switch (command.kind) {
    case "attempt":
      await attempt(previewing, command.step);
      return;
    case "set-timer": {
      const { step, attempt: number, atMs, why } = command;
      feed({ kind: "timer.set", facts: { step, attempt: number, atMs, why } });
      return;
    }
    case "await-timer": {
      const { step, attempt: number, why } = command;
      if (why !== "timeout") feed({ kind: "timer.fired", facts: { step, attempt: number, why } });
      return;
    }
    case "request-approval":
      await approve(previewing, command);
      return;
    case "emit":
      show(previewing, command.step, { op: "emit", verdict: "would", params: command.event.data });
      feed({ kind: "event.emitted", facts: { step: command.step, event: command.event } });
      return;
    case "undo": {
      const { step } = command;
      const fault = run.state.ending?.fault ?? recordOf(new Error("the run would be undone"));
      feed({ kind: "undo.held", facts: { step, fault } });
      feed({ kind: "undo.settled", facts: { step, decision: "done", by: { kind: "node" } } });
      return;
    }
    case "end": {
      const { status, fault } = command;
      feed({ kind: "run.ended", facts: { status, result: null, fault, simulated: true } });
      return;
    }
    // A preview waits for nothing, and nobody can know whether the world will show it.
    case "await-guard":
    case "read-back":
    case "perform":
    case "abort":
    case "await-approval":
    // Nobody knows what comes.
    case "begin-wait":
    case "await-event":
    case "await-child":
    case "perform-undo":
  }
}

async function attempt(previewing: Previewing, id: StepId): Promise<void> {
  const { core, run, feed } = previewing;
  const step = stepOf(run, id);
  if (step.phase.kind !== "attempting") return;
  if (run.state.prepared.calls.includes(id)) {
    // What the other program would do is its own preview.
    show(previewing, id, { ...partly(run, inputOf(run, id)), verdict: "unknown" });
    return;
  }
  const facts = { step: id, attempt: step.attempt };
  let job: Job;
  let effect: EffectPreview;
  try {
    job = jobOf(core, run, id, await core.loadWorkspace(run.state.workspace));
    const { targets } = await inspect(core, job);
    const bound = { capability: job.capability, params: job.params, targets: bindingTargets(targets, []) };
    effect = {
      step: id,
      ...bound,
      later: {},
      ...guardOfPreview(job),
      hash: effectHash(bound, core.options.hasher),
    };
    const verdict = judge(core, job, targets);
    if (verdict.kind === "deny") {
      show(previewing, id, {
        capability: job.capability,
        params: job.params,
        effect,
        verdict: "refused",
        fault: verdict.fault,
      });
      feed({ kind: "effect.refused", facts: { ...facts, fault: verdict.fault } });
      return;
    }
    if (verdict.kind === "needs" && (step.status === "WAITING" || step.status === "AWAITING_APPROVAL")) {
      show(previewing, id, {
        capability: job.capability,
        params: job.params,
        effect,
        verdict: "needs-approval",
        role: verdict.role,
      });
      give(previewing, { step: id, role: verdict.role, effects: [effect], reason: "gate" });
      return;
    }
    if (verdict.kind === "allow") {
      await loadHistory(core, job, targets);
      const guarded = guardNow(core, job, { inspection: { targets, before: {} } });
      if (guarded.kind === "deny") {
        const { fault } = guarded;
        show(previewing, id, {
          capability: job.capability,
          params: job.params,
          effect,
          verdict: "refused",
          fault,
        });
        feed({ kind: "effect.refused", facts: { ...facts, fault } });
        return;
      }
      if (guarded.kind === "skip") {
        show(previewing, id, { capability: job.capability, params: job.params, effect, verdict: "unknown" });
        const by = { kind: "node" } as const;
        const { reason } = guarded;
        feed({ kind: "guard.decided", facts: { ...facts, countdown: null, decision: "skip", by, reason } });
        return;
      }
    }
  } catch (error) {
    const fault = recordOf(error);
    show(previewing, id, { verdict: "refused", fault });
    feed({ kind: "effect.refused", facts: { ...facts, fault } });
    return;
  }
  await predict(previewing, job, effect);
}

/** Allowed: a read is done, anything else is predicted; without a prediction what follows from it stays unknown. */
async function predict(previewing: Previewing, job: Job, effect: EffectPreview): Promise<void> {
  const { core, run, feed } = previewing;
  const { step: id, definition, params, capability } = job;
  if (definition === undefined) return;
  const { attempt: number, status } = stepOf(run, id);
  const isRead = definition.effect.kind === "read";
  feed({
    kind: "effect.intended",
    facts: {
      step: id,
      attempt: number,
      capability,
      params,
      verdict: { kind: "allow", policy: core.options.policy().hash, approval: null },
      targets: effect.targets,
      before: {},
      key: job.key,
      effect: definition.effect.kind,
    },
  });
  const context = { ...contextOf(core, job, {}), run: null, step: null };
  const was = previewing.shown.get(id);
  const verdict = isRead
    ? "done"
    : was?.verdict === "needs-approval" || status === "AWAITING_APPROVAL"
      ? "needs-approval"
      : "would";
  try {
    const hasOutput = (effectAt(run.state, id)?.output ?? null) !== null;
    let result: Value = null;
    let labels: readonly Label[] = [];
    const recorded = isRead ? previewing.from?.read(id, capability, params) : undefined;
    if (recorded !== undefined) {
      result = recorded;
      previewing.replayed.push(id);
    } else if (isRead) {
      const performed = await definition.perform(params, context);
      ({ result, labels = [] } = performed);
    } else if (definition.predict !== undefined) result = await definition.predict(params, context);
    else if (hasOutput) {
      show(previewing, id, { capability, params, effect, verdict });
      return;
    }
    show(previewing, id, { capability, params, effect, verdict, result, role: was?.role ?? null });
    feed({
      kind: "effect.completed",
      facts: {
        step: id,
        attempt: number,
        result: { kind: "inline", value: result },
        labels: [...definition.labels, ...job.paramLabels, ...labels],
        undo: null,
        evidence: "commanded",
        resolved: false,
      },
    });
  } catch (error) {
    const fault = recordOf(error);
    show(previewing, id, { capability, params, effect, verdict: "refused", fault });
    feed({ kind: "effect.failed", facts: { step: id, attempt: number, fault } });
  }
}

async function approve(
  previewing: Previewing,
  command: Extract<Command, { kind: "request-approval" }>,
): Promise<void> {
  const { core, run } = previewing;
  const { step, role, why } = command;
  const op = run.state.prepared.steps.get(step)?.step.op;
  const calls = why === "program" && op?.op === "approve" ? op.body.steps : [];
  let effects: readonly EffectPreview[];
  try {
    effects = await previewEffects(core, run, calls);
  } catch (error) {
    const fault = recordOf(error);
    show(previewing, step, { verdict: "refused", role, fault });
    previewing.feed({
      kind: "effect.refused",
      facts: { step, attempt: stepOf(run, step).attempt, fault },
    });
    return;
  }
  show(previewing, step, { verdict: "needs-approval", role });
  give(previewing, { step, role, effects, reason: "program" });
}

function give(
  { run, feed, core }: Previewing,
  request: {
    readonly step: StepId;
    readonly role: Extract<RunChange, { kind: "approval.requested" }>["facts"]["role"];
    readonly effects: readonly EffectPreview[];
    readonly reason: "program" | "gate";
  },
): void {
  const approval = approvalId(`a_preview${String(run.state.approvals.size).padStart(5, "0")}`);
  const { step } = request;
  const isFailure = run.state.steps.get(step)?.status === "FAILED";
  const expiresAtMs = core.options.world.nowMs();
  feed({
    kind: "approval.requested",
    facts: { approval, message: "", expiresAtMs, onExpiry: "reject", ...request },
  });
  // A failure that asks a person ends the preview as if the person had let it fail.
  const decision = isFailure ? "reject" : "approve";
  feed({ kind: "approval.decided", facts: { approval, step, decision, by: { kind: "node" }, comment: "" } });
}

function show(previewing: Previewing, id: StepId, what: Partial<PreviewedStep>): void {
  const op = previewing.run.state.prepared.steps.get(id)?.step.op.op ?? "";
  const blank: PreviewedStep = {
    step: id,
    op,
    capability: null,
    params: {},
    later: {},
    effect: null,
    verdict: "unknown",
    role: null,
    result: null,
    fault: null,
  };
  previewing.shown.set(id, { ...blank, ...what });
}

/** What stands behind something unknown: it may happen, with what can be known of its parameters. */
function showRest(previewing: Previewing): void {
  const { run, shown } = previewing;
  if (run.state.ended !== null) return;
  for (const [id, { step }] of run.state.prepared.steps) {
    const { phase } = stepOf(run, id);
    const call = effectCallOf(step.op);
    if (shown.has(id) || phase.kind === "settled" || call === null) continue;
    show(previewing, id, { capability: call.capability, ...partly(run, call.params) });
  }
}

function inputOf(run: ActiveRun, id: StepId): Operands {
  const op = run.state.prepared.steps.get(id)?.step.op;
  return op?.op === "run" ? op.input : {};
}

function partly(run: ActiveRun, operands: Operands): Pick<PreviewedStep, "params" | "later"> {
  try {
    return computeKnown(operands, run.state);
  } catch {
    const texts = Object.entries(operands).map(([name, operand]) => [
      name,
      operand.kind === "expression" ? operand.text : "",
    ]);
    return { params: {}, later: Object.fromEntries(texts) };
  }
}

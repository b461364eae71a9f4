// Runs everything that needs nothing from outside, until every step waits or has ended.
import { eventId, type StepId } from "@writ/core/ids";
import type { FaultRecord } from "@writ/core/fault";
import { joinLabels, type Label } from "@writ/core/label";
import type { Opcode } from "@writ/core/program";
import { render1 } from "@writ/core/expression";
import type { Event } from "@writ/core/event";
import { fault } from "../faults.ts";
import type { RunState } from "../state.ts";
import { isoTime, parseIsoTime } from "../iso-time.ts";
import { problemsOf } from "../fit.ts";
import type { Draft } from "./draft.ts";
import { joinGuardLabels } from "./guard.ts";
import {
  completeBlock,
  completeStep,
  decidedBy,
  endRun,
  enterBlock,
  expressionFault,
  failStep,
  joinParallel,
  record,
  skipBlock,
  skipStep,
} from "./failure.ts";
import { instancesOf, nextToUndo } from "./instances.ts";
import { continueLoops, startLoop } from "./loop.ts";
import { startEventWait } from "./wait.ts";
import { computeOperand, computeOperands, computeText, type Scope } from "./operands.ts";

export function advance(draft: Draft): void {
  // Nothing begins, ends or is taken back while a person has paused the run.
  if (draft.control.paused !== null) return;
  for (let moved = true; moved && draft.ending === null;) {
    moved = draft.base.prepared.loops.length > 0 && continueLoops(draft);
    for (let number = 0; number < draft.blocks.length; number++) {
      if (draft.block(number).status === "active" && advanceBlock(draft, number)) moved = true;
      if (draft.ending !== null) break;
    }
  }
  settleEnding(draft);
}

/** Starts or skips what is ready. True when anything changed. */
function advanceBlock(draft: Draft, number: number): boolean {
  let changed = false;
  let open = false;
  for (const id of draft.base.prepared.blocks[number]?.steps ?? []) {
    if (draft.step(id).phase.kind === "blocked") {
      const readiness = readinessOf(draft, id);
      if (readiness !== "wait") {
        changed = true;
        draft.change(id, { control: controlOf(draft, id) });
        if (readiness === "skip") skipStep(draft, id);
        else startStep(draft, id);
      }
      if (draft.block(number).status !== "active") return true;
    }
    if (draft.step(id).phase.kind !== "settled") open = true;
  }
  if (open) return changed;
  completeBlock(draft, number);
  return true;
}

function readinessOf(draft: Draft, id: StepId): "wait" | "run" | "skip" {
  const { after, tolerates } = draft.index(id).step;
  let skip = false;
  for (const before of after) {
    const { phase, status } = draft.step(before);
    if (phase.kind !== "settled") return "wait";
    if (status !== "COMPLETED" && !tolerates.includes(before)) skip = true;
  }
  return skip ? "skip" : "run";
}

/**
 * The labels of what decided that the step's turn came: the conditions around it, and those of the steps it comes after, which could
 * have ended the run or had it skipped.
 */
function controlOf(draft: Draft, id: StepId): readonly Label[] {
  const { step, block } = draft.index(id);
  const around = draft.block(block).control;
  return step.after.reduce((control, before) => joinLabels(control, decidedBy(draft, before)), around);
}

function startStep(draft: Draft, id: StepId): void {
  const { step } = draft.index(id);
  try {
    startOpcode(draft, id, step.op);
  } catch (error) {
    const known = expressionFault(error);
    if (known === undefined) throw error;
    failStep(draft, id, known, { attempted: false, retryable: false });
    return;
  }
  if (step.timeoutMs !== null && draft.step(id).phase.kind === "blocks") {
    const atMs = draft.atMs + step.timeoutMs;
    draft.change(id, { deadline: { atMs, set: false } });
    draft.command({ kind: "set-timer", step: id, attempt: draft.step(id).attempt, atMs, why: "timeout" });
  }
}

function startOpcode(draft: Draft, id: StepId, op: Opcode): void {
  const scope: Scope = { slots: draft.slots, prepared: draft.base.prepared };
  switch (op.op) {
    case "load":
    case "call":
    case "ask":
    case "recall":
    case "remember":
    case "run":
      if (op.op === "call") joinGuardLabels(draft, id, op.guard);
      draft.change(id, { phase: { kind: "attempting" } });
      draft.command({ kind: "attempt", step: id });
      return;
    case "eval":
      completeStep(draft, id, computeText(op.expression, scope));
      return;
    case "check":
      startCheck(draft, id, op);
      return;
    case "branch":
      startBranch(draft, id, op, scope);
      return;
    case "parallel":
      draft.move(id, "RUNNING");
      draft.change(id, { phase: { kind: "blocks", of: "op" } });
      for (const number of draft.index(id).blocks) enterBlock(draft, number, draft.step(id).control);
      joinParallel(draft, id);
      return;
    case "wait": {
      if (op.until.kind === "event" || op.until.kind === "condition") {
        startEventWait(draft, id, op.until);
        return;
      }
      const atMs =
        op.until.kind === "duration"
          ? draft.atMs + op.until.ms
          : timeOf(computeOperand(op.until.at, scope).value);
      draft.move(id, "RUNNING");
      draft.change(id, { phase: { kind: "timer", why: "wait", atMs, set: false } });
      draft.command({ kind: "set-timer", step: id, attempt: draft.step(id).attempt, atMs, why: "wait" });
      return;
    }
    case "approve": {
      const expiresAtMs = draft.atMs + op.withinMs;
      const reason = op.message === null ? "" : render1(computeOperand(op.message, scope).value);
      // One that failed and was ordered again stays FAILED until somebody decides.
      if (draft.step(id).status === "WAITING") draft.move(id, "AWAITING_APPROVAL");
      draft.change(id, {
        phase: { kind: "approval", why: "program", role: op.role, approval: null, expiresAtMs, reason },
      });
      draft.command({ kind: "request-approval", step: id, why: "program", role: op.role, expiresAtMs });
      return;
    }
    case "emit": {
      draft.move(id, "RUNNING");
      draft.change(id, { phase: { kind: "emitting" } });
      draft.command({
        kind: "emit",
        step: id,
        event: emittedEvent(
          {
            ...draft.base,
            event: draft.head.event,
            atMs: draft.atMs,
            slots: draft.slots,
            steps: draft.steps,
          },
          id,
        ),
      });
      return;
    }
    case "fail": {
      const message = render1(computeOperand(op.message, scope).value);
      const failed: FaultRecord = {
        code: op.code,
        kind: "rejected",
        message,
        remedy: "The program ended itself; read its message.",
        facts: { step: id },
      };
      failStep(draft, id, failed, { attempted: true, retryable: false });
      return;
    }
    case "finish": {
      const { value, labels: of } = computeOperand(op.result, scope);
      const labels = joinLabels(of, draft.step(id).control);
      completeStep(draft, id, null);
      endRun(draft, {
        status: "finished",
        result: value,
        hasResult: true,
        fault: null,
        undo: false,
        asked: false,
        ...(labels.length === 0 ? {} : { labels }),
      });
      return;
    }
    case "loop":
      startLoop(draft, id, op);
      return;
  }
}

/** The event of an `emit` step: its id is the run's and the step's, so that it is the same in every replay. */
export function emittedEvent(
  state: Pick<RunState, "run" | "event" | "atMs" | "slots" | "prepared" | "steps">,
  id: StepId,
): Event {
  const op = state.prepared.steps.get(id)?.step.op;
  if (op?.op !== "emit")
    throw fault("runtime.diverged", `Cannot emit: step \`${id}\` emits nothing`, { step: id });
  const { event } = state;
  const attempt = state.steps.get(id)?.attempt ?? 1;
  return {
    specversion: "1.0",
    // `~` stands in no step's id.
    id: eventId(attempt === 1 ? `${state.run}.${id}` : `${state.run}.${id}~${attempt}`),
    source: `/runs/${state.run}`,
    type: op.type,
    time: isoTime(state.atMs),
    data: computeOperands(op.data, state).value,
    ...(event === null ? {} : { cause: event.id, correlation: event.correlation ?? event.id }),
    ...(event?.source.startsWith("/runs/") === true ? { hops: (event.hops ?? 1) + 1 } : {}),
  };
}

/** Labels of what the data was computed from, and of what decided that the event is emitted. */
export function labelsOfEmitted(state: RunState, id: StepId): readonly Label[] {
  const op = state.prepared.steps.get(id)?.step.op;
  const control = state.steps.get(id)?.control ?? [];
  return op?.op === "emit" ? joinLabels(computeOperands(op.data, state).labels, control) : control;
}

function startCheck(draft: Draft, id: StepId, op: Extract<Opcode, { op: "check" }>): void {
  const slot = draft.slots.get(op.slot);
  draft.change(id, { control: joinLabels(draft.step(id).control, slot?.labels ?? []) });
  const problems =
    slot === undefined ? [{ at: "", message: "was never written" }] : problemsOf(op.schema, slot.value);
  const [first] = problems;
  if (first === undefined) {
    completeStep(draft, id, null);
    return;
  }
  const found = problems.map(({ at, message }) => `${at === "" ? "it" : `\`${at}\``} ${message}`).join("; ");
  failStep(
    draft,
    id,
    {
      code: "core.schema-mismatch",
      kind: "rejected",
      message: `Cannot accept \`${op.slot}\`: ${found}`,
      remedy: "Correct the named fields and send the data again.",
      facts: { slot: op.slot, problems: problems.map(({ at, message }) => ({ at, message })) },
    },
    { attempted: true, retryable: false },
  );
}

function startBranch(draft: Draft, id: StepId, op: Extract<Opcode, { op: "branch" }>, scope: Scope): void {
  const { blocks } = draft.index(id);
  let control: readonly Label[] = draft.step(id).control;
  let chosen = op.arms.length;
  for (const [number, arm] of op.arms.entries()) {
    const { value, labels } = computeText(arm.when, scope);
    control = joinLabels(control, labels);
    draft.change(id, { control });
    if (typeof value !== "boolean") {
      failStep(
        draft,
        id,
        {
          code: "expression.type",
          kind: "rejected",
          message: `Cannot decide \`${arm.when}\`: it is no truth value`,
          remedy: "Convert the value, or compare values of one type.",
          facts: { step: id },
        },
        { attempted: false, retryable: false },
      );
      return;
    }
    if (value) {
      chosen = number;
      break;
    }
  }
  draft.move(id, "RUNNING");
  draft.change(id, { phase: { kind: "blocks", of: "op" } });
  for (const [number, block] of blocks.entries()) {
    if (number === chosen) enterBlock(draft, block, control);
    else skipBlock(draft, block);
  }
}

/** When nothing is under way or held: undo what is to be undone, one at a time, then end. */
function settleEnding(draft: Draft): void {
  const { ending } = draft;
  if (ending === null || ending.asked) return;
  const steps = [...draft.steps];
  if (steps.some(([, { phase }]) => ["intended", "held", "child"].includes(phase.kind))) return;
  if (ending.undo) {
    if (steps.some(([, { undo }]) => undo !== null && ["asked", "intended", "held"].includes(undo.phase)))
      return;
    const id = nextToUndo(draft);
    if (id !== undefined) {
      const { undo } = draft.step(id);
      if (undo !== null) draft.change(id, { undo: { ...undo, phase: "asked" } });
      draft.command({ kind: "undo", step: id });
      return;
    }
  }
  const stays = ending.undo ? standing(draft) : null;
  const status = stays?.size === 0 ? "rolled_back" : ending.status;
  const why = stays === null || stays.size === 0 ? ending.fault : withWhatStays(ending.fault, stays);
  draft.ending = { ...ending, status, fault: why, asked: true };
  draft.command({
    kind: "end",
    status,
    result: ending.result,
    hasResult: ending.hasResult,
    fault: why,
  });
}

type Standing = ReadonlyMap<StepId, "irreversible" | "left" | "child">;

/** The effects of the run that were not taken back: one that cannot be stays for ever, one that a person left stays too. */
function standing(draft: Draft): Standing {
  const stays = new Map<StepId, "irreversible" | "left" | "child">();
  for (const [id, step] of draft.steps) {
    for (const { status, undo, effect, fault: why } of instancesOf(step)) {
      if (undo === null) {
        // One whose read-back failed was performed all the same.
        const isDone = status === "COMPLETED" || (status === "FAILED" && wasPerformed(why));
        if (isDone && effect?.effect === "irreversible") stays.set(id, "irreversible");
      } else if (undo.phase !== "done")
        stays.set(id, undo.children === undefined || undo.fault === null ? "left" : "child");
    }
  }
  return stays;
}

function wasPerformed(why: FaultRecord | null): boolean {
  return why?.code === "guard.not-observed" || why?.code === "guard.unverified";
}

const namedStaysMax = 20;

const staysBecause = {
  irreversible: "it cannot be taken back",
  left: "a person left it",
  child: "the run it started was taken back in part",
} as const;

/** An end after an undo says what still stands; what ended the run before stays its reason. */
function withWhatStays(why: FaultRecord | null, stays: Standing): FaultRecord {
  // A second undo finds the same: what stays is not tried again.
  if (why !== null && Object.hasOwn(why.facts, "stays")) return why;
  const named = [...stays].slice(0, namedStaysMax);
  const said = named.map(([id, reason]) => `\`${id}\` stays: ${staysBecause[reason]}`);
  const more = stays.size > named.length ? [`${stays.size - named.length} more stay`] : [];
  const text = [...said, ...more].join("; ");
  const facts = { stays: Object.fromEntries(named), staysCount: stays.size };
  if (why === null) return record("undo.partial", `The run was taken back in part: ${text}`, facts);
  return {
    ...why,
    message: `${why.message}. It was taken back in part: ${text}`,
    facts: { ...why.facts, ...facts },
  };
}

function timeOf(value: unknown): number {
  const atMs = typeof value === "string" ? parseIsoTime(value) : Number(value);
  if (atMs === undefined || !Number.isFinite(atMs)) {
    throw fault(
      "runtime.time-invalid",
      `Cannot wait until \`${String(value).slice(0, 80)}\`: it is no time`,
      {},
    );
  }
  return Math.round(atMs);
}

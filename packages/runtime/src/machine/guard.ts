// What the guard's entries do to a run. The guard decides in the engine; here its decisions are held against what is allowed.
//   B1  A countdown passes at its end and not before, and never after it was cancelled or missed.
//   B2  A step with a read-back completes only on a recorded reading for which its check holds.
import type { FaultRecord } from "@writ/core/fault";
import { freeNames } from "@writ/core/expression";
import type { StepId } from "@writ/core/ids";
import { joinLabels } from "@writ/core/label";
import type { Value } from "@writ/core/value";
import type { Guard, Opcode } from "@writ/core/program";
import type { MachineEntry } from "../machine.ts";
import type { CountdownState, GuardState, Phase, SlotState, StepState } from "../state.ts";
import type { Draft } from "./draft.ts";
import { completeStep, failStep, holdUnsure, record, settleFailed, skipStep } from "./failure.ts";
import { computeText, expressionOf, type Scope } from "./operands.ts";

/** What the guard remembers of the attempt that is under way. */
export function guardStateOf({ guard, attempt }: Pick<StepState, "guard" | "attempt">): GuardState {
  return guard?.attempt === attempt
    ? guard
    : { attempt, queueEndsAtMs: null, announcements: 0, passed: null };
}

/** When the guard's wait is over, or null when the step does not wait for it. */
export function guardWaitsUntil(phase: Phase): number | null {
  if (phase.kind === "postponed") return phase.untilMs;
  return phase.kind === "countdown" ? phase.countdown.endsAtMs : null;
}

/** A countdown that needs an acknowledgment and has none. */
export function isUnacknowledged({ requiresAcknowledgment, acknowledgedBy }: CountdownState): boolean {
  return requiresAcknowledgment && acknowledgedBy === null;
}

/** Preconditions decide whether the step runs: what they read from has a say in it. */
export function joinGuardLabels(draft: Draft, id: StepId, guard: Guard | undefined): void {
  const scope: Scope = { slots: draft.slots, prepared: draft.base.prepared };
  const names = (guard?.preconditions ?? []).flatMap((text) => freeNames(expressionOf(text, scope)));
  const labels = names.flatMap((name) => draft.slots.get(name)?.labels ?? []);
  if (labels.length > 0) draft.change(id, { control: joinLabels(draft.step(id).control, labels) });
}

export function guardAnnounced(draft: Draft, entry: MachineEntry<"guard.announced">): void {
  const { step: id, attempt, escalated, endsAtMs, ...facts } = entry.facts;
  const step = expectAttempt(draft, id, attempt);
  const { phase } = step;
  const isDue =
    phase.kind === "countdown" &&
    escalated &&
    phase.countdown.onMissed === "escalate" &&
    !phase.countdown.escalated &&
    isUnacknowledged(phase.countdown) &&
    entry.atMs >= phase.countdown.endsAtMs;
  if (!isDue && (phase.kind !== "attempting" || escalated))
    throw draft.diverged(`step \`${id}\` is ${step.status} (${phase.kind}) and announces nothing`);
  const { countdown, effect, role, requiresAcknowledgment, onMissed } = facts;
  const guard = guardStateOf(step);
  draft.change(id, {
    phase: {
      kind: "countdown",
      countdown: {
        countdown,
        effect,
        role,
        announcedAtMs: entry.atMs,
        endsAtMs,
        requiresAcknowledgment,
        onMissed,
        escalated,
        acknowledgedBy: null,
      },
    },
    guard: { ...guard, announcements: guard.announcements + 1, passed: null },
  });
  draft.command({ kind: "await-guard", step: id, attempt, atMs: endsAtMs });
}

export function guardPostponed(draft: Draft, entry: MachineEntry<"guard.postponed">): void {
  const { step: id, attempt, untilMs, queueEndsAtMs, why, reason } = entry.facts;
  const step = expectAttempt(draft, id, attempt);
  if (step.phase.kind !== "attempting")
    throw draft.diverged(`step \`${id}\` is ${step.status} (${step.phase.kind}) and is not postponed`);
  draft.change(id, {
    phase: { kind: "postponed", why, untilMs, reason },
    guard: { ...guardStateOf(step), queueEndsAtMs, passed: null },
  });
  draft.command({ kind: "await-guard", step: id, attempt, atMs: untilMs });
}

export function guardPassed(draft: Draft, entry: MachineEntry<"guard.passed">): void {
  const { step: id, attempt, countdown, why } = entry.facts;
  const step = expectAttempt(draft, id, attempt);
  const { phase } = step;
  if (phase.kind === "countdown") {
    const known = phase.countdown;
    const isMissed = isUnacknowledged(known);
    if (known.countdown !== countdown || entry.atMs < known.endsAtMs)
      throw draft.diverged(`the countdown of step \`${id}\` has not ended`);
    if (isMissed && (known.onMissed !== "execute" || why !== "missed"))
      throw draft.diverged(`nobody acknowledged the countdown of step \`${id}\``);
    const { endsAtMs, effect } = known;
    draft.change(id, { guard: { ...guardStateOf(step), passed: { hash: effect.hash, endsAtMs } } });
  } else if (phase.kind !== "postponed" || countdown !== null) {
    throw draft.diverged(`step \`${id}\` is ${step.status} (${phase.kind}) and waits for no guard`);
  }
  draft.change(id, { phase: { kind: "attempting" } });
  draft.command({ kind: "attempt", step: id });
}

/** A decision on a step that has not begun. */
export function guardDecided(draft: Draft, entry: MachineEntry<"guard.decided">): void {
  const { step: id, attempt, decision, reason, countdown, by } = entry.facts;
  const step = expectAttempt(draft, id, attempt);
  const { phase } = step;
  const fails = (code: Parameters<typeof record>[0], message: string): void =>
    failStep(draft, id, record(code, message, { step: id, countdown }), {
      attempted: false,
      retryable: false,
    });
  switch (decision) {
    case "stop":
      if (!isStoppable(phase))
        throw draft.diverged(`step \`${id}\` is ${step.status} (${phase.kind}) and cannot be stopped`);
      closeApproval(draft, entry);
      failStep(draft, id, stopped(id, reason), { attempted: false, retryable: false });
      return;
    case "skip":
      if (phase.kind !== "attempting")
        throw draft.diverged(`step \`${id}\` is ${step.status} (${phase.kind}) and is not skipped`);
      if (holdUnsure(draft, id)) return;
      if (step.status === "WAITING" || step.status === "AWAITING_APPROVAL") skipStep(draft, id);
      else settleFailed(draft, id, "skipped");
      draft.change(id, { outcome: "skipped" });
      return;
    case "cancel":
    case "acknowledge":
    case "missed": {
      if (phase.kind !== "countdown" || phase.countdown.countdown !== countdown)
        throw draft.diverged(`step \`${id}\` has no countdown \`${String(countdown)}\``);
      if (decision === "acknowledge")
        draft.change(id, {
          phase: { kind: "countdown", countdown: { ...phase.countdown, acknowledgedBy: by } },
        });
      else if (decision === "cancel") fails("guard.cancelled", `Step \`${id}\` was cancelled: ${reason}`);
      else fails("guard.missed", `Cannot run step \`${id}\`: nobody acknowledged its countdown in time`);
    }
  }
}

/** Waits before its effect, so that an emergency stop can take it away. */
export function isStoppable(phase: Phase): boolean {
  return (
    phase.kind === "attempting" ||
    phase.kind === "postponed" ||
    phase.kind === "countdown" ||
    (phase.kind === "approval" && phase.why !== "program") ||
    (phase.kind === "timer" && phase.why === "retry")
  );
}

/** The step does not complete yet: what it did is to be read back. */
export function beginReadBack(draft: Draft, id: StepId, output: SlotState): void {
  const untilMs = draft.atMs + (readBackOf(draft.index(id).step.op)?.timeoutMs ?? 0);
  draft.change(id, { phase: { kind: "read-back", untilMs, output, polls: 0, last: null } });
  draft.command({ kind: "read-back", step: id });
}

/** Nobody knows whether it was done: the read-back says. The step is UNKNOWN meanwhile. */
export function readUnknown(
  draft: Draft,
  id: StepId,
  { reason, output }: { readonly reason: string; readonly output: SlotState },
): void {
  if (readBackOf(draft.index(id).step.op) === undefined || draft.step(id).aborting)
    throw draft.diverged(`step \`${id}\` reads nothing back`);
  beginReadBack(draft, id, output);
  const { phase } = draft.step(id);
  if (phase.kind === "read-back") draft.change(id, { phase: { ...phase, unknown: reason } });
}

export function guardReadBack(draft: Draft, entry: MachineEntry<"guard.read-back">): void {
  const { step: id, attempt, poll, reading, fault: why, outcome } = entry.facts;
  const step = expectAttempt(draft, id, attempt);
  const { phase } = step;
  if (phase.kind !== "read-back" || poll <= phase.polls)
    throw draft.diverged(`step \`${id}\` is ${step.status} (${phase.kind}) and reads nothing back`);
  if (outcome === "open") {
    draft.change(id, { phase: { ...phase, polls: poll, last: reading } });
    return;
  }
  const scope: Scope = { slots: draft.slots, prepared: draft.base.prepared };
  if (outcome === "observed") {
    if (why !== null || !holds(draft.index(id).step.op, { reading, output: phase.output, scope }))
      throw draft.diverged(`the reading of step \`${id}\` does not show what its check wants`);
    completeStep(draft, id, phase.output);
    return;
  }
  if (phase.unknown !== undefined) {
    const why = entry.facts.fault === null ? "its read-back does not show it" : "it could not be read back";
    draft.move(id, "HELD");
    draft.change(id, { phase: { kind: "held", reason: `${phase.unknown}; ${why}` } });
    return;
  }
  const readBack = readBackOf(draft.index(id).step.op);
  const facts = {
    step: id,
    reading,
    check: readBack?.check ?? "",
    polls: poll,
    timeoutMs: readBack?.timeoutMs ?? 0,
  };
  const last = why === null ? "the last reading does not show it" : `it could not be read: ${why.message}`;
  const failed = record("guard.not-observed", `Step \`${id}\` was commanded, and ${last}`, facts);
  failStep(draft, id, failed, { attempted: true, retryable: false });
}

/** Whether the check holds for a reading. A check that cannot be computed does not hold. */
export function holds(
  op: Opcode,
  given: { readonly reading: Value; readonly output: SlotState; readonly scope: Scope },
): boolean {
  const readBack = readBackOf(op);
  if (readBack === undefined) return false;
  const { reading, output, scope } = given;
  const own = op.op === "call" && op.output !== null ? ([[op.output, output]] as const) : [];
  const slots = new Map<string, SlotState>([
    ...scope.slots,
    ...own,
    ["result", { value: reading, labels: [] }],
    ...(readBack.tolerance === null
      ? []
      : ([["tolerance", { value: readBack.tolerance, labels: [] }]] as const)),
  ]);
  try {
    return computeText(readBack.check, { ...scope, slots }).value === true;
  } catch (error) {
    if (expressionFailed(error)) return false;
    throw error;
  }
}

export function readBackOf(op: Opcode): Guard["readBack"] {
  return op.op === "call" ? op.guard?.readBack : undefined;
}

/** Data can make a check fail; anything else thrown is a bug of ours. */
function expressionFailed(error: unknown): boolean {
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" && (code.startsWith("expression.") || code === "core.invalid-value");
}

function expectAttempt(draft: Draft, id: StepId, attempt: number): StepState {
  const step = draft.step(id);
  if (attempt !== step.attempt) throw draft.diverged(`step \`${id}\` is at attempt ${step.attempt}`);
  return step;
}

/** Nobody decides any more on what was stopped. */
function closeApproval(draft: Draft, { facts }: MachineEntry<"guard.decided">): void {
  const { phase } = draft.step(facts.step);
  if (phase.kind !== "approval" || phase.approval === null) return;
  const approval = draft.approvals.get(phase.approval);
  if (approval !== undefined) draft.setApproval({ ...approval, state: "rejected", by: facts.by });
}

function stopped(id: string, reason: string): FaultRecord {
  return record("gate.emergency-stop", `Step \`${id}\` was stopped: ${reason}`, { step: id });
}

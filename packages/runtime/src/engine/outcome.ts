// The outcome of an effect, as it is recorded.
import type { Capability, Performed, Resolution } from "@writ/core/capability";
import type { FaultRecord } from "@writ/core/fault";
import type { EntryFacts } from "@writ/core/entry";
import { isActuator } from "@writ/core/guard-rules";
import type { StepId } from "@writ/core/ids";
import { joinLabels } from "@writ/core/label";
import { inlineBytesMax, resultBytesMax } from "@writ/core/limits";
import { rememberCapability } from "@writ/core/program-steps";
import { parseValue, type Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import { fit, problemsOf } from "../fit.ts";
import { isRefusedEntry, recordOf, sizeOf, store, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { withDeadline, type Called } from "./deadline.ts";
import { readBackOf } from "../machine/guard.ts";
import { stepOf } from "./job.ts";

interface Outcome {
  readonly flight: InFlight;
  readonly performed: Performed;
  readonly resolved: boolean;
}

export async function recordPerformed(
  core: Core,
  run: ActiveRun,
  id: StepId,
  outcome: Outcome,
): Promise<void> {
  const { capability, labels, attachments } = outcome.flight;
  const checked = checkResult(outcome);
  if (checked.kind === "bad") {
    // Done, but not as promised: a read failed; for anything else a person looks at what is there now.
    if (capability.effect.kind === "read") close(core, run, id, failed(run, id, checked.fault, false));
    else holdAtOnce(core, run, id, `it was done, but ${checked.fault.message}`);
    return;
  }
  const { value } = checked;
  const stored =
    sizeOf(value) <= inlineBytesMax ? ({ kind: "inline", value } as const) : await store(value, core.options);
  const { attempt } = stepOf(run, id);
  const { undo, evidence } = outcome.performed;
  // Whatever the capability says: it is observed when it has been read back.
  close(
    core,
    run,
    id,
    {
      kind: "effect.completed",
      facts: {
        step: id,
        attempt,
        result: stored,
        labels: joinLabels(
          capability.labels,
          labels,
          outcome.performed.labels ?? [],
          // What decided that something is remembered is known from its being there.
          capability.id === rememberCapability ? stepOf(run, id).control : [],
        ),
        undo,
        evidence: reads(run, id) ? "commanded" : evidence,
        resolved: outcome.resolved,
        ...(attachments === undefined || attachments.length === 0 ? {} : { attachments }),
      },
    },
    stored.kind === "blob" ? value : undefined,
  );
}

function checkResult({
  flight,
  performed,
}: Outcome):
  | { readonly kind: "good"; readonly value: Value }
  | { readonly kind: "bad"; readonly fault: FaultRecord } {
  const { capability } = flight;
  try {
    return { kind: "good", value: shapedResult(capability, performed.result) };
  } catch (error) {
    return { kind: "bad", fault: recordOf(error) };
  }
}

/** The result as the capability's contract says. @throws core.invalid-value, runtime.result-too-large, runtime.result-mismatch */
export function shapedResult(capability: Capability, result: unknown): Value {
  const value = parseValue(result);
  const sizeBytes = sizeOf(value);
  const sizeBytesMax = Math.min(capability.resultBytesMax, resultBytesMax);
  if (sizeBytes > sizeBytesMax) {
    throw fault(
      "runtime.result-too-large",
      `the result of \`${capability.id}\` has about ${sizeBytes} bytes`,
      {
        sizeBytes,
        sizeBytesMax,
      },
    );
  }
  const shaped = fit(capability.result, value);
  const problems = problemsOf(capability.result, shaped);
  if (problems.length > 0) {
    const found = problems
      .map(({ at, message }) => `${at === "" ? "it" : `\`${at}\``} ${message}`)
      .join("; ");
    throw fault(
      "runtime.result-mismatch",
      `the result of \`${capability.id}\` does not match its contract: ${found}`,
      {
        problems: problems.map(({ at, message }) => ({ at, message })),
      },
    );
  }
  return shaped;
}

export function failed(run: ActiveRun, id: StepId, why: FaultRecord, retryable: boolean) {
  return {
    kind: "effect.failed",
    facts: { step: id, attempt: stepOf(run, id).attempt, fault: why, ...(retryable ? { retryable } : {}) },
  } as const;
}

export function cancelledFault(id: StepId): FaultRecord {
  return recordOf(
    fault("runtime.cancelled", `Step \`${id}\` was not begun: it is not wanted any more`, { step: id }),
  );
}

/** Nobody knows how it ended: the step's read-back says, where it has one, and else a person. */
export function hold(core: Core, run: ActiveRun, id: StepId, reason: string): void {
  const { attempt, aborting, effect } = stepOf(run, id);
  if (!reads(run, id) || aborting || effect?.effect === "read") {
    holdAtOnce(core, run, id, reason);
    return;
  }
  const facts = { step: id, attempt, reason: reason.slice(0, 1000), readBack: true } as const;
  close(core, run, id, { kind: "effect.held", facts });
}

function reads(run: ActiveRun, id: StepId): boolean {
  const op = run.state.prepared.steps.get(id)?.step.op;
  return op !== undefined && readBackOf(op) !== undefined;
}

/** What is recorded beside a person's `done`: that it is read back, or that nobody looked at what moves something. */
export function lookedAt(
  core: Core,
  run: ActiveRun,
  id: StepId,
): Pick<EntryFacts["effect.settled"], "readBack" | "evidence"> {
  const { aborting, effect } = stepOf(run, id);
  if (effect === null || effect.effect === "read") return {};
  if (reads(run, id) && !aborting) return { readBack: true };
  const definition = core.options.modules.find(effect.capability);
  return definition !== undefined && isActuator(definition) ? { evidence: "commanded" } : {};
}

function holdAtOnce(core: Core, run: ActiveRun, id: StepId, reason: string): void {
  const { attempt } = stepOf(run, id);
  close(core, run, id, {
    kind: "effect.held",
    facts: { step: id, attempt, reason: reason.slice(0, 1000).toWellFormed() },
  });
  core.notify("operator", "A step is held", `Run ${run.run}, step ${id}: ${reason}`);
}

/** Records the outcome and gives the locks back, in this order and in one tick. */
export function close(
  core: Core,
  run: ActiveRun,
  id: StepId,
  change: Parameters<Core["apply"]>[1],
  stored?: Value,
): void {
  const flight = run.inFlight.get(id);
  run.inFlight.delete(id);
  // What is read back stays locked until that has ended.
  const isReadBack =
    change.kind === "effect.completed" || (change.kind === "effect.held" && change.facts.readBack === true);
  if (isReadBack && flight !== undefined && reads(run, id))
    run.readBacks.set(id, { release: flight.release, isReading: false });
  try {
    core.apply(run, change, stored === undefined ? {} : { stored });
  } catch (error) {
    if (change.kind === "effect.held" || !isRefusedEntry(error)) throw error;
    // It was done, and what it did cannot be written down: a person looks.
    const { attempt } = stepOf(run, id);
    const reason = `its outcome cannot be recorded: ${recordOf(error).message}`;
    core.apply(run, { kind: "effect.held", facts: { step: id, attempt, reason } });
  } finally {
    if (stepOf(run, id).phase.kind !== "read-back") {
      run.readBacks.delete(id);
      flight?.release();
    }
  }
}

/** What the capability finds when it asks the world; unknown when it cannot ask. */
export function askWorld(
  core: Core,
  run: ActiveRun,
  id: StepId,
  flight: InFlight,
): Promise<Called<Resolution>> {
  const { capability, params } = flight;
  return withDeadline(core, run, id, flight, (context) =>
    capability.resolve === undefined
      ? Promise.resolve({ kind: "unknown", reason: "the system that was called cannot be asked" })
      : capability.resolve(params, context),
  );
}

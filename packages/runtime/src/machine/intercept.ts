// Breakpoints: a step stops before its effect, shows what it would do, and goes on when a person says so, with other parameters if wanted.
//   C5  What goes on is what was shown. Other parameters are another effect: they need an approval of their own.
import type { FaultRecord } from "@writ/core/fault";
import type { Breakpoint } from "@writ/core/entry";
import type { CapabilityId, Sha256, StepId } from "@writ/core/ids";
import { capabilityName } from "@writ/core/ids";
import type { MachineEntry } from "../machine.ts";
import type { RunState } from "../state.ts";
import { noStepControl, type StepControl } from "./control-state.ts";
import type { Draft } from "./draft.ts";
import { record } from "./failure.ts";

type InterceptKind = "breakpoint.set" | "breakpoint.cleared" | "step.intercepted" | "step.released";

export function applyIntercept(draft: Draft, entry: MachineEntry<InterceptKind>): void {
  const { breakpoints } = draft.control;
  switch (entry.kind) {
    case "breakpoint.set": {
      const { breakpoint, step, capability } = entry.facts;
      draft.control = { ...draft.control, breakpoints: [...breakpoints, { breakpoint, step, capability }] };
      return;
    }
    case "breakpoint.cleared": {
      const { breakpoint } = entry.facts;
      const left = breakpoints.filter((one) => one.breakpoint !== breakpoint);
      if (left.length === breakpoints.length) throw draft.diverged(`it has no breakpoint \`${breakpoint}\``);
      draft.control = { ...draft.control, breakpoints: left };
      return;
    }
    case "step.intercepted": {
      const { step: id, attempt, breakpoint, effect } = entry.facts;
      const step = draft.step(id);
      if (step.phase.kind !== "attempting" || step.attempt !== attempt)
        throw draft.diverged(`step \`${id}\` was not about to be attempted`);
      draft.change(id, { phase: { kind: "intercepted", breakpoint, effect } });
      return;
    }
    case "step.released":
      stepReleased(draft, entry);
  }
}

function stepReleased(draft: Draft, entry: MachineEntry<"step.released">): void {
  const { step: id, attempt, params, by } = entry.facts;
  const problem = releaseProblem(draft, id, params !== null);
  const { phase, ...step } = draft.step(id);
  if (problem !== null) throw draft.diverged(problem.message);
  if (phase.kind !== "intercepted" || step.attempt !== attempt)
    throw draft.diverged(`step \`${id}\` is at attempt ${step.attempt}`);
  const known = draft.control.steps.get(id) ?? noStepControl;
  if (params === null) {
    setStepControl(draft, id, { ...known, released: { attempt, hash: phase.effect.hash } });
    draft.change(id, { phase: { kind: "attempting" } });
  } else {
    const group = step.group + 1;
    setStepControl(draft, id, {
      released: { attempt: attempt + 1, hash: null },
      changed: { group, params, by },
      orderedGroup: group,
    });
    draft.change(id, { phase: { kind: "attempting" }, attempt: attempt + 1, group, tries: 1 });
  }
  draft.command({ kind: "attempt", step: id });
}

export function setStepControl(draft: Draft, id: StepId, control: StepControl): void {
  draft.control = { ...draft.control, steps: new Map(draft.control.steps).set(id, control) };
}

/** Why the step cannot be released (with other parameters) now, or null. */
export function releaseProblem(
  run: Pick<RunState, "steps">,
  id: StepId,
  changes: boolean,
): FaultRecord | null {
  const step = run.steps.get(id);
  const why = (message: string): FaultRecord =>
    record("run.order", message, { step: id, state: step?.status ?? "" });
  if (step?.phase.kind !== "intercepted")
    return why(`Cannot release step \`${id}\`: it does not stand at a breakpoint`);
  if (changes && step.tries > 1) {
    return why(
      `Cannot change the parameters of step \`${id}\`: it is tried again, and the attempt before it may have been done`,
    );
  }
  return null;
}

/** The breakpoint at which the effect stops, or null. `hash` is that of what would be done now. */
export function breakpointFor(
  { control, steps }: Pick<RunState, "control" | "steps">,
  effect: { readonly step: StepId; readonly capability: CapabilityId; readonly hash: Sha256 },
): Breakpoint | null {
  const { step: id, capability, hash } = effect;
  const hit = control.breakpoints.find((one) =>
    one.step === null ? one.capability !== null && matches(one.capability, capability) : one.step === id,
  );
  if (hit === undefined) return null;
  const released = control.steps.get(id)?.released ?? null;
  const goesOn =
    released?.attempt === steps.get(id)?.attempt && (released?.hash === null || released?.hash === hash);
  return goesOn ? null : hit;
}

/** `*` stands for any characters; without a version every version is meant. */
export function matches(pattern: string, capability: CapabilityId): boolean {
  const text = pattern.includes("@") ? capability : capabilityName(capability);
  const parts = pattern.split("*");
  if (parts.length === 1) return text === pattern;
  const [first = ""] = parts;
  const last = parts.at(-1) ?? "";
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > text.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

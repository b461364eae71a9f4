// Approvals: what is shown, who may decide, and what becomes of it.
//   V1  What is shown is exactly what would be done: parameters resolved, targets looked at; what cannot be known yet is shown as its
//       expression.
//       Nobody is asked about what cannot be looked at.
//   V2  Only somebody with the role decides; nobody deciding ends in reject or skip, never in approve.
import { toHex } from "@writ/core/bytes";
import type { Capability, Inspection } from "@writ/core/capability";
import { encodeCbor } from "@writ/core/cbor";
import type { Actor, EffectPreview, GateVerdict } from "@writ/core/entry";
import { approvalId, type ApprovalId, type StepId } from "@writ/core/ids";
import { approvalTimeoutMsDefault, inlineBytesMax } from "@writ/core/limits";
import { allSteps, type Operands, type Step } from "@writ/core/program";
import { isMap, type Value, type ValueMap } from "@writ/core/value";
import { bindingTargets, effectHash } from "../effect-hash.ts";
import { fault } from "../faults.ts";
import type { Command } from "../machine.ts";
import { waitsForVersion } from "../machine/migrate.ts";
import { computeKnown } from "../machine/operands.ts";
import { hasRole, rolesOf } from "../registry.ts";
import type { RunState } from "../state.ts";
import { isRefusedEntry, recordOf, sizeOf, type ActiveRun, type Core } from "./core.ts";
import { fitted, guardedOf, guardOfPreview, stepOf, type Job } from "./job.ts";
import { inspect } from "./look.ts";

/** The gate wants somebody's approval of one effect. */
export function requestGateApproval(
  core: Core,
  job: Job,
  inspection: Inspection,
  verdict: Extract<GateVerdict, { kind: "needs" }>,
): void {
  const { run, step } = job;
  const request = shownParams(core, job.params).then((params) => {
    if (core.phase() !== "running" || stepOf(run, step).phase.kind !== "attempting") return;
    const targets = bindingTargets(inspection.targets, []);
    const effect: EffectPreview = {
      step,
      capability: job.capability,
      params,
      later: {},
      targets,
      ...guardOfPreview(job),
      hash: effectHash({ capability: job.capability, params: job.params, targets }, core.options.hasher),
    };
    appendRequest(core, run, {
      step,
      role: verdict.role,
      message: verdict.reason,
      effects: [effect],
      expiresAtMs: core.options.world.nowMs() + approvalTimeoutMsDefault,
      reason: "gate",
      onExpiry: onExpiryOf(run.state, step, job.definition?.criticality === "critical"),
      ...(verdict.notBy === undefined ? {} : { notBy: verdict.notBy }),
    });
  });
  core.track(request);
}

/** The program, or a failure policy, wants somebody's decision. */
export function requestApproval(
  core: Core,
  run: ActiveRun,
  command: Extract<Command, { kind: "request-approval" }>,
): void {
  core.track(request(core, run, command));
}

async function request(
  core: Core,
  run: ActiveRun,
  command: Extract<Command, { kind: "request-approval" }>,
): Promise<void> {
  const { step, role, why } = command;
  const op = run.state.prepared.steps.get(step)?.step.op;
  let effects: readonly EffectPreview[] = [];
  try {
    if (why === "program" && op?.op === "approve") effects = await previewEffects(core, run, op.body.steps);
  } catch (error) {
    refuseUnshown(core, run, step, error);
    return;
  }
  const { phase } = stepOf(run, step);
  if (core.phase() !== "running" || phase.kind !== "approval" || phase.approval !== null) return;
  // The time to decide begins when the request is recorded: a run may have waited for its turn since the machine asked.
  const expiresAtMs =
    why === "program" && op?.op === "approve"
      ? core.options.world.nowMs() + op.withinMs
      : command.expiresAtMs;
  appendRequest(core, run, {
    step,
    role,
    message: phase.reason,
    effects,
    expiresAtMs,
    reason: "program",
    onExpiry: why === "failure" ? "reject" : onExpiryOf(run.state, step),
  });
}

function appendRequest(
  core: Core,
  run: ActiveRun,
  facts: Omit<Extract<Parameters<Core["apply"]>[1], { kind: "approval.requested" }>["facts"], "approval">,
): void {
  const approval = approvalId(`a_${toHex(core.options.entropy.bytes(10))}`);
  try {
    core.apply(run, { kind: "approval.requested", facts: { approval, ...facts } });
  } catch (error) {
    if (!isRefusedEntry(error)) throw error;
    cancelUnshown(core, run, error);
    return;
  }
  core.notify(facts.role, "An approval is waiting", `${approval} of run ${run.run}: ${facts.message}`);
}

/** Nobody is asked about what cannot be looked at: the step that asks fails, by its own failure policy. */
function refuseUnshown(core: Core, run: ActiveRun, id: StepId, error: unknown): void {
  const { phase, attempt } = stepOf(run, id);
  if (core.phase() !== "running" || phase.kind !== "approval" || phase.approval !== null) return;
  core.apply(run, { kind: "effect.refused", facts: { step: id, attempt, fault: recordOf(error) } });
}

/** Nobody can approve what the ledger cannot hold. */
function cancelUnshown(core: Core, run: ActiveRun, error: unknown): void {
  if (core.phase() !== "running" || run.state.ending !== null) return;
  const reason = `its approval cannot be asked for: ${recordOf(error).message}`;
  core.apply(run, { kind: "run.cancel-requested", facts: { by: { kind: "node" }, undo: false, reason } });
}

/** What is critical is never passed over in silence. */
function onExpiryOf(state: RunState, step: StepId, isCritical = false): "reject" | "skip" {
  const failure = state.prepared.steps.get(step)?.step.failure;
  return failure?.kind === "skip" && !isCritical ? "skip" : "reject";
}

function callsOf(steps: readonly Step[]): readonly Step[] {
  return allSteps({ steps }).filter((step) => step.op.op === "call");
}

/** Steps that may run more often than once after one approval: it covers none of their effects by its hash. */
function repeatedIn(steps: readonly Step[]): ReadonlySet<StepId> {
  const loops = allSteps({ steps }).flatMap(({ op }) => (op.op === "loop" ? [op.body] : []));
  return new Set(loops.flatMap((body) => allSteps(body).map(({ id }) => id)));
}

/**
 * What the calls would do, as far as it can be known now, in the order in which they stand.
 * @throws what the inspection of a call throws whose parameters are all known and which no earlier effect can make possible
 */
export async function previewEffects(
  core: Core,
  run: ActiveRun,
  steps: readonly Step[],
): Promise<readonly EffectPreview[]> {
  const previews: EffectPreview[] = [];
  const repeated = repeatedIn(steps);
  const workspace = await core.loadWorkspace(run.state.workspace);
  for (const { id, op } of callsOf(steps)) {
    if (op.op !== "call") continue;
    const definition = core.options.modules.find(op.capability);
    if (definition?.effect.kind === "read") continue;
    const { params, later } = knownParams(run.state, op.params, definition);
    const shown = await shownParams(core, params);
    const job: Job = {
      run,
      step: id,
      capability: op.capability,
      definition,
      params,
      paramLabels: [],
      controlLabels: [],
      approvals: [],
      purpose: "effect",
      guarded: guardedOf(run.state, id),
      key: "",
      workspace,
    };
    const looked =
      Object.keys(later).length === 0 ? await targetsOf(core, job, previews.length > 0) : undefined;
    const targets = looked === undefined ? [] : bindingTargets(looked, previews);
    const hash =
      looked === undefined || repeated.has(id)
        ? null
        : effectHash({ capability: op.capability, params, targets }, core.options.hasher);
    previews.push({
      step: id,
      capability: op.capability,
      params: shown,
      later,
      targets,
      ...guardOfPreview(job),
      hash,
    });
  }
  return previews;
}

/** Undefined when they cannot be looked at yet: an earlier effect may have to make them first. Then the gate asks once more (H3). */
async function targetsOf(
  core: Core,
  job: Job,
  followsEffects: boolean,
): Promise<Inspection["targets"] | undefined> {
  try {
    return (await inspect(core, job)).targets;
  } catch (error) {
    if (!followsEffects) throw error;
    return undefined;
  }
}

function knownParams(
  state: RunState,
  operands: Operands,
  definition: Capability | undefined,
): { readonly params: ValueMap; readonly later: Readonly<Record<string, string>> } {
  const { params, later } = computeKnown(usable(state, operands), state);
  const unusable = Object.entries(operands).filter(
    ([name]) => !Object.hasOwn(params, name) && !Object.hasOwn(later, name),
  );
  const texts = unusable.map(
    ([name, operand]) => [name, operand.kind === "expression" ? operand.text : ""] as const,
  );
  return {
    params: definition === undefined ? params : fitted(definition.params, params),
    later: { ...later, ...Object.fromEntries(texts) },
  };
}

/** Without the operands that cannot be computed although their slots are there: the step itself will fail with the reason. */
function usable(state: RunState, operands: Operands): Operands {
  return Object.fromEntries(
    Object.entries(operands).filter(([, operand]) => {
      try {
        computeKnown({ operand }, state);
        return true;
      } catch {
        return false;
      }
    }),
  );
}

/** Parameters as entries hold them: a large one is its hash. One that looks like such a hash is stored too, so that it cannot pass for one. */
export async function shownParams(core: Core, params: ValueMap): Promise<ValueMap> {
  const isPlain = (value: Value): boolean => !isMap(value) || !Object.hasOwn(value, "$blob");
  if (sizeOf(params) <= inlineBytesMax && Object.values(params).every(isPlain)) return params;
  const shown: Record<string, Value> = {};
  for (const [name, value] of Object.entries(params)) {
    if (sizeOf(value) <= inlineBytesMax / 8 && isPlain(value)) shown[name] = value;
    else {
      const { sha256, sizeBytes } = await core.options.blobs.put(encodeCbor(value));
      shown[name] = { $blob: sha256, sizeBytes };
    }
  }
  return shown;
}

/** Waits for the expiry of an approval that was asked for. */
export function awaitApproval(core: Core, run: ActiveRun, step: StepId, expiresAtMs: number): void {
  const { phase } = stepOf(run, step);
  if (phase.kind !== "approval" || phase.approval === null) return;
  const { approval } = phase;
  const key = `approval ${step}`;
  run.timers.get(key)?.();
  run.timers.set(
    key,
    core.timers.at(expiresAtMs, () => {
      run.timers.delete(key);
      if (core.phase() !== "running" || run.state.control.paused !== null) return;
      if (run.state.approvals.get(approval)?.state !== "waiting") return;
      const now = stepOf(run, step).phase;
      if (now.kind !== "approval" || now.approval !== approval) return;
      core.apply(run, { kind: "approval.expired", facts: { approval, step } });
    }),
  );
}

/** @throws approval.unknown, approval.closed, approval.wrong-role */
export function decideApproval(
  core: Core,
  given: {
    readonly approval: ApprovalId;
    readonly decision: "approve" | "reject";
    readonly actor: Actor;
    readonly comment: string;
  },
): number {
  const { approval: id, decision, actor, comment } = given;
  const run = [...core.runs.values()].find((active) => active.state.approvals.has(id));
  const approval = run?.state.approvals.get(id);
  if (run === undefined || approval === undefined) {
    throw fault("approval.unknown", `Cannot find the approval \`${id}\` in any run that has not ended`, {
      approval: id,
    });
  }
  const { phase } = stepOf(run, approval.step);
  const waits = approval.state === "waiting" && phase.kind === "approval" && phase.approval === id;
  if (!waits || approval.expiresAtMs <= core.options.world.nowMs()) {
    throw fault("approval.closed", `Cannot decide the approval \`${id}\`: it does not wait any more`, {
      approval: id,
      state: approval.state,
    });
  }
  const roles = rolesOf(core.options.registry(), actor);
  if (actor.kind !== "person" || !hasRole(roles, approval.role)) {
    throw fault(
      "approval.wrong-role",
      `Cannot decide the approval \`${id}\`: it takes the role \`${approval.role}\``,
      {
        approval: id,
        role: approval.role,
        roles: [...roles],
      },
    );
  }
  if (decision === "approve" && waitsForVersion(run.state, approval.step)) {
    throw fault(
      "run.decision",
      `Cannot approve step \`${approval.step}\`: it waits for another version of the program`,
      {
        approval: id,
        run: run.run,
        decisions: ["writ run migrate", "reject"],
      },
    );
  }
  if (decision === "approve" && approval.notBy === actor.id) {
    throw fault("approval.own-change", `Cannot decide the approval \`${id}\`: you changed what it is about`, {
      approval: id,
      role: approval.role,
    });
  }
  run.timers.get(`approval ${approval.step}`)?.();
  run.timers.delete(`approval ${approval.step}`);
  return core.apply(
    run,
    {
      kind: "approval.decided",
      facts: {
        approval: id,
        step: approval.step,
        decision,
        by: actor,
        comment: comment.slice(0, 1024).toWellFormed(),
      },
    },
    { actor },
  );
}

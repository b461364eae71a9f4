// Looking before acting: inspect, take the locks, ask the gate. The same for effects and for undos.
//   O1  The gate judges what was seen while the locks were held: whoever had to wait, or looked while another wrote, looks again.
import type { CallContext, Inspection, Target, WorkspaceContext } from "@writ/core/capability";
import type { GateVerdict } from "@writ/core/entry";
import type { RunId, StepId } from "@writ/core/ids";
import type { PolicyRequest } from "@writ/core/ports";
import type { ValueMap } from "@writ/core/value";
import type { Actor } from "@writ/core/entry";
import { fault } from "../faults.ts";
import { gate, type Rate } from "../gate.ts";
import { hostOf } from "../gate/containment.ts";
import { looksMax, sendsPerMinuteMaxDefault } from "../limits.ts";
import { revocationOf, rolesOf, type Registry } from "../registry.ts";
import type { RunState } from "../state.ts";
import { createAbort, type Core } from "./core.ts";
import type { Job } from "./job.ts";
import type { Grant, LockRequest } from "./locks.ts";
import type { Room } from "./permits.ts";

export interface Looked {
  readonly inspection: Inspection;
  readonly verdict: GateVerdict;
  readonly release: () => void;
}

/** Without waiting, where nothing needs to be inspected and nobody is in the way; else undefined. */
export function lookNow(core: Core, job: Job): Looked | undefined {
  if (job.definition?.inspect !== undefined) return undefined;
  const inspection = { targets: targetsWithoutInspection(job), before: {} };
  const grant = core.locks.tryTake(lockRequests(inspection.targets), job);
  if (grant === undefined) return undefined;
  const room = core.permits.tryTake(job.capability);
  if (room === undefined) {
    core.locks.release(grant);
    return undefined;
  }
  return judged(core, job, inspection, releaseOf(core, grant, room));
}

/**
 * Looks, waits for the locks, then for a permit. Undefined when the step is not wanted any more.
 * @throws what the capability's `inspect` throws, runtime.target-moving, runtime.busy
 */
export async function look(core: Core, job: Job, isWanted: () => boolean): Promise<Looked | undefined> {
  for (let looks = 0; looks < looksMax; looks++) {
    const mark = core.locks.mark();
    let inspection = await inspect(core, job);
    if (!isWanted()) return undefined;
    const requests = lockRequests(inspection.targets);
    const taken = core.locks.tryTake(requests, job);
    const grant = taken ?? (await core.locks.take(requests, job));
    let release = (): void => core.locks.release(grant);
    try {
      if (!isWanted()) {
        release();
        return undefined;
      }
      const room = core.permits.tryTake(job.capability) ?? (await core.permits.take(job.capability, job));
      release = releaseOf(core, grant, room);
      if (!isWanted()) {
        release();
        return undefined;
      }
      if (taken === undefined || core.locks.changedSince(requests, mark)) {
        inspection = await inspect(core, job);
        if (!isWanted() || !sameRequests(lockRequests(inspection.targets), requests)) {
          release();
          if (!isWanted()) return undefined;
          continue;
        }
      }
      return judged(core, job, inspection, release);
    } catch (error) {
      release();
      throw error;
    }
  }
  throw fault(
    "runtime.target-moving",
    `Cannot hold what \`${job.capability}\` would touch: it keeps changing its place`,
    {
      step: job.step,
    },
  );
}

export function releaseOf(core: Core, grant: Grant, room: Room): () => void {
  let given = false;
  return () => {
    if (given) return;
    given = true;
    core.permits.release(room);
    core.locks.release(grant);
  };
}

function judged(core: Core, job: Job, inspection: Inspection, release: () => void): Looked {
  return { inspection, release, verdict: judge(core, job, inspection.targets) };
}

/** The gate's verdict on what was seen. */
export function judge(core: Core, job: Job, targets: readonly Target[]): GateVerdict {
  const { options } = core;
  const registry = options.registry();
  const hosts = targets.filter((target) => target.kind === "host" && target.does === "send");
  return gate({
    capability: job.capability,
    definition: job.definition,
    revoked: revocationOf(registry, job.capability),
    params: job.params,
    targets,
    paramLabels: job.paramLabels,
    controlLabels: job.controlLabels,
    program: job.run.state.prepared.hashed.program,
    workspace: job.workspace,
    principal: principalOf(job.run.state, registry),
    policy: options.policy(),
    decide: (request) => core.decidePolicy(request),
    approvals: job.approvals,
    ...(job.guarded === undefined ? {} : { step: job.guarded }),
    stops: core.stops.now(),
    sends: {
      count: Math.max(0, ...hosts.map(({ name }) => core.rates.count(`host ${name}`))),
      countMax: options.sendsPerMinuteMax ?? sendsPerMinuteMaxDefault,
      retryAfterMs: core.rates.retryAfterMs(),
    },
    ...(job.purpose === "effect" ? { rates: ratesOf(core, job) } : {}),
    purpose: job.purpose,
    ...(job.order === undefined ? {} : { order: job.order }),
    hasher: options.hasher,
  });
}

const noRates: readonly Rate[] = [];

/** What else is counted by the minute for this effect; nothing where nobody set a limit. */
function ratesOf(core: Core, { run, capability, definition }: Job): readonly Rate[] {
  const { actionsPerMinuteMax } = core.options;
  const perMinuteMax = definition?.perMinuteMax;
  if (actionsPerMinuteMax === undefined && perMinuteMax === undefined) return noRates;
  const rates: Rate[] = [];
  if (actionsPerMinuteMax !== undefined) {
    const count = core.rates.count(sessionKey(run.state));
    rates.push({ what: "effects of one session", count, countMax: actionsPerMinuteMax });
  }
  if (perMinuteMax !== undefined) {
    const count = core.rates.count(`capability ${capability}`);
    rates.push({ what: "uses of the capability", count, countMax: perMinuteMax });
  }
  return rates;
}

/** The intent of an effect is about to be recorded. */
export function countIntent(core: Core, job: Job, targets: readonly Target[]): void {
  for (const { kind, does, name } of targets) {
    if (kind === "host" && does === "send") core.rates.add(`host ${name}`);
  }
  if (core.options.actionsPerMinuteMax !== undefined) core.rates.add(sessionKey(job.run.state));
  if (job.definition?.perMinuteMax !== undefined) core.rates.add(`capability ${job.capability}`);
}

/** The session that the event names, else whoever the run acts for. */
function sessionKey({ event, principal, program }: RunState): string {
  if (event?.session !== undefined) return `session ${event.session}`;
  return `principal ${principal.kind === "person" ? principal.id : program}`;
}

export async function inspect(core: Core, job: Job): Promise<Inspection> {
  const { definition } = job;
  if (definition?.inspect === undefined) return { targets: targetsWithoutInspection(job), before: {} };
  return definition.inspect(job.params, contextOf(core, job, {}));
}

export function contextOf(
  core: Core,
  job: {
    readonly run: { readonly run: RunId; readonly state: Pick<RunState, "program"> };
    readonly step: StepId;
    readonly key: string;
    readonly workspace: WorkspaceContext;
  },
  more: {
    readonly before?: ValueMap;
    readonly signal?: CallContext["signal"];
    readonly reports?: Pick<CallContext, "progress" | "heartbeat" | "attach" | "lastProgress">;
  },
): CallContext {
  const { options } = core;
  return {
    run: job.run.run,
    step: job.step,
    program: job.run.state.program,
    idempotencyKey: job.key,
    workspace: job.workspace,
    blobs: options.blobs,
    before: more.before ?? {},
    nowMs: options.world.nowMs(),
    signal: more.signal ?? createAbort().signal,
    ...more.reports,
  };
}

/** A capability that does not look: its hosts are named by its parameters; its paths are checked by the gate through the schema. */
export function targetsWithoutInspection(
  job: Pick<Job, "definition" | "params" | "workspace">,
): readonly Target[] {
  const { definition, params, workspace } = job;
  if (definition === undefined) return [];
  return definition.resources.flatMap(({ kind, param, does }): readonly Target[] => {
    const text = params[param];
    if (typeof text !== "string") return [];
    if (kind === "host") {
      const name = hostOf(text)?.host ?? text;
      return [{ kind, name, resolved: name, does, state: null }];
    }
    const resolved =
      kind === "person" || kind === "device" || kind === "memory" ? text : `${workspace.root}/${text}`;
    return [{ kind, name: text, resolved, does, state: null }];
  });
}

/** One path, one lock, and a folder's stands for what is below it. Several may send to one host at once: the host keeps its own order. */
export function lockRequests(targets: readonly Target[]): readonly LockRequest[] {
  return targets
    .filter((target) => target.kind !== "person")
    .map(({ kind, resolved, name, does }) => ({
      key: kind === "host" || kind === "device" || kind === "memory" ? `${kind} ${name}` : `path ${resolved}`,
      exclusive: does !== "read" && does !== "list" && does !== "send",
      ...(kind === "folder" ? { tree: true as const } : {}),
    }));
}

function sameRequests(a: readonly LockRequest[], b: readonly LockRequest[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ key, exclusive }, i) => b[i]?.key === key && b[i]?.exclusive === exclusive)
  );
}

export function principalOf(state: RunState, registry: Registry): PolicyRequest["principal"] {
  return actorPrincipal(state.principal, state.program, registry);
}

function actorPrincipal(actor: Actor, program: string, registry: Registry): PolicyRequest["principal"] {
  switch (actor.kind) {
    case "person": {
      const roles = rolesOf(registry, actor);
      return { kind: roles.includes("agent") ? "agent" : "person", id: actor.id, roles };
    }
    case "program":
      return { kind: "program", id: actor.program, roles: [] };
    case "node":
      return { kind: "program", id: program, roles: [] };
  }
}

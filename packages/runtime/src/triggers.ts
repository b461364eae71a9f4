// Triggers: one source session for every source that deployed programs listen to, and the runs that its events start.
//   T1  An event and the runs it starts are one commit: never one without the other.
//   T2  A sighting is recorded once, whatever a source reports again after a restart.
//   T3  Events of paused programs are recorded and start nothing; so do events that nobody's filter takes.
//   T4  A program is verified again when it is armed; one that is refused is `broken`, the others are armed.
//   T5  A source waits while the node has as many runs as it may: nothing is dropped, nothing is queued in memory only.
import type { Entry, EntryDraft } from "@writ/core/entry";
import { emittedSource, sessionOfSourceKey, type Event } from "@writ/core/event";
import { faultRecord, hasCode, type FaultRecord } from "@writ/core/fault";
import type { CapabilityId, ProgramHash } from "@writ/core/ids";
import type { EventSource, Ledger, Modules, Sighting, SourceSession, World } from "@writ/core/ports";
import { allSteps, type HashedProgram, type Program } from "@writ/core/program";
import type { Value } from "@writ/core/value";
import type { Engine, Log, StartRun } from "./engine.ts";
import { recordOf } from "./engine/core.ts";
import { createTimers } from "./engine/timers.ts";
import { busyRetryMs, lookBackChunk, lookBackEntriesMax, lookBackMs, recentSightingsMax } from "./limits.ts";
import { fault } from "./faults.ts";
import { checkCapabilities, deployedPrograms, type RegisteredProgram, type Registry } from "./registry.ts";
import { sessionKey } from "./triggers/session-key.ts";
import { createCondition, holdKey, holds, mayStart, type Condition } from "./triggers/condition.ts";

export { sessionKey };

export interface TriggerOptions {
  readonly ledger: Ledger;
  readonly engine: Engine;
  readonly modules: Modules;
  readonly registry: () => Registry;
  readonly world: World;
  /** Verified again at each arming; what it throws makes the program `broken`. */
  readonly loadProgram: (program: ProgramHash) => Promise<HashedProgram>;
  /** Whether an `event.received` entry with this `sourceKey` stands in the ledger, from the projections. */
  readonly seen: (sourceKey: string) => boolean;
  readonly log?: Log;
}

export interface Triggers {
  /** Arms what is deployed and disarms what is not. Call after `engine.recover()` and after every change of a program. */
  sync(): Promise<void>;
  /** Programs that are deployed but could not be armed, and why. */
  broken(): ReadonlyMap<ProgramHash, FaultRecord>;
  /** Source sessions that listen. */
  sessions(): readonly {
    readonly key: string;
    readonly source: string;
    readonly workspace: string;
    readonly programs: readonly ProgramHash[];
  }[];
  stop(): Promise<void>;
}

interface Armed {
  readonly hashed: HashedProgram;
  readonly workspace: string;
  readonly session: string | null;
  readonly condition: Condition | null;
  /** Sources that stay open for its waits. */
  readonly listens: readonly Listened[];
}

interface Listened {
  readonly key: string;
  readonly source: CapabilityId;
  readonly config: Readonly<Record<string, Value>>;
}

interface Session {
  readonly key: string;
  readonly source: EventSource;
  readonly workspace: string;
  readonly opened: SourceSession;
}

export function createTriggers(options: TriggerOptions): Triggers {
  const { engine, ledger, world, registry, log } = options;
  const armed = new Map<ProgramHash, Armed>();
  const brokenPrograms = new Map<ProgramHash, FaultRecord>();
  const sessions = new Map<string, Session>();
  const recent = new Set<string>();
  const timers = createTimers(world, (error) =>
    log?.error("trigger.timer-failed", { fault: recordOf(error) }),
  );
  let turn: Promise<void> = Promise.resolve();
  let stopped = false;

  const isSeen = (sourceKey: string) => recent.has(sourceKey) || options.seen(sourceKey);

  const remember = (sourceKey: string): void => {
    recent.add(sourceKey);
    const [oldest] = recent;
    if (recent.size > recentSightingsMax && oldest !== undefined) recent.delete(oldest);
  };

  const runOf = ({ hashed, workspace }: Armed, event: Event, source: EventSource): StartRun => ({
    program: hashed,
    event,
    labels: source.definition.labels,
    principal: { kind: "program", program: hashed.hash },
    workspace,
  });

  const isActive = (hash: ProgramHash): boolean => {
    const known = registry().programs.get(hash);
    return known !== undefined && isDeployed(known) && !known.paused;
  };

  const sighted = async (
    key: string,
    source: EventSource,
    workspace: string,
    sighting: Sighting,
  ): Promise<void> => {
    const sourceKey = `${key}#${sighting.key}`;
    for (;;) {
      if (stopped) throw fault("runtime.stopped", "Cannot record an event: the node is stopping", {});
      if (isSeen(sourceKey)) return;
      const listening = [...armed.values()].filter(
        (each) => each.session === key && isActive(each.hashed.hash),
      );
      const firing = listening.filter(
        (each) => each.condition?.trigger.holdMs === 0 && fires(each, sighting.event),
      );
      const first: EntryDraft<"event.received"> = {
        kind: "event.received",
        run: null,
        cause: null,
        actor: { kind: "node" },
        atMs: world.nowMs(),
        facts: {
          event: sighting.event,
          workspace,
          labels: source.definition.labels,
          sourceKey,
          cursor: sighting.cursor,
        },
      };
      try {
        const { durable } = engine.startTogether(
          first,
          firing.map((each) => runOf(each, sighting.event, source)),
        );
        remember(sourceKey);
        for (const each of firing) if (each.condition !== null) each.condition.lastStartMs = world.nowMs();
        for (const each of listening)
          if (each.condition !== null) hold(each, each.condition, sighting.event, source, world.nowMs());
        await durable;
        return;
      } catch (error) {
        await world.sleep(retryAfterMs(error));
      }
    }
  };

  /** The programs that an event starts which a run emitted, in the commit that records it. */
  const startedBy: Parameters<Engine["onEmitted"]>[0] = (event, labels, workspace) =>
    [...armed.values()].flatMap((each): readonly StartRun[] => {
      const { trigger } = each.hashed.program;
      if (trigger.kind !== "source" || trigger.source !== emittedSource || each.workspace !== workspace)
        return [];
      const { type } = trigger.config;
      if (type !== undefined && type !== event.type) return [];
      if (!isActive(each.hashed.hash) || each.condition === null) return [];
      if (trigger.holdMs > 0) {
        hold(each, each.condition, event, sourceOf(emittedSource), world.nowMs());
        return [];
      }
      if (!fires(each, event)) return [];
      each.condition.lastStartMs = world.nowMs();
      const principal = { kind: "program", program: each.hashed.hash } as const;
      return [{ program: each.hashed, event, labels, principal, workspace }];
    });
  engine.onEmitted(startedBy);

  const fires = ({ hashed, condition }: Armed, event: Event): boolean =>
    condition !== null &&
    holds(condition, event, (error) =>
      log?.warn("trigger.filter-failed", { program: hashed.hash, fault: recordOf(error) }),
    ) &&
    mayStart(condition, hashed.program, world.nowMs());

  /** Begins, continues or ends the hold time that the event speaks of. */
  const hold = (each: Armed, condition: Condition, event: Event, source: EventSource, atMs: number): void => {
    const { holdMs } = condition.trigger;
    if (holdMs === 0) return;
    const key = holdKey(event);
    const holding = condition.holding.get(key);
    if (!holds(condition, event, () => undefined)) {
      holding?.cancel();
      condition.holding.delete(key);
      return;
    }
    if (holding !== undefined) {
      holding.event = event;
      return;
    }
    const begun = { sinceMs: atMs, event, fired: false, cancel: (): void => undefined };
    condition.holding.set(key, begun);
    begun.cancel = timers.at(atMs + holdMs, () => held(each, condition, begun, source));
  };

  const held = (
    each: Armed,
    condition: Condition,
    holding: { event: Event; fired: boolean; cancel: () => void },
    source: EventSource,
  ): void => {
    const { hash, program } = each.hashed;
    if (stopped || holding.fired || !isActive(hash) || armed.get(hash) !== each) return;
    if (!mayStart(condition, program, world.nowMs())) {
      holding.fired = true;
      return;
    }
    try {
      engine.startRun(runOf(each, holding.event, source));
      holding.fired = true;
      condition.lastStartMs = world.nowMs();
    } catch (error) {
      if (hasCode(error, "runtime.conflict")) {
        holding.fired = true;
        return;
      }
      const atMs = world.nowMs() + retryAfterMs(error);
      holding.cancel = timers.at(atMs, () => held(each, condition, holding, source));
    }
  };

  const sync = async (): Promise<void> => {
    if (stopped) return;
    const deployed = new Map(
      deployedPrograms(registry()).flatMap((program) =>
        isDeployed(program) ? [[program.hash, program] as const] : [],
      ),
    );
    for (const hash of brokenPrograms.keys()) if (!deployed.has(hash)) brokenPrograms.delete(hash);
    const fresh: Armed[] = [];
    for (const [hash, registered] of deployed) {
      try {
        const known = armed.get(hash);
        const hashed = known?.hashed ?? (await options.loadProgram(hash));
        checkCapabilities(registry(), hashed.program);
        checkPresent(hashed.program, options.modules);
        brokenPrograms.delete(hash);
        if (known !== undefined) continue;
        fresh.push(arm(hashed, registered.workspace));
      } catch (error) {
        disarm(hash);
        brokenPrograms.set(hash, recordOf(error));
        log?.error("trigger.broken", { program: hash, fault: recordOf(error) });
      }
    }
    // In one tick: what a version that is replaced still takes, the other does not, and nothing falls between them.
    for (const hash of armed.keys()) if (!deployed.has(hash)) disarm(hash);
    for (const made of fresh) armed.set(made.hashed.hash, made);
    await restore(fresh);
    await openSessions();
  };

  /** @throws trigger.source-unknown */
  const arm = (hashed: HashedProgram, workspace: string): Armed => {
    const { trigger } = hashed.program;
    const listens = listensOf(hashed.program, workspace);
    for (const { source } of listens) sourceOf(source);
    if (trigger.kind === "manual") return { hashed, workspace, session: null, condition: null, listens };
    sourceOf(trigger.source);
    return {
      hashed,
      workspace,
      listens,
      session: sessionKey(workspace, trigger.source, trigger.config),
      condition: createCondition(trigger),
    };
  };

  const sourceOf = (id: string): EventSource => {
    const source = options.modules.sources().find(({ definition }) => definition.id === id);
    if (source === undefined)
      throw fault("trigger.source-unknown", `Cannot listen to \`${id}\`: this node does not have it`, {
        source: id,
      });
    return source;
  };

  const disarm = (hash: ProgramHash): void => {
    for (const holding of armed.get(hash)?.condition?.holding.values() ?? []) holding.cancel();
    armed.delete(hash);
  };

  const openSessions = async (): Promise<void> => {
    const wanted = new Map<string, Listened & { readonly workspace: string }>();
    for (const { session, hashed, workspace, listens } of armed.values()) {
      const { trigger } = hashed.program;
      if (session !== null && trigger.kind === "source")
        wanted.set(session, { key: session, source: trigger.source, config: trigger.config, workspace });
      for (const listened of listens) wanted.set(listened.key, { ...listened, workspace });
    }
    for (const [key, session] of sessions) {
      if (wanted.has(key)) continue;
      sessions.delete(key);
      await session.opened.stop();
    }
    for (const [key, { source: id, config, workspace }] of wanted) {
      if (sessions.has(key) || stopped) continue;
      const uses = (each: Armed) => each.session === key || each.listens.some((one) => one.key === key);
      try {
        const source = sourceOf(id);
        const opened = await source.start({
          config,
          workspace: await engine.workspace(workspace),
          cursor: registry().cursors.get(key) ?? null,
          world,
          seen: (sightingKey) => isSeen(`${key}#${sightingKey}`),
          report: (sighting) => sighted(key, source, workspace, sighting),
          missed: async (what) => {
            const facts = { source: source.definition.id, workspace, session: key, ...what };
            const atMs = world.nowMs();
            const entry = ledger.append({
              kind: "source.missed",
              run: null,
              cause: null,
              actor: { kind: "node" },
              atMs,
              facts,
            });
            await ledger.durable(entry.seq);
          },
          ...sinceOf(key),
          problem: (error) => log?.warn("source.problem", { source: id, workspace, fault: recordOf(error) }),
        });
        sessions.set(key, { key, source, workspace, opened });
      } catch (error) {
        for (const each of armed.values())
          if (uses(each)) brokenPrograms.set(each.hashed.hash, recordOf(error));
        for (const [hash, each] of armed) if (uses(each)) disarm(hash);
        log?.error("trigger.broken", { source: id, workspace, fault: recordOf(error) });
      }
    }
  };

  /** Since when the first of the programs that listen has been deployed. */
  const sinceOf = (key: string): { readonly sinceMs?: number } => {
    const times = [...armed].flatMap(([hash, each]) => {
      const atMs = each.session === key ? registry().programs.get(hash)?.deployedAtMs : null;
      return typeof atMs === "number" ? [atMs] : [];
    });
    return times.length === 0 ? {} : { sinceMs: Math.min(...times) };
  };

  /** Hold and throttle times of programs that were just armed, from what the ledger says of the time before. */
  const restore = async (fresh: readonly Armed[]): Promise<void> => {
    const timed = fresh.filter(
      ({ condition }) => condition !== null && condition.trigger.holdMs + condition.trigger.throttleMs > 0,
    );
    if (timed.length === 0) return;
    const longestMs = Math.max(
      ...timed.map(
        ({ condition }) => 2 * (condition?.trigger.holdMs ?? 0) + (condition?.trigger.throttleMs ?? 0),
      ),
    );
    for (const entry of await entriesSince(world.nowMs() - Math.max(lookBackMs, longestMs))) {
      for (const each of timed) if (each.condition !== null) relive(each, each.condition, entry);
    }
  };

  const relive = (each: Armed, condition: Condition, entry: Entry): void => {
    if (entry.kind === "run.started" && entry.facts.program === each.hashed.hash) {
      condition.lastStartMs = entry.atMs;
      const holding = condition.holding.get(holdKey(entry.facts.event));
      if (holding !== undefined) {
        holding.fired = true;
        holding.cancel();
      }
    }
    if (entry.kind === "event.received" && sessionOfSourceKey(entry.facts.sourceKey) === each.session) {
      const { trigger } = condition;
      hold(each, condition, entry.facts.event, sourceOf(trigger.source), entry.atMs);
    }
  };

  const entriesSince = async (atMs: number): Promise<readonly Entry[]> => {
    let entries: Entry[] = [];
    let to = ledger.durableSeq() + 1;
    let isOld = false;
    while (to > 0 && !isOld && entries.length < lookBackEntriesMax) {
      const from = Math.max(0, to - lookBackChunk);
      const chunk: Entry[] = [];
      for await (const entry of ledger.scan(from, to)) {
        if (entry.atMs < atMs) isOld = true;
        else if (entry.kind === "run.started" || entry.kind === "event.received") chunk.push(entry);
      }
      entries = [...chunk, ...entries];
      to = from;
    }
    return entries;
  };

  return {
    sync() {
      turn = turn.then(sync, sync);
      return turn;
    },
    broken: () => brokenPrograms,
    sessions: () =>
      [...sessions.values()].map(({ key, source, workspace }) => ({
        key,
        source: source.definition.id,
        workspace,
        programs: [...armed.values()].filter((each) => each.session === key).map(({ hashed }) => hashed.hash),
      })),
    async stop() {
      stopped = true;
      timers.stop();
      await turn.catch(() => undefined);
      for (const { opened } of sessions.values()) await opened.stop();
      sessions.clear();
    },
  };
}

/** When a start that was refused because the node, or the program's line, is full should be tried again. @throws any other error */
function retryAfterMs(error: unknown): number {
  if (!hasCode(error, "runtime.busy") && !hasCode(error, "runtime.full")) throw error;
  const afterMs = faultRecord(error)?.facts["retryAfterMs"];
  return typeof afterMs === "number" ? afterMs : busyRetryMs;
}

/** @throws capability.unknown */
function checkPresent(program: Program, modules: Modules): void {
  const missing = program.capabilities.find((capability) => modules.find(capability) === undefined);
  if (missing === undefined) return;
  throw fault("capability.unknown", `Cannot arm the program: this node does not have \`${missing}\``, {
    capability: missing,
  });
}

/** What the program says it listens to, and what its waits hear. */
function listensOf(program: Program, workspace: string): readonly Listened[] {
  const waited = allSteps(program.body).flatMap(({ op }) =>
    op.op === "wait" &&
    (op.until.kind === "event" || op.until.kind === "condition") &&
    op.until.source !== null
      ? [{ source: op.until.source, config: op.until.config }]
      : [],
  );
  return [...(program.listens ?? []), ...waited].map(({ source, config }) => ({
    key: sessionKey(workspace, source, config),
    source,
    config,
  }));
}

function isDeployed(program: RegisteredProgram): boolean {
  return program.deployedAtMs !== null && !program.undeployed;
}

// The schedule: what is waited for on this node, by whom, and who holds it. It ties the lines together:
//
//   turn and resources (admission.ts)  →  locks (locks.ts)  →  permit of the module  →  permit of the node (permits.ts)
//
// Each class is taken as a whole or not at all, and in this order. Whoever holds something waits only for a later class, so nobody
// waits in a circle (J4). Every line is ordered by order.ts. Who waits lends its place to who holds what it wants (J5), so that a
// high priority never waits for a low one that waits in a line of normal ones.
// All decisions are functions of what was recorded and of the monotonic clock of `World`: a simulation drives them.
import type { Priority } from "@writ/core/event";
import type { ProgramHash, RunId, StepId } from "@writ/core/ids";
import type { Admission } from "./admission.ts";
import { stuckRuns, type Wait } from "./circle.ts";
import { priorityOf } from "./claim.ts";
import type { ActiveRun, Core } from "./core.ts";
import type { LockWaiter } from "./locks.ts";
import { isBefore } from "./order.ts";
import { needsOf } from "./resources.ts";

export interface ScheduledWaiter {
  readonly run: RunId;
  readonly step: StepId | null;
  readonly priority: Priority;
  readonly waitedMs: number;
  /** Time until nobody who comes now would be served before it; negative when that has passed. */
  readonly dueInMs: number;
}

export interface ScheduledHolder {
  readonly run: RunId;
  readonly step: StepId | null;
}

/** One line: what is waited for, who has it, who waits, most urgent first. Both lists are cut; the counts are not. */
export interface ScheduledLine {
  readonly kind: "turn" | "resource" | "lock" | "module" | "node";
  /** Program hash, resource, lock, module; `` for the node. */
  readonly name: string;
  readonly held: number;
  /** Null where there is no bound. */
  readonly heldMax: number | null;
  readonly waiting: number;
  readonly holders: readonly ScheduledHolder[];
  readonly waiters: readonly ScheduledWaiter[];
}

export interface Schedule {
  /** Only lines in which somebody waits, and the node's. */
  readonly lines: readonly ScheduledLine[];
  readonly effects: { readonly active: number; readonly activeMax: number; readonly waiting: number };
  /** Runs that wait for their turn. */
  readonly turnsWaiting: number;
  /** Starts that a program refused since the node began, because it does not queue (`conflict: reject`). */
  readonly rejected: readonly { readonly program: ProgramHash; readonly count: number }[];
  /** Runs that can never go on, since they wait for each other; none, unless there is a bug. */
  readonly stuck: readonly RunId[];
  /** Runs that end in a second, measured over the last ones; null while nothing was measured. */
  readonly endsPerSecond: number | null;
  readonly retryAfterMs: number;
}

/** Holders and waiters that a line names. */
const namedMax = 20;

export interface Scheduling {
  reorder(run: ActiveRun): void;
  waits(waiter: LockWaiter): void;
  /** A start of the program was refused: it does not queue. */
  rejected(program: ProgramHash): void;
  view(): Schedule;
}

export function createSchedule(core: Core, admission: Admission): Scheduling {
  const rejections = new Map<ProgramHash, number>();
  const nowMs = (): number => core.options.world.monotonicMs();

  const waiterOf = (
    claim: { readonly run: ActiveRun; readonly step?: StepId },
    ticket: { readonly arrivedMs: number; readonly dueMs: number },
    priority: Priority,
  ): ScheduledWaiter => ({
    run: claim.run.run,
    step: claim.step ?? null,
    priority,
    waitedMs: nowMs() - ticket.arrivedMs,
    dueInMs: Number.isFinite(ticket.dueMs) ? ticket.dueMs - nowMs() : 0,
  });

  const holdersOf = (program: ProgramHash): readonly ScheduledHolder[] =>
    [...core.runs.values()]
      .filter(({ state, turn }) => turn === "admitted" && state.program === program)
      .map(({ run }) => ({ run, step: null }));

  const turnLines = (): readonly ScheduledLine[] =>
    [...admission.places()].flatMap(([program, { active, line }]) =>
      line.length === 0
        ? []
        : [
            {
              kind: "turn" as const,
              name: program,
              held: active,
              heldMax: line[0]?.run.state.prepared.hashed.program.concurrencyMax ?? null,
              waiting: line.length,
              holders: holdersOf(program).slice(0, namedMax),
              waiters: line
                .slice(0, namedMax)
                .map((waiter) => waiterOf(waiter, waiter, waiter.run.state.priority)),
            },
          ],
    );

  const resourceLines = (): readonly ScheduledLine[] =>
    admission.resources.names().map((name) => {
      const holders = admission.resources.holders(name);
      const line = [...admission.places().values()]
        .flatMap(({ line: waiters }) => waiters)
        .filter(({ run }) => needsOf(run).some((need) => need.name === name))
        .toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
      const units = admission.resources.unitsOf(name);
      return {
        kind: "resource" as const,
        name,
        held: holders.length,
        heldMax: Number.isFinite(units) ? units : null,
        waiting: line.length,
        holders: holders.slice(0, namedMax).map(({ run }) => ({ run, step: null })),
        waiters: line.slice(0, namedMax).map((waiter) => waiterOf(waiter, waiter, waiter.run.state.priority)),
      };
    });

  /** A run that started another one waits for its end. */
  const waitsForChild = (): readonly Wait[] =>
    [...core.runs.values()].flatMap(({ run, state }) =>
      state.prepared.calls.flatMap((id): readonly Wait[] => {
        const phase = state.steps.get(id)?.phase;
        if (phase?.kind !== "child" || !core.runs.has(phase.run)) return [];
        return [{ run, groups: [{ need: "all", runs: [phase.run] }] }];
      }),
    );

  const waitsForTurn = (): readonly Wait[] =>
    [...admission.places()].flatMap(([program, { active, line }]) => {
      const [first] = line;
      if (first === undefined) return [];
      const isFull = active >= first.run.state.prepared.hashed.program.concurrencyMax;
      const inTurn = isFull ? holdersOf(program).map(({ run }) => run) : [];
      const holding = admission.resources.blockers(needsOf(first.run)).map(({ run }) => run);
      const groups = [
        ...(inTurn.length > 0 ? [{ need: "any" as const, runs: inTurn }] : []),
        { need: "all" as const, runs: holding },
      ];
      return line.map(({ run }) => ({ run: run.run, groups }));
    });

  const lockLines = (): readonly ScheduledLine[] => {
    const byKey = new Map<string, LockWaiter[]>();
    for (const waiter of core.locks.waiters()) {
      for (const { key } of waiter.requests) {
        const line = byKey.get(key);
        if (line === undefined) byKey.set(key, [waiter]);
        else line.push(waiter);
      }
    }
    return [...byKey].map(([name, line]) => {
      const [first] = line;
      const blockers = first === undefined ? [] : core.locks.blockers(first);
      return {
        kind: "lock" as const,
        name,
        held: blockers.length,
        heldMax: null,
        waiting: line.length,
        holders: [
          ...blockers.map(({ claim }) => ({ run: claim.run.run, step: claim.step })),
          ...(first === undefined ? [] : core.locks.barrers(first)).map((run) => ({ run, step: null })),
        ].slice(0, namedMax),
        waiters: line
          .slice(0, namedMax)
          .map((waiter) => waiterOf(waiter.claim, waiter, priorityOf(waiter.claim))),
      };
    });
  };

  const permitLines = (): readonly ScheduledLine[] =>
    core.permits
      .rooms()
      .filter(({ name, line }) => name === "" || line.length > 0)
      .map(({ name, active, activeMax, line }) => ({
        kind: name === "" ? ("node" as const) : ("module" as const),
        name,
        held: active,
        heldMax: Number.isFinite(activeMax) ? activeMax : null,
        waiting: line.length,
        holders: [],
        waiters: line
          .slice(0, namedMax)
          .map((waiter) => waiterOf(waiter.claim, waiter, priorityOf(waiter.claim))),
      }));

  /** Who holds what this waiter wants is as urgent as it while it waits for a permit. */
  const inherit = (waiter: LockWaiter): void => {
    for (const { claim } of core.locks.blockers(waiter)) core.permits.hurry(claim, waiter.dueMs);
  };

  return {
    reorder(run) {
      admission.reorder(run);
      core.locks.reorder(run);
      core.permits.reorder(run);
    },
    waits: inherit,
    rejected(program) {
      rejections.set(program, (rejections.get(program) ?? 0) + 1);
      core.options.log?.warn("run.rejected", { program });
    },
    view() {
      const [node] = core.permits.rooms();
      const turns = turnLines();
      const permits = permitLines();
      const waitingPermits = permits.reduce((sum, { waiting }) => sum + waiting, 0);
      return {
        lines: [...turns, ...resourceLines(), ...lockLines(), ...permits],
        effects: {
          active: node?.active ?? 0,
          activeMax: node?.activeMax ?? 0,
          waiting: core.locks.waiters().length + waitingPermits,
        },
        turnsWaiting: turns.reduce((sum, { waiting }) => sum + waiting, 0),
        rejected: [...rejections].map(([program, count]) => ({ program, count })),
        stuck: stuckRuns([...waitsForTurn(), ...waitsForChild()]),
        endsPerSecond: core.pace.perSecond(),
        retryAfterMs: core.pace.retryAfterMs(),
      };
    },
  };
}

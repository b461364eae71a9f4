// Preemption: who gives way to whom. A run gives way between two steps only: nothing of it begins any more, what is under way is let
// finish, what it did is taken back, and only then does what it had go over.
//   Y1  Only for a run whose program says `conflict: preempt`. It takes the turn of a run of its own program that is less urgent, or as
//       urgent and older; resources and locks of a less urgent one.
//   Y2  Critical and high runs do not give way, unless the step that is under way says so; a step may also say that it does not.
//   Y3  A run that has done, or may have done, what cannot be taken back does not give way, nor a fork, nor one that has given way
//       `preemptionsMax` times.
//   Y4  What cannot give way now may later: it is looked at again after each of its entries, while somebody still waits for it.
//   Y5  Until the run has ended, nobody but its own undo gets the locks for which it gives way.
import type { RunId } from "@writ/core/ids";
import { preemptionsMax } from "../limits.ts";
import type { RunState, StepState } from "../state.ts";
import type { Admission } from "./admission.ts";
import type { ActiveRun, Core } from "./core.ts";
import type { LockWaiter } from "./locks.ts";
import { isPreemptible, rankOf } from "./order.ts";
import { needsOf } from "./resources.ts";

export interface Preemption {
  /** The run waits for its turn. */
  turnWaits(run: ActiveRun): void;
  /** A step waits for a lock. */
  lockWaits(waiter: LockWaiter): void;
  /** An entry of the run was applied; it may be able to give way now. */
  applied(run: ActiveRun): void;
  /** The run has ended. */
  ended(run: ActiveRun): void;
  /** After a restart: a run that was giving way keeps the locks for its undo. */
  recovered(run: ActiveRun): void;
}

interface Wish {
  readonly by: ActiveRun;
  readonly on: "turn" | "resource" | "lock";
  readonly names: readonly string[];
  /** Still true that somebody waits for it. */
  readonly isWanted: () => boolean;
}

export function createPreemption(core: Core, admission: Admission): Preemption {
  /** Runs that are to give way as soon as they can. */
  const wishes = new Map<RunId, Wish>();
  /** Runs that give way and keep locks for their undo. */
  const barring = new Set<RunId>();

  const giveWay = (run: ActiveRun, wish: Wish): void => {
    if (!wish.isWanted()) {
      wishes.delete(run.run);
      return;
    }
    if (!mayGiveWay(run.state) || !childrenGiveWay(core, run)) {
      wishes.set(run.run, wish);
      return;
    }
    wishes.delete(run.run);
    const { on, by, names } = wish;
    if (on === "lock") {
      barring.add(run.run);
      core.locks.bar(run.run, names);
    }
    const again = run.state.prepared.hashed.program.onPreempted !== "fail";
    const times = (run.state.preemptions ?? 0) + 1;
    core.apply(run, {
      kind: "run.preempted",
      facts: { by: by.run, on, names: names.slice(0, namesMax), again, times },
    });
  };

  const turnWaits = (by: ActiveRun): void => {
    const { program } = by.state.prepared.hashed;
    if (program.conflict !== "preempt") return;
    const isWanted = (): boolean => by.turn === "waiting" && by.state.ending === null;
    const place = admission.places().get(by.state.program);
    if (place !== undefined && place.active >= program.concurrencyMax) {
      // Whoever starts again because it gave way does not drive out those who are as urgent.
      const isAgain = (by.state.preemptions ?? 0) > 0;
      const rank = rankOf[by.state.priority];
      const [victim] = [...core.runs.values()]
        .filter(
          ({ turn, state }) =>
            turn === "admitted" &&
            state.program === by.state.program &&
            state.parent === undefined &&
            state.ending === null &&
            (isAgain ? rankOf[state.priority] > rank : rankOf[state.priority] >= rank),
        )
        .toSorted(
          (a, b) =>
            Number(mayGiveWay(b.state)) - Number(mayGiveWay(a.state)) ||
            rankOf[b.state.priority] - rankOf[a.state.priority] ||
            a.state.startedAtMs - b.state.startedAtMs ||
            a.state.seq - b.state.seq,
        );
      if (victim !== undefined) giveWay(victim, { by, on: "turn", names: [by.state.program], isWanted });
      return;
    }
    const needs = needsOf(by);
    const blockers = admission.resources.blockers(needs);
    if (!blockers.every((run) => isLower(run, by))) return;
    const names = needs.map(({ name }) => name);
    for (const run of blockers) giveWay(run, { by, on: "resource", names, isWanted });
  };

  return {
    turnWaits,
    lockWaits(waiter) {
      const by = waiter.claim.run;
      if (by.state.prepared.hashed.program.conflict !== "preempt" || waiter.claim.purpose !== "effect")
        return;
      const blockers = core.locks.blockers(waiter);
      for (const { claim, requests } of blockers) {
        if (claim.run === by || !isLower(claim.run, by)) continue;
        const names = requests.map(({ key }) => key);
        giveWay(claim.run, {
          by,
          on: "lock",
          names,
          isWanted: () => core.locks.waiters().includes(waiter) && by.state.ending === null,
        });
      }
    },
    applied(run) {
      const wish = wishes.get(run.run);
      if (wish !== undefined && run.state.ending === null) giveWay(run, wish);
    },
    ended(run) {
      wishes.delete(run.run);
      if (barring.delete(run.run)) core.locks.unbar(run.run);
    },
    recovered(run) {
      const why = run.state.ending?.fault;
      const names = why?.facts["names"];
      if (why?.code !== "runtime.preempted" || why.facts["on"] !== "lock" || !Array.isArray(names)) return;
      barring.add(run.run);
      core.locks.bar(
        run.run,
        names.filter((name): name is string => typeof name === "string"),
      );
    },
  };
}

const namesMax = 32;

function isLower(run: ActiveRun, than: ActiveRun): boolean {
  return rankOf[run.state.priority] > rankOf[than.state.priority];
}

/** Nothing stands against its giving way now. */
export function mayGiveWay(state: RunState): boolean {
  if (state.ending !== null || state.ended !== null || state.control.paused !== null) return false;
  // It gives way with the run that started it, never alone: that one would try it again at once.
  if (state.parent !== undefined) return false;
  // Begun again from its event, a fork would do what it took over as done.
  if (state.control.forkedFrom !== null) return false;
  if ((state.preemptions ?? 0) >= preemptionsMax) return false;
  let isActive = false;
  for (const [id, step] of state.steps) {
    if (step.phase.kind === "held" || isLasting(step) || step.past?.some(isLasting) === true) return false;
    if (step.phase.kind === "blocked" || step.phase.kind === "settled") continue;
    isActive = true;
    const shape = state.prepared.steps.get(id)?.step;
    if (!(shape?.preemptible ?? isPreemptible[shape?.priority ?? state.priority])) return false;
  }
  return isActive || isPreemptible[state.priority];
}

/** What the run started and waits for did nothing that stays, however deep. */
function childrenGiveWay(core: Core, run: ActiveRun): boolean {
  return run.state.prepared.calls.every((id) => {
    const phase = run.state.steps.get(id)?.phase;
    if (phase?.kind !== "child") return true;
    const child = core.runs.get(phase.run);
    if (child === undefined) return false;
    const { parent: _, ...alone } = child.state;
    return mayGiveWay(alone) && childrenGiveWay(core, child);
  });
}

/** It did, or may have done, what nobody can take back. */
function isLasting({
  effect,
  undo,
  status,
  unsure,
}: Pick<StepState, "effect" | "undo" | "status" | "unsure">): boolean {
  if (unsure !== undefined) return true;
  if (undo?.phase === "held" || undo?.phase === "left") return true;
  if (undo !== null) return undo.call === null && undo.phase !== "done";
  return effect?.effect === "irreversible" && status !== "PENDING" && status !== "WAITING";
}

// Admission: how many runs of one program are under way at once, and which is next. A run that waits is durable all the same; only
// its commands wait. A turn is given when the run begins and taken back when it ends, however it ends (K81).
//   E6  Beyond `concurrencyMax` runs wait in the order of `order.ts`.
import type { ProgramHash } from "@writ/core/ids";
import type { ActiveRun, Core } from "./core.ts";
import { insert, reorder, waitMsMax, type Ticket } from "./order.ts";

export interface Admission {
  /** Lets the run begin, or puts it in its program's line. */
  enter(run: ActiveRun): void;
  /** Admits a run that ends: it begins nothing more, so it needs no turn. */
  admitToEnd(run: ActiveRun): void;
  /** Counts runs that were admitted before and are parked: they keep their turn. */
  countParked(program: ProgramHash, count: number): void;
  /** The run has ended; the next of its program begins. */
  leave(run: ActiveRun): void;
  /** The run's priority has changed, or somebody waits for it. */
  reorder(run: ActiveRun): void;
  places(): ReadonlyMap<ProgramHash, Place>;
}

export interface TurnWaiter extends Ticket {
  readonly run: ActiveRun;
}

export interface Place {
  /** Runs that have their turn, those that are parked included. */
  readonly active: number;
  readonly line: readonly TurnWaiter[];
}

interface OpenPlace extends Place {
  active: number;
  readonly line: TurnWaiter[];
}

export function createAdmission(core: Pick<Core, "enqueue">): Admission {
  const places = new Map<ProgramHash, OpenPlace>();
  let numbers = 0;

  const placeFor = (program: ProgramHash): OpenPlace => {
    const known = places.get(program);
    if (known !== undefined) return known;
    const made: OpenPlace = { active: 0, line: [] };
    places.set(program, made);
    return made;
  };

  const placeOf = ({ state }: ActiveRun): OpenPlace => placeFor(state.program);

  const begin = (place: OpenPlace, run: ActiveRun) => {
    place.active += 1;
    run.turn = "admitted";
    return run.pending.splice(0);
  };

  return {
    enter(run) {
      const place = placeOf(run);
      const isEnding = run.state.ending !== null;
      if (isEnding || place.active < activeMaxOf(run)) core.enqueue(run, begin(place, run));
      else insert(place.line, { arrivedMs: run.arrivedMs, number: numbers++, dueMs: turnDueOf(run), run });
    },
    admitToEnd(run) {
      // A run that had nothing under way has ended before anybody can ask.
      if (run.turn !== "waiting") return;
      const place = placeOf(run);
      const at = place.line.findIndex((waiter) => waiter.run === run);
      if (at >= 0) place.line.splice(at, 1);
      core.enqueue(
        run,
        begin(place, run).filter(({ kind }) => kind === "end" || kind === "undo"),
      );
    },
    countParked(program, count) {
      placeFor(program).active += count;
    },
    leave(run) {
      if (run.turn !== "admitted") return;
      const place = placeOf(run);
      run.turn = "left";
      place.active -= 1;
      const next = place.active < activeMaxOf(run) ? place.line.shift() : undefined;
      if (next !== undefined) core.enqueue(next.run, begin(place, next.run));
      else if (place.active === 0) places.delete(run.state.program);
    },
    reorder(run) {
      if (run.turn !== "waiting") return;
      const { line } = placeOf(run);
      const waiter = line.find((each) => each.run === run);
      if (waiter !== undefined) reorder(line, waiter, turnDueOf(run));
    },
    places: () => places,
  };
}

function turnDueOf({ state, arrivedMs, inheritedDueMs }: ActiveRun): number {
  return Math.min(arrivedMs + waitMsMax[state.priority], inheritedDueMs);
}

function activeMaxOf({ state }: ActiveRun): number {
  return state.prepared.hashed.program.concurrencyMax;
}

// Admission: how many runs of one program are under way at once. A run that waits is durable all the same; only its commands wait.
import type { ProgramHash } from "@writ/core/ids";
import type { ActiveRun, AnyCommand } from "./core.ts";

export interface Admission {
  /** Lets the run begin, or puts it in its program's queue. */
  enter(run: ActiveRun): void;
  /** Admits a run that ends: it begins nothing more, so it needs no turn. */
  admitToEnd(run: ActiveRun): void;
  /** Counts runs that were admitted before and are parked: they keep their turn. */
  countParked(program: ProgramHash, count: number): void;
  /** The run has ended; the next of its program begins. */
  leave(run: ActiveRun): void;
}

interface Place {
  active: number;
  readonly queue: ActiveRun[];
}

export function createAdmission(
  enqueue: (run: ActiveRun, commands: readonly AnyCommand[]) => void,
): Admission {
  const places = new Map<ProgramHash, Place>();

  const placeFor = (program: ProgramHash): Place => {
    const known = places.get(program);
    if (known !== undefined) return known;
    const made: Place = { active: 0, queue: [] };
    places.set(program, made);
    return made;
  };

  const placeOf = ({ state }: ActiveRun): Place => placeFor(state.program);

  const begin = (place: Place, run: ActiveRun): readonly AnyCommand[] => {
    place.active += 1;
    run.turn = "admitted";
    return run.pending.splice(0);
  };

  return {
    enter(run) {
      const place = placeOf(run);
      const isEnding = run.state.ending !== null;
      if (isEnding || place.active < activeMaxOf(run)) enqueue(run, begin(place, run));
      else place.queue.push(run);
    },
    admitToEnd(run) {
      // A run that had nothing under way has ended before anybody can ask.
      if (run.turn !== "waiting") return;
      const place = placeOf(run);
      const at = place.queue.indexOf(run);
      if (at >= 0) place.queue.splice(at, 1);
      enqueue(
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
      const next = place.active < activeMaxOf(run) ? place.queue.shift() : undefined;
      if (next !== undefined) enqueue(next, begin(place, next));
      else if (place.active === 0) places.delete(run.state.program);
    },
  };
}

function activeMaxOf({ state }: ActiveRun): number {
  return state.prepared.hashed.program.concurrencyMax;
}

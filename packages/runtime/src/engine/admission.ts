// Admission: how many runs of one program are under way at once, which is next, and the resources that a run has with its turn. A run
// that waits is durable all the same; only its commands wait. A turn is given when the run begins and taken back when it ends, however
// it ends (K81).
//   E6  Beyond `concurrencyMax` runs wait in the order of `order.ts`.
//   A1  A turn and all resources of the program are taken at once or not at all; whoever waits has none of them.
import type { ProgramHash } from "@writ/core/ids";
import type { HashedProgram } from "@writ/core/program";
import { fault } from "../faults.ts";
import type { ActiveRun, Core } from "./core.ts";
import { insert, isBefore, reorder, waitMsMax, type Ticket } from "./order.ts";
import { compete, createResources, needsOf, type Resources } from "./resources.ts";

export interface Admission {
  readonly resources: Resources;
  /** Lets the run begin, or puts it in its program's line. */
  enter(run: ActiveRun): void;
  /** Admits a run that had begun before a restart: it has its turn and its resources already. */
  admitAgain(run: ActiveRun): void;
  /** Admits a run that ends: it begins nothing more, so it needs no turn. */
  admitToEnd(run: ActiveRun): void;
  /** Takes the run out of its program's line, or its turn from it; it enters again as a run of another version. */
  withdraw(run: ActiveRun): void;
  /** Counts runs that were admitted before and are parked: they keep their turn. */
  countParked(program: ProgramHash, count: number): void;
  /** The run has ended; the next begins. */
  leave(run: ActiveRun): void;
  /** The run's priority has changed, or somebody waits for it. */
  reorder(run: ActiveRun): void;
  /** @throws runtime.conflict, runtime.busy when one more run of the program may not be started now */
  check(program: HashedProgram): void;
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

export interface AdmissionOptions {
  readonly enqueue: Core["enqueue"];
  readonly retryAfterMs: () => number;
  readonly units: (resource: string) => number | undefined;
  /** The run has its turn. */
  readonly began: (run: ActiveRun) => void;
  /** The run begins to wait. */
  readonly waits: (run: ActiveRun) => void;
}

interface OpenPlace extends Place {
  active: number;
  readonly line: TurnWaiter[];
}

export function createAdmission(options: AdmissionOptions): Admission {
  const places = new Map<ProgramHash, OpenPlace>();
  const resources = createResources(options.units);
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
    const needs = needsOf(run);
    if (needs.length > 0) resources.take(needs, run);
    options.began(run);
    return run.pending.splice(0);
  };

  /** The first of each line that has a place and only wants for resources, most urgent first. */
  const contenders = (): readonly TurnWaiter[] => {
    const found: TurnWaiter[] = [];
    for (const { active, line } of places.values()) {
      const [first] = line;
      if (first === undefined || active >= activeMaxOf(first.run) || needsOf(first.run).length === 0)
        continue;
      found.push(first);
    }
    return found.toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
  };

  const nextContender = (): TurnWaiter | undefined => {
    const before: TurnWaiter[] = [];
    for (const waiter of contenders()) {
      const needs = needsOf(waiter.run);
      const isPassing = before.some((other) => compete(needsOf(other.run), needs));
      if (!isPassing && resources.isFree(needs)) return waiter;
      before.push(waiter);
    }
    return undefined;
  };

  /** Looked up anew for each, since what begins may end at once. */
  const serveContenders = (): void => {
    for (let next = nextContender(); next !== undefined; next = nextContender()) {
      const place = placeOf(next.run);
      place.line.shift();
      options.enqueue(next.run, begin(place, next.run));
    }
  };

  const wait = (place: OpenPlace, run: ActiveRun): void =>
    insert(place.line, { arrivedMs: run.arrivedMs, number: numbers++, dueMs: turnDueOf(run), run });

  /** A run that another one started and waits for uses its turn and its resources: it takes none, and waits for none. */
  const admitChild = (run: ActiveRun): boolean => {
    if (run.state.parent === undefined) return false;
    run.turn = "admitted";
    options.enqueue(run, run.pending.splice(0));
    return true;
  };

  return {
    resources,
    enter(run) {
      if (admitChild(run)) return;
      const place = placeOf(run);
      const isEnding = run.state.ending !== null;
      if (isEnding) options.enqueue(run, begin(place, run));
      else if (needsOf(run).length > 0) {
        wait(place, run);
        serveContenders();
      } else if (place.active < activeMaxOf(run)) options.enqueue(run, begin(place, run));
      else wait(place, run);
      if (run.turn === "waiting") options.waits(run);
    },
    admitAgain(run) {
      if (admitChild(run)) return;
      options.enqueue(run, begin(placeOf(run), run));
    },
    admitToEnd(run) {
      // A run that had nothing under way has ended before anybody can ask.
      if (run.turn !== "waiting" || admitChild(run)) return;
      const place = placeOf(run);
      const at = place.line.findIndex((waiter) => waiter.run === run);
      if (at >= 0) place.line.splice(at, 1);
      place.active += 1;
      run.turn = "admitted";
      const commands = run.pending.splice(0).filter(({ kind }) => kind === "end" || kind === "undo");
      options.enqueue(run, commands);
      if (at === 0) serveContenders();
    },
    withdraw(run) {
      if (run.turn === "waiting") {
        const place = placeOf(run);
        const at = place.line.findIndex((waiter) => waiter.run === run);
        if (at >= 0) place.line.splice(at, 1);
        return;
      }
      this.leave(run);
      run.turn = "waiting";
    },
    countParked(program, count) {
      placeFor(program).active += count;
    },
    leave(run) {
      if (run.turn !== "admitted") return;
      run.turn = "left";
      if (run.state.parent !== undefined) return;
      const place = placeOf(run);
      place.active -= 1;
      if (needsOf(run).length > 0) {
        resources.release(run);
        serveContenders();
      } else if (place.active < activeMaxOf(run)) {
        const next = place.line.shift();
        if (next !== undefined) options.enqueue(next.run, begin(place, next.run));
      }
      if (place.active === 0 && place.line.length === 0) places.delete(run.state.program);
    },
    reorder(run) {
      if (run.turn !== "waiting") return;
      const { line } = placeOf(run);
      const waiter = line.find((each) => each.run === run);
      if (waiter === undefined) return;
      reorder(line, waiter, turnDueOf(run));
      serveContenders();
    },
    check({ hash, program }) {
      for (const { name, count } of program.resources ?? []) {
        const units = resources.unitsOf(name);
        if (count > units) {
          throw fault("runtime.resource-units", `Cannot start a run: \`${name}\` has only ${units} units`, {
            resource: name,
            count,
            units,
          });
        }
      }
      const place = places.get(hash);
      if (place === undefined) return;
      const { concurrencyMax, conflict, queueMax } = program;
      if (conflict === "reject" && place.active + place.line.length >= concurrencyMax) {
        throw fault("runtime.conflict", `Cannot start a run: ${place.active} of its program are under way`, {
          program: hash,
          active: place.active,
          activeMax: concurrencyMax,
          retryAfterMs: options.retryAfterMs(),
        });
      }
      if (queueMax !== undefined && place.line.length >= queueMax && place.active >= concurrencyMax) {
        throw fault("runtime.busy", `Cannot start a run: ${place.line.length} of its program wait already`, {
          program: hash,
          waiting: place.line.length,
          waitingMax: queueMax,
          retryAfterMs: options.retryAfterMs(),
        });
      }
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

// Parking: runs that only wait leave memory and are folded from the ledger when something happens to them.
//   Z1  A run is parked only when nothing of it is under way, everything it waits for is recorded and durable, and it has waited a while.
//   Z2  A parked run goes on exactly as after a restart: the same fold, the same outstanding commands.
//   Z6  Whoever asked for a run finds it in memory: it is not parked again between the answer and what follows from it.
//   Z3  Times of parked runs are those of the wall clock, as after a restart; one timer stands for all of them.
import type { RunId } from "@writ/core/ids";
import type { ParkedRun, ParkedRuns } from "@writ/core/ports";
import { fault } from "../faults.ts";
import { parkAfterMs, roomEveryMs, wakeRetryMs, wakesAtOnceMax } from "../limits.ts";
import type { RunState } from "../state.ts";
import type { ActiveRun, Core } from "./core.ts";

export interface Parking {
  /** The run in memory, folded again when it was parked; undefined when it is neither. */
  wake(run: RunId): Promise<ActiveRun | undefined>;
  isParked(run: RunId): boolean;
  /** Something is happening: some run may only wait soon. */
  touched(): void;
  /** Parks what can be parked, however short it has waited; looks only every `roomEveryMs`. */
  makeRoom(): void;
  /** Parked runs. */
  count(): number;
  /** Begins to watch for those whose time comes. */
  start(): void;
}

export interface ParkingParts {
  readonly core: Core;
  /** Absent: every run stays in memory. */
  readonly parked: ParkedRuns | undefined;
  readonly activeMax: number;
  readonly fold: (run: RunId) => Promise<RunState>;
  /** Puts a run that was admitted before back into memory. */
  readonly resume: (state: RunState) => ActiveRun;
}

export function createParking({ core, parked, activeMax, fold, resume }: ParkingParts): Parking {
  const { world, ledger } = core.options;
  const waking = new Map<RunId, Promise<ActiveRun>>();
  /** When somebody last asked for the run, on the monotonic clock. */
  const askedAtMs = new WeakMap<ActiveRun, number>();
  let count = 0;
  let isSweepSet = false;
  let lastRoomMs = Number.NEGATIVE_INFINITY;
  let armed: { readonly atMs: number; readonly takeBack: () => void } | null = null;

  const sweep = (index: ParkedRuns, idleMs: number): void => {
    const nowMs = world.nowMs();
    const durableSeq = ledger.durableSeq();
    const batch: ParkedRun[] = [];
    let isYoung = false;
    for (const run of core.runs.values()) {
      const { state } = run;
      if (nowMs - state.atMs < idleMs) {
        isYoung = true;
        continue;
      }
      if (world.monotonicMs() - (askedAtMs.get(run) ?? Number.NEGATIVE_INFINITY) < parkAfterMs) {
        isYoung = true;
        continue;
      }
      if (run.turn !== "admitted" || run.inFlight.size > 0 || run.pending.length > 0) continue;
      if (state.seq > durableSeq || core.broken.has(run.run)) continue;
      const wakeAtMs = sleepsUntil(state);
      if (wakeAtMs === undefined || (wakeAtMs !== null && wakeAtMs - nowMs < parkAfterMs)) continue;
      batch.push({ run: run.run, program: state.program, seq: state.seq, wakeAtMs });
    }
    if (batch.length > 0) {
      index.park(batch);
      for (const { run } of batch) drop(run);
      count += batch.length;
      arm(index);
    }
    if (isYoung) touched();
  };

  const drop = (run: RunId): void => {
    for (const takeBack of core.runs.get(run)?.timers.values() ?? []) takeBack();
    core.runs.delete(run);
  };

  const touched = (): void => {
    if (parked === undefined || isSweepSet || core.phase() !== "running") return;
    isSweepSet = true;
    core.timers.at(world.nowMs() + parkAfterMs, () => {
      isSweepSet = false;
      if (core.phase() === "running") sweep(parked, parkAfterMs);
    });
  };

  const wakeParked = async (index: ParkedRuns, run: RunId): Promise<ActiveRun> => {
    let state: RunState;
    try {
      state = await fold(run);
    } catch (error) {
      if (core.phase() !== "running") throw error;
      // As after a restart: it stands where it is, and an operator is told.
      if (index.unpark(run)) count -= 1;
      core.markBroken(run, error);
      throw error;
    }
    if (core.phase() !== "running")
      throw fault("runtime.stopped", `Cannot change the run \`${run}\`: the node is stopping`, { run });
    if (index.unpark(run)) count -= 1;
    touched();
    return asked(resume(state));
  };

  const asked = (run: ActiveRun): ActiveRun => {
    askedAtMs.set(run, world.monotonicMs());
    return run;
  };

  const wake = async (run: RunId): Promise<ActiveRun | undefined> => {
    const active = core.runs.get(run);
    if (active !== undefined) return asked(active);
    const known = waking.get(run);
    if (known !== undefined) return known;
    if (parked?.has(run) !== true) return undefined;
    const woken = wakeParked(parked, run).finally(() => waking.delete(run));
    waking.set(run, woken);
    return woken;
  };

  const arm = (index: ParkedRuns, notBeforeMs = 0): void => {
    const nextMs = index.nextWakeMs();
    if (nextMs === null || core.phase() !== "running") return;
    const atMs = Math.max(nextMs, notBeforeMs);
    if (armed !== null && armed.atMs <= atMs) return;
    armed?.takeBack();
    const takeBack = core.timers.at(atMs, () => {
      armed = null;
      core.track(pump(index, nextMs));
    });
    armed = { atMs, takeBack };
  };

  /** Wakes those whose time has come, as many at once as there is room for. */
  const pump = async (index: ParkedRuns, timeMs: number): Promise<void> => {
    while (core.phase() === "running") {
      if (core.runs.size >= activeMax) makeRoom();
      // Those that wait for their turn take no room from those that have it: they may wait for just these.
      let admitted = 0;
      for (const { turn } of core.runs.values()) if (turn === "admitted") admitted += 1;
      const room = Math.min(wakesAtOnceMax, activeMax - admitted);
      if (room <= 0) return arm(index, world.nowMs() + wakeRetryMs);
      const due = index.due(Math.max(timeMs, world.nowMs()), room);
      if (due.length === 0) return arm(index);
      await Promise.all(due.map((run) => wake(run).catch(() => undefined)));
    }
  };

  const makeRoom = (): void => {
    const nowMs = world.monotonicMs();
    if (parked === undefined || nowMs - lastRoomMs < roomEveryMs) return;
    lastRoomMs = nowMs;
    sweep(parked, 0);
  };

  return {
    wake,
    touched,
    makeRoom,
    isParked: (run) => parked?.has(run) === true,
    count: () => count,
    start() {
      if (parked === undefined) return;
      count = [...parked.counts().values()].reduce((sum, more) => sum + more, 0);
      arm(parked);
    },
  };
}

/**
 * When the run must be in memory again at the latest, null when nothing happens by itself; undefined while something of it is under way
 * or yet to be recorded, or waits for what nobody would tell a parked run.
 */
export function sleepsUntil(state: RunState): number | null | undefined {
  const { ending, ended, startedAtMs } = state;
  const times: number[] = [];
  // Others may wait for what it has, or have it give way.
  const { resources = [], conflict } = state.prepared.hashed.program;
  if (resources.length > 0 || conflict === "preempt") return undefined;
  // Its turn is its parent's, and the index counts turns by program.
  if (state.parent !== undefined) return undefined;
  if (ending?.asked === true) return undefined;
  // Nothing of a paused run happens by itself, and whoever lists those that are paused finds it in memory.
  if (state.control.paused !== null) return undefined;
  if (ending === null && ended === null)
    times.push((state.control.clockFromMs ?? startedAtMs) + state.prepared.hashed.program.runTimeoutMs);
  for (const { phase, deadline, undo, loop } of state.steps.values()) {
    if (phase.kind === "blocks" && loop?.pause != null) return undefined;
    if (undo?.phase === "asked" || undo?.phase === "intended") return undefined;
    switch (phase.kind) {
      case "blocked":
      case "held":
      case "settled":
        break;
      case "child":
        // The end of that run wakes it; a timeout comes by its time.
        if (deadline === null) break;
        if (!deadline.set) return undefined;
        times.push(deadline.atMs);
        break;
      case "timer":
        // An emergency stop takes away what waits to act, and looks for it in memory.
        if (!phase.set || phase.why === "retry") return undefined;
        times.push(phase.atMs);
        break;
      case "approval":
        if (phase.approval === null || phase.why !== "program") return undefined;
        times.push(phase.expiresAtMs);
        break;
      case "blocks":
        if (deadline === null) break;
        if (!deadline.set) return undefined;
        times.push(deadline.atMs);
        break;
      default:
        return undefined;
    }
  }
  for (const { approval, step, state: stands } of state.approvals.values()) {
    const phase = state.steps.get(step)?.phase;
    // Nobody waits for it any more, which only the state knows: the index would go on showing it.
    if (stands === "waiting" && (phase?.kind !== "approval" || phase.approval !== approval)) return undefined;
  }
  return times.length === 0 ? null : Math.min(...times);
}

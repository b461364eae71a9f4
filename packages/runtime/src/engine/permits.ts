// Permits: how many effects are under way at once, on the node and in one module, and how soon one may follow the other.
//   B1  An effect has a permit of its module and one of the node, in this order, from before the gate judges until its outcome is
//       recorded. Whoever has one waits only for the next, and nobody who has both waits for a lock: there is no circle.
//   B2  Waiters of each line are served by `order.ts`.
//   B3  A line holds at most `waitersMax`; beyond, the effect is refused with the time after which a place is likely.
// Nobody waits: two counters.
import type { ModuleLimits } from "@writ/core/capability";
import type { CapabilityId } from "@writ/core/ids";
import { fault } from "../faults.ts";
import { dueOf, type Claim } from "./claim.ts";
import type { ActiveRun } from "./core.ts";
import { insert, reorder, type Ticket } from "./order.ts";

/** What one module does at once. */
export interface Room {
  /** Module, or `` for the node. */
  readonly name: string;
  readonly activeMax: number;
  readonly cooldownMs: number;
  active: number;
  /** Nothing begins before: monotonic. */
  notBeforeMs: number;
  /** A timer will serve the line when it may go on. */
  wakes: boolean;
  readonly line: PermitWaiter[];
}

export interface PermitWaiter extends Ticket {
  readonly claim: Claim;
  readonly admit: () => void;
}

export interface Permits {
  /** The permits of an effect, or undefined when it would have to wait. What was taken is given back with `release`. */
  tryTake(capability: CapabilityId): Room | undefined;
  /** Waits for both. @throws runtime.busy */
  take(capability: CapabilityId, claim: Claim): Promise<Room>;
  release(room: Room): void;
  /** The run's priority has changed, or somebody waits for it. */
  reorder(run: ActiveRun): void;
  /** Lets the effect of a claim inherit the place of somebody who waits for what it holds. */
  hurry(claim: Claim, dueMs: number): void;
  /** Nothing more begins: lets everybody through to find that out. */
  abandon(): void;
  /** The node's first, then the modules that have done something, by name. */
  rooms(): readonly Room[];
}

export interface PermitsOptions {
  readonly nowMs: () => number;
  readonly after: (ms: number, then: () => void) => void;
  readonly activeMax: number;
  readonly waitersMax: number;
  readonly retryAfterMs: () => number;
  readonly limitsOf: (module: string) => ModuleLimits | undefined;
}

export function createPermits(options: PermitsOptions): Permits {
  const node = roomOf("", options.activeMax, 0);
  const modules = new Map<string, Room>();
  /** A capability's room, so that its id is taken apart once. */
  const rooms = new Map<CapabilityId, Room>();
  let numbers = 0;
  let isOpen = false;

  const moduleOf = (capability: CapabilityId): Room => {
    const known = rooms.get(capability);
    if (known !== undefined) return known;
    const name = capability.slice(0, capability.indexOf("."));
    let room = modules.get(name);
    if (room === undefined) {
      const limits = options.limitsOf(name);
      room = roomOf(name, limits?.parallelMax ?? Number.POSITIVE_INFINITY, limits?.cooldownMs ?? 0);
      modules.set(name, room);
    }
    rooms.set(capability, room);
    return room;
  };

  const hasPlace = (room: Room): boolean =>
    isOpen ||
    (room.active < room.activeMax && (room.cooldownMs === 0 || options.nowMs() >= room.notBeforeMs));

  const enter = (room: Room): void => {
    room.active += 1;
    if (room.cooldownMs > 0) room.notBeforeMs = options.nowMs() + room.cooldownMs;
  };

  const serve = (room: Room): void => {
    while (room.line.length > 0 && hasPlace(room)) {
      enter(room);
      room.line.shift()?.admit();
    }
    if (room.line.length > 0) wakeLater(room);
  };

  /** What waits only because the one before has just begun is served when that time is over. */
  const wakeLater = (room: Room): void => {
    if (room.wakes || room.active >= room.activeMax) return;
    room.wakes = true;
    options.after(room.notBeforeMs - options.nowMs(), () => {
      room.wakes = false;
      serve(room);
    });
  };

  const leave = (room: Room): void => {
    room.active -= 1;
    if (room.line.length > 0) serve(room);
  };

  const wait = (room: Room, claim: Claim): Promise<void> => {
    if (room.line.length === 0 && hasPlace(room)) {
      enter(room);
      return Promise.resolve();
    }
    if (claim.purpose === "effect" && room.line.length >= options.waitersMax) {
      return Promise.reject(
        fault("runtime.busy", `Cannot begin step \`${claim.step}\` now: too many effects wait`, {
          module: room.name,
          waiting: room.line.length,
          waitingMax: options.waitersMax,
          retryAfterMs: options.retryAfterMs(),
        }),
      );
    }
    return new Promise((admit) => {
      const arrivedMs = options.nowMs();
      const dueMs = dueOf(claim, arrivedMs);
      insert(room.line, { arrivedMs, number: numbers++, dueMs, claim, admit });
      wakeLater(room);
    });
  };

  const everyRoom = (): readonly Room[] => [
    node,
    ...[...modules.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  ];

  return {
    tryTake(capability) {
      const room = moduleOf(capability);
      if (room.line.length > 0 || node.line.length > 0 || !hasPlace(room) || !hasPlace(node))
        return undefined;
      enter(room);
      node.active += 1;
      return room;
    },
    async take(capability, claim) {
      const room = moduleOf(capability);
      await wait(room, claim);
      try {
        await wait(node, claim);
      } catch (error) {
        leave(room);
        throw error;
      }
      return room;
    },
    release(room) {
      leave(room);
      leave(node);
    },
    reorder(run) {
      for (const { line } of everyRoom()) {
        for (const waiter of line.filter(({ claim }) => claim.run === run))
          reorder(line, waiter, dueOf(waiter.claim, waiter.arrivedMs));
      }
    },
    hurry(claim, dueMs) {
      for (const { line } of [node, ...modules.values()]) {
        const waiter = line.find((each) => each.claim === claim);
        if (waiter !== undefined && dueMs < waiter.dueMs) reorder(line, waiter, dueMs);
      }
    },
    rooms: everyRoom,
    abandon() {
      isOpen = true;
      for (const room of everyRoom()) serve(room);
    },
  };
}

function roomOf(name: string, activeMax: number, cooldownMs: number): Room {
  return {
    name,
    activeMax,
    cooldownMs,
    active: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    wakes: false,
    line: [],
  };
}

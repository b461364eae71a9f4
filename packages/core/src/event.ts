import type { EventId } from "./ids.ts";
import type { ValueMap } from "./value.ts";

export type Priority = "critical" | "high" | "normal" | "low" | "background";
/** Index is the number on the wire: 0 is critical. */
export const priorities: readonly Priority[] = ["critical", "high", "normal", "low", "background"];

/** A CloudEvents 1.0 envelope with Writ's extensions `cause`, `session`, `correlation` and `priority`. */
export interface Event {
  readonly specversion: "1.0";
  readonly id: EventId;
  /** URI reference of who emitted it, such as `/sources/invoices/inbox`. */
  readonly source: string;
  /** Reverse-domain or dotted type, such as `filesystem.file_arrived`. */
  readonly type: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly subject?: string;
  readonly data: ValueMap;
  readonly cause?: string;
  readonly session?: string;
  readonly correlation?: string;
  readonly priority?: Priority;
  /** Runs between this event and one that no run emitted: 1 for the first that is emitted. */
  readonly hops?: number;
}

/** The source of events that runs emit, for triggers; it has no session of its own. */
export const emittedSource = "writ.emitted@1.0.0";

/** What the slot `event` of a run holds. */
export function eventSlot(event: Event): ValueMap {
  return { id: event.id, type: event.type, source: event.source, time: event.time, data: event.data };
}

/**
 * The session of a source that a `sourceKey` belongs to. A key is the session, `#`, and what distinguishes the sighting; without `#` it
 * stands for itself. Cursors are kept by session, so whoever keeps or reads them must split alike.
 */
export function sessionOfSourceKey(sourceKey: string): string {
  const end = sourceKey.indexOf("#");
  return end < 0 ? sourceKey : sourceKey.slice(0, end);
}

// The fault matrix: which fault struck in which phase, and what became of it, counted.
import { isRunEntry, type Entry } from "@writ/core/entry";
import type { Oracle } from "./oracle.ts";

export interface Observation {
  readonly fault: string;
  readonly phase: string;
  readonly outcome: string;
}

export interface Matrix {
  point(point: string): void;
  /** A life has ended by the last point passed. `entries`: what was told until then. */
  end(
    end:
      | { readonly kind: "died"; readonly point: string }
      | { readonly kind: "stopped" }
      | { readonly kind: "failed"; readonly code: string },
    entries: readonly Entry[],
    how: "power" | "kill",
  ): void;
  rot(what: string, outcome: string): void;
  observations(entries: readonly Entry[], oracle: Oracle): readonly Observation[];
}

interface Struck {
  readonly fault: string;
  readonly phase: string;
  /** Intents that were durable and open when it struck. */
  readonly open: readonly { readonly id: string; readonly key: string }[];
}

export function createMatrix(): Matrix {
  const struck: Struck[] = [];
  const rots: Observation[] = [];
  return {
    point: () => undefined,
    end(end, entries, how) {
      const fault =
        end.kind === "died"
          ? how === "kill"
            ? "process killed"
            : "power cut"
          : end.kind === "stopped"
            ? "graceful stop"
            : "failed write or sync";
      const phase = end.kind === "died" ? phaseOf(end.point) : end.kind === "failed" ? end.code : "asked";
      struck.push({ fault, phase, open: openIntents(entries) });
    },
    rot: (what, outcome) => rots.push({ fault: "bit rot", phase: `in a ${what}`, outcome }),
    observations(entries, oracle) {
      return [
        ...rots,
        ...struck.flatMap(({ fault, phase, open }) =>
          open.length === 0
            ? [{ fault, phase, outcome: "went on from the ledger" }]
            : open.map(({ id, key }) => ({ fault, phase, outcome: outcomeOf(id, key, entries, oracle) })),
        ),
      ];
    },
  };
}

/** `before sync ledger` → `before a sync of the ledger`; effects by their contract. */
function phaseOf(point: string): string {
  const [when = "", what = "", where = ""] = point.split(" ");
  if (what !== "effect") return `${when} ${what} (${where})`;
  const contract: Readonly<Record<string, string>> = {
    "sim.read": "read",
    "sim.put": "idempotent effect",
    "sim.append": "queryable effect",
    "sim.note": "effect that cannot be asked about",
    "sim.count": "effect that cannot be asked about",
    "sim.send": "effect that cannot be asked about",
    "sim.restore": "queryable undo",
    "sim.remove": "idempotent undo",
  };
  return `${when} ${contract[where] ?? where}`;
}

const closing: ReadonlySet<string> = new Set([
  "effect.completed",
  "effect.failed",
  "effect.held",
  "undo.completed",
  "undo.held",
]);

function idOf(entry: Entry): string {
  if (!isRunEntry(entry) || !("step" in entry.facts)) return "";
  const attempt = "attempt" in entry.facts ? entry.facts.attempt : "undo";
  return `${entry.run} ${entry.facts.step} ${String(attempt)}`;
}

function openIntents(entries: readonly Entry[]): readonly { readonly id: string; readonly key: string }[] {
  const open = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind === "effect.intended" || entry.kind === "undo.intended")
      open.set(idOf(entry), entry.facts.key);
    else if (closing.has(entry.kind)) open.delete(idOf(entry));
  }
  return [...open].map(([id, key]) => ({ id, key }));
}

function outcomeOf(id: string, key: string, entries: readonly Entry[], oracle: Oracle): string {
  const closed = entries.find((entry) => closing.has(entry.kind) && idOf(entry) === id);
  const lives = new Set(oracle.deeds.filter((deed) => deed.key === key).map(({ life }) => life)).size;
  switch (closed?.kind) {
    case "effect.completed":
    case "undo.completed":
      if (closed.kind === "effect.completed" && closed.facts.resolved) return "asked: it was done";
      if (lives > 1) return "performed again under the same key";
      return "performed once, recorded";
    case "effect.failed":
      return "found not done, recorded as failed";
    case "effect.held":
    case "undo.held":
      return "held for a person";
    default:
      return "not closed";
  }
}

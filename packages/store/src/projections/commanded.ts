// The last effects on each device, and which runs they were of: guards compare what is commanded with what was commanded last, however
// long ago that was, and count what was begun within a minute. Those runs are kept when others are pruned.
//   P10  Of a device: the last effect that surely happened, what was begun within a minute before it, and every later one, but failures
//        only for a minute.
import type { DatabaseSync } from "node:sqlite";
import type { Entry, RunEntry } from "@writ/core/entry";
import { recentCommandMs } from "../limits.ts";

// `is_open`: its outcome is to come. `is_failed`: it surely did not happen.
export const commandedSchema = `
  CREATE TABLE commanded (
    target TEXT NOT NULL, seq INTEGER NOT NULL, run_no INTEGER NOT NULL, step TEXT NOT NULL, at_ms INTEGER NOT NULL,
    is_open INTEGER NOT NULL, is_failed INTEGER NOT NULL, PRIMARY KEY (target, seq)
  ) WITHOUT ROWID;
  CREATE INDEX commanded_run ON commanded (run_no, step);
`;

export interface CommandedProjector {
  project(entry: RunEntry, runNo: number): void;
}

export function commandedProjector(db: DatabaseSync): CommandedProjector {
  const begin = db.prepare("INSERT OR REPLACE INTO commanded VALUES (?, ?, ?, ?, ?, 1, 0)");
  const openOf = db.prepare(
    "SELECT target, seq, at_ms FROM commanded WHERE run_no = ? AND step = ? AND is_open = 1",
  );
  const settle = db.prepare("UPDATE commanded SET is_open = 0, is_failed = ? WHERE target = ? AND seq = ?");
  const forgetBefore = db.prepare("DELETE FROM commanded WHERE target = ? AND seq < ? AND at_ms < ?");
  const forgetFailed = db.prepare("DELETE FROM commanded WHERE target = ? AND is_failed = 1 AND at_ms < ?");
  /** Most nodes move no device: their entries cost one look at a flag. */
  let isAny = db.prepare("SELECT EXISTS (SELECT 1 FROM commanded) AS any").get()?.["any"] === 1;

  function intended({ seq, atMs, facts }: Entry<"effect.intended" | "undo.intended">, no: number): void {
    if ("effect" in facts && facts.effect === "read") return;
    for (const { kind, resolved, does } of facts.targets) {
      if (kind !== "device" || does === "read" || does === "list") continue;
      begin.run(resolved, seq, no, facts.step, atMs);
      isAny = true;
    }
  }

  function ended(step: string, no: number, isDone: boolean): void {
    for (const row of isAny ? openOf.all(no, step) : []) {
      const target = String(row["target"]);
      const seq = Number(row["seq"]);
      const sinceMs = Number(row["at_ms"]) - recentCommandMs;
      settle.run(isDone ? 0 : 1, target, seq);
      if (isDone) forgetBefore.run(target, seq, sinceMs);
      else forgetFailed.run(target, sinceMs);
    }
  }

  return {
    project(entry, no) {
      switch (entry.kind) {
        case "effect.intended":
        case "undo.intended":
          intended(entry, no);
          break;
        case "effect.completed":
        case "undo.completed":
          ended(entry.facts.step, no, true);
          break;
        case "effect.failed":
          ended(entry.facts.step, no, false);
          break;
        case "effect.settled":
        case "undo.settled":
          ended(entry.facts.step, no, entry.facts.decision === "done");
          break;
        default:
      }
    },
  };
}

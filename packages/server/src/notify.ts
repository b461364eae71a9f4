// Telling people: one line on the node's terminal and one in `notifications.ndjson`, and an entry that says it was done.
//   S60  Best effort: a notification that cannot be written is logged and never stops a run; what waits stands in the ledger.
import { appendFile } from "node:fs/promises";
import type { EntryDraft } from "@writ/core/entry";
import type { Notifier, World } from "@writ/core/ports";
import { printableJson, printableLine } from "@writ/core/printable";
import type { Log } from "./log.ts";
import { rotation } from "./rotate.ts";

export interface NotifierOptions {
  readonly file: string;
  readonly world: World;
  readonly log: Log;
  readonly print: (line: string) => void;
  /** Appends an entry; nobody waits for it. */
  readonly record: (draft: EntryDraft<"notification.sent">) => void;
}

export function createNotifier(options: NotifierOptions): Notifier {
  const { file, world, log, print, record } = options;
  const turnOver = rotation(file);
  return {
    async notify({ to, subject, text, actor }) {
      const atMs = world.nowMs();
      // Words of a plan may be a model's: they neither move the terminal's cursor nor draw a line of their own.
      print(printableLine(`${subject}: ${text}`));
      try {
        const line = `${printableJson({ atMs, to, subject, text })}\n`;
        turnOver(Buffer.byteLength(line));
        await appendFile(file, line, { mode: 0o600 });
        record({
          kind: "notification.sent",
          run: null,
          cause: null,
          actor,
          atMs,
          facts: { channel: "file", to, text: `${subject}: ${text}`.slice(0, 1024) },
        });
      } catch (error) {
        log.warn("notification.failed", { to, subject, error: String(error) });
      }
    },
  };
}

// The node's log: one JSON line an event, for operators. It may be lost; the ledger may not.
import pino from "pino";
import { rotation } from "./rotate.ts";

export interface Log {
  info(event: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(event: string, facts?: Readonly<Record<string, unknown>>): void;
  error(event: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** Writes to a file; no payloads, no tokens. */
export function openLog(file: string): Log {
  const target = pino.destination({ dest: file, mkdir: true, sync: true });
  const turnOver = rotation(file);
  const write = (line: string): void => {
    if (turnOver(Buffer.byteLength(line))) target.reopen();
    target.write(line);
  };
  const logger = pino(
    { base: null, messageKey: "event", formatters: { level: (label) => ({ level: label }) } },
    { write },
  );
  return {
    info: (event, facts) => logger.info(facts ?? {}, event),
    warn: (event, facts) => logger.warn(facts ?? {}, event),
    error: (event, facts) => logger.error(facts ?? {}, event),
  };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

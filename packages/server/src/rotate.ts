// Files that only grow: when one is full it becomes `FILE.1`, and what was there before is gone.
//   S96  A log file and the one before it take at most twice `logBytesMax`.
import { renameSync, statSync } from "node:fs";
import { logBytesMax } from "./limits.ts";

/** Asked before a line is written; true when the file was put aside, so that whoever holds it open opens it anew. */
export function rotation(file: string, bytesMax: number = logBytesMax): (lineBytes: number) => boolean {
  let size: number | undefined;
  return (lineBytes) => {
    size = (size ?? statSync(file, { throwIfNoEntry: false })?.size ?? 0) + lineBytes;
    if (size <= bytesMax || size === lineBytes) return false;
    try {
      renameSync(file, `${file}.1`);
    } catch {
      // It grows on until it can be put aside; a log that cannot be turned over stops nobody.
      return false;
    }
    size = lineBytes;
    return true;
  };
}

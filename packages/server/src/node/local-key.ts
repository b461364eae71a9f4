// The machine's own key: while a node runs, a file in the data folder lets whoever may read that folder replace a lost token.
//   S31  It is made anew at each start, readable by this user only, and opens one route: the replacement of tokens.
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { parse, Type } from "@writ/core/schema";
import type { NewToken } from "../token.ts";

export interface LocalNode {
  readonly port: number;
  readonly token: string;
}

const LocalFile = Type.Object(
  {
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    token: Type.String({ maxLength: 256 }),
  },
  { additionalProperties: false },
);

function fileOf(data: string): string {
  return path.join(data, "local.json");
}

export function writeLocalKey(data: string, port: number, { token }: NewToken): void {
  const file = fileOf(data);
  const descriptor = openSync(`${file}.new`, "w", 0o600);
  try {
    // The mode given to `open` does not count for a file that was left behind.
    fchmodSync(descriptor, 0o600);
    writeSync(descriptor, `${JSON.stringify({ port, token })}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${file}.new`, file);
}

/** The node that last ran on this folder, or undefined. It may have been killed since. */
export function readLocalKey(data: string): LocalNode | undefined {
  try {
    const file = fileOf(data);
    return parse(LocalFile, JSON.parse(readFileSync(file, "utf8")), `\`${file}\``);
  } catch {
    return undefined;
  }
}

export function removeLocalKey(data: string): void {
  rmSync(fileOf(data), { force: true });
}

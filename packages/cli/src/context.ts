// What a command works with: the node's client, the terminal, and one way to answer.
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { exactNumbers } from "@writ/core/exact-json";
import { printableJson, printableLines } from "@writ/core/printable";

import { openClient, type Client } from "@writ/sdk/client";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { fault } from "./faults.ts";
import { shown } from "./render/outside.ts";
import { readSettings, type Flags, type Settings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

export interface Context {
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly client: Client;
  readonly json: boolean;
  /**
   * Prints the answer, as JSON or as text, and gives the command its exit code. `text` lays out what it is given and nothing else: the
   * answer with every text from outside made safe to show.
   */
  answer<Data>(data: Data, text: (shown: Data) => string, code?: ExitCode): ExitCode;
}

export function openContext(flags: Flags, terminal: Terminal): Context {
  const settings = readSettings(flags, terminal);
  const json = flags.json === true;
  return {
    terminal,
    settings,
    json,
    client: openClient({ url: settings.url, token: settings.token }),
    answer(data, text, code = exitCodes.ok) {
      terminal.out(json ? `${printableJson(data, 2)}\n` : `${printableLines(text(shown(data)).trimEnd())}\n`);
      return code;
    },
  };
}

const fileBytesMax = 9 * 1024 * 1024;
/** Far above any exported run, and below the 2 GiB that Node reads at once. */
const sizeBytesMax = 1024 * 1024 * 1024;

/** @throws command.file, command.file-size */
export function readBytes(context: Context, file: string): Uint8Array {
  const resolved = path.resolve(context.terminal.folder, file);
  const sizeBytes = statSync(resolved, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes > sizeBytesMax)
    throw fault("command.file-size", `Cannot read \`${file}\`: it has ${sizeBytes} bytes`, {
      file: resolved,
      sizeBytes,
      sizeBytesMax,
    });
  try {
    return readFileSync(resolved);
  } catch (error) {
    throw fault("command.file", `Cannot read \`${file}\``, { file: resolved }, error);
  }
}

/** Text of a file, or of standard input for `-`. @throws command.file */
export async function readInput(context: Context, file: string): Promise<string> {
  if (file === "-") {
    let text = "";
    for await (const part of context.terminal.input()) {
      text += part;
      if (text.length > fileBytesMax)
        throw fault("command.file", "Cannot read more than 9 MiB from standard input");
    }
    return text;
  }
  const resolved = path.resolve(context.terminal.folder, file);
  const bytes = readBytes(context, file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw fault("command.file", `Cannot read \`${file}\`: it is not UTF-8 text`, { file: resolved }, error);
  }
}

/** @throws command.json */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text, exactNumbers);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fault("command.json", `Cannot read ${what}: ${why}`, { what }, error);
  }
}

/** The whole hash of a unique prefix. @throws program.unknown, program.prefix */
export async function wholeHash(context: Context, hash: string): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(hash)) return hash;
  return (await context.client.call("getProgram", { params: { hash } })).hash;
}

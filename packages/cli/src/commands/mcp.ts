// The Model Context Protocol over standard input and output (one JSON message a line), handed on to the node.
//   O4  Standard output carries protocol messages and nothing else; a fault becomes the error of the request it belongs to.
import { faultRecord } from "@writ/core/fault";
import { openMcpLink, type McpLink } from "@writ/sdk/mcp";
import type { Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";

const lineLengthMax = 9 * 1024 * 1024;
const parseError = -32700;
const internalError = -32603;

export async function serveMcp(context: Context): Promise<ExitCode> {
  const link = openMcpLink(context.client);
  const write = (message: unknown): void => context.terminal.out(`${JSON.stringify(message)}\n`);
  const pending = new Set<Promise<void>>();
  for await (const line of lines(context.terminal.input())) {
    const sent = forward(link, line, write);
    pending.add(sent);
    void sent.finally(() => pending.delete(sent));
    // The answer to `initialize` decides the headers of what follows it.
    if (line.includes('"initialize"')) await sent;
  }
  await Promise.all(pending);
  return exitCodes.ok;
}

async function forward(link: McpLink, line: string, write: (message: unknown) => void): Promise<void> {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    write({ jsonrpc: "2.0", id: null, error: { code: parseError, message: "not a JSON message" } });
    return;
  }
  try {
    await link.send(message, write);
  } catch (error) {
    const id = idOf(message);
    const record = faultRecord(error);
    const text = record === undefined ? String(error) : `${record.message}. ${record.remedy}`;
    const data =
      record === undefined ? {} : { code: record.code, remedy: record.remedy, facts: record.facts };
    if (id !== undefined) write({ jsonrpc: "2.0", id, error: { code: internalError, message: text, data } });
  }
}

/** The id of a request; undefined for a notification, which gets no answer. */
function idOf(message: unknown): unknown {
  if (typeof message !== "object" || message === null || !("id" in message)) return undefined;
  return message.id;
}

async function* lines(input: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const part of input) {
    const split = (rest + part).split("\n");
    rest = split.pop() ?? "";
    for (const line of split) if (line.trim() !== "") yield line;
    if (rest.length > lineLengthMax) rest = "";
  }
  if (rest.trim() !== "") yield rest;
}

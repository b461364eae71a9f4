// The stream of a node's ledger entries: each one once it is durable, in order.
//   D4  Entries come in ledger order without a gap; a lost connection ends the stream with a fault, it never skips.
import { ApiEntry, routes, type QueryOf } from "@writ/core/api";
import { schemaProblems } from "@writ/core/schema";
import { assertForms, parseJson, type Client } from "./client.ts";
import { fault } from "./faults.ts";

/**
 * Yields until the signal aborts. Breaking out of the loop closes the connection.
 * @throws client.form, client.stream-closed, client.unexpected-answer
 */
export async function* streamEntries(
  client: Client,
  query: NonNullable<QueryOf<"streamEntries">>,
  signal?: AbortSignal,
): AsyncGenerator<ApiEntry> {
  const url = new URL(`${client.url.replace(/^http/, "ws")}/entries`);
  assertForms(routes.streamEntries, { query });
  if (query.from !== undefined) url.searchParams.set("from", String(query.from));
  if (query.run !== undefined) url.searchParams.set("run", query.run);
  const socket = new WebSocket(url, {
    headers: client.token === undefined ? {} : { authorization: `Bearer ${client.token}` },
  });
  const waiting: unknown[] = [];
  let ended: string | undefined;
  let wake = (): void => {};
  socket.addEventListener("message", (event) => {
    waiting.push(event.data);
    wake();
  });
  socket.addEventListener("close", (event) => {
    ended = `${event.code}${event.reason === "" ? "" : ` ${event.reason}`}`;
    wake();
  });
  // An error is always followed by a close.
  socket.addEventListener("error", () => {});
  const abort = (): void => {
    ended ??= "aborted";
    wake();
  };
  signal?.addEventListener("abort", abort);
  try {
    while (signal?.aborted !== true) {
      const message = waiting.shift();
      if (message !== undefined) yield parseEntry(message);
      else if (ended !== undefined) {
        throw fault(
          "client.stream-closed",
          `Cannot read further entries: the node closed the stream (${ended})`,
          {
            why: ended,
          },
        );
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    socket.close();
  }
}

function parseEntry(message: unknown): ApiEntry {
  const entry = typeof message === "string" ? parseJson(message) : undefined;
  const problems = schemaProblems(ApiEntry, entry);
  if (problems.length > 0) {
    throw fault("client.unexpected-answer", "Cannot read a message of the entry stream", { problems });
  }
  return entry as ApiEntry;
}

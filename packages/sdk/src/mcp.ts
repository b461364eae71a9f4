// Sends one message of the Model Context Protocol to a node and gives back the messages that answer it. Headers are derived from the
// message, as revision 2026-07-28 wants them; a client of an older revision gets its session's headers repeated.
//   D5  What the model's client wrote goes to the node unchanged, and the other way round.
import { Fault } from "@writ/core/fault";
import type { Client } from "./client.ts";
import { problemFault, unreachable } from "./client.ts";
import { fault } from "./faults.ts";

export interface McpLink {
  /** Messages that answer the one sent, as JSON; none for a notification. @throws the faults of `Client.call` */
  send(message: unknown, receive: (message: unknown) => void, signal?: AbortSignal): Promise<void>;
}

const versionKey = "io.modelcontextprotocol/protocolVersion";
/** Which parameter the `Mcp-Name` header repeats, by method. */
const namedBy: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
]);

export function openMcpLink(client: Client): McpLink {
  let session: string | null = null;
  let version: string | null = null;
  return {
    async send(message, receive, signal) {
      const headers = new Headers({
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      });
      if (client.token !== undefined) headers.set("authorization", `Bearer ${client.token}`);
      if (session !== null) headers.set("mcp-session-id", session);
      if (version !== null) headers.set("mcp-protocol-version", version);
      addDerivedHeaders(headers, message);
      const init: RequestInit = { method: "POST", headers, body: JSON.stringify(message), redirect: "error" };
      if (signal !== undefined) init.signal = signal;
      let response: Response;
      try {
        response = await fetch(`${client.url}/mcp`, init);
      } catch (error) {
        throw unreachable(client.url, error);
      }
      session = response.headers.get("mcp-session-id") ?? session;
      await readAnswers(response, (answer) => {
        version = negotiatedVersion(answer) ?? version;
        receive(answer);
      });
    },
  };
}

function addDerivedHeaders(headers: Headers, message: unknown): void {
  const method = field(message, "method");
  const params = field(message, "params");
  const claimed = field(field(params, "_meta"), versionKey);
  if (typeof method !== "string" || typeof claimed !== "string") return;
  headers.set("mcp-protocol-version", claimed);
  headers.set("mcp-method", method);
  const name = field(params, namedBy.get(method) ?? "");
  if (typeof name === "string" && /^[\x20-\x7e]*$/.test(name)) headers.set("mcp-name", name);
}

/** The version that an older client's `initialize` was answered with. */
function negotiatedVersion(answer: unknown): string | undefined {
  const version = field(field(answer, "result"), "protocolVersion");
  return typeof version === "string" ? version : undefined;
}

function field(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

async function readAnswers(response: Response, receive: (answer: unknown) => void): Promise<void> {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) {
    for await (const data of serverSentEvents(response)) receive(parse(data));
    return;
  }
  const text = await response.text();
  if (text.trim() === "") {
    if (!response.ok) throw unreadable(response.status, text);
    return;
  }
  const answer = parse(text);
  if (type.startsWith("application/problem+json"))
    throw problemFault(answer) ?? unreadable(response.status, text);
  // A refusal by the protocol is a JSON-RPC error and an answer like any other.
  if (!response.ok && field(answer, "jsonrpc") === undefined) {
    throw problemFault(answer) ?? unreadable(response.status, text);
  }
  receive(answer);
}

/** The `data` of each event (WHATWG server-sent events), in order. */
async function* serverSentEvents(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  let rest = "";
  let data: string[] = [];
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault(
      "client.unexpected-answer",
      "Cannot read the node's answer: it is no JSON",
      {
        text: text.slice(0, 500),
      },
      error,
    );
  }
}

function unreadable(status: number, text: string): Fault {
  return fault("client.unexpected-answer", `Cannot read the node's answer: status ${status}`, {
    status,
    text: text.slice(0, 500),
  });
}

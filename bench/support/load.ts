// The load generator. HTTP/1.1 over plain sockets: Node's own client costs as much a request as a whole run does in the node, and on two
// cores the generator's time is taken from what it measures. The same client drives every engine.
import { connect, type Socket } from "node:net";

export interface Target {
  readonly port: number;
  /** Bearer key; without one no `Authorization` is sent. */
  readonly token?: string;
}

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or null when there is none. */
  readonly body: unknown;
}

interface Connection {
  readonly socket: Socket;
  waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void } | null;
  received: Buffer;
}

/** Requests over kept-alive connections, one at a time on each, as many connections as are needed at once, at most `connectionsMax`. */
export function poster(target: Target, connectionsMax: number) {
  const idle: Connection[] = [];
  const all = new Set<Connection>();
  const queue: ((connection: Connection) => void)[] = [];
  const authorization = target.token === undefined ? "" : `Authorization: Bearer ${target.token}\r\n`;
  const head = `Host: 127.0.0.1:${target.port}\r\n${authorization}Content-Type: application/json\r\nContent-Length: `;

  const open = (): Connection => {
    const socket = connect({ port: target.port, host: "127.0.0.1", noDelay: true });
    const connection: Connection = { socket, waiting: null, received: Buffer.alloc(0) };
    all.add(connection);
    socket.on("data", (chunk: Buffer) => receive(connection, chunk));
    const lost = (error?: unknown): void => {
      all.delete(connection);
      const at = idle.indexOf(connection);
      if (at >= 0) idle.splice(at, 1);
      connection.waiting?.reject(error instanceof Error ? error : new Error("the connection was closed"));
      connection.waiting = null;
    };
    socket.on("error", lost);
    socket.on("close", () => lost());
    return connection;
  };
  const receive = (connection: Connection, chunk: Buffer): void => {
    connection.received =
      connection.received.length === 0 ? chunk : Buffer.concat([connection.received, chunk]);
    const answer = answerIn(connection.received);
    const { waiting } = connection;
    if (answer === null || waiting === null) return;
    connection.received = Buffer.alloc(0);
    connection.waiting = null;
    const next = queue.shift();
    if (next === undefined) idle.push(connection);
    else next(connection);
    waiting.resolve(answer);
  };
  const ask = (method: "GET" | "POST", path: string, body: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const send = (connection: Connection): void => {
        connection.waiting = { resolve, reject };
        connection.socket.write(
          `${method} ${path} HTTP/1.1\r\n${head}${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      };
      const free = idle.pop();
      if (free !== undefined) send(free);
      else if (all.size < connectionsMax) send(open());
      else queue.push(send);
    });
  return {
    post: (path: string, body: string) => ask("POST", path, body),
    get: (path: string) => ask("GET", path, ""),
    close: () => {
      for (const { socket } of all) socket.destroy();
    },
  };
}

const headEnd = Buffer.from("\r\n\r\n");

/** The whole answer in the bytes, or null while some of it is missing. Lengths and chunks, as the engines use them. */
function answerIn(bytes: Buffer): Answer | null {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return null;
  const head = bytes.toString("latin1", 0, end);
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const stop = end + 4 + Number(length);
    return bytes.length < stop ? null : { status, body: parsed(bytes.toString("utf8", end + 4, stop)) };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { status, body: null };
  let text = "";
  for (let at = end + 4; ;) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return null;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    const stop = line + 2 + size;
    if (bytes.length < stop + 2) return null;
    if (size === 0) return { status, body: parsed(text) };
    text += bytes.toString("utf8", line + 2, stop);
    at = stop + 2;
  }
}

function parsed(text: string): unknown {
  return text === "" ? null : JSON.parse(text);
}

/** Keeps `inFlight` calls going for the time; returns the completed count, the elapsed seconds and each call's milliseconds. */
export async function closedLoop(options: {
  readonly inFlight: number;
  readonly seconds: number;
  readonly callsMax?: number;
  readonly call: () => Promise<void>;
}): Promise<{
  readonly completed: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}> {
  const { inFlight, seconds, call, callsMax = Number.POSITIVE_INFINITY } = options;
  const start = performance.now();
  const end = start + seconds * 1000;
  const latenciesMs: number[] = [];
  let begun = 0;
  const worker = async () => {
    while (performance.now() < end && begun < callsMax) {
      begun += 1;
      const from = performance.now();
      await call();
      latenciesMs.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { completed: latenciesMs.length, seconds: (performance.now() - start) / 1000, latenciesMs };
}

/** Starts a call at fixed times whether or not earlier ones have ended (open loop); latency counts from the planned start. */
export async function openLoop(options: {
  readonly perSecond: number;
  readonly seconds: number;
  readonly call: () => Promise<void>;
}): Promise<readonly number[]> {
  const latenciesMs: number[] = [];
  const start = performance.now();
  const calls: Promise<void>[] = [];
  for (let index = 0; index < options.perSecond * options.seconds; index++) {
    const planned = start + (index * 1000) / options.perSecond;
    const wait = planned - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    calls.push(options.call().then(() => void latenciesMs.push(performance.now() - planned)));
  }
  await Promise.all(calls);
  return latenciesMs;
}

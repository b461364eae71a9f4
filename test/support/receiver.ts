// The outside world that plans send to: an HTTP server that honours idempotency keys and remembers what took effect. A request with a key
// it has seen takes no effect and gets the first answer again.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Effect {
  readonly key: string | null;
  readonly path: string;
  readonly body: string;
}

export interface Receiver extends AsyncDisposable {
  readonly port: number;
  /** What took effect, in order. */
  readonly effects: readonly Effect[];
  /** How often a key came again. */
  readonly repeats: ReadonlyMap<string, number>;
}

const bodyBytesMax = 1024 * 1024;

/** `POST /fail…` answers 500 and takes no effect; `GET /reports` tells what took effect; every other POST takes effect once per key. */
export async function startReceiver(answerDelayMs = 0): Promise<Receiver> {
  const effects: Effect[] = [];
  const repeats = new Map<string, number>();
  const answers = new Map<string, { readonly body: string; readonly answer: string }>();
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { status, answer } = answerTo(request, body);
      const reply = (): void =>
        void response.writeHead(status, { "content-type": "application/json" }).end(answer);
      // The effect is there at once; a sender that dies before the answer must find out by its key.
      if (answerDelayMs === 0) reply();
      else setTimeout(reply, answerDelayMs);
    });
  });

  function answerTo(
    request: IncomingMessage,
    body: string,
  ): { readonly status: number; readonly answer: string } {
    const path = request.url ?? "/";
    if (request.method === "GET") return { status: 200, answer: JSON.stringify({ effects }) };
    if (request.method !== "POST") return { status: 405, answer: '{"error":"only GET and POST"}' };
    if (path.startsWith("/fail")) return { status: 500, answer: '{"error":"this address always fails"}' };
    const key = request.headers["idempotency-key"]?.toString() ?? null;
    const known = key === null ? undefined : answers.get(key);
    if (key !== null && known !== undefined) {
      repeats.set(key, (repeats.get(key) ?? 0) + 1);
      if (known.body !== body) return { status: 422, answer: '{"error":"this key came with another body"}' };
      return { status: 200, answer: known.answer };
    }
    effects.push({ key, path, body });
    const answer = JSON.stringify({ received: effects.length });
    if (key !== null) answers.set(key, { body, answer });
    return { status: 201, answer };
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    effects,
    repeats,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array);
    sizeBytes += bytes.length;
    if (sizeBytes <= bodyBytesMax) chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

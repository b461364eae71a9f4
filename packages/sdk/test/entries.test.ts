import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { faultRecord } from "@writ/core/fault";
import { expect, test } from "vitest";
import { openClient } from "../src/client.ts";
import { streamEntries } from "../src/entries.ts";

const hash = "0".repeat(64);

function entry(seq: number) {
  const links = { hash, previousHash: hash, runPrevious: null };
  return {
    seq,
    epoch: 1,
    node: "n_1",
    kind: "node.started",
    run: null,
    cause: null,
    actor: {},
    atMs: 0,
    ...links,
    facts: {},
  };
}

/** A WebSocket server (RFC 6455) that only sends: `serve` gets what was asked and a way to send text and to close. */
async function streamServer(
  serve: (request: IncomingMessage, send: (text: string) => void, close: (code: number) => void) => void,
) {
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    sockets.add(socket);
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const frame = (opcode: number, payload: Buffer): void => {
      const size = Buffer.alloc(4);
      size.writeUInt8(0x80 | opcode, 0);
      size.writeUInt8(126, 1);
      size.writeUInt16BE(payload.length, 2);
      socket.write(Buffer.concat([size, payload]));
    };
    const close = (code: number): void => {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(code, 0);
      socket.end(Buffer.concat([Buffer.from([0x88, 2]), payload]));
    };
    serve(request, (text) => frame(1, Buffer.from(text, "utf8")), close);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function collect(url: string, query: { readonly from?: number }, countMax: number) {
  const seen: number[] = [];
  try {
    for await (const { seq } of streamEntries(openClient({ url, token: "t" }), query)) {
      seen.push(seq);
      if (seen.length === countMax) break;
    }
  } catch (error) {
    return { seen, code: faultRecord(error)?.code ?? String(error) };
  }
  return { seen, code: null };
}

test("D4 entries come in order, from where one asks, as the person of the token", async () => {
  let asked: IncomingMessage | undefined;
  await using server = await streamServer((request, send) => {
    asked = request;
    for (const seq of [7, 8, 9]) send(JSON.stringify(entry(seq)));
  });
  expect(await collect(server.url, { from: 7 }, 3)).toEqual({ seen: [7, 8, 9], code: null });
  expect(asked?.url).toBe("/entries?from=7");
  expect(asked?.headers.authorization).toBe("Bearer t");
});

test("D4 a lost connection ends the stream with a fault, after what had come", async () => {
  await using server = await streamServer((_, send, close) => {
    send(JSON.stringify(entry(0)));
    close(1013);
  });
  expect(await collect(server.url, {}, 9)).toEqual({ seen: [0], code: "client.stream-closed" });
  expect((await collect("http://127.0.0.1:1", {}, 1)).code).toBe("client.stream-closed");
});

test("D1 a message that is no entry is refused", async () => {
  for (const text of ['{"seq":"zero"}', "not json"]) {
    await using server = await streamServer((_, send) => send(text));
    expect((await collect(server.url, {}, 1)).code, text).toBe("client.unexpected-answer");
  }
});

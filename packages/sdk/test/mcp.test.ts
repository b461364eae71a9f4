import { faultRecord } from "@writ/core/fault";
import { expect, test } from "vitest";
import { openClient } from "../src/client.ts";
import { openMcpLink } from "../src/mcp.ts";
import { localServer } from "../../../test/support/local-server.ts";

async function ask(url: string, message: unknown, link = openMcpLink(openClient({ url, token: "t" }))) {
  const answers: unknown[] = [];
  await link.send(message, (answer) => answers.push(answer));
  return answers;
}

test("D5 a message of the newest revision carries headers derived from itself", async () => {
  await using server = await localServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  const message = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "find", _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
  };
  expect(await ask(server.url, message)).toEqual([{ jsonrpc: "2.0", id: 1, result: {} }]);
  expect(JSON.parse(server.received[0]?.body ?? "")).toEqual(message);
  expect(server.received[0]?.headers).toMatchObject({
    authorization: "Bearer t",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "find",
  });
});

test("D5 an older client's session and version are repeated", async () => {
  await using server = await localServer((_, response) => {
    response.setHeader("mcp-session-id", "s1");
    response.setHeader("content-type", "text/event-stream");
    response.end(
      'event: message\r\ndata: {"id":1,\r\ndata: "result":{"protocolVersion":"2025-11-25"}}\r\n\r\n',
    );
  });
  const link = openMcpLink(openClient({ url: server.url }));
  const first = await ask(server.url, { jsonrpc: "2.0", id: 1, method: "initialize", params: {} }, link);
  expect(first).toEqual([{ id: 1, result: { protocolVersion: "2025-11-25" } }]);
  await ask(server.url, { jsonrpc: "2.0", method: "notifications/initialized" }, link);
  expect(server.received[0]?.headers["mcp-session-id"]).toBeUndefined();
  expect(server.received[1]?.headers).toMatchObject({
    "mcp-session-id": "s1",
    "mcp-protocol-version": "2025-11-25",
  });
});

test("D5 several events are several answers, a notification has none", async () => {
  await using server = await localServer((request, response) => {
    if (!request.body.includes('"id"')) return void response.writeHead(202).end();
    response.setHeader("content-type", "text/event-stream");
    response.write('data: {"a":1}\n\nda');
    setTimeout(() => response.end('ta: {"b":2}\n\n'), 5);
  });
  expect(await ask(server.url, { id: 1, method: "x" })).toEqual([{ a: 1 }, { b: 2 }]);
  expect(await ask(server.url, { method: "notifications/cancelled" })).toEqual([]);
});

test("D2 a refused key is the node's fault, a protocol error an answer", async () => {
  const problem = {
    type: "t",
    title: "t",
    status: 401,
    detail: "no",
    code: "auth.unknown",
    kind: "rejected",
    remedy: "ask",
    facts: {},
  };
  await using server = await localServer((request, response) => {
    if (request.body.includes("bad")) {
      response
        .writeHead(400, { "content-type": "application/json" })
        .end('{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}');
    } else
      response.writeHead(401, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
  });
  expect(await ask(server.url, { id: 1, method: "bad" })).toMatchObject([{ error: { code: -1 } }]);
  const failure = await ask(server.url, { id: 1, method: "good" }).catch((error: unknown) =>
    faultRecord(error),
  );
  expect(failure).toMatchObject({ code: "auth.unknown" });
});

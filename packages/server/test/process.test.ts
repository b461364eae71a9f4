import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { World } from "@writ/core/ports";
import type { OpenLedger } from "@writ/store/ledger";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startNode } from "../src/node.ts";
import { replaceTokenOffline } from "../src/offline-token.ts";
import type { Socket } from "../src/http/app.ts";
import { streamBytesMax, streamsMax } from "../src/limits.ts";
import { silentLog } from "../src/log.ts";
import { createNotifier } from "../src/notify.ts";
import { createEntryStreams } from "../src/stream.ts";
import { systemWorld } from "../src/world.ts";
import { addPerson, openTestNode, until } from "./harness.ts";

let data: string;
beforeEach(() => {
  data = mkdtempSync(path.join(tmpdir(), "writ-process-"));
});
afterEach(() => {
  rmSync(data, { recursive: true, force: true });
});

const quiet = { version: "0.0.0-test", print: () => {}, example: false };

test("S37 a taken port is refused with a remedy, and the folder is let go", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await expect(startNode({ ...quiet, data, port })).rejects.toMatchObject({ code: "server.port-in-use" });
  taken.close();
  await using node = await openTestNode({ ...quiet, data });
  expect(node.token).not.toBe("");
});

test("S20 own policies are in force beside those that ship; one that cannot be read stops the start", async () => {
  const folder = path.join(data, "policies");
  mkdirSync(folder);
  writeFileSync(
    path.join(folder, "mine.cedar"),
    'forbid (principal, action, resource) when { context.folders.contains("archive") };',
  );
  const node = await openTestNode({ ...quiet, data });
  expect((await node.call("getPolicies")).files.map(({ name }) => name)).toContain("own/mine.cedar");
  const { policy } = node.node.context;
  const before = policy.hash;
  await node.node.close("test");
  writeFileSync(
    path.join(folder, "mine.cedar"),
    "forbid (principal, action, resource) when { context.nowhere };",
  );
  await expect(startNode({ ...quiet, data, port: 0 })).rejects.toMatchObject({ code: "policy.invalid" });
  rmSync(folder, { recursive: true });
  await node.restart();
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  const set = entries.filter(({ kind }) => kind === "policy.set").map(({ facts }) => facts["hash"]);
  expect(set).toEqual([before, node.node.context.policy.hash]);
  await node[Symbol.asyncDispose]();
});

test("S32 a second node on the same folder is refused", async () => {
  await using node = await openTestNode({ ...quiet, data });
  await expect(startNode({ ...quiet, data, port: 0 })).rejects.toMatchObject({ code: "store.folder-in-use" });
  expect((await node.raw("GET", "/health")).status).toBe(200);
});

test("S34 a lost token is replaced through the running node, and in a folder at rest", async () => {
  const node = await openTestNode({ ...quiet, data });
  const first = await replaceTokenOffline(data, "owner", quiet.version);
  expect((await node.raw("GET", "/status", { token: node.token })).status).toBe(401);
  expect((await node.raw("GET", "/status", { token: first })).status).toBe(200);
  await expect(replaceTokenOffline(data, "nobody", quiet.version)).rejects.toMatchObject({
    code: "person.unknown",
  });
  await node.node.close("test");
  const second = await replaceTokenOffline(data, "owner", quiet.version);
  await expect(replaceTokenOffline(data, "nobody", quiet.version)).rejects.toMatchObject({
    code: "person.unknown",
  });
  await node.restart();
  expect((await node.raw("GET", "/status", { token: first })).status).toBe(401);
  const { entries } = await node.call("readLedger", { query: { limit: 1000 }, token: second });
  expect(
    entries.filter(({ kind, facts }) => kind === "person.token-replaced" && facts["on"] === "machine"),
  ).toHaveLength(2);
  await node[Symbol.asyncDispose]();
});

test("S34 a folder no node was started on gets no token, and nothing is made in it", async () => {
  for (const folder of [path.join(data, "mistyped"), data]) {
    await expect(replaceTokenOffline(folder, "owner", quiet.version)).rejects.toMatchObject({
      code: "token.no-node",
      kind: "rejected",
    });
  }
  expect(readdirSync(data)).toEqual([]);
});

test("S31 the machine's key is readable by this user only and gone when the node stops", async () => {
  const file = path.join(data, "local.json");
  const node = await openTestNode({ ...quiet, data });
  expect(statSync(file).mode & 0o077).toBe(0);
  await node.node.close("test");
  expect(() => statSync(file)).toThrow();
});

test("K61 a folder that has no people yet gets one owner with a key nobody else knows", async () => {
  const other = mkdtempSync(path.join(tmpdir(), "writ-process-"));
  await using one = await openTestNode({ ...quiet, data });
  await using two = await openTestNode({ ...quiet, data: other });
  expect(one.token).not.toBe(two.token);
  expect((await two.raw("GET", "/status", { token: one.token })).status).toBe(401);
  expect((await one.call("listPeople")).people).toMatchObject([{ id: "owner", roles: ["owner"] }]);
  rmSync(other, { recursive: true, force: true });
});

test("S7 people, roles and tokens are what they were after a restart", async () => {
  await using node = await openTestNode({ ...quiet, data });
  const token = await addPerson(node, "anna", "accountant");
  await node.restart();
  expect(node.node.ownerToken).toBeUndefined();
  expect((await node.raw("GET", "/status", { token })).status).toBe(200);
  expect((await node.raw("GET", "/people", { token })).status).toBe(403);
});

test("K54 S36 a node whose ledger has stopped says so and takes nothing more", async () => {
  await using node = await openTestNode({ ...quiet, data });
  const ledger = node.node.context.ledger as OpenLedger;
  ledger.stop(new Error("no space left on device"));
  await expect(node.node.failed).resolves.toMatchObject({ code: "ledger.stopped", kind: "broken" });
  expect(await node.raw("POST", "/people", { body: '{"id": "anna", "roles": []}' })).toMatchObject({
    status: 500,
    body: { code: "ledger.stopped" },
  });
});

const hurried: World = { ...systemWorld, sleep: async () => {} };

test("S51 a client that lags is waited for and gets every entry", async () => {
  await using node = await openTestNode({ ...quiet, data });
  for (const id of ["anna", "berta", "carla"]) await addPerson(node, id, "operator");
  const { ledger } = node.node.context;
  let unsent = 0;
  const seen: number[] = [];
  const slow: Socket = {
    get bufferedAmount() {
      return unsent;
    },
    send(text) {
      seen.push((JSON.parse(text) as { readonly seq: number }).seq);
      unsent = streamBytesMax + 5;
    },
    close: (_code, reason) => expect.unreachable(reason),
    on: () => {},
  };
  const draining: World = {
    ...systemWorld,
    async sleep() {
      unsent--;
    },
  };
  createEntryStreams(ledger, draining, silentLog).open(slow, { from: 0 }, () => true);
  await until(async () => (seen.length > ledger.durableSeq() ? true : undefined), "every entry");
  expect(seen).toEqual(seen.map((_, i) => i));
});

/** A client that takes nothing off the wire. */
function stuckSocket() {
  const sent: string[] = [];
  const closed: { code: number; reason: string }[] = [];
  const socket: Socket = {
    bufferedAmount: 1024 * 1024 * 1024,
    send: (text) => void sent.push(text),
    close: (code, reason) => void closed.push({ code, reason }),
    on: () => {},
  };
  return { socket, sent, closed };
}

test("S51 a client of the stream that cannot keep up is closed and told where to go on", async () => {
  await using node = await openTestNode({ ...quiet, data });
  const streams = createEntryStreams(node.node.context.ledger, hurried, silentLog);
  const stuck = stuckSocket();
  streams.open(stuck.socket, { from: 0 }, () => true);
  await until(async () => stuck.closed[0], "the end of the stream");
  expect(stuck.closed).toEqual([{ code: 1013, reason: "too slow; go on from 0" }]);
  expect(stuck.sent).toEqual([]);
});

test("S51 there is a bound on streams", async () => {
  await using node = await openTestNode({ ...quiet, data });
  const streams = createEntryStreams(node.node.context.ledger, systemWorld, silentLog);
  const sockets = Array.from({ length: streamsMax + 1 }, () => stuckSocket());
  for (const { socket } of sockets) streams.open(socket, {}, () => true);
  expect(sockets.filter(({ closed }) => closed.length > 0)).toEqual([sockets.at(-1)]);
});

test("S60 a notification that cannot be written is logged and stops nothing; its words cannot steer the terminal", async () => {
  const warned: string[] = [];
  const printed: string[] = [];
  const notifier = createNotifier({
    file: path.join(data, "no", "such", "folder"),
    world: systemWorld,
    log: { ...silentLog, warn: (event) => void warned.push(event) },
    print: (line) => void printed.push(line),
    record: () => {
      throw new Error("not reached");
    },
  });
  await notifier.notify({
    to: "owner",
    subject: "An approval is waiting",
    text: "a_1\u001b[2J\nAn approval is waiting: a_2\u202e",
    actor: { kind: "node" },
  });
  expect(printed).toEqual(["An approval is waiting: a_1<U+001B>[2J⏎An approval is waiting: a_2<U+202E>"]);
  expect(warned).toEqual(["notification.failed"]);
});

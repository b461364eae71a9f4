// Webhooks over real HTTP to a real node: signed, bounded, taken once.
import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestNode, until, type TestNode } from "./harness.ts";

let node: TestNode;
let secret: string;
beforeEach(async () => {
  node = await openTestNode();
  ({ secret } = await setSecret());
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const place = { workspace: "invoices", name: "orders" };
const setSecret = (body: { readonly keepPreviousMs?: number } = {}) =>
  node.call("setWebhookSecret", { params: place, body });

interface Sent {
  readonly id?: string;
  readonly atMs?: number;
  readonly secret?: string;
  readonly body?: string;
  /** Body that is signed instead of the one that is sent. */
  readonly signedBody?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly name?: string;
}

const newId = () => `msg_${randomBytes(8).toString("hex")}`;

async function send(given: Sent = {}) {
  const { id = newId(), body = '{"number":"A-1","amount":12.5}' } = given;
  const timestamp = Math.floor((given.atMs ?? Date.now()) / 1000);
  const key = Buffer.from((given.secret ?? secret).replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key)
    .update(`${id}.${timestamp}.${given.signedBody ?? body}`)
    .digest("base64");
  return node.raw("POST", `/webhooks/invoices/${given.name ?? "orders"}`, {
    token: null,
    body,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,AAAA v1,${signature}`,
      ...given.headers,
    },
  });
}

const rule = 'When webhook "orders" is called, append a line with "order" to journal.csv.';

async function deploy(text: string, language: "en" | "fr" = "en"): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text, language } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome).slice(0, 3000));
  const params = { hash: outcome.program.hash };
  await node.call("approveProgram", { params });
  await node.call("deployProgram", { params });
  return params.hash;
}

const runs = async () => (await node.call("listRuns", {})).runs;
const finished = (count: number) =>
  until(async () => {
    const ended = (await runs()).filter(({ status }) => status === "finished");
    return ended.length >= count ? ended : undefined;
  }, `${count} finished runs`);

test.each([
  ["en", rule],
  ["fr", "Quand le webhook « orders » est appelé, ajoute une ligne avec « order » à journal.csv."],
] as const)(
  "S91 a signed delivery starts the run of a rule (%s), and its event is durable before the answer",
  async (language, text) => {
    await deploy(text, language);
    const answer = await send({ id: "msg_1" });
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    expect(answer.body).toEqual({ delivery: "msg_1", status: "recorded" });
    const { entries } = await node.call("readLedger", { query: { from: 0, limit: 1000 } });
    const event = entries.find(({ kind }) => kind === "event.received");
    expect(event?.facts).toMatchObject({
      labels: ["origin:web"],
      event: { type: "webhook.received", data: { number: "A-1", amount: expect.anything() } },
    });
    await finished(1);
  },
);

test("S91 a delivery is taken once: again, at once and after a restart", async () => {
  await deploy(rule);
  const same = { id: "msg_same", atMs: Date.now() };
  const first = await Promise.all([send(same), send(same), send(same)]);
  expect(first.map(({ status }) => status)).toEqual([202, 202, 202]);
  expect(first.map(({ body }) => String(body["status"])).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    "known",
    "known",
    "recorded",
  ]);
  await finished(1);
  await node.restart();
  expect((await send(same)).body).toEqual({ delivery: "msg_same", status: "known" });
  expect(await runs()).toHaveLength(1);
});

test("S91 what is not signed by the webhook's secret is answered alike, whatever is wrong", async () => {
  await deploy(rule);
  const wrong = `whsec_${randomBytes(32).toString("base64")}`;
  const cases: readonly Sent[] = [
    { secret: wrong },
    { signedBody: "{}" },
    { headers: { "webhook-signature": "" } },
    { headers: { "webhook-signature": "v1,x" } },
    { headers: { "webhook-id": "" } },
    { headers: { "webhook-id": "msg_other" } },
    { headers: { "webhook-timestamp": "now" } },
    { name: "no-such-webhook" },
    { name: "no-such-webhook", secret: wrong },
  ];
  for (const each of cases) {
    const { status, body } = await send(each);
    expect([status, body["code"], body["detail"]], JSON.stringify(each)).toEqual([
      401,
      "webhook.signature",
      "Cannot take the delivery: it is not signed by a secret of this webhook",
    ]);
  }
  expect(await runs()).toEqual([]);
});

test("S91 a delivery that is too old or from the future is refused", async () => {
  await deploy(rule);
  for (const offMs of [-6 * 60_000, 6 * 60_000]) {
    const { status, body } = await send({ atMs: Date.now() + offMs });
    expect([status, body["code"]]).toEqual([400, "webhook.timestamp"]);
  }
  expect((await send({ atMs: Date.now() - 4 * 60_000 })).status).toBe(202);
});

test("S92 the secret is in no entry and no answer but its own, in a file that only this user reads", async () => {
  const file = path.join(node.data, "webhooks.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { entries } = await node.call("readLedger", { query: { from: 0, limit: 1000 } });
  const text = JSON.stringify([entries, await node.call("listWebhooks")]);
  expect(text).not.toContain(secret.slice("whsec_".length));
  expect(text).toContain("webhook.secret-set");
});

test("S92 a new secret voids the old one, or lets it sign for a while; an old file brings nothing back", async () => {
  await deploy(rule);
  const file = path.join(node.data, "webhooks.json");
  const oldFile = readFileSync(file);
  const first = secret;
  ({ secret } = await setSecret({ keepPreviousMs: 3_600_000 }));
  expect((await send({ secret: first })).status).toBe(202);
  expect((await send()).status).toBe(202);
  const second = secret;
  ({ secret } = await setSecret());
  expect((await send({ secret: second })).status).toBe(401);
  expect((await send()).status).toBe(202);
  writeFileSync(file, oldFile);
  await node.restart();
  expect((await send({ secret: first })).status).toBe(401);
  ({ secret } = await setSecret());
  expect((await send()).status).toBe(202);
  await node.call("removeWebhook", { params: place });
  expect((await send()).status).toBe(401);
  expect((await node.call("listWebhooks")).webhooks).toEqual([]);
});

test("S92 only an owner makes webhooks", async () => {
  const { token } = await node.call("addPerson", { body: { id: "anna", roles: ["operator"] } });
  await expect(node.call("setWebhookSecret", { params: place, body: {}, token })).rejects.toMatchObject({
    code: "auth.role",
  });
});

test("S93 bodies are JSON of a bounded size", async () => {
  await deploy(rule);
  const cases: readonly (readonly [Sent, number, string])[] = [
    [{ body: "no json" }, 400, "webhook.body"],
    [{ body: JSON.stringify({ text: "x".repeat(300_000) }) }, 413, "request.too-large"],
    [{ body: "[".repeat(200) }, 400, "request.body"],
    [{ body: "a=1", headers: { "content-type": "application/x-www-form-urlencoded" } }, 400, "request.body"],
  ];
  for (const [given, status, code] of cases) {
    const answer = await send(given);
    expect([answer.status, answer.body["code"]], given.body?.slice(0, 20)).toEqual([status, code]);
  }
});

test("S93 deliveries a minute are bounded, and those without a signature do not use them up", async () => {
  await deploy(rule);
  const wrong = `whsec_${randomBytes(32).toString("base64")}`;
  let refused = 0;
  for (let i = 0; i < 1300 && refused === 0; i += 20) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send({ secret: wrong })));
    refused += answers.filter(({ status }) => status === 429).length;
  }
  expect(refused).toBeGreaterThan(0);
  // S91: what nobody made is answered like what is wrongly signed, also when there were too many.
  expect((await send({ secret: wrong, name: "nobody-made-it" })).status).toBe(429);
  expect((await send()).status).toBe(202);
});

test("S91 nobody listening is no answer that says it was taken", async () => {
  const { status, body } = await send();
  expect([status, body["code"]]).toEqual([503, "webhook.unheard"]);
});

test("S94 CloudEvents come structured and binary; what says it is one and is not is refused", async () => {
  await deploy(rule);
  const about = { specversion: "1.0", id: "42", source: "/shop", type: "shop.order.created", subject: "A-1" };
  const structured = await send({
    body: JSON.stringify({ ...about, data: { amount: 5 } }),
    headers: { "content-type": "application/cloudevents+json; charset=utf-8" },
  });
  expect(structured.status, JSON.stringify(structured.body)).toBe(202);
  const headers = Object.fromEntries(Object.entries(about).map(([name, value]) => [`ce-${name}`, value]));
  expect((await send({ body: '{"amount":6}', headers })).status).toBe(202);
  const { entries } = await node.call("readLedger", { query: { from: 0, limit: 1000 } });
  const events = entries.filter(({ kind }) => kind === "event.received").map(({ facts }) => facts["event"]);
  for (const [index, amount] of [5, 6].entries()) {
    expect(events[index]).toMatchObject({
      type: "shop.order.created",
      subject: "A-1",
      correlation: "/shop#42",
      data: { amount },
    });
  }
  const bad = await send({ headers: { ...headers, "ce-specversion": "0.3" } });
  expect([bad.status, bad.body["code"]]).toEqual([400, "webhook.cloud-event"]);
});

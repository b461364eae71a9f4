// A webhook through a real node: made by command, called over HTTP, replayed, and the node killed while it is called.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { eventually } from "../support/node-process.ts";
import { Story } from "../support/story.ts";

const rule = 'When webhook "orders" is called, append a line with "order" to journal.csv.';

async function deliver(story: Story, secret: string, id: string): Promise<number> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const body = JSON.stringify({ id });
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const answer = await fetch(`${story.node.url}/webhooks/invoices/orders`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${signature}`,
    },
  }).catch(() => undefined);
  return answer?.status ?? 0;
}

test("E31 what was answered for runs once, though every delivery is sent again and the node is killed", async () => {
  await using story = await Story.begin();
  const made = await story.writ("webhook", "create", "orders");
  expect(made.code, made.error).toBe(0);
  const secret = /whsec_[A-Za-z0-9+/=]+/.exec(made.out)?.[0] ?? "";
  const hash = await story.deploy(rule);
  expect((await story.writ("webhook", "list")).out).toMatch(/\/webhooks\/invoices\/orders .* yes/);
  const ids = Array.from({ length: 30 }, (_, i) => `order-${i}`);
  const sending = Promise.all(ids.map((id) => deliver(story, secret, id)));
  await eventually(async () => {
    const { runs } = await story.node.client().call("listRuns", { query: { program: hash } });
    return runs.length > 0 ? true : undefined;
  }, "a first run");
  await story.node.kill();
  const first = await sending;
  await story.node.start();
  for (const id of ids) expect(await deliver(story, secret, id), id).toBe(202);
  expect(first.every((status) => status === 202 || status === 0)).toBe(true);
  const done = await eventually(async () => {
    const { runs } = await story.node.client().call("listRuns", { query: { program: hash, limit: 500 } });
    return runs.length >= ids.length && runs.every(({ status }) => status === "finished") ? runs : undefined;
  }, "all runs finished");
  expect(done).toHaveLength(ids.length);
  expect(
    story
      .read("journal.csv")
      .split(/\r?\n/)
      .filter((line) => line.includes("order")),
  ).toHaveLength(ids.length);
  const verified = await story.writ("ledger", "verify");
  expect(verified.code, verified.out).toBe(0);
  const removed = await story.writ("webhook", "remove", "orders");
  expect(removed.code, removed.error).toBe(0);
  expect(await deliver(story, secret, "late")).toBe(401);
});

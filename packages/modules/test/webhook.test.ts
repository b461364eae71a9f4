import { expect, test } from "vitest";
import type { Delivery, Sighting } from "@writ/core/ports";
import { decimal, toJson } from "@writ/core/value";
import { createInbox, webhookSource } from "@writ/modules/webhook";
import { bench, realWorld } from "./support.ts";

const delivery = (id: string, text: string, more: Partial<Delivery> = {}): Delivery => ({
  id,
  contentType: "application/json",
  headers: {},
  text,
  ...more,
});

async function listening(report: (sighting: Sighting) => Promise<void>, known: readonly string[] = []) {
  using b = bench();
  const inbox = createInbox();
  const session = await webhookSource(inbox).start({
    config: { name: "orders" },
    workspace: b.context().workspace,
    cursor: null,
    world: realWorld,
    seen: (key) => known.includes(key),
    report,
    problem: (error) => {
      throw error;
    },
  });
  return { inbox, session };
}

test("B1 a delivery is answered for when its event is durable, and not before", async () => {
  let durable = (): void => undefined;
  const { inbox } = await listening(() => new Promise((resolve) => (durable = resolve)));
  let answered = false;
  const answer = inbox.deliver("test", "orders", delivery("1", "{}")).then((status) => {
    answered = true;
    return status;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(answered).toBe(false);
  durable();
  expect(await answer).toBe("recorded");
});

test("B1 what cannot be recorded is not answered for, and the next delivery is taken", async () => {
  let fails = true;
  const { inbox } = await listening(async () => {
    if (fails) throw new Error("the disk is full");
  });
  await expect(inbox.deliver("test", "orders", delivery("1", "{}"))).rejects.toThrow("the disk is full");
  fails = false;
  expect(await inbox.deliver("test", "orders", delivery("1", "{}"))).toBe("recorded");
});

test("B2 a delivery that was recorded is known", async () => {
  const { inbox } = await listening(() => Promise.reject(new Error("not reached")), ["delivery-1"]);
  expect(await inbox.deliver("test", "orders", delivery("1", "{}"))).toBe("known");
});

test("B2 once its program is gone nobody takes a delivery", async () => {
  const { inbox, session } = await listening(() => Promise.resolve());
  expect(inbox.isHeard("test", "orders")).toBe(true);
  await session.stop();
  expect(await inbox.deliver("test", "orders", delivery("1", "{}"))).toBeUndefined();
});

test("B3 the body is the event's data, its numbers exact; it is from the web", async () => {
  const seen: Sighting[] = [];
  const { inbox } = await listening(async (sighting) => void seen.push(sighting));
  await inbox.deliver("test", "orders", delivery("1", '{"a":0.1,"b":12345678901234567890,"c":3}'));
  await inbox.deliver("test", "orders", delivery("2", "[1,2]"));
  expect(seen[0]?.event.data).toEqual({ a: decimal("0.1"), b: decimal("12345678901234567890"), c: 3 });
  expect(toJson(seen[1]?.event.data ?? null)).toEqual({ value: [1, 2] });
  expect(webhookSource(inbox).definition.labels).toEqual(["origin:web"]);
  for (const text of ["", "x", '{"a":', '{"__proto__":1}']) {
    await expect(inbox.deliver("test", "orders", delivery("3", text)), text).rejects.toMatchObject({
      code: "webhook.body",
    });
  }
});

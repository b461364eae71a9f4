import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestNode, type TestNode } from "./harness.ts";

let node: TestNode;
beforeEach(async () => {
  node = await openTestNode();
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const plan = {
  plan_id: "p",
  protocol_version: "2.0",
  description: "A note",
  actions: [
    {
      id: "a1",
      module: "filesystem",
      action: "write_file",
      params: { path: "approved/note.txt", content: "x" },
    },
  ],
};
const submit = () => node.call("runPlan", { body: { plan, wait: true } });

test("S80 a stop holds over a restart, an owner clears it, and then work goes on", async () => {
  const stopped = await node.call("emergencyStop", {
    body: { scope: { kind: "everything" }, reason: "smoke" },
  });
  expect(stopped).toMatchObject({ scope: { kind: "everything" }, reason: "smoke", cancelled: [] });
  await node.restart();
  expect((await node.call("listEmergencyStops")).stops.map(({ stop }) => stop)).toEqual([stopped.stop]);
  expect((await node.call("status")).emergencyStops).toMatchObject([{ stop: stopped.stop, reason: "smoke" }]);
  expect(await submit()).toMatchObject({
    kind: "started",
    status: "failed",
    fault: { code: "gate.emergency-stop" },
  });
  await node.call("clearEmergencyStop", { params: { stop: stopped.stop }, body: { reason: "out" } });
  expect((await node.call("listEmergencyStops")).stops).toEqual([]);
  expect((await node.call("status")).emergencyStops).toEqual([]);
  expect(await submit()).toMatchObject({ status: "finished" });
});

test("S80 any person stops, an agent does not, and only an owner clears", async () => {
  const claire = await node.call("addPerson", { body: { id: "claire", roles: ["accountant"] } });
  const bot = await node.call("addPerson", { body: { id: "bot", roles: ["agent"] } });
  const body = { scope: { kind: "target", name: "approved" }, reason: "look" } as const;
  await expect(node.call("emergencyStop", { body, token: bot.token })).rejects.toMatchObject({
    code: "auth.agent",
  });
  const { stop } = await node.call("emergencyStop", { body, token: claire.token });
  await expect(
    node.call("clearEmergencyStop", { params: { stop }, body: {}, token: claire.token }),
  ).rejects.toMatchObject({ code: "auth.role" });
  expect(await submit()).toMatchObject({ fault: { code: "gate.emergency-stop" } });
  await node.call("clearEmergencyStop", { params: { stop }, body: {} });
});

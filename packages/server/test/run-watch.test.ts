import { runId } from "@writ/core/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRunWatch } from "../src/node/run-watch.ts";
import { systemWorld } from "../src/world.ts";
import { openTestNode, type TestNode } from "./harness.ts";

let node: TestNode;
beforeAll(async () => {
  node = await openTestNode();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

const run = runId("r_00000000");

test("S14 who waits for a run is answered when the time is over, or at once when it is at rest", async () => {
  const watch = createRunWatch(node.node.context.ledger, systemWorld, () => false);
  await watch.settled(run, 1, () => {});
  const atRest = createRunWatch(node.node.context.ledger, systemWorld, () => true);
  await atRest.settled(run, 1_000_000, () => {});
  watch.close();
  atRest.close();
});

test("S14 waiting ends when the asker has gone, and when the node stops", async () => {
  const watch = createRunWatch(node.node.context.ledger, systemWorld, () => false);
  let leave = (): void => {};
  const gone = watch.settled(run, 1_000_000, (listener) => {
    leave = listener;
  });
  leave();
  await gone;
  const stopped = watch.settled(run, 1_000_000, () => {});
  watch.close();
  await stopped;
});

test("S14 everybody who waits is answered when the own run ends", async () => {
  const plan = {
    plan_id: "watched",
    protocol_version: "2.0",
    description: "Write one file",
    actions: [
      {
        id: "a1",
        module: "filesystem",
        action: "write_file",
        params: { path: "reports/watched.txt", content: "x" },
      },
    ],
  };
  const outcomes = await Promise.all([1, 2].map(() => node.call("runPlan", { body: { plan, wait: true } })));
  expect(outcomes.map((outcome) => (outcome.kind === "started" ? outcome.status : outcome.kind))).toEqual([
    "finished",
    "finished",
  ]);
});

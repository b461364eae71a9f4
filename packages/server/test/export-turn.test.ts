import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Store } from "@writ/store/open-store";
import type { RequestOf } from "../src/http/app.ts";
import { timeTravelHandlers } from "../src/handlers/time-travel.ts";
import { createUpkeep } from "../src/node/upkeep.ts";
import { openTestNode } from "./harness.ts";

test("S99 exports that are asked for at once are made one after another", async () => {
  await using opened = await openTestNode();
  const { context } = opened.node;
  let underWay = 0;
  let most = 0;
  const readRun = async () => {
    most = Math.max(most, ++underWay);
    for (let i = 0; i < 5; i++) await turn();
    underWay--;
    return [];
  };
  const parts = { nodeEntries: async function* () {}, prove: () => Promise.reject(new Error("not asked")) };
  const { exportRun } = timeTravelHandlers({ ...context, ledger: { ...context.ledger, readRun } }, parts);
  const request = { params: { run: "r_0123456789" } } as unknown as RequestOf<"exportRun">;
  const asked = await Promise.allSettled(Array.from({ length: 4 }, () => exportRun(request)));
  expect(asked.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => "rejected"));
  expect(most).toBe(1);
});

test("S100 verifications that are asked for at once are one that runs and one that waits", async () => {
  await using opened = await openTestNode();
  const upkeep = createUpkeep(opened.node.context, { node: opened.node.context.ledger.node } as Store);
  const first = upkeep.verify();
  await turn();
  const more = await Promise.all(Array.from({ length: 20 }, () => upkeep.verify()));
  const reports = new Set([await first, ...more]);
  expect(reports.size).toBe(2);
  expect([...reports].map(({ kind }) => kind)).toEqual(["intact", "intact"]);
});

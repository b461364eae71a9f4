// Opens a store, appends without end and tells what is durable, until it is killed. Started by folder.test.ts.
import { setTimeout as sleep } from "node:timers/promises";
import { nodeEntropy } from "@writ/store/node-crypto";
import { openStore } from "@writ/store/open-store";
import { run, runStarted, timerSet } from "./harness.ts";

const store = await openStore({
  dataFolder: process.argv[2] ?? "",
  world: {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    randomBelow: () => 0,
    sleep: (ms) => sleep(ms),
  },
  entropy: nodeEntropy,
  version: "0.1.0",
});
store.ledger.append(runStarted(run(1)));
for (let i = 0; ; i++) {
  const { seq } = store.ledger.append(timerSet(run(1), i));
  await store.ledger.durable(seq);
  process.stdout.write(`durable ${seq}\n`);
}

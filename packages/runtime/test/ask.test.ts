import { expect, test } from "vitest";
import { slotName } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { act, literal, program, retry, rig, step } from "./support.ts";

test("K41 E15 a question on a node that cannot ask fails the step by code", async () => {
  const ask = step("a", {
    op: "ask",
    model: "demo",
    context: "",
    prompt: literal("x"),
    schema: Type.Object({}),
    output: slotName("answer"),
    attemptsMax: 1,
  });
  const ended = await rig().run(program([ask]));
  expect(ended).toMatchObject({ status: "failed", fault: { code: "capability.unknown" } });
});

test("E14 a drawn part of a retry's delay is recorded, and replay draws nothing", async () => {
  const delays = new Set<number>();
  for (let i = 0; i < 8; i++) {
    const made = rig();
    for (let n = 0; n < i; n++) made.site.world.randomBelow(2);
    made.site.behave("a", { kind: "fault", code: "sim.busy", times: 1, transient: true });
    const policy = { ...retry(2, ["sim.busy"]), jitter: 0.5 };
    const ended = await made.run(program([step("p", act("put", "a"), { failure: policy })]));
    expect(ended.status).toBe("finished");
    const entries = made.ledger.entries();
    const failed = entries.find(({ kind }) => kind === "effect.failed");
    const set = entries.find((entry) => entry.kind === "timer.set");
    if (failed === undefined || set?.kind !== "timer.set") throw new Error("it is tried again");
    const delayMs = set.facts.atMs - failed.atMs;
    expect(delayMs).toBeGreaterThanOrEqual(500);
    expect(delayMs).toBeLessThanOrEqual(1000);
    delays.add(delayMs);
    expect((await made.engine.replay(ended.run)).divergence).toBeNull();
  }
  expect(delays.size).toBeGreaterThan(1);
});

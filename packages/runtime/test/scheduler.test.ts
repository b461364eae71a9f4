// The scheduler in the engine: turns, locks and permits of real runs, with simulated capabilities and time.
import { expect, test } from "vitest";
import type { RunId } from "@writ/core/ids";
import type { Priority } from "@writ/core/event";
import type { Program } from "@writ/core/program";
import { act, chain, event, load, policies, program, rig, step, type Rig } from "./support.ts";

const wait = (id: string, ms: number) => step(id, { op: "wait", until: { kind: "duration", ms } });

function slowOf(name: string, priority: Priority, change: Partial<Program> = {}) {
  return program([step(`${priority}-${name}`, act("put", name, priority))], { priority, ...change });
}

/** Steps in the order in which they acted. */
const acted = (made: Rig) => made.site.effects.map(({ step: id }) => id);

test("K31 a higher priority overtakes in the line for a lock", async () => {
  const made = rig();
  made.site.behave("f", { kind: "slow", ms: 1000 });
  for (const priority of ["normal", "background", "low", "high", "critical"] as const)
    made.start(slowOf("f", priority));
  await made.site.advance(10_000);
  expect(acted(made)).toEqual(["normal-f", "critical-f", "high-f", "low-f", "background-f"]);
});

test("K31 E6 a higher priority overtakes in the line for a turn", async () => {
  const made = rig();
  const hashed = program([wait("w", 1000)], { concurrencyMax: 1 });
  const first = made.start(hashed);
  const second = made.start(hashed);
  const third = made.start(hashed);
  await made.site.advance(0);
  expect(made.engine.schedule().lines[0]).toMatchObject({
    kind: "turn",
    held: 1,
    heldMax: 1,
    waiting: 2,
    holders: [{ run: first }],
    waiters: [{ run: second, priority: "normal", dueInMs: 10_000 }, { run: third }],
  });
  await made.site.advance(1000);
  expect(made.engine.active().map(({ run }) => run)).toEqual([second, third]);
});

test("B1 B3 effects beyond the node's permits wait, and are seen to wait", async () => {
  const made = rig({ options: { effectsActiveMax: 2 } });
  const runs: RunId[] = [];
  for (const name of ["a", "b", "c", "d"]) {
    made.site.behave(name, { kind: "slow", ms: 1000 });
    runs.push(made.start(slowOf(name, name === "d" ? "high" : "normal")));
  }
  await made.site.advance(500);
  const { effects, lines } = made.engine.schedule();
  expect(effects).toEqual({ active: 2, activeMax: 2, waiting: 2 });
  expect(
    lines.find(({ kind }) => kind === "node")?.waiters.map(({ run, waitedMs }) => [run, waitedMs]),
  ).toEqual([
    [runs[3], 500],
    [runs[2], 500],
  ]);
  await made.site.advance(2000);
  expect(acted(made)).toEqual(["normal-a", "normal-b", "high-d", "normal-c"]);
  expect(made.engine.schedule().effects).toEqual({ active: 0, activeMax: 2, waiting: 0 });
});

test("B1 a module bounds what of it is under way, and how soon one follows the other", async () => {
  const site = rig().site;
  const modules = { ...site.modules, limits: () => ({ parallelMax: 1, cooldownMs: 3000 }) };
  const made = rig({ site, options: { modules } });
  for (const name of ["a", "b", "c"]) made.start(slowOf(name, "normal"));
  await made.site.advance(0);
  expect(acted(made)).toEqual(["normal-a"]);
  await made.site.advance(3000);
  expect(acted(made)).toEqual(["normal-a", "normal-b"]);
  const stopping = made.engine.stop();
  await made.site.advance(10);
  await stopping;
  // Stopping lets nobody begin who waits.
  expect(acted(made)).toEqual(["normal-a", "normal-b"]);
});

test("J5 the holder of a lock that waits for a permit takes the place of the most urgent who waits for the lock", async () => {
  const made = rig({ options: { effectsActiveMax: 1 } });
  for (const name of ["a", "b", "f"]) made.site.behave(name, { kind: "slow", ms: 1000 });
  made.start(slowOf("a", "normal"));
  await made.site.advance(1);
  made.start(slowOf("b", "normal"));
  made.start(slowOf("f", "background"));
  await made.site.advance(1);
  made.start(slowOf("f", "critical"));
  await made.site.advance(10_000);
  expect(acted(made)).toEqual(["normal-a", "background-f", "normal-b", "critical-f"]);
});

test("K82 permits are given back in success, failure and cancel", async () => {
  const made = rig({ options: { effectsActiveMax: 1 } });
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  expect((await made.run(slowOf("a", "normal"))).status).toBe("failed");
  made.site.behave("b", { kind: "slow", ms: 1000 });
  const cancelled = made.start(program(chain(step("r", load("b", "x")), step("c", act("put", "c")))));
  await made.site.advance(10);
  await made.engine.cancelRun(cancelled, { kind: "node" }, { undo: false, reason: "no" });
  await made.site.advance(2000);
  expect(made.engine.schedule().effects).toEqual({ active: 0, activeMax: 1, waiting: 0 });
  expect((await made.run(program([step("d", act("put", "d"))]))).status).toBe("finished");
});

test("G11 a session begins so many effects a minute, and another session as many", async () => {
  const made = rig({ options: { actionsPerMinuteMax: 2 } });
  const two = program(chain(step("a", act("put", "a")), step("b", act("put", "b"))));
  const of = (session: string) => ({ event: { ...event(), session } });
  expect((await made.run(two, of("s1"))).status).toBe("finished");
  const refused = await made.run(two, of("s1"));
  expect(refused).toMatchObject({
    status: "failed",
    fault: {
      code: "gate.rate",
      facts: { what: "effects of one session", count: 2, countMax: 2, retryAfterMs: 60_000 },
    },
  });
  expect((await made.run(two, of("s2"))).status).toBe("finished");
  await made.site.advance(60_000);
  expect((await made.run(two, of("s1"))).status).toBe("finished");
});

test("G11 a capability is begun so many times a minute, and what is taken back is not counted", async () => {
  const site = rig().site;
  const limited = site.modules.all().map((each) => ({ ...each, perMinuteMax: 1 }));
  const modules = {
    ...site.modules,
    all: () => limited,
    find: (id: string) => limited.find((each) => each.id === id),
  };
  const made = rig({ site, options: { modules } });
  const twice = program(
    chain(step("a", act("put", "a")), step("b", act("put", "b"), { failure: policies.compensate })),
  );
  expect(await made.run(twice)).toMatchObject({ status: "rolled_back", fault: { code: "gate.rate" } });
});

test("B4 a start that is refused is told when a place is likely, by what was measured", async () => {
  const made = rig({ options: { runsActiveMax: 4 } });
  const hashed = program([wait("w", 300)]);
  const refusal = (): unknown => {
    try {
      made.start(hashed);
      return null;
    } catch (error) {
      return error;
    }
  };
  for (let i = 0; i < 4; i++) made.start(hashed);
  expect(refusal()).toMatchObject({ code: "runtime.busy", facts: { retryAfterMs: 1000, activeMax: 4 } });
  const entries = made.ledger.entries().length;
  refusal();
  expect(made.ledger.entries().length).toBe(entries);
  await made.site.advance(300);
  for (let i = 0; i < 4; i++) {
    made.start(hashed);
    await made.site.advance(100);
  }
  await made.site.advance(100);
  while (refusal() === null);
  const { endsPerSecond, retryAfterMs } = made.engine.schedule();
  expect(refusal()).toMatchObject({ facts: { retryAfterMs } });
  expect(retryAfterMs).toBeGreaterThan(20);
  expect(retryAfterMs).toBeLessThan(200);
  expect(endsPerSecond).toBeGreaterThan(5);
});

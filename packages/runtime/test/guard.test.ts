import { expect, test } from "vitest";
import { capabilityId, roleName, slotName, type RunId } from "@writ/core/ids";
import type { FailurePolicy, Guard, HashedProgram, Operands, TimeWindow } from "@writ/core/program";
import { decimal, decimalText, type Value } from "@writ/core/value";
import { foldRegistry } from "@writ/runtime/registry";
import type { MemoryLedger } from "@writ/testkit/memory-ledger";
import { simulatedSite, type SimulatedSite } from "@writ/testkit/simulated-modules";
import { simulatedPlant, type SimulatedPlant } from "@writ/testkit/simulated-plant";
import { computeOperands } from "../src/machine/operands.ts";
import { accountant, chain, literal, owner, program, rig, step, text, type Rig } from "./support.ts";

interface PlantRig extends Rig {
  readonly plant: SimulatedPlant;
}

function plantRig(
  given: {
    readonly site?: SimulatedSite;
    readonly ledger?: MemoryLedger;
    readonly plant?: SimulatedPlant;
    readonly programs?: Map<string, HashedProgram>;
    readonly notify?: () => Promise<void>;
  } = {},
): PlantRig {
  const site = given.site ?? simulatedSite();
  const plant = given.plant ?? simulatedPlant(site.world);
  const { notify } = given;
  const made = rig({
    site,
    ...(given.ledger === undefined ? {} : { ledger: given.ledger }),
    ...(given.programs === undefined ? {} : { programs: given.programs }),
    options: {
      modules: plant.modulesWith(site.modules),
      ...(notify === undefined ? {} : { notifier: { notify } }),
    },
  });
  made.ledger.subscribe((entries) => {
    for (const entry of entries) made.registry = foldRegistry(made.registry, entry);
  });
  return Object.assign(made, { plant });
}

/** The node after a crash: the plant, the ledger and the time are what they were. */
async function restarted(before: PlantRig, downMs = 0): Promise<PlantRig> {
  before.site.setReach(() => true);
  await before.engine.stop();
  await before.site.advance(downMs);
  const { site, ledger, plant, programs } = before;
  const after = plantRig({ site, ledger, plant, programs });
  await after.engine.recover();
  return after;
}

const always: TimeWindow = { fromMinute: 0, toMinute: 0, days: [], zone: "Europe/Paris" };
const readBack = (change: Partial<NonNullable<Guard["readBack"]>> = {}): NonNullable<Guard["readBack"]> => ({
  capability: capabilityId("plant.read_valve@1.0.0"),
  params: { valve: literal("valve-1") },
  check: "abs(result.position - 80) <= tolerance",
  tolerance: decimal("0.5"),
  pollMs: 500,
  timeoutMs: 10_000,
  ...change,
});
const guarded = (change: Guard = {}): Guard => ({
  preconditions: ["true"],
  window: { window: always, outside: "refuse", queueMs: 0 },
  readBack: readBack(),
  ...change,
});
const countdown = (
  change: Partial<NonNullable<Guard["countdown"]>> = {},
): NonNullable<Guard["countdown"]> => ({
  ms: 30_000,
  role: roleName("accountant"),
  requiresAcknowledgment: false,
  onMissed: "abort",
  ...change,
});

function move(
  guard: Guard | undefined,
  given: {
    readonly capability?: string;
    readonly params?: Operands;
    readonly failure?: FailurePolicy;
    readonly before?: Parameters<typeof chain>[0][];
  } = {},
): HashedProgram {
  const { capability = "set_valve", failure } = given;
  const params = given.params ?? { valve: literal("valve-1"), position: literal(decimal(80)) };
  return program(
    [
      step(
        "move",
        {
          op: "call",
          capability: capabilityId(`plant.${capability}@1.0.0`),
          params,
          output: slotName("moved"),
          compensation: null,
          ...(guard === undefined ? {} : { guard }),
        },
        failure === undefined ? {} : { failure },
      ),
    ],
    { format: 2 },
  );
}

const to = (position: Value): Operands => ({ valve: literal("valve-1"), position: literal(position) });
const ended = (r: Rig, run: RunId) => r.engine.state(run)?.ended;
const entriesOf = (r: Rig, run: RunId, kind: string) =>
  r.ledger.entries().filter((entry) => entry.run === run && entry.kind === kind);
const until = (r: Rig, run: RunId, phase: string) =>
  r.site.runUntil(() => r.engine.state(run)?.steps.get(moveStep)?.phase.kind === phase, 0);
const untilHeld = (r: Rig, run: RunId) =>
  r.site.runUntil(() => r.engine.state(run)?.steps.get(moveStep)?.phase.kind === "held");
const moveStep = step("move", { op: "eval", expression: "1", output: slotName("x") }).id;

test("K33 an effect is reported done only when the read-back agrees", async () => {
  const r = plantRig();
  const run = r.start(move(guarded()));
  await until(r, run, "read-back");
  expect(r.status(run, "move")).toBe("RUNNING");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(r.plant.position("valve-1")).toBe(80);
  const [completed] = entriesOf(r, run, "effect.completed");
  expect(completed?.facts).toMatchObject({ evidence: "commanded", labels: ["simulated"] });
  const readings = entriesOf(r, run, "guard.read-back");
  expect(readings.at(-1)?.facts).toMatchObject({ outcome: "observed" });
  expect((await r.engine.replay(run)).divergence).toBeNull();
});

test("K36 a stuck valve fails the step with the last reading, and the rollback runs", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "stuck" });
  const outcome = await r.run(move(guarded(), { failure: { kind: "compensate" } }));
  expect(outcome).toMatchObject({ status: "rolled_back", fault: { code: "guard.not-observed" } });
  const reading = outcome.fault?.facts["reading"];
  expect(JSON.stringify(reading)).toContain("0");
  expect(r.plant.commands.map(({ capability, value }) => [capability, value])).toEqual([
    ["plant.set_valve", "80"],
    ["plant.restore_valve", "0"],
  ]);
});

test("B10 a stuck valve is recorded with its first and last reading only", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "stuck" });
  const run = r.start(move(guarded()));
  await r.site.runUntil(() => ended(r, run) !== null);
  const polls = entriesOf(r, run, "guard.read-back").map(({ facts }) => ("poll" in facts ? facts.poll : 0));
  expect(polls).toEqual([1, 21]);
});

test("B12 a lost acknowledgement is settled by the read-back: what it shows was done", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded()));
  await until(r, run, "read-back");
  expect(r.status(run, "move")).toBe("UNKNOWN");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(new Set(r.plant.commands.map(({ key }) => key)).size).toBe(1);
  expect(entriesOf(r, run, "effect.held")[0]?.facts).toMatchObject({ readBack: true });
  expect(entriesOf(r, run, "guard.read-back").at(-1)?.facts).toMatchObject({ outcome: "observed" });
  expect(entriesOf(r, run, "effect.completed")).toEqual([]);
  expect((await r.engine.replay(run)).divergence).toBeNull();
});

test("B12 an unknown outcome that is being read back goes on after a restart", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded()));
  await until(r, run, "read-back");
  const after = await restarted(r, 1000);
  await after.site.runUntil(() => ended(after, run) !== null);
  expect(ended(after, run)).toMatchObject({ status: "finished" });
});

test("B12 cancelling while an unknown outcome is read back leaves it held", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded({ readBack: readBack({ check: "result.position == 99" }) })));
  await until(r, run, "read-back");
  await r.engine.cancelRun(run, owner, { reason: "no", undo: false });
  await untilHeld(r, run);
  expect(r.status(run, "move")).toBe("HELD");
  await r.engine.settle(run, moveStep, "done", owner, null);
  expect(entriesOf(r, run, "effect.settled")[0]?.facts).toMatchObject({ evidence: "commanded" });
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "cancelled" });
});

test("B13 a person's done is read back: held again until the world shows it", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded({ readBack: readBack({ check: "result.position == 42" }) })));
  await untilHeld(r, run);
  await r.engine.settle(run, moveStep, "done", owner, null);
  await untilHeld(r, run);
  expect(r.engine.state(run)?.steps.get(moveStep)?.phase).toMatchObject({
    reason: expect.stringContaining("a person said that it was done; its read-back does not show it"),
  });
  r.plant.turn("valve-1", 42);
  await r.engine.settle(run, moveStep, "done", owner, null);
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect((await r.engine.replay(run)).divergence).toBeNull();
});

test("K33 a lost acknowledgement is never called done: tried again with the same key, read back, then held", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded({ readBack: readBack({ check: "result.position == 42" }) })));
  await r.site.runUntil(() => r.engine.state(run)?.steps.get(moveStep)?.phase.kind === "held");
  expect(new Set(r.plant.commands.map(({ key }) => key)).size).toBe(1);
  expect(ended(r, run)).toBeNull();
});

test("B2 a sensor that lies for one reading is not enough for another check, and one that is dead is no reading", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "dead-sensor" });
  const outcome = await r.run(move(guarded()));
  expect(outcome.fault).toMatchObject({ code: "guard.not-observed", facts: { reading: null } });
});

test("B11 a single sensor that lies is believed: the run says observed, and the valve stands still", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lying-sensor" });
  const run = r.start(move(guarded()));
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(entriesOf(r, run, "guard.read-back").at(-1)?.facts).toMatchObject({ outcome: "observed" });
  // It was asked before the valve had moved, and said that it had.
  expect(r.plant.position("valve-1")).toBeLessThan(80);
});

test("B9 the target stays locked while it is read back", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "slow", percentPerSecond: 20 });
  const first = r.start(move(guarded()));
  const second = r.start(
    move(guarded({ readBack: readBack({ check: "result.position == 10" }) }), { params: to(decimal(10)) }),
  );
  await r.site.runUntil(() => ended(r, first) !== null && ended(r, second) !== null);
  expect(ended(r, first)).toMatchObject({ status: "finished" });
  expect(ended(r, second)).toMatchObject({ status: "finished" });
});

test("B2 a read-back goes on after a restart", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "slow", percentPerSecond: 20 });
  const run = r.start(move(guarded()));
  await until(r, run, "read-back");
  const after = await restarted(r, 1000);
  await after.site.runUntil(() => ended(after, run) !== null);
  expect(ended(after, run)).toMatchObject({ status: "finished" });
  expect(after.plant.commands).toHaveLength(1);
});

test.each([
  ["precondition", guarded({ preconditions: [] }), "set_valve"],
  ["window", { preconditions: ["true"], readBack: readBack() }, "set_valve"],
  [
    "check",
    { preconditions: ["true"], window: { window: always, outside: "refuse", queueMs: 0 } },
    "set_valve",
  ],
  ["check", guarded({ readBack: readBack({ check: "1 == 1" }) }), "set_valve"],
] as const)("K35 a step without its %s is refused by the gate", async (missing, guard, capability) => {
  const r = plantRig();
  const made: Guard = guard;
  const outcome = await r.run(move(made, { capability }));
  expect(outcome.fault).toMatchObject({ code: "guard.missing", facts: { missing: [missing] } });
  expect(r.plant.commands).toEqual([]);
});

test.each(["safe_value", "continue"] as const)(
  "G11 the policy %s is refused for what moves",
  async (kind) => {
    const r = plantRig();
    const failure: FailurePolicy =
      kind === "continue" ? { kind } : { kind, value: { position: decimal(80) } };
    const run = r.start(move(guarded(), { failure }));
    await r.site.runUntil(() => ended(r, run) !== null);
    const refused = entriesOf(r, run, "effect.refused")[0];
    expect(refused?.facts).toMatchObject({ fault: { code: "guard.missing" } });
    expect(r.plant.commands).toEqual([]);
  },
);

test("B3 a precondition that does not hold refuses, and one that cannot be computed too", async () => {
  for (const condition of ["event.level < 5", "event.missing < 5"]) {
    const r = plantRig();
    const event = {
      specversion: "1.0",
      id: "e1",
      source: "/s",
      type: "t",
      time: "2026-01-01T00:00:00.000Z",
      data: { level: 7 },
    } as never;
    const outcome = await r.run(
      move(guarded({ preconditions: [condition.replace("event.", "event.data.")] })),
      { event },
    );
    expect(outcome.status).toBe("failed");
    expect(r.plant.commands).toEqual([]);
  }
});

test("B4 a value outside its range, or too far from the last one, is refused", async () => {
  const bound = (position: number) =>
    move(
      guarded({
        ranges: [{ param: "position", min: decimal(0), max: decimal(90), stepMax: decimal(50) }],
        readBack: readBack({ check: `abs(result.position - ${position}) <= tolerance` }),
      }),
      { params: to(decimal(position)) },
    );
  const r = plantRig();
  expect((await r.run(bound(91))).fault).toMatchObject({ code: "guard.range" });
  expect((await r.run(bound(30))).status).toBe("finished");
  const far = await r.run(bound(81));
  expect(far.fault?.code).toBe("guard.range");
  expect(decimalText(decimal(String(far.fault?.facts["before"])))).toBe("30");
  expect((await r.run(bound(80))).status).toBe("finished");
  // The last command is found again after a restart.
  const after = await restarted(r);
  expect((await after.run(bound(20))).fault?.code).toBe("guard.range");
  expect((await after.run(bound(40))).status).toBe("finished");
});

test("B6 a cooldown and a frequency hold per target, and over a restart", async () => {
  const limited = (cooldownMs: number, perMinuteMax: number) =>
    move(guarded({ rate: { cooldownMs, perMinuteMax } }));
  const r = plantRig();
  await r.run(limited(120_000, 10));
  const startMs = r.site.world.nowMs();
  const after = await restarted(r, 10_000);
  const run = after.start(limited(120_000, 10));
  await until(after, run, "postponed");
  await after.site.runUntil(() => ended(after, run) !== null);
  expect(ended(after, run)).toMatchObject({ status: "finished" });
  expect(after.site.world.nowMs() - startMs).toBeGreaterThanOrEqual(110_000);
  const often = plantRig();
  for (let i = 0; i < 3; i++) await often.run(limited(0, 3));
  const fourth = often.start(limited(0, 3));
  await until(often, fourth, "postponed");
  expect(often.status(fourth, "move")).toBe("WAITING");
});

test("K38 a step queues until its window opens, and all checks run again", async () => {
  const r = plantRig();
  // 2026-01-01T00:00:00Z is 01:00 in Paris.
  const window: TimeWindow = { ...always, fromMinute: 120, toMinute: 180 };
  const run = r.start(move(guarded({ window: { window, outside: "queue", queueMs: 7_200_000 } })));
  await until(r, run, "postponed");
  const after = await restarted(r, 60_000);
  await after.site.runUntil(() => ended(after, run) !== null, 7_200_000);
  expect(ended(after, run)).toMatchObject({ status: "finished" });
  expect(after.plant.commands[0]?.atMs).toBe(Date.parse("2026-01-01T01:00:00Z"));
});

test("B5 outside its window a step is refused, skipped, or refused for waiting too long", async () => {
  const window: TimeWindow = { ...always, fromMinute: 120, toMinute: 180 };
  const r = plantRig();
  const of = (outside: "refuse" | "skip" | "queue") =>
    move(guarded({ window: { window, outside, queueMs: 60_000 } }));
  expect((await r.run(of("refuse"))).fault?.code).toBe("guard.window");
  expect((await r.run(of("queue"))).fault?.code).toBe("guard.window");
  const run = r.start(of("skip"));
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(r.status(run, "move")).toBe("SKIPPED");
  expect(r.plant.commands).toEqual([]);
});

test("B1 a countdown passes at its end and not before", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  expect(r.engine.countdowns()).toMatchObject([{ run, step: "move", role: "accountant" }]);
  await r.site.advance(29_999);
  expect(r.plant.commands).toEqual([]);
  await r.site.advance(1);
  expect(r.plant.commands).toHaveLength(1);
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
});

test("B7 a clock that is set forward shortens no countdown", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  r.site.jump(3_600_000);
  await r.site.advance(20_000);
  expect(r.plant.commands).toEqual([]);
  await r.site.advance(10_000);
  // It ended long ago by the wall clock: it is announced again instead of done.
  expect(r.plant.commands).toEqual([]);
  expect(entriesOf(r, run, "guard.announced")).toHaveLength(2);
});

test("K40 a countdown is cancelled by its id while notifications are down", async () => {
  const r = plantRig({ notify: () => Promise.reject(new Error("the channel is down")) });
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  const id = r.engine.countdowns()[0]?.countdown ?? "";
  await r.engine.decideCountdown(id, "cancel", accountant, "somebody stands there");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "failed", fault: { code: "guard.cancelled" } });
  await r.site.advance(60_000);
  expect(r.plant.commands).toEqual([]);
  await expect(r.engine.decideCountdown(id, "cancel", accountant, "")).rejects.toMatchObject({
    code: "countdown.unknown",
  });
});

test("K40 a countdown goes on over a restart, and a cancelled one does not", async () => {
  const r = plantRig();
  const first = r.start(move(guarded({ countdown: countdown() })));
  const second = r.start(
    move(guarded({ countdown: countdown(), readBack: readBack({ params: { valve: literal("valve-2") } }) }), {
      params: { valve: literal("valve-2"), position: literal(decimal(80)) },
    }),
  );
  await r.site.runUntil(() => r.engine.countdowns().length === 2, 0);
  const cancelled = r.engine.countdowns().find(({ run }) => run === second)?.countdown ?? "";
  await r.engine.decideCountdown(cancelled, "cancel", owner, "");
  const after = await restarted(r, 10_000);
  expect(after.engine.countdowns().map(({ run }) => run)).toEqual([first]);
  await after.site.advance(19_000);
  expect(after.plant.commands).toEqual([]);
  await after.site.advance(2000);
  expect(after.plant.commands.map(({ device }) => device)).toEqual(["valve-1"]);
});

test("B7 a countdown that ended long before the node came back is announced again", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  const after = await restarted(r, 3_600_000);
  await after.site.advance(1000);
  expect(after.plant.commands).toEqual([]);
  expect(after.engine.countdowns()).toMatchObject([{ run }]);
});

test.each([
  ["abort", "failed", 0],
  ["execute", "finished", 1],
] as const)("B8 nobody acknowledges: %s ends %s", async (onMissed, status, commands) => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown({ requiresAcknowledgment: true, onMissed }) })));
  await r.site.runUntil(() => ended(r, run) !== null, 120_000);
  expect(ended(r, run)).toMatchObject({ status });
  expect(r.plant.commands).toHaveLength(commands);
});

test("B8 nobody acknowledges: the owners are asked once, then it is not done", async () => {
  const r = plantRig();
  const run = r.start(
    move(guarded({ countdown: countdown({ requiresAcknowledgment: true, onMissed: "escalate" }) })),
  );
  await until(r, run, "countdown");
  await r.site.advance(30_000);
  const [asked] = r.engine.countdowns();
  expect(asked).toMatchObject({ role: "owner", escalated: true });
  await expect(
    r.engine.decideCountdown(asked?.countdown ?? "", "acknowledge", accountant, ""),
  ).rejects.toMatchObject({ code: "countdown.wrong-role" });
  await r.site.advance(30_000);
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ fault: { code: "guard.missed" } });
  expect(r.plant.commands).toEqual([]);
});

test("B8 an acknowledged countdown still runs to its end, and is done then", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown({ requiresAcknowledgment: true }) })));
  await until(r, run, "countdown");
  await r.engine.decideCountdown(
    r.engine.countdowns()[0]?.countdown ?? "",
    "acknowledge",
    accountant,
    "seen",
  );
  await r.site.advance(20_000);
  expect(r.plant.commands).toEqual([]);
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(entriesOf(r, run, "guard.passed")[0]?.facts).toMatchObject({ why: "acknowledged" });
});

const drain = (change: Guard = {}) =>
  move(
    guarded({
      countdown: countdown(),
      readBack: readBack({
        capability: capabilityId("plant.read_tank@1.0.0"),
        params: { tank: literal("tank-1") },
        check: "result.level == 0",
        tolerance: null,
      }),
      ...change,
    }),
    { capability: "drain_tank", params: { tank: literal("tank-1"), litres: literal(decimal(5)) } },
  );

test("K112 no profile lets something critical go ahead without a person", async () => {
  const r = plantRig();
  const run = r.start(drain());
  await r.site.runUntil(() => r.engine.approvals().length === 1, 0);
  expect(r.plant.commands).toEqual([]);
  await r.engine.decideApproval(r.engine.approvals()[0]?.approval ?? ("" as never), "approve", owner, "");
  await until(r, run, "countdown");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(r.plant.commands).toHaveLength(1);
});

test("G11 something critical waits for its acknowledgment, whatever its guard says", async () => {
  const r = plantRig();
  const outcome = await r.run(
    drain({ countdown: countdown({ requiresAcknowledgment: true, onMissed: "execute" }) }),
  );
  expect(outcome.fault).toMatchObject({ code: "guard.missing", facts: { missing: ["acknowledgment"] } });
});

test("D3 an emergency stop takes away a countdown and a queue, and lets what leads to safety pass", async () => {
  const r = plantRig();
  const counting = r.start(move(guarded({ countdown: countdown() })));
  const window: TimeWindow = { ...always, fromMinute: 120, toMinute: 180 };
  const queued = r.start(move(guarded({ window: { window, outside: "queue", queueMs: 7_200_000 } })));
  await r.site.runUntil(() => r.engine.countdowns().length === 1, 0);
  await until(r, queued, "postponed");
  const stopped = await r.engine.emergencyStop({ kind: "target", name: "valve-1" }, owner, "water");
  expect(stopped.cancelled.map(({ run }) => run).sort()).toEqual([counting, queued].sort());
  await r.site.advance(7_200_000);
  expect(r.plant.commands).toEqual([]);
  expect(ended(r, counting)).toMatchObject({ fault: { code: "gate.emergency-stop" } });
  const closing = await r.run(
    move(undefined, { capability: "close_valve", params: { valve: literal("valve-1") } }),
  );
  expect(closing.status).toBe("finished");
});

test("B1 a run that is cancelled during a countdown does nothing", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  await r.engine.cancelRun(run, owner, { undo: false, reason: "no" });
  await r.site.advance(60_000);
  expect(ended(r, run)).toMatchObject({ status: "cancelled" });
  expect(r.status(run, "move")).toBe("ABORTED");
  expect(r.plant.commands).toEqual([]);
});

test("B2 a run that is cancelled during a read-back ends failed at that step, and takes it back", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "slow", percentPerSecond: 10 });
  const run = r.start(move(guarded()));
  await until(r, run, "read-back");
  await r.engine.cancelRun(run, owner, { undo: true, reason: "no" });
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "rolled_back" });
  expect(r.plant.commands.map(({ capability }) => capability)).toEqual([
    "plant.set_valve",
    "plant.restore_valve",
  ]);
  expect((await r.engine.replay(run)).divergence).toBeNull();
});

test("B3 an expression over slots decides, and what it reads from is a say in the step", async () => {
  const r = plantRig();
  const made = program(
    chain(
      step("read", {
        op: "load",
        capability: capabilityId("plant.read_tank@1.0.0"),
        params: { tank: literal("tank-1") },
        output: slotName("tank"),
        freshnessMsMax: null,
      }),
      step("move", {
        op: "call",
        capability: capabilityId("plant.set_valve@1.0.0"),
        params: { valve: literal("valve-1"), position: text("80") },
        output: null,
        compensation: null,
        guard: guarded({ preconditions: ["tank.celsius < 60"] }),
      }),
    ),
    { format: 2 },
  );
  const run = r.start(made);
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(r.engine.state(run)?.steps.get(moveStep)?.control).toEqual(["simulated"]);
  r.plant.heat("tank-1", 90);
  expect((await r.run(made)).fault?.code).toBe("guard.precondition");
});

test("B7 whenever the node stops, an announced effect is done once, and never before its countdown has ended", async () => {
  for (const [stopAtMs, downMs] of [
    [0, 0],
    [0, 29_999],
    [10_000, 25_000],
    [29_999, 0],
    [29_999, 1],
    [30_000, 5000],
    [30_500, 0],
    [31_600, 1000],
  ] as const) {
    const r = plantRig();
    const startMs = r.site.world.nowMs();
    const run = r.start(move(guarded({ countdown: countdown() })));
    await until(r, run, "countdown");
    await r.site.advance(stopAtMs);
    const after = await restarted(r, downMs);
    await after.site.runUntil(() => entriesOf(after, run, "run.ended").length === 1, 120_000);
    expect(entriesOf(after, run, "run.ended")[0]?.facts).toMatchObject({ status: "finished" });
    expect(after.plant.commands).toHaveLength(1);
    expect((after.plant.commands[0]?.atMs ?? 0) - startMs).toBeGreaterThanOrEqual(30_000);
    expect((await after.engine.replay(run)).divergence).toBeNull();
  }
});

test("B7 while a run is paused its countdown does nothing, and goes on when it is resumed", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  await r.engine.pauseRun(run, owner, "wait");
  await r.site.advance(40_000);
  expect(r.plant.commands).toEqual([]);
  await r.engine.resumeRun(run, owner, "go on");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(ended(r, run)).toMatchObject({ status: "finished" });
  expect(r.plant.commands).toHaveLength(1);
});

test("B1 a person skips a step that is announced", async () => {
  const r = plantRig();
  const run = r.start(move(guarded({ countdown: countdown() })));
  await until(r, run, "countdown");
  await r.engine.skipStep(run, moveStep, owner, "not now");
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(r.status(run, "move")).toBe("SKIPPED");
  await r.site.advance(60_000);
  expect(r.plant.commands).toEqual([]);
});

test("K42 a run that a simulation did anything of says so in its result and in how it ended, a real one does not", async () => {
  const r = plantRig();
  r.plant.trouble("valve-1", { kind: "lost-acknowledgement" });
  const run = r.start(move(guarded()));
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(r.engine.state(run)?.simulated).toBe(true);
  expect(await r.engine.ended(run)).toMatchObject({ status: "finished", simulated: true });
  expect(entriesOf(r, run, "effect.intended")[0]?.facts).toMatchObject({ simulated: true });
  expect(entriesOf(r, run, "run.ended")[0]?.facts).toMatchObject({ simulated: true });
  const after = await restarted(r);
  expect(await after.engine.ended(run)).toMatchObject({ simulated: true });
  expect((await after.engine.replay(run)).divergence).toBeNull();
  const real = plantRig();
  const other = await real.run(
    program([step("one", { op: "eval", expression: "1", output: slotName("x") })]),
  );
  expect(other).not.toHaveProperty("simulated");
});

test("C12 K42 a run that begins from what a simulation gave is simulated too", async () => {
  const r = plantRig();
  const run = r.start(program([step("one", { op: "eval", expression: "1", output: slotName("x") })]), {
    labels: ["simulated"],
  });
  await r.site.runUntil(() => ended(r, run) !== null);
  expect(entriesOf(r, run, "run.ended")[0]?.facts).toMatchObject({ simulated: true });
});

test("M1 a name that objects have of themselves is a name like any other in what a step is given", () => {
  const name = "__proto__";
  const operands: Operands = Object.fromEntries([[name, literal({ a: 1 })]]);
  const slots = new Map<string, never>();
  const { prepared } = plantRigState();
  const { value } = computeOperands(operands, { slots, prepared });
  expect(Object.keys(value)).toEqual([name]);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});

function plantRigState() {
  const r = plantRig();
  const run = r.start(program([step("one", { op: "eval", expression: "1", output: slotName("x") })]));
  const state = r.engine.state(run);
  if (state === undefined) throw new Error("it was started");
  return state;
}

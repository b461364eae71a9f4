import { expect, test } from "vitest";
import { stepId } from "@writ/core/ids";
import { runStatus } from "@writ/runtime/state";
import {
  act,
  askAccountant,
  call,
  chain,
  literal,
  owner,
  program,
  retry,
  rig,
  step,
  type Rig,
} from "./support.ts";

function restart(made: Rig): Rig {
  return rig({
    site: made.site,
    ledger: made.ledger.crash(),
    programs: made.programs,
    blobs: made.options.blobs,
  });
}

const statusOf = (made: Rig, run: Parameters<Rig["engine"]["state"]>[0]) => {
  const state = made.engine.state(run);
  return state === undefined ? undefined : runStatus(state);
};
const wait = (ms: number) => ({ op: "wait", until: { kind: "duration", ms } }) as const;
const effects = (made: Rig) => made.site.effects.map(({ name }) => name);

test("C1 a paused run lets what is under way finish and begins nothing until it is resumed", async () => {
  const made = rig();
  made.site.behave("a", { kind: "slow", ms: 3000 });
  const run = made.start(program(chain(step("a", act("put", "a")), step("b", act("put", "b")))));
  await made.site.advance(1000);
  await made.engine.pauseRun(run, owner, "look first");
  await expect(made.engine.pauseRun(run, owner, "")).rejects.toMatchObject({ code: "run.paused" });
  await made.site.advance(10_000);
  expect([made.status(run, "a"), made.status(run, "b"), statusOf(made, run)]).toEqual([
    "COMPLETED",
    "WAITING",
    "paused",
  ]);
  expect(effects(made)).toEqual(["a"]);
  await made.engine.resumeRun(run, owner, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["a", "b"]);
  await expect(made.engine.resumeRun(run, owner, "")).rejects.toMatchObject({ code: "run.ended" });
});

test("C1 a pause survives a crash; a wait that came due meanwhile fires at the resume", async () => {
  const made = rig();
  const run = made.start(program(chain(step("w", wait(60_000)), step("b", act("put", "b")))));
  await made.site.advance(1000);
  await made.engine.pauseRun(run, owner, "");
  const again = restart(made);
  await again.engine.recover();
  await again.site.advance(120_000);
  expect([statusOf(again, run), again.status(run, "w")]).toEqual(["paused", "RUNNING"]);
  await again.engine.resumeRun(run, owner, "");
  await again.site.advance(0);
  expect((await again.engine.ended(run)).status).toBe("finished");
});

for (const at of ["before", "after"] as const) {
  test(`C1 an effect under way at a pause and killed ${at} it was done is done once, and nothing follows`, async () => {
    const made = rig();
    made.site.behave("a", { kind: "slow", ms: 3000 });
    const run = made.start(program(chain(step("a", act("append", "a")), step("b", act("put", "b")))));
    await made.site.advance(1000);
    await made.engine.pauseRun(run, owner, "");
    made.site.setReach((point) => !point.startsWith(`${at} sim.append`));
    await made.site.advance(5000);
    made.site.setReach(() => true);
    const again = restart(made);
    await again.engine.recover();
    await again.site.advance(10_000);
    expect([again.status(run, "a"), again.status(run, "b")]).toEqual(["COMPLETED", "WAITING"]);
    await again.engine.resumeRun(run, owner, "");
    await again.site.advance(0);
    expect((await again.engine.ended(run)).status).toBe("finished");
    expect(effects(again)).toEqual(["a", "b"]);
  });
}

test("C1 the time limit of a run goes on while it is paused, and a cancellation ends the pause", async () => {
  const made = rig();
  const hashed = program(chain(step("w", wait(10_000)), step("b", act("put", "b"))), {
    runTimeoutMs: 60_000,
  });
  const [late, cancelled] = [made.start(hashed), made.start(hashed)];
  await made.site.advance(1000);
  await made.engine.pauseRun(late, owner, "");
  await made.engine.pauseRun(cancelled, owner, "");
  await made.engine.cancelRun(cancelled, owner, { undo: false, reason: "enough" });
  await made.site.advance(120_000);
  for (const run of [late, cancelled])
    expect(await made.engine.ended(run)).toMatchObject({ status: "cancelled" });
  expect(effects(made)).toEqual([]);
});

test("C1 an undo stands still while the run is paused, and loses nothing (K92)", async () => {
  const made = rig();
  made.site.behave("b", { kind: "slow", ms: 3000 });
  const run = made.start(
    program(chain(step("a", act("put", "a")), step("b", act("put", "b")), step("w", wait(60_000)))),
  );
  await made.site.advance(1000);
  await made.engine.cancelRun(run, owner, { undo: true, reason: "" });
  await made.engine.pauseRun(run, owner, "");
  await made.site.advance(10_000);
  expect([...made.site.files.keys()]).toEqual(["a", "b"]);
  const again = restart(made);
  await again.engine.recover();
  await again.site.advance(1000);
  expect([...again.site.files.keys()]).toEqual(["a", "b"]);
  await again.engine.resumeRun(run, owner, "");
  await again.site.advance(10_000);
  expect((await again.engine.ended(run)).status).toBe("rolled_back");
  expect(again.site.files.size).toBe(0);
});

test("C2 a change of priority is recorded and folded", async () => {
  const made = rig();
  const run = made.start(program([step("w", wait(60_000))]));
  await made.engine.setPriority(run, owner, "critical");
  expect(made.engine.state(run)?.priority).toBe("critical");
  const again = restart(made);
  await again.engine.recover();
  expect(again.engine.state(run)?.priority).toBe("critical");
});

test("C3 K96 a skipped step lets its dependents be skipped, and those that tolerate it run", async () => {
  const made = rig();
  const run = made.start(
    program([
      step("w", wait(60_000)),
      step("a", act("put", "a"), { after: ["w"] }),
      step("b", act("put", "b"), { after: ["a"] }),
      step("c", act("put", "c"), { after: ["a"], tolerates: ["a"] }),
    ]),
  );
  await made.site.advance(1000);
  await made.engine.skipStep(run, stepId("a"), owner, "not today");
  await expect(made.engine.skipStep(run, stepId("a"), owner, "")).rejects.toMatchObject({
    code: "run.order",
  });
  await made.site.advance(120_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(["a", "b", "c"].map((id) => made.status(run, id))).toEqual(["SKIPPED", "SKIPPED", "COMPLETED"]);
});

test("C3 a wait, a retry and a failure that waits for a person can be skipped; an effect under way cannot", async () => {
  const made = rig();
  made.site.behave("r", { kind: "fault", code: "sim.busy", times: 99, transient: true });
  made.site.behave("f", { kind: "fault", code: "sim.busy", times: 99, transient: true });
  made.site.behave("s", { kind: "slow", ms: 5000 });
  const run = made.start(
    program([
      step("w", wait(60_000)),
      step("r", act("put", "r"), { failure: retry(9, ["sim.busy"]) }),
      step("f", act("put", "f"), { failure: askAccountant() }),
      step("s", act("put", "s")),
      step("n", call("put", { name: literal("n"), text: literal("n") }), { after: ["w"] }),
    ]),
  );
  await made.site.advance(200);
  expect(["r", "f"].map((id) => made.status(run, id))).toEqual(["RETRYING", "FAILED"]);
  await expect(made.engine.skipStep(run, stepId("s"), owner, "no")).rejects.toMatchObject({
    code: "run.order",
  });
  for (const id of ["w", "r", "f"]) await made.engine.skipStep(run, stepId(id), owner, "go on");
  expect(made.engine.approvals()).toEqual([]);
  await made.site.advance(10_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(["w", "r", "f", "s", "n"].map((id) => made.status(run, id))).toEqual([
    "FAILED",
    "FAILED",
    "FAILED",
    "COMPLETED",
    "SKIPPED",
  ]);
  for (const id of ["w", "r", "f"])
    expect(made.engine.state(run)?.steps.get(stepId(id))?.outcome).toBe("skipped");
});

import { expect, test } from "vitest";
import { capabilityId, slotName, stepId, type RunId } from "@writ/core/ids";
import type { Event } from "@writ/core/event";
import type { Step, WaitUntil } from "@writ/core/program";
import type { ValueMap } from "@writ/core/value";
import { sessionKey } from "@writ/runtime/triggers";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import {
  act,
  chain,
  evaluate,
  each,
  event,
  finish,
  literal,
  loop,
  owner,
  program,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

const source = capabilityId("sim.seen@1.0.0");
const key = sessionKey("sim", source, {});
const minute = 60_000;

type Fields = Partial<Extract<WaitUntil, { kind: "event" }>> & {
  readonly missed?: "go-on" | "fail";
};
const waits = (
  id: string,
  { missed, ...fields }: Fields = {},
  shape: Parameters<typeof step>[2] = {},
): Step =>
  step(
    id,
    {
      op: "wait",
      until: { kind: "event", source, config: {}, type: null, filter: null, withinMs: minute, ...fields },
      output: slotName("came"),
      ...(missed === undefined ? {} : { missed }),
    },
    shape,
  );
const holds = (fields: Partial<Extract<WaitUntil, { kind: "condition" }>> = {}): Step =>
  step("w", {
    op: "wait",
    until: {
      kind: "condition",
      source,
      config: {},
      type: null,
      condition: "event.data.x > 5",
      holdMs: 10_000,
      withinMs: minute,
      down: "counts",
      ...fields,
    },
    output: slotName("came"),
  });
const answer = step("end", finish("came == null ? 'nothing' : string(came.data.x)"));

let seen = 0;
/** The source reports; resolves when the event is durable. */
async function comes(made: Rig, data: ValueMap, more: Partial<Event> = {}, at = key): Promise<void> {
  seen += 1;
  await made.engine.startTogether(
    {
      kind: "event.received",
      run: null,
      cause: null,
      actor: { kind: "node" },
      atMs: made.site.world.nowMs(),
      facts: {
        event: { ...event(data, `e${seen}`), ...more },
        workspace: "sim",
        labels: ["origin:file"],
        sourceKey: `${at}#${seen}`,
        cursor: {},
      },
    },
    [],
  ).durable;
  await made.site.advance(0);
}

const restart = (made: Rig): Rig =>
  rig({
    site: made.site,
    ledger: made.ledger.crash(),
    programs: made.programs,
    blobs: made.options.blobs,
  });
const ended = (made: Rig, run: RunId) => made.engine.state(run)?.ended;

test("J1 J2 a wait takes the first event that is recorded after it began and that its filter takes", async () => {
  const made = rig();
  await comes(made, { x: 9 });
  const run = made.start(
    program(chain(waits("w", { filter: "event.data.x > 5", type: "sim.event" }), answer)),
  );
  await made.site.advance(0);
  await comes(made, { x: 3 });
  await comes(made, { x: 8 }, { type: "sim.other" });
  await comes(made, { x: 8 }, {}, sessionKey("sim", source, { folder: "other" }));
  await comes(made, { y: 8 });
  expect(ended(made, run)).toBeNull();
  await comes(made, { x: 7 });
  expect(ended(made, run)).toMatchObject({ status: "finished", result: "7" });
  expect(made.engine.state(run)?.slots.get("came")?.labels).toEqual(["origin:file"]);
  const kinds = made.kinds();
  expect(kinds.indexOf("wait.matched")).toBe(kinds.lastIndexOf("event.received") + 1);
});

test("J2 a filter sees the run's slots beside the event", async () => {
  const made = rig();
  const body = [waits("w", { filter: "event.data.x == item" })];
  const run = made.start(program([step("l", loop(body, each(literal([1, 2]))))]));
  await made.site.advance(0);
  await comes(made, { x: 2 });
  await comes(made, { x: 1 });
  await comes(made, { x: 1 });
  expect(ended(made, run)).toBeNull();
  await comes(made, { x: 2 });
  expect(ended(made, run)).toMatchObject({ status: "finished" });
});

test("J4 nothing in time fails the step by its policy", async () => {
  const made = rig();
  const first = await made.run(program([waits("w")]));
  expect(first).toMatchObject({ status: "failed", fault: { code: "wait.timed-out" } });
  const other = { kind: "degrade", block: { steps: [step("alt", act("put", "alt"))] } } as const;
  const second = await made.run(program([waits("w", {}, { failure: other })]));
  expect(second.status).toBe("finished");
  expect(made.site.effects.map(({ name }) => name)).toEqual(["alt"]);
});

test("J1 an event and its match are one commit: killed at any point, the run has both or none", async () => {
  const hashed = program(chain(waits("w"), step("p", act("put", "a"))));
  for (let point = 1; point < 12; point++) {
    let reached = 0;
    const made = rig({ ledger: memoryLedger({ reach: () => ++reached <= point }) });
    const run = made.start(hashed);
    await made.site.advance(0);
    const told = comes(made, { x: 1 });
    await made.site.advance(0);
    void told.catch(() => undefined);
    const again = restart(made);
    const left = again.ledger.entries().map(({ kind }) => kind);
    expect([point, left.includes("wait.matched")]).toEqual([
      point,
      left.includes("event.received") && left.includes("wait.begun"),
    ]);
    if (!left.includes("run.started")) continue;
    await again.engine.recover();
    await again.site.advance(0);
    if (!left.includes("wait.matched")) await comes(again, { x: 1 });
    const status = again.ledger
      .entries()
      .flatMap((entry) => (entry.kind === "run.ended" ? [entry.facts.status] : []));
    expect([point, status]).toEqual([point, ["finished"]]);
    expect(again.site.effects).toHaveLength(1);
    expect(again.kinds(run).filter((kind) => kind === "wait.matched")).toHaveLength(1);
  }
});

test("J3 a condition must hold without interruption, each key on its own", async () => {
  const made = rig();
  const run = made.start(program(chain(holds(), answer)));
  await made.site.advance(0);
  await comes(made, { x: 6, key: "a" });
  await made.site.advance(6000);
  await comes(made, { x: 7, key: "b" });
  await comes(made, { x: 1, key: "a" });
  await made.site.advance(6000);
  expect(ended(made, run)).toBeNull();
  await comes(made, { x: 8, key: "b" });
  await made.site.advance(4000);
  // The event with which it began to hold.
  expect(ended(made, run)).toMatchObject({ status: "finished", result: "7" });
});

test("J3 time while the node was down counts, or the hold time begins again", async () => {
  for (const down of ["counts", "restarts"] as const) {
    const made = rig();
    const run = made.start(program(chain(holds({ down }), answer)));
    await made.site.advance(0);
    await comes(made, { x: 6 });
    await made.site.advance(4000);
    const again = restart(made);
    await made.site.advance(5000);
    const later = rig({ ...again, blobs: again.options.blobs });
    await later.engine.recover();
    await later.site.advance(2000);
    expect([down, ended(later, run) === null]).toEqual([down, down === "restarts"]);
    expect([down, later.kinds(run).includes("wait.missed")]).toEqual([down, down === "restarts"]);
    await later.site.advance(10_000);
    expect(ended(later, run)).toMatchObject({ status: "finished", result: "6" });
  }
});

test("J4 what came due while the node was down goes on or fails, as the step says, and is recorded", async () => {
  const outcomes = {
    "go-on": { status: "finished", result: "nothing" },
    fail: { status: "failed", fault: { code: "wait.missed" } },
    absent: { status: "failed", fault: { code: "wait.timed-out" } },
  } as const;
  for (const missed of ["go-on", "fail", "absent"] as const) {
    const made = rig();
    const run = made.start(program(chain(waits("w", missed === "absent" ? {} : { missed }), answer)));
    await made.site.advance(1000);
    const ledger = made.ledger.crash();
    await made.site.advance(2 * minute);
    const again = rig({ site: made.site, ledger, programs: made.programs, blobs: made.options.blobs });
    await again.engine.recover();
    await again.site.advance(0);
    expect(ended(again, run)).toMatchObject(outcomes[missed]);
    expect([missed, again.kinds(run).includes("wait.missed")]).toEqual([missed, missed !== "absent"]);
  }
});

test("J4 a time that passed while the node was down goes on late, or is missed where the step says so", async () => {
  for (const missed of ["go-on", "fail", null] as const) {
    const made = rig();
    const until = { kind: "duration", ms: 5000 } as const;
    const wait = step("w", { op: "wait", until, ...(missed === null ? {} : { missed }) });
    const run = made.start(program([wait]));
    await made.site.advance(1000);
    const ledger = made.ledger.crash();
    await made.site.advance(minute);
    const again = rig({ site: made.site, ledger, programs: made.programs, blobs: made.options.blobs });
    await again.engine.recover();
    await again.site.advance(0);
    expect([missed, ended(again, run)?.status]).toEqual([missed, missed === "fail" ? "failed" : "finished"]);
    expect([missed, again.kinds(run).includes("wait.missed")]).toEqual([missed, missed !== null]);
  }
});

test("J5 a run hears what another run of its workspace emits, once, with its labels", async () => {
  const made = rig();
  made.site.files.set("in", ["secretless"]);
  const hears = program(
    chain(waits("w", { source: null, type: "demo.done" }), step("end", finish("came.data.n"))),
  );
  const run = made.start(hears);
  await made.site.advance(0);
  const emit = step("e", { op: "emit", type: "demo.done", data: { n: text("event.data.n") } });
  const tells = program([emit]);
  await made.run(tells, { event: event({ n: 4 }), labels: ["origin:web"] });
  await made.site.advance(0);
  expect(ended(made, run)).toMatchObject({ status: "finished", result: 4 });
  expect(made.engine.state(run)?.slots.get("came")?.labels).toEqual(["origin:web"]);
  const kinds = made.kinds();
  expect(kinds.indexOf("wait.matched")).toBe(kinds.indexOf("event.emitted") + 1);
});

test("J5 what is secret is recorded and handed to nobody", async () => {
  const made = rig();
  const run = made.start(program([waits("w", { source: null })]));
  await made.site.advance(0);
  const emit = step("e", { op: "emit", type: "demo.done", data: { n: text("event.data.n") } });
  await made.run(program([emit]), { event: event({ n: 4 }), labels: ["secret"] });
  expect(made.kinds()).toContain("event.emitted");
  expect(made.engine.state(run)?.steps.get(stepId("w"))?.phase.kind).toBe("event");
});

test("J5 programs that start each other by their events come to an end", async () => {
  const made = rig();
  const emit = step("e", { op: "emit", type: "demo.ping", data: {} });
  const pings = program([emit]);
  made.programs.set(pings.hash, pings);
  made.engine.onEmitted((emitted, labels, workspace) => [
    {
      program: pings,
      event: emitted,
      labels,
      principal: { kind: "program", program: pings.hash },
      workspace,
    },
  ]);
  await made.run(pings);
  await made.site.advance(1000);
  const starts = made.ledger.entries().filter(({ kind }) => kind === "run.started");
  expect(starts).toHaveLength(16);
  expect(made.engine.active()).toEqual([]);
});

test("J1 E8 a run that is cancelled or paused hears as it should", async () => {
  const made = rig();
  const cancelled = made.start(program([waits("w")]));
  const paused = made.start(program(chain(waits("w"), step("p", act("put", "a")))));
  await made.site.advance(0);
  await made.engine.cancelRun(cancelled, owner, { undo: false, reason: "" });
  await made.engine.pauseRun(paused, owner, "");
  await comes(made, { x: 1 });
  expect(made.kinds(cancelled)).not.toContain("wait.matched");
  expect(made.kinds(paused)).toContain("wait.matched");
  expect(made.site.effects).toEqual([]);
  await made.engine.resumeRun(paused, owner, "");
  await made.site.advance(0);
  expect(made.site.effects).toHaveLength(1);
});

test("M3 what a filter read decides which event it is, and labels it", async () => {
  const made = rig();
  const hashed = program(
    chain(step("a", evaluate("event.data.code", "code")), waits("w", { filter: "event.data.x == code" })),
    { format: 2 },
  );
  const run = made.start(hashed, { event: event({ code: 3 }), labels: ["secret"] });
  await made.site.advance(0);
  await comes(made, { x: 3 });
  await made.site.advance(0);
  expect(made.engine.state(run)?.slots.get("came")?.labels).toContain("secret");
});

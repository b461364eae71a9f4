import { expect, test } from "vitest";
import { capabilityId, programHash } from "@writ/core/ids";
import type { EventSource, Sighting } from "@writ/core/ports";
import type { HashedProgram, Program, Trigger } from "@writ/core/program";
import { Type } from "@writ/core/schema";
import type { ValueMap } from "@writ/core/value";
import { foldRegistry, type Registry } from "@writ/runtime/registry";
import { createTriggers } from "@writ/runtime/triggers";
import { isInWindow } from "../src/triggers/windows.ts";
import { memoryLedger } from "@writ/testkit/memory-ledger";
import { simulatedSite } from "@writ/testkit/simulated-modules";
import {
  act,
  call,
  chain,
  event,
  finish,
  literal,
  owner,
  program,
  registry,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

const sourceId = capabilityId("sim.seen@1.0.0");

function simulatedSource() {
  const started: {
    config: ValueMap;
    cursor: ValueMap | null;
    report: (sighting: Sighting) => Promise<void>;
    seen: (key: string) => boolean;
  }[] = [];
  let stops = 0;
  const source: EventSource = {
    definition: {
      id: sourceId,
      summary: { en: "", fr: "" },
      config: Type.Object({}),
      event: Type.Object({}),
      phrases: { en: [], fr: [] },
      labels: ["origin:event"],
    },
    start(given) {
      started.push(given);
      return Promise.resolve({ stop: () => Promise.resolve(void (stops += 1)) });
    },
  };
  return { source, started, stops: () => stops };
}

const trigger = (change: Partial<Extract<Trigger, { kind: "source" }>> = {}): Trigger => ({
  kind: "source",
  source: sourceId,
  config: {},
  filter: null,
  holdMs: 0,
  throttleMs: 0,
  ...change,
});

const sighting = (key: string, data: ValueMap = {}): Sighting => ({
  event: event(data, `e-${key}`),
  cursor: { at: key },
  key,
});

async function armedRig(given: {
  readonly programs: readonly HashedProgram[];
  readonly on?: Rig;
  readonly max?: number;
}) {
  const heard = simulatedSource();
  const site = given.on?.site ?? simulatedSite();
  const modules = { ...site.modules, sources: () => [heard.source] };
  const ledger = given.on === undefined ? memoryLedger() : given.on.ledger.crash();
  const made = rig({
    site,
    ledger,
    options: { modules, ...(given.max === undefined ? {} : { runsActiveMax: given.max }) },
    registry: deployed(given.programs),
  });
  for (const each of given.programs) made.programs.set(each.hash, each);
  // The registry follows the ledger.
  ledger.subscribe((entries) => {
    made.registry = entries.reduce(foldRegistry, made.registry);
  });
  await made.engine.recover();
  const triggers = createTriggers({
    ledger,
    engine: made.engine,
    modules,
    registry: () => made.registry,
    world: site.world,
    loadProgram: made.options.loadProgram,
    seen: (key) =>
      ledger
        .entries()
        .slice(0, ledger.durableSeq() + 1)
        .some((entry) => entry.kind === "event.received" && entry.facts.sourceKey === key),
  });
  await triggers.sync();
  const report = async (given: Sighting) => {
    const reported = heard.started.at(-1)?.report(given);
    await site.advance(0);
    return reported;
  };
  return { ...heard, made, triggers, report, site };
}

function deployed(programs: readonly HashedProgram[]): Registry {
  const stored = { kind: "inline", value: null };
  return programs.reduce(
    (folded, { hash }) =>
      [
        {
          kind: "program.compiled",
          facts: {
            program: hash,
            bytes: stored,
            source: stored,
            certificate: stored,
            verdict: "proved",
            name: "p",
            workspace: "sim",
          },
        },
        { kind: "program.deployed", facts: { program: hash } },
      ].reduce(
        (each, entry) =>
          foldRegistry(each, { ...entry, run: null, atMs: 1, actor: { kind: "node" } } as never),
        folded,
      ),
    registry(),
  );
}

const set = (made: Rig, kind: string, hash: string) => {
  made.registry = foldRegistry(made.registry, {
    kind,
    facts: { program: programHash(hash), reason: "" },
    run: null,
    atMs: 2,
    actor: { kind: "node" },
  } as never);
};

const started = (made: Rig) => made.kinds().filter((kind) => kind === "run.started").length;
const counting = (change: Partial<Program> = {}) =>
  program([step("a", call("put", { name: literal("log"), text: text("event.id") }))], {
    trigger: trigger(),
    ...change,
  });

test("K80 T1 an event and the run it starts are one commit, and the run sees the event", async () => {
  const { made, report, site } = await armedRig({ programs: [counting()] });
  const before = made.ledger.commits();
  await report(sighting("1"));
  expect(made.kinds()).toEqual([
    "event.received",
    "run.started",
    "effect.intended",
    "effect.completed",
    "run.ended",
  ]);
  expect(made.ledger.commits()).toBe(before + 3);
  expect(made.ledger.crash(0).entries()).toHaveLength(5);
  expect(site.effects.map((effect) => effect.text)).toEqual(["e-1"]);
});

test("T2 a sighting is recorded once, also after a restart", async () => {
  const first = await armedRig({ programs: [counting()] });
  await first.report(sighting("1"));
  await first.report(sighting("1"));
  expect(started(first.made)).toBe(1);
  const second = await armedRig({ programs: [counting()], on: first.made });
  await second.report(sighting("1"));
  expect(started(second.made)).toBe(1);
  expect(second.started[0]?.seen("1")).toBe(true);
});

test("T3 events of a paused program are recorded and start nothing", async () => {
  const one = counting();
  const { made, report, triggers, stops } = await armedRig({ programs: [one] });
  set(made, "program.paused", one.hash);
  await report(sighting("1"));
  expect(made.kinds()).toEqual(["event.received"]);
  set(made, "program.resumed", one.hash);
  await report(sighting("2"));
  expect(started(made)).toBe(1);
  set(made, "program.undeployed", one.hash);
  await triggers.sync();
  expect([triggers.sessions(), stops()]).toEqual([[], 1]);
});

test("T4 a program that cannot be loaded is broken, the others are armed", async () => {
  const good = counting();
  const { made, triggers, report } = await armedRig({ programs: [good] });
  const unknown = programHash("f".repeat(64));
  made.registry = {
    ...made.registry,
    programs: new Map([...made.registry.programs, ...deployed([{ ...good, hash: unknown }]).programs]),
  };
  await triggers.sync();
  expect([...triggers.broken().keys()]).toEqual([unknown]);
  await report(sighting("1"));
  expect(started(made)).toBe(1);
});

test("T4 revoking a capability disarms the programs that use it", async () => {
  const one = counting({ capabilities: [capabilityId("sim.count@1.0.0")] });
  const { made, triggers } = await armedRig({ programs: [one] });
  made.registry = { ...made.registry, revokedCapabilities: new Map([["sim.count", "unsafe"]]) };
  await triggers.sync();
  expect(triggers.broken().get(one.hash)?.code).toBe("capability.revoked");
});

test("K30 T4 a program that this node cannot run is refused when it is armed, not when it runs", async () => {
  const one = counting({ capabilities: [capabilityId("grpc.call@1.0.0")] });
  const { triggers } = await armedRig({ programs: [one] });
  expect(triggers.broken().get(one.hash)?.code).toBe("capability.unknown");
  expect(triggers.sessions()).toEqual([]);
});

test("T6 one session serves every program that listens to the same thing", async () => {
  const {
    started: sessions,
    triggers,
    report,
    made,
  } = await armedRig({
    programs: [counting(), program([step("b", act("put", "b"))], { trigger: trigger() })],
  });
  expect([sessions.length, triggers.sessions().length]).toEqual([1, 1]);
  await report(sighting("1"));
  expect(started(made)).toBe(2);
});

test("T7 only events that the filter takes start a run; one it cannot read does not", async () => {
  const { made, report } = await armedRig({
    programs: [counting({ trigger: trigger({ filter: "event.data.n > 5" }) })],
  });
  await report(sighting("1", { n: 3 }));
  await report(sighting("2", { n: 7 }));
  await report(sighting("3", {}));
  expect(started(made)).toBe(1);
  expect(made.kinds().filter((kind) => kind === "event.received")).toHaveLength(3);
});

test("T8 a hold time must pass without interruption, for each key on its own", async () => {
  const { made, report, site } = await armedRig({
    programs: [counting({ trigger: trigger({ filter: "event.data.hot", holdMs: 60_000 }) })],
  });
  await report(sighting("1", { key: "a", hot: true }));
  await report(sighting("2", { key: "b", hot: true }));
  await site.advance(30_000);
  await report(sighting("3", { key: "b", hot: false }));
  await site.advance(31_000);
  expect(started(made)).toBe(1);
  await report(sighting("4", { key: "a", hot: true }));
  await site.advance(120_000);
  expect(started(made)).toBe(1);
});

test("K107 T8 a hold time that was running goes on after a restart, and one that fired does not fire again", async () => {
  const held = counting({ trigger: trigger({ filter: "event.data.hot", holdMs: 60_000 }) });
  const first = await armedRig({ programs: [held] });
  await first.report(sighting("1", { key: "a", hot: true }));
  await first.site.advance(30_000);
  const second = await armedRig({ programs: [held], on: first.made });
  await first.triggers.stop();
  await second.site.advance(31_000);
  expect(started(second.made)).toBe(1);
  const third = await armedRig({ programs: [held], on: second.made });
  await second.triggers.stop();
  await third.site.advance(120_000);
  expect(started(third.made)).toBe(1);
});

test("K107 T9 a throttled trigger is armed after a restart and keeps its time", async () => {
  const throttled = counting({ trigger: trigger({ throttleMs: 60_000 }) });
  const first = await armedRig({ programs: [throttled] });
  await first.report(sighting("1"));
  await first.report(sighting("2"));
  expect(started(first.made)).toBe(1);
  const second = await armedRig({ programs: [throttled], on: first.made });
  await second.report(sighting("3"));
  expect(started(second.made)).toBe(1);
  await second.site.advance(60_000);
  await second.report(sighting("4"));
  expect(started(second.made)).toBe(2);
});

test("K81 the slot of a program is free again when its run ends, in whatever way", async () => {
  const failing = program(chain(step("a", act("put", "a")), step("end", finish("1"))), {
    trigger: trigger(),
    concurrencyMax: 1,
  });
  const { made, report, site } = await armedRig({ programs: [failing] });
  site.behave("a", { kind: "fault", code: "sim.no", times: 2, transient: false });
  await report(sighting("1"));
  await report(sighting("2"));
  await report(sighting("3"));
  expect(made.kinds().filter((kind) => kind === "run.ended")).toHaveLength(3);
  expect(made.engine.active()).toEqual([]);
});

test("K81 a run that is cancelled gives its slot to the next, whether it had begun or still waited", async () => {
  const waiting = program(
    chain(
      step("w", { op: "wait", until: { kind: "duration", ms: 1000 } }),
      step("a", call("put", { name: literal("log"), text: text("event.id") })),
    ),
    { trigger: trigger(), concurrencyMax: 1 },
  );
  const { made, report, site } = await armedRig({ programs: [waiting] });
  for (const key of ["1", "2", "3", "4"]) await report(sighting(key));
  const [first, second, third] = made.engine.active().map(({ run }) => run);
  // The third still waits; the second begins when the first is gone.
  for (const run of [third, first, second]) {
    if (run !== undefined) await made.engine.cancelRun(run, owner, { undo: false, reason: "enough" });
  }
  await site.advance(1000);
  expect(site.effects.map((effect) => effect.text)).toEqual(["e-4"]);
  expect(made.engine.active()).toEqual([]);
});

test("K81 runs beyond the program's bound wait for their turn, in order", async () => {
  const waiting = program(
    chain(
      step("w", { op: "wait", until: { kind: "duration", ms: 1000 } }),
      step("a", call("put", { name: literal("log"), text: text("event.id") })),
    ),
    {
      trigger: trigger(),
      concurrencyMax: 1,
    },
  );
  const { made, report, site } = await armedRig({ programs: [waiting] });
  for (const key of ["1", "2", "3"]) await report(sighting(key));
  expect(started(made)).toBe(3);
  await site.advance(1000);
  expect(site.effects.map((effect) => effect.text)).toEqual(["e-1"]);
  await site.advance(2000);
  expect(site.effects.map((effect) => effect.text)).toEqual(["e-1", "e-2", "e-3"]);
});

test("T5 a source waits while the node is full, and its event is recorded with its run", async () => {
  const slow = program([step("w", { op: "wait", until: { kind: "duration", ms: 5000 } })], {
    trigger: trigger(),
  });
  const { made, report, site } = await armedRig({ programs: [slow], max: 1 });
  await report(sighting("1"));
  const second = report(sighting("2"));
  await site.advance(0);
  expect(started(made)).toBe(1);
  await site.advance(7000);
  await second;
  expect(started(made)).toBe(2);
});

test("K38 K39 a window across midnight in its own zone belongs to the day it began", () => {
  const night = { fromMinute: 22 * 60, toMinute: 6 * 60, days: [5], zone: "Europe/Paris" };
  const at = (iso: string) => isInWindow([night], new Date(iso).getTime());
  expect(at("2026-01-02T21:30:00Z")).toBe(true); // Friday 22:30 in Paris
  expect(at("2026-01-03T04:59:00Z")).toBe(true); // Saturday 05:59
  expect(at("2026-01-03T05:00:00Z")).toBe(false);
  expect(at("2026-01-02T20:59:00Z")).toBe(false);
  expect(at("2026-01-03T22:00:00Z")).toBe(false); // Saturday night
  // The night of the change to summer time: Sunday 29 March 2026, 02:00 becomes 03:00.
  const sunday = { ...night, days: [6] };
  expect(isInWindow([sunday], new Date("2026-03-29T03:59:00Z").getTime())).toBe(true); // 05:59 summer time
  expect(isInWindow([sunday], new Date("2026-03-29T04:00:00Z").getTime())).toBe(false);
});

test("T10 nothing starts outside the program's windows, and the event is recorded", async () => {
  const windows = [{ fromMinute: 8 * 60, toMinute: 18 * 60, days: [], zone: "Europe/Paris" }];
  const { made, report } = await armedRig({ programs: [counting({ windows })] });
  await report(sighting("1"));
  expect(made.kinds()).toEqual(["event.received"]);
});

test("J6 J1 the source of a wait stays open while its program is deployed, and what it reports is heard", async () => {
  const until = {
    kind: "event",
    source: sourceId,
    config: { folder: "x" },
    type: null,
    filter: null,
    withinMs: 60_000,
  } as const;
  const waiting = program(chain(step("w", { op: "wait", until }), step("p", act("put", "a"))));
  const { started: sessions, triggers, report, made } = await armedRig({ programs: [waiting] });
  expect([sessions.length, triggers.sessions().length]).toEqual([1, 1]);
  expect(sessions[0]?.config).toEqual({ folder: "x" });
  const run = made.start(waiting);
  await made.site.advance(0);
  await report(sighting("1"));
  await made.site.advance(0);
  expect(made.engine.state(run)?.ended?.status).toBe("finished");
  made.registry = registry();
  await triggers.sync();
  expect(triggers.sessions()).toEqual([]);
});

test("J5 a program whose trigger is an emitted event starts with it, in one commit, and only for its type", async () => {
  const reacts = (type: string) =>
    program([step("p", act("put", type))], {
      trigger: trigger({ source: capabilityId("writ.emitted@1.0.0"), config: { type } }),
    });
  const heard = simulatedSource();
  const emitted = {
    ...heard.source,
    definition: { ...heard.source.definition, id: capabilityId("writ.emitted@1.0.0") },
  };
  const programs = [reacts("demo.yes"), reacts("demo.no")];
  const site = simulatedSite();
  const modules = { ...site.modules, sources: () => [emitted] };
  const made = rig({ site, options: { modules }, registry: deployed(programs) });
  for (const each of programs) made.programs.set(each.hash, each);
  const triggers = createTriggers({
    ledger: made.ledger,
    engine: made.engine,
    modules,
    registry: () => made.registry,
    world: site.world,
    loadProgram: made.options.loadProgram,
    seen: () => false,
  });
  await triggers.sync();
  await made.run(program([step("e", { op: "emit", type: "demo.yes", data: {} })]));
  await site.advance(0);
  expect(site.effects.map(({ name }) => name)).toEqual(["demo.yes"]);
  const kinds = made.kinds();
  expect(kinds[kinds.indexOf("event.emitted") + 1]).toBe("run.started");
});

import { afterAll, expect, test } from "vitest";
import type { Capability, CapabilityDefinition } from "@writ/core/capability";
import { capabilityId, roleName } from "@writ/core/ids";
import type { FailurePolicy, Guard, Operand, Program } from "@writ/core/program";
import { decimal } from "@writ/core/value";
import { simulatedPlant } from "@writ/testkit/simulated-plant";
import { createVerifier } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import { call, catalog, cel, fixed, hashed, inSequence, load, program } from "./catalog.ts";

const solver = createZ3Solver();
const verifier = createVerifier({ solver });
afterAll(() => solver.close());

const plant = simulatedPlant({ monotonicMs: () => 0 });
/** A sensor whose contract says what it can show. */
const ranged = (definition: Capability): CapabilityDefinition => ({
  ...definition,
  result: {
    type: "object",
    properties: { position: { type: "number", minimum: 0, maximum: 100 } },
    required: ["position"],
    additionalProperties: false,
  } as never,
});
const hall = {
  ...catalog,
  capabilities: [
    ...catalog.capabilities,
    ...plant.capabilities.map((each) => (each.id.startsWith("plant.read_valve") ? ranged(each) : each)),
  ],
};

/** The same hall, whose sensor brings what somebody outside chose. */
const marked = (origin: "origin:web") => ({
  ...hall,
  capabilities: hall.capabilities.map((each) =>
    each.id.startsWith("plant.read_valve") ? { ...each, labels: [origin] } : each,
  ),
});

const guard = (change: Guard = {}): Guard => ({
  preconditions: ["true"],
  window: {
    window: { fromMinute: 480, toMinute: 1080, days: [], zone: "Europe/Paris" },
    outside: "refuse",
    queueMs: 0,
  },
  readBack: {
    capability: capabilityId("plant.read_valve@1.0.0"),
    params: { valve: fixed("valve-1") },
    check: "abs(result.position - 80) <= tolerance",
    tolerance: decimal("0.5"),
    pollMs: 500,
    timeoutMs: 10_000,
  },
  ...change,
});

async function verify(given: Given) {
  const verified = await verification(given);
  return verified.kind === "proved"
    ? []
    : verified.problems.map(({ code, message }) => `${code}: ${message}`);
}

interface Given {
  readonly guard?: Guard;
  readonly position?: Operand;
  readonly failure?: FailurePolicy;
  readonly action?: string;
  /** Origin of what the sensor shows. */
  readonly origin?: "origin:web";
}

async function verification(given: Given) {
  const action = given.action ?? "plant.set_valve";
  const params =
    action === "plant.drain_tank"
      ? { tank: fixed("tank-1"), litres: fixed(5) }
      : { valve: fixed("valve-1"), position: given.position ?? fixed(80) };
  const made = call("move", action, params);
  if (made.op.op !== "call") throw new Error("a call");
  const move = {
    ...made,
    op: { ...made.op, ...(given.guard === undefined ? {} : { guard: given.guard }) },
    failure: given.failure ?? made.failure,
  };
  const body = inSequence(load("before", "plant.read_valve", { valve: fixed("valve-1") }), move);
  const one: Program = {
    ...program(body),
    format: 2,
    capabilities: ["plant.read_valve@1.0.0", `${action}@1.0.0`].map(capabilityId).sort(),
  };
  return verifier.verify({
    program: hashed(one),
    catalog: given.origin === undefined ? hall : marked(given.origin),
    deployed: [],
  });
}

test("K35 a guarded move is proved, and one without a check is refused before it can run", async () => {
  expect(await verify({ guard: guard() })).toEqual([]);
  const { readBack: _, ...without } = guard();
  expect(await verify({ guard: without })).toEqual([
    expect.stringMatching(/^verifier.unguarded.*check of a read-back/),
  ]);
  const readBack = guard().readBack;
  if (readBack === undefined) throw new Error("there is one");
  const idle = guard({ readBack: { ...readBack, check: "1 == 1" } });
  expect(await verify({ guard: idle })).toEqual([expect.stringContaining("verifier.unguarded")]);
  expect(await verify({})).toHaveLength(3);
});

test("K35 what goes on as if it had moved is refused", async () => {
  for (const kind of ["continue", "safe_value"] as const) {
    const failure: FailurePolicy = kind === "continue" ? { kind } : { kind, value: { position: 80 } };
    expect(await verify({ guard: guard(), failure })).toContainEqual(expect.stringContaining(`\`${kind}\``));
  }
});

test("K112 something critical needs its countdown", async () => {
  const problems = await verify({ guard: guard(), action: "plant.drain_tank" });
  expect(problems).toContainEqual(expect.stringMatching(/^verifier.unguarded.*nothing announces it/));
  const countdown = {
    ms: 1000,
    role: roleName("owner"),
    requiresAcknowledgment: true,
    onMissed: "execute",
  } as const;
  const missed = await verify({ guard: guard({ countdown }), action: "plant.drain_tank" });
  expect(missed).toContainEqual(expect.stringMatching(/^verifier.unguarded.*onMissed/));
});

test("N2 a guard's range is proved for literals and ranged values, with a counterexample", async () => {
  const ranges = [{ param: "position", min: decimal(0), max: decimal(90), stepMax: null }];
  expect(await verify({ guard: guard({ ranges }), position: fixed(90) })).toEqual([]);
  expect(await verify({ guard: guard({ ranges }), position: fixed(91) })).toEqual([
    expect.stringMatching(/^verifier.parameter-range.*`position` 91.*above 90/),
  ]);
  expect(await verify({ guard: guard({ ranges }), position: cel("before.position * 0.9") })).toEqual([]);
  expect(await verify({ guard: guard({ ranges }), position: cel("before.position") })).toEqual([
    expect.stringMatching(/^verifier.parameter-range.*before.position = /),
  ]);
});

test("L3 a device is moved by untrusted data only inside an approval", async () => {
  const position = cel("before.position * 0.9");
  expect(await verify({ guard: guard(), position })).toEqual([]);
  expect(await verify({ guard: guard(), position, origin: "origin:web" })).toEqual([
    expect.stringMatching(/^verifier.untrusted-steering.*moves a device.*chooses its `position`/),
  ]);
  expect(await verify({ guard: guard(), origin: "origin:web" })).toEqual([]);
});

test("L4 the certificate says which single reading something critical rests on, and nothing of what is not", async () => {
  const rests = async (action: string) => {
    const { certificate } = await verification({ guard: guard(), action });
    return (certificate?.checks ?? [])
      .filter(({ check, verdict }) => check === 8 && verdict === "information")
      .map(({ claim }) => claim);
  };
  expect(await rests("plant.drain_tank")).toEqual([
    expect.stringMatching(/rests on one reading, `plant.read_valve@1.0.0`: a sensor that lies is believed/),
  ]);
  expect(await rests("plant.set_valve")).toEqual([]);
});

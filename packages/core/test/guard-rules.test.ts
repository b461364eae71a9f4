import { expect, test } from "vitest";
import type { CapabilityDefinition } from "@writ/core/capability";
import { isConsequential } from "@writ/core/consequence";
import { guardProblems, isActuator } from "@writ/core/guard-rules";
import { capabilityId, roleName } from "@writ/core/ids";
import type { FailurePolicy, Guard } from "@writ/core/program";

type Definition = Pick<CapabilityDefinition, "effect" | "resources" | "criticality" | "leadsToSafeState">;

const halt: FailurePolicy = { kind: "safe_halt" };
const valve = (criticality: Definition["criticality"], safe = false): Definition => ({
  effect: { kind: "irreversible", approval: "owner" },
  resources: [{ kind: "device", param: "valve", does: "replace" }],
  criticality,
  ...(safe ? { leadsToSafeState: true } : {}),
});
const whole: Guard = {
  preconditions: ["true"],
  window: {
    window: { fromMinute: 0, toMinute: 0, days: [], zone: "UTC" },
    outside: "refuse",
    queueMs: 0,
  },
  countdown: { ms: 1, role: roleName("owner"), requiresAcknowledgment: true, onMissed: "abort" },
  readBack: {
    capability: capabilityId("plant.read@1.0.0"),
    params: {},
    check: "result.open",
    tolerance: null,
    pollMs: 1,
    timeoutMs: 1,
  },
};
const missing = (definition: Definition, guard: Guard | undefined, failure: FailurePolicy = halt) =>
  guardProblems(definition, { guard, failure }).map((problem) => problem.missing);

test("I1 each level adds to what a step needs that moves something", () => {
  expect(missing(valve("safe"), undefined)).toEqual([]);
  expect(missing(valve("guarded"), undefined)).toEqual(["precondition"]);
  expect(missing(valve("controlled"), undefined)).toEqual(["precondition", "window", "check"]);
  expect(missing(valve("critical"), undefined)).toEqual(["precondition", "window", "check", "countdown"]);
  expect(missing(valve("critical"), whole)).toEqual([]);
  const countdown = {
    ms: 1,
    role: roleName("owner"),
    requiresAcknowledgment: true,
    onMissed: "execute",
  } as const;
  expect(missing(valve("critical"), { ...whole, countdown })).toEqual(["acknowledgment"]);
  expect(missing(valve("critical", true), undefined)).toEqual(["check"]);
});

test("I1 a file and a reading move nothing", () => {
  const file: Definition = {
    ...valve("critical"),
    resources: [{ kind: "file", param: "p", does: "replace" }],
  };
  const sensor: Definition = { ...valve("critical"), effect: { kind: "read" } };
  expect([isActuator(file), isActuator(sensor), isActuator(valve("safe"))]).toEqual([false, false, true]);
  expect(missing(file, undefined, { kind: "continue" })).toEqual([]);
});

test("I2 K35 a check that reads nothing, or cannot be read, is none", () => {
  const checked = (check: string) =>
    missing(
      valve("controlled"),
      whole.readBack === undefined ? {} : { ...whole, readBack: { ...whole.readBack, check } },
    );
  expect(checked("result.open == true")).toEqual([]);
  for (const check of ["true", "level == 3", "result.", ""]) expect(checked(check)).toEqual(["check"]);
});

test("I3 no value stands for what did not move, not even behind retries", () => {
  const retry = (then: FailurePolicy): FailurePolicy => ({
    kind: "retry",
    attemptsMax: 3,
    delayMs: 1,
    factor: 1,
    delayMsMax: 1,
    on: [],
    then,
  });
  expect(missing(valve("safe"), undefined, { kind: "continue" })).toEqual(["policy"]);
  expect(missing(valve("safe"), undefined, retry({ kind: "safe_value", value: 1 }))).toEqual(["policy"]);
  expect(missing(valve("safe"), undefined, retry(retry({ kind: "compensate" })))).toEqual([]);
});

test("I4 consequential is what cannot be taken back, reaches a host or a person, or moves a device", () => {
  const write = { effect: { kind: "write", undo: capabilityId("x.undo@1.0.0") } } as const;
  const read = { effect: { kind: "read" } } as const;
  expect(isConsequential({ effect: { kind: "irreversible", approval: "listed" } }, [])).toBe(true);
  for (const kind of ["host", "person"] as const)
    expect(isConsequential(read, [{ kind, does: "read" }])).toBe(true);
  expect(isConsequential(write, [{ kind: "device", does: "replace" }])).toBe(true);
  expect(isConsequential(write, [{ kind: "device", does: "read" }])).toBe(false);
  expect(isConsequential(read, [{ kind: "device", does: "replace" }])).toBe(false);
  expect(isConsequential(write, [{ kind: "file", does: "replace" }])).toBe(false);
});

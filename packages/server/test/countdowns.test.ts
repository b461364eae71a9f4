import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { capabilityId, eventId, roleName, stepId } from "@writ/core/ids";
import type { Guard, Program } from "@writ/core/program";
import { hashedProgram } from "@writ/core/program-codec";
import { decimal } from "@writ/core/value";
import { builtInModules } from "@writ/modules/registry";
import { simulatedPlant } from "@writ/testkit/simulated-plant";
import { systemWorld } from "../src/world.ts";
import { openTestNode, until, type TestNode } from "./harness.ts";

const plant = simulatedPlant(systemWorld);
let node: TestNode;
beforeEach(async () => {
  node = await openTestNode({ modules: plant.modulesWith(builtInModules()) });
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const countdown: NonNullable<Guard["countdown"]> = {
  ms: 600_000,
  role: roleName("accountant"),
  requiresAcknowledgment: true,
  onMissed: "abort",
};

const hall = {
  version: 1,
  name: "hall",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: {},
  files: {},
  roles: { accountant: {} },
  tables: {},
  hosts: [],
  devices: { "valve-1": { risk: "low" } },
  profile: "unrestricted",
};

async function addHall(): Promise<void> {
  const root = path.join(node.data, "hall");
  mkdirSync(root);
  writeFileSync(path.join(root, "workspace.json"), JSON.stringify(hall));
  await node.call("addWorkspace", { body: { root } });
}

/** A program that moves the valve, started beside the compile road: what is tested is what people are shown and may do. */
async function startMove(): Promise<string> {
  const { context } = node.node;
  const workspace = "hall";
  await addHall();
  const program: Program = {
    format: 2,
    trigger: { kind: "manual" },
    windows: [],
    priority: "normal",
    runTimeoutMs: 3_600_000,
    concurrencyMax: 10,
    capabilities: [],
    invariants: [],
    workspace: {
      name: workspace,
      zone: "Europe/Paris",
      profile: "",
      folders: [],
      files: [],
      roles: [],
      columns: [],
      hosts: [],
    },
    slots: [],
    body: {
      steps: [
        {
          id: stepId("close"),
          after: [],
          tolerates: [],
          failure: { kind: "safe_halt" },
          timeoutMs: null,
          op: {
            op: "call",
            capability: capabilityId("plant.close_valve@1.0.0"),
            params: { valve: { kind: "literal", value: "valve-1" } },
            output: null,
            compensation: null,
            guard: {
              countdown,
              rate: { cooldownMs: 0, perMinuteMax: 5 },
              readBack: {
                capability: capabilityId("plant.read_valve@1.0.0"),
                params: { valve: { kind: "literal", value: "valve-1" } },
                check: "result.position <= tolerance",
                tolerance: decimal("0.5"),
                pollMs: 100,
                timeoutMs: 5000,
              },
            },
          },
        },
      ],
    },
  };
  const hashed = hashedProgram(program, context.hasher);
  return context.engine.startRun({
    program: hashed,
    event: {
      specversion: "1.0",
      id: eventId("e1"),
      source: "/people/test",
      type: "test",
      time: "2026-01-01T00:00:00.000Z",
      data: {},
    },
    labels: [],
    principal: { kind: "program", program: hashed.hash },
    workspace,
  }).run;
}

test("S81 a countdown is shown as it is, and whoever has its role cancels it, an agent does not", async () => {
  const claire = await node.call("addPerson", { body: { id: "claire", roles: ["accountant"] } });
  const paul = await node.call("addPerson", { body: { id: "paul", roles: ["buyer"] } });
  const bot = await node.call("addPerson", { body: { id: "bot", roles: ["agent"] } });
  const run = await startMove();
  const shown = await until(
    async () => (await node.call("listCountdowns", { token: claire.token })).countdowns[0],
    "a countdown",
  );
  expect(shown).toMatchObject({
    run,
    step: "close",
    role: "accountant",
    mayCancel: true,
    effect: { capability: "plant.close_valve@1.0.0", targets: [{ kind: "device", name: "valve-1" }] },
  });
  expect(shown.effect.guard?.join("\n")).toContain("announced 600 s before to the accountant");
  const params = { countdown: shown.id };
  for (const [token, code] of [
    [paul.token, "countdown.wrong-role"],
    [bot.token, "auth.agent"],
  ] as const) {
    await expect(node.call("cancelCountdown", { params, body: {}, token })).rejects.toMatchObject({ code });
  }
  await node.call("acknowledgeCountdown", { params, body: {}, token: claire.token });
  const [seen] = (await node.call("listCountdowns")).countdowns;
  expect(seen?.acknowledgedBy).toBe("claire");
  await node.call("cancelCountdown", { params, body: { reason: "no" }, token: claire.token });
  const { engine } = node.node.context;
  await until(async () => (engine.active().length === 0 ? true : undefined), "the run's end");
  expect(plant.commands).toEqual([]);
});

const opening = (check: string) => ({
  name: "Open a little",
  body: [
    {
      id: "open",
      op: "call",
      capability: "plant.set_valve",
      params: { valve: "valve-1", position: { literal: 10 } },
      output: "opened",
      guard: {
        preconditions: ["true"],
        window: { window: { fromMinute: 0, toMinute: 0, days: [], zone: "Europe/Paris" } },
        countdown: { ms: 100, role: "accountant" },
        ranges: [{ param: "position", min: "0", max: "90" }],
        readBack: {
          capability: "plant.read_valve",
          params: { valve: "valve-1" },
          check,
          tolerance: "0.5",
          pollMs: 50,
          timeoutMs: 5000,
        },
      },
    },
  ],
});

const compile = (program: object) =>
  node.call("compileProgram", {
    body: { kind: "program", text: JSON.stringify(program), workspace: "hall" },
  });

test("K33 a guarded program goes the whole road: proved, shown, announced, moved and read back", async () => {
  await addHall();
  const compiled = await compile(opening("abs(result.position - 10) <= tolerance"));
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
  const { hash, graph } = compiled.program;
  expect(graph.text).toContain("done only when");
  await node.call("approveProgram", { params: { hash } });
  await node.call("deployProgram", { params: { hash } });
  const { run } = await node.call("startRun", { params: { hash }, body: {} });
  const ended = await until(async () => {
    const shown = await node.call("getRun", { params: { run } });
    return shown.endedAtMs === null ? undefined : shown;
  }, "the run's end");
  expect(ended.fault).toBeNull();
  expect(ended.status).toBe("finished");
  expect(plant.position("valve-1")).toBeCloseTo(10);
  const kinds = ended.entries.map(({ kind }) => kind);
  expect(kinds).toContain("guard.announced");
  expect(kinds.filter((kind) => kind === "guard.read-back").length).toBeGreaterThan(0);
  expect(await node.call("replayRun", { params: { run } })).toMatchObject({ agrees: true });
});

test("K35 a program whose read-back checks nothing is refused with the step", async () => {
  await addHall();
  const refused = await compile(opening("1 == 1"));
  if (refused.kind !== "refused") throw new Error(JSON.stringify(refused));
  expect(refused.counterexamples[0]).toMatchObject({ check: 8, path: ["open"] });
});

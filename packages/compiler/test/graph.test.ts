import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { drawGraph } from "@writ/compiler/graph";
import { compilePlan } from "@writ/compiler/plan";
import { capabilityId, roleName, slotName, stepId } from "@writ/core/ids";
import type { Block, FailurePolicy, Opcode, Program, Step } from "@writ/core/program";
import { decimal } from "@writ/core/value";
import { catalog } from "./plan-catalog.ts";

const golden = (name: string) => new URL(`golden/${name}.txt`, import.meta.url).pathname;

function compiled(name: string): Program {
  const text = readFileSync(new URL(`../../../examples/plans/${name}.json`, import.meta.url), "utf8");
  const result = compilePlan({ text, catalog });
  if (result.kind === "rejected") throw new Error(JSON.stringify(result.problems));
  return result.program;
}

const halt: FailurePolicy = { kind: "safe_halt" };
const step = (
  id: string,
  op: Opcode,
  after: readonly string[] = [],
  failure: FailurePolicy = halt,
): Step => ({
  id: stepId(id),
  after: after.map(stepId),
  tolerates: [],
  op,
  failure,
  timeoutMs: null,
});
const block = (...steps: readonly Step[]): Block => ({ steps });

/** Every opcode and every failure policy once. */
const everything: Program = {
  ...compiled("report"),
  trigger: {
    kind: "source",
    source: capabilityId("filesystem.file_arrived@1.0.0"),
    config: { folder: "inbox", pattern: "*.csv" },
    filter: 'event.data.name.endsWith(".csv")',
    holdMs: 300_000,
    throttleMs: 1500,
  },
  windows: [{ fromMinute: 1320, toMinute: 360, days: [1, 5], zone: "Europe/Paris" }],
  invariants: [
    { kind: "writes-within", paths: ["approved", "journal.csv"] },
    { kind: "never-writes", paths: ["inbox"] },
    { kind: "never-calls", capability: capabilityId("os_exec.run_command@1.0.0") },
    { kind: "never-sends" },
  ],
  body: block(
    step("read", {
      op: "load",
      capability: capabilityId("csv.aggregate@1.0.0"),
      params: {
        path: { kind: "expression", text: "event.data.path" },
        column: { kind: "literal", value: "amount" },
      },
      output: slotName("table"),
      freshnessMsMax: 60_000,
    }),
    step("net", { op: "eval", expression: 'table.sum * decimal("0.8")', output: slotName("net") }, ["read"], {
      kind: "safe_value",
      value: decimal("0.10"),
    }),
    step("valid", { op: "check", slot: slotName("net"), schema: { type: "number" } }, ["net"], {
      kind: "ask_person",
      role: roleName("accountant"),
      withinMs: 3_600_000,
    }),
    step(
      "decide",
      {
        op: "branch",
        arms: [
          {
            when: "net > 10000",
            block: block(
              step("ask", {
                op: "approve",
                role: roleName("accountant"),
                withinMs: 86_400_000,
                message: { kind: "literal", value: "Move\nit?\u202e" },
                body: block(
                  step("move", {
                    op: "call",
                    capability: capabilityId("filesystem.move_file@1.0.0"),
                    params: { to: { kind: "literal", value: "x".repeat(300) } },
                    output: null,
                    compensation: {
                      capability: capabilityId("filesystem.delete_file@1.0.0"),
                      params: { path: { kind: "literal", value: "approved/x" } },
                    },
                  }),
                ),
                otherwise: block(
                  step("refuse", {
                    op: "fail",
                    code: "invoice.refused",
                    message: { kind: "literal", value: "No" },
                  }),
                ),
              }),
            ),
          },
        ],
        otherwise: block(),
      },
      ["valid"],
      { kind: "skip" },
    ),
    step(
      "both",
      {
        op: "parallel",
        branches: [
          block(step("wait", { op: "wait", until: { kind: "duration", ms: 90_000 } })),
          block(
            step("until", {
              op: "wait",
              until: { kind: "time", at: { kind: "expression", text: "event.time" } },
            }),
          ),
        ],
        join: { kind: "quorum", count: 1 },
      },
      [],
      {
        kind: "degrade",
        block: block(
          step("tell", {
            op: "emit",
            type: "invoice.late",
            data: { sum: { kind: "expression", text: "net" } },
          }),
        ),
      },
    ),
    {
      ...step("end", { op: "finish", result: { kind: "expression", text: "net" } }, ["decide", "both"], {
        kind: "retry",
        attemptsMax: 3,
        delayMs: 500,
        factor: 1.5,
        delayMsMax: 64_000,
        on: ["http.timeout"],
        then: { kind: "compensate" },
      }),
      tolerates: [stepId("decide")],
    },
  ),
};

test("D1 the drawings of the examples are the golden ones", async () => {
  for (const name of ["report", "failing-late", "retry", "parallel", "own-rollback"]) {
    await expect(drawGraph(compiled(name))).toMatchFileSnapshot(golden(`graph-${name}`));
  }
});

test("D1 every opcode, policy, edge and invariant is drawn", async () => {
  await expect(drawGraph(everything)).toMatchFileSnapshot(golden("graph-everything"));
});

test("D2 what would not show, or would turn the text around, is drawn as its code", () => {
  expect(drawGraph(everything)).toContain("\\u{202e}");
  expect(drawGraph(everything)).not.toContain("\u202e");
});

test("D1 a guard is drawn with everything that it asks for", () => {
  const guarded = step("open", {
    op: "call",
    capability: capabilityId("plant.set_valve@1.0.0"),
    params: { position: { kind: "literal", value: decimal(80) } },
    output: null,
    compensation: null,
    guard: {
      preconditions: ["level < 5"],
      window: {
        window: { fromMinute: 1320, toMinute: 360, days: [1, 2], zone: "Europe/Paris" },
        outside: "queue",
        queueMs: 3_600_000,
      },
      countdown: {
        ms: 30_000,
        role: roleName("operator"),
        requiresAcknowledgment: true,
        onMissed: "escalate",
      },
      rate: { cooldownMs: 1500, perMinuteMax: 4 },
      ranges: [{ param: "position", min: decimal(0), max: decimal(90), stepMax: decimal("2.5") }],
      readBack: {
        capability: capabilityId("plant.read_valve@1.0.0"),
        params: { valve: { kind: "literal", value: "valve-1" } },
        check: "abs(result.position - 80) <= tolerance",
        tolerance: decimal("0.5"),
        pollMs: 500,
        timeoutMs: 10_000,
      },
    },
  });
  const drawn = drawGraph({ ...everything, body: block(guarded) }).replaceAll(/\s+/g, " ");
  for (const part of [
    "only if `level < 5`",
    "only from 22:00 to 06:00 on Monday, Tuesday, Europe/Paris; outside: queue for at most 3600 s",
    "announced 30 s before to the operator, who may cancel it; without an acknowledgment: escalate",
    "at most 4 times a minute, 1.5 s apart",
    "`position` at least 0, at most 90, in steps of at most 2.5",
    '(valve = "valve-1") shows `abs(result.position - 80) <= tolerance` within 10 s (tolerance 0.5)',
  ])
    expect(drawn).toContain(part);
});

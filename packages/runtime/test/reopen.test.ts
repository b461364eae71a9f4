import { expect, test } from "vitest";
import { roleName, stepId, type RunId } from "@writ/core/ids";
import type { Step } from "@writ/core/program";
import {
  accountant,
  act,
  askAccountant,
  call,
  chain,
  evaluate,
  finish,
  literal,
  owner,
  policies,
  program,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

function restart(made: Rig): Rig {
  return rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
}
const effects = (made: Rig) => made.site.effects.map(({ name }) => name);
const fail = (made: Rig, name: string, times = 1) =>
  made.site.behave(name, { kind: "fault", code: "sim.no", times, transient: false });
const retryIt = (made: Rig, run: RunId, id: string) => made.engine.retryStep(run, stepId(id), owner, "again");
const statuses = (made: Rig, run: RunId, ...ids: readonly string[]) => ids.map((id) => made.status(run, id));
const parallel = (...branches: readonly (readonly Step[])[]): Step["op"] => ({
  op: "parallel",
  branches: branches.map((steps) => ({ steps })),
  join: { kind: "all" },
});

test("C6 a run that failed goes on from the failed step, with a new attempt, group and key; what was done stays done", async () => {
  const made = rig();
  fail(made, "b");
  const hashed = program(
    chain(
      step("a", act("put", "a", "x", "out")),
      step("b", act("put", "b")),
      step("c", act("put", "c")),
      step("end", finish("out.lines")),
    ),
  );
  expect(await made.run(hashed)).toMatchObject({ status: "failed" });
  const [run] = made.ledger.entries().flatMap((entry) => (entry.run === null ? [] : [entry.run]));
  if (run === undefined) throw new Error("no run");
  const ended = made.engine.state(run)?.steps.get(stepId("b"));
  await retryIt(made, run, "b");
  await made.site.advance(0);
  expect(await made.engine.ended(run)).toMatchObject({ status: "finished" });
  expect(effects(made)).toEqual(["a", "b", "c"]);
  const after = made.engine.state(run)?.steps.get(stepId("b"));
  expect([ended?.attempt, after?.attempt, after?.group]).toEqual([1, 2, 2]);
  const keys = made.ledger
    .entries()
    .flatMap((entry) =>
      entry.kind === "effect.intended" && entry.facts.step === "b" ? [entry.facts.key] : [],
    );
  expect(new Set(keys).size).toBe(2);
});

for (const when of ["before it began", "after it was done"] as const) {
  test(`C6 an ordered attempt killed ${when} is done once; the run is open for the restart`, async () => {
    const made = rig();
    fail(made, "b");
    const run = made.start(program(chain(step("a", act("put", "a")), step("b", act("append", "b")))));
    await made.site.advance(0);
    expect((await made.engine.ended(run)).status).toBe("failed");
    if (when === "after it was done") made.site.setReach((point) => !point.startsWith("after sim.append"));
    else made.site.setReach((point) => !point.startsWith("before sim.append"));
    await retryIt(made, run, "b");
    await made.site.advance(0);
    made.site.setReach(() => true);
    const again = restart(made);
    expect(await again.engine.recover()).toMatchObject({ runs: 1, broken: [] });
    await again.site.advance(0);
    expect((await again.engine.ended(run)).status).toBe("finished");
    expect(effects(again)).toEqual(["a", "b"]);
  });
}

test("C6 a failure deep inside goes on there: the blocks around it come back, what they did stays", async () => {
  const made = rig();
  fail(made, "c");
  made.site.behave("slow", { kind: "slow", ms: 1000 });
  const run = made.start(
    program(
      chain(
        step(
          "group",
          parallel(
            chain(
              step("a", act("put", "a")),
              step("if", {
                op: "branch",
                arms: [
                  {
                    when: "true",
                    block: { steps: chain(step("b", act("put", "b")), step("c", act("put", "c"))) },
                  },
                ],
                otherwise: { steps: [step("never", act("put", "never"))] },
              }),
            ),
            chain(
              step("s", act("put", "slow", "x", "late")),
              step("t", call("put", { name: text("'t' + string(late.lines)"), text: literal("t") })),
            ),
          ),
        ),
        step("end", act("put", "end")),
      ),
    ),
  );
  await made.site.advance(5000);
  expect((await made.engine.ended(run)).status).toBe("failed");
  expect(statuses(made, run, "c", "s", "t", "end")).toEqual(["FAILED", "COMPLETED", "ABORTED", "ABORTED"]);
  await expect(retryIt(made, run, "group")).rejects.toMatchObject({ code: "run.order" });
  await retryIt(made, run, "c");
  await made.site.advance(5000);
  expect((await made.engine.ended(run)).status).toBe("finished");
  // What finished late counts now, and nothing was done twice.
  expect(effects(made).toSorted()).toEqual(["a", "b", "c", "end", "slow", "t1"]);
  expect(statuses(made, run, "group", "if", "never", "t")).toEqual([
    "COMPLETED",
    "COMPLETED",
    "SKIPPED",
    "COMPLETED",
  ]);
});

test("C6 in a running run what was skipped because of the step gets a new instance", async () => {
  const made = rig();
  fail(made, "b");
  const run = made.start(
    program([
      step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } }),
      step("b", act("put", "b"), { failure: policies.continue }),
      step("c", act("put", "c"), { after: ["b"] }),
    ]),
  );
  await made.site.advance(0);
  expect(statuses(made, run, "b", "c")).toEqual(["FAILED", "SKIPPED"]);
  await made.engine.pauseRun(run, owner, "");
  await retryIt(made, run, "b");
  await made.site.advance(0);
  expect(effects(made)).toEqual([]);
  await made.engine.resumeRun(run, owner, "");
  await made.site.advance(100_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["b", "c"]);
});

test("C7 what tolerated the failure and ran stands in the way; so do effects that were taken back (K92)", async () => {
  const made = rig();
  fail(made, "b", 9);
  const tolerant = made.start(
    program([
      step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } }),
      step("b", act("put", "b"), { failure: policies.continue }),
      step("c", act("put", "c"), { after: ["b"], tolerates: ["b"] }),
    ]),
  );
  const undone = made.start(
    program(chain(step("x", act("put", "x")), step("b", act("put", "b"), { failure: policies.compensate }))),
  );
  const taken = made.start(program(chain(step("y", act("put", "y")), step("b", act("put", "b")))));
  await made.site.advance(0);
  expect((await made.engine.ended(undone)).status).toBe("rolled_back");
  await made.engine.undoRun(taken, owner, "");
  await made.site.advance(0);
  for (const run of [tolerant, undone, taken])
    await expect(retryIt(made, run, "b")).rejects.toMatchObject({ code: "run.order" });
  await expect(retryIt(made, tolerant, "c")).rejects.toMatchObject({ code: "run.order" });
});

test("C6 an undo after going on takes back what both parts did, in reverse (K92 K93)", async () => {
  const made = rig();
  fail(made, "b");
  const run = made.start(
    program(chain(step("a", act("put", "a")), step("b", act("put", "b")), step("c", act("put", "c")))),
  );
  await made.site.advance(0);
  await retryIt(made, run, "b");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  await made.engine.undoRun(run, owner, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("rolled_back");
  const undone = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "undo.completed" ? [entry.facts.step] : []));
  expect(undone).toEqual(["c", "b", "a"]);
  expect(made.site.files.size).toBe(0);
});

test("C3 a run that failed goes on without the failed step; what depends on it is skipped", async () => {
  const made = rig();
  fail(made, "b");
  const run = made.start(
    program([
      step("b", act("put", "b")),
      step("c", act("put", "c"), { after: ["b"] }),
      step("d", act("put", "d"), { after: ["b"], tolerates: ["b"] }),
    ]),
  );
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("failed");
  await made.engine.skipStep(run, stepId("b"), owner, "without it");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(statuses(made, run, "b", "c", "d")).toEqual(["FAILED", "SKIPPED", "COMPLETED"]);
  expect(made.engine.state(run)?.steps.get(stepId("b"))?.outcome).toBe("skipped");
});

test("C6 a failure that waits for a person is tried again by an operator's order", async () => {
  const made = rig();
  fail(made, "b");
  const run = made.start(program([step("b", act("put", "b"), { failure: askAccountant() })]));
  await made.site.advance(0);
  const [request] = made.engine.approvals();
  await retryIt(made, run, "b");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  if (request !== undefined)
    await expect(
      made.engine.decideApproval(request.approval, "approve", accountant, ""),
    ).rejects.toMatchObject({ code: "approval.unknown" });
});

test("C6 somebody who was asked about a failure when the run failed is asked again", async () => {
  const made = rig();
  fail(made, "a");
  made.site.behave("b", { kind: "slow", ms: 1000 });
  fail(made, "c");
  const run = made.start(
    program([
      step("a", act("put", "a"), { failure: askAccountant() }),
      step("b", act("put", "b")),
      step("c", act("put", "c"), { after: ["b"] }),
    ]),
  );
  await made.site.advance(5000);
  expect((await made.engine.ended(run)).status).toBe("failed");
  await retryIt(made, run, "c");
  await made.site.advance(0);
  const [request] = made.engine.approvals();
  expect(request).toMatchObject({ step: "a", role: "accountant" });
  if (request !== undefined) await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["b", "c", "a"]);
});

test("C6 a computation that failed is tried again like an effect, and the time limit begins anew", async () => {
  const made = rig();
  const run = made.start(
    program(
      chain(
        step("e", evaluate("event.data.missing + 1", "n")),
        step("w", { op: "wait", until: { kind: "duration", ms: 1000 } }),
      ),
      {
        runTimeoutMs: 60_000,
      },
    ),
  );
  await made.site.advance(100_000);
  expect((await made.engine.ended(run)).status).toBe("failed");
  await retryIt(made, run, "e");
  await made.site.advance(0);
  expect(await made.engine.ended(run)).toMatchObject({ status: "failed" });
  await made.engine.skipStep(run, stepId("e"), owner, "not needed");
  await made.site.advance(10_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
});

test("C6 G3 an ordered attempt that is not what was approved asks the same role again", async () => {
  const made = rig();
  fail(made, "a");
  const run = made.start(
    program([
      step("ask", {
        op: "approve",
        role: roleName("accountant"),
        withinMs: 60_000,
        message: literal("look"),
        body: { steps: [step("a", act("put", "a"))] },
        otherwise: null,
      }),
    ]),
  );
  await made.site.advance(0);
  const [first] = made.engine.approvals();
  if (first !== undefined) await made.engine.decideApproval(first.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("failed");
  made.site.files.set("a", ["somebody wrote meanwhile"]);
  await retryIt(made, run, "a");
  await made.site.advance(0);
  const [second] = made.engine.approvals();
  expect(second).toMatchObject({ role: "accountant", step: "a", effects: [{ step: "a" }] });
  expect(made.status(run, "a")).toBe("FAILED");
  expect(effects(made)).toEqual([]);
  if (second !== undefined) await made.engine.decideApproval(second.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
});

test("C6 inside a step whose failure waits for a person, the step that failed is ordered, not the one around it", async () => {
  const made = rig();
  fail(made, "b");
  const run = made.start(
    program([
      step(
        "if",
        {
          op: "branch",
          arms: [
            { when: "true", block: { steps: chain(step("a", act("put", "a")), step("b", act("put", "b"))) } },
          ],
          otherwise: { steps: [] },
        },
        { failure: askAccountant() },
      ),
    ]),
  );
  await made.site.advance(0);
  expect(made.status(run, "if")).toBe("FAILED");
  await expect(retryIt(made, run, "if")).rejects.toMatchObject({ code: "run.order" });
  await retryIt(made, run, "b");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["a", "b"]);
});

import { expect, test } from "vitest";
import { roleName, stepId, type RunId } from "@writ/core/ids";
import type { HashedProgram, Step } from "@writ/core/program";
import { accountant, act, chain, owner, program, rig, step, type Rig } from "./support.ts";

function restart(made: Rig): Rig {
  return rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs });
}
const effects = (made: Rig) => made.site.effects.map(({ name }) => name);
const wait = step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } });
const branch = (inner: readonly Step[]): Step["op"] => ({
  op: "branch",
  arms: [{ when: "true", block: { steps: inner } }],
  otherwise: { steps: [] },
});
function known(made: Rig, hashed: HashedProgram): HashedProgram {
  made.programs.set(hashed.hash, hashed);
  return hashed;
}
const migrate = (made: Rig, run: RunId, target: HashedProgram) =>
  made.engine.migrateRun(run, target.hash, owner);

test("C8 a run whose begun steps are the same moves to the other version, for good, also over a crash", async () => {
  const made = rig();
  const run = made.start(program(chain(step("a", act("put", "a")), wait, step("b", act("put", "b")))));
  await made.site.advance(1000);
  const target = known(
    made,
    program(chain(step("a", act("put", "a")), wait, step("c", act("put", "c")), step("d", act("put", "d")))),
  );
  await migrate(made, run, target);
  await expect(migrate(made, run, target)).rejects.toMatchObject({ code: "run.migration" });
  const again = restart(made);
  expect(await again.engine.recover()).toMatchObject({ runs: 1, broken: [] });
  expect(again.engine.state(run)?.program).toBe(target.hash);
  await again.site.advance(100_000);
  expect((await again.engine.ended(run)).status).toBe("finished");
  expect(effects(again)).toEqual(["a", "c", "d"]);
  const replayed = await again.engine.replay(run);
  expect(replayed.divergence).toBeNull();
  // What both versions did is taken back, in reverse.
  await again.engine.undoRun(run, owner, "");
  await again.site.advance(1000);
  expect((await again.engine.ended(run)).status).toBe("rolled_back");
  expect(again.site.files.size).toBe(0);
});

test("C8 a run whose begun steps differ, inside a block too, stays on its version; the steps are named", async () => {
  const made = rig();
  const run = made.start(
    program(chain(step("a", act("put", "a")), step("if", branch(chain(wait, step("b", act("put", "b"))))))),
  );
  await made.site.advance(1000);
  const other = known(
    made,
    program(
      chain(step("a", act("put", "other")), step("if", branch(chain(wait, step("b", act("put", "b")))))),
    ),
  );
  const inside = known(
    made,
    program(chain(step("a", act("put", "a")), step("if", branch(chain(wait, step("b", act("put", "x"))))))),
  );
  const moved = known(made, program(chain(step("a", act("put", "a")), wait, step("b", act("put", "b")))));
  await expect(migrate(made, run, other)).rejects.toMatchObject({ facts: { steps: ["a"] } });
  await expect(migrate(made, run, inside)).rejects.toMatchObject({ facts: { steps: ["if"] } });
  await expect(migrate(made, run, moved)).rejects.toMatchObject({ facts: { steps: ["if", "w"] } });
  await made.site.advance(100_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["a", "b"]);
  await expect(migrate(made, run, other)).rejects.toMatchObject({ code: "run.ended" });
});

test("C8 a run that waits for its turn moves to the line of the other version", async () => {
  const made = rig();
  const old = program([wait], { concurrencyMax: 1 });
  const [first, second] = [made.start(old), made.start(old)];
  await made.site.advance(1000);
  const target = known(made, program(chain(wait, step("b", act("put", "b"))), { concurrencyMax: 1 }));
  await migrate(made, second, target);
  // Both begin their wait at once, each in the line of its own version.
  await made.site.advance(70_000);
  expect((await made.engine.ended(second)).status).toBe("finished");
  expect((await made.engine.ended(first)).status).toBe("finished");
  expect(effects(made)).toEqual(["b"]);
});

const recompile = { kind: "recompile", role: roleName("operator"), withinMs: 600_000 } as const;
const broken = (made: Rig) => {
  made.site.behave("wrong", { kind: "fault", code: "sim.no", times: 9, transient: false });
  return made.start(
    program(
      chain(
        step("a", act("put", "a")),
        step("b", act("put", "wrong"), { failure: recompile }),
        step("c", act("put", "c")),
      ),
      { format: 2 },
    ),
  );
};

test("C9 a failed step with policy recompile waits for a new version, and goes on as it says there", async () => {
  const made = rig();
  const run = broken(made);
  await made.site.advance(1000);
  const [request] = made.engine.approvals();
  expect(request).toMatchObject({ step: "b", role: "operator" });
  if (request === undefined) throw new Error("nothing waits");
  await expect(made.engine.decideApproval(request.approval, "approve", owner, "")).rejects.toMatchObject({
    code: "run.decision",
  });
  const mended = known(
    made,
    program(
      chain(
        step("a", act("put", "a")),
        step("b", act("put", "right"), { failure: recompile }),
        step("c", act("put", "c")),
      ),
      { format: 2 },
    ),
  );
  const again = restart(made);
  await again.engine.recover();
  await migrate(again, run, mended);
  await again.site.advance(1000);
  expect((await again.engine.ended(run)).status).toBe("finished");
  expect(effects(again)).toEqual(["a", "right", "c"]);
  expect(again.engine.state(run)?.steps.get(stepId("b"))).toMatchObject({ attempt: 2, group: 2 });
});

test("C9 a failed step with policy recompile fails when somebody rejects, or nobody comes in time (K34)", async () => {
  for (const how of ["reject", "late"] as const) {
    const made = rig();
    const run = broken(made);
    await made.site.advance(1000);
    const [request] = made.engine.approvals();
    if (how === "reject" && request !== undefined) {
      await expect(
        made.engine.decideApproval(request.approval, "reject", accountant, ""),
      ).rejects.toMatchObject({ code: "approval.wrong-role" });
      await made.engine.decideApproval(request.approval, "reject", owner, "no");
    }
    await made.site.advance(700_000);
    expect(await made.engine.ended(run)).toMatchObject({ status: "failed", fault: { code: "sim.no" } });
  }
});

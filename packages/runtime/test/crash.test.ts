import { expect, test } from "vitest";
import { capabilityId, stepId } from "@writ/core/ids";
import type { FailurePolicy, HashedProgram } from "@writ/core/program";
import { encodeCbor } from "@writ/core/cbor";
import type { Sha256 } from "@writ/core/ids";
import { memoryBlobs } from "@writ/testkit/simulated-modules";
import {
  act,
  call,
  chain,
  evaluate,
  event,
  finish,
  literal,
  load,
  owner,
  policies,
  program,
  registry,
  retry,
  rig,
  step,
  text,
  workspaceFile,
  type Rig,
} from "./support.ts";

/** Dies before or after the first effect of the capability; gives the rig after the restart. */
async function crashed(hashed: HashedProgram, at: "before" | "after", short: string) {
  const made = rig();
  const run = made.start(hashed);
  let times = 0;
  made.site.setReach((point) => !point.startsWith(`${at} sim.${short}`) || times++ > 0);
  await made.site.advance(0);
  made.site.setReach(() => true);
  const again = restart(made);
  return { made: again, run };
}

function restart(made: Rig): Rig {
  return rig({
    site: made.site,
    ledger: made.ledger.crash(),
    programs: made.programs,
    blobs: made.options.blobs,
  });
}

test("E4 M5 a held effect of a group that was given up is not done again, and the run ends when it is decided", async () => {
  const group = step("g", {
    op: "parallel",
    join: { kind: "all" },
    branches: [{ steps: [step("a", act("note", "a"))] }, { steps: [step("b", act("note", "b"))] }],
  });
  const made = rig();
  const run = made.start(program([{ ...group, failure: { kind: "continue" } }]));
  let isDown = false;
  made.site.setReach((point) => {
    isDown ||= point.startsWith("before sim.note");
    return !isDown;
  });
  await made.site.advance(0);
  made.site.setReach(() => true);
  const after = restart(made);
  await after.engine.recover();
  await after.site.advance(0);
  expect([after.status(run, "a"), after.status(run, "b")]).toEqual(["HELD", "HELD"]);
  const ended = after.engine.ended(run);
  await after.engine.settle(run, stepId("a"), "failed", owner);
  await expect(after.engine.settle(run, stepId("b"), "again", owner)).rejects.toMatchObject({
    code: "run.decision",
  });
  await after.engine.settle(run, stepId("b"), "failed", owner);
  expect((await ended).status).toBe("finished");
  expect(after.site.effects).toEqual([]);
});

for (const short of ["put", "append"]) {
  for (const at of ["before", "after"] as const) {
    test(`E4 ${short} (${short === "put" ? "idempotent" : "queryable"}), killed ${at} the effect, is done once`, async () => {
      const { made, run } = await crashed(program([step("a", act(short, "a"))]), at, short);
      await made.engine.recover();
      await made.site.advance(0);
      expect(await made.engine.ended(run)).toMatchObject({ status: "finished" });
      expect(made.site.effects.filter(({ capability }) => capability === `sim.${short}`)).toHaveLength(1);
    });
  }
}

test("E4 what can neither be repeated nor asked is held for a person", async () => {
  const { made, run } = await crashed(
    program(chain(step("a", act("note", "a", "x", "out")), step("end", finish("out.lines")))),
    "after",
    "note",
  );
  await made.engine.recover();
  await made.site.advance(0);
  expect(made.status(run, "a")).toBe("HELD");
  await expect(made.engine.settle(run, stepId("a"), "leave", owner)).rejects.toMatchObject({
    code: "run.decision",
  });
  const ended = made.engine.ended(run);
  await made.engine.settle(run, stepId("a"), "done", owner, { lines: 7 });
  expect(await ended).toMatchObject({ status: "finished", result: 7 });
  expect(made.site.effects).toHaveLength(1);
});

test("E4 a person may have a held effect done again, with the same key", async () => {
  const { made, run } = await crashed(program([step("a", act("note", "a"))]), "before", "note");
  await made.engine.recover();
  await made.site.advance(0);
  const ended = made.engine.ended(run);
  await made.engine.settle(run, stepId("a"), "again", owner);
  await made.site.advance(0);
  expect((await ended).status).toBe("finished");
  const keys = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "effect.intended" ? [entry.facts.key] : []));
  expect([keys.length, new Set(keys).size, made.site.effects.length]).toEqual([2, 1, 1]);
});

test("E4 an append that was not done follows what others appended meanwhile", async () => {
  const { made, run } = await crashed(program([step("a", act("append", "a"))]), "before", "append");
  made.site.files.set("a", ["somebody else"]);
  await made.engine.recover();
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(made.site.files.get("a")).toEqual(["somebody else", expect.stringMatching(/^x /)]);
});

test("E4 an effect whose capability was revoked while the node was down is not done again", async () => {
  const { made, run } = await crashed(program([step("a", act("put", "a"))]), "before", "put");
  made.registry = { ...made.registry, revokedCapabilities: new Map([["sim.put", "unsafe"]]) };
  await made.engine.recover();
  await made.site.advance(0);
  expect(made.status(run, "a")).toBe("HELD");
  expect(made.site.effects).toEqual([]);
});

test("X2 a timeout of what cannot be repeated or asked is held, never called failed", async () => {
  const made = rig();
  made.site.behave("a", { kind: "silent" });
  const run = made.start(program([step("a", act("note", "a"))]));
  await made.site.advance(10_000);
  expect(made.status(run, "a")).toBe("HELD");
});

test("X2 an idempotent effect whose outcome is not known is performed again with the same key, then held", async () => {
  const made = rig();
  made.site.behave("a", { kind: "done-then-bug" });
  const run = made.start(program([step("a", act("put", "a"))]));
  await made.site.advance(0);
  expect([made.status(run, "a"), made.site.effects.length]).toEqual(["HELD", 1]);
});

test("X2 what is performed again after a crash and fails then may have been done before: it is held", async () => {
  const { made, run } = await crashed(program([step("a", act("put", "a"))]), "after", "put");
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 9, transient: false });
  await made.engine.recover();
  await made.site.advance(0);
  expect([made.status(run, "a"), made.site.effects.length]).toEqual(["HELD", 1]);
});

/** Its first attempt did not answer in time, and another one is to come. */
async function unanswered(then: FailurePolicy = policies.compensate) {
  const made = rig();
  made.site.behave("a", { kind: "slow", ms: 60_000 });
  const failure = retry(3, ["runtime.timeout"], then);
  const run = made.start(program([step("a", act("put", "a"), { failure, timeoutMs: 1000 })]));
  await made.site.advance(1500);
  expect(made.status(run, "a")).toBe("RETRYING");
  return { made, run };
}

test("X2 an attempt that fails after one that nobody knows says nothing of that one", async () => {
  const { made, run } = await unanswered();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 9, transient: false });
  await made.site.advance(10_000);
  expect(made.status(run, "a")).toBe("HELD");
  const ended = made.engine.ended(run);
  await made.engine.settle(run, stepId("a"), "failed", owner);
  expect(await ended).toMatchObject({ status: "rolled_back", fault: { code: "sim.no" } });
  expect((await made.engine.replay(run)).divergence).toBeNull();
});

test("X2 a run that is cancelled between two tries is not rolled back while nobody knows about the first", async () => {
  const { made, run } = await unanswered();
  await made.engine.cancelRun(run, owner, { undo: true, reason: "" });
  await made.site.advance(10_000);
  expect(made.status(run, "a")).toBe("HELD");
  const ended = made.engine.ended(run);
  await made.engine.settle(run, stepId("a"), "failed", owner);
  expect(await ended).toMatchObject({ status: "rolled_back", fault: { code: "runtime.cancelled" } });
});

test("X2 what an emergency stop takes away between two tries may have been done all the same", async () => {
  const { made, run } = await unanswered(policies.continue);
  await made.engine.emergencyStop({ kind: "everything" }, owner, "now");
  await made.site.advance(10_000);
  expect(made.status(run, "a")).toBe("HELD");
});

test("X2 an attempt that answers after one that nobody knows settles both", async () => {
  const { made, run } = await unanswered();
  made.site.behave("a", { kind: "slow", ms: 1 });
  await made.site.advance(10_000);
  expect(await made.engine.ended(run)).toMatchObject({ status: "finished" });
  expect(made.engine.state(run)?.steps.get(stepId("a"))?.unsure).toBeUndefined();
});

test("X2 what did not even stop may still act: not done is not believed", async () => {
  const made = rig();
  made.site.behave("a", { kind: "silent" });
  const run = made.start(program([step("a", act("append", "a"))]));
  await made.site.advance(10_000);
  expect(made.status(run, "a")).toBe("HELD");
});

test("X2 an unexpected error is no outcome: the world is asked", async () => {
  const made = rig();
  made.site.behave("a", { kind: "done-then-bug" });
  const ended = await made.run(program([step("a", act("append", "a"))]));
  expect(ended.status).toBe("finished");
  const completed = made.ledger.entries().find((entry) => entry.kind === "effect.completed");
  expect(completed?.kind === "effect.completed" && completed.facts.resolved).toBe(true);
});

test("K114 an unexpected error fails the step and reaches the log", async () => {
  const logged: string[] = [];
  const log = {
    info: () => undefined,
    warn: () => undefined,
    error: (name: string) => void logged.push(name),
  };
  const made = rig({ options: { log } });
  made.site.behave("a", { kind: "done-then-bug" });
  const ended = await made.run(program([step("a", load("a", "v"))]));
  expect(ended).toMatchObject({
    status: "failed",
    fault: { code: "runtime.bug", message: expect.stringContaining("simulated bug") },
  });
  expect(logged).toEqual(["capability.bug"]);
});

test("K94 a timeout of a step starts the rollback that its policy asks for", async () => {
  const made = rig();
  made.site.behave("slow", { kind: "slow", ms: 60_000 });
  const ended = await made.run(
    program(
      chain(
        step("a", act("put", "a")),
        step("b", act("append", "slow"), { failure: policies.compensate, timeoutMs: 1000 }),
      ),
    ),
  );
  expect(ended).toMatchObject({ status: "rolled_back", fault: { code: "runtime.timeout" } });
  expect(made.site.files.size).toBe(0);
});

test("E7 a result that breaks its contract is not passed on", async () => {
  const made = rig();
  made.site.behave("a", { kind: "lie" });
  const run = made.start(
    program(chain(step("a", act("put", "a", "x", "out")), step("b", evaluate("out.lines", "n")))),
  );
  await made.site.advance(0);
  expect([made.status(run, "a"), made.status(run, "b")]).toEqual(["HELD", "WAITING"]);
});

test("K93 a compensation is no step of the normal run and runs once, instead of the capability's own undo", async () => {
  const made = rig();
  const compensation = {
    capability: capabilityId("sim.put@1.0.0"),
    params: { name: literal("undone"), text: text("string(out.lines)") },
  };
  const steps = chain(
    step("a", call("put", { name: literal("a"), text: literal("x") }, "out", compensation)),
    step("b", { op: "fail", code: "plan.stop", message: literal("stop") }, { failure: policies.compensate }),
  );
  const rolled = await made.run(program(steps));
  expect(rolled).toMatchObject({ status: "rolled_back", fault: { code: "plan.stop" } });
  expect(made.site.effects.map(({ name }) => name)).toEqual(["a", "undone"]);
  const [first] = steps;
  const calm = rig();
  await calm.run(program(first === undefined ? [] : [first]));
  expect(calm.site.effects.map(({ name }) => name)).toEqual(["a"]);
});

test("U2 what somebody changed since is held, and a person decides", async () => {
  const made = rig();
  const done = await made.run(program(chain(step("a", act("put", "a")), step("b", act("put", "b")))));
  made.site.files.set("b", ["edited by hand"]);
  await made.engine.undoRun(done.run, owner, "wrong");
  await made.site.advance(0);
  expect(made.status(done.run, "b")).toBe("HELD");
  expect(made.site.files.get("b")).toEqual(["edited by hand"]);
  await expect(made.engine.settle(done.run, stepId("b"), "failed", owner)).rejects.toMatchObject({
    code: "run.decision",
  });
  const ended = made.engine.ended(done.run);
  await made.engine.settle(done.run, stepId("b"), "leave", owner);
  await made.site.advance(0);
  // Not everything was taken back: the run does not call itself rolled back.
  expect(await ended).toMatchObject({ status: "finished" });
  expect([made.status(done.run, "a"), made.status(done.run, "b")]).toEqual(["ROLLED_BACK", "COMPLETED"]);
});

test("U3 a finished run can be undone, also after a restart; what cannot be taken back keeps it from being rolled_back", async () => {
  const made = rig();
  const first = await made.run(program([step("a", act("put", "a"))]));
  const again = restart(made);
  await again.engine.undoRun(first.run, owner, "wrong");
  const ended = again.engine.ended(first.run);
  await again.site.advance(0);
  expect(await ended).toMatchObject({ status: "rolled_back" });
  expect(again.site.files.size).toBe(0);
  await expect(again.engine.cancelRun(first.run, owner, { undo: false, reason: "" })).rejects.toMatchObject({
    code: "run.ended",
  });
  const second = await again.run(
    program(chain(step("a", act("put", "a")), step("c", call("count", { text: literal("x") })))),
  );
  await again.engine.undoRun(second.run, owner, "wrong");
  const undone = again.engine.ended(second.run);
  await again.site.advance(0);
  const partial = {
    code: "undo.partial",
    kind: "rejected",
    facts: { stays: { c: "irreversible" }, staysCount: 1 },
  };
  expect(await undone).toMatchObject({ status: "finished", fault: partial });
  expect(again.site.files.size).toBe(0);
  const last = again.ledger.entries().findLast((entry) => entry.kind === "run.ended");
  expect(last?.facts).toMatchObject({ status: "finished", fault: partial });
});

test("U3 what stays is said beside what ended the run before, once, and by who left it", async () => {
  const told: string[] = [];
  const notifier = {
    notify: ({ subject }: { readonly subject: string }) => Promise.resolve(void told.push(subject)),
  };
  const made = rig({ options: { notifier } });
  const done = await made.run(
    program(
      chain(
        step("a", act("put", "a")),
        step("b", act("put", "b")),
        step("n", { op: "fail", code: "story.no", message: literal("no") }),
      ),
    ),
  );
  made.site.files.set("a", ["changed since"]);
  await made.engine.undoRun(done.run, owner, "wrong");
  const ended = made.engine.ended(done.run);
  await made.site.advance(0);
  await made.engine.settle(done.run, stepId("a"), "leave", owner, null);
  await made.site.advance(0);
  const said = { code: "story.no", message: "no. It was taken back in part: `a` stays: a person left it" };
  expect(await ended).toMatchObject({
    status: "failed",
    fault: { ...said, facts: { stays: { a: "left" } } },
  });
  await made.engine.undoRun(done.run, owner, "again");
  const again = made.engine.ended(done.run);
  await made.site.advance(0);
  expect(await again).toMatchObject({ status: "failed", fault: said });
  const finished = await made.run(program([step("c", call("count", { text: literal("x") }))]));
  await made.engine.undoRun(finished.run, owner, "wrong");
  await made.site.advance(0);
  expect(told).toContain("A run was taken back in part");
});

test("K94 an undo passes the gate: when the policy forbids it, it is held", async () => {
  const made = rig();
  const done = await made.run(program([step("a", act("put", "a"))]));
  made.registry = { ...made.registry, revokedCapabilities: new Map([["sim.restore", "unsafe"]]) };
  await made.engine.undoRun(done.run, owner, "wrong");
  await made.site.advance(0);
  expect(made.status(done.run, "a")).toBe("HELD");
  const held = made.ledger.entries().find((entry) => entry.kind === "undo.held");
  expect(held?.kind === "undo.held" && held.facts.fault.code).toBe("capability.revoked");
});

test("E8 cancelling ends what waits, lets what is under way finish, and takes back when asked", async () => {
  const made = rig();
  made.site.behave("b", { kind: "slow", ms: 3000 });
  const run = made.start(
    program([
      step("a", act("put", "a")),
      step("b", act("put", "b")),
      step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } }),
    ]),
  );
  await made.site.advance(1000);
  await made.engine.cancelRun(run, owner, { undo: true, reason: "enough" });
  const ended = made.engine.ended(run);
  await made.site.advance(5000);
  expect(await ended).toMatchObject({ status: "rolled_back", fault: { code: "runtime.cancelled" } });
  expect([made.status(run, "w"), made.status(run, "b")]).toEqual(["ABORTED", "ROLLED_BACK"]);
  expect(made.site.files.size).toBe(0);
});

test("W1 a missed timer fires after a restart; a wall clock that jumps back neither hangs nor fires twice", async () => {
  const made = rig();
  const hashed = program([step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } })]);
  const run = made.start(hashed);
  await made.site.advance(1000);
  const again = restart(made);
  await made.site.advance(120_000);
  await again.engine.recover();
  await again.site.advance(0);
  expect((await again.engine.ended(run)).status).toBe("finished");
  const second = again.start(hashed);
  await again.site.advance(1000);
  again.site.jump(-3_600_000);
  await again.site.advance(60_000);
  expect((await again.engine.ended(second)).status).toBe("finished");
  again.site.jump(3_600_000);
  await again.site.advance(3_700_000);
  expect(again.kinds(second).filter((kind) => kind === "timer.fired")).toHaveLength(1);
});

test("W1 a time to wait for is met when the wall clock jumps over it", async () => {
  const made = rig();
  const at = new Date(made.site.world.nowMs() + 3_600_000).toISOString();
  const run = made.start(program([step("w", { op: "wait", until: { kind: "time", at: literal(at) } })]));
  await made.site.advance(1000);
  made.site.jump(3_600_000);
  await made.site.advance(11_000);
  expect((await made.engine.ended(run)).status).toBe("finished");
});

test("E11 a run that does not end in its time is cancelled, and taken back where its program compensates", async () => {
  const made = rig();
  const ended = await made.run(
    program(
      chain(
        step("a", act("put", "a"), { failure: policies.compensate }),
        step("w", { op: "wait", until: { kind: "duration", ms: 3_600_000 } }),
      ),
      {
        runTimeoutMs: 60_000,
      },
    ),
  );
  expect(ended).toMatchObject({ status: "rolled_back", fault: { code: "runtime.cancelled" } });
});

test("K115 K21 a replay flags an entry that the machine did not expect", async () => {
  const made = rig();
  const ended = await made.run(program([step("a", act("put", "a"))]));
  const entries = made.ledger.entries();
  const cut = [...entries.slice(0, 2), ...entries.slice(3)];
  const tampered = rig({
    site: made.site,
    programs: made.programs,
    options: { ledger: { ...made.ledger, readRun: () => Promise.resolve(cut as never) } },
  });
  const replayed = await tampered.engine.replay(ended.run);
  expect(replayed.divergence).toMatchObject({ seq: 3, fault: { code: "runtime.diverged" } });
});

test("R3 after a restart a run whose capability was revoked goes on to the gate, which refuses the effect", async () => {
  const made = rig();
  const hashed = program(
    chain(
      step("w", { op: "wait", until: { kind: "duration", ms: 60_000 } }),
      step("a", act("put", "a"), { failure: policies.continue }),
      step("b", act("append", "b"), { after: ["a"], tolerates: ["a"] }),
    ),
  );
  const run = made.start(hashed);
  await made.site.advance(1000);
  const again = restart(made);
  again.registry = { ...again.registry, revokedCapabilities: new Map([["sim.put", "unsafe"]]) };
  expect(await again.engine.recover()).toEqual({ runs: 1, broken: [] });
  await again.site.advance(60_000);
  expect(await again.engine.ended(run)).toMatchObject({ status: "finished" });
  expect(again.engine.state(run)?.steps.get(stepId("a"))?.fault?.code).toBe("capability.revoked");
  expect(again.site.effects.map(({ name }) => name)).toEqual(["b"]);
});

test("E4 L1 what was under way at the crash has its locks before anything new begins", async () => {
  const blobs = memoryBlobs();
  const file = { kind: "blob", ...(await blobs.put(encodeCbor(workspaceFile))) } as const;
  const known = registry();
  const workspaces = new Map(known.workspaces).set("sim", { name: "sim", root: "/sim", file });
  const made = rig({ blobs, registry: { ...known, workspaces } });
  const hashed = program([step("a", act("append", "a"))]);
  const first = made.start(hashed);
  const second = made.start(hashed, { event: event({}, "e2") });
  made.site.setReach((point) => !point.startsWith("after sim.append"));
  await made.site.advance(0);
  made.site.setReach(() => true);
  // The first reading of the workspace is the slowest.
  let delayMs = 1000;
  const slow = {
    ...blobs,
    get: async (hash: Sha256) => {
      const waitMs = delayMs;
      delayMs = 0;
      if (waitMs > 0) await made.site.world.sleep(waitMs);
      return blobs.get(hash);
    },
  };
  const again = rig({
    site: made.site,
    ledger: made.ledger.crash(),
    programs: made.programs,
    blobs: slow,
    registry: made.registry,
  });
  await again.engine.recover();
  await again.site.advance(5000);
  expect((await again.engine.ended(first)).status).toBe("finished");
  expect((await again.engine.ended(second)).status).toBe("finished");
  const order = again.ledger.entries().filter(({ kind }) => kind.startsWith("effect."));
  expect(order.map(({ kind, run }) => [kind, run === first])).toEqual([
    ["effect.intended", true],
    ["effect.completed", true],
    ["effect.intended", false],
    ["effect.completed", false],
  ]);
});

test("X3 an undo that cannot be recorded gives its locks back", async () => {
  const blobs = memoryBlobs();
  let isFull = false;
  const made = rig({
    blobs: {
      ...blobs,
      put: (bytes) => (isFull ? Promise.reject(new Error("the disk is full")) : blobs.put(bytes)),
    },
  });
  made.site.files.set("a", ["x".repeat(10_000)]);
  const { run } = await made.run(program([step("s", act("put", "a"))]));
  isFull = true;
  await made.engine.undoRun(run, owner, "wrong");
  await made.site.advance(0);
  expect(made.status(run, "s")).toBe("HELD");
  const next = await made.run(program([step("t", act("append", "a"))]));
  expect(next.status).toBe("finished");
  isFull = false;
  const ended = made.engine.ended(run);
  await made.engine.settle(run, stepId("s"), "leave", owner);
  expect((await ended).status).toBe("finished");
});

test("X1 what is revoked while large parameters are stored is not performed", async () => {
  const blobs = memoryBlobs();
  const made = rig({
    blobs: {
      ...blobs,
      put: (bytes) => {
        made.registry = { ...made.registry, revokedCapabilities: new Map([["sim.put", "unsafe"]]) };
        return blobs.put(bytes);
      },
    },
  });
  const ended = await made.run(program([step("a", act("put", "a", "x".repeat(10_000)))]));
  expect(ended).toMatchObject({ status: "failed", fault: { code: "capability.revoked" } });
  expect(made.site.effects).toEqual([]);
});

test("U3 K95 an effect that a person found done, and nobody can take back, keeps the run from being rolled back", async () => {
  for (const compensated of [false, true]) {
    const back = {
      capability: capabilityId("sim.put@1.0.0"),
      params: { name: literal("back"), text: literal("x") },
    };
    const note = call("note", { name: literal("a"), text: literal("x") }, null, compensated ? back : null);
    const { made, run } = await crashed(
      program(
        chain(
          step("a", note),
          step(
            "b",
            { op: "fail", code: "story.no", message: literal("no") },
            { failure: policies.compensate },
          ),
        ),
      ),
      "after",
      "note",
    );
    await made.engine.recover();
    await made.site.advance(0);
    const ended = made.engine.ended(run);
    await made.engine.settle(run, stepId("a"), "done", owner, { lines: 1 });
    await made.site.advance(0);
    expect((await ended).status).toBe(compensated ? "rolled_back" : "failed");
    expect(made.site.files.has("back")).toBe(compensated);
  }
});

test("M3 what ends after its step was replaced leaves the slot to what replaced it", async () => {
  const made = rig();
  made.site.behave("a", { kind: "slow", ms: 3000 });
  made.site.behave("b", { kind: "slow", ms: 4000 });
  made.site.files.set("b", ["one", "two"]);
  const ended = made.run(
    program(
      chain(
        step(
          "group",
          {
            op: "parallel",
            join: { kind: "all" },
            branches: [{ steps: [step("a", act("append", "a", "x", "out"))] }],
          },
          {
            timeoutMs: 1000,
            failure: { kind: "degrade", block: { steps: [step("b", act("append", "b", "x", "out"))] } },
          },
        ),
        step("end", finish("out.lines")),
      ),
    ),
  );
  expect(await ended).toMatchObject({ status: "finished", result: 3 });
});

test("E12 an undo that a stopping node told to stop is found out after the restart, not held", async () => {
  const made = rig();
  // It can be repeated, and its system cannot be asked.
  const back = {
    capability: capabilityId("sim.put@1.0.0"),
    params: { name: literal("back"), text: literal("x") },
  };
  const put = call("put", { name: literal("a"), text: literal("x") }, null, back);
  const { run } = await made.run(program([step("a", put)]));
  made.site.behave("back", { kind: "slow", ms: 100_000 });
  await made.engine.undoRun(run, owner, "wrong");
  await made.site.advance(1000);
  const stopped = made.engine.stop();
  await made.site.advance(20_000);
  await stopped;
  expect(made.kinds(run).filter((kind) => kind.startsWith("undo."))).toEqual([
    "undo.requested",
    "undo.intended",
  ]);
  made.site.behave("back", { kind: "slow", ms: 0 });
  const again = restart(made);
  await again.engine.recover();
  await again.site.advance(1000);
  expect(await again.engine.ended(run)).toMatchObject({ status: "rolled_back" });
  expect(again.site.files.get("back")).toHaveLength(1);
});

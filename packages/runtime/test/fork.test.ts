import { expect, test } from "vitest";
import { roleName, stepId, type RunId } from "@writ/core/ids";
import {
  accountant,
  act,
  chain,
  evaluate,
  finish,
  literal,
  load,
  owner,
  policies,
  program,
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
const effects = (made: Rig) => made.site.effects.map(({ name }) => name);
/** Ledger place of the last entry of the kind about the step. */
function placeOf(made: Rig, run: RunId, kind: string, id: string | null = null): number {
  const found = made.ledger
    .entries()
    .findLast(
      (entry) =>
        entry.run === run &&
        entry.kind === kind &&
        (id === null || ("step" in entry.facts && entry.facts.step === id)),
    );
  if (found === undefined) throw new Error(`no ${kind}`);
  return found.seq;
}
const three = program(
  chain(
    step("a", act("put", "a", "x", "one")),
    step("sum", evaluate("one.lines + 1", "n")),
    step("b", act("append", "b")),
    step("c", act("put", "c")),
    step("end", finish("n")),
  ),
);
async function ran(made: Rig, hashed = three): Promise<RunId> {
  const run = made.start(hashed);
  await made.site.advance(1000);
  await made.engine.ended(run);
  return run;
}

test("C10 a fork begins where the run stood: what that had done is taken over, neither done nor undone again", async () => {
  const made = rig();
  const run = await ran(made);
  const at = placeOf(made, run, "effect.completed", "a");
  const fork = await made.engine.forkRun(run, at, owner);
  await made.site.advance(1000);
  // After the outcome of `a` the intent of `b` follows in one commit, so that this is a place where nothing was under way.
  const { run: _, ...outcome } = await made.engine.ended(run);
  expect(await made.engine.ended(fork)).toEqual({ run: fork, ...outcome });
  expect(effects(made)).toEqual(["a", "b", "c", "b", "c"]);
  expect(made.engine.state(fork)?.control.forkedFrom).toEqual({ run, seq: at });
  expect(made.engine.state(fork)?.slots.get("one")).toEqual(made.engine.state(run)?.slots.get("one"));
  await made.engine.undoRun(fork, owner, "");
  await made.site.advance(1000);
  expect((await made.engine.ended(fork)).status).toBe("rolled_back");
  expect(made.site.files.get("a")).toHaveLength(1);
  const undone = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "undo.completed" ? [`${entry.run} ${entry.facts.step}`] : []));
  expect(undone).toEqual([`${fork} c`, `${fork} b`]);
});

test("C10 a fork is folded from its own entries: it goes on after a crash", async () => {
  const made = rig();
  const run = await ran(made);
  made.site.setReach((point) => !point.startsWith("after sim.append"));
  const fork = await made.engine.forkRun(run, placeOf(made, run, "effect.completed", "a"), owner);
  await made.site.advance(1000);
  made.site.setReach(() => true);
  const again = restart(made);
  expect(await again.engine.recover()).toMatchObject({ runs: 1, broken: [] });
  await again.site.advance(1000);
  expect((await again.engine.ended(fork)).status).toBe("finished");
  expect(effects(again)).toEqual(["a", "b", "c", "b", "c"]);
  expect((await again.engine.replay(fork)).divergence).toBeNull();
});

test("C10 nobody forks from where an effect was under way, or a run that runs; the last place before is named", async () => {
  const made = rig();
  const run = await ran(made);
  const intended = placeOf(made, run, "effect.intended", "b");
  await expect(made.engine.forkRun(run, intended, owner)).rejects.toMatchObject({
    code: "run.fork-point",
    facts: { earlier: placeOf(made, run, "effect.completed", "a") },
  });
  await expect(made.engine.forkRun(run, placeOf(made, run, "run.ended"), owner)).rejects.toMatchObject({
    code: "run.fork-point",
  });
  await expect(made.engine.forkRun(run, -1, owner)).rejects.toMatchObject({ code: "run.fork-point" });
  const waits = made.start(program([step("w", { op: "wait", until: { kind: "duration", ms: 9000 } })]));
  await expect(made.engine.forkRun(waits, 1, owner)).rejects.toMatchObject({ code: "run.not-ended" });
});

test("C10 an approval was for the run it was given to: a fork asks again, or does not begin inside it", async () => {
  const made = rig();
  const hashed = program(
    chain(
      step("a", act("put", "a")),
      step("ask", {
        op: "approve",
        role: roleName("accountant"),
        withinMs: 60_000,
        message: literal("look"),
        body: { steps: chain(step("b", act("put", "b")), step("c", act("put", "c"))) },
        otherwise: null,
      }),
    ),
  );
  const run = made.start(hashed);
  await made.site.advance(1000);
  const [request] = made.engine.approvals();
  if (request === undefined) throw new Error("nothing waits");
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(1000);
  await made.engine.ended(run);
  await expect(
    made.engine.forkRun(run, placeOf(made, run, "effect.completed", "b"), owner),
  ).rejects.toMatchObject({ code: "run.fork-point" });
  const fork = await made.engine.forkRun(run, placeOf(made, run, "approval.requested"), owner);
  await made.site.advance(1000);
  expect(made.engine.approvals()).toMatchObject([{ run: fork, step: "ask" }]);
  expect(effects(made)).toEqual(["a", "b", "c"]);
});

test("C10 a failed run is forked from before its failure; a skipped branch stays skipped", async () => {
  const made = rig();
  made.site.behave("b", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const run = await ran(
    made,
    program(
      chain(
        step("if", {
          op: "branch",
          arms: [{ when: "false", block: { steps: [step("never", act("put", "never"))] } }],
          otherwise: { steps: [step("a", act("put", "a"))] },
        }),
        step("b", act("put", "b"), { failure: policies.halt }),
      ),
    ),
  );
  expect((await made.engine.ended(run)).status).toBe("failed");
  const fork = await made.engine.forkRun(run, placeOf(made, run, "effect.completed", "a"), owner);
  await made.site.advance(1000);
  expect((await made.engine.ended(fork)).status).toBe("finished");
  expect(effects(made)).toEqual(["a", "b"]);
  expect(made.status(fork, "never")).toBe("SKIPPED");
});

test("C11 K42 a simulated fork does nothing, records nothing, takes reads from the record, and is labelled", async () => {
  const made = rig();
  made.site.files.set("in", ["old"]);
  const run = await ran(
    made,
    program(
      chain(
        step("a", act("put", "a")),
        step("r", load("in", "seen")),
        step("b", act("put", "b")),
        step("end", finish("seen.content")),
      ),
    ),
  );
  made.site.files.set("in", ["new"]);
  const count = made.ledger.entries().length;
  const done = made.site.effects.length;
  const simulated = await made.engine.simulateFork(run, placeOf(made, run, "effect.completed", "a"));
  expect(simulated).toMatchObject({
    simulated: true,
    forkedFrom: { run },
    status: "finished",
    result: ["old"],
    replayed: ["r"],
  });
  expect(simulated.steps.map(({ step: id, verdict }) => [id, verdict])).toEqual([
    ["r", "done"],
    ["b", "would"],
  ]);
  expect(simulated.entries.length).toBeGreaterThan(3);
  for (const entry of simulated.entries) expect(entry.simulated).toBe(true);
  expect(made.ledger.entries()).toHaveLength(count);
  expect(made.site.effects).toHaveLength(done);
  expect(simulated.steps.some(({ step: id }) => id === stepId("a"))).toBe(false);
});

test("K102 a fork keeps the names of its steps, so what they read and what takes them back is where it was", async () => {
  const made = rig();
  const run = await ran(made);
  const fork = await made.engine.forkRun(run, placeOf(made, run, "effect.completed", "a"), owner);
  await made.site.advance(1000);
  const names = (id: RunId) => [...(made.engine.state(id)?.steps.keys() ?? [])];
  expect(names(fork)).toEqual(names(run));
  // `end` reads what `sum` computed from what `a` gave in the other run.
  expect((await made.engine.ended(fork)).result).toEqual((await made.engine.ended(run)).result);
  await made.engine.undoRun(fork, owner, "");
  await made.site.advance(1000);
  const undone = made.ledger
    .entries()
    .flatMap((entry) => (entry.run === fork && entry.kind === "undo.completed" ? [entry.facts.step] : []));
  expect(undone).toEqual(["c", "b"]);
});

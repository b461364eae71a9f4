import { expect, test } from "vitest";
import { roleName, stepId, type RunId } from "@writ/core/ids";
import { keyId, personId, sha256 } from "@writ/core/ids";
import type { Actor } from "@writ/core/entry";
import { matches } from "@writ/runtime/machine/intercept";
import { capabilityId } from "@writ/core/ids";
import { foldRegistry } from "@writ/runtime/registry";
import { simulatedPolicy } from "@writ/testkit/simulated-modules";
import { act, chain, literal, owner, program, registry, retry, rig, step, type Rig } from "./support.ts";

const otto: Actor = { kind: "person", id: personId("otto"), key: keyId("k_0000000000000003") };

function restart(made: Rig): Rig {
  return rig({ site: made.site, ledger: made.ledger.crash(), programs: made.programs, policy: made.policy });
}
const two = program(chain(step("a", act("put", "a")), step("b", act("append", "b"))));
const phaseOf = (made: Rig, run: RunId, id: string) => made.engine.state(run)?.steps.get(stepId(id))?.phase;
const effects = (made: Rig) => made.site.effects.map(({ name }) => name);
const release = (
  made: Rig,
  run: RunId,
  id: string,
  params: Record<string, string> | null = null,
  by = owner,
) => made.engine.releaseStep(run, stepId(id), by, { params, comment: "" });

test("C4 a step stops before its effect and shows exactly what it would do; it goes on when it is released", async () => {
  const made = rig();
  const run = made.start(two, { breakpoints: ["sim.app*"] });
  await made.site.advance(0);
  expect(phaseOf(made, run, "b")).toMatchObject({
    kind: "intercepted",
    effect: { capability: "sim.append@1.0.0", params: { name: "b", text: "x" }, targets: [{ name: "b" }] },
  });
  expect(effects(made)).toEqual(["a"]);
  await release(made, run, "b");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
  expect(effects(made)).toEqual(["a", "b"]);
});

test("C4 a breakpoint is set while the run runs, stops every attempt, survives a crash and can be cleared", async () => {
  const made = rig();
  made.site.behave("b", { kind: "fault", code: "sim.busy", times: 2, transient: true });
  const failure = retry(5, ["sim.busy"]);
  const run = made.start(
    program(
      chain(
        step("w", { op: "wait", until: { kind: "duration", ms: 1000 } }),
        step("b", act("put", "b"), { failure }),
      ),
    ),
  );
  await made.site.advance(0);
  await expect(made.engine.setBreakpoint(run, owner, "sim.send")).rejects.toMatchObject({
    code: "run.breakpoint",
  });
  const breakpoint = await made.engine.setBreakpoint(run, owner, "b");
  await made.site.advance(2000);
  expect(phaseOf(made, run, "b")?.kind).toBe("intercepted");
  const again = restart(made);
  await again.engine.recover();
  await again.site.advance(1000);
  expect(phaseOf(again, run, "b")?.kind).toBe("intercepted");
  await release(again, run, "b");
  await again.site.advance(3000);
  // The second attempt stops too; its parameters stay, for the first one may have been done.
  expect([phaseOf(again, run, "b")?.kind, again.status(run, "b")]).toEqual(["intercepted", "RETRYING"]);
  await expect(release(again, run, "b", { text: "y" })).rejects.toMatchObject({ code: "run.order" });
  await again.engine.clearBreakpoint(run, owner, breakpoint);
  await release(again, run, "b");
  await again.site.advance(20_000);
  expect((await again.engine.ended(run)).status).toBe("finished");
});

test("C5 what changed since it was shown is shown again before it happens", async () => {
  const made = rig();
  const run = made.start(program([step("a", act("put", "a"))]), { breakpoints: ["a"] });
  await made.site.advance(0);
  made.site.files.set("a", ["from somebody else"]);
  await release(made, run, "a");
  await made.site.advance(0);
  expect(phaseOf(made, run, "a")?.kind).toBe("intercepted");
  expect(effects(made)).toEqual([]);
  await release(made, run, "a");
  await made.site.advance(0);
  expect(effects(made)).toEqual(["a"]);
});

test("C5 K85 changed parameters are checked against the schema before anything is recorded", async () => {
  const made = rig();
  const run = made.start(program([step("a", act("put", "a"))]), { breakpoints: ["a"] });
  await made.site.advance(0);
  const count = made.ledger.entries().length;
  await expect(release(made, run, "a", { txt: "y" })).rejects.toMatchObject({ code: "gate.params-invalid" });
  expect(made.ledger.entries()).toHaveLength(count);
});

test("C5 K85 changed parameters pass every check again: what leaves the workspace is refused", async () => {
  const made = rig();
  const run = made.start(program([step("a", act("put", "a"))]), { breakpoints: ["a"] });
  await made.site.advance(0);
  await release(made, run, "a", { name: "../elsewhere" });
  await made.site.advance(0);
  expect(await made.engine.ended(run)).toMatchObject({
    status: "failed",
    fault: { code: "gate.outside-workspace" },
  });
  expect(effects(made)).toEqual([]);
});

test("C5 K85 changed parameters need a new approval of the new effect, and carry the person's label", async () => {
  const made = rig();
  const run = made.start(
    program([
      step("ask", {
        op: "approve",
        role: roleName("accountant"),
        withinMs: 60_000,
        message: literal("look"),
        body: { steps: [step("a", act("put", "a", "x", "out"))] },
        otherwise: null,
      }),
    ]),
    { breakpoints: ["a"] },
  );
  await made.site.advance(0);
  const ada = { kind: "person", id: personId("ada"), key: keyId("k_0000000000000002") } as const;
  const [first] = made.engine.approvals();
  if (first === undefined) throw new Error("nothing waits");
  await made.engine.decideApproval(first.approval, "approve", ada, "");
  await made.site.advance(0);
  await release(made, run, "a", { text: "changed" });
  await made.site.advance(0);
  // The accountant approved something else; the same role is asked about what would be done now.
  const [second] = made.engine.approvals();
  expect(second).toMatchObject({
    role: "accountant",
    effects: [{ step: "a", params: { name: "a", text: "changed" } }],
  });
  expect(effects(made)).toEqual([]);
  const again = restart(made);
  await again.engine.recover();
  if (second === undefined) throw new Error("nothing waits");
  await again.engine.decideApproval(second.approval, "approve", ada, "");
  await again.site.advance(0);
  expect((await again.engine.ended(run)).status).toBe("finished");
  expect(again.site.effects.map(({ text }) => text)).toEqual(["changed"]);
  expect(again.engine.state(run)?.slots.get("out")?.labels).toContain("origin:person");
  const intended = again.ledger.entries().find(({ kind }) => kind === "effect.intended");
  expect(intended?.facts).toMatchObject({ verdict: { approval: second.approval } });
});

test("C5 K85 without a policy that asks, an operator approves the change; whoever made it may", async () => {
  const made = rig();
  const run = made.start(program([step("a", act("put", "a"))]), { breakpoints: ["a"] });
  await made.site.advance(0);
  await release(made, run, "a", { text: "changed" });
  await made.site.advance(0);
  const [request] = made.engine.approvals();
  expect(request).toMatchObject({ role: "operator", state: "waiting" });
  expect(effects(made)).toEqual([]);
  if (request !== undefined) await made.engine.decideApproval(request.approval, "approve", owner, "");
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
});

test("C5 K85 where policy asks for an approval, whoever changed the parameters cannot give it", async () => {
  const made = rig({
    policy: simulatedPolicy(() => ({ kind: "permit-with-approval", role: "owner", reason: "policy 7" })),
    registry: foldRegistry(registry(), {
      kind: "person.added",
      run: null,
      atMs: 0,
      actor: { kind: "node" },
      facts: {
        person: "otto",
        name: "Otto",
        roles: ["owner"],
        key: "k_0000000000000003",
        tokenHash: sha256("3".repeat(64)),
      },
    } as never),
  });
  const run = made.start(program([step("a", act("put", "a"))]), { breakpoints: ["a"] });
  await made.site.advance(0);
  await release(made, run, "a", { text: "changed" });
  await made.site.advance(0);
  const [request] = made.engine.approvals();
  if (request === undefined) throw new Error("nothing waits");
  expect(request).toMatchObject({ role: "owner", notBy: "olga" });
  const decide = (by: Actor) => made.engine.decideApproval(request.approval, "approve", by, "");
  await expect(decide(owner)).rejects.toMatchObject({ code: "approval.own-change" });
  await decide(otto);
  await made.site.advance(0);
  expect((await made.engine.ended(run)).status).toBe("finished");
});

test("C3 C4 a step at a breakpoint can be skipped, and a run cancelled with undo takes back the rest", async () => {
  const made = rig();
  const skipped = made.start(two, { breakpoints: ["b"] });
  await made.site.advance(0);
  await made.engine.skipStep(skipped, stepId("b"), owner, "no");
  await made.site.advance(0);
  expect([(await made.engine.ended(skipped)).status, made.status(skipped, "b")]).toEqual([
    "finished",
    "SKIPPED",
  ]);
  const cancelled = made.start(two, { breakpoints: ["b"] });
  await made.site.advance(0);
  await made.engine.cancelRun(cancelled, owner, { undo: true, reason: "no" });
  await made.site.advance(0);
  expect([(await made.engine.ended(cancelled)).status, made.status(cancelled, "b")]).toEqual([
    "rolled_back",
    "ABORTED",
  ]);
});

test("C4 a pattern names a capability with or without its version", () => {
  const move = capabilityId("filesystem.move_file@1.2.0");
  for (const yes of [
    "*",
    "filesystem.*",
    "filesystem.move_file",
    "*move*",
    "*@1.*",
    "filesystem.move_file@1.2.0",
  ])
    expect([yes, matches(yes, move)]).toEqual([yes, true]);
  for (const no of [
    "filesystem",
    "move_file",
    "filesystem.move_file@2.0.0",
    "*.copy*",
    "filesystem.move_file_*e",
  ])
    expect([no, matches(no, move)]).toEqual([no, false]);
});

import { expect, test } from "vitest";
import { decodeCbor } from "@writ/core/cbor";
import type { Capability } from "@writ/core/capability";
import { Fault } from "@writ/core/fault";
import { approvalId, roleName, sha256, slotName } from "@writ/core/ids";
import type { Policy } from "@writ/core/ports";
import type { HashedProgram, Step } from "@writ/core/program";
import { simulatedPolicy, simulatedSite } from "@writ/testkit/simulated-modules";
import {
  accountant,
  act,
  askAccountant,
  call,
  chain,
  event,
  finish,
  literal,
  load,
  owner,
  policies,
  program,
  rig,
  step,
  text,
  type Rig,
} from "./support.ts";

const approve = (
  body: readonly Step[],
  more: { readonly otherwise?: readonly Step[]; readonly withinMs?: number } = {},
): Step["op"] => ({
  op: "approve",
  role: roleName("accountant"),
  withinMs: more.withinMs ?? 60_000,
  message: literal("Please look"),
  body: { steps: body },
  otherwise: more.otherwise === undefined ? null : { steps: more.otherwise },
});

async function waiting(made: Rig, hashed: HashedProgram, more: Parameters<Rig["start"]>[1] = {}) {
  const run = made.start(hashed, more);
  await made.site.advance(0);
  const [request] = made.engine.approvals();
  if (request === undefined) throw new Error("nothing waits");
  return { run, request, ended: made.engine.ended(run) };
}

/** `sim.put` refuses to look at a name while it is taken by another file, as a move does. */
function refusingRig() {
  const site = simulatedSite();
  const taken = new Set<string>();
  const refuses = (each: Capability): Capability => ({
    ...each,
    inspect: (params, context) => {
      const { name } = params;
      if ((typeof name !== "string" || !taken.has(name)) && each.inspect !== undefined)
        return each.inspect(params, context);
      return Promise.reject(
        new Fault({ code: "sim.exists", kind: "rejected", message: "is there", remedy: "", facts: {} }),
      );
    },
  });
  const find: typeof site.modules.find = (id) => {
    const each = site.modules.find(id);
    return each === undefined || !id.startsWith("sim.put") ? each : refuses(each);
  };
  return { made: rig({ site: { ...site, modules: { ...site.modules, find } } }), taken };
}

const needsOwner = (permission: string): Policy =>
  simulatedPolicy((request) =>
    request.permission === permission
      ? { kind: "permit-with-approval", role: "owner", reason: "policy 7" }
      : { kind: "permit" },
  );

test("V1 an approval shows what exactly will be done, and what cannot be known yet as an expression", async () => {
  const made = rig();
  made.site.files.set("a", ["old"]);
  const { request } = await waiting(
    made,
    program([
      step(
        "ask",
        approve(
          chain(
            step("one", act("put", "a", "new", "out")),
            step("two", call("put", { name: literal("b"), text: text("string(out.lines)") })),
          ),
        ),
      ),
    ]),
  );
  expect(request).toMatchObject({ role: "accountant", message: "Please look", why: "program" });
  expect(request.effects[0]).toMatchObject({
    capability: "sim.put@1.0.0",
    params: { name: "a", text: "new" },
    later: {},
  });
  expect(request.effects[0]?.targets[0]).toMatchObject({ resolved: "/sim/a", does: "replace" });
  expect(request.effects[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(request.effects[1]).toMatchObject({
    params: { name: "b" },
    later: { text: "string(out.lines)" },
    hash: null,
  });
});

test("V2 after the approval exactly that is done", async () => {
  const made = rig();
  const { request, ended } = await waiting(
    made,
    program([step("ask", approve([step("one", act("put", "a"))]))]),
  );
  expect(made.site.effects).toEqual([]);
  await made.engine.decideApproval(request.approval, "approve", accountant, "fine");
  expect(await ended).toMatchObject({ status: "finished" });
  const intended = made.ledger.entries().find((entry) => entry.kind === "effect.intended");
  expect(intended?.kind === "effect.intended" && intended.facts.verdict).toMatchObject({
    kind: "allow",
    approval: request.approval,
  });
});

test("V2 the wrong role cannot decide, nor can a decision be given twice", async () => {
  const made = rig();
  const { request, ended } = await waiting(made, program([step("ask", approve([]))]));
  await expect(made.engine.decideApproval(request.approval, "approve", owner, "")).rejects.toMatchObject({
    code: "approval.wrong-role",
    facts: { role: "accountant" },
  });
  await expect(
    made.engine.decideApproval(request.approval, "approve", { kind: "node" }, ""),
  ).rejects.toMatchObject({ code: "approval.wrong-role" });
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  expect((await ended).status).toBe("finished");
  await expect(made.engine.decideApproval(request.approval, "approve", accountant, "")).rejects.toMatchObject(
    { code: "approval.unknown" },
  );
  await expect(
    made.engine.decideApproval(approvalId("a_nothing00"), "reject", accountant, ""),
  ).rejects.toMatchObject({ code: "approval.unknown" });
});

test("V3 a rejection takes the other way, or fails the step", async () => {
  const made = rig();
  const body = [step("yes", act("put", "a"))];
  const with2 = await waiting(
    made,
    program([step("ask", approve(body, { otherwise: [step("no", act("put", "b"))] }))]),
  );
  await made.engine.decideApproval(with2.request.approval, "reject", accountant, "no");
  await made.site.advance(0);
  expect((await with2.ended).status).toBe("finished");
  expect(made.site.effects.map(({ name }) => name)).toEqual(["b"]);
  const without = await waiting(made, program([step("ask", approve(body))]));
  await made.engine.decideApproval(without.request.approval, "reject", accountant, "no");
  expect(await without.ended).toMatchObject({ status: "failed", fault: { code: "approval.rejected" } });
});

test("K34 an approval that nobody decides ends in reject or skip, never in approve", async () => {
  const made = rig();
  const body = [step("yes", act("put", "a"))];
  const rejected = await made.run(program([step("ask", approve(body))]));
  expect(rejected).toMatchObject({ status: "failed", fault: { code: "approval.expired" } });
  const skipped = await made.run(program([step("ask", approve(body), { failure: policies.skip })]));
  expect(skipped.status).toBe("finished");
  expect([made.status(skipped.run, "ask"), made.status(skipped.run, "yes")]).toEqual(["SKIPPED", "SKIPPED"]);
  expect(made.site.effects).toEqual([]);
});

test("V4 an approval after the target changed is stale", async () => {
  const made = rig();
  made.site.files.set("a", ["as shown"]);
  const { request, ended } = await waiting(
    made,
    program([step("ask", approve([step("one", act("put", "a"))]))]),
  );
  made.site.files.set("a", ["changed by somebody"]);
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect(await ended).toMatchObject({ status: "failed", fault: { code: "approval.stale" } });
  expect(made.site.effects).toEqual([]);
});

test("K84 nobody is asked to approve what cannot be looked at, so nothing unseen can be put in its place", async () => {
  const { made, taken } = refusingRig();
  taken.add("hole");
  const asks = approve([step("one", act("put", "hole"))]);
  const failed = await made.run(program([step("ask", asks)]));
  expect(failed).toMatchObject({ status: "failed", fault: { code: "sim.exists" } });
  const skipped = await made.run(program([step("ask", asks, { failure: policies.skip })]));
  expect(skipped.status).toBe("finished");
  expect([made.status(skipped.run, "ask"), made.status(skipped.run, "one")]).toEqual(["SKIPPED", "SKIPPED"]);
  expect(made.engine.approvals()).toEqual([]);
  expect(made.site.effects).toEqual([]);
  expect(made.kinds(failed.run)).not.toContain("approval.requested");
});

test("V4 what only an earlier effect of the approval makes possible is asked for once it can be seen", async () => {
  const { made, taken } = refusingRig();
  taken.add("later");
  const { request, ended } = await waiting(
    made,
    program([
      step("ask", approve(chain(step("one", act("put", "first")), step("two", act("put", "later"))))),
    ]),
  );
  expect(request.effects[1]).toMatchObject({ later: {}, targets: [], hash: null });
  taken.clear();
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect(made.site.effects.map(({ name }) => name)).toEqual(["first"]);
  const [again] = made.engine.approvals();
  expect(again).toMatchObject({ step: "two", role: "accountant", why: "gate" });
  expect(again?.effects[0]?.targets[0]).toMatchObject({ resolved: "/sim/later" });
  if (again !== undefined) await made.engine.decideApproval(again.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await ended).status).toBe("finished");
  expect(made.site.effects.map(({ name }) => name)).toEqual(["first", "later"]);
});

test("P1 a preview shows that an approval cannot be asked for", async () => {
  const { made, taken } = refusingRig();
  taken.add("hole");
  const hashed = program([step("ask", approve([step("one", act("put", "hole"))]))]);
  const shown = await made.engine.preview(hashed, event(), "sim");
  expect(shown).toMatchObject({ status: "failed", fault: { code: "sim.exists" } });
  expect(shown.steps[0]).toMatchObject({ step: "ask", verdict: "refused", fault: { code: "sim.exists" } });
});

test("V4 a file that is only appended to may have grown, and the approval's own effects do not make it stale", async () => {
  const made = rig();
  made.site.files.set("journal", ["one"]);
  const { request, ended } = await waiting(
    made,
    program([
      step(
        "ask",
        approve(
          chain(
            step("a", act("put", "f")),
            step("b", act("put", "f", "again")),
            step("c", act("append", "journal")),
          ),
        ),
      ),
    ]),
  );
  made.site.files.set("journal", ["one", "two"]);
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await ended).status).toBe("finished");
});

test("K84 an approval does not get past what the gate denies", async () => {
  const made = rig();
  const hashed = program([step("ask", approve([step("one", act("put", "../outside"))]))]);
  const { request, ended } = await waiting(made, hashed);
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect(await ended).toMatchObject({ status: "failed", fault: { code: "gate.outside-workspace" } });
});

test("V5 what the policy permits only with approval waits for its role, and all checks run again after the wait", async () => {
  const made = rig({ policy: needsOwner("sim.write") });
  const first = await waiting(made, program([step("a", act("put", "a"))]));
  expect(first.request).toMatchObject({ why: "gate", role: "owner", message: "policy 7" });
  expect(made.status(first.run, "a")).toBe("AWAITING_APPROVAL");
  await made.engine.decideApproval(first.request.approval, "approve", owner, "");
  await made.site.advance(0);
  expect((await first.ended).status).toBe("finished");
  const second = await waiting(made, program([step("a", act("put", "a"))]));
  made.registry = { ...made.registry, revokedCapabilities: new Map([["sim.put@1.0.0", "unsafe"]]) };
  await made.engine.decideApproval(second.request.approval, "approve", owner, "");
  await made.site.advance(0);
  expect(await second.ended).toMatchObject({ status: "failed", fault: { code: "capability.revoked" } });
});

test("V5 the accountant's approval does not stand for the owner's", async () => {
  const made = rig({ policy: needsOwner("sim.write") });
  const { request } = await waiting(made, program([step("ask", approve([step("a", act("put", "a"))]))]));
  await made.engine.decideApproval(request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect(made.engine.approvals()).toMatchObject([{ role: "owner", why: "gate" }]);
});

test("G4 untrusted data may not decide about a consequential step without an approval", async () => {
  const made = rig();
  const send = call("send", { host: literal("http://127.0.0.1:9000/x"), text: text("event.data.what") });
  const trusted = await made.run(program([step("s", send)]), { event: event({ what: "x" }), labels: [] });
  expect(trusted.status).toBe("finished");
  const { request, ended } = await waiting(made, program([step("s", send)]), {
    event: event({ what: "x" }),
    labels: ["origin:event"],
  });
  expect(request.message).toContain("origin:event in its parameters");
  await made.engine.decideApproval(request.approval, "approve", owner, "");
  await made.site.advance(0);
  expect((await ended).status).toBe("finished");
});

test("G4 nor may it decide whether the step happens", async () => {
  const made = rig();
  const { request } = await waiting(
    made,
    program([
      step("d", {
        op: "branch",
        arms: [
          { when: "event.data.yes", block: { steps: [step("c", call("count", { text: literal("x") }))] } },
        ],
        otherwise: { steps: [] },
      }),
    ]),
    { event: event({ yes: true }), labels: ["origin:event"] },
  );
  expect(request.message).toContain("origin:event decided that it happens");
});

test("G4 nor may a branch or a check before it, which could have ended the run", async () => {
  const send = step("s", call("count", { text: literal("x") }));
  const check: Step["op"] = { op: "check", slot: slotName("event"), schema: { type: "object" } };
  const stops: Step["op"] = {
    op: "branch",
    arms: [{ when: "!event.data.yes", block: { steps: [step("f", finish("1"))] } }],
    otherwise: { steps: [] },
  };
  const inside: Step["op"] = {
    op: "parallel",
    branches: [{ steps: [step("c", check)] }],
    join: { kind: "all" },
  };
  const group: Step["op"] = { op: "parallel", branches: [{ steps: [send] }], join: { kind: "all" } };
  const between = step("e", { op: "eval", expression: "1", output: slotName("one") });
  for (const steps of [
    [step("b", check), send],
    [step("b", stops), send],
    [step("b", inside), between, send],
    [step("b", stops), step("g", group)],
  ]) {
    const made = rig();
    const { request } = await waiting(made, program(chain(...steps)), {
      event: event({ yes: true }),
      labels: ["origin:event"],
    });
    expect(request.message).toContain("origin:event decided that it happens");
    expect(made.site.effects).toEqual([]);
  }
  const free = program([step("b", check), send]);
  expect((await rig().run(free, { event: event(), labels: ["origin:event"] })).status).toBe("finished");
});

test("G4 nor may what decided in a step that failed, in the block that replaces it", async () => {
  const made = rig();
  const check: Step["op"] = { op: "check", slot: slotName("event"), schema: { type: "string" } };
  const group: Step["op"] = {
    op: "parallel",
    branches: [{ steps: [step("c", check)] }],
    join: { kind: "all" },
  };
  const block = { steps: [step("s", call("count", { text: literal("x") }))] };
  const { request } = await waiting(
    made,
    program([step("g", group, { failure: { kind: "degrade", block } })]),
    { event: event(), labels: ["origin:event"] },
  );
  expect(request.message).toContain("origin:event decided that it happens");
});

test("V6 ask_person: the person may have it tried again with a new key, or let it fail", async () => {
  const made = rig();
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const hashed = program([step("a", act("put", "a"), { failure: askAccountant() })]);
  const first = await waiting(made, hashed);
  expect(first.request).toMatchObject({ why: "failure", message: "Cannot do it: sim.no", effects: [] });
  expect(made.status(first.run, "a")).toBe("FAILED");
  await made.engine.decideApproval(first.request.approval, "approve", accountant, "");
  await made.site.advance(0);
  expect((await first.ended).status).toBe("finished");
  const keys = made.ledger
    .entries()
    .flatMap((entry) => (entry.kind === "effect.intended" ? [entry.facts.key] : []));
  expect(new Set(keys).size).toBe(2);
  made.site.behave("a", { kind: "fault", code: "sim.no", times: 1, transient: false });
  const second = await waiting(made, hashed);
  await made.engine.decideApproval(second.request.approval, "reject", accountant, "");
  expect(await second.ended).toMatchObject({ status: "failed", fault: { code: "sim.no" } });
});

test("V7 an approval survives a restart, and its time goes on", async () => {
  const made = rig();
  const hashed = program([step("ask", approve([step("one", act("put", "a"))], { withinMs: 60_000 }))]);
  const { run } = await waiting(made, hashed);
  const again = rig({
    site: made.site,
    ledger: made.ledger.crash(),
    programs: made.programs,
    blobs: made.options.blobs,
  });
  await again.engine.recover();
  expect(again.engine.approvals()).toHaveLength(1);
  const ended = again.engine.ended(run);
  await made.site.advance(61_000);
  expect(await ended).toMatchObject({ status: "failed", fault: { code: "approval.expired" } });
});

test("P1 a preview does nothing, performs reads and shows what would be done, approvals included", async () => {
  const made = rig({ policy: needsOwner("sim.write") });
  made.site.files.set("in", ["5"]);
  const hashed = program(
    chain(
      step("read", load("in", "file")),
      step("ask", approve([step("one", act("put", "a", "x", "out"))])),
      step("send", call("send", { host: literal("http://127.0.0.1:9000/"), text: literal("hi") }, "answer")),
      step("end", finish("answer.status")),
    ),
  );
  const shown = await made.engine.preview(hashed, event(), "sim");
  expect(shown.steps.map(({ step: id, verdict, role }) => [id, verdict, role])).toEqual([
    ["read", "done", null],
    ["ask", "needs-approval", "accountant"],
    ["one", "needs-approval", "owner"],
    ["send", "would", null],
  ]);
  expect(shown.steps[0]?.result).toEqual({ content: ["5"], size: 1 });
  expect(shown.steps[2]).toMatchObject({ params: { name: "a", text: "x" }, result: { lines: 1 } });
  // Nobody can know what the other side would answer.
  expect(shown.status).toBe("unknown");
  expect([made.ledger.entries(), made.site.effects, [...made.site.files.keys()]]).toEqual([[], [], ["in"]]);
});

test("P1 a preview shows what the gate would refuse", async () => {
  const made = rig();
  const shown = await made.engine.preview(program([step("a", act("put", "archive/x"))]), event(), "sim");
  expect(shown).toMatchObject({
    status: "failed",
    steps: [{ verdict: "refused", fault: { code: "gate.read-only-place" } }],
  });
});

test("V1 a parameter that looks like a hash of something large is not shown as one", async () => {
  const made = rig();
  const forged = { $blob: "0".repeat(64), sizeBytes: 5 };
  const ask = approve([step("a", call("count", { text: literal("x"), forged: literal(forged) }))]);
  const { request } = await waiting(made, program([step("ask", ask)]));
  const shown = request.effects[0]?.params["forged"];
  expect(shown).toMatchObject({ sizeBytes: expect.any(Number) });
  const stored = await made.options.blobs.get(sha256(String(Object(shown)["$blob"])));
  expect(decodeCbor(stored)).toEqual(forged);
});

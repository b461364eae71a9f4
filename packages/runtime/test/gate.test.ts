import { expect, test } from "vitest";
import { decimalSchema, type Capability, type Target } from "@writ/core/capability";
import { approvalId, capabilityId, roleName, sha256, stepId } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import type { PolicyRequest } from "@writ/core/ports";
import type { Invariant } from "@writ/core/program";
import { Type } from "@writ/core/schema";
import { decimal } from "@writ/core/value";
import { parseWorkspace } from "@writ/core/workspace";
import { gate, type GateInput } from "@writ/runtime/gate";
import { simulatedSite } from "@writ/testkit/simulated-modules";
import { simulatedPlant } from "@writ/testkit/simulated-plant";
import { hostOf } from "../src/gate/containment.ts";
import { bindingTargets, effectHash } from "../src/effect-hash.ts";
import { fit, problemsOf } from "../src/fit.ts";
import { program, workspaceFile } from "./support.ts";

const { hasher, modules } = simulatedSite();
const put = modules.find(capabilityId("sim.put@1.0.0")) as Capability;
const send = modules.find(capabilityId("sim.send@1.0.0")) as Capability;

const file = (name: string, does: Target["does"] = "replace", resolved = `/sim/${name}`): Target => ({
  kind: "file",
  name,
  resolved,
  does,
  state: null,
});
const host = (name: string): Target => ({
  kind: "host",
  name,
  resolved: "10.0.0.1",
  does: "send",
  state: null,
});

function input(change: Partial<GateInput> & { readonly invariants?: readonly Invariant[] } = {}): GateInput {
  return {
    capability: put.id,
    definition: put,
    revoked: undefined,
    params: { name: "inbox/a", text: "x" },
    targets: [file("inbox/a")],
    paramLabels: [],
    controlLabels: [],
    program: program([], { invariants: change.invariants ?? [] }).program,
    workspace: { name: "sim", root: "/sim", file: parseWorkspace(workspaceFile) },
    principal: { kind: "program", id: "p", roles: [] },
    policy: { hash: sha256("a".repeat(64)) },
    decide: () => ({ kind: "permit" }),
    approvals: [],
    sends: { count: 0, countMax: 10 },
    purpose: "effect",
    hasher,
    ...change,
  };
}

const code = (given: GateInput): string => {
  const verdict = gate(given);
  return verdict.kind === "deny" ? verdict.fault.code : verdict.kind;
};

const sending = (url: string, change: Partial<GateInput> = {}): GateInput =>
  input({
    capability: send.id,
    definition: send,
    params: { host: url, text: "x" },
    targets: [host("127.0.0.1:9000")],
    ...change,
  });

test("G1 the first check that fails decides, in the fixed order", () => {
  const forbid: GateInput["decide"] = () => ({ kind: "forbid", reason: "no", policies: ["p1"] });
  const all = {
    revoked: "unsafe",
    decide: forbid,
    params: { name: 5 },
    targets: [file("../x", "replace", "/x")],
  } as const;
  expect(code(input({ ...all, definition: undefined }))).toBe("capability.unknown");
  expect(code(input(all))).toBe("capability.revoked");
  expect(code(input({ ...all, revoked: undefined }))).toBe("gate.policy-denied");
  expect(code(input({ params: all.params, targets: all.targets }))).toBe("gate.params-invalid");
  expect(code(input({ targets: all.targets }))).toBe("gate.outside-workspace");
  expect(code(input())).toBe("allow");
});

test("G1 what only takes back cannot be called", () => {
  const definition: Capability = { ...put, internal: true };
  expect([code(input({ definition })), code(input({ definition, purpose: "undo" }))]).toEqual([
    "capability.unknown",
    "allow",
  ]);
});

test("G2 no approval gets past a denial", () => {
  const effect = {
    step: stepId("a"),
    capability: put.id,
    params: { name: "x" },
    later: { text: "t" },
    targets: [],
    hash: null,
  };
  const approvals = [
    { approval: approvalId("a_00000000"), role: roleName("owner"), effects: [effect], index: 0 },
  ];
  expect(code(input({ approvals, targets: [file("x", "replace", "/etc/x")] }))).toBe(
    "gate.outside-workspace",
  );
});

test("G6 containment: real paths inside the root, nothing written where only reading is allowed", () => {
  for (const targets of [
    [file("inbox/a", "replace", "/etc/passwd")],
    [file("inbox/a", "read", "/etc/passwd")],
    [file("inbox/a", "replace", "/simulated/a")],
    [file("../a", "replace", "/sim/a")],
    [file("/sim/a", "replace", "/sim/a")],
  ]) {
    expect(code(input({ targets }))).toBe("gate.outside-workspace");
  }
  expect(code(input({ targets: [file("archive/a")] }))).toBe("gate.read-only-place");
  expect(code(input({ targets: [file("inbox/link", "replace", "/sim/archive/a")] }))).toBe(
    "gate.read-only-place",
  );
  expect(code(input({ targets: [file("archive/a", "read")] }))).toBe("allow");
  expect(code(input({ targets: [file("archived/a")] }))).toBe("allow");
});

test("G6 the workspace file is written under no name and by nobody, and read by all", () => {
  for (const targets of [
    ...(["create", "replace", "append", "remove"] as const).map((does) => [file("workspace.json", does)]),
    [file("./workspace.json")],
    [file(".//workspace.json")],
    [file("inbox/link", "replace", "/sim/workspace.json")],
    [file("Workspace.JSON")],
    [file("work\u017fpace.json")],
    [file("workspace.json", "replace", "/sim/inbox/a")],
    [file("inbox/a", "remove"), file("workspace.json")],
    [{ ...file(".", "remove", "/sim"), kind: "folder" as const }],
  ]) {
    expect([targets, code(input({ targets }))]).toEqual([targets, "gate.workspace-file"]);
    expect(code(input({ targets, purpose: "undo" }))).toBe("gate.workspace-file");
  }
  expect(code(input({ targets: [file("workspace.json", "read")] }))).toBe("allow");
  expect(code(input({ targets: [file("inbox/workspace.json")] }))).toBe("allow");
  expect(code(input({ targets: [file("my-workspace.json")] }))).toBe("allow");
});

test("G7 what the program promised is enforced", () => {
  const invariants = [{ kind: "writes-within", paths: ["inbox"] }] as const;
  expect(code(input({ invariants }))).toBe("allow");
  expect(code(input({ invariants, targets: [file("other/a")] }))).toBe("gate.invariant");
  expect(code(input({ invariants, targets: [file("other/a", "read")] }))).toBe("allow");
  expect(code(input({ invariants: [{ kind: "writes-within", paths: ["."] }] }))).toBe("allow");
  expect(code(input({ invariants: [{ kind: "never-writes", paths: ["inbox/a"] }] }))).toBe("gate.invariant");
  expect(code(input({ invariants: [{ kind: "never-calls", capability: put.id }] }))).toBe("gate.invariant");
  expect(
    code(
      sending("http://127.0.0.1:9000/", {
        program: program([], { invariants: [{ kind: "never-sends" }] }).program,
      }),
    ),
  ).toBe("gate.invariant");
});

test("G7 a command in a folder counts as writing all of it", () => {
  const folder = (name: string, resolved: string): Target => ({
    ...file(name, "replace", resolved),
    kind: "folder",
  });
  const invariants = [{ kind: "never-writes", paths: ["inbox/kept"] }] as const;
  expect(code(input({ invariants, targets: [folder(".", "/sim")] }))).toBe("gate.invariant");
  expect(code(input({ invariants, targets: [folder("inbox", "/sim/inbox")] }))).toBe("gate.invariant");
  expect(code(input({ invariants, targets: [folder("other", "/sim/other")] }))).toBe("allow");
});

test("G10 the policy is told the higher risk of a capability and of its call", () => {
  const risks: string[] = [];
  const decide: GateInput["decide"] = ({ risk }) => {
    risks.push(risk);
    return { kind: "permit" };
  };
  for (const risk of ["low", "critical"] as const)
    gate(input({ definition: { ...put, riskOf: () => risk }, decide }));
  gate(input({ definition: { ...put, risk: "high", riskOf: () => "medium" }, decide }));
  expect(risks).toEqual(["low", "critical", "high"]);
});

test("K86 every parameter that names a path is checked, also nested and in lists", () => {
  const path = Type.String({ maxLength: 100, "x-path": "file" });
  const definition: Capability = {
    ...put,
    params: Type.Object({
      deep: Type.Optional(Type.Object({ path })),
      list: Type.Optional(Type.Array(path, { maxItems: 9 })),
      either: Type.Optional(Type.Union([Type.Null(), path])),
      byName: Type.Optional(Type.Record(Type.String({ maxLength: 9 }), path)),
    }),
  };
  const given = (params: GateInput["params"]) => code(input({ definition, params, targets: [] }));
  expect(given({ deep: { path: "../x" } })).toBe("gate.outside-workspace");
  expect(given({ list: ["ok", "/etc/passwd"] })).toBe("gate.outside-workspace");
  expect(given({ either: "a/../../x" })).toBe("gate.outside-workspace");
  expect(given({ byName: { a: "..\\x" } })).toBe("gate.outside-workspace");
  expect(given({ deep: { path: "a/b" }, list: ["c"], either: null, byName: { a: "d" } })).toBe("allow");
});

test("G8 only hosts on the allow-list, by the scheme that it names", () => {
  expect(code(sending("http://127.0.0.1:9000/x"))).toBe("allow");
  for (const url of [
    "https://127.0.0.1:9000/",
    "http://127.0.0.1:9001/",
    "http://127.0.0.1/",
    "http://169.254.169.254/",
    "http://127.0.0.1:9000@evil.example/",
    "http://evil.example\\@127.0.0.1:9000/",
    "http://user:pw@127.0.0.1:9000/",
    "file:///etc/passwd",
  ]) {
    expect([url, code(sending(url))]).toEqual([url, "gate.host-not-allowed"]);
  }
  expect(code(sending("http://127.0.0.1:9000/", { targets: [host("10.0.0.1:80")] }))).toBe(
    "gate.host-not-allowed",
  );
  expect(hostOf("HTTPS://Example.ORG/a")).toEqual({ host: "example.org:443", scheme: "https" });
});

test("G5 what is secret does not leave; inside the workspace it may be written", () => {
  const paramLabels: readonly Label[] = ["secret"];
  expect(code(sending("http://127.0.0.1:9000/", { paramLabels }))).toBe("gate.secret-leaves");
  expect(code(input({ paramLabels }))).toBe("allow");
});

test("G4 untrusted data needs an approval only where the step is consequential", () => {
  expect(code(input({ paramLabels: ["origin:file"], controlLabels: ["origin:event"] }))).toBe("allow");
  expect(code(sending("http://127.0.0.1:9000/", { paramLabels: ["origin:file"] }))).toBe("needs");
  expect(code(sending("http://127.0.0.1:9000/", { controlLabels: ["origin:web"] }))).toBe("needs");
  expect(code(sending("http://127.0.0.1:9000/", { paramLabels: ["origin:person"] }))).toBe("allow");
});

test("G4 what moves a device is consequential, looking at one is not", () => {
  const plant = simulatedPlant({ monotonicMs: () => 0 });
  const definition = plant.capabilities.find(({ id }) => id === "plant.run_pump@1.0.0") as Capability;
  const pumping = (change: Parameters<typeof input>[0]) =>
    input({
      capability: definition.id,
      definition,
      params: { pump: "pump-1", on: true },
      targets: [],
      ...change,
    });
  const pump: Target = { kind: "device", name: "pump-1", resolved: "pump-1", does: "replace", state: null };
  for (const targets of [[pump], []]) {
    expect(code(pumping({ targets, paramLabels: ["origin:file"] }))).toBe("needs");
    expect(code(pumping({ targets, controlLabels: ["origin:event"] }))).toBe("needs");
    expect(code(pumping({ targets }))).toBe("allow");
    expect(code(pumping({ targets, invariants: [{ kind: "never-sends" }] }))).toBe("allow");
  }
  const read = plant.capabilities.find(({ id }) => id === "plant.read_valve@1.0.0") as Capability;
  const reading = { definition: read, capability: read.id, params: { valve: "valve-1" } };
  const seen = [{ ...pump, name: "valve-1", resolved: "valve-1", does: "read" as const }];
  expect(code(input({ ...reading, targets: seen, paramLabels: ["origin:file"] }))).toBe("allow");
});

test("G12 a device that the workspace does not list is refused, reads too, and the policy is told the risk of what moves", () => {
  const plant = simulatedPlant({ monotonicMs: () => 0 });
  const seen: (string | undefined)[] = [];
  const touching = (id: string, name: string, does: Target["does"], devices?: object): GateInput => {
    const definition = plant.capabilities.find((each) => each.id === `plant.${id}@1.0.0`) as Capability;
    const { devices: listed, ...rest } = workspaceFile;
    return input({
      capability: definition.id,
      definition,
      params: id === "run_pump" ? { pump: name, on: true } : { valve: name },
      targets: [{ kind: "device", name, resolved: name, does, state: null }],
      workspace: {
        name: "sim",
        root: "/sim",
        file: parseWorkspace({
          ...rest,
          ...(devices === undefined ? {} : { devices: { ...listed, ...devices } }),
        }),
      },
      decide: (request) => {
        seen.push(request.deviceRisk);
        return { kind: "permit" };
      },
    });
  };
  expect(code(touching("run_pump", "pump-1", "replace", {}))).toBe("allow");
  expect(code(touching("close_valve", "valve-2", "replace", {}))).toBe("allow");
  expect(code(touching("read_valve", "valve-2", "read", {}))).toBe("allow");
  expect(code(touching("run_pump", "pump-9", "replace", {}))).toBe("gate.device-not-allowed");
  expect(code(touching("read_valve", "valve-9", "read", {}))).toBe("gate.device-not-allowed");
  expect(code(touching("close_valve", "constructor", "replace", {}))).toBe("gate.device-not-allowed");
  expect(code(touching("run_pump", "pump-1", "replace"))).toBe("gate.device-not-allowed");
  expect(seen).toEqual(["low", "high", undefined, "critical", undefined, "critical", "critical"]);
});

test("G9 a host may be sent to only so often", () => {
  expect(code(sending("http://127.0.0.1:9000/", { sends: { count: 10, countMax: 10 } }))).toBe("gate.rate");
});

test("K112 what only an owner may do waits for an owner, whatever the policy permits", () => {
  const definition: Capability = { ...put, effect: { kind: "irreversible", approval: "owner" } };
  expect(gate(input({ definition }))).toMatchObject({ kind: "needs", role: "owner" });
});

test("G10 the policy is told the risk of the host, and an unlisted host is critical", () => {
  const seen: PolicyRequest[] = [];
  const decide: GateInput["decide"] = (request) => {
    seen.push(request);
    return { kind: "permit" };
  };
  gate(sending("http://127.0.0.1:9000/", { decide }));
  gate(sending("http://127.0.0.1:9000/", { decide, targets: [host("127.0.0.1:9000"), host("x:1")] }));
  gate(input({ decide }));
  expect(seen.map(({ hostRisk }) => hostRisk)).toEqual(["low", "critical", null]);
});

test("G3 an approval covers exactly one effect: capability, parameters, targets and their state", () => {
  const effect = {
    capability: put.id,
    params: { name: "inbox/a", text: "x" },
    targets: [{ ...file("inbox/a"), state: sha256("1".repeat(64)) }],
  };
  const preview = { ...effect, step: stepId("a"), later: {}, hash: effectHash(effect, hasher) };
  const approvals = [
    { approval: approvalId("a_00000000"), role: roleName("owner"), effects: [preview], index: 0 },
  ];
  expect(gate(input({ ...effect, approvals }))).toMatchObject({ kind: "allow", approval: "a_00000000" });
  for (const change of [
    { params: { name: "inbox/a", text: "y" } },
    { targets: [file("inbox/b")] },
    { targets: [{ ...file("inbox/a"), state: sha256("2".repeat(64)) }] },
    { capability: capabilityId("sim.append@1.0.0") },
  ]) {
    expect(code(input({ ...effect, approvals, ...change }))).toBe("approval.stale");
  }
});

test("H4 what was approved in a sandbox is not approved without one, and old approvals stay as they were", () => {
  const approved = (target: Target) => {
    const effect = { capability: put.id, params: { name: "inbox/a", text: "x" }, targets: [target] };
    const preview = { ...effect, step: stepId("a"), later: {}, hash: effectHash(effect, hasher) };
    const one = { approval: approvalId("a_00000000"), role: roleName("owner"), effects: [preview], index: 0 };
    return (now: Target) => code(input({ ...effect, targets: [now], approvals: [one] }));
  };
  const boxed = { ...file("inbox/a"), conditions: "sandbox: bubblewrap, network: none" };
  const bare = { ...file("inbox/a"), conditions: "sandbox: none, network: any" };
  expect(approved(boxed)(boxed)).toBe("allow");
  expect(approved(boxed)(bare)).toBe("approval.stale");
  expect(approved(file("inbox/a"))(bare)).toBe("approval.stale");
  expect(approved(file("inbox/a"))(file("inbox/a"))).toBe("allow");
});

test("K85 a parameter that was not shown makes the approval stale, also while others were not known", () => {
  const partial = {
    step: stepId("a"),
    capability: put.id,
    params: { name: "inbox/a" },
    later: { text: "out" },
    targets: [],
    hash: null,
  };
  const approvals = [
    { approval: approvalId("a_00000000"), role: roleName("owner"), effects: [partial], index: 0 },
  ];
  const wide: Capability = { ...put, params: Type.Object({}, { additionalProperties: true }) };
  expect(code(input({ approvals }))).toBe("allow");
  // What leaves or stays for ever is asked for once more, now that all of it is known.
  expect(gate(input({ approvals, targets: [host("127.0.0.1:9000")] }))).toMatchObject({
    kind: "needs",
    role: "owner",
    reason: "what it touches could not be seen when it was approved",
  });
  expect(code(input({ approvals, params: { name: "inbox/b", text: "x" } }))).toBe("approval.stale");
  expect(code(input({ approvals, definition: wide, params: { name: "inbox/a", text: "x", mode: 1 } }))).toBe(
    "approval.stale",
  );
});

test("H3 an approval that saw no targets although everything was known does not stand for the effect", () => {
  const effect = { capability: put.id, params: { name: "inbox/a", text: "x" }, targets: [file("inbox/a")] };
  const blind = { ...effect, step: stepId("a"), later: {}, targets: [], hash: null };
  const given = { role: roleName("accountant"), index: 0 };
  const approvals = [{ ...given, approval: approvalId("a_00000000"), effects: [blind] }];
  expect(gate(input({ ...effect, approvals }))).toMatchObject({ kind: "needs", role: "accountant" });
  const exact = { ...effect, step: stepId("a"), later: {}, hash: effectHash(effect, hasher) };
  const both = [...approvals, { ...given, approval: approvalId("a_00000001"), effects: [exact] }];
  expect(gate(input({ ...effect, approvals: both }))).toMatchObject({
    kind: "allow",
    approval: "a_00000001",
  });
  expect(code(input({ ...effect, approvals: both, targets: [file("inbox/b")] }))).toBe("approval.stale");
});

test("H1 H2 what an approval leaves out: appended files, files changed by earlier effects, addresses of hosts", () => {
  const state = sha256("1".repeat(64));
  const earlier = {
    step: stepId("a"),
    capability: put.id,
    params: {},
    later: {},
    targets: [file("f")],
    hash: null,
  };
  expect(bindingTargets([{ ...file("j", "append"), state }], [])[0]?.state).toBeNull();
  expect(bindingTargets([{ ...file("f", "read"), state }], [earlier])[0]?.state).toBeNull();
  expect(bindingTargets([{ ...file("g", "read"), state }], [earlier])[0]?.state).toBe(state);
  expect(bindingTargets([host("h:1")], [])[0]?.resolved).toBe("h:1");
});

test("F1 F2 decimals become numbers only where a schema wants them and nothing is lost", () => {
  const schema = Type.Object({
    n: Type.Integer(),
    d: Type.String({ maxLength: 40, "x-decimal": true }),
    t: Type.String({ maxLength: 9 }),
  });
  const big = decimal("12345678901234567890");
  expect(fit(schema, { n: decimal("5"), d: decimal("1.50"), t: "5" })).toEqual({
    n: 5,
    d: decimal("1.5"),
    t: "5",
  });
  expect(problemsOf(schema, { n: decimal("5"), d: decimal("1.50"), t: "5" })).toEqual([]);
  expect(problemsOf(schema, { n: big, d: decimal("1"), t: "5" })).not.toEqual([]);
  expect(problemsOf(schema, { n: "5", d: decimal("1"), t: "5" })).not.toEqual([]);
  const either = Type.Union([Type.Null(), Type.Integer()]);
  expect([fit(either, decimal("3")), fit(either, null)]).toEqual([3, null]);
  const exact = Type.Union([Type.Integer(), Type.Number(), decimalSchema]);
  expect([fit(exact, decimal("3")), fit(exact, 3)]).toEqual([decimal("3"), 3]);
});

import { capabilityId } from "@writ/core/ids";
import { builtInModules } from "@writ/modules/registry";
import type { PolicyRequest } from "@writ/core/ports";
import { expect, test } from "vitest";
import { openPolicy, readPolicy } from "../src/policy.ts";
import { loadPolicy } from "../src/policies.ts";

const policy = loadPolicy(null);
const profiles = ["readonly", "local_worker", "power_user", "unrestricted"];

const moveFile: PolicyRequest = {
  principal: { kind: "program", id: "p", roles: [] },
  profile: "local_worker",
  capability: capabilityId("filesystem.move_file@1.0.0"),
  permission: "filesystem.write",
  effect: "write",
  risk: "low",
  workspace: "invoices",
  targets: [],
  labels: [],
};
const host = {
  kind: "host",
  name: "127.0.0.1:3999",
  resolved: "127.0.0.1",
  does: "send",
  state: null,
} as const;
const post: PolicyRequest = {
  ...moveFile,
  capability: capabilityId("api_http.post@1.0.0"),
  permission: "network.send",
  effect: "irreversible",
  risk: "medium",
  targets: [host],
  hostRisk: "low",
};

test("S20 without a policy there is no effect", () => {
  expect(policy.decide({ ...moveFile, profile: "no_such_profile" }).kind).toBe("forbid");
});

test("S20 the default profile works on files and reads", () => {
  expect(policy.decide(moveFile)).toEqual({ kind: "permit" });
  expect(policy.decide({ ...moveFile, effect: "read", permission: "filesystem.read" })).toEqual({
    kind: "permit",
  });
});

test("S20 the profile readonly changes nothing and names the policy that says so", () => {
  expect(policy.decide({ ...moveFile, profile: "readonly" })).toMatchObject({
    kind: "forbid",
    policies: ["readonly.never-changes"],
  });
});

test("K88 the profile readonly does not read the environment, through whatever capability", () => {
  const read = { ...moveFile, effect: "read", permission: "environment.read" } as const;
  expect(policy.decide({ ...read, profile: "readonly" }).kind).toBe("forbid");
});

test("K87 the default profile reads no environment", () => {
  expect(policy.decide({ ...moveFile, effect: "read", permission: "environment.read" }).kind).toBe("forbid");
});

test.each(["process.run", "os_exec.run", "permission.grant", "module.install"])(
  "K110 the default profile does not allow %s",
  (permission) => {
    expect(policy.decide({ ...moveFile, permission }).kind).toBe("forbid");
  },
);

test("K110 no profile but the two widest has commands, processes, variables or applications", () => {
  const exec = builtInModules()
    .all()
    .filter(({ id, internal }) => id.startsWith("os_exec.") && internal !== true);
  expect(exec).toHaveLength(9);
  for (const { id, permission, effect, risk } of exec) {
    const request = { ...moveFile, capability: id, permission, effect: effect.kind, risk };
    expect(policy.decide(request).kind, id).toBe("forbid");
    const isSystem = permission === "system.read";
    expect(policy.decide({ ...request, profile: "readonly" }).kind, id).toBe(isSystem ? "permit" : "forbid");
    if (permission === "process.run" || permission === "process.kill") {
      expect(policy.decide({ ...request, profile: "power_user" }), id).toMatchObject({
        kind: "permit-with-approval",
        role: "owner",
      });
    }
  }
});

test.each(profiles)("K173 K62 under %s text from a model is never run as a command", (profile) => {
  for (const permission of ["process.run", "application.open"]) {
    const request = {
      ...moveFile,
      profile,
      permission,
      effect: "irreversible",
      labels: ["origin:model"],
    } as const;
    expect(policy.decide(request).kind).toBe("forbid");
  }
});

test.each(profiles)("K112 the profile %s never lets a critical action go ahead unasked", (profile) => {
  const effect = profile === "readonly" ? "read" : "write";
  expect(policy.decide({ ...moveFile, effect, profile, risk: "critical" })).toMatchObject({
    kind: "permit-with-approval",
    role: "owner",
  });
});

test.each(["filesystem.delete_file@1.0.0", "filesystem.delete_directory@1.0.0"])(
  "S21 %s waits for the owner",
  (id) => {
    const request = { ...moveFile, capability: capabilityId(id), permission: "filesystem.delete" };
    expect(policy.decide(request)).toMatchObject({ kind: "permit-with-approval", role: "owner" });
    expect(policy.decide({ ...request, profile: "unrestricted" }).kind).toBe("permit");
  },
);

test("S21 a send to a host that the allow-list calls a low risk goes ahead, any other waits for the owner", () => {
  expect(policy.decide(post).kind).toBe("permit");
  for (const hostRisk of ["medium", "high", "critical"] as const) {
    expect(policy.decide({ ...post, hostRisk })).toMatchObject({
      kind: "permit-with-approval",
      role: "owner",
    });
  }
});

test("S21 a host whose risk nobody told counts as risky", () => {
  const { hostRisk: _told, ...untold } = post;
  expect(policy.decide(untold).kind).toBe("permit-with-approval");
});

test("S21 an irreversible effect without a host waits for the owner unless its risk is low", () => {
  expect(policy.decide({ ...moveFile, effect: "irreversible", risk: "medium" }).kind).toBe(
    "permit-with-approval",
  );
  expect(policy.decide({ ...moveFile, effect: "irreversible" }).kind).toBe("permit");
});

test("S21 an approval never widens what policy denies", () => {
  const denied = {
    ...moveFile,
    profile: "readonly",
    capability: capabilityId("filesystem.delete_file@1.0.0"),
  };
  expect(policy.decide(denied).kind).toBe("forbid");
});

test("S20 what is secret may not leave, under every profile", () => {
  for (const profile of profiles) {
    expect(policy.decide({ ...post, profile, labels: ["secret"] }).kind).toBe("forbid");
    const question = { ...moveFile, effect: "read", permission: "model.ask", targets: [] } as const;
    expect(policy.decide({ ...question, profile, labels: ["secret"] }).kind).toBe("forbid");
  }
});

test("K108 no agent changes permissions, whatever the profile", () => {
  const request = { ...moveFile, permission: "permission.grant", profile: "unrestricted" };
  expect(policy.decide({ ...request, principal: { kind: "agent", id: "m", roles: ["agent"] } }).kind).toBe(
    "forbid",
  );
  expect(policy.decide({ ...request, principal: { kind: "person", id: "a", roles: ["owner"] } }).kind).toBe(
    "permit",
  );
});

test("K109 a low risk alone permits nothing", () => {
  expect(policy.decide({ ...moveFile, permission: "camera.capture", risk: "low" }).kind).toBe("forbid");
});

const schema = `entity Role; entity Person in [Role]; entity Agent in [Role]; entity Program in [Role];
entity Capability { name: String, module: String, permission: String, effect: String, risk: String };
action perform, proceed_unasked appliesTo { principal: [Person, Agent, Program], resource: [Capability], context: {
  profile: String, workspace: String, labels: Set<String>, targets: Set<String>, does: Set<String>, folders: Set<String>,
  hosts: Set<String>, hostRisk: String } };`;

test.each([
  ["a syntax error", "permit (principal, action"],
  ["a name the schema does not know", 'permit (principal, action, resource) when { context.prfile == "x" };'],
  ["an approval on a permit", '@approval("owner") permit (principal, action, resource);'],
  [
    "an approval by what is no role",
    '@approval("") forbid (principal, action == Action::"proceed_unasked", resource);',
  ],
  [
    "two policies of one id",
    '@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);',
  ],
])("S20 policies with %s are refused", (_what, text) => {
  expect(() => openPolicy([{ name: "own.cedar", text }], schema)).toThrow(
    expect.objectContaining({ code: "policy.invalid" }),
  );
});

test("S20 a policy that cannot be evaluated forbids instead of being skipped", () => {
  // Overflow is the one evaluation error that validation cannot exclude.
  const text = `@id("all") permit (principal, action, resource);
    @id("overflow") forbid (principal, action, resource) when { 9223372036854775807 + 1 == 1 };`;
  expect(openPolicy([{ name: "own.cedar", text }], schema).decide(moveFile)).toMatchObject({
    kind: "forbid",
    policies: ["overflow"],
  });
});

test("S20 a policy that says whom to ask and cannot be evaluated forbids; it does not take another's place", () => {
  const text = `@id("all") permit (principal, action, resource);
    @id("owner") @approval("owner") forbid (principal, action == Action::"proceed_unasked", resource);
    @id("overflow") @approval("accountant") forbid (principal, action == Action::"proceed_unasked", resource)
    when { 9223372036854775807 + 1 == 1 };`;
  expect(openPolicy([{ name: "own.cedar", text }], schema).decide(moveFile)).toMatchObject({
    kind: "forbid",
    policies: ["overflow"],
  });
});

test.each(["camera.capture", "secrets.read", "memory.read", "module.list"])(
  "S20 the default profile reads files and listed hosts, not %s",
  (permission) => {
    expect(policy.decide({ ...moveFile, effect: "read", permission }).kind).toBe("forbid");
  },
);

test("S20 every capability that ships, commands excepted, is permitted by the default profile or asks the owner", () => {
  const kinds = builtInModules()
    .all()
    .filter(({ id }) => !id.startsWith("os_exec."))
    .map(({ id, permission, effect, risk }) => [
      id,
      policy.decide({ ...moveFile, capability: id, permission, effect: effect.kind, risk }).kind,
    ]);
  expect(kinds.filter(([, kind]) => kind === "forbid")).toEqual([]);
});

test("S20 what is secret is not sent to a person either", () => {
  const person = { ...host, kind: "person", name: "anna" } as const;
  expect(policy.decide({ ...post, targets: [person], labels: ["secret"] }).kind).toBe("forbid");
});

test.each([
  ["data.delete", "filesystem.remove_all@1.0.0"],
  ["process.kill", "process.end@1.0.0"],
  ["os_exec.run", "os_exec.anything@1.0.0"],
])("S21 %s waits for the owner, whatever the capability is called", (permission, id) => {
  const request = { ...moveFile, profile: "power_user", permission, capability: capabilityId(id) };
  expect(policy.decide(request)).toMatchObject({ kind: "permit-with-approval", role: "owner" });
});

test("S22 the hash covers names, texts and the schema", () => {
  const text = "permit (principal, action, resource);";
  const hashes = [
    openPolicy([{ name: "a.cedar", text }], schema),
    openPolicy([{ name: "b.cedar", text }], schema),
    openPolicy([{ name: "a.cedar", text: `${text} ` + text.replace("permit", "forbid") }], schema),
    openPolicy([{ name: "a.cedar", text }], `${schema}\n`),
  ].map(({ hash }) => hash);
  expect(new Set(hashes).size).toBe(4);
});

test("S24 a text that is not sound is refused when it is checked, and decides nothing before", () => {
  const unsound = readPolicy(
    [{ name: "own.cedar", text: "permit (principal, action, resource) when { nothing };" }],
    schema,
  );
  expect(() => unsound.check()).toThrow(expect.objectContaining({ code: "policy.invalid" }));
  expect(() => unsound.decide(moveFile)).toThrow(expect.objectContaining({ code: "policy.invalid" }));
});

test("S24 a text whose check is known decides as the checked one", () => {
  const files = [{ name: "own.cedar", text: "permit (principal, action, resource);" }];
  const [checked, known] = [openPolicy(files, schema), readPolicy(files, schema)];
  expect(known.hash).toBe(checked.hash);
  expect(known.decide(moveFile)).toEqual(checked.decide(moveFile));
});

test("S22 a policy may speak of folders and hosts", () => {
  const own = openPolicy(
    [
      {
        name: "own.cedar",
        text: 'permit (principal, action, resource) unless { context.folders.contains("archive") || context.hosts.contains("127.0.0.1:3999") };',
      },
    ],
    schema,
  );
  const at = (name: string): PolicyRequest => ({
    ...moveFile,
    targets: [{ kind: "file", name, resolved: `/w/${name}`, does: "create", state: null }],
  });
  expect(own.decide(at("inbox/a.csv")).kind).toBe("permit");
  expect(own.decide(at("archive/a.csv")).kind).toBe("forbid");
  expect(own.decide(post).kind).toBe("forbid");
});

test("S20 the default profile moves devices of low risk alone, and asks a person for others", () => {
  const valve = {
    kind: "device",
    name: "valve-1",
    resolved: "valve-1",
    does: "replace",
    state: null,
  } as const;
  const move: PolicyRequest = {
    ...moveFile,
    capability: capabilityId("plant.set_valve@1.0.0"),
    permission: "plant.move",
    targets: [valve],
    deviceRisk: "low",
  };
  expect(policy.decide(move)).toEqual({ kind: "permit" });
  expect(policy.decide({ ...move, deviceRisk: "medium" })).toMatchObject({ role: "operator" });
  expect(policy.decide({ ...move, deviceRisk: "critical" })).toMatchObject({ role: "owner" });
  expect(policy.decide({ ...move, targets: [] }).kind).toBe("forbid");
  expect(policy.decide({ ...move, targets: [valve, host] }).kind).toBe("forbid");
  expect(policy.decide({ ...move, profile: "readonly" }).kind).toBe("forbid");
  expect(policy.decide({ ...move, profile: "power_user", deviceRisk: "high" })).toMatchObject({
    role: "operator",
  });
  expect(policy.decide({ ...move, profile: "unrestricted", deviceRisk: "critical" })).toMatchObject({
    role: "owner",
  });
});

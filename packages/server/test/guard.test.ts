import { createHash } from "node:crypto";
import { personId, roleName, sha256, type KeyId } from "@writ/core/ids";
import { expect, test } from "vitest";
import { callerOf, checkAccess, checkPlace, type KnownPerson } from "../src/http/guard.ts";
import { keyOfToken, newToken } from "../src/token.ts";
import { systemEntropy } from "../src/world.ts";

const made = newToken(systemEntropy);
const anna: KnownPerson = {
  id: personId("anna"),
  name: "Anna",
  roles: [roleName("accountant")],
  key: made.key,
  tokenHash: made.tokenHash,
};
const find = (key: KeyId) => (key === anna.key ? anna : undefined);
const code = (wanted: string) => expect.objectContaining({ code: wanted });

test.each(["127.0.0.1:3000", "localhost:3000", "LOCALHOST:3000", "[::1]:3000"])(
  "S1 the host %s is this machine",
  (host) => {
    expect(() => checkPlace({ host }, 3000)).not.toThrow();
  },
);

test.each([
  undefined,
  "",
  "evil.example:3000",
  "127.0.0.1",
  "127.0.0.1:3001",
  "127.0.0.1.evil.example:3000",
  "localhost:3000.evil",
])("S1 the host %s is refused", (host) => {
  expect(() => checkPlace({ host }, 3000)).toThrow(code("request.host"));
});

test.each([
  "http://evil.example",
  "null",
  "https://127.0.0.1:3000",
  "http://127.0.0.1:3001",
  "http://localhost:3000@evil.example",
])("K60 a page of %s may not call the node", (origin) => {
  expect(() => checkPlace({ host: "127.0.0.1:3000", origin }, 3000)).toThrow(code("request.origin"));
});

test("S1 a page of the node itself may call it", () => {
  expect(() => checkPlace({ host: "127.0.0.1:3000", origin: "http://localhost:3000" }, 3000)).not.toThrow();
});

test("S2 a token is known by its key id and its hash", () => {
  expect(keyOfToken(made.token)).toBe(made.key);
  expect(made.tokenHash).toBe(sha256(createHash("sha256").update(made.token).digest("hex")));
  expect(callerOf(`Bearer ${made.token}`, find)).toMatchObject({
    id: "anna",
    actor: { kind: "person", id: "anna", key: made.key },
  });
});

test.each([undefined, "", "Bearer", `Basic ${made.token}`, made.token])(
  "K59 a request with `%s` carries no key",
  (header) => {
    expect(() => callerOf(header, find)).toThrow(code("auth.missing"));
  },
);

test("K59 a token of the right key id with another secret is refused", () => {
  const last = made.token.at(-1) === "A" ? "B" : "A";
  expect(() => callerOf(`Bearer ${made.token.slice(0, -1)}${last}`, find)).toThrow(code("auth.unknown"));
});

test.each(["x", "writ_", `writ_${"0".repeat(16)}_${"A".repeat(43)}`, newToken(systemEntropy).token])(
  "K111 nothing but a token this node gave out is accepted (%s)",
  (token) => {
    expect(() => callerOf(`Bearer ${token}`, find)).toThrow(code("auth.unknown"));
  },
);

test("S3 a role that is missing is told with what is needed", () => {
  const caller = callerOf(`Bearer ${made.token}`, find);
  expect(() => checkAccess(caller, "anyone", "getRun")).not.toThrow();
  for (const access of ["owner", "operator", "submitter"] as const) {
    expect(() => checkAccess(caller, access, "x")).toThrow(code("auth.role"));
  }
});

test("S3 an agent hands in work and operates nothing", () => {
  const agent = { ...callerOf(`Bearer ${made.token}`, find), roles: [roleName("agent")] };
  expect(() => checkAccess(agent, "submitter", "runPlan")).not.toThrow();
  expect(() => checkAccess(agent, "operator", "deployProgram")).toThrow(code("auth.role"));
});

test("S31 the machine's own key replaces tokens and does nothing else", () => {
  const machine = {
    ...callerOf(`Bearer ${made.token}`, find),
    roles: [roleName("owner")],
    isMachine: true,
  } as const;
  expect(() => checkAccess(machine, "owner", "replaceToken")).not.toThrow();
  expect(() => checkAccess(machine, "anyone", "getRun")).toThrow(code("auth.role"));
});

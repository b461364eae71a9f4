import { expect, test } from "vitest";
import type { Entry } from "@writ/core/entry";
import { capabilityId, keyId, personId, programHash, sha256 } from "@writ/core/ids";
import { hashProgram, decodeProgram } from "@writ/core/program-codec";
import type { SignedProgram } from "@writ/core/program";
import { simulatedSite } from "@writ/testkit/simulated-modules";
import {
  emptyRegistry,
  foldRegistry,
  hasRole,
  checkCapabilities,
  openProgram,
  revocationOf,
  rolesOf,
  type ProgramLoader,
} from "@writ/runtime/registry";
import { program } from "./support.ts";

const entry = (kind: string, facts: unknown): Entry =>
  ({ kind, facts, run: null, atMs: 5, actor: { kind: "node" } }) as never;
const fold = (...entries: readonly Entry[]) => entries.reduce(foldRegistry, emptyRegistry);
const hash = (n: number) => sha256(String(n).repeat(64));
const stored = { kind: "inline", value: null };

test("R1 a replaced token is the only one that is valid, and a removed person has none", () => {
  const added = entry("person.added", {
    person: "ada",
    name: "Ada",
    roles: ["accountant"],
    key: "k_0000000000000001",
    tokenHash: hash(1),
  });
  const replaced = entry("person.token-replaced", {
    person: "ada",
    key: "k_0000000000000002",
    tokenHash: hash(2),
    on: "machine",
  });
  const registry = fold(added, replaced);
  expect([registry.tokens.get(hash(1)), registry.tokens.get(hash(2))]).toEqual([undefined, "ada"]);
  const gone = foldRegistry(registry, entry("person.removed", { person: "ada" }));
  expect([gone.people.size, gone.tokens.size]).toEqual([0, 0]);
  const actor = { kind: "person", id: personId("ada"), key: keyId("k_0000000000000002") } as const;
  expect([rolesOf(registry, actor), rolesOf(gone, actor)]).toEqual([["accountant"], []]);
});

test("V2 owners stand for operators, for nobody else", () => {
  expect([
    hasRole(["owner"], "operator"),
    hasRole(["owner"], "accountant"),
    hasRole(["operator"], "owner"),
  ]).toEqual([true, false, false]);
});

test("R1 a capability is revoked in one version or in all, until it is restored", () => {
  const put = capabilityId("sim.put@1.0.0");
  const all = fold(entry("capability.revoked", { capability: "sim.put", reason: "unsafe" }));
  const one = fold(entry("capability.revoked", { capability: "sim.put@2.0.0", reason: "unsafe" }));
  expect([revocationOf(all, put), revocationOf(one, put)]).toEqual(["unsafe", undefined]);
  expect(
    revocationOf(foldRegistry(all, entry("capability.restored", { capability: "sim.put" })), put),
  ).toBeUndefined();
});

test("R2 an event changes its cursor only, and entries of runs change nothing", () => {
  const before = fold(entry("workspace.added", { name: "w", root: "/w", file: stored }));
  const after = foldRegistry(
    before,
    entry("event.received", { sourceKey: "w/s@1.0.0/ab#key", cursor: { at: 1 } }),
  );
  expect(after.cursors.get("w/s@1.0.0/ab")).toEqual({ at: 1 });
  expect(after.workspaces).toBe(before.workspaces);
  expect(foldRegistry(after, { ...entry("run.started", {}), run: "r_00000000" } as never)).toBe(after);
});

test("R3 each thing wrong with a program has its own fault when it is loaded", async () => {
  const { hasher } = simulatedSite();
  const made = program([], { capabilities: [capabilityId("sim.put@1.0.0")] });
  const envelope: SignedProgram = {
    payloadType: "application/vnd.writ.program.v1+protobuf",
    payload: made.bytes,
    signatures: [],
  };
  const loader: ProgramLoader = {
    bytesOf: () => Promise.resolve(new Uint8Array()),
    decodeEnvelope: () => envelope,
    verify: () => undefined,
    decode: decodeProgram,
    hash: (bytes) => hashProgram(bytes, hasher),
  };
  const compiled = (verdict: string, of = made.hash) =>
    entry("program.compiled", {
      program: of,
      bytes: stored,
      source: stored,
      certificate: stored,
      verdict,
      name: "p",
      workspace: "w",
    });
  const approved = entry("program.approved", {
    program: made.hash,
    certificate: hash(1),
    envelope: stored,
    comment: "",
  });
  const good = fold(compiled("proved"), approved);
  expect(await openProgram(good, made.hash, loader)).toMatchObject({
    hash: made.hash,
    program: made.program,
  });
  const refuses = (registry: typeof good, change: Partial<ProgramLoader> = {}) =>
    expect(openProgram(registry, made.hash, { ...loader, ...change })).rejects;
  await refuses(emptyRegistry).toMatchObject({ code: "program.unknown" });
  await refuses(fold(compiled("refused"), approved)).toMatchObject({ code: "program.refused" });
  await refuses(fold(compiled("proved"))).toMatchObject({ code: "signature.missing" });
  await refuses(good, { hash: () => programHash("f".repeat(64)) }).toMatchObject({
    code: "signature.invalid",
  });
  await refuses(good, {
    decodeEnvelope: () => ({ ...envelope, payload: new Uint8Array([8, 9]) }),
    hash: () => made.hash,
  }).toMatchObject({ code: "program.version" });
  const revoked = foldRegistry(good, entry("capability.revoked", { capability: "sim.put", reason: "x" }));
  const opened = await openProgram(revoked, made.hash, loader);
  expect(() => checkCapabilities(good, opened.program)).not.toThrow();
  expect(() => checkCapabilities(revoked, opened.program)).toThrow(
    expect.objectContaining({ code: "capability.revoked" }),
  );
});

test("R1 deploying, pausing and taking back", () => {
  const made = program([]);
  const about = (kind: string) => entry(kind, { program: made.hash, reason: "" });
  const compiled = entry("program.compiled", {
    program: made.hash,
    bytes: stored,
    source: stored,
    certificate: stored,
    verdict: "proved",
    name: "p",
    workspace: "w",
  });
  const state = (...kinds: readonly string[]) => {
    const known = fold(compiled, ...kinds.map(about)).programs.get(made.hash);
    return [known?.deployedAtMs, known?.paused, known?.undeployed];
  };
  expect(state()).toEqual([null, false, false]);
  expect(state("program.deployed")).toEqual([5, false, false]);
  expect(state("program.deployed", "program.paused")).toEqual([5, true, false]);
  expect(state("program.deployed", "program.paused", "program.resumed")).toEqual([5, false, false]);
  expect(state("program.deployed", "program.paused", "program.undeployed")).toEqual([null, false, true]);
});

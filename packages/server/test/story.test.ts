import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addPerson, openTestNode, until, type TestNode } from "./harness.ts";

const example = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url)), "utf8");
const english = example("invoices.en.rule");

let node: TestNode;
let root: string;
let anna: string;
let hash: string;
beforeAll(async () => {
  node = await openTestNode();
  root = (await node.call("listWorkspaces")).workspaces[0]?.root ?? "";
  anna = await addPerson(node, "anna", "accountant");
  hash = await compile(english);
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

async function compile(text: string): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  return outcome.program.hash;
}

function drop(sample: string, name = sample): void {
  copyFileSync(path.join(root, "samples", sample), path.join(root, "inbox", name));
}

const runOf = (name: string, status: string) =>
  until(async () => {
    const { runs } = await node.call("listRuns", { query: {} });
    const details = await Promise.all(runs.map(({ id }) => node.call("getRun", { params: { run: id } })));
    return details.find((run) => run.status === status && JSON.stringify(run.eventData).includes(name));
  }, `${name} to be ${status}`);

test("S18 a rule and its twin in French are one program, each rendered in both languages", async () => {
  const outcome = await node.call("compileProgram", {
    body: { kind: "rule", text: example("invoices.fr.rule") },
  });
  expect(outcome).toMatchObject({
    kind: "compiled",
    program: { hash, language: "fr", proof: { verdict: "proved" } },
  });
  if (outcome.kind !== "compiled") throw new Error("not compiled");
  expect(outcome.program.rendered?.en).toContain("approval");
  expect(outcome.program.approvalsNeeded.map(({ role }) => role)).toContain("accountant");
  expect(outcome.program.graph.nodes.length).toBeGreaterThan(4);
});

test("S18 programs are listed newest first, by state, no more than asked for", async () => {
  const { programs } = await node.call("listPrograms", { query: { state: "compiled", limit: 1 } });
  expect(programs.map((program) => program.hash)).toEqual([hash]);
  expect((await node.call("listPrograms", { query: { state: "deployed" } })).programs).toEqual([]);
});

test("S12 nothing is deployed, exported or run that nobody approved", async () => {
  await expect(node.call("deployProgram", { params: { hash } })).rejects.toMatchObject({
    status: 409,
    code: "program.not-approved",
  });
  await expect(node.call("exportProgram", { params: { hash } })).rejects.toMatchObject({
    code: "program.not-approved",
  });
  await expect(node.call("startRun", { params: { hash } })).rejects.toMatchObject({
    code: "program.not-deployed",
  });
});

test("K16 an edited rule is another program without an approval", async () => {
  await node.call("approveProgram", { params: { hash }, body: { comment: "read" } });
  const edited = await compile(english.replace(/10[ \u00a0\u202f]?000/, "9 000"));
  expect(edited).not.toBe(hash);
  expect((await node.call("getProgram", { params: { hash: edited } })).state).toBe("compiled");
  await expect(node.call("deployProgram", { params: { hash: edited } })).rejects.toMatchObject({
    code: "program.not-approved",
  });
});

test("S13 a deployed program runs when a file arrives, and waits for the accountant when the sum is high", async () => {
  expect(await node.call("deployProgram", { params: { hash } })).toMatchObject({ state: "deployed" });
  drop("low-office-supplies.csv");
  drop("high-machine-parts.csv");
  await runOf("low-office-supplies.csv", "finished");
  const waiting = await runOf("high-machine-parts.csv", "waiting");
  expect(existsSync(path.join(root, "approved", "low-office-supplies.csv"))).toBe(true);
  expect(existsSync(path.join(root, "inbox", "high-machine-parts.csv"))).toBe(true);
  const [approval] = waiting.approvals;
  expect(approval).toMatchObject({ role: "accountant", state: "waiting", mayDecide: false });
  expect(approval?.effects[0]).toMatchObject({
    capability: expect.stringMatching(/^filesystem\.move_file@/) as string,
  });
  const place = `/approvals/${approval?.id ?? ""}`;
  expect(await node.raw("POST", place, { body: '{"decision": "approve"}' })).toMatchObject({
    status: 403,
    body: { code: "approval.wrong-role" },
  });
  expect(node.printed.join("\n")).toContain(approval?.id);
  expect(readFileSync(path.join(node.data, "notifications.ndjson"), "utf8")).toContain(approval?.id);
  await node.call("decideApproval", {
    params: { approval: approval?.id ?? "" },
    body: { decision: "approve" },
    token: anna,
  });
  await runOf("high-machine-parts.csv", "finished");
  expect(existsSync(path.join(root, "approved", "high-machine-parts.csv"))).toBe(true);
  expect(await node.raw("POST", place, { token: anna, body: '{"decision": "approve"}' })).toMatchObject({
    body: { code: expect.stringMatching(/^approval\.(closed|unknown)$/) as string },
  });
});

test("K34 a run that nobody approves is rejected, never approved", async () => {
  drop("high-machine-parts.csv", "refused.csv");
  const { approvals } = await runOf("refused.csv", "waiting");
  await node.call("decideApproval", {
    params: { approval: approvals[0]?.id ?? "" },
    body: { decision: "reject", comment: "no" },
    token: anna,
  });
  await until(async () => {
    const { runs } = await node.call("listRuns", { query: {} });
    return runs.find(
      ({ status, event }) =>
        status !== "waiting" && status !== "running" && JSON.stringify(event).includes("refused"),
    );
  }, "the end of the refused run");
  expect(existsSync(path.join(root, "approved", "refused.csv"))).toBe(false);
  expect(existsSync(path.join(root, "inbox", "refused.csv"))).toBe(true);
});

test("S14 a run is replayed to the same end, undone in reverse, and the ledger is intact", async () => {
  const run = await runOf("low-office-supplies.csv", "finished");
  const replay = await node.call("replayRun", { params: { run: run.id } });
  expect(replay).toMatchObject({ agrees: true, status: "finished", differences: [] });
  await node.call("undoRun", { params: { run: run.id }, body: { reason: "test" } });
  const undone = await until(async () => {
    const now = await node.call("getRun", { params: { run: run.id } });
    return now.status === "rolled_back" || now.status === "held" ? now : undefined;
  }, "the undo");
  expect(existsSync(path.join(root, "inbox", "low-office-supplies.csv"))).toBe(true);
  expect(["rolled_back", "held"]).toContain(undone.status);
  expect(await node.call("verifyLedger")).toMatchObject({ kind: "intact" });
});

test("S15 a paused program starts nothing by hand, a resumed one does", async () => {
  await node.call("pauseProgram", { params: { hash } });
  const start = {
    params: { hash },
    body: { data: { path: "inbox/none.csv", name: "none.csv" } },
    query: { wait: true },
  } as const;
  await expect(node.call("startRun", start)).rejects.toMatchObject({ code: "program.paused" });
  expect((await node.call("getProgram", { params: { hash } })).state).toBe("paused");
  await node.call("resumeProgram", { params: { hash } });
  await expect(node.call("resumeProgram", { params: { hash } })).rejects.toMatchObject({
    code: "program.not-paused",
  });
  expect(await node.call("startRun", start)).toMatchObject({
    status: "failed",
    fault: { kind: expect.any(String) as string },
  });
});

test("S18 a rule that contradicts a deployed one is refused with both texts underlined, and cannot be approved", async () => {
  const outcome = await node.call("compileProgram", {
    body: {
      kind: "rule",
      text: 'When a CSV file arrives in the inbox, read it. If the sum of "amount" is above 20 000 EUR, move it to rejected.',
    },
  });
  if (outcome.kind !== "refused") throw new Error(JSON.stringify(outcome).slice(0, 2000));
  const clash = outcome.counterexamples.find(({ other }) => other !== null);
  expect(clash?.other?.program).toBe(hash);
  expect(clash?.excerpt).toMatch(/\^{3,}/);
  expect(clash?.other?.excerpt).toMatch(/\^{3,}/);
  expect(clash?.values.length).toBeGreaterThan(0);
  await expect(node.call("approveProgram", { params: { hash: outcome.hash } })).rejects.toMatchObject({
    code: "program.not-proved",
  });
});

test("S13 a program proved before a contradicting one was deployed is proved again at its own deployment", async () => {
  await node.call("undeployProgram", { params: { hash }, body: { reason: "test" } });
  const other = await compile("When a CSV file arrives in the inbox, move it to rejected.");
  await node.call("approveProgram", { params: { hash: other } });
  await node.call("deployProgram", { params: { hash } });
  await expect(node.call("deployProgram", { params: { hash: other } })).rejects.toMatchObject({
    status: 422,
    code: "program.contradicted",
  });
  expect((await node.call("getProgram", { params: { hash: other } })).state).toBe("approved");
});

test("S13 exported and imported, every change of a signed program is refused with its own code", async () => {
  const envelope = await node.call("exportProgram", { params: { hash } });
  const flipped = Buffer.from(envelope.payload, "base64");
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  const foreign = envelope.signatures.map((signature) => ({ ...signature, keyId: `k_${"0".repeat(32)}` }));
  const changes: readonly (readonly [object, string])[] = [
    [{ ...envelope, payload: flipped.toString("base64") }, "signature.invalid"],
    [{ ...envelope, signatures: [] }, "signature.missing"],
    [{ ...envelope, signatures: envelope.signatures.slice(0, 1) }, "signature.incomplete"],
    [{ ...envelope, signatures: foreign }, "signature.unknown-key"],
    [{ ...envelope, payloadType: "text/plain" }, "program.malformed"],
  ];
  for (const [changed, code] of changes) {
    const answer = await node.raw("POST", "/programs/import", {
      body: JSON.stringify({ envelope: changed }),
    });
    expect([answer.body["code"], code]).toEqual([code, code]);
  }
  expect(await node.call("importProgram", { body: { envelope } })).toMatchObject({ hash });
});

test("K45 a plan is proved like a rule: one that leaves the workspace starts nothing", async () => {
  const plan = {
    plan_id: "escape",
    protocol_version: "2.0",
    description: "Write outside",
    actions: [
      {
        id: "a1",
        module: "filesystem",
        action: "write_file",
        params: { path: "../outside.txt", content: "x" },
      },
    ],
  };
  const outcome = await node.call("runPlan", { body: { plan, wait: true } });
  expect(["refused", "rejected"]).toContain(outcome.kind);
  expect(existsSync(path.join(root, "..", "outside.txt"))).toBe(false);
});

test("S33 after a restart what is deployed is verified again; a bad one is reported and the others are armed", async () => {
  await node.restart();
  expect((await node.call("getProgram", { params: { hash } })).state).toBe("deployed");
  await node.call("revokeCapability", { body: { capability: "filesystem.move_file", reason: "test" } });
  await node.restart();
  const broken = await node.call("getProgram", { params: { hash } });
  expect(broken).toMatchObject({ state: "broken", fault: { code: "capability.revoked" } });
  expect((await node.call("status")).problems.map(({ fault }) => fault.code)).toContain("capability.revoked");
  await node.call("revokeCapability", { body: { capability: "filesystem.move_file", restore: true } });
  expect((await node.call("getProgram", { params: { hash } })).state).toBe("deployed");
});

test("S33 a changed blob of a deployed program leaves it broken, and verification names the blob", async () => {
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  const approved = entries.findLast(
    ({ kind, facts }) => kind === "program.approved" && facts["program"] === hash,
  );
  const { sha256 = "" } = (approved?.facts["envelope"] ?? {}) as { readonly sha256?: string };
  const file = path.join(node.data, "blobs", sha256.slice(0, 2), sha256.slice(2));
  const bytes = readFileSync(file);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
  await node.restart();
  expect(await node.call("getProgram", { params: { hash } })).toMatchObject({
    state: "broken",
    fault: { code: "store.blob-damaged" },
  });
  expect(await node.call("verifyLedger")).toMatchObject({
    kind: "damaged",
    fault: { code: "store.blob-damaged" },
  });
});

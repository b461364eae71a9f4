import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { programHash } from "@writ/core/ids";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestNode, until, type TestNode } from "./harness.ts";

const english = readFileSync(
  fileURLToPath(new URL("../../../examples/invoices.en.rule", import.meta.url)),
  "utf8",
);

const clashing = "When a CSV file arrives in the inbox, move it to rejected.";
const other = "When a PDF file arrives in the inbox, move it to rejected.";

let node: TestNode;
beforeEach(async () => {
  node = await openTestNode();
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const planOf = (action: string, more: object = {}) => ({
  plan_id: "p",
  protocol_version: "2.0",
  description: "A note",
  actions: [
    { id: "a1", module: "filesystem", action, params: { path: "approved/note.txt", content: "x" }, ...more },
  ],
});

async function approved(text: string): Promise<string> {
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text } });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome));
  await node.call("approveProgram", { params: { hash: outcome.program.hash } });
  return outcome.program.hash;
}

const deploy = (hash: string) => node.call("deployProgram", { params: { hash } });
const revoke = (capability: string, restore = false) =>
  node.call("revokeCapability", { body: { capability, restore } });

test("S13 a program that is broken by a revocation still counts: what contradicts it is not proved meanwhile", async () => {
  await deploy(await approved(english));
  await revoke("csv.append_row");
  const outcome = await node.call("compileProgram", {
    body: { kind: "rule", text: clashing },
  });
  expect(outcome.kind).toBe("refused");
});

test("S18 a clash with a program whose words are lost is told without them", async () => {
  // Long enough to be a blob.
  const hash = await approved(english + "\n".repeat(5000));
  await deploy(hash);
  const { source } = node.node.context.registry().programs.get(programHash(hash)) ?? {};
  const { sha256 = "" } = source?.kind === "blob" ? source : {};
  rmSync(path.join(node.data, "blobs", sha256.slice(0, 2), sha256.slice(2)));
  await node.restart();
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text: clashing } });
  if (outcome.kind !== "refused") throw new Error(JSON.stringify(outcome));
  const others = outcome.counterexamples.flatMap((found) => (found.other === null ? [] : [found.other]));
  expect(others).toMatchObject([{ program: hash, excerpt: null }]);
});

test("S13 what is proved again at its deployment is kept whole", async () => {
  const first = await approved(english);
  await deploy(await approved(other));
  await deploy(first);
  await node.restart();
  expect((await node.call("getProgram", { params: { hash: first } })).text).toBe(english);
  expect(await node.call("verifyLedger")).toMatchObject({ kind: "intact" });
});

test("S12 another text of an approved program does not take the place of the one that was approved", async () => {
  const hash = await approved(english);
  await deploy(await approved(other));
  const twin = `${english}\n`;
  const outcome = await node.call("compileProgram", { body: { kind: "rule", text: twin, name: "harmless" } });
  expect(outcome).toMatchObject({ kind: "compiled", program: { hash } });
  const { name, text } = await node.call("getProgram", { params: { hash } });
  expect(text).toBe(english);
  expect(name).not.toBe("harmless");
});

test("S14 S33 a run of a program whose capability was revoked since is still shown and replayed after a restart", async () => {
  const outcome = await node.call("runPlan", { body: { plan: planOf("write_file"), wait: true } });
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  expect(outcome.status).toBe("finished");
  await revoke("filesystem.write_file");
  await node.restart();
  const params = { run: outcome.run };
  expect(await node.call("getRun", { params })).toMatchObject({ status: "finished" });
  expect(await node.call("replayRun", { params })).toMatchObject({ agrees: true });
});

test("S23 memory holds places of programs, not their bytes, and finds the bytes again", async () => {
  const outcome = await node.call("runPlan", { body: { plan: planOf("write_file"), wait: true } });
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  const known = [...node.node.context.registry().programs.values()];
  expect(known).toHaveLength(1);
  for (const { bytes, source, certificate, approval } of known) {
    for (const stored of [bytes, source, certificate, approval?.envelope]) expect(stored?.kind).toBe("blob");
  }
  const params = { hash: outcome.program };
  const before = await node.call("getProgram", { params });
  await node.restart();
  expect(await node.call("getProgram", { params })).toEqual(before);
});

test("S13 restoring one version of a capability does not hide that every version is revoked", async () => {
  await revoke("csv.append_row");
  const { id } = await node.call("getCapability", { params: { id: "csv.append_row" } });
  const restore = { capability: id, restore: true };
  expect(await node.call("revokeCapability", { body: restore })).toMatchObject({ revoked: true });
});

test("S14 who waits for a run is answered when the node stops, and does not hold it up", async () => {
  const hash = await approved('On request, wait 2 minutes, then write "x" to reports/status.txt.');
  await deploy(hash);
  const waiting = node.call("startRun", { params: { hash }, query: { wait: true } });
  await until(async () => node.node.context.engine.active()[0], "the start");
  await node.node.close("test");
  expect(await waiting).toMatchObject({ status: "running" });
  expect(readFileSync(path.join(node.data, "node.log"), "utf8")).not.toContain("node.stop-slow");
});

test("S18 two requests for one new plan record one program and one approval", async () => {
  const plan = planOf("write_file");
  const both = await Promise.all([1, 2].map(() => node.call("runPlan", { body: { plan, wait: true } })));
  expect(both.map(({ kind }) => kind)).toEqual(["started", "started"]);
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  const count = (kind: string) => entries.filter((entry) => entry.kind === kind).length;
  expect([count("program.compiled"), count("program.approved")]).toEqual([1, 1]);
});

test("S18 a problem of a plan names the place in the text and the closest names", async () => {
  const text = JSON.stringify(planOf("wriet_file"), null, 2);
  const outcome = await node.call("compileProgram", { body: { kind: "plan", text } });
  if (outcome.kind !== "rejected") throw new Error(JSON.stringify(outcome));
  const [problem] = outcome.problems;
  expect(problem?.suggestions.join()).toContain("write_file");
  const [start = 0, end = 0] = problem?.span ?? [];
  expect(text.slice(start, end)).toContain("wriet_file");
  expect(problem?.excerpt).toMatch(/\^/);
});

test("S18 a plan that came as a value is told by pointer alone, the whole plan by none", async () => {
  const wrong = await node.call("runPlan", { body: { plan: planOf("wriet_file") } });
  expect(wrong).toMatchObject({ kind: "rejected", problems: [{ span: null, excerpt: null }] });
  const whole = await node.call("compileProgram", { body: { kind: "plan", text: "[]" } });
  if (whole.kind !== "rejected") throw new Error(JSON.stringify(whole));
  expect(whole.problems.map(({ at }) => at)).toEqual(whole.problems.map(() => null));
});

test("K7 every stage of the road has its effect: each refuses what only it can see", async () => {
  const compile = (text: string, kind: "rule" | "plan" = "rule") =>
    node.call("compileProgram", { body: { kind, text } });
  const codes = (outcome: Awaited<ReturnType<typeof compile>>) =>
    outcome.kind === "rejected" ? outcome.problems.map(({ code }) => code) : [outcome.kind];
  // Reading, binding, reading a plan: words, names, fields.
  expect((await compile("Flurb the wug.")).kind).toBe("rejected");
  expect((await compile("When a CSV file arrives in the inbox, move it to nowhere.")).kind).toBe("rejected");
  expect(codes(await compile("{", "plan"))).toEqual(["plan.json"]);
  // Proving: readable, bound and well-formed, but never true.
  const impossible =
    'When a CSV file arrives in the inbox, if the sum of "amount" is above 10 EUR and the sum is below 5 EUR, move it to rejected.';
  const refused = await compile(impossible);
  expect(refused.kind === "refused" && refused.counterexamples.some(({ check }) => check === 3)).toBe(true);
  // Lowering and drawing: the program's steps, its text in both languages and its graph stand in the answer.
  const compiled = await compile(english);
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
  const { program } = compiled;
  expect(program.graph.text).toContain("filesystem.move_file@1.0.0");
  expect(program.rendered?.fr).toContain("fichier");
  // Signing: what is proved but not signed is not deployed.
  await expect(deploy(program.hash)).rejects.toMatchObject({
    code: expect.stringMatching(/signature|approved/),
  });
  await node.call("approveProgram", { params: { hash: program.hash } });
  await deploy(program.hash);
});

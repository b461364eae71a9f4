// Sub-programs through a real node: a JSON program that calls an approved one, shown, and taken back as a whole.
import { afterEach, beforeEach, expect, test } from "vitest";
import { fromBase64 } from "@writ/core/bytes";
import { readEnvelope } from "@writ/core/entry-codec";
import { decodeRunExport, encodeRunExport, verifyRunExport } from "@writ/core/run-export";
import { nodeHasher, verifySignature } from "@writ/store/node-crypto";
import { openTestNode, until, type TestNode } from "./harness.ts";

let node: TestNode;
beforeEach(async () => {
  node = await openTestNode();
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

async function compile(name: string, body: readonly object[]) {
  const text = JSON.stringify({ name, body });
  const [workspace] = (await node.call("listWorkspaces")).workspaces;
  return node.call("compileProgram", { body: { kind: "program", text, workspace: workspace?.name ?? "" } });
}

async function approve(name: string, body: readonly object[]): Promise<string> {
  const compiled = await compile(name, body);
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
  const { hash } = compiled.program;
  await node.call("approveProgram", { params: { hash } });
  return hash;
}

async function deploy(name: string, body: readonly object[]): Promise<string> {
  const hash = await approve(name, body);
  await node.call("deployProgram", { params: { hash } });
  return hash;
}

async function run(hash: string) {
  const started = await node.call("startRun", { params: { hash }, body: {} });
  return until(async () => {
    const shown = await node.call("getRun", { params: { run: started.run } });
    return shown.endedAtMs === null ? undefined : shown;
  }, "the run's end");
}

const remembers = [
  {
    id: "keep",
    op: "remember",
    scope: "workspace",
    key: { literal: "total" },
    value: "=event.data.n",
  },
  { id: "end", op: "finish", after: ["keep"], result: "={'kept': event.data.n}" },
];
const recall = { id: "look", op: "recall", scope: "workspace", key: { literal: "total" }, output: "known" };
const tells = { id: "end", op: "finish", after: ["look"], result: "={'known': known}" };

test("S98 a program calls an approved one, both are shown, and the undo of the parent takes back the child", async () => {
  const inner = await approve("Keeper", remembers);
  const reader = await deploy("Reader", [recall, tells]);
  const call = { id: "call", op: "run", program: inner, input: { n: { literal: "seven" } }, output: "got" };
  const end = { id: "end", op: "finish", after: ["call"], result: "=got" };
  const caller = await deploy("Caller", [call, end]);
  const { capabilities } = await node.call("getProgram", { params: { hash: caller } });
  expect(capabilities.map(({ id }) => id)).toContain("memory.remember@1.0.0");
  const shown = await run(caller);
  expect(shown).toMatchObject({ status: "finished", result: { kept: "seven" } });
  const [child] = shown.children ?? [];
  if (child === undefined) throw new Error("the run shows no child");
  const inside = await node.call("getRun", { params: { run: child.run } });
  expect(inside).toMatchObject({ status: "finished", parent: { run: shown.id, step: "call" } });
  const why = await node.call("whyStep", { params: { run: child.run, step: "keep" } });
  expect(why.links[0]).toMatchObject({ run: shown.id, text: expect.stringContaining("call") });
  expect((await run(reader)).result).toEqual({ known: "seven" });
  await node.restart();
  await node.call("undoRun", { params: { run: shown.id }, body: { reason: "enough" } });
  await until(async () => {
    const now = await node.call("getRun", { params: { run: shown.id } });
    return now.status === "rolled_back" ? now : undefined;
  }, "the undo");
  expect((await node.call("getRun", { params: { run: child.run } })).status).toBe("rolled_back");
  expect((await run(reader)).result).toEqual({ known: null });
});

test("S98 a program that nobody approved is not called", async () => {
  const draft = await compile("Draft", remembers);
  if (draft.kind !== "compiled") throw new Error(JSON.stringify(draft));
  const call = { id: "call", op: "run", program: draft.program.hash, input: { n: { literal: "x" } } };
  expect((await compile("Caller", [call])).kind).toBe("refused");
});

test("S98 an exported run carries the runs it called, and is refused without them", async () => {
  const inner = await approve("Keeper", remembers);
  const call = { id: "call", op: "run", program: inner, input: { n: { literal: "seven" } }, output: "got" };
  const shown = await run(await deploy("Caller", [call]));
  const child = shown.children?.[0]?.run ?? "";
  const { bytes } = await node.call("exportRun", { params: { run: shown.id } });
  const options = { hasher: nodeHasher, verify: verifySignature };
  const whole = verifyRunExport(fromBase64(bytes), options);
  expect(whole.bad).toBeNull();
  expect(whole.entries.filter((entry) => entry.run === child).map(({ kind }) => kind)).toContain("run.ended");
  const made = decodeRunExport(fromBase64(bytes));
  const entries = made.entries.filter((entry) => readEnvelope(entry.bytes).run !== child);
  expect(entries.length).toBeLessThan(made.entries.length);
  const without = verifyRunExport(encodeRunExport({ ...made, entries }), options);
  expect(without.bad).toContain("the run's start is missing");
});

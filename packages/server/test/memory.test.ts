// Memory through a real node: JSON programs that remember and recall, over restarts, undo, forgetting and rebuilt projections.
import { rmSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestNode, until, type TestNode } from "./harness.ts";

let node: TestNode;
beforeEach(async () => {
  node = await openTestNode();
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const workspace = async (): Promise<string> => (await node.call("listWorkspaces")).workspaces[0]?.name ?? "";
const owner = async () => ({ scope: "workspace", owner: await workspace() }) as const;

async function deploy(name: string, body: readonly object[]): Promise<string> {
  const text = JSON.stringify({ name, body });
  const compiled = await node.call("compileProgram", {
    body: { kind: "program", text, workspace: await workspace() },
  });
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
  const { hash } = compiled.program;
  await node.call("approveProgram", { params: { hash } });
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

const remember = (value: unknown, more: object = {}) => ({
  id: "keep",
  op: "remember",
  scope: "workspace",
  key: { literal: "total" },
  value: { literal: value },
  ...more,
});
const recall = { id: "look", op: "recall", scope: "workspace", key: { literal: "total" }, output: "known" };
const finish = { id: "end", op: "finish", after: ["look"], result: "={'known': known}" };
const failing = { id: "no", op: "fail", after: ["keep"], code: "demo.no", message: { literal: "no" } };

test("S97 what one program remembers another recalls, after a restart and after the projections are rebuilt", async () => {
  const writer = await deploy("Writer", [remember("first")]);
  const reader = await deploy("Reader", [recall, finish]);
  expect(await run(reader)).toMatchObject({ status: "finished", result: { known: null } });
  expect(await run(writer)).toMatchObject({ status: "finished" });
  expect(await run(reader)).toMatchObject({ result: { known: "first" } });
  await node.restart();
  expect(await run(reader)).toMatchObject({ result: { known: "first" } });
  const before = await node.call("listMemory", { query: await owner() });
  await node.node.close("test");
  for (const end of ["", "-wal", "-shm"])
    rmSync(path.join(node.data, `projections.db${end}`), { force: true });
  await node.restart();
  expect(await node.call("listMemory", { query: await owner() })).toEqual(before);
  expect(before.remembered).toMatchObject([{ key: "total", labels: [] }]);
});

test("S97 what a failed run remembered is taken back, and a person has the rest forgotten", async () => {
  const first = await deploy("First", [remember("first")]);
  await run(first);
  const fails = await deploy("Fails", [remember({ large: "x".repeat(5000) }), failing]);
  const ended = await run(fails);
  expect(ended).toMatchObject({ status: "failed", fault: { code: "demo.no" } });
  expect((await node.call("showMemory", { query: { ...(await owner()), key: "total" } })).value).toEqual({
    large: "x".repeat(5000),
  });
  await node.call("undoRun", { params: { run: ended.id }, body: {} });
  const key = { ...(await owner()), key: "total" };
  await until(async () => {
    const { value } = await node.call("showMemory", { query: key });
    return value === "first" ? true : undefined;
  }, "the value before");
  const forgotten = await node.call("forgetMemory", { body: { ...key, reason: "old" } });
  expect(forgotten.forgotten).toContain("total");
  expect(await node.call("listMemory", { query: await owner() })).toEqual({ remembered: [] });
  await expect(node.call("showMemory", { query: key })).rejects.toMatchObject({ code: "memory.unknown" });
  await node.restart();
  expect(await node.call("listMemory", { query: await owner() })).toEqual({ remembered: [] });
});

// A JSON program that asks a model, with a scripted one behind the port: what it answers branches, and steers nothing by itself.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Models } from "@writ/core/ports";
import type { Value } from "@writ/core/value";
import { scriptedModels, type ScriptedModels } from "@writ/testkit/scripted-models";
import { openTestNode, until, type TestNode } from "./harness.ts";

let answers: Models;
let models: ScriptedModels;
let node: TestNode;
beforeEach(async () => {
  models = scriptedModels([{ word: "no idea" }, { word: "invoice" }]);
  answers = models;
  node = await openTestNode({
    models: { answer: (question, signal) => answers.answer(question, signal) },
  });
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

const ask = {
  id: "q",
  op: "ask",
  model: "demo",
  context: "Say what it is.",
  prompt: { literal: "Invoice 7" },
  schema: {
    type: "object",
    properties: { word: { enum: ["invoice", "letter"] } },
    required: ["word"],
    additionalProperties: false,
  },
  output: "answer",
  attemptsMax: 2,
};
const note = (name: string) => ({
  id: name,
  op: "call",
  capability: "filesystem.write_file",
  params: { path: { literal: `reports/${name}.txt` }, content: { literal: name } },
});
const post = {
  id: "tell",
  op: "call",
  capability: "api_http.http_post",
  params: { url: { literal: "http://127.0.0.1:3999/x" }, body_json: { literal: { a: "b" } } },
};
const branch = (then: object) => ({
  id: "b",
  op: "branch",
  arms: [{ when: 'answer.word == "invoice"', block: [then] }],
  otherwise: [note("other")],
});
const compile = async (...body: readonly object[]) =>
  node.call("compileProgram", {
    body: {
      kind: "program",
      text: JSON.stringify({ name: "Ask", body }),
      workspace: (await node.call("listWorkspaces")).workspaces[0]?.name ?? "",
    },
  });

async function start(...body: readonly object[]): Promise<string> {
  const compiled = await compile(...body);
  if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
  const { hash } = compiled.program;
  await node.call("approveProgram", { params: { hash } });
  await node.call("deployProgram", { params: { hash } });
  return (await node.call("startRun", { params: { hash }, body: {} })).run;
}

const ended = (run: string) =>
  until(async () => {
    const shown = await node.call("getRun", { params: { run } });
    return shown.endedAtMs === null ? undefined : shown;
  }, "the run's end");

test("S98 K41 a program asks, takes the answer that fits, branches on it, and replay asks nobody", async () => {
  const run = await start(ask, branch(note("invoice")));
  const shown = await ended(run);
  expect(shown).toMatchObject({ status: "finished", fault: null });
  expect(models.asked.map(({ problems }) => problems.length)).toEqual([0, 1]);
  expect(shown.entries.map(({ kind }) => kind)).toContain("effect.progress");
  expect(await node.call("replayRun", { params: { run } })).toMatchObject({ agrees: true });
  expect(models.asked).toHaveLength(2);
});

test("S98 K18 an answer that decides about something sent is refused with its way there, and never sent", async () => {
  const refused = await compile(ask, branch(post));
  if (refused.kind !== "refused") throw new Error(JSON.stringify(refused));
  expect(refused.counterexamples.map(({ check }) => check)).toContain(30);
  expect(models.asked).toEqual([]);
});

test("S98 with a person's approval of the very effect it may, and waits for it", async () => {
  const approve = {
    id: "may",
    op: "approve",
    role: "owner",
    message: { literal: "Tell them?" },
    body: [post],
    otherwise: [],
  };
  const run = await start(ask, branch(approve));
  const [waiting] = await until(async () => {
    const { approvals } = await node.call("listApprovals");
    return approvals.length === 0 ? undefined : approvals;
  }, "an approval");
  expect(waiting).toMatchObject({ run });
  expect((await node.call("getRun", { params: { run } })).entries.map(({ kind }) => kind)).not.toContain(
    "run.ended",
  );
});

test("S98 a node that goes down in the middle of a question asks again after its start", async () => {
  answers = { answer: () => new Promise<Value>(() => undefined) };
  const run = await start(ask, branch(note("invoice")));
  await until(async () => {
    const { entries } = await node.call("getRun", { params: { run } });
    return entries.some(({ kind }) => kind === "effect.intended") ? true : undefined;
  }, "the question");
  answers = models;
  await node.restart();
  expect(await ended(run)).toMatchObject({ status: "finished" });
  expect(models.asked).toHaveLength(2);
});

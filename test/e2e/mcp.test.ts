import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { openMcpLink } from "@writ/sdk/mcp";
import { expect, test } from "vitest";
import { eventually, root } from "../support/node-process.ts";
import { Story } from "../support/story.ts";

interface Answer {
  readonly id?: number;
  readonly result?: {
    readonly tools?: readonly { readonly name: string }[];
    readonly content?: readonly { readonly text?: string }[];
    readonly isError?: boolean;
  };
  readonly error?: unknown;
}

type Ask = (method: string, params: object) => Promise<Answer>;

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "test", version: "1" },
};
const tools = ["check_plan", "find_capabilities", "get_run", "list_runs", "submit_plan"];

function textOf(answer: Answer): string {
  return (answer.result?.content ?? []).map((part) => part.text ?? "").join("\n");
}

async function wholeConversation(story: Story, ask: Ask): Promise<void> {
  const listed = await ask("tools/list", {});
  expect(listed.result?.tools?.map((tool) => tool.name).toSorted()).toEqual(tools);
  const found = await ask("tools/call", { name: "find_capabilities", arguments: { search: "move file" } });
  expect(textOf(found)).toContain("filesystem.move_file");
  const plan: unknown = JSON.parse(readFileSync(story.planFile("report.json"), "utf8"));
  const checked = await ask("tools/call", { name: "check_plan", arguments: { plan } });
  expect(checked.result?.isError ?? false, textOf(checked)).toBe(false);
  const wrong = await ask("tools/call", { name: "check_plan", arguments: { plan: { plan_id: "x" } } });
  expect(textOf(wrong)).toMatch(/plan\./);
  const submitted = await ask("tools/call", { name: "submit_plan", arguments: { plan, wait: true } });
  const run = /r_[0-9a-z]{8,40}/.exec(textOf(submitted))?.[0] ?? "";
  expect(run, textOf(submitted)).not.toBe("");
  // It sees the approval that it waits for, and cannot decide on it.
  const waiting = await ask("tools/call", { name: "get_run", arguments: { run } });
  expect(textOf(waiting)).toMatch(/a_[0-9a-z]{8,40}/);
  const approval = await story.approvalOf(run);
  const token = approval.role === "accountant" ? story.tokens.accountant : story.tokens.owner;
  await story.node.writAs(token, ["approvals", "approve", approval.id]);
  const finished = await eventually(async () => {
    const text = textOf(await ask("tools/call", { name: "get_run", arguments: { run } }));
    return text.includes("finished") ? text : undefined;
  }, "the end of the run");
  expect(finished).toContain(run);
}

test("E14 a model's client works through five tools over HTTP", async () => {
  await using story = await Story.begin();
  const link = openMcpLink(story.node.client(story.tokens.agent));
  let id = 0;
  const ask: Ask = async (method, params) => {
    const answers: Answer[] = [];
    await link.send({ jsonrpc: "2.0", id: ++id, method, params }, (answer) => answers.push(answer as Answer));
    const own = answers.find((answer) => answer.id === id);
    if (own === undefined) throw new Error(`no answer to ${method}: ${JSON.stringify(answers)}`);
    return own;
  };
  await ask("initialize", initialize);
  await link.send({ jsonrpc: "2.0", method: "notifications/initialized" }, () => {});
  await wholeConversation(story, ask);
});

test("E14 and over standard input and output", async () => {
  await using story = await Story.begin();
  const child = spawn(
    process.execPath,
    ["--conditions=@writ/source", path.join(root, "packages/cli/src/main.ts"), "mcp"],
    {
      env: {
        PATH: process.env["PATH"],
        HOME: story.node.folder,
        WRIT_URL: story.node.url,
        WRIT_TOKEN: story.tokens.agent,
      },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const answers = new Map<number, Answer>();
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = JSON.parse(line) as Answer;
      if (answer.id !== undefined) answers.set(answer.id, answer);
    }
  });
  const write = (message: object): void => void child.stdin.write(`${JSON.stringify(message)}\n`);
  let id = 0;
  const ask: Ask = async (method, params) => {
    const own = ++id;
    write({ jsonrpc: "2.0", id: own, method, params });
    return eventually(() => answers.get(own), `an answer to ${method}`);
  };
  await ask("initialize", initialize);
  write({ jsonrpc: "2.0", method: "notifications/initialized" });
  await wholeConversation(story, ask);
  child.stdin.end();
  await once(child, "exit");
  expect(child.exitCode).toBe(0);
});

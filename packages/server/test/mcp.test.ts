import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addPerson, openTestNode, type TestNode } from "./harness.ts";

let node: TestNode;
let agent: string;
beforeAll(async () => {
  node = await openTestNode();
  agent = await addPerson(node, "robo", "agent");
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

const modes = { "2026-07-28": { pin: "2026-07-28" }, "2025-11-25": "legacy" } as const;

async function connect(mode: keyof typeof modes, token = agent): Promise<Client> {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: modes[mode] } });
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${node.url}/mcp`), { requestInit: { headers } }),
  );
  return client;
}

type Structured = Readonly<Record<string, unknown>>;

async function call(client: Client, name: string, args: Record<string, unknown>) {
  const result = await client.callTool({ name, arguments: args });
  return { isError: result.isError === true, said: (result.structuredContent ?? {}) as Structured };
}

const plan = (action: Record<string, unknown>) => ({
  plan_id: "from-a-model",
  protocol_version: "2.0",
  description: "Write one file",
  actions: [{ id: "a1", ...action }],
});
const writes = plan({
  module: "filesystem",
  action: "write_file",
  params: { path: "reports/model.txt", content: "hello" },
});
const asks = plan({
  module: "filesystem",
  action: "write_file",
  params: { path: "reports/asked.txt", content: "hello" },
  requires_approval: true,
});

for (const mode of Object.keys(modes) as (keyof typeof modes)[]) {
  test(`S40 a client of ${mode} finds exactly five tools, each with a closed schema`, async () => {
    await using client = { value: await connect(mode), [Symbol.asyncDispose]: () => client.value.close() };
    const { tools } = await client.value.listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual([
      "check_plan",
      "find_capabilities",
      "get_run",
      "list_runs",
      "submit_plan",
    ]);
    for (const tool of tools)
      expect(tool.inputSchema).toMatchObject({ type: "object", additionalProperties: false });
  });

  test(`S41 a client of ${mode} finds, checks, submits and reads`, async () => {
    const client = await connect(mode);
    const found = await call(client, "find_capabilities", { search: "write file" });
    expect(JSON.stringify(found.said)).toContain("filesystem.write_file");
    const whole = await call(client, "find_capabilities", { id: "filesystem.write_file" });
    expect(whole.said["params"]).toMatchObject({ type: "object" });
    const before = (await node.call("listPrograms")).programs.length;
    expect((await call(client, "check_plan", { plan: writes })).said).toMatchObject({ kind: "proved" });
    if (mode === "2026-07-28") expect((await node.call("listPrograms")).programs).toHaveLength(before);
    const submitted = await call(client, "submit_plan", { plan: writes, wait: true });
    expect(submitted.said).toMatchObject({ kind: "started", status: "finished" });
    const run = await call(client, "get_run", { run: submitted.said["run"] });
    expect(run.said).toMatchObject({ status: "finished", startedBy: "robo" });
    const listed = await call(client, "list_runs", { limit: 5 });
    expect(JSON.stringify(listed.said)).toContain(String(submitted.said["run"]));
    await client.close();
  });
}

test("S42 a plan that cannot be read comes back with places and remedies, and starts nothing", async () => {
  const client = await connect("2026-07-28");
  const answer = await call(client, "submit_plan", { plan: { plan_id: "x", actions: [] } });
  expect(answer.said).toMatchObject({ kind: "rejected" });
  expect(JSON.stringify(answer.said)).toMatch(/"remedy":"[A-Z]/);
  expect((await call(client, "check_plan", { plan: { plan_id: "x" } })).said).toMatchObject({
    kind: "rejected",
  });
  await client.close();
});

test("S42 a fault is a result with code and remedy", async () => {
  const client = await connect("2026-07-28");
  const answer = await call(client, "get_run", { run: "r_00000000" });
  expect(answer).toMatchObject({ isError: true, said: { code: "run.unknown" } });
  expect((await call(client, "find_capabilities", { id: "filesystem.mvoe_file" })).said).toMatchObject({
    code: "capability.unknown",
  });
  await client.close();
});

test("S42 arguments that do not fit are refused", async () => {
  const client = await connect("2026-07-28");
  const refused = await client.callTool({ name: "get_run", arguments: { rum: 1 } }).then(
    (result) => result.isError === true,
    () => true,
  );
  expect(refused).toBe(true);
  await client.close();
});

test("K108 what a model submits waits for a person, and the model cannot decide", async () => {
  const client = await connect("2026-07-28");
  const submitted = await call(client, "submit_plan", { plan: asks, wait: true });
  expect(submitted.said).toMatchObject({ kind: "started", status: "waiting" });
  const [approval] = (await node.call("listApprovals")).approvals;
  expect(approval).toMatchObject({ state: "waiting", run: submitted.said["run"], mayDecide: true });
  const id = approval?.id ?? "";
  const decided = await node.raw("POST", `/approvals/${id}`, {
    token: agent,
    body: '{"decision": "approve"}',
  });
  expect(decided).toMatchObject({ status: 403, body: { code: "auth.agent" } });
  await node.call("decideApproval", { params: { approval: id }, body: { decision: "reject" } });
  await client.close();
});

test("S41 an accountant has no access to the tools", async () => {
  const accountant = await addPerson(node, "anna", "accountant");
  await expect(connect("2026-07-28", accountant)).rejects.toThrow();
});

import { routes, type RouteDefinition } from "@writ/core/api";
import { Problem } from "@writ/core/api";
import { schemaProblems } from "@writ/core/schema";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addPerson, openTestNode, type TestNode } from "./harness.ts";

const workspaceFile = {
  version: 1,
  name: "places",
  zone: "UTC",
  currencies: [],
  folders: {},
  files: {},
  roles: {},
  tables: {},
  hosts: [],
  profile: "local_worker",
} as const;

let node: TestNode;
beforeAll(async () => {
  node = await openTestNode();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

const filled = (route: RouteDefinition) =>
  route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === "hash"
      ? "0".repeat(64)
      : name === "run"
        ? "r_00000000"
        : name === "approval"
          ? "a_00000000"
          : "nothing",
  );
const all = Object.entries<RouteDefinition>(routes);

test("S4 /health answers without a key and says nothing else", async () => {
  expect(await node.raw("GET", "/health", { token: null })).toMatchObject({
    status: 200,
    body: { status: "ok" },
  });
});

test("K60 every route but /health refuses a request without a key, and one with a wrong key", async () => {
  for (const [name, route] of all) {
    if (name === "health") continue;
    for (const token of [null, `writ_${"0".repeat(16)}_${"A".repeat(43)}`]) {
      const answer = await node.raw(route.method, filled(route), {
        token,
        ...(route.body === undefined ? {} : { body: "{}" }),
      });
      expect([name, answer.status, answer.body["code"]]).toEqual([
        name,
        401,
        // Its key is the signature, and a bearer key is none.
        route.access === "signed" ? "webhook.signature" : token === null ? "auth.missing" : "auth.unknown",
      ]);
      expect(schemaProblems(Problem, answer.body)).toEqual([]);
    }
  }
});

test("K68 every route of the table is served", async () => {
  for (const [name, route] of all) {
    const answer = await node.raw(
      route.method,
      filled(route),
      route.body === undefined ? {} : { body: "{}" },
    );
    expect([name, answer.body["code"]]).not.toEqual([name, "request.route"]);
  }
});

test("K68 the OpenAPI document lists exactly what is served", async () => {
  const document = (await node.call("openapi")) as { readonly paths: Readonly<Record<string, object>> };
  const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(listed.sort()).toEqual(all.map(([, route]) => `${route.method} ${route.path}`).sort());
  expect(await node.raw("GET", "/docs")).toMatchObject({ status: 404, body: { code: "request.route" } });
  expect((await node.raw("PUT", "/people")).status).toBe(404);
});

test("S5 a route of owners and operators refuses an accountant and an agent", async () => {
  const accountant = await addPerson(node, "anna", "accountant");
  const agent = await addPerson(node, "robo", "agent");
  for (const [name, route] of all) {
    if (route.access !== "owner" && route.access !== "operator") continue;
    for (const token of [accountant, agent]) {
      const answer = await node.raw(route.method, filled(route), {
        token,
        ...(route.body === undefined ? {} : { body: "{}" }),
      });
      expect([name, answer.status, answer.body["code"]]).toEqual([name, 403, "auth.role"]);
    }
  }
});

test("S5 a body that does not fit is refused with every wrong field", async () => {
  const answer = await node.raw("POST", "/people", { body: '{"id": "Not A Slug", "extra": 1}' });
  expect(answer).toMatchObject({
    status: 400,
    type: expect.stringMatching(/^application\/problem\+json/) as unknown,
    body: { code: "request.invalid" },
  });
  expect(JSON.stringify(answer.body["facts"])).toMatch(/roles/);
});

test.each([
  ["no JSON", "{", {}],
  ["JSON nested too deep", `{"id": ${"[".repeat(100_000)}`, {}],
  ["a prototype key spelt with escapes", '{"\\u005f_proto__": {"id": 1}}', {}],
  ["a prototype key", '{"__proto__": {"id": 1}}', {}],
  [
    "a form, which a page of another origin could send",
    "id=x",
    { "content-type": "application/x-www-form-urlencoded" },
  ],
  ["plain text, which a page of another origin could send", "{}", { "content-type": "text/plain" }],
])("S5 %s is refused as a body", async (_what, body, headers) => {
  expect(await node.raw("POST", "/people", { body, headers })).toMatchObject({
    status: 400,
    body: { code: "request.body" },
  });
});

test("S5 a number that would be rounded on the way in is refused, not changed", async () => {
  const send = (number: string) =>
    node.raw("POST", `/programs/${"0".repeat(64)}/runs`, { body: `{"data":{"n":${number}}}` });
  for (const number of ["12345678901234567890", "0.12345678901234567891", "1e400", "1E-400"]) {
    expect(await send(number), number).toMatchObject({
      status: 400,
      body: { code: "request.body", detail: expect.stringContaining("cannot be held exactly") },
    });
  }
  for (const number of ["0.1", "1e3", "9007199254740991", "-2.50", "0.30000000000000004"])
    expect(await send(number), number).toMatchObject({ body: { code: "program.unknown" } });
});

test("S5 a body over the limit is refused with the limit", async () => {
  const body = JSON.stringify({ id: "x", roles: [], name: "x".repeat(1024 * 1024) });
  expect(await node.raw("POST", "/people", { body })).toMatchObject({
    status: 413,
    body: { code: "request.too-large" },
  });
});

test.each([["limit=0"], ["limit=ten"], ["limit=1e9"], ["nonsense=1"], ["status=flying"]])(
  "S5 the query %s is refused",
  async (query) => {
    expect(await node.raw("GET", `/runs?${query}`)).toMatchObject({
      status: 400,
      body: { code: "request.invalid" },
    });
  },
);

test("S1 another name in Host is refused, whatever the key", async () => {
  // `fetch` does not let a caller set Host.
  const status = await new Promise<number>((resolve, reject) => {
    request(
      {
        host: "127.0.0.1",
        port: node.node.port,
        path: "/status",
        headers: { host: `evil.example:${node.node.port}`, authorization: `Bearer ${node.token}` },
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    )
      .on("error", reject)
      .end();
  });
  expect(status).toBe(403);
});

test("K60 a page of another origin is refused, and a preflight finds nothing", async () => {
  const headers = { origin: "https://evil.example" };
  expect(await node.raw("GET", "/status", { headers })).toMatchObject({
    status: 403,
    body: { code: "request.origin" },
  });
  const preflight = await fetch(`${node.url}/status`, {
    method: "OPTIONS",
    headers: { ...headers, "access-control-request-method": "GET" },
  });
  expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  await preflight.text();
});

test("S7 a token is shown once and its hash alone is recorded", async () => {
  const token = await addPerson(node, "berta", "operator");
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  const text = JSON.stringify(entries);
  expect(text).not.toContain(token);
  expect(text).not.toContain(node.token);
  expect((await node.call("status", { token })).version).toBe("0.0.0-test");
});

test("S7 a replaced token is void at once, the new one works", async () => {
  const before = await addPerson(node, "carla", "operator");
  const { token } = await node.call("replaceToken", { params: { id: "carla" } });
  expect((await node.raw("GET", "/status", { token: before })).status).toBe(401);
  expect((await node.raw("GET", "/status", { token })).status).toBe(200);
});

test("S8 a removed person's key is void at once; the last owner stays", async () => {
  const token = await addPerson(node, "dora", "operator");
  await node.call("removePerson", { params: { id: "dora" } });
  expect((await node.raw("GET", "/status", { token })).status).toBe(401);
  await expect(node.call("removePerson", { params: { id: "owner" } })).rejects.toMatchObject({
    status: 409,
    code: "person.last-owner",
  });
});

test("S8 two requests for one id make one person", async () => {
  const answers = await Promise.all(
    [1, 2].map(() => node.raw("POST", "/people", { body: '{"id": "emma", "roles": []}' })),
  );
  expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409]);
});

test("S9 an agent gets no other role", async () => {
  await expect(
    node.call("addPerson", { body: { id: "mixed", roles: ["agent", "owner"] } }),
  ).rejects.toMatchObject({ code: "person.roles" });
});

test("S10 the first start adds the example workspace, in the data folder", async () => {
  const { workspaces } = await node.call("listWorkspaces");
  expect(workspaces.map(({ name }) => name)).toEqual(["invoices"]);
  expect(workspaces[0]?.root.startsWith(node.data)).toBe(true);
});

test("S10 a folder that is not there, or is no folder, is refused", async () => {
  for (const root of ["/no/such/folder", "relative", "/dev/null"]) {
    await expect(node.call("addWorkspace", { body: { root } })).rejects.toMatchObject({
      code: "workspace.folder",
    });
  }
});

test.each([
  ["leaves the folder", { path: "../elsewhere" }],
  ["leaves it by a whole path", { path: "/tmp" }],
  ["leaves it through a link", { path: "link/elsewhere" }],
])("S10 a workspace whose place %s is refused and makes no folder anywhere", async (_what, inbox) => {
  const parent = mkdtempSync(path.join(tmpdir(), "writ-places-"));
  const root = path.join(parent, "root");
  mkdirSync(root);
  symlinkSync(parent, path.join(root, "link"));
  writeFileSync(path.join(root, "workspace.json"), JSON.stringify({ ...workspaceFile, folders: { inbox } }));
  await expect(node.call("addWorkspace", { body: { root } })).rejects.toMatchObject({
    status: 422,
    code: "workspace.file",
  });
  expect(existsSync(path.join(parent, "elsewhere"))).toBe(false);
  rmSync(parent, { recursive: true });
});

test.each([
  ["a file where a folder should be", { folders: { inbox: { path: "taken/inbox" } } }, "workspace.folder"],
  ["a zone nobody knows", { zone: "Nowhere/Else" }, "workspace.file"],
  ["a file far too large", { roles: { x: { words: { en: ["x".repeat(1024 * 1024)] } } } }, "workspace.file"],
])("S10 a workspace with %s is refused", async (_what, change, code) => {
  const root = mkdtempSync(path.join(tmpdir(), "writ-places-"));
  writeFileSync(path.join(root, "taken"), "");
  writeFileSync(path.join(root, "workspace.json"), JSON.stringify({ ...workspaceFile, ...change }));
  await expect(node.call("addWorkspace", { body: { root } })).rejects.toMatchObject({ status: 422, code });
  rmSync(root, { recursive: true });
});

test("S10 a changed workspace file is told, and asks for confirmation when programs may do more", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "writ-changed-"));
  const write = (change: object) =>
    writeFileSync(
      path.join(root, "workspace.json"),
      JSON.stringify({ ...workspaceFile, name: "changed", ...change }),
    );
  const add = (confirm?: boolean) =>
    node.call("addWorkspace", { body: { root, ...(confirm === undefined ? {} : { confirm }) } });
  const amount = (max: string) => ({ inbox: { columns: { amount: { type: "decimal", max } } } });
  const host = { host: "example.org:443", scheme: "https", risk: "low" };
  write({ folders: { inbox: { path: "inbox", access: "read" } }, tables: amount("10") });
  expect(await add()).toMatchObject({ changes: [], created: ["inbox"] });
  expect(await add()).toMatchObject({ changes: [], created: [] });
  write({
    folders: { inbox: { path: "inbox" } },
    tables: amount("11"),
    hosts: [host],
    profile: "unrestricted",
    roles: { clerk: {} },
  });
  const widens = [
    "profile: local_worker → unrestricted",
    "host https://example.org:443 added, risk low",
    "access of folder inbox: read → write",
    "max of column inbox.amount: 10 → 11",
  ];
  await expect(add()).rejects.toMatchObject({
    status: 422,
    code: "workspace.widened",
    problem: { facts: { widens, changes: [...widens, "role clerk added"] } },
  });
  const held = await node.call("listWorkspaces");
  expect(held.workspaces.find(({ name }) => name === "changed")?.file.profile).toBe("local_worker");
  expect(await add(true)).toMatchObject({ changes: [...widens, "role clerk added"] });
  write({ folders: { inbox: { path: "inbox", access: "read" } }, tables: amount("9") });
  expect((await add()).changes).toContain("host https://example.org:443 removed");
  rmSync(root, { recursive: true });
});

test("S10 a workspace file that is a link is refused: it could be written under another name", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "writ-linked-"));
  writeFileSync(path.join(root, "real.json"), JSON.stringify(workspaceFile));
  symlinkSync("real.json", path.join(root, "workspace.json"));
  await expect(node.call("addWorkspace", { body: { root } })).rejects.toMatchObject({
    code: "workspace.file",
  });
  rmSync(root, { recursive: true });
});

test("S11 a folder of the system, and a whole home folder, is refused and left as it is", async () => {
  for (const root of [
    "/etc",
    "/usr",
    "/usr/share",
    "/var",
    "/bin",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    homedir(),
  ]) {
    if (!existsSync(root)) continue;
    const refused = await node.raw("POST", "/workspaces", { body: JSON.stringify({ root }) });
    expect([root, refused.body["code"]]).toEqual([root, "workspace.system-folder"]);
    expect(existsSync(path.join(root, "workspace.json"))).toBe(false);
  }
});

test("S10 a folder without a file gets one, and the answer says what was made", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "writ-fresh-"));
  mkdirSync(path.join(root, "inbox"));
  const added = await node.call("addWorkspace", { body: { root } });
  expect(added.created).toEqual(["workspace.json", "approved"]);
  await expect(
    node.call("addWorkspace", { body: { root: path.join(root, "approved") } }),
  ).rejects.toMatchObject({ code: "workspace.exists" });
  expect(existsSync(path.join(root, "approved", "workspace.json"))).toBe(false);
  rmSync(root, { recursive: true });
});

test("S24 a backup is refused in the data folder, where it would keep the node from starting, and where no folder is", async () => {
  for (const file of [
    path.join(node.data, "ledger", "99999999.segment"),
    path.join(node.data, "no", "b.tar"),
  ]) {
    await expect(node.call("backup", { body: { file } })).rejects.toMatchObject({
      status: 422,
      code: "backup.place",
    });
    expect(existsSync(file)).toBe(false);
  }
});

test.each([
  ["/capabilities/%ff", 400],
  [`/capabilities/${"a".repeat(300)}`, 404],
])("S6 what the router itself refuses is a problem document: %#", async (place, status) => {
  const answer = await node.raw("GET", place);
  expect(answer).toMatchObject({
    status,
    type: expect.stringContaining("application/problem+json") as unknown,
  });
  expect(schemaProblems(Problem, answer.body)).toEqual([]);
});

test("S11 a folder inside another workspace is refused", async () => {
  const root = (await node.call("listWorkspaces")).workspaces[0]?.root ?? "";
  await expect(node.call("addWorkspace", { body: { root: `${root}/inbox` } })).rejects.toMatchObject({
    code: "workspace.exists",
  });
});

test("S11 a folder that holds the node's own data, or is part of it, is refused", async () => {
  for (const root of [node.data, `${node.data}/keys`, `${node.data}/workspaces`, "/"]) {
    await expect(node.call("addWorkspace", { body: { root } })).rejects.toMatchObject({
      code: "workspace.data-folder",
    });
  }
});

test("S66 capabilities are found by words and shown whole; a wrong name brings the closest", async () => {
  const { capabilities } = await node.call("listCapabilities", { query: { search: "move file" } });
  expect(capabilities[0]?.id).toMatch(/^filesystem\.move_file@/);
  const detail = await node.call("getCapability", { params: { id: "filesystem.move_file" } });
  expect(detail.params).toMatchObject({ type: "object" });
  const wrong = await node.raw("GET", "/capabilities/filesystem.mvoe_file");
  expect(wrong).toMatchObject({ status: 404, body: { code: "capability.unknown" } });
  expect(JSON.stringify(wrong.body["facts"])).toContain("filesystem.move_file");
});

test("S20 the policies in force can be read", async () => {
  const { hash, files } = await node.call("getPolicies");
  expect(files.map(({ name }) => name)).toContain("local_worker.cedar");
  const { entries } = await node.call("readLedger", { query: { limit: 1000 } });
  expect(entries.find(({ kind }) => kind === "policy.set")?.facts["hash"]).toBe(hash);
});

test("S50 the stream of entries begins where asked and goes on without a seam", async () => {
  const seen: number[] = [];
  const socket = new WebSocket(`${node.url.replace("http", "ws")}/entries?from=0`, {
    headers: { authorization: `Bearer ${node.token}` },
  } as never);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("refused")));
    socket.addEventListener("message", (event) => {
      const entry = JSON.parse(String(event.data)) as {
        readonly seq: number;
        readonly kind: string;
        readonly facts: { readonly person?: string };
      };
      seen.push(entry.seq);
      if (entry.kind === "person.added" && entry.facts.person === "frieda") resolve();
      if (entry.seq === 0) void addPerson(node, "frieda", "operator").catch(reject);
    });
  });
  socket.close();
  expect(seen).toEqual(seen.map((_, i) => i));
});

test("S52 a stream ends when the person who opened it is removed", async () => {
  const token = await addPerson(node, "greta", "operator");
  const socket = new WebSocket(`${node.url.replace("http", "ws")}/entries`, {
    headers: { authorization: `Bearer ${token}` },
  } as never);
  const seen: string[] = [];
  socket.addEventListener("message", ({ data }) => void seen.push(String(data)));
  const closed = new Promise<number>((resolve, reject) => {
    socket.addEventListener("close", ({ code }) => resolve(code));
    socket.addEventListener("error", () => reject(new Error("refused")));
  });
  await new Promise((resolve) => {
    socket.addEventListener("open", resolve);
  });
  await node.call("removePerson", { params: { id: "greta" } });
  await addPerson(node, "hanna", "operator");
  expect(await closed).toBe(1008);
  expect(seen.filter((text) => text.includes("hanna"))).toEqual([]);
});

test("S50 the stream needs a key as well", async () => {
  const socket = new WebSocket(`${node.url.replace("http", "ws")}/entries`);
  const opened = await new Promise<boolean>((resolve) => {
    socket.addEventListener("open", () => resolve(true));
    socket.addEventListener("error", () => resolve(false));
  });
  expect(opened).toBe(false);
});

test("S6 what does not exist is told with its own code", async () => {
  const hash = "0".repeat(64);
  expect(await node.raw("GET", `/programs/${hash}`)).toMatchObject({
    status: 404,
    body: { code: "program.unknown" },
  });
  expect(await node.raw("POST", `/programs/${hash}/deploy`, { body: "{}" })).toMatchObject({
    body: { code: "program.unknown" },
  });
  expect(await node.raw("GET", "/runs/r_00000000")).toMatchObject({
    status: 404,
    body: { code: "run.unknown" },
  });
  expect(await node.raw("POST", "/approvals/a_00000000", { body: '{"decision": "approve"}' })).toMatchObject({
    status: 404,
    body: { code: "approval.unknown" },
  });
  expect(await node.raw("DELETE", "/people/nobody")).toMatchObject({
    status: 404,
    body: { code: "person.unknown" },
  });
  expect(await node.raw("DELETE", "/workspaces/nowhere")).toMatchObject({
    status: 404,
    body: { code: "workspace.unknown" },
  });
});

test("K85 nobody can change what is approved: a decision takes no parameters", async () => {
  const body = '{"decision": "approve", "params": {"destination": "elsewhere"}}';
  expect(await node.raw("POST", "/approvals/a_00000000", { body })).toMatchObject({
    body: { code: "request.invalid" },
  });
});

test("K89 nobody can approve for later: a decision names one approval and knows no always", async () => {
  for (const body of ['{"decision": "always"}', '{"decision": "approve", "always": true}']) {
    expect(await node.raw("POST", "/approvals/a_00000000", { body })).toMatchObject({
      body: { code: "request.invalid" },
    });
  }
});

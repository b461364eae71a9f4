import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { localServer, type Received } from "../../../test/support/local-server.ts";
import { run } from "../src/run.ts";
import { urlDefault } from "../src/settings.ts";
import { scriptedTerminal } from "./scripted-terminal.ts";

const hash = "3f9c1a20".padEnd(64, "0");
const summary = {
  hash,
  name: "invoices",
  kind: "rule",
  workspace: "invoices",
  state: "approved",
  trigger: "manual",
  compiledAtMs: 0,
  approvedAtMs: 1,
  deployedAtMs: null,
  fault: null,
};
const proof = {
  verdict: "proved",
  certificate: hash,
  solver: null,
  encoder: "e",
  against: [],
  elapsedMs: 3,
  checks: [],
};
const detail = {
  ...summary,
  text: "When …",
  language: "en",
  rendered: { en: "When a file arrives", fr: "Quand un fichier arrive" },
  graph: { text: "a ─ b", nodes: [], edges: [] },
  proof,
  capabilities: [],
  approvalsNeeded: [],
  approvedBy: null,
  sizeBytes: 1,
};

function problem(status: number, code: string, kind = "rejected") {
  return {
    type: `urn:writ:fault:${code}`,
    title: "t",
    status,
    detail: "Cannot do it",
    code,
    kind,
    remedy: "Do this",
    facts: { place: "a\u001b[31m" },
  };
}

/** A node that answers each path with one document. */
function nodeAnswering(answers: Readonly<Record<string, unknown>>) {
  return localServer((request, response) => {
    const answer = answers[`${request.method} ${request.url}`] ?? problem(404, "request.route");
    const status = (answer as { status?: unknown }).status;
    response.writeHead(typeof status === "number" ? status : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  });
}

async function writ(url: string, ...args: readonly string[]) {
  const terminal = scriptedTerminal({ environment: { WRIT_URL: url, WRIT_TOKEN: "t" } });
  return { code: await run(args, terminal), ...terminal.printed };
}

test("O1 a fault goes to standard error with code, message, facts and remedy", async () => {
  await using node = await nodeAnswering({ "GET /status": problem(403, "auth.role") });
  const { code, out, error } = await writ(node.url, "status");
  expect(code).toBe(4);
  expect(out).toBe("");
  expect(error).toBe("auth.role: Cannot do it\n  place: a\\u001b[31m\nDo this\n");
});

test("O2 with --json the answer is one document, before or after the command's name", async () => {
  await using node = await nodeAnswering({ "GET /programs": { programs: [summary] } });
  for (const args of [
    ["--json", "programs"],
    ["programs", "--json"],
  ]) {
    const { code, out } = await writ(node.url, ...args);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual([summary]);
  }
});

test("O3 control characters from outside are shown, not obeyed", async () => {
  await using node = await nodeAnswering({
    "GET /programs": { programs: [{ ...summary, name: "a\u001b]0;owned\u0007\u202eb" }] },
  });
  const { out } = await writ(node.url, "programs");
  expect(out).toContain("a\\u001b]0;owned\\u0007\\u202eb");
});

test("O5 every exit code is reached by what it stands for", async () => {
  const refused = {
    kind: "refused",
    hash,
    name: "n",
    rendered: null,
    proof: { ...proof, verdict: "refused" },
    counterexamples: [],
  };
  await using node = await nodeAnswering({
    "POST /programs/compile": refused,
    "GET /people": problem(401, "auth.missing"),
    "GET /workspaces": problem(404, "workspace.unknown"),
    "GET /capabilities": problem(503, "store.busy", "transient"),
    "GET /policies": problem(500, "server.bug", "broken"),
    "POST /ledger/verify": {
      kind: "damaged",
      entries: 3,
      fault: { code: "ledger.torn", kind: "broken", message: "m", remedy: "r", facts: {} },
    },
  });
  const folder = mkdtempSync(path.join(tmpdir(), "writ-cli-"));
  const rule = path.join(folder, "a.rule");
  writeFileSync(rule, "When …");
  try {
    expect((await writ(node.url, "compile", rule)).code).toBe(1);
    expect((await writ(node.url, "ledger", "verify")).code).toBe(1);
    expect((await writ(node.url, "--help")).code).toBe(0);
    expect((await writ(node.url, "nonsense")).code).toBe(2);
    expect((await writ(node.url, "compile")).code).toBe(2);
    expect((await writ("http://127.0.0.1:1", "status")).code).toBe(3);
    expect((await writ(node.url, "people")).code).toBe(4);
    expect((await writ(node.url, "workspace", "list")).code).toBe(5);
    expect((await writ(node.url, "capabilities")).code).toBe(6);
    expect((await writ(node.url, "policies")).code).toBe(7);
    expect((await writ(node.url, "compile", path.join(folder, "none"))).error).toContain("command.file");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("O6 flags win over the environment", async () => {
  await using node = await nodeAnswering({ "GET /programs": { programs: [] } });
  const terminal = scriptedTerminal({ environment: { WRIT_URL: "http://127.0.0.1:1", WRIT_TOKEN: "env" } });
  expect(await run(["programs", "--url", node.url, "--token", "flag"], terminal)).toBe(0);
  expect(node.received[0]?.headers.authorization).toBe("Bearer flag");
});

test("O7 a token is saved for its user alone and used from then on", async () => {
  const status = {
    version: "0.1.0",
    node: "n_1",
    data: "/d",
    startedAtMs: 0,
    nowMs: Date.now(),
    ledger: { seq: -1, durableSeq: -1, hash },
    runs: { active: 0, waiting: 0, held: 0 },
    programs: { deployed: 0, paused: 0, broken: 0 },
    approvalsWaiting: 0,
    workspaces: [],
    policy: hash,
    problems: [],
  };
  await using node = await nodeAnswering({ "GET /status": status });
  const home = mkdtempSync(path.join(tmpdir(), "writ-cli-"));
  try {
    const first = scriptedTerminal({ home, environment: { WRIT_URL: node.url }, input: ["secret\n"] });
    expect(await run(["login"], first)).toBe(0);
    const file = path.join(home, ".config", "writ", "credentials.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toContain("secret");
    const second = scriptedTerminal({ home });
    expect(await run(["status"], second)).toBe(0);
    expect(node.received.at(-1)?.headers.authorization).toBe("Bearer secret");
    expect(first.printed.out + second.printed.out).not.toContain("secret");
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("O6 the node of the data folder is found by the port it wrote there", async () => {
  const home = mkdtempSync(path.join(tmpdir(), "writ-cli-"));
  await using node = await nodeAnswering({ "GET /programs": { programs: [] } });
  try {
    const terminal = scriptedTerminal({ environment: { WRIT_DATA: home, WRIT_TOKEN: "t" } });
    writeFileSync(path.join(home, "local.json"), `{"port":${new URL(node.url).port},"token":"secret"}`);
    expect(await run(["programs"], terminal)).toBe(0);
    expect(node.received[0]?.headers.authorization).toBe("Bearer t");
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("O9 a prefix is made whole before anything is changed", async () => {
  await using node = await nodeAnswering({
    "GET /programs/3f9c1a20": detail,
    [`POST /programs/${hash}/approve`]: summary,
  });
  const { code, out } = await writ(node.url, "approve", "3f9c1a20", "--comment", "seen");
  expect({ code, out }).toEqual({ code: 0, out: `approved: invoices ${hash}\n` });
  expect(node.received.map((request: Received) => request.url)).toEqual([
    "/programs/3f9c1a20",
    `/programs/${hash}/approve`,
  ]);
  expect(node.received[1]?.body).toBe('{"comment":"seen"}');
});

test("O8 an approval's prefix must stand for one that waits", async () => {
  const approval = (id: string) => ({
    id,
    run: "r_00000000",
    step: "s",
    program: hash,
    programName: "n",
    workspace: "w",
    role: "accountant",
    message: "",
    effects: [],
    reason: "program",
    onExpiry: "reject",
    requestedAtMs: 0,
    expiresAtMs: 1,
    state: "waiting",
    mayDecide: true,
  });
  const first = "a_aaaa0000000000000000";
  await using node = await nodeAnswering({
    "GET /approvals": { approvals: [approval(first), approval("a_aabb0000000000000000")] },
    [`POST /approvals/${first}`]: { approval: first, decision: "approve", run: "r_00000000" },
  });
  expect((await writ(node.url, "approvals", "approve", "a_aa")).error).toContain("stands for 2 approvals");
  expect((await writ(node.url, "approvals", "approve", "a_zz")).error).toContain("Nothing waits");
  expect((await writ(node.url, "approvals", "approve", "a_aaaa")).code).toBe(0);
});

test("O4 protocol messages go in and out as lines, and a fault is the error of its request", async () => {
  await using node = await localServer((request, response) => {
    if (request.body.includes("tools/list")) {
      response.setHeader("content-type", "application/json");
      response.end('{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}');
    } else {
      response.writeHead(401, { "content-type": "application/problem+json" });
      response.end(JSON.stringify(problem(401, "auth.unknown")));
    }
  });
  const terminal = scriptedTerminal({
    environment: { WRIT_URL: node.url, WRIT_TOKEN: "t" },
    input: [
      '{"jsonrpc":"2.0","id":1,"method":"tools',
      '/list"}\n{"jsonrpc":"2.0","id":2,"method":"x"}\nnot json\n',
      '{"method":"y"}\n',
    ],
  });
  expect(await run(["mcp"], terminal)).toBe(0);
  const answers = terminal.printed.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: unknown });
  expect(answers).toHaveLength(3);
  expect(answers.find((answer) => answer.id === 1)).toMatchObject({ result: { tools: [] } });
  expect(answers.find((answer) => answer.id === 2)).toMatchObject({
    error: { data: { code: "auth.unknown" } },
  });
  expect(answers.find((answer) => answer.id === null)).toMatchObject({ error: { code: -32700 } });
});

test("O5 what happens on the machine itself is handed to the server's program with the data folder", async () => {
  const terminal = scriptedTerminal({ environment: { WRIT_DATA: "/data" }, folder: "/here" });
  expect(await run(["token", "new", "--person", "claire"], terminal)).toBe(0);
  expect(await run(["restore", "b.tar", "--data", "other"], terminal)).toBe(0);
  expect(terminal.local).toEqual([
    ["packages/server/src/main.ts", "token", "new", "--person", "claire", "--data", "/data"],
    ["packages/server/src/main.ts", "restore", "/here/b.tar", "--data", "/here/other"],
  ]);
  expect(await run(["token", "new"], scriptedTerminal({ localStatus: 1 }))).toBe(5);
});

test("O10 every command says what it does", async () => {
  const seen: string[] = [];
  const visit = async (words: readonly string[]): Promise<void> => {
    const terminal = scriptedTerminal();
    expect(await run([...words, "--help"], terminal)).toBe(0);
    const help = terminal.printed.out;
    expect(help, words.join(" ")).toMatch(/^Usage: writ/);
    const listed = [...help.matchAll(/^ {2}([a-z]+)(?: [[<].*?)? {2,}(\S.*)$/gm)];
    for (const [, name = "", description = ""] of listed) {
      if (name === "help") continue;
      seen.push([...words, name].join(" "));
      expect(description.length, [...words, name].join(" ")).toBeGreaterThan(3);
      if (words.length === 0) await visit([name]);
    }
  };
  await visit([]);
  const needed = [
    "compile",
    "preview",
    "approve",
    "deploy",
    "undeploy",
    "pause",
    "resume",
    "programs",
    "runs",
    "undo",
    "status",
    "doctor",
    "mcp",
  ];
  expect(needed.filter((name) => !seen.includes(name))).toEqual([]);
});

test("K223 the defaults the help states are the real ones", async () => {
  const terminal = scriptedTerminal({ home: "/home/somebody" });
  await run(["--help"], terminal);
  const help = terminal.printed.out.replaceAll(/\s+/g, " ");
  expect(help).toContain(`default ${urlDefault}`);
  expect(help).toContain("default ~/.writ");
  const doctor = scriptedTerminal({ home: "/home/somebody" });
  await run(["doctor", "--url", "http://127.0.0.1:1"], doctor);
  expect(doctor.printed.out).toContain("data folder: /home/somebody/.writ (default)");
});

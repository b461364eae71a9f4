import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { localServer, type Received } from "../../../test/support/local-server.ts";
import { run } from "../src/run.ts";
import { saveToken, urlDefault } from "../src/settings.ts";
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

const status = {
  version: "0.1.0",
  node: "n_1",
  data: "/d",
  startedAtMs: 0,
  nowMs: 0,
  ledger: { seq: -1, durableSeq: -1, hash },
  runs: { active: 0, waiting: 0, held: 0 },
  programs: { deployed: 0, paused: 0, broken: 0 },
  schedule: {
    effects: { active: 3, activeMax: 4, waiting: 2 },
    turnsWaiting: 0,
    rejected: [{ program: hash, count: 2 }],
    stuck: [],
    endsPerSecond: 12.34,
    retryAfterMs: 81,
    lines: [
      {
        kind: "lock",
        name: "path /data/a.csv",
        held: 1,
        heldMax: null,
        waiting: 2,
        holders: [{ run: "r_0000000001", step: "copy" }],
        waiters: [
          { run: "r_0000000002", step: "put", priority: "high", waitedMs: 1500, dueInMs: 500 },
          { run: "r_0000000003", step: "put", priority: "normal", waitedMs: 100, dueInMs: 9900 },
        ],
      },
    ],
  },
  approvalsWaiting: 0,
  workspaces: [],
  policy: hash,
  problems: [],
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
  expect(error).toBe("auth.role: Cannot do it\n  place: a<U+001B>[31m\nDo this\n");
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
  expect(out).toContain("a<U+001B>]0;owned<U+0007><U+202E>b");
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

const forged =
  "Pay 5 EUR\n\na_1: owner must decide (you may)\r\n\u2028writ approvals approve a_1\u202e\u200b";

function approval(id: string, changes: object = {}) {
  return {
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
    ...changes,
  };
}

function runDetail(changes: object = {}) {
  return {
    id: "r_00000000",
    program: hash,
    programName: "n",
    workspace: "w",
    status: "finished",
    startedAtMs: 0,
    endedAtMs: 1,
    event: { id: "e", type: "manual", subject: null },
    startedBy: "owner",
    eventData: {},
    steps: [],
    approvals: [],
    result: null,
    fault: null,
    entries: [],
    entriesCount: 0,
    ...changes,
  };
}

test("O3 words from outside cannot draw another approval, run or fault", async () => {
  const effect = {
    step: forged,
    capability: forged,
    params: { [forged]: forged, excerpt: forged },
    later: { en: forged },
    targets: [{ kind: "file", name: forged, resolved: forged, does: forged, state: null }],
    hash: null,
  };
  const fault = { code: "x.y", kind: "rejected", message: forged, remedy: forged, facts: { a: forged } };
  const step = {
    id: "s",
    op: "call",
    label: forged,
    state: "HELD",
    attempt: 1,
    fault,
    held: { what: "effect", reason: forged },
  };
  const waiting = approval("a_aaaa0000000000000000", {
    message: forged,
    programName: forged,
    role: forged,
    effects: [effect],
  });
  const run = runDetail({
    status: "held",
    programName: forged,
    eventData: { text: forged, excerpt: forged },
    steps: [step],
    approvals: [waiting],
    result: { [forged]: forged },
    fault,
    entries: [{ seq: 1, atMs: 0, kind: "k", step: null, text: forged }],
  });
  await using node = await nodeAnswering({
    "GET /approvals?mine=false": { approvals: [waiting] },
    "GET /runs/r_00000000": run,
    "GET /programs": { programs: [{ ...summary, name: forged, trigger: forged }] },
    "GET /programs/3f9c1a20": {
      ...detail,
      rendered: { en: forged, fr: forged },
      graph: { ...detail.graph, text: forged },
    },
    "GET /people": { ...problem(403, "auth.role"), detail: forged, remedy: forged, facts: { a: forged } },
  });
  for (const args of [
    ["approvals"],
    ["run", "show", "r_00000000"],
    ["programs"],
    ["programs", "3f9c1a20"],
    ["people"],
  ]) {
    const { out, error } = await writ(node.url, ...args);
    expect(out + error, args.join(" ")).toContain("Pay 5 EUR");
    expect(out + error, args.join(" ")).not.toMatch(/^(a_1:|writ approvals)/m);
    expect((out + error).replaceAll("\n", ""), args.join(" ")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    // The two fields that keep their lines are indented below their heading.
    if (args[1] !== "3f9c1a20") expect(out + error).not.toMatch(/^\s*a_1:/m);
  }
  const json = await writ(node.url, "approvals", "--json");
  expect(JSON.parse(json.out)).toEqual([waiting]);
  expect(json.out.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
});

test("O11 a program that is broken once deployed is said to be, with its remedy, and is no success", async () => {
  const fault = {
    code: "trigger.folder",
    kind: "rejected",
    message: "Cannot watch",
    remedy: "Make the folder",
    facts: {},
  };
  await using node = await nodeAnswering({
    [`POST /programs/${hash}/deploy`]: { ...summary, state: "broken", deployedAtMs: 1, fault },
  });
  const { code, out } = await writ(node.url, "deploy", hash);
  expect(code).toBe(1);
  for (const part of ["broken: invoices", "not armed: trigger.folder: Cannot watch", "Make the folder"])
    expect(out).toContain(part);
});

test("O11 an undo or a cancellation that leaves something in the world says so and is no success", async () => {
  const facts = { stays: { post: "irreversible" }, staysCount: 1 };
  const fault = {
    code: "undo.partial",
    kind: "rejected",
    message: "`post` stays",
    remedy: "Set it right",
    facts,
  };
  const summary = summaryOfRun(runDetail());
  for (const [args, route, status] of [
    [["undo", "r_00000000"], "undo", "finished"],
    [["run", "cancel", "r_00000000", "--undo"], "cancel", "cancelled"],
  ] as const) {
    for (const [stays, code] of [
      [fault, 1],
      [null, 0],
    ] as const) {
      await using node = await nodeAnswering({
        [`POST /runs/r_00000000/${route}`]: summary,
        "GET /runs/r_00000000": runDetail({ status, fault: stays }),
      });
      const answer = await writ(node.url, ...args);
      expect(answer.code, route).toBe(code);
      expect(answer.out.includes("undo.partial: `post` stays\n  Set it right")).toBe(stays !== null);
    }
  }
});

test("O14 status shows how busy the node is, who waits for what, and who holds it", async () => {
  await using node = await nodeAnswering({ "GET /status": status });
  const { code, out } = await writ(node.url, "status");
  expect(code).toBe(0);
  expect(out).toContain(
    "effects 3 of 4 under way, 2 waiting; 0 runs wait for their turn; 12.3 runs end in a second",
  );
  expect(out).toContain("lock path /data/a.csv: 1 held by r_0000000001 step copy, 2 waiting");
  expect(out).toContain("r_0000000002 step put (high) for 1.5 s");
});

test("O12 status names the emergency stops in force with the command that clears them", async () => {
  const stop = { stop: "s_6d1c0d54c8279ab8dd6a", by: "anna", atMs: 0, reason: "smoke" };
  const emergencyStops = [{ ...stop, scope: { kind: "target", name: "valve-1" } }];
  await using node = await nodeAnswering({ "GET /status": { ...status, emergencyStops } });
  const { out } = await writ(node.url, "status");
  expect(out).toContain("emergency stop on target valve-1 by anna since");
  expect(out).toContain("smoke; an owner clears it: writ emergency clear s_6d1c0d54c8279ab8dd6a");
});

test("O16 evidence replaces no file, and what is wrong with a file is said with what helps", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "writ-file-"));
  const file = path.join(folder, "pièce 1.writ");
  const answer = {
    name: "r.writ",
    bytes: "AAAA",
    entries: 1,
    sizeBytes: 3,
    treeSize: 1,
    blobsMissing: 0,
  };
  await using node = await nodeAnswering({ "GET /runs/r_00000000/export": answer });
  const first = await writ(node.url, "run", "export", "r_00000000", file);
  expect(first.out).toContain(`writ ledger verify '${file}'`);
  const again = await writ(node.url, "run", "export", "r_00000000", file);
  expect(again.error).toContain("command.file-exists");
  const nowhere = await writ(node.url, "run", "export", "r_00000000", path.join(folder, "no", "x.writ"));
  expect(nowhere.error).toContain("Name a file in a folder that exists");
  truncateSync(file, 3 * 1024 ** 3);
  const huge = await writ(node.url, "ledger", "verify", file);
  expect(huge.error).toContain(`command.file-size: Cannot read \`${file}\`: it has 3221225472 bytes`);
  rmSync(folder, { recursive: true });
});

test("O12 status names held runs with the command that settles them", async () => {
  const step = {
    id: "post",
    op: "call",
    label: "",
    state: "HELD",
    attempt: 1,
    fault: null,
    held: { what: "effect", reason: "nobody knows" },
  };
  await using node = await nodeAnswering({
    "GET /status": { ...status, runs: { active: 1, waiting: 0, held: 1 } },
    "GET /runs?status=held&limit=20": {
      runs: [summaryOfRun(runDetail({ status: "held", endedAtMs: null }))],
      next: null,
    },
    "GET /runs/r_00000000": runDetail({ status: "held", endedAtMs: null, steps: [step] }),
  });
  const { code, out } = await writ(node.url, "status");
  expect(code).toBe(0);
  expect(out).toContain("Needs attention\n  run r_00000000 of n is held\n    post (effect): nobody knows\n");
  expect(out).toContain("writ run settle r_00000000 post done|failed|again|skip");
});

function summaryOfRun({
  id,
  program,
  programName,
  workspace,
  status: state,
  startedAtMs,
  endedAtMs,
  event,
}: ReturnType<typeof runDetail>) {
  return { id, program, programName, workspace, status: state, startedAtMs, endedAtMs, event };
}

test("O12 an approval says what became of the run when that is known at once", async () => {
  const id = "a_aaaa0000000000000000";
  const fault = {
    code: "filesystem.exists",
    kind: "rejected",
    message: "It is there",
    remedy: "Move it",
    facts: {},
  };
  await using node = await nodeAnswering({
    [`POST /approvals/${id}`]: { approval: id, decision: "approve", run: "r_00000000" },
    "GET /runs/r_00000000": runDetail({ status: "rolled_back", fault }),
  });
  const { code, out } = await writ(node.url, "approvals", "approve", id);
  expect(code).toBe(0);
  expect(out).toBe(
    `approved ${id}; run r_00000000 is rolled back\n\nfilesystem.exists: It is there\n  Move it\n`,
  );
});

test("O13 an emergency stop's id of the wrong form is answered with its own form", async () => {
  const { error } = await writ("http://127.0.0.1:1", "emergency", "clear", "s_ab", "--reason", "x");
  expect(error).toContain("an emergency stop's id, such as `s_6d1c");
});

test("O17 a number that cannot be held exactly is refused, not changed", async () => {
  await using node = await nodeAnswering({});
  for (const number of ["1e400", "12345678901234567890", "0.1234567890123456789"]) {
    const { error } = await writ(node.url, "run", "start", hash, `{"a":${number}}`);
    expect(error).toContain(`the number ${number} cannot be held exactly`);
  }
  expect(node.received).toHaveLength(0);
  const { error } = await writ(node.url, "run", "start", hash, '{"a":0.1,"b":1e3,"c":-2.50}');
  expect(error).toContain("request.route");
});

test("O13 an id of the wrong form is answered with the form and an example, and nothing is asked of the node", async () => {
  await using node = await nodeAnswering({});
  for (const [args, example] of [
    [["run", "show", "nonsense"], "r_"],
    [["approve", "XYZ"], "hexadecimal"],
    [["capability", "show", "move file"], "filesystem.move_file"],
    [["person", "remove", "Anna!"], "anna"],
    [["person", "add", "Anna"], "anna"],
    [["ledger", "follow", "--run", "7"], "r_"],
  ] as const) {
    const { code, error } = await writ(node.url, ...args);
    expect(code).toBe(5);
    expect(error).toContain(example);
    expect(error).not.toMatch(/\^\[|pattern/);
  }
  expect(node.received).toEqual([]);
});

test("O6 an empty token or address in the environment is none", async () => {
  await using node = await nodeAnswering({ "GET /programs": { programs: [] } });
  const home = mkdtempSync(path.join(tmpdir(), "writ-cli-"));
  try {
    const empty = { WRIT_TOKEN: "", WRIT_DATA: "", XDG_CONFIG_HOME: "" };
    const saved = scriptedTerminal({ home, environment: empty });
    saveToken(node.url, "saved", saved);
    expect(await run(["programs"], saved)).toBe(0);
    expect(node.received[0]?.headers.authorization).toBe("Bearer saved");
    const none = scriptedTerminal({ environment: { ...empty, WRIT_URL: node.url } });
    await run(["programs", "--token", ""], none);
    expect(node.received[1]?.headers.authorization).toBeUndefined();
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("O10 pausing and resuming say what becomes of files that arrive meanwhile", async () => {
  for (const name of ["pause", "resume"]) {
    const terminal = scriptedTerminal();
    await run([name, "--help"], terminal);
    expect(terminal.printed.out.replaceAll(/\s+/g, " ")).toMatch(/recorded in the ledger and start n/);
    await using node = await nodeAnswering({ [`POST /programs/${hash}/${name}`]: summary });
    expect((await writ(node.url, name, hash)).out).toContain("recorded and starts nothing");
  }
});

test("O8 an approval's prefix must stand for one that waits", async () => {
  const first = "a_aaaa0000000000000000";
  await using node = await nodeAnswering({
    "GET /approvals": { approvals: [approval(first), approval("a_aabb0000000000000000")] },
    [`POST /approvals/${first}`]: { approval: first, decision: "approve", run: "r_00000000" },
  });
  expect((await writ(node.url, "approvals", "approve", "a_aa")).error).toContain("stands for 2 approvals");
  expect((await writ(node.url, "approvals", "approve", "a_zz")).error).toContain("Nothing waits");
  expect((await writ(node.url, "approvals", "approve", "a_aaaa")).code).toBe(0);
});

const stop = {
  stop: "s_aaaa0000000000000000",
  scope: { kind: "target", name: "valve-1" },
  reason: "water",
  by: "olga",
  atMs: 0,
};

test("O10 an emergency stop names one thing, says what it cancelled, and how it is cleared", async () => {
  await using node = await nodeAnswering({
    "POST /emergency-stops": { ...stop, cancelled: [{ run: "r_00000000", step: "open" }], underWay: [] },
    "GET /emergency-stops": { stops: [stop] },
    [`POST /emergency-stops/${stop.stop}/clear`]: stop,
  });
  const stopped = await writ(node.url, "stop-all", "valve-1", "--reason", "water");
  expect(stopped.code).toBe(0);
  expect(stopped.out).toContain("open of r_00000000");
  expect(stopped.out).toContain(`writ emergency clear ${stop.stop}`);
  for (const args of [[], ["valve-1", "--everything"]]) {
    const vague = await writ(node.url, "stop-all", ...args, "--reason", "x");
    expect(vague.error).toContain("command.stop-scope");
    expect(vague.code).not.toBe(0);
  }
  expect((await writ(node.url, "emergency", "list")).out).toContain("target valve-1");
  expect((await writ(node.url, "emergency", "clear", stop.stop)).code).toBe(0);
});

test("O8 a countdown's prefix must stand for one that runs", async () => {
  const id = "c_aaaa0000000000000000";
  const effect = {
    step: "open",
    capability: "plant.set_valve@1.0.0",
    params: {},
    later: {},
    targets: [],
    guard: ["only if `true`"],
    hash: null,
  };
  const countdown = {
    id,
    run: "r_00000000",
    step: "open",
    program: hash,
    programName: "open",
    workspace: "hall",
    role: "operator",
    effect,
    announcedAtMs: 0,
    endsAtMs: 30_000,
    requiresAcknowledgment: false,
    onMissed: "abort",
    escalated: false,
    acknowledgedBy: null,
    mayCancel: true,
  };
  const decided = { countdown: id, run: "r_00000000", step: "open" };
  await using node = await nodeAnswering({
    "GET /countdowns": { countdowns: [countdown, { ...countdown, id: "c_aabb0000000000000000" }] },
    [`POST /countdowns/${id}/cancel`]: decided,
    [`POST /countdowns/${id}/acknowledge`]: decided,
  });
  const listed = await writ(node.url, "countdown", "list");
  expect(listed.out).toContain(id);
  expect(listed.out).toContain("only if `true`");
  expect((await writ(node.url, "countdown", "cancel", "c_aa")).error).toContain("stands for 2 countdowns");
  expect((await writ(node.url, "countdown", "cancel", "c_aaaa")).out).toContain("cancelled");
  expect((await writ(node.url, "countdown", "acknowledge", id)).code).toBe(0);
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

test("O15 a long run shows its newest entries and how many there are before them", async () => {
  const entries = Array.from({ length: 100 }, (_, i) => ({
    seq: i,
    atMs: 0,
    kind: "effect.completed",
    step: "write",
    text: `entry number ${i}`,
  }));
  await using node = await nodeAnswering({
    "GET /runs/r_00000000": runDetail({ entries, entriesCount: 40_100 }),
  });
  const { out } = await writ(node.url, "run", "show", "r_00000000");
  expect(out).toContain("40040 before these: writ run replay r_00000000");
  expect(out).toContain("write  entry number 99");
  expect(out).not.toContain("entry number 39");
});

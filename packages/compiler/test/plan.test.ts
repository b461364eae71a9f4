import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderProgramText } from "@writ/compiler/render";
import { compilePlan, planFaults, type PlanProblem } from "@writ/compiler/plan";
import { planBytesMax } from "@writ/core/limits";
import { allSteps, type Opcode, type Program, type Step } from "@writ/core/program";
import { checkProgram } from "@writ/core/program-check";
import { decodeProgram, encodeProgram } from "@writ/core/program-codec";
import { capabilities, catalog, workspace } from "./plan-catalog.ts";

const examples = new URL("../../../examples/plans/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, examples), "utf8");

type Field = unknown;
const action = (id: string, fields: Readonly<Record<string, Field>> = {}) => ({
  id,
  module: "filesystem",
  action: "write_file",
  params: { path: `reports/${id}.txt`, content: "x" },
  ...fields,
});
const reading = (id: string, fields: Readonly<Record<string, Field>> = {}) =>
  action(id, { action: "read_file", params: { path: "inbox/a.txt" }, ...fields });
const posting = (id: string, fields: Readonly<Record<string, Field>> = {}) => ({
  id,
  module: "api_http",
  action: "http_post",
  params: { url: "http://127.0.0.1:3999/reports", body_json: {} },
  ...fields,
});
const plan = (actions: readonly Field[], fields: Readonly<Record<string, Field>> = {}) =>
  JSON.stringify({ protocol_version: "2.0", description: "A test", actions, ...fields });

function compile(text: string): Program {
  const result = compilePlan({ text, catalog });
  if (result.kind === "rejected") throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result.program;
}

function problems(text: string, other = catalog): readonly PlanProblem[] {
  const result = compilePlan({ text, catalog: other });
  return result.kind === "rejected" ? result.problems : [];
}

const codes = (text: string) => problems(text).map(({ code, at }) => `${code} ${at}`);
const stepOf = (program: Program, id: string): Step => allSteps(program.body).find((step) => step.id === id)!;
function op<Name extends Opcode["op"]>(
  program: Program,
  id: string,
  name: Name,
): Extract<Opcode, { op: Name }> {
  const { op: found } = stepOf(program, id);
  if (found.op !== name) throw new Error(`${id} is ${found.op}`);
  return found as Extract<Opcode, { op: Name }>;
}
const operand = (program: Program, id: string, param: string) => {
  const { op: found } = stepOf(program, id);
  return found.op === "call" || found.op === "load" ? found.params[param] : undefined;
};

test("N1 the example plans compile to programs that survive their bytes", () => {
  for (const name of readdirSync(examples).filter((file) => file.endsWith(".json"))) {
    const result = compilePlan({ text: read(name), catalog });
    expect(result.kind === "rejected" ? result.problems : [], name).toEqual([]);
    if (result.kind === "rejected") continue;
    expect(checkProgram(result.program, capabilities)).toEqual([]);
    expect(decodeProgram(encodeProgram(result.program)).capabilities).toEqual(result.program.capabilities);
    expect(result.source).toMatchObject({ kind: "plan", language: null, text: read(name) });
  }
});

test("N1 the report: reads are loads, texts are concatenated, an approval stands around the last action", () => {
  const program = compile(read("report.json"));
  expect(program.body.steps.map(({ id, after }) => [id, after])).toEqual([
    ["totals", []],
    ["write-report", ["totals"]],
    ["approve.announce", ["totals", "write-report"]],
    ["plan.finish", ["approve.announce"]],
  ]);
  expect(op(program, "totals", "load").capability).toBe("csv.aggregate@1.0.0");
  expect(operand(program, "write-report", "content")).toMatchObject({
    kind: "expression",
    text: expect.stringContaining("string(r_totals.sum)"),
  });
  expect(operand(program, "announce", "url")).toEqual({
    kind: "literal",
    value: "http://127.0.0.1:3999/reports",
  });
  expect(op(program, "approve.announce", "approve")).toMatchObject({ role: "owner", withinMs: 3_600_000 });
  expect(stepOf(program, "approve.announce").failure).toEqual({ kind: "compensate" });
  expect(stepOf(program, "announce").failure).toEqual({
    kind: "retry",
    attemptsMax: 3,
    delayMs: 1000,
    factor: 2,
    delayMsMax: 64_000,
    on: ["http.connection", "http.timeout", "runtime.timeout"],
    then: { kind: "safe_halt" },
  });
  expect(op(program, "plan.finish", "finish").result).toEqual({
    kind: "expression",
    text: '{"totals": r_totals, "write-report": r_write_report, "announce": r_announce}',
  });
});

test("N1 every bad example is refused for its own reason, with the place", () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    "not-json.txt": ["plan.json "],
    "duplicate-key.json": ["plan.duplicate-key /actions/0/params/path"],
    "cyclic.json": ["plan.cycle /actions/0"],
    "unknown-template.json": ["plan.template /actions/0/params/content"],
    "unknown-reference.json": [
      "plan.unknown-reference /actions/1/params/content",
      "plan.unknown-result-field /actions/1/params/content",
    ],
    "reference-without-dependency.json": ["plan.reference-order /actions/0/params/content"],
    "traversal.json": ["plan.path /actions/0/params/path"],
    "unsupported.json": [
      "plan.unsupported /plan_mode",
      "plan.unsupported /compiler_trace",
      "plan.unsupported /actions/0/params/path",
      "plan.unsupported /actions/0/perception",
      "plan.unsupported /actions/0/memory",
      "plan.unsupported /actions/0/target_node",
      "plan.unsupported /actions/0/on_error",
    ],
    "unknown-action.json": [
      "plan.unknown-action /actions/0/action",
      "plan.unknown-field /actions/0/dependson",
    ],
    "refused-host.json": ["plan.host /actions/0/params/url"],
    "unsafe-retry.json": ["plan.retry-unsafe /actions/0/on_error"],
  };
  const names = readdirSync(new URL("bad/", examples));
  expect(names.sort()).toEqual(Object.keys(expected).sort());
  for (const name of names) {
    const found = problems(read(`bad/${name}`));
    expect(
      found.map(({ code, at }) => `${code} ${at}`),
      name,
    ).toEqual(expected[name]);
    for (const { message, remedy } of found) {
      expect(message).not.toBe("");
      expect(remedy).not.toBe("");
    }
  }
});

test("N2 a place in broken JSON is named by line and column", () => {
  const cases: readonly (readonly [string, number, number, RegExp])[] = [
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, /expected `,` or `}`/],
    ["", 1, 1, /the end of the text/],
    ['{"a": [1, 2,]}', 1, 13, /expected a value, found `\]`/],
    ['{"a": "x', 1, 9, /not closed/],
    ['{"a": "\\q"}', 1, 8, /unknown escape/],
    ["{'a': 1}", 1, 2, /double quotes/],
    ['{"a": 01}', 1, 8, /found `1`/],
    ['{"a": tru}', 1, 7, /expected a value/],
    ['{"a": 1} x', 1, 10, /more text/],
    ['{"a": "\\ud800"}', 1, 14, /surrogate/],
    ['{"a": "\n"}', 1, 8, /not closed/],
  ];
  for (const [text, line, column, message] of cases) {
    const [found] = problems(text);
    expect(found, text).toMatchObject({ code: "plan.json", facts: { line, column } });
    expect(found?.message).toMatch(message);
  }
});

test("N2 a second field of one name, a number that loses digits and too much of anything are refused", () => {
  expect(codes('{"a": 1, "a": 1}')).toEqual(["plan.duplicate-key /a"]);
  expect(codes('{"a": {"__proto__": 1, "__proto__": 2}}')).toEqual(["plan.duplicate-key /a/__proto__"]);
  expect(codes('{"a": 0.12345678901234567891}')).toEqual(["plan.number /a"]);
  expect(codes('{"a": 9007199254740993}')).toEqual(["plan.number /a"]);
  expect(codes('{"a": 1e999}')).toEqual(["plan.number /a"]);
  expect(codes(`${"[".repeat(100_000)}`)[0]).toMatch(/^plan\.too-large /);
  expect(codes(" ".repeat(planBytesMax + 1))).toEqual(["plan.too-large "]);
});

test("N2 numbers that are exactly what was written are taken", () => {
  const body = { a: 0.1, b: -3, c: 1e3, d: 0, e: 12.5 };
  const text = plan([posting("send", { params: { url: "http://127.0.0.1:3999/", body_json: body } })]);
  expect(operand(compile(text), "send", "body_json")).toEqual({ kind: "literal", value: body });
});

test("N3 wrong fields are named, with the closest name", () => {
  expect(problems(plan([action("a")], { descripton: "x" }))[0]).toMatchObject({
    code: "plan.unknown-field",
    at: "/descripton",
    message: expect.stringContaining("did you mean `description`?"),
  });
  const cases: readonly (readonly [Readonly<Record<string, Field>>, string])[] = [
    [{ id: "white space" }, "plan.field /actions/0/id"],
    [{ id: "x".repeat(65) }, "plan.field /actions/0/id"],
    [{ id: null }, "plan.missing-field /actions/0"],
    [{ module: "Files" }, "plan.field /actions/0/module"],
    [{ params: [] }, "plan.field /actions/0/params"],
    [{ depends_on: "a" }, "plan.field /actions/0/depends_on"],
    [{ on_error: "explode" }, "plan.field /actions/0/on_error"],
    [{ timeout: 0 }, "plan.field /actions/0/timeout"],
    [{ timeout: 3601 }, "plan.field /actions/0/timeout"],
    [{ requires_approval: "yes" }, "plan.field /actions/0/requires_approval"],
    [{ retry: { max_attempts: 11 } }, "plan.field /actions/0/retry/max_attempts"],
    [{ retry: { max_attempts: 2.5 } }, "plan.field /actions/0/retry/max_attempts"],
    [{ retry: { delay_seconds: 0.01 } }, "plan.field /actions/0/retry/delay_seconds"],
    [{ retry: { backoff_factor: 11 } }, "plan.field /actions/0/retry/backoff_factor"],
    [{ retry: { jitter: true } }, "plan.unknown-field /actions/0/retry/jitter"],
    [{ approval: { timeout_seconds: 5 } }, "plan.field /actions/0/approval/timeout_seconds"],
    [{ approval: { risk_level: "none" } }, "plan.field /actions/0/approval/risk_level"],
    [{ label: "x".repeat(257) }, "plan.field /actions/0/label"],
    [{ tags: Array.from({ length: 21 }, () => "t") }, "plan.field /actions/0/tags"],
    [{ tags: ["x".repeat(65)] }, "plan.field /actions/0/tags/0"],
  ];
  for (const [fields, code] of cases) expect(codes(plan([action("a", fields)]))[0], code).toBe(code);
  const heads: readonly (readonly [Readonly<Record<string, Field>>, string])[] = [
    [{ protocol_version: "1.0" }, "plan.version /protocol_version"],
    [{ protocol_version: undefined }, "plan.version /protocol_version"],
    [{ description: undefined }, "plan.missing-field "],
    [{ description: "x".repeat(1025) }, "plan.field /description"],
    [{ plan_id: "no spaces" }, "plan.field /plan_id"],
    [{ mode: "parallel", execution_mode: "parallel" }, "plan.field /mode"],
    [{ execution_mode: "fast" }, "plan.field /execution_mode"],
    [{ actions: [] }, "plan.field /actions"],
    [{ actions: undefined }, "plan.missing-field "],
    [{ metadata: { owner: "x" } }, "plan.unknown-field /metadata/owner"],
  ];
  for (const [fields, code] of heads) expect(codes(plan([action("a")], fields))[0], code).toBe(code);
  expect(codes("[]")).toEqual(["plan.field "]);
});

test("N3 all problems are named at once, in the order of the text, and none twice", () => {
  const text = plan([
    action("a", { action: "write_fiel", timeout: 0 }),
    action("b", { params: { path: "../x", content: "{{result.a.path}} {{result.c.path}}" }, dependson: [] }),
  ]);
  expect(codes(text)).toEqual([
    "plan.unknown-action /actions/0/action",
    "plan.field /actions/0/timeout",
    "plan.path /actions/1/params/path",
    "plan.unknown-reference /actions/1/params/content",
    "plan.unknown-field /actions/1/dependson",
  ]);
});

test("N3 two actions cannot have one id", () => {
  expect(codes(plan([action("a"), action("a")]))).toEqual(["plan.duplicate-id /actions/1/id"]);
});

test("N4 501 actions are refused, and a profile allows fewer", () => {
  const many = (count: number) => plan(Array.from({ length: count }, (_, i) => action(`a${i}`)));
  expect(problems(many(501))).toMatchObject([{ code: "plan.too-many-actions", facts: { countMax: 500 } }]);
  expect(problems(many(51))).toMatchObject([
    { code: "plan.too-many-actions", facts: { countMax: 50, profile: "local_worker" } },
  ]);
  expect(problems(many(500), { ...catalog, workspace: { ...workspace, profile: "unrestricted" } })).toEqual(
    [],
  );
});

test("N4 a plan holds at most ten thousand templates", () => {
  const content = "{{result.nothing.x}}".repeat(10_001);
  const [first, ...others] = problems(plan([action("a", { params: { path: "reports/x", content } })]));
  expect([first?.code, others.length]).toEqual(["plan.too-large", 0]);
});

test("N5 what is not supported yet is refused by name, and null means absent", () => {
  const fields = [
    "perception",
    "memory",
    "target_node",
    "target_group",
    "broadcast",
    "ttl",
    "nonce",
    "signature",
  ];
  for (const name of fields) {
    expect(codes(plan([action("a", { [name]: {} })]))).toEqual([`plan.unsupported /actions/0/${name}`]);
    expect(codes(plan([action("a", { [name]: null })]))).toEqual([]);
  }
  expect(codes(plan([action("a")], { trigger: { type: "cron" } }))).toEqual(["plan.unsupported /trigger"]);
  expect(codes(plan([action("a", { approval: { clarification_options: ["later"] } })]))).toEqual([
    "plan.unsupported /actions/0/approval/clarification_options",
  ]);
});

test("K101 a reactive plan is refused by its own rule, in both spellings, and never run as another mode", () => {
  for (const field of ["execution_mode", "mode"]) {
    expect(codes(plan([action("a")], { [field]: "reactive" }))[0]).toBe(`plan.unsupported /${field}`);
  }
});

test("K117 a check of the result that is not supported is an error, never left out", () => {
  for (const validate of ["$.rows[0]", "contains:paid", "regex:^ok$"]) {
    const perception = { capture_after: true, validate_output: validate };
    expect(codes(plan([action("a", { perception })]))).toEqual(["plan.unsupported /actions/0/perception"]);
  }
});

test("K103 nothing is repaired: valid texts stay as they are, broken ones are refused where they break", () => {
  const content = "https://example.org/a // no comment, it's True, {'a': [1, 2,]} /* kept */";
  const program = compile(plan([action("a", { params: { path: "reports/x", content } })]));
  expect(operand(program, "a", "content")).toEqual({ kind: "literal", value: content });
  const whole = plan([action("a")]);
  for (const cut of [whole.slice(0, -1), whole.slice(0, -3), whole.replace('"a"', "'a'")]) {
    expect(problems(cut)[0]?.code).toBe("plan.json");
  }
});

test("K15 a trace or an approval flag written by a model counts for nothing", () => {
  const trace = { generation_approved: true, validation: "passed" };
  expect(codes(plan([action("a")], { plan_mode: "compiler", compiler_trace: trace }))).toEqual([
    "plan.unsupported /plan_mode",
    "plan.unsupported /compiler_trace",
  ]);
});

test("N6 an unknown action is refused with the closest names; undo capabilities cannot be named", () => {
  expect(problems(plan([action("a", { action: "write_fiel" })]))[0]).toMatchObject({
    code: "plan.unknown-action",
    at: "/actions/0/action",
    facts: { closest: ["filesystem.write_file"], modules: ["api_http", "csv", "filesystem", "plant"] },
  });
  expect(problems(plan([action("a", { module: "filesytem" })]))[0]?.message).toContain(
    "`filesystem.write_file`",
  );
  expect(codes(plan([action("a", { action: "restore_file", params: { path: "x" } })]))).toEqual([
    "plan.unknown-action /actions/0/action",
  ]);
});

test("N7 module requirements are compared as PEP 440 does", () => {
  const need = (module: string, range: string) =>
    codes(plan([reading("a")], { module_requirements: { [module]: range } }));
  for (const range of [
    ">=1.0",
    "==1.0",
    "==1.0.0",
    "==1.*",
    "~=1.0",
    "!=1.1",
    "<2,>=1",
    " >= 1.0 , < 2.0 ",
  ]) {
    expect(need("filesystem", range), range).toEqual([]);
  }
  for (const range of [">=3", "==1.1", "!=1.*", "~=1.1", "<1", ">1.0.0", "<=0.9"]) {
    expect(need("filesystem", range)[0], range).toMatch(/^plan\.module-version/);
  }
  for (const range of ["1.0", "^1.0", ">=1.0a1", "", "~=1", ">=1.*"]) {
    expect(need("filesystem", range)[0], range).toBe("plan.module-version /module_requirements/filesystem");
  }
  expect(need("filesytem", ">=1")).toEqual(["plan.module-version /module_requirements/filesytem"]);
});

test("N8 parameters are checked against the capability's schema", () => {
  const params = (given: Field, other = reading) => codes(plan([other("a", { params: given })]));
  expect(params({})).toEqual(["plan.params /actions/0/params"]);
  expect(params({ path: 3 })[0]).toBe("plan.params /actions/0/params/path");
  expect(params({ path: "a", pth: "b" })).toEqual(["plan.params /actions/0/params/pth"]);
  expect(params({ path: "a", start_line: 0 })).toEqual(["plan.params /actions/0/params/start_line"]);
  expect(params({ path: "a", start_line: "{{trigger.line}}" })).toEqual([]);
  expect(params({ path: "a", start_line: "line {{trigger.line}}" })).toEqual([
    "plan.params /actions/0/params/start_line",
  ]);
  const pack = (given: Field) => codes(plan([reading("a", { action: "pack", params: given })]));
  expect(pack({ sources: [{ from: "{{trigger.a}}" }], level: "{{trigger.b}}" })).toEqual([]);
  expect(pack({ sources: [{ form: "{{trigger.a}}" }] })[0]).toBe("plan.params /actions/0/params/sources/0");
  expect(pack({ sources: [{ from: "a" }, { from: 3 }, { from: "{{trigger.a}}" }] })).toEqual([
    "plan.params /actions/0/params/sources/1/from",
  ]);
  expect(pack({ sources: Array.from({ length: 4 }, () => ({ from: "{{trigger.a}}" })) })[0]).toBe(
    "plan.params /actions/0/params/sources",
  );
  expect(pack({ sources: { from: "{{trigger.a}}" } })[0]).toBe("plan.params /actions/0/params/sources");
  expect(pack({ sources: [], level: "about {{trigger.b}}" })[0]).toBe("plan.params /actions/0/params/level");
  expect(pack({ sources: [], amount: "{{trigger.amount}}" })).toEqual([]);
  for (const amount of [{ a: "{{trigger.a}}" }, ["{{trigger.a}}"], "{{trigger.a}} EUR"]) {
    expect(pack({ sources: [], amount })).toEqual(["plan.params /actions/0/params/amount"]);
  }
});

test("N8 K29 K55 K57 a plan holds no secret: parameters and headers of credentials are refused, and never repeated", () => {
  const given = (more: Readonly<Record<string, Field>>) =>
    plan([posting("a", { params: { url: "http://127.0.0.1:3999/reports", ...more } })]);
  const headers = {
    Authorization: "hunter2",
    cookie: "{{trigger.c}}",
    "X-Api-Key": "hunter2",
    accept: "a/b",
  };
  expect(codes(given({ headers }))).toEqual([
    "plan.unsupported /actions/0/params/headers/Authorization",
    "plan.unsupported /actions/0/params/headers/cookie",
    "plan.unsupported /actions/0/params/headers/X-Api-Key",
  ]);
  for (const auth of [["u", "hunter2"], ["u", "{{trigger.password}}"], "{{trigger.auth}}"])
    expect(codes(given({ auth }))).toEqual(["plan.unsupported /actions/0/params/auth"]);
  const [refused] = problems(given({ auth: ["u", "hunter2"] }));
  expect(refused?.remedy).toContain("secrets");
  expect(JSON.stringify(refused)).not.toContain("hunter2");
});

test("K86 every path is checked, also nested and in lists, also around templates", () => {
  const wrong = [
    "../x",
    "a/../b",
    "/etc/passwd",
    "C:\\x",
    "a\\b",
    "~/x",
    "a\u0000b",
    "{{trigger.a}}/../b",
    "/{{trigger.a}}",
    "..",
  ];
  for (const path of wrong) {
    expect(codes(plan([reading("a", { params: { path } })])), path).toEqual([
      "plan.path /actions/0/params/path",
    ]);
    const nested = plan([
      reading("a", { action: "pack", params: { sources: [{ from: "ok" }, { from: path }] } }),
    ]);
    expect(codes(nested), path).toEqual(["plan.path /actions/0/params/sources/1/from"]);
  }
  for (const path of ["a/b.txt", "a..b", "a/...", "reports/{{trigger.name}}", "{{trigger.name}}"]) {
    expect(codes(plan([reading("a", { params: { path } })])), path).toEqual([]);
  }
});

test("N9 only hosts of the allow-list are taken, when the host is written out", () => {
  const url = (address: string) => codes(plan([posting("a", { params: { url: address } })]));
  for (const address of [
    "http://127.0.0.1:3999/",
    "HTTP://127.0.0.1:3999",
    "http://127.0.0.1:3999/{{trigger.x}}",
    "{{trigger.url}}",
    "http://{{trigger.host}}/x",
  ]) {
    expect(url(address), address).toEqual([]);
  }
  for (const address of [
    "http://127.0.0.1:3998/",
    "https://127.0.0.1:3999/",
    "http://127.0.0.1",
    "http://localhost:3999/",
    "ftp://127.0.0.1:3999/",
    "http://user@127.0.0.1:3999/",
    "http://127.0.0.1:3999@evil.example/",
    "127.0.0.1:3999",
    "file:///etc/passwd",
  ]) {
    expect(url(address), address).toEqual(["plan.host /actions/0/params/url"]);
  }
});

test("K98 an id with `-` resolves, and two ids that look alike keep two slots", () => {
  const program = compile(
    plan([
      reading("read-file"),
      reading("read_file"),
      action("write", {
        params: { path: "reports/x", content: "{{result.read-file.content}}{{ result.read_file.content }}" },
      }),
    ]),
  );
  expect(operand(program, "write", "content")).toEqual({
    kind: "expression",
    text: "string(r_read_file.content) + string(r_read_file__2.content)",
  });
});

test("K98 what looks like a template and is none is refused, never left as text", () => {
  for (const text of [
    "{{",
    "{{result}}",
    "{{result.}}",
    "{{result.a",
    "{{result.a b}}",
    "{{results.a}}",
    "{{}}",
    "{{result.a[x]}}",
    "{{result.a..b}}",
    "{{trigger.}}",
    "{{a + b}}",
    "{{result.a.content | upper}}",
  ]) {
    const found = codes(plan([reading("a"), action("b", { params: { path: "reports/x", content: text } })]));
    expect(found, text).toEqual(["plan.template /actions/1/params/content"]);
  }
  const key = { "{{result.a.content}}": 1 };
  expect(
    codes(
      plan([reading("a"), posting("b", { params: { url: "http://127.0.0.1:3999/", body_json: key } })]),
    )[0],
  ).toMatch(/^plan\.template /);
});

test("N10 a template alone keeps the value's type, a mixed one makes a text, nested paths are followed", () => {
  const body = {
    whole: "{{result.a.lines[0].text}}",
    mixed: "First: {{result.a.lines[0].text}}!",
    list: [1, "{{result.a.lines}}", { deep: "{{trigger.file.name}}" }],
    plain: true,
    quoted: '{{trigger["Montant TTC"]}}',
  };
  const program = compile(
    plan([reading("a"), posting("b", { params: { url: "http://127.0.0.1:3999/", body_json: body } })]),
  );
  expect(operand(program, "b", "body_json")).toEqual({
    kind: "expression",
    text:
      '{"whole": r_a.lines[0].text, "mixed": "First: " + string(r_a.lines[0].text) + "!", ' +
      '"list": [1, r_a.lines, {"deep": event.data.file.name}], "plain": true, "quoted": event.data["Montant TTC"]}',
  });
});

test("K83 fields of the firing event are read from the event's data", () => {
  const program = compile(plan([reading("a", { params: { path: "inbox/{{trigger.name}}" } })]));
  expect(operand(program, "a", "path")).toEqual({
    kind: "expression",
    text: '"inbox/" + string(event.data.name)',
  });
  expect(program.slots[0]?.labels).toEqual(["origin:event", "origin:file"]);
});

test("K87 no profile resolves a template of the environment", () => {
  for (const profile of ["readonly", "local_worker", "power_user", "unrestricted"] as const) {
    const text = plan([reading("a", { params: { path: "{{env.HOME}}/x" } })]);
    expect(problems(text, { ...catalog, workspace: { ...workspace, profile } })).toMatchObject([
      { code: "plan.environment" },
    ]);
  }
});

test("N11 templates of memory and snapshots are refused by name", () => {
  for (const text of ["{{memory.last}}", "{{snapshot.a.before}}"]) {
    expect(problems(plan([reading("a", { params: { path: text } })]))).toMatchObject([
      { code: "plan.unsupported", message: expect.stringContaining(text) },
    ]);
  }
});

test("N12 a result that does not exist, a field it does not have, or its own result cannot be read", () => {
  const content = (text: string) =>
    problems(plan([reading("read"), action("b", { params: { path: "reports/x", content: text } })]));
  expect(content("{{result.raed.content}}")).toMatchObject([
    { code: "plan.unknown-reference", facts: { closest: ["read"] } },
  ]);
  expect(content("{{result.read.contents}}")).toMatchObject([
    {
      code: "plan.unknown-result-field",
      facts: { available: ["path", "content", "lines"], closest: ["content"] },
    },
  ]);
  expect(content("{{result.read.lines.text}}")).toMatchObject([{ code: "plan.unknown-result-field" }]);
  expect(content("{{result.read.content.length}}")).toMatchObject([{ code: "plan.unknown-result-field" }]);
  expect(content("{{result.read.lines[2].text}}")).toEqual([]);
  expect(content("{{result.b.path}}")).toMatchObject([{ code: "plan.reference-order" }]);
});

test("K99 reading a result is a dependency", () => {
  const program = compile(
    plan(
      [
        action("write", { params: { path: "reports/x", content: "{{result.read.content}}" } }),
        reading("read"),
        reading("other"),
      ],
      {
        execution_mode: "parallel",
      },
    ),
  );
  expect(program.body.steps.map(({ id, after }) => [id, after])).toEqual([
    ["read", []],
    ["write", ["read"]],
    ["other", []],
    ["plan.finish", ["write", "other"]],
  ]);
});

test("N13 in sequential mode a later result is read only by who depends on it", () => {
  const later = { path: "reports/x", content: "{{result.read.content}}" };
  expect(codes(plan([action("write", { params: later }), reading("read")]))).toEqual([
    "plan.reference-order /actions/0/params/content",
  ]);
  const declared = plan([
    action("write", { params: later, depends_on: ["read"] }),
    reading("read"),
    reading("last"),
  ]);
  expect(compile(declared).body.steps.map(({ id, after }) => [id, after])).toEqual([
    ["read", []],
    ["write", ["read"]],
    ["last", ["write"]],
    ["plan.finish", ["last"]],
  ]);
});

test("N13 a circle is named, whether by dependency or by reference", () => {
  const [found] = problems(read("bad/cyclic.json"));
  expect(found?.facts).toEqual({ circle: ["a", "c", "b", "a"] });
  expect(found?.message).toContain("a → c → b → a");
  expect(codes(plan([action("a", { depends_on: ["a"] })]))).toEqual([
    "plan.dependency /actions/0/depends_on/0",
  ]);
  expect(codes(plan([action("first", { depends_on: ["frist"] })]))).toEqual([
    "plan.dependency /actions/0/depends_on/0",
  ]);
});

test("K96 skip and continue differ in what follows", () => {
  const steps = (onError: string) =>
    compile(plan([reading("a", { on_error: onError }), action("b", { depends_on: ["a"] }), action("c")])).body
      .steps;
  const tolerates = (onError: string) =>
    steps(onError).map(({ id, tolerates: may, failure }) => [id, may, failure.kind]);
  // After `skip` the dependent b is skipped; after `continue` it runs, for it reads nothing. c only stood behind b,
  // which may have been skipped in the first case and is certain in the second.
  expect(tolerates("skip")).toEqual([
    ["a", [], "skip"],
    ["b", [], "safe_halt"],
    ["c", ["b"], "safe_halt"],
    ["plan.finish", [], "safe_halt"],
  ]);
  expect(tolerates("continue").slice(0, 3)).toEqual([
    ["a", [], "continue"],
    ["b", ["a"], "safe_halt"],
    ["c", [], "safe_halt"],
  ]);
});

test("N15 N17 who reads the result of a failed action never runs without it", () => {
  const content = { path: "reports/x", content: "{{result.a.content}}" };
  const program = compile(
    plan([reading("a", { on_error: "continue" }), action("b", { params: content }), action("c")]),
  );
  expect(program.body.steps.map(({ id, tolerates }) => [id, tolerates])).toEqual([
    ["a", []],
    ["b", []],
    ["c", ["b"]],
    ["plan.finish", []],
  ]);
  expect(op(program, "plan.finish", "finish").result).toEqual({ kind: "expression", text: '{"c": r_c}' });
});

test("K90 N19 only faults of the declared classes that the capability declares too are retried", () => {
  const failure = (
    retry: Field,
    other: (id: string, fields: Readonly<Record<string, Field>>) => Field = posting,
  ) => {
    const { failure: found } = stepOf(compile(plan([other("a", { on_error: "retry", retry })])), "a");
    return found.kind === "retry" ? found.on : [];
  };
  expect(failure(null)).toEqual(["http.connection", "http.timeout", "runtime.timeout"]);
  expect(failure({ retry_on: ["ConnectionError"] })).toEqual(["http.connection"]);
  expect(failure({ retry_on: ["http.status-5xx", "TimeoutError"] })).toEqual([
    "http.status-5xx",
    "http.timeout",
    "runtime.timeout",
  ]);
  expect(failure({ retry_on: ["filesystem.busy"] }, reading)).toEqual(["filesystem.busy"]);
  expect(failure(null, reading)).toEqual(["runtime.timeout"]);
  expect(codes(plan([posting("a", { on_error: "retry", retry: { retry_on: ["ValueError"] } })]))).toEqual([
    "plan.retry-class /actions/0/retry/retry_on/0",
  ]);
  const unheard = reading("a", { retry: { retry_on: ["ConnectionError"] } });
  expect(codes(plan([unheard]))).toEqual(["plan.retry-unsafe /actions/0/retry"]);
  expect(codes(plan([posting("a", { retry: { retry_on: [] } })]))).toEqual([
    "plan.retry-unsafe /actions/0/retry",
  ]);
});

test("K91 an action that could repeat its effect is not retried", () => {
  const send = (url: string) => codes(plan([posting("a", { params: { url }, on_error: "retry" })]));
  expect(send("http://127.0.0.1:3999/x")).toEqual([]);
  expect(send("http://127.0.0.1:4000/x")).toEqual(["plan.retry-unsafe /actions/0/on_error"]);
  expect(send("{{trigger.url}}")).toEqual(["plan.retry-unsafe /actions/0/on_error"]);
});

test("K93 a compensation is no step of the normal run", () => {
  const text = plan([
    action("write", { rollback: { action: "clean", params: { path: "{{result.write.path}}" } } }),
    action("clean", { action: "delete_file", params: {}, depends_on: ["write"] }),
    posting("send", { on_error: "rollback" }),
  ]);
  const program = compile(text);
  expect(program.body.steps.map(({ id }) => id)).toEqual(["write", "send", "plan.finish"]);
  expect(op(program, "write", "call").compensation).toEqual({
    capability: "filesystem.delete_file@1.0.0",
    params: { path: { kind: "expression", text: "r_write.path" } },
  });
  expect(stepOf(program, "send").failure).toEqual({ kind: "compensate" });
  expect(program.capabilities).toEqual([
    "api_http.http_post@1.2.0",
    "filesystem.delete_file@1.0.0",
    "filesystem.write_file@1.0.0",
  ]);
  expect(program.slots.map(({ name }) => name)).toEqual(["r_write", "r_send"]);
});

test("N15 N16 the listing shows what takes a step back and which failures a step tolerates", () => {
  const text = plan([
    action("write", { rollback: { action: "clean", params: { path: "a.txt" } } }),
    action("clean", { action: "delete_file", params: {} }),
    reading("read", { on_error: "continue" }),
    action("after"),
  ]);
  const shown = renderProgramText(compile(text));
  expect(shown).toContain('taken back by filesystem.delete_file@1.0.0 path = "a.txt"');
  expect(shown).toMatch(/^after .* also when read failed or was skipped$/m);
});

test("N16 a rollback that cannot work is refused", () => {
  const clean = action("clean", { action: "delete_file", params: { path: "reports/write.txt" } });
  const write = action("write", { rollback: { action: "clean" } });
  const cases: readonly (readonly [readonly Field[], string])[] = [
    [[write], "plan.unknown-reference /actions/0/rollback/action"],
    [[reading("read", { rollback: { action: "clean" } }), clean], "plan.rollback /actions/0/rollback/action"],
    [
      [action("write", { rollback: { action: "read" } }), reading("read")],
      "plan.rollback /actions/0/rollback/action",
    ],
    [[action("write", { rollback: { action: "write" } })], "plan.rollback /actions/0/rollback/action"],
    [[write, action("clean", { rollback: { action: "write" } })], "plan.rollback /actions/0/rollback/action"],
    [[write, { ...clean, requires_approval: true }], "plan.rollback /actions/0/rollback/action"],
    [[write, { ...clean, on_error: "skip" }], "plan.rollback /actions/0/rollback/action"],
    [[write, { ...clean, timeout: 5 }], "plan.rollback /actions/0/rollback/action"],
    [[write, clean, action("after", { depends_on: ["clean"] })], "plan.rollback /actions/2/depends_on/0"],
    [
      [write, clean, action("after", { params: { path: "x", content: "{{result.clean.path}}" } })],
      "plan.rollback /actions/2/params/content",
    ],
    [
      [
        write,
        clean,
        action("after"),
        { ...clean, id: "other", depends_on: ["after"] },
        action("last", { rollback: { action: "other" } }),
      ],
      "plan.rollback /actions/3/depends_on/0",
    ],
    [
      [action("write", { rollback: { action: "clean", params: { pth: "x" } } }), clean],
      "plan.params /actions/0/rollback/params/pth",
    ],
    [
      [action("write", { rollback: { action: "clean", params: { path: "../x" } } }), clean],
      "plan.path /actions/0/rollback/params/path",
    ],
  ];
  for (const [actions, code] of cases) expect(codes(plan(actions))[0], code).toBe(code);
  expect(codes(plan([write, { ...clean, on_error: "abort", timeout: null }]))).toEqual([]);
});

test("K100 references in rollback parameters are validated", () => {
  const clean = action("clean", { action: "delete_file", params: {} });
  const write = (path: string) => action("write", { rollback: { action: "clean", params: { path } } });
  const at = "/actions/1/rollback/params/path";
  const check = (path: string) => codes(plan([reading("before"), write(path), reading("later"), clean]));
  expect(check("{{result.write.path}}")).toEqual([]);
  expect(check("{{result.nothing.path}}")).toEqual([`plan.unknown-reference ${at}`]);
  expect(check("{{result.write.paht}}")).toEqual([`plan.unknown-result-field ${at}`]);
  expect(check("{{result.later.path}}")).toEqual([`plan.reference-order ${at}`]);
  expect(check("{{broken")).toEqual([`plan.template ${at}`]);
  // A reference in a rollback is a reference: it makes the action wait for what it will need.
  const program = compile(
    plan([reading("before"), write("{{result.before.path}}"), clean], { execution_mode: "parallel" }),
  );
  expect(stepOf(program, "write").after).toEqual(["before"]);
});

test("N18 an approval waits for the owner, shows its risk, and is rejected when nobody answers", () => {
  const program = compile(
    plan([
      reading("a"),
      action("b", {
        approval: { message: "Write {{result.a.path}}?", risk_level: "high", timeout_seconds: 10 },
      }),
    ]),
  );
  expect(op(program, "approve.b", "approve")).toMatchObject({
    role: "owner",
    withinMs: 10_000,
    message: { kind: "expression", text: '"Write " + string(r_a.path) + "? (risk: high)"' },
    otherwise: null,
  });
  expect(op(compile(plan([action("b", { requires_approval: true })])), "approve.b", "approve")).toMatchObject(
    {
      withinMs: 300_000,
      message: { kind: "literal", value: "filesystem.write_file" },
    },
  );
});

test("N18 an approval that expires is skipped only where the action may be skipped and is not critical", () => {
  const approval = { timeout_behavior: "skip" };
  expect(codes(plan([action("a", { approval, on_error: "skip" })]))).toEqual([]);
  expect(codes(plan([action("a", { approval })]))).toEqual([
    "plan.unsupported /actions/0/approval/timeout_behavior",
  ]);
  const valve = { id: "v", module: "plant", action: "open_valve", on_error: "skip", approval };
  expect(codes(plan([valve]))).toEqual(["plan.approval /actions/0/approval/timeout_behavior"]);
});

test("N1 N14 defaults: a minute for an action, halt on failure, no dependency that was not named", () => {
  const program = compile(plan([action("a"), action("b", { timeout: 2.5 })], { mode: "parallel" }));
  expect(stepOf(program, "a")).toMatchObject({
    timeoutMs: 60_000,
    failure: { kind: "safe_halt" },
    after: [],
  });
  expect(stepOf(program, "b")).toMatchObject({ timeoutMs: 2500, after: [] });
  expect(program).toMatchObject({
    trigger: { kind: "manual" },
    windows: [],
    invariants: [],
    priority: "normal",
  });
  expect(program.workspace.hosts).toEqual([
    { host: "127.0.0.1:3999", scheme: "http", risk: "low", idempotent: true },
    { host: "127.0.0.1:4000", scheme: "http", risk: "high", idempotent: false },
  ]);
});

test("N1 each step knows the characters it came from", () => {
  const text = read("failing-late.json");
  const result = compilePlan({ text, catalog });
  if (result.kind !== "compiled") throw new Error("rejected");
  const [start, end] = result.source.spans["write-second"]!;
  expect(JSON.parse(text.slice(start, end))).toMatchObject({ id: "write-second" });
});

test("N3 a problem names the characters it is about", () => {
  const text = read("bad/traversal.json");
  const [found] = problems(text);
  expect(text.slice(...found!.span!)).toBe('"inbox/../../../etc/passwd"');
  const missing = plan([{ id: "a", module: "filesystem", action: "read_file", params: {} }]);
  const [absent] = problems(missing);
  expect(missing.slice(...absent!.span!)).toBe("{}");
});

test("N8 a text with templates that is too long for an expression is refused", () => {
  const content = `${"x".repeat(20_000)}{{trigger.a}}`;
  expect(codes(plan([action("a", { params: { path: "reports/x", content } })]))).toEqual([
    "plan.too-large /actions/0/params/content",
  ]);
  const literal = plan([action("a", { params: { path: "reports/x", content: "x".repeat(100_000) } })]);
  expect(codes(literal)).toEqual([]);
});

test("N10 three hundred templates in one text stay within the depth of expressions", () => {
  const content = Array.from({ length: 300 }, (_, i) => `{{trigger.f${i}}}`).join(" ");
  const program = compile(plan([action("a", { params: { path: "reports/x", content } })]));
  expect(checkProgram(program, capabilities)).toEqual([]);
});

test("N1 every code has a remedy", () => {
  for (const { remedy } of Object.values(planFaults)) expect(remedy.length).toBeGreaterThan(10);
});

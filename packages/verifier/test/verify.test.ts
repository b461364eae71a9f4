import { slotName } from "@writ/core/ids";
import { afterAll, describe, expect, test } from "vitest";
import type { HashedProgram, Program, ProgramSource } from "@writ/core/program";
import { createVerifier, type Verified } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import {
  approve,
  arrives,
  branch,
  call,
  catalog,
  cel,
  fixed,
  hashed,
  inSequence,
  load,
  program,
  source,
  step,
  story,
} from "./catalog.ts";

const solver = createZ3Solver();
const verifier = createVerifier({ solver });
afterAll(() => solver.close());

interface Deployed {
  readonly program: Program;
  readonly source?: ProgramSource;
}

function verify(
  one: Program,
  more: { readonly source?: ProgramSource; readonly deployed?: readonly Deployed[] } = {},
): Promise<Verified> {
  const { deployed = [], source: from } = more;
  return verifier.verify({
    program: hashed(one),
    ...(from === undefined ? {} : { source: from }),
    catalog,
    deployed: deployed.map((each): HashedProgram & { source?: ProgramSource } => ({
      ...hashed(each.program),
      ...(each.source === undefined ? {} : { source: each.source }),
    })),
  });
}

/** The checks that do not hold, by number, and the codes they are reported under. */
function refusals(verified: Verified): readonly (readonly [number, string])[] {
  return verified.kind === "proved"
    ? []
    : verified.problems.map((problem) => [problem.facts["check"] as number, problem.code] as const);
}

function exampleOf(verified: Verified, check: number) {
  const found = verified.certificate.checks.find((one) => one.check === check && one.counterexample !== null);
  if (found?.counterexample == null)
    throw new Error(
      `check ${check} has no counterexample: ${JSON.stringify(verified.certificate.checks.map((c) => [c.check, c.verdict, c.claim]))}`,
    );
  return found.counterexample;
}

describe("the invoice rule", () => {
  test("V1 is proved, with every check in its certificate", async () => {
    const verified = await verify(story());
    expect(refusals(verified)).toEqual([]);
    expect(verified.kind).toBe("proved");
    const { certificate } = verified;
    expect(certificate.solver).toMatch(/^z3 4\.16/);
    expect(certificate.program).toBe(hashed(story()).hash);
    const checks = new Set(certificate.checks.map((check) => check.check));
    for (const check of [1, 2, 3, 10, 16, 21, 28, 29, 30, 32, 33, 35, 36, 39, 40])
      expect([check, checks.has(check)]).toEqual([check, true]);
  });

  test("V3 the same question gives the same certificate", async () => {
    const [first, second] = [await verify(story()), await verify(story())];
    expect(first.certificate).toEqual(second.certificate);
  });
});

describe("check 3", () => {
  test("K1 a condition that contradicts itself is refused, and the clash is named", async () => {
    const text = "If the sum is above 10 000 and below 5 000, move it";
    const verified = await verify(story({ limit: "10000 && s2.sum < 5000" }), {
      source: source("impossible", text, { s3: [3, 42] }),
    });
    expect(refusals(verified)).toContainEqual([3, "verifier.vacuous-condition"]);
    const example = exampleOf(verified, 3);
    expect(example.summary).toContain("sum of amount > 10000");
    expect(example.summary).toContain("sum of amount < 5000");
    expect(example.spans).toEqual([[3, 42]]);
  });

  test("K2 a branch that an earlier one leaves nothing for is refused with the reason", async () => {
    const nothing = (id: string) =>
      inSequence(step(id, { op: "eval", expression: "1", output: "x" as never }));
    const verified = await verify(
      program(
        inSequence(
          load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
          branch("s3", [
            ["s2.sum > 100", nothing("a")],
            ["s2.sum > 200", nothing("b")],
          ]),
        ),
      ),
    );
    expect(refusals(verified)).toEqual([[3, "verifier.vacuous-condition"]]);
    expect(exampleOf(verified, 3).summary).toContain("not (sum of amount > 100)");
  });

  test("K2 a limit beyond the workspace's range of the column is refused", async () => {
    const one = program(
      inSequence(
        load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
        branch("s3", [
          [
            "s2.max > 2000000",
            inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") })),
          ],
        ]),
      ),
    );
    const verified = await verify(one);
    expect(refusals(verified)).toEqual([[3, "verifier.vacuous-condition"]]);
    expect(exampleOf(verified, 3).summary).toContain("at most 1000000");
  });

  test("K1 a name that cannot match pattern and condition is refused", async () => {
    const verified = await verify(
      program(story().body, { trigger: arrives("inbox", "*.csv", 'event.data.name.endsWith(".txt")') }),
    );
    expect(refusals(verified)).toContainEqual([3, "verifier.vacuous-condition"]);
    const fine = await verify(
      program(story().body, { trigger: arrives("inbox", "*.csv", 'event.data.name.startsWith("in-")') }),
    );
    expect(refusals(fine)).toEqual([]);
  });
});

describe("check 10", () => {
  const text = "When a CSV arrives, if the sum is above 5 000 delete it.";
  const deletes = (when: string) =>
    program(
      inSequence(
        load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
        branch("s3", [
          [when, inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") }))],
        ]),
      ),
    );

  test("K3 two rules that do different things to one file are refused with values, both names and the words", async () => {
    const verified = await verify(deletes("s2.sum > 5000"), {
      source: source("delete large", text, { d: [46, 55], s3: [20, 45] }),
      deployed: [
        { program: story(), source: source("invoices", "move it to approved", { s5: [0, 19], s6: [0, 19] }) },
      ],
    });
    expect(refusals(verified)).toEqual([[10, "verifier.contradiction"]]);
    const example = exampleOf(verified, 10);
    expect(example.summary).toContain("delete large");
    expect(example.summary).toContain("invoices");
    expect(example.summary).toContain("“move it to approved”");
    expect(example.values).toContainEqual({
      name: "sum of amount",
      value: expect.stringMatching(/^\d+(\.\d+)? EUR$/),
    });
    expect(example.values).toContainEqual({ name: "file", value: "inbox/a.csv" });
    expect(example.spans).toEqual([
      [20, 45],
      [46, 55],
    ]);
    expect(example.other).toBe(hashed(story()).hash);
    const [problem] = verified.kind === "refused" ? verified.problems : [];
    expect(problem?.facts).toMatchObject({ otherName: "invoices", otherSpans: [[0, 19]] });
  });

  test("K3 a guard that keeps the rules apart is proved, and the proof fails when it is dropped", async () => {
    const moves = (when: string) =>
      program(
        inSequence(
          load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
          branch("s3", [
            [
              when,
              inSequence(
                call("m", "filesystem.move_file", {
                  source: cel("event.data.path"),
                  destination: cel('"approved/" + event.data.name'),
                }),
              ),
            ],
          ]),
        ),
      );
    const apart = await verify(deletes("s2.sum > 5000"), {
      deployed: [{ program: moves("s2.sum <= 5000") }],
    });
    expect(refusals(apart)).toEqual([]);
    const dropped = await verify(deletes("true"), { deployed: [{ program: moves("s2.sum <= 5000") }] });
    expect(refusals(dropped)).toEqual([[10, "verifier.contradiction"]]);
  });

  test("F1 other folders, other patterns and other times of day never meet", async () => {
    const other = deletes("s2.sum > 5000");
    for (const trigger of [
      arrives("outbox"),
      arrives("inbox", "*.txt"),
      arrives("inbox", "*.csv", 'event.data.name.endsWith(".bak.csv")'),
    ]) {
      const filter = trigger.kind === "source" && trigger.filter !== null;
      const mine = filter
        ? program(story().body, { trigger: arrives("inbox", "*.csv", 'event.data.name == "a.csv"') })
        : story();
      expect(refusals(await verify(mine, { deployed: [{ program: { ...other, trigger } }] }))).toEqual([]);
    }
    const window = (fromMinute: number, toMinute: number) => [
      { fromMinute, toMinute, days: [], zone: "Europe/Paris" },
    ];
    const night = { ...other, windows: window(22 * 60, 6 * 60) };
    expect(
      refusals(
        await verify({ ...story(), windows: window(8 * 60, 18 * 60) }, { deployed: [{ program: night }] }),
      ),
    ).toEqual([]);
    const early = await verify(
      { ...story(), windows: window(5 * 60 + 58, 18 * 60) },
      { deployed: [{ program: night }] },
    );
    expect(refusals(early)).toEqual([[10, "verifier.contradiction"]]);
    expect(exampleOf(early, 10).values).toContainEqual({
      name: "time of day (Europe/Paris)",
      value: expect.stringMatching(/^05:5[89]$/),
    });
  });

  test("F2 appending commutes, replacing does not", async () => {
    const writes = (capability: string, content: string) =>
      program(inSequence(call("w", capability, { path: fixed("./notes.txt"), content: cel(content) })));
    const pair = (capability: string, a: string, b: string) =>
      verify(writes(capability, a), {
        deployed: [{ program: { ...writes(capability, b), runTimeoutMs: 2 } }],
      });
    expect(refusals(await pair("filesystem.append_file", '"a"', '"b"'))).toEqual([]);
    expect(refusals(await pair("filesystem.write_file", '"a"', '"b"'))).toEqual([
      [10, "verifier.contradiction"],
    ]);
    const same = await pair("filesystem.write_file", "event.data.name", "event.data.name");
    expect(refusals(same)).toEqual([]);
    expect(same.certificate.checks).toContainEqual(
      expect.objectContaining({ check: 12, verdict: "information" }),
    );
  });

  test("F3 one query answers for a hundred deployed rules, and finds the one that clashes", async () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      program: {
        ...deletes(`s2.sum > ${20_000 + i}`),
        runTimeoutMs: 1000 + i,
        trigger: arrives("inbox", `${i}-*.csv`),
      },
      source: source(`rule ${i}`),
    }));
    const verified = await verify(
      program(story().body, { trigger: arrives("inbox", "*-final.csv", 'event.data.name.startsWith("7-")') }),
      { deployed: many },
    );
    expect(refusals(verified)).toEqual([[10, "verifier.contradiction"]]);
    expect(exampleOf(verified, 10).summary).toContain("rule 7");
  });
});

describe("places and workspaces", () => {
  const remove = (id: string, path: string) => call(id, "filesystem.delete_file", { path: cel(path) });

  test("F1 rules of two workspaces name different places", async () => {
    const mine = program(inSequence(remove("d", "event.data.path")));
    const elsewhere = { ...mine.workspace, name: "other" };
    const moves = story();
    expect(refusals(await verify(mine, { deployed: [{ program: moves }] }))).toEqual([
      [10, "verifier.contradiction"],
    ]);
    expect(
      refusals(await verify(mine, { deployed: [{ program: { ...moves, workspace: elsewhere } }] })),
    ).toEqual([]);
  });

  test("F3 folders that are removed clash with what is written in them, and only with that", async () => {
    const removes = (path: string) =>
      program(inSequence(call("r", "filesystem.remove_directory", { path: fixed(path) })));
    expect(refusals(await verify(removes("approved"), { deployed: [{ program: story() }] }))).toEqual([
      [10, "verifier.contradiction"],
    ]);
    expect(refusals(await verify(removes("archive"), { deployed: [{ program: story() }] }))).toEqual([]);
    const makes = program(inSequence(call("c", "filesystem.create_directory", { path: fixed("approved") })));
    expect(refusals(await verify(makes, { deployed: [{ program: story() }] }))).toEqual([]);
    const never = {
      ...removes("reports"),
      invariants: [{ kind: "never-writes", paths: ["reports/kept.csv"] } as const],
    };
    expect(refusals(await verify(never))).toEqual([[21, "verifier.invariant"]]);
  });
});

describe("check 28", () => {
  test("C1 a basename keeps the write inside; any text does not, and the way out is shown", async () => {
    const writes = (destination: string) =>
      program(
        inSequence(
          load("r", "filesystem.read_file", { path: cel("event.data.path") }),
          call("w", "filesystem.write_file", { path: cel(destination), content: fixed("x") }),
        ),
      );
    expect(refusals(await verify(writes('"approved/" + event.data.name')))).toEqual([]);
    expect(refusals(await verify(writes('"approved/" + lower(event.data.name) + ".bak"')))).toEqual([]);
    const escapes = await verify(writes('"approved/" + r.content'), {
      source: source("copy", "write it to approved", { w: [0, 8] }),
    });
    expect(refusals(escapes)).toContainEqual([28, "verifier.path-escape"]);
    const example = exampleOf(escapes, 28);
    expect(example.values).toContainEqual({ name: "path", value: "approved/../.." });
    expect(example.summary).toContain("`../..`");
    expect(example.spans).toEqual([[0, 8]]);
    expect(refusals(await verify(writes("r.content"))).map(([check]) => check)).toContain(28);
    expect(
      refusals(await verify(writes('"../elsewhere/" + event.data.name'))).map(([check]) => check),
    ).toContain(28);
    expect(refusals(await verify(writes('"/etc/" + event.data.name'))).map(([check]) => check)).toContain(28);
    expect(refusals(await verify(writes('"%2e%2e/" + event.data.name'))).map(([check]) => check)).toContain(
      28,
    );
  });

  test("C2 a rule that names the workspace file to write it is refused", async () => {
    const writes = (path: string) =>
      program(inSequence(call("w", "filesystem.write_file", { path: fixed(path), content: fixed("x") })));
    for (const name of ["workspace.json", "./Workspace.json"]) {
      const refused = await verify(writes(name));
      expect(refusals(refused)).toContainEqual([28, "verifier.path-escape"]);
      expect(exampleOf(refused, 28).values).toContainEqual({ name: "path", value: name });
    }
    expect(refusals(await verify(writes("approved/workspace.json")))).toEqual([]);
  });

  test("C2 a folder that is only read takes no writes", async () => {
    const one = story();
    const guarded = {
      ...one,
      workspace: {
        ...one.workspace,
        folders: [{ name: "approved", path: "approved", access: "read" as const }],
      },
    };
    expect(refusals(await verify(guarded)).map(([check]) => check)).toContain(28);
  });
});

describe("check 21", () => {
  test("C4 a path that is left out is the schema's default, or else the whole workspace", async () => {
    const runs = (
      params: Parameters<typeof call>[2],
      kind: "never-writes" | "writes-within",
      ...paths: readonly string[]
    ) =>
      program(inSequence(call("c", "os_exec.run_command", { command: fixed("ls"), ...params })), {
        invariants: [{ kind, paths }],
      });
    const within = { working_directory: fixed("work") };
    const checks = async (one: Program) => refusals(await verify(one)).filter(([check]) => check === 21);
    const broken = [[21, "verifier.invariant"]];
    expect(await checks(runs({}, "never-writes", "kept"))).toEqual(broken);
    expect(await checks(runs({}, "writes-within", "work", "logs"))).toEqual(broken);
    expect(await checks(runs(within, "never-writes", "kept"))).toEqual([]);
    expect(await checks(runs(within, "writes-within", "work", "logs"))).toEqual([]);
    // Its `log` is a path that nothing declares and that has a default.
    expect(await checks(runs(within, "writes-within", "work"))).toEqual(broken);
    expect(await checks(runs({ ...within, log: fixed("work/log") }, "writes-within", "work"))).toEqual([]);
  });

  test("21 never-writes, writes-within, never-calls and never-sends hold or are refused with the sentence that they break", async () => {
    const withInvariant = (invariant: Program["invariants"][number]) => ({
      ...story(),
      invariants: [invariant],
    });
    expect(refusals(await verify(withInvariant({ kind: "never-writes", paths: ["secret"] })))).toEqual([]);
    expect(
      refusals(
        await verify(withInvariant({ kind: "writes-within", paths: ["inbox", "approved", "journal.csv"] })),
      ),
    ).toEqual([]);
    expect(refusals(await verify(withInvariant({ kind: "never-sends" })))).toEqual([]);
    const journal = await verify(withInvariant({ kind: "never-writes", paths: ["journal.csv"] }), {
      source: source("s", "never write to journal.csv", { "invariant.0": [0, 26] }),
    });
    expect(refusals(journal)).toEqual([[21, "verifier.invariant"]]);
    expect(exampleOf(journal, 21).spans).toEqual([[0, 26]]);
    expect(
      refusals(await verify(withInvariant({ kind: "writes-within", paths: ["inbox", "journal.csv"] }))).map(
        ([check]) => check,
      ),
    ).toContain(21);
    expect(
      refusals(
        await verify(
          withInvariant({ kind: "never-calls", capability: "filesystem.move_file@2.0.0" as never }),
        ),
      ).map(([check]) => check),
    ).toContain(21);
    const post = program(
      inSequence(
        call("p", "api_http.http_post", { url: fixed("http://127.0.0.1:3999/x"), body_json: fixed({}) }),
      ),
      {
        invariants: [{ kind: "never-sends" }],
      },
    );
    expect(refusals(await verify(post))).toEqual([[21, "verifier.invariant"]]);
  });
});

describe("aggregates", () => {
  const sums = (when: string) =>
    program(
      inSequence(
        load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
        branch("b", [
          [
            when,
            inSequence(call("w", "filesystem.write_file", { path: fixed("a.txt"), content: fixed("x") })),
          ],
        ]),
      ),
    );

  test("E4 sum, minimum, maximum and count of one column belong together", async () => {
    for (const possible of [
      "s2.max < 5 && s2.sum > 10",
      "s2.min < -5 && s2.sum > 5",
      "s2.count == 0",
      "s2.max < 0 && s2.sum < s2.min",
    ])
      expect(refusals(await verify(sums(possible))), possible).toEqual([]);
    for (const impossible of [
      "s2.max < s2.min",
      "s2.max < -3 && s2.sum > -2",
      "s2.min > 3 && s2.sum < 3",
      "s2.count == 1 && s2.sum > s2.max",
      "s2.count == 0 && s2.max > 5",
    ])
      expect(refusals(await verify(sums(impossible))), impossible).toEqual([
        [3, "verifier.vacuous-condition"],
      ]);
  });
});

describe("check 2", () => {
  test("2 a number that can leave the parameter's range is refused with the value; a guard proves it", async () => {
    const post = (attempts: string, when: string) =>
      program(
        inSequence(
          load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
          branch("b", [
            [
              when,
              inSequence(
                approve(
                  "ok",
                  inSequence(
                    call("p", "api_http.http_post", {
                      url: fixed("http://127.0.0.1:3999/x"),
                      body_json: fixed({}),
                      attempts: cel(attempts),
                    }),
                  ),
                ),
              ),
            ],
          ]),
        ),
      );
    expect(refusals(await verify(post("s2.count + 1", "s2.count < 4")))).toEqual([]);
    const dropped = await verify(post("s2.count + 1", "s2.count < 5 || s2.sum > 3"));
    expect(refusals(dropped)).toEqual([[2, "verifier.parameter-range"]]);
    expect(
      Number(exampleOf(dropped, 2).values.find((value) => value.name === "attempts")?.value),
    ).toBeGreaterThan(5);
  });

  test("2 M7 a safe value is a value too: what holds of the computed one is not taken to hold of it", async () => {
    const post = (safe: number, attempts: string) =>
      program(
        inSequence(
          step(
            "n",
            { op: "eval", expression: "3", output: slotName("n") },
            { failure: { kind: "safe_value", value: safe } },
          ),
          approve(
            "ok",
            inSequence(
              call("p", "api_http.http_post", {
                url: fixed("http://127.0.0.1:3999/x"),
                body_json: fixed({}),
                attempts: cel(attempts),
              }),
            ),
          ),
        ),
        { slots: [{ name: slotName("n"), schema: { type: "number" }, labels: [] }] },
      );
    expect(refusals(await verify(post(50, "n")))).toEqual([[2, "verifier.not-proved"]]);
    expect(refusals(await verify(post(50, "n > 5 ? 5 : (n < 1 ? 1 : n)")))).toEqual([]);
  });
});

describe("checks 29 and 30", () => {
  const url = fixed("http://127.0.0.1:3999/x");
  const post = (url_: ReturnType<typeof fixed>, body: ReturnType<typeof fixed>) =>
    call("p", "api_http.http_post", { url: url_, body_json: body });

  test("29 a secret is not sent, and does not decide what is sent", async () => {
    const secret = load("k", "vault.read_secret", { name: fixed("token") });
    const sent = await verify(program(inSequence(secret, post(url, cel("{'a': k.value}")))));
    expect(refusals(sent)).toEqual([[29, "verifier.secret-leak"]]);
    expect(exampleOf(sent, 29).path).toEqual(["k", "p"]);
    const implicit = program(
      inSequence(
        secret,
        branch(
          "b",
          [["k.isSet", inSequence(step("e", { op: "eval", expression: "1", output: "n" as never }))]],
          inSequence(step("e2", { op: "eval", expression: "2", output: "n" as never })),
        ),
        post(url, cel("{'a': n}")),
      ),
    );
    expect(refusals(await verify(implicit))).toEqual([[29, "verifier.secret-leak"]]);
    expect(refusals(await verify(program(inSequence(secret, post(url, fixed({ a: "b" }))))))).toEqual([]);
  });

  test("30 data from outside does not choose where something is sent, nor whether; an approval makes it possible", async () => {
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    const chosen = await verify(
      program(inSequence(read, post(cel('"http://127.0.0.1:3999/" + r.content'), fixed({})))),
    );
    expect(refusals(chosen)).toEqual([[30, "verifier.untrusted-steering"]]);
    expect(exampleOf(chosen, 30).path).toEqual(["r", "p"]);
    const decided = program(
      inSequence(read, branch("b", [["r.sizeBytes > 3", inSequence(post(url, fixed({})))]])),
    );
    expect(refusals(await verify(decided))).toEqual([[30, "verifier.untrusted-steering"]]);
    const approved = program(
      inSequence(
        read,
        branch("b", [["r.sizeBytes > 3", inSequence(approve("ok", inSequence(post(url, fixed({})))))]]),
      ),
    );
    expect(refusals(await verify(approved))).toEqual([]);
    const content = await verify(program(inSequence(read, post(url, cel("{'content': r.content}")))));
    expect(refusals(content)).toEqual([[30, "verifier.untrusted-steering"]]);
    const reversible = program(
      inSequence(
        read,
        branch("b", [
          [
            "r.sizeBytes > 3",
            inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") })),
          ],
        ]),
      ),
    );
    expect(refusals(await verify(reversible))).toEqual([]);
  });
});

describe("checks 32 and 36", () => {
  const bank = fixed("https://bank.example/pay");
  const post = (id: string, url: ReturnType<typeof fixed>) =>
    call(id, "api_http.http_post", { url, body_json: fixed({}) });

  test("32 a risky host needs an approval on every path", async () => {
    expect(refusals(await verify(program(inSequence(post("p", bank)))))).toEqual([
      [32, "verifier.approval-missing"],
    ]);
    expect(refusals(await verify(program(inSequence(approve("ok", inSequence(post("p", bank)))))))).toEqual(
      [],
    );
    const gate = inSequence(
      approve("ok", { steps: [] }, inSequence(step("no", { op: "fail", code: "x", message: fixed("no") }))),
      post("p", bank),
    );
    expect(refusals(await verify(program(gate)))).toEqual([[32, "verifier.approval-missing"]]);
    const around = inSequence(
      approve(
        "ok",
        { steps: [] },
        inSequence(step("e", { op: "eval", expression: "1", output: "n" as never })),
      ),
      post("p", bank),
    );
    expect(refusals(await verify(program(around)))).toEqual([[32, "verifier.approval-missing"]]);
    expect(
      refusals(await verify(program(inSequence(post("p", fixed("http://elsewhere.example/x")))))),
    ).toEqual([[32, "verifier.approval-missing"]]);
    expect(
      refusals(await verify(program(inSequence(post("p", fixed("http://127.0.0.1:3999@evil.example/x")))))),
    ).toEqual([[32, "verifier.approval-missing"]]);
  });

  test("32 an approval of one step is none for the next, nor for what takes the step back", async () => {
    const write = call("w", "filesystem.write_file", { path: fixed("a.txt"), content: fixed("x") });
    const before = inSequence(approve("ok", inSequence(write)), post("p", bank));
    expect(refusals(await verify(program(before)))).toEqual([[32, "verifier.approval-missing"]]);
    const inside = inSequence(approve("ok", inSequence(write, post("p", bank))));
    expect(refusals(await verify(program(inside)))).toEqual([]);
    const { op } = post("p", bank);
    if (op.op !== "call" || write.op.op !== "call") throw new Error("both are calls");
    const compensation = { capability: op.capability, params: op.params };
    const takenBack = inSequence(approve("ok", inSequence({ ...write, op: { ...write.op, compensation } })));
    const capabilities = [op.capability, write.op.capability];
    const refused = await verify(program(takenBack, { capabilities }));
    expect(refusals(refused)).toEqual([[32, "verifier.approval-missing"]]);
    expect(exampleOf(refused, 32).summary).toContain("What takes back step `w`");
  });

  test("30 data from outside does not decide whether something is sent by making a step fail", async () => {
    const send = call("p", "api_http.http_post", {
      url: fixed("http://127.0.0.1:3999/x"),
      body_json: fixed({}),
    });
    const failing = (first: ReturnType<typeof load>) =>
      program({ steps: [{ ...first, failure: { kind: "degrade", block: inSequence(send) } }] });
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    const steered = await verify(failing(read));
    expect(refusals(steered)).toEqual([[30, "verifier.untrusted-steering"]]);
    expect(exampleOf(steered, 30).summary).toContain("whether step `r` fails");
    const write = call("w", "filesystem.write_file", { path: fixed("a.txt"), content: fixed("x") });
    expect(refusals(await verify(failing(write)))).toEqual([]);
  });

  test("29 30 what may end the run before a send, or have it skipped, decides it as well", async () => {
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    const send = call("p", "api_http.http_post", {
      url: fixed("http://127.0.0.1:3999/x"),
      body_json: fixed({}),
    });
    const checked = step("c", { op: "check", slot: "r" as never, schema: { type: "object" } });
    const stops = branch("b", [
      ["r.sizeBytes > 3", { steps: [step("f", { op: "finish", result: fixed(null) })] }],
    ]);
    const mayFail = branch("b", [
      [
        "r.sizeBytes > 3",
        inSequence(call("w", "filesystem.write_file", { path: fixed("a.txt"), content: fixed("x") })),
      ],
    ]);
    const between = step("e", { op: "eval", expression: "1", output: "one" as never });
    const inside = step("g", { op: "parallel", branches: [inSequence(checked)], join: { kind: "all" } });
    for (const before of [checked, stops, mayFail, inside]) {
      const steered = await verify(program(inSequence(read, before, between, send)));
      expect(refusals(steered)).toEqual([[30, "verifier.untrusted-steering"]]);
      expect(exampleOf(steered, 30).summary).toContain("decides whether it runs");
    }
    const group = step("g", { op: "parallel", branches: [inSequence(send)], join: { kind: "all" } });
    expect(refusals(await verify(program(inSequence(read, checked, group))))).toEqual([
      [30, "verifier.untrusted-steering"],
    ]);
    const approved = program(inSequence(read, checked, approve("ok", inSequence(send))));
    expect(refusals(await verify(approved))).toEqual([]);
    // What does not wait for the check is not decided by it.
    expect(refusals(await verify(program(inSequence(read, send, checked))))).toEqual([]);
  });

  test("30 an approval of something else does not let data from outside steer", async () => {
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    const write = call("w", "filesystem.write_file", { path: fixed("a.txt"), content: fixed("x") });
    const send = call("p", "api_http.http_post", {
      url: fixed("http://127.0.0.1:3999/x"),
      body_json: cel("{'content': r.content}"),
    });
    const steered = [[30, "verifier.untrusted-steering"]];
    expect(refusals(await verify(program(inSequence(read, approve("ok", inSequence(write)), send))))).toEqual(
      steered,
    );
    expect(refusals(await verify(program(inSequence(read, approve("ok", inSequence(write, send))))))).toEqual(
      [],
    );
  });

  test("36 an effect that may happen twice is not retried", async () => {
    const failure = {
      kind: "retry",
      attemptsMax: 3,
      delayMs: 1,
      factor: 2,
      delayMsMax: 10,
      on: ["x.y"],
      then: { kind: "safe_halt" },
    } as const;
    const retried = (url: ReturnType<typeof fixed>) => program({ steps: [{ ...post("p", url), failure }] });
    expect(refusals(await verify(retried(fixed("http://127.0.0.1:3999/x"))))).toEqual([]);
    expect(refusals(await verify(retried(bank))).map(([check]) => check)).toContain(36);
    const fetched = call("f", "api_http.download_file", {
      url: fixed("http://127.0.0.1:4001/x"),
      destination: fixed("a.txt"),
    });
    expect(refusals(await verify(program({ steps: [{ ...fetched, failure }] })))).toEqual([]);
  });
});

describe("checks 16 and 33", () => {
  const moves = (from: string, to: string, filter: string | null = null) =>
    program(
      inSequence(
        call("m", "filesystem.move_file", {
          source: cel("event.data.path"),
          destination: cel(`${JSON.stringify(to)} + event.data.name`),
        }),
      ),
      { trigger: arrives(from, "*.csv", filter) },
    );

  test("16 a rule that starts another is told; one that comes back to itself is refused", async () => {
    const edge = await verify(moves("inbox", "approved/"), {
      deployed: [{ program: moves("approved", "archive/"), source: source("archive") }],
    });
    expect(refusals(edge)).toEqual([]);
    expect(edge.certificate.checks).toContainEqual(
      expect.objectContaining({ check: 16, verdict: "information" }),
    );
    const loop = await verify(moves("inbox", "approved/"), {
      deployed: [{ program: moves("approved", "inbox/"), source: source("back") }],
    });
    expect(refusals(loop)).toEqual([[16, "verifier.trigger-loop"]]);
    expect(exampleOf(loop, 16).summary).toContain("back");
    expect(refusals(await verify(moves("inbox", "inbox/done-")))).toEqual([[16, "verifier.trigger-loop"]]);
  });

  test("F2 F3 G1 unpacking writes whatever the archive holds: it clashes with writes there and starts rules that watch there", async () => {
    const unpack = (destination: string) =>
      call("u", "filesystem.extract_archive", {
        source: cel("event.data.path"),
        destination: fixed(destination),
      });
    const unpacks = (destination: string) =>
      program(inSequence(unpack(destination)), { trigger: arrives("inbox", "*.csv") });
    expect(refusals(await verify(unpacks("inbox/")))).toEqual([[16, "verifier.trigger-loop"]]);
    expect(refusals(await verify(unpacks("archive")))).toEqual([]);
    const back = { program: moves("archive", "inbox/"), source: source("back") };
    expect(refusals(await verify(unpacks("archive"), { deployed: [back] }))).toEqual([
      [16, "verifier.trigger-loop"],
    ]);
    expect(refusals(await verify(unpacks("approved"), { deployed: [{ program: story() }] }))).toEqual([
      [10, "verifier.contradiction"],
    ]);
    const write = call("w", "filesystem.write_file", { path: fixed("archive/a.txt"), content: fixed("x") });
    const atOnce = await verify(program({ steps: [unpack("archive"), write] }));
    expect(refusals(atOnce)).toEqual([[33, "verifier.parallel-conflict"]]);
    expect(exampleOf(atOnce, 33).summary).toMatch(/in different ways( \(.+\))?$/);
  });

  test("16 a filter that leaves out what the rule writes ends the loop", async () => {
    expect(
      refusals(await verify(moves("inbox", "inbox/done-", '!event.data.name.startsWith("done-")'))),
    ).toEqual([]);
  });

  test("33 steps that may run at once do not fight over one file; one after the other they may", async () => {
    const write = (id: string, content: string) =>
      call(id, "filesystem.write_file", { path: fixed("a.txt"), content: fixed(content) });
    const both = (op: "parallel" | "sequence") =>
      op === "sequence"
        ? program(inSequence(write("a", "1"), write("b", "2")))
        : program(
            inSequence(
              step("p", {
                op: "parallel",
                branches: [inSequence(write("a", "1")), inSequence(write("b", "2"))],
                join: { kind: "all" },
              }),
            ),
          );
    expect(refusals(await verify(both("sequence")))).toEqual([]);
    expect(refusals(await verify(both("parallel")))).toEqual([[33, "verifier.parallel-conflict"]]);
    expect(refusals(await verify(program({ steps: [write("a", "1"), write("b", "2")] })))).toEqual([
      [33, "verifier.parallel-conflict"],
    ]);
  });
});

describe("check 35", () => {
  const message = async (one: Program) => {
    const verified = await verify(one);
    return verified.kind === "proved"
      ? ""
      : `${verified.problems[0]?.code}: ${verified.problems[0]?.message}`;
  };
  const remove = (id: string, path: string) => call(id, "filesystem.delete_file", { path: cel(path) });

  test("K37 a cycle, a missing step, an unbound or unknown slot, a wrong type and an unreadable expression are refused", async () => {
    const a = { ...remove("a", "event.data.path"), after: ["b" as never] };
    const b = { ...remove("b", "event.data.path"), after: ["a" as never] };
    expect(await message(program({ steps: [a, b] }))).toMatch(/malformed-program.*cycle/);
    expect(await message(program({ steps: [a] }))).toMatch(/no step beside it/);
    expect(await message(program(inSequence(remove("a", "nothing.path"))))).toMatch(/which no step writes/);
    const late = {
      steps: [remove("a", "r.content"), load("r", "filesystem.read_file", { path: cel("event.data.path") })],
    };
    expect(await message(program(late))).toMatch(/not written on every way/);
    expect(
      await message(program(inSequence(call("a", "filesystem.delete_file", { path: fixed(3) })))),
    ).toMatch(/takes a text, not a number/);
    expect(await message(program(inSequence(remove("a", "event.data.path +"))))).toMatch(/Cannot read/);
    expect(await message(program(inSequence(call("a", "filesystem.delete_file", {}))))).toMatch(
      /needs the parameter `path`/,
    );
    expect(await message({ ...story(), capabilities: [] })).toMatch(/not listed/);
  });

  test("35 what a step wrote that may be passed over is bound only for those who do not tolerate its failure", async () => {
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    const use = (tolerates: readonly string[]) => ({
      ...call("w", "filesystem.write_file", { path: fixed("a.txt"), content: cel("string(r.sizeBytes)") }),
      tolerates: tolerates as never,
    });
    const asked = (failure: "continue" | "safe_halt") => ({
      ...approve("a", inSequence(read)),
      failure: { kind: failure },
    });
    expect(await message(program(inSequence(asked("continue"), use([]))))).toBe("");
    expect(await message(program(inSequence(asked("safe_halt"), use(["a"]))))).toBe("");
    expect(await message(program(inSequence(asked("continue"), use(["a"]))))).toMatch(
      /not written on every way/,
    );
    const inner = branch("b", [["true", inSequence({ ...read, failure: { kind: "skip" } })]]);
    expect(await message(program(inSequence(inner, use([]))))).toMatch(/not written on every way/);
  });

  test("35 a slot that both arms write is bound after them; one arm that ends the run counts for neither", async () => {
    const set = (id: string, value: string) =>
      inSequence(step(id, { op: "eval", expression: value, output: "n" as never }));
    const use = call("w", "filesystem.write_file", { path: fixed("a.txt"), content: cel("string(n)") });
    const read = load("r", "filesystem.read_file", { path: cel("event.data.path") });
    expect(
      await message(
        program(inSequence(read, branch("b", [["r.sizeBytes > 1", set("x", "1")]], set("y", "2")), use)),
      ),
    ).toBe("");
    expect(
      await message(program(inSequence(read, branch("b", [["r.sizeBytes > 1", set("x", "1")]]), use))),
    ).toMatch(/not written on every way/);
    const stop = inSequence(step("y", { op: "finish", result: fixed(null) }));
    expect(
      await message(program(inSequence(read, branch("b", [["r.sizeBytes > 1", set("x", "1")]], stop), use))),
    ).toBe("");
  });
});

describe("check 1", () => {
  test("1 amounts of two currencies are not compared", async () => {
    const one = program(
      inSequence(
        load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
        load("s8", "csv.aggregate", { path: cel("event.data.path"), column: fixed("dollars") }),
        branch("b", [
          [
            "s2.sum > s8.sum",
            inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") })),
          ],
        ]),
      ),
    );
    const [column] = one.workspace.columns;
    const columns = column === undefined ? [] : [column, { ...column, column: "dollars", dimension: "USD" }];
    expect(refusals(await verify({ ...one, workspace: { ...one.workspace, columns } }))).toEqual([
      [1, "verifier.dimension"],
    ]);
    expect(refusals(await verify(one))).toEqual([]);
  });
});

describe("checks 39 and 40", () => {
  test("39 ranges that exclude each other prove nothing", async () => {
    const one = program(
      inSequence(
        load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") }),
        branch("b", [
          ["s2.max > 3", inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") }))],
        ]),
      ),
    );
    const [column] = one.workspace.columns;
    const columns = column === undefined ? [] : [{ ...column, min: "10", max: "5" }];
    const verified = await verify({ ...one, workspace: { ...one.workspace, columns } });
    expect(refusals(verified)).toContainEqual([39, "verifier.inconsistent-assumptions"]);
    expect(exampleOf(verified, 39).summary).toContain("at least 10");
  });

  test("K4 a question that the solver cannot decide in time is unknown and refuses", async () => {
    const counted = (id: string, column: string) =>
      load(id, "csv.aggregate", { path: cel("event.data.path"), column: fixed(column) });
    const cube = (id: string) => `${id}.count * ${id}.count * ${id}.count`;
    // Whole numbers whose cubes add up to a cube: there are none, and no solver finds that out.
    const when = `a.count > 0 && b.count > 0 && ${cube("a")} + ${cube("b")} == ${cube("c")}`;
    const one = program(
      inSequence(
        counted("a", "x"),
        counted("b", "y"),
        counted("c", "z"),
        branch("h", [
          [when, inSequence(call("d", "filesystem.delete_file", { path: cel("event.data.path") }))],
        ]),
      ),
    );
    const hasty = createVerifier({ solver, limits: { queryTimeoutMs: 100 } });
    const verified = await hasty.verify({ program: hashed(one), catalog, deployed: [] });
    expect(verified.kind).toBe("refused");
    expect(verified.certificate.verdict).toBe("refused");
    expect(refusals(verified)).toEqual([
      [3, "verifier.not-proved"],
      [40, "verifier.not-proved"],
    ]);
  });

  test("K5 without a solver nothing is proved", async () => {
    const verified = await createVerifier({ solver: null }).verify({
      program: hashed(story()),
      catalog,
      deployed: [],
    });
    expect(verified.kind).toBe("refused");
    expect(verified.certificate.solver).toBeNull();
    expect(refusals(verified)).toContainEqual([40, "verifier.not-proved"]);
  });

  test("K16 any edit is another program: the certificate names one hash", async () => {
    const [one, other] = [await verify(story()), await verify(story({ limit: "10001" }))];
    expect(one.certificate.program).not.toBe(other.certificate.program);
  });
});

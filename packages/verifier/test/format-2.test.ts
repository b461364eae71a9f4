import { afterAll, expect, test } from "vitest";
import { capabilityId, slotName } from "@writ/core/ids";
import type { Block, Loop, Operand, Program, Step } from "@writ/core/program";
import { createVerifier, type Verified } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import { branch, call, catalog, cel, fixed, hashed, inSequence, load, program, step } from "./catalog.ts";

const solver = createZ3Solver();
const verifier = createVerifier({ solver });
afterAll(() => solver.close());

const verify = (one: Program): Promise<Verified> =>
  verifier.verify({ program: hashed({ ...one, format: 2 }), catalog, deployed: [] });
const refusals = (verified: Verified) =>
  verified.kind === "proved"
    ? []
    : verified.problems.map(({ code, facts }) => [facts["check"], code] as const);

const url = fixed("http://127.0.0.1:3999/x");
const post = (body: Operand, to: Operand = url) =>
  call("p", "api_http.http_post", { url: to, body_json: body });
const compute = (id: string, expression: string): Step =>
  step(id, { op: "eval", expression, output: slotName(id) });
const loop = (id: string, body: Block, fields: Partial<Loop> = {}): Step =>
  step(id, {
    op: "loop",
    body,
    over: null,
    index: null,
    carry: [],
    until: null,
    iterationsMax: 10,
    mustConverge: false,
    ...fields,
  });
const carry = (slot: string, initial: Operand, next: string): Loop["carry"][number] => ({
  slot: slotName(slot),
  initial,
  next,
});
const secret = load("k", "vault.read_secret", { name: fixed("token") });

test("M4 a loop that computes and sends what is fixed is proved", async () => {
  const body = inSequence(compute("x", "n + 1"), post(fixed({ a: "b" })));
  const counted = loop("l", body, {
    carry: [carry("n", fixed(0), "x")],
    until: "n > 5",
    index: slotName("i"),
  });
  const verified = await verify(program(inSequence(counted, compute("end", "n + 1"))));
  expect(refusals(verified)).toEqual([]);
});

test("M4 what a loop writes is there only where it is filled", async () => {
  const inside = loop("l", inSequence(compute("x", "1")), { index: slotName("i") });
  for (const text of ["x + 1", "i + 1"]) {
    const verified = await verify(program(inSequence(inside, compute("end", text))));
    expect(refusals(verified)).toEqual([[35, "verifier.malformed-program"]]);
  }
});

test("M4 an effect inside a loop is looked at like any other", async () => {
  const write = call("w", "filesystem.write_file", { path: fixed("../out.txt"), content: fixed("x") });
  const verified = await verify(program(inSequence(loop("l", inSequence(write)))));
  expect(refusals(verified).length).toBeGreaterThan(0);
});

test("M4 arms of a branch inside a loop do not exclude each other, and no condition inside bounds a value", async () => {
  const posts = (attempts: string) =>
    call("p", "api_http.http_post", { url, body_json: fixed({}), attempts: cel(attempts) });
  const guarded = inSequence(branch("b", [["n < 4", inSequence(posts("n + 1"))]]));
  const verified = await verify(
    program(inSequence(loop("l", guarded, { carry: [carry("n", fixed(0), "n * 2")] })), {
      slots: [{ name: slotName("n"), schema: { type: "integer", minimum: 0, maximum: 3 }, labels: [] }],
    }),
  );
  expect(refusals(verified)).toEqual([[2, "verifier.parameter-range"]]);
});

test("M4 L1 labels go round: a secret carried from one iteration leaves in none", async () => {
  const sends = (body: Block, fields: Partial<Loop>) =>
    verify(program(inSequence(secret, loop("l", body, fields))));
  const carried = await sends(inSequence(post(cel("{'a': held}"))), {
    carry: [carry("held", fixed(""), "string(k.value)")],
  });
  expect(refusals(carried)).toEqual([[29, "verifier.secret-leak"]]);
  const twice = await sends(inSequence(post(cel("{'a': second}"))), {
    carry: [carry("first", fixed(""), "string(k.value)"), carry("second", fixed(""), "first")],
  });
  expect(refusals(twice)).toEqual([[29, "verifier.secret-leak"]]);
});

test("M4 L2 a secret that decides how often a loop runs decides what is sent in it, and what comes after it", async () => {
  const until = { until: "k.isSet" };
  const inside = await verify(program(inSequence(secret, loop("l", inSequence(post(fixed({}))), until))));
  expect(refusals(inside)).toEqual([[29, "verifier.secret-leak"]]);
  const counted = loop("l", { steps: [] }, { ...until, carry: [carry("n", fixed(0), "n + 1")] });
  const after = await verify(program(inSequence(secret, counted, post(cel("{'a': n}")))));
  expect(refusals(after)).toEqual([[29, "verifier.secret-leak"]]);
});

test("M4 L2 what is decided later in a loop decides about what comes earlier in it, the next time", async () => {
  const stop = branch("b", [
    ["k.isSet", inSequence(step("f", { op: "fail", code: "demo.stop", message: fixed("x") }))],
  ]);
  const verified = await verify(program(inSequence(secret, loop("l", inSequence(post(fixed({})), stop)))));
  expect(refusals(verified)).toEqual([[29, "verifier.secret-leak"]]);
});

test("M5 an event that is waited for may carry anything, and its coming steers nothing", async () => {
  const wait = (output: boolean): Step =>
    step("wait", {
      op: "wait",
      until: { kind: "event", source: null, config: {}, type: "demo.go", filter: null, withinMs: 500 },
      ...(output ? { output: slotName("came") } : {}),
    });
  const fine = await verify(program(inSequence(wait(false), post(fixed({})))));
  expect(refusals(fine)).toEqual([]);
  const sent = await verify(program(inSequence(wait(true), post(cel("{'a': came}")))));
  expect(refusals(sent).map(([check]) => check)).toEqual([29, 30]);
});

test("M5 a call to a capability that the catalog does not have, in whatever opcode, is refused", async () => {
  const recall = step("r", { op: "recall", scope: "workspace", key: fixed("x"), output: slotName("r") });
  const verified = await verify(program(inSequence(recall)));
  expect(refusals(verified)[0]).toEqual([35, "verifier.malformed-program"]);
  expect(capabilityId("memory.recall@1.0.0")).toBe(program(inSequence(recall)).capabilities[0]);
});

const checkOf = (verified: Verified, number: number) =>
  verified.certificate.checks.filter(({ check }) => check === number);

test("K18 a program that asks no model is said to be llm_free in its certificate, and one that does is not", async () => {
  const free = await verify(program(inSequence(compute("x", "1 + 1"))));
  expect(free.kind).toBe("proved");
  expect(checkOf(free, 38)).toMatchObject([{ name: "llm_free", verdict: "information" }]);
  const ask = step("q", {
    op: "ask",
    model: "demo",
    context: "",
    prompt: fixed("x"),
    schema: { type: "string", maxLength: 10 },
    output: slotName("answer"),
    attemptsMax: 1,
  });
  const asking = await verify(program(inSequence(loop("l", inSequence(ask)))));
  expect(checkOf(asking, 38).map(({ name }) => name)).not.toContain("llm_free");
});

test("M5 L2 a secret is not remembered for a whole workspace, so what is recalled there is untrusted and no secret", async () => {
  const memory = (id: string) => ({
    ...definitionOf("filesystem.read_file@1.0.0"),
    id: capabilityId(id),
    params: { type: "object" },
    result: {},
    resources: [],
  });
  const capabilities = ["memory.recall@1.0.0", "memory.remember@1.0.0"].map(memory);
  const known = { ...catalog, capabilities: [...catalog.capabilities, ...capabilities] };
  const check = async (...steps: readonly Step[]) =>
    refusals(
      await verifier.verify({
        program: hashed({ ...program(inSequence(...steps)), format: 2 }),
        catalog: known,
        deployed: [],
      }),
    );
  const key = fixed("x");
  const remember = (scope: "program" | "workspace") =>
    step("m", { op: "remember", scope, key, value: cel("k.value") });
  const recall = (scope: "program" | "workspace") =>
    step("r", { op: "recall", scope, key, output: slotName("r") });
  expect(await check(secret, remember("workspace"))).toEqual([[29, "verifier.secret-leak"]]);
  expect(await check(secret, remember("program"))).toEqual([]);
  const sent = post(cel("{'a': r}"));
  expect((await check(recall("workspace"), sent)).map(([number]) => number)).toEqual([30]);
  expect((await check(recall("program"), sent)).map(([number]) => number)).toEqual([29, 30]);
});

function definitionOf(id: string) {
  const found = catalog.capabilities.find((definition) => definition.id === id);
  if (found === undefined) throw new Error(`the catalog has no ${id}`);
  return found;
}

import { afterAll, expect, test } from "vitest";
import { slotName } from "@writ/core/ids";
import type { FailurePolicy, HashedProgram, Operands, Program, Step } from "@writ/core/program";
import { createVerifier, type Verified } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import { call, catalog, cel, fixed, hashed, inSequence, load, program, step } from "./catalog.ts";

const solver = createZ3Solver();
const verifier = createVerifier({ solver });
afterAll(() => solver.close());

const two = (one: Program): HashedProgram => hashed({ ...one, format: 2 });
const refusals = (verified: Verified) =>
  verified.kind === "proved"
    ? []
    : verified.problems.map(({ code, facts }) => [facts["check"], code] as const);
const runs = (
  target: HashedProgram,
  input: Operands = {},
  failure: FailurePolicy = { kind: "safe_halt" },
): Step => ({
  ...step("r", { op: "run", program: target.hash, input, output: slotName("got") }),
  failure,
});
const verify = (one: Program, ...callable: readonly HashedProgram[]): Promise<Verified> =>
  verifier.verify({ program: two(one), catalog, deployed: [], callable });
const post = (body: string) =>
  call("p", "api_http.http_post", { url: fixed("http://127.0.0.1:3999/x"), body_json: cel(body) });
const compute = (id: string, expression: string): Step =>
  step(id, { op: "eval", expression, output: slotName(id) });

test("M6 V2 a call of a known program is proved, and the certificate names it; of an unknown one it is refused", async () => {
  const inner = two(program(inSequence(compute("x", "1"), post("{'a': x}"))));
  const outer = program(inSequence(compute("x", "2"), runs(inner), compute("y", "x + 1")));
  const verified = await verify(outer, inner);
  expect(refusals(verified)).toEqual([]);
  expect(verified.certificate.against).toEqual([inner.hash]);
  expect(refusals(await verify(outer))).toEqual([[35, "verifier.malformed-program"]]);
});

test("M6 a secret given to a called program does not leave by it", async () => {
  const inner = two(program(inSequence(post("{'a': event.data.given}"))));
  const secret = load("k", "vault.read_secret", { name: fixed("token") });
  const given = program(inSequence(secret, runs(inner, { given: cel("string(k.value)") })));
  expect(refusals(await verify(given, inner))).toContainEqual([29, "verifier.secret-leak"]);
  const other = program(inSequence(secret, runs(inner, { given: fixed("open") })));
  expect(refusals(await verify(other, inner)).filter(([check]) => check === 29)).toEqual([
    // That it was read decides nothing; only what is given counts.
  ]);
});

test("M6 what a called program does is looked at in its caller, however deep", async () => {
  const write = call("w", "filesystem.write_file", { path: cel("event.data.path"), content: fixed("x") });
  const inner = two(program(inSequence(write)));
  const middle = two(program(inSequence(runs(inner, { path: fixed("../out.txt") }))));
  const outer = program(inSequence(runs(middle)));
  const found = refusals(await verify(outer, inner, middle)).map(([check]) => check);
  expect(found).toContain(28);
});

test("M6 a call is retried only where nothing in it acts", async () => {
  const retried: FailurePolicy = {
    kind: "retry",
    attemptsMax: 2,
    delayMs: 1000,
    factor: 2,
    delayMsMax: 1000,
    on: ["runtime.timeout"],
    then: { kind: "safe_halt" },
  };
  const acts = two(program(inSequence(post("{}"))));
  expect(refusals(await verify(program(inSequence(runs(acts, {}, retried))), acts))).toEqual([
    [36, "verifier.unsafe-retry"],
  ]);
  const computes = two(program(inSequence(compute("x", "1"))));
  expect(refusals(await verify(program(inSequence(runs(computes, {}, retried))), computes))).toEqual([]);
});

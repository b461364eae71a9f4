import { afterAll, expect, test } from "vitest";
import { createZ3Solver } from "@writ/verifier/z3";

const solver = createZ3Solver();
afterAll(() => solver.close());

test("Z1 sat gives a model, unsat a core of names", async () => {
  const sat = await solver.check("(declare-const |a b| Real)\n(assert (! (> |a b| 1.5) :named low))", 2000);
  expect(sat.result).toBe("sat");
  expect(sat).toHaveProperty(["model", "a b"]);
  const unsat = await solver.check(
    "(declare-const x Real)\n(assert (! (> x 80.0) :named above))\n(assert (! (< x 70.0) :named below))\n(assert (! (> x 0.0) :named spare))",
    2000,
  );
  expect(unsat).toEqual({ result: "unsat", core: expect.arrayContaining(["above", "below"]) });
  expect(await solver.version()).toMatch(/^z3 4\.16\.0/);
});

test("Z1 queries asked at once are answered in order, each in its own context", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      solver.check(`(declare-const x Int)\n(assert (and (> x ${i}) (< x ${i + (i % 2) + 1})))`, 2000),
    ),
  );
  expect(answers.map((answer) => answer.result)).toEqual(
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? "unsat" : "sat")),
  );
});

test("Z3 a script that breaks off is unknown, whatever was answered before", async () => {
  const broken = await solver.check('(declare-const x Real)\n(assert (> x 1.0))\n(assert (= x "', 2000);
  expect(broken.result).toBe("unknown");
  const late = await solver.check("(declare-const x Real)\n(assert (> x 1.0))\n(get-value (y))", 2000);
  expect(late.result).toBe("unknown");
});

test("Z1 long scripts arrive whole", async () => {
  const name = (i: number) => `|a rather long name of a constant, with (brackets) and "quotes", number ${i}|`;
  const script = Array.from(
    { length: 400 },
    (_, i) => `(declare-const ${name(i)} Real)\n(assert (> ${name(i)} ${i}.0))`,
  );
  const answer = await solver.check(script.join("\n"), 5000);
  expect(answer).toHaveProperty(["model", name(399).slice(1, -1)]);
  expect(answer.result === "sat" && Object.keys(answer.model).length).toBe(400);
});

test("Z3 a script the solver cannot read is unknown with its complaint", async () => {
  const answer = await solver.check("(assert (> undeclared 1))", 2000);
  expect(answer).toMatchObject({ result: "unknown", reason: expect.stringContaining("undeclared") });
});

test("Z2 a query past its time is unknown, and the next one is answered", async () => {
  // Sums of cubes: no solver decides this one.
  const hard =
    "(declare-const x Int)\n(declare-const y Int)\n(declare-const z Int)\n(assert (= (+ (* x x x) (* y y y) (* z z z)) 114))\n(assert (> (* x x) 1000000))";
  expect((await solver.check(hard, 50)).result).toBe("unknown");
  expect((await solver.check("(declare-const x Int)\n(assert (> x 1))", 2000)).result).toBe("sat");
});

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { evaluate, parseExpression } from "@writ/core/expression";
import { decimal } from "@writ/core/value";
import { createVerifier } from "@writ/verifier/verify";
import { createZ3Solver } from "@writ/verifier/z3";
import { placeOfPath } from "../src/automata/path.ts";
import { cronsMayMeet } from "../src/model/cron.ts";
import { branch, call, catalog, cel, fixed, hashed, inSequence, load, program } from "./catalog.ts";

const solver = createZ3Solver();
const verifier = createVerifier({ solver });
afterAll(() => solver.close());

const comparison = fc
  .tuple(fc.constantFrom("<", "<=", ">", ">=", "==", "!="), fc.integer({ min: -3, max: 3 }))
  .map(([operator, limit]) => `s2.sum ${operator} ${limit < 0 ? `-${-limit}` : limit}`);
const guard: fc.Arbitrary<string> = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 2 },
    comparison,
    fc.tuple(tie("tree"), fc.constantFrom("&&", "||"), tie("tree")).map((parts) => `(${parts.join(" ")})`),
    tie("tree").map((one) => `!(${one})`),
    fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => `(s2.sum > 0 ? ${a} : ${b})`),
  ),
})).tree;

// Limits are whole numbers, so between them every sum behaves like the half.
const sums = Array.from({ length: 17 }, (_, i) => decimal((i - 8) / 2));
const isTrue = (text: string, sum: (typeof sums)[number]) =>
  evaluate(parseExpression(text), { s2: { sum } }) === true;

const summed = load("s2", "csv.aggregate", { path: cel("event.data.path"), column: fixed("amount") });
const guarded = (when: string, capability: string) =>
  program(
    inSequence(
      summed,
      branch("b", [
        [
          when,
          inSequence(
            capability === "move"
              ? call("m", "filesystem.move_file", {
                  source: cel("event.data.path"),
                  destination: cel('"approved/" + event.data.name'),
                })
              : call("d", "filesystem.delete_file", { path: cel("event.data.path") }),
          ),
        ],
      ]),
    ),
  );

test("K3 F3 two guarded rules are refused exactly when some sum starts both", async () => {
  await fc.assert(
    fc.asyncProperty(guard, guard, async (mine, theirs) => {
      const both = sums.some((sum) => isTrue(mine, sum) && isTrue(theirs, sum));
      const verified = await verifier.verify({
        program: hashed(guarded(mine, "move")),
        catalog,
        deployed: [hashed(guarded(theirs, "delete"))],
      });
      const verdicts = verified.certificate.checks
        .filter((check) => check.check === 10)
        .map((check) => check.verdict);
      expect([mine, theirs, verdicts]).toEqual([mine, theirs, [both ? "violated" : "holds"]]);
    }),
    { numRuns: 15 },
  );
});

test("K1 N1 a condition is called impossible exactly when no sum makes it true", async () => {
  await fc.assert(
    fc.asyncProperty(guard, async (when) => {
      const verified = await verifier.verify({
        program: hashed(guarded(when, "move")),
        catalog,
        deployed: [],
      });
      const verdicts = verified.certificate.checks
        .filter((check) => check.check === 3)
        .map((check) => check.verdict);
      expect([when, verdicts[0]]).toEqual([
        when,
        sums.some((sum) => isTrue(when, sum)) ? "holds" : "violated",
      ]);
    }),
    { numRuns: 15 },
  );
});

const piece = fc.constantFrom(
  '"approved/"',
  '"."',
  '"../"',
  '"a"',
  '"/"',
  "event.data.name",
  "lower(event.data.name)",
  'replace(event.data.name, ".csv", "")',
  "basename(event.data.path)",
  'replace(event.data.name, "a", "b")',
);
const names = ["a", "a.csv", "...csv", "..csv.", "..csv", "A.csv", ".csv", "%2e%2e.csv", "a..csv"];

test("C1 a write that is proved to stay inside does so for every name", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 4 }), async (pieces) => {
      const text = pieces.join(" + ");
      const one = program(
        inSequence(call("w", "filesystem.write_file", { path: cel(text), content: fixed("x") })),
      );
      const verified = await verifier.verify({ program: hashed(one), catalog, deployed: [] });
      const isProved = verified.certificate.checks
        .filter((check) => check.check === 28)
        .every((check) => check.verdict === "holds");
      for (const name of names) {
        const written = evaluate(parseExpression(text), { event: { data: { name, path: `inbox/${name}` } } });
        const place = placeOfPath(typeof written === "string" ? written : "", ["."]);
        if (isProved) expect([text, name, place]).toEqual([text, name, "inside"]);
      }
    }),
    { numRuns: 40 },
  );
});

test("F1 two cron patterns are apart only when they name no common minute", () => {
  const field = (max: number) =>
    fc.oneof(
      fc.constant("*"),
      fc.integer({ min: 0, max }).map(String),
      fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 5, max })).map(([a, b]) => `${a}-${b}`),
      fc.integer({ min: 1, max: 20 }).map((n) => `*/${n}`),
    );
  const pattern = fc.tuple(
    field(59),
    field(23),
    fc.oneof(fc.constant("*"), fc.constantFrom("1-5", "0", "SUN", "6,7", "MON-FRI")),
  );
  const values = (text: string, max: number) =>
    Array.from({ length: max + 1 }, (_, i) => i).filter((i) => {
      const [, from, to, step] = /^(?:(\d+)(?:-(\d+))?|\*)(?:\/(\d+))?$/.exec(text) ?? [];
      if (from === undefined) return i % Number(step ?? 1) === 0;
      return i >= Number(from) && i <= Number(to ?? from);
    });
  fc.assert(
    fc.property(pattern, pattern, (a, b) => {
      const days: Readonly<Record<string, readonly number[]>> = {
        "*": [0, 1, 2, 3, 4, 5, 6],
        "1-5": [1, 2, 3, 4, 5],
        "MON-FRI": [1, 2, 3, 4, 5],
        "0": [0],
        SUN: [0],
        "6,7": [6, 0],
      };
      const meets = (x: readonly number[], y: readonly number[]) => x.some((value) => y.includes(value));
      const together =
        meets(values(a[0], 59), values(b[0], 59)) &&
        meets(values(a[1], 23), values(b[1], 23)) &&
        meets(days[a[2]] ?? [], days[b[2]] ?? []);
      expect(cronsMayMeet(`${a[0]} ${a[1]} * * ${a[2]}`, `0 ${b[0]} ${b[1]} * * ${b[2]}`)).toBe(together);
    }),
  );
  expect(cronsMayMeet("0 8 1 * 1", "0 8 * * 2")).toBe(true);
  expect(cronsMayMeet("@daily", "0 8 * * 2")).toBe(true);
});

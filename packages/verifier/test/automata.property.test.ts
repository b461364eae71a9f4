import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accepts, machineOf, shortestWord } from "../src/automata/machine.ts";
import {
  basenameLanguage,
  placeMachine,
  placeOfPath,
  plainPathLanguage,
  segmentsOf,
} from "../src/automata/path.ts";
import { patternLanguage } from "../src/automata/pattern.ts";
import {
  allBut,
  anything,
  chars,
  concat,
  empty,
  star,
  union,
  word,
  type Regular,
} from "../src/automata/regular.ts";

/** A language and the regular expression that says the same. */
const pair: fc.Arbitrary<{ language: Regular; regex: string }> = fc.letrec<{
  tree: { language: Regular; regex: string };
}>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom("a", "b", "c").map((letter) => ({ language: word(letter), regex: letter })),
    fc.constant({ language: empty, regex: "" }),
    fc.constant({ language: chars(allBut("a")), regex: "[^a]" }),
    fc.tuple(tie("tree"), tie("tree")).map(([x, y]) => ({
      language: concat(x.language, y.language),
      regex: `(?:${x.regex})(?:${y.regex})`,
    })),
    fc.tuple(tie("tree"), tie("tree")).map(([x, y]) => ({
      language: union(x.language, y.language),
      regex: `(?:${x.regex}|${y.regex})`,
    })),
    tie("tree").map((x) => ({ language: star(x.language), regex: `(?:${x.regex})*` })),
  ),
})).tree;
const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "é"), maxLength: 8 });

describe("automata", () => {
  test("A5 a machine accepts what the regular expression accepts", () => {
    fc.assert(
      fc.property(pair, text, ({ language, regex }, sample) => {
        expect(accepts(machineOf(language), sample)).toBe(new RegExp(`^(?:${regex})$`, "su").test(sample));
      }),
      { numRuns: 300 },
    );
  });

  test("A6 an inclusion that fails has a witness that really escapes, and one that holds has none", () => {
    fc.assert(
      fc.property(pair, pair, fc.array(text, { maxLength: 10 }), (x, y, samples) => {
        const found = shortestWord({ in: [machineOf(x.language)], out: [machineOf(y.language)] });
        const inX = (sample: string) => new RegExp(`^(?:${x.regex})$`, "su").test(sample);
        const inY = (sample: string) => new RegExp(`^(?:${y.regex})$`, "su").test(sample);
        if (found.kind === "word") {
          expect(inX(found.word) && !inY(found.word)).toBe(true);
          for (const sample of samples) {
            if (inX(sample) && !inY(sample))
              expect([...sample].length).toBeGreaterThanOrEqual([...found.word].length);
          }
        } else {
          expect(found.kind).toBe("none");
          for (const sample of samples) expect(inX(sample) && !inY(sample)).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("A4 a pattern matches names as the file source does", () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ["*.csv", "a.csv", true],
      ["*.csv", "A.CSV", true],
      ["csv", "a.csv", true],
      ["csv", "csv", false],
      ["*.csv", "a.csv.bak", false],
      ["*.csv", "b/a.csv", false],
      ["?-*.{csv}", "a-.{csv}", true],
      ["[a].csv", "a.csv", false],
    ];
    for (const [pattern, name, expected] of cases) {
      expect([pattern, name, accepts(machineOf(patternLanguage(pattern)), name)]).toEqual([
        pattern,
        name,
        expected,
      ]);
    }
  });

  test("A2 the place of a path agrees with walking its segments", () => {
    const segment = fc.constantFrom("a", "b", "in", "inner", ".", "..", "", "...", ".a", "%2e", "é");
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 8 }), fc.boolean(), (segments, decodes) => {
        const path = segments.join("/");
        const machine = placeMachine({ places: ["in/a"], wanted: ["inside"], decodes });
        expect(accepts(machine, path)).toBe(
          reference(decodes ? path.replaceAll("%2e", ".") : path) === "inside",
        );
        expect(placeOfPath(path, ["in/a"], decodes)).toBe(
          reference(decodes ? path.replaceAll("%2e", ".") : path),
        );
      }),
      { numRuns: 500 },
    );
  });

  test("A2 escapes are read through %2e and %2f, and a plain percent is a letter", () => {
    expect(placeOfPath("a/%2e%2E/%2e%2e/x", ["."], true)).toBe("outside");
    expect(placeOfPath("..%2fx", ["."], true)).toBe("outside");
    expect(placeOfPath("..%2fx", ["."], false)).toBe("inside");
    expect(placeOfPath("a/100%.csv", ["a"], true)).toBe("inside");
    expect(placeOfPath("/etc/passwd", ["."], false)).toBe("outside");
  });

  test("A3 deeper than the bound is lost, never inside", () => {
    const deep = `${"d/".repeat(20)}${"../".repeat(20)}in/a`;
    expect(placeOfPath(deep, ["in/a"])).toBe("lost");
    expect(placeOfPath(`${"d/".repeat(20)}x`, ["."])).toBe("inside");
  });

  test("A6 the shortest way out of a folder that takes any text is found", () => {
    const written = machineOf(concat(word("approved/"), anything));
    const found = shortestWord({
      in: [
        written,
        placeMachine({ places: ["approved"], wanted: ["outside", "elsewhere", "above"], decodes: false }),
      ],
    });
    expect(found).toEqual({ kind: "word", word: "approved/.." });
    const contained = shortestWord({
      in: [
        machineOf(concat(word("approved/"), basenameLanguage(false))),
        placeMachine({
          places: ["approved"],
          wanted: ["outside", "elsewhere", "above", "lost"],
          decodes: false,
        }),
      ],
    });
    expect(contained).toEqual({ kind: "none" });
  });

  test("A7 names are single segments; plain paths stay below", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", ".", "/", "%", "2", "e", "f"), maxLength: 7 }),
        (name) => {
          const isName = accepts(machineOf(basenameLanguage(false)), name);
          expect(isName).toBe(name !== "" && name !== "." && name !== ".." && !name.includes("/"));
          if (accepts(machineOf(plainPathLanguage(true)), name))
            expect(placeOfPath(name, ["."], true)).toBe("inside");
          if (accepts(machineOf(basenameLanguage(true)), name)) expect(isName).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

function reference(path: string): string {
  if (path.startsWith("/")) return "outside";
  const stack: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") {
      if (stack.pop() === undefined) return "outside";
    } else stack.push(segment);
  }
  if (stack[0] === "in" && stack[1] === "a") return "inside";
  if (stack.length === 0 || (stack.length === 1 && stack[0] === "in")) return "above";
  expect(segmentsOf(path)).toEqual(stack);
  return "elsewhere";
}

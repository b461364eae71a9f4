import { expect, test } from "vitest";
import { ruleCompiler } from "@writ/compiler/rule";
import { renderTree } from "@writ/compiler/render";
import { compileGrammar, parseTokens, type Production } from "../src/language/chart.ts";
import { closest, editDistance } from "../src/language/closest.ts";
import { english } from "../src/language/english.ts";
import { french } from "../src/language/french.ts";
import { buildGrammar } from "../src/language/grammar.ts";
import { convert } from "../src/language/quantity.ts";
import { tokenize, type Token } from "../src/language/token.ts";
import { catalog } from "./catalog.ts";

function tokens(text: string): readonly Token[] {
  const result = tokenize(text, "en");
  if (result.kind !== "tokens") throw new Error(result.kind);
  return result.tokens;
}

const words = (text: string, language: "en" | "fr"): readonly string[] => {
  const result = tokenize(text, language);
  return result.kind === "tokens" ? result.tokens.map((token) => token.text) : [result.kind];
};

/** Sums without brackets: as many readings as there are ways to bracket them. */
const sums: readonly Production[] = [
  {
    left: "Sum",
    right: [
      { name: "Sum", field: "a" },
      { name: "=and", field: null },
      { name: "Sum", field: "b" },
    ],
    build: (fields) => [fields["a"], fields["b"]],
  },
  { left: "Sum", right: [{ name: "=x", field: null }], build: () => "x" },
];

test("G2 a chart keeps every reading", () => {
  const grammar = compileGrammar(sums);
  expect(parseTokens(grammar, "Sum", tokens("x and x and x"))).toEqual({
    kind: "values",
    isWhole: true,
    values: expect.arrayContaining([
      [["x", "x"], "x"],
      ["x", ["x", "x"]],
    ]),
  });
});

test("G2 readings that were left out are told", () => {
  const parsed = parseTokens(compileGrammar(sums), "Sum", tokens("x and x and x and x and x"));
  expect(parsed.kind === "values" && parsed.isWhole).toBe(false);
});

test("G3 a sentence with too much work in it is refused, not read in part", () => {
  const long = Array.from({ length: 60 }, () => "x").join(" and ");
  expect(parseTokens(compileGrammar(sums), "Sum", tokens(long)).kind).toBe("too-complex");
  const budget = { items: 20, combinations: 1000 };
  expect(parseTokens(compileGrammar(sums), "Sum", tokens(long), budget).kind).toBe("too-complex");
});

test("R31 where reading stops, what could stand there is known", () => {
  expect(parseTokens(compileGrammar(sums), "Sum", tokens("x and y"))).toEqual({
    kind: "stopped",
    at: 2,
    expected: ["=x"],
  });
});

test.each([english, french])(
  "G1 the grammar of $language has no empty production and no circle of single symbols",
  (surface) => {
    const grammar = buildGrammar(surface, catalog);
    const next = new Map<number, number[]>();
    for (const { left, right } of grammar.productions) {
      expect(right.length).toBeGreaterThan(0);
      expect(right.length).toBeLessThan(64);
      const [only] = right;
      if (right.length === 1 && only !== undefined) next.set(left, [...(next.get(left) ?? []), only]);
    }
    const reached = (from: number): ReadonlySet<number> => {
      const seen = new Set<number>();
      const pending = [...(next.get(from) ?? [])];
      for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
        if (seen.has(at)) continue;
        seen.add(at);
        pending.push(...(next.get(at) ?? []));
      }
      return seen;
    };
    for (const symbol of next.keys()) expect(reached(symbol).has(symbol), grammar.names[symbol]).toBe(false);
  },
);

test.each([english, french])("R5 every symbol that the $language templates name can be said", (surface) => {
  const grammar = buildGrammar(surface, catalog);
  const unsaid = grammar.names.filter(
    (name, symbol) => !name.startsWith("=") && !name.startsWith("#") && grammar.of[symbol]?.length === 0,
  );
  expect(unsaid).toEqual([]);
});

test("R13 contractions and elisions are taken apart", () => {
  expect(words("lis-le du fichier à l’heure, s'il n'écrit qu'aux rapports", "fr")).toEqual(
    "lis -le de le fichier à le heure , si il ne écrit que à les rapports".split(" "),
  );
  expect(words("the file's name, journal.csv. http://a.b:1/c?d=1,2.", "en")).toEqual(
    "the file 's name , journal.csv . http://a.b:1/c?d=1,2 .".split(" "),
  );
  expect(words("«\u00a0a b\u00a0» “c d” 8h30 22:05 80 °C 10 000,50 €", "fr")).toEqual([
    "a b",
    "c d",
    "510",
    "1325",
    "80",
    "°C",
    "10000.5",
    "€",
  ]);
});

test("R13 units of one dimension convert exactly or not at all", () => {
  expect(convert("2.5", "t", "kg")).toBe("2500");
  expect(convert("1", "g", "kg")).toBe("0.001");
  expect(convert("80", "Cel", "[degF]")).toBeNull();
  expect(convert("1", "EUR", "USD")).toBeNull();
  expect(convert("1", "kg", "m")).toBeNull();
});

test("R31 the closest words are those with the fewest edits", () => {
  expect(editDistance("vavle", "valve")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
  expect(closest("aprouved", ["approved", "approuvés", "archive"])).toEqual(["approuvés", "approved"]);
  expect(closest("xyz", ["approved"])).toEqual([]);
});

test("R6 a tree is flat data, and a node of the wrong kind is a bug", () => {
  const outcome = ruleCompiler(catalog).compile({ text: "On request, read journal.csv." });
  if (outcome.kind !== "compiled") throw new Error(outcome.kind);
  expect(JSON.parse(JSON.stringify(outcome.tree))).toEqual(outcome.tree);
  const broken = { ...outcome.tree, steps: [outcome.tree.trigger] };
  expect(() => renderTree(broken, "en", catalog)).toThrow(/R6/u);
});

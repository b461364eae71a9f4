import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ruleCompiler, type RuleOutcome } from "@writ/compiler/rule";
import { checkProgram } from "@writ/core/program-check";
import { capabilities, catalog } from "./catalog.ts";

const compiler = ruleCompiler(catalog);
const folder = new URL("../../../examples/rules/", import.meta.url);
const examples = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8"));
const words = [...new Set(examples.flatMap((text) => text.split(/(?=[\s.,;«»"])|(?<=[\s«»"])/u)))];

/** Every outcome stays within its contract; anything thrown fails the property. */
function holds(text: string, outcome: RuleOutcome): void {
  const isInside = ([start, end]: readonly [number, number]): boolean =>
    0 <= start && start <= end && end <= text.length;
  switch (outcome.kind) {
    case "compiled":
      expect(checkProgram(outcome.program, capabilities)).toEqual([]);
      expect(Object.values(outcome.source.spans).every(isInside)).toBe(true);
      return;
    case "ambiguous":
      expect(outcome.readings.length).toBeGreaterThan(1);
      expect(outcome.readings.flatMap((reading) => reading.differsAt).every(isInside)).toBe(true);
      expect(outcome.readings.some((reading) => reading.differsAt.length > 0)).toBe(true);
      return;
    case "rejected":
      expect(outcome.problems.length).toBeGreaterThan(0);
      expect(outcome.problems.every((problem) => isInside(problem.span))).toBe(true);
  }
}

const check = (text: string): void => holds(text, compiler.compile({ text }));

test("R34 any text has an outcome", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), check), { numRuns: 120 });
});

test("R34 any soup of the rules' own words has an outcome", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }), (some) => check(some.join(""))),
    { numRuns: 120 },
  );
});

test("R34 an example with words lost, doubled or swapped has an outcome", () => {
  const edit = fc.tuple(fc.constantFrom("drop", "double", "swap"), fc.nat(), fc.nat());
  fc.assert(
    fc.property(
      fc.constantFrom(...examples),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      (example, edits) => {
        const parts = example.split(/(?<=\s)/u);
        for (const [kind, a, b] of edits) {
          const [i, j] = [a % parts.length, b % parts.length];
          if (kind === "drop") parts.splice(i, 1);
          else if (kind === "double") parts.splice(i, 0, parts[i] ?? "");
          else [parts[i], parts[j]] = [parts[j] ?? "", parts[i] ?? ""];
          if (parts.length === 0) parts.push("");
        }
        check(parts.join(""));
      },
    ),
    { numRuns: 120 },
  );
});

test("R35 hostile texts of the greatest length are refused", () => {
  const long = 64 * 1024;
  const units = ["a ", "l'", "../", "1 000 ", "«", '"', "(", "1,", ". ", "é-", "if the time is ", "and or "];
  for (const unit of units) {
    const outcome = compiler.compile({ text: unit.repeat(Math.floor(long / unit.length)) });
    expect(outcome.kind).toBe("rejected");
  }
});

test("R35 conditions that can be read in very many ways are a question, never one program", () => {
  const atom = 'the sum of "amount" is above 5 EUR';
  for (const count of [3, 6, 12, 28]) {
    const condition = Array.from({ length: count }, () => atom).reduce(
      (left, right, index) => `${left} ${index % 2 === 0 ? "or" : "and"} ${right}`,
    );
    const outcome = compiler.compile({
      text: `When a CSV file arrives in the inbox, if ${condition}, read it.`,
    });
    expect(outcome.kind).not.toBe("compiled");
  }
});

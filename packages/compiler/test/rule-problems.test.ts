import { expect, test } from "vitest";
import { ruleCompiler, ruleFaults, type RuleProblem } from "@writ/compiler/rule";
import { catalog } from "./catalog.ts";

const compiler = ruleCompiler(catalog);

function problem(text: string): RuleProblem & { readonly words: string } {
  const outcome = compiler.compile({ text });
  if (outcome.kind !== "rejected") throw new Error(`${text}\n${JSON.stringify(outcome, null, 1)}`);
  const [first] = outcome.problems;
  if (first === undefined) throw new Error("rejected without a problem");
  return { ...first, words: text.slice(...first.span) };
}

const start = "When a CSV file arrives in the inbox, ";

test("R30 every problem has the remedy of its code", () => {
  const { code, remedy } = problem("");
  expect(code).toBe("rule.empty");
  expect(remedy).toBe(ruleFaults[code].remedy);
});

test.each([
  [`${start}mvoe it to approved.`, "rule.unknown-verb", "mvoe", "move"],
  [`${start}move it to aproved.`, "rule.unknown-place", "aproved", "approved"],
  [
    `${start}ask the acountant for approval and then read it.`,
    "rule.unknown-role",
    "acountant",
    "accountant",
  ],
  [`${start}if the sum of "amount" is above 5 EURO5, read it.`, "rule.unknown-unit", "EURO5", "euro"],
  [
    `${start}if the sum of "amonut" is above 5 EUR, read it.`,
    "rule.unknown-column",
    'the sum of "amonut"',
    "amount",
  ],
  [
    "Quand un fichier CSV arrive dans la boîte de réception, déplase-le vers approuvés.",
    "rule.unknown-verb",
    "déplase",
    "déplace",
  ],
  [
    "Quand un fichier CSV arrive dans la boîte de réception, déplace-le vers approuvees.",
    "rule.unknown-place",
    "approuvees",
    "approuvés",
  ],
  [`${start}if the sum of "amount" si above 5 EUR, read it.`, "rule.syntax", "si", "is"],
])("K8 %s names the words and the closest known ones", (text, code, words, suggestion) => {
  const found = problem(text);
  expect(found.code).toBe(code);
  expect(found.words).toBe(words);
  expect(found.suggestions).toContain(suggestion);
});

test("R31 what was expected comes from the catalog", () => {
  expect(problem(`${start}frobnicate it.`).expected).toEqual(
    expect.arrayContaining(["move", "copy", "delete", "append", "ask", "if", "wait"]),
  );
  expect(problem(`${start}move it to nowhere.`).expected).toEqual(
    expect.arrayContaining(["approved", "archive", "inbox", "rejected", "reports", "journal"]),
  );
  expect(problem("Quand un fichier arrive dans nulle, lis-le.").expected).toContain("boîte de réception");
});

test.each([
  ["", "rule.empty"],
  [" \n\t ", "rule.empty"],
  ["x".repeat(64 * 1024 + 1), "rule.too-long"],
  [`${start}read\u0000 it.`, "rule.control-character"],
  [`${start}read\u202e it.`, "rule.control-character"],
  [`${start}read\u200b it.`, "rule.control-character"],
  [`${start}read ¤ it.`, "rule.character"],
  [`${start}append "x to journal.csv.`, "rule.quote-open"],
  [start, "rule.incomplete"],
  [`${start}move it to`, "rule.incomplete"],
  ["Read journal.csv.", "rule.no-trigger"],
  ["Never write outside the workspace.", "rule.no-trigger"],
  [`${start}read it. Every hour, read journal.csv.`, "rule.two-triggers"],
  [`${start}read it. Otherwise, delete it.`, "rule.otherwise-alone"],
  ["Every 10 minutes, read it.", "rule.no-antecedent"],
  [`${start}append a line with the sum to journal.csv.`, "rule.no-antecedent"],
  [`${start}if the sum of "amount" is above 10 000, read it.`, "rule.unit-missing"],
  [`${start}if the sum of "amount" is between 1 and 2 EUR, read it.`, "rule.unit-missing"],
  [`${start}if the sum of "amount" is above 10 000 USD, read it.`, "rule.dimension"],
  [`${start}if the sum of "amount" is above 10 kg, read it.`, "rule.dimension"],
  [`${start}if the count of "amount" is above 10 EUR, read it.`, "rule.dimension"],
  [`${start}if the sum of "amount" is above "high", read it.`, "rule.type"],
  [`${start}if its name is above "a", read it.`, "rule.type"],
  [`${start}if the sum of "amount" contains "a", read it.`, "rule.type"],
  [`${start}move it to archive/2026.`, "rule.path-kind"],
  [`${start}write "x" to inbox/.`, "rule.path-kind"],
  [`${start}delete it. Read it.`, "rule.file-gone"],
  [
    `${start}ask the owner for approval and then move it to approved; if refused, move it to rejected. Read it.`,
    "rule.file-elsewhere",
  ],
  [`${start}read it, copy it to archive, copy it to reports and move it to approved.`, "rule.dependent-list"],
  [
    `${start}read it and move it to archive, then copy the file to reports and delete it.`,
    "rule.dependent-list",
  ],
  [`${start}read it. Priority high. Priority low.`, "rule.conflicting-limits"],
  [`${start}for each row, read it.`, "rule.unsupported"],
  [`${start}wait until the time is noon.`, "rule.unsupported"],
  [`${start}read it until Friday.`, "rule.unsupported"],
  [`${start}read it unless the count of "amount" is 0.`, "rule.unsupported"],
  [`${start}if the time is between 08:00 and 18:00, read it.`, "rule.unsupported"],
  [`${start}read it. At most 3 times per hour.`, "rule.unsupported"],
  [`${start}if the sum of "amount" is at most banana, read it.`, "rule.syntax"],
  [`${start}if the sum of "amount" is above ${"9".repeat(61)} EUR, read it.`, "rule.number"],
  ["Every 10 milliseconds, read journal.csv.", "rule.value"],
  [`${start}send its name to "nowhere${"x".repeat(9000)}".`, "rule.value"],
  [`${start}ask the owner for approval within 60 days and then read it.`, "rule.value"],
  [`${start}wait 999999999999 weeks.`, "rule.value"],
  [`${start}${"if 1 is 1, ".repeat(33)}read it.`, "rule.value"],
  [`${start}déplace it to approved.`, "rule.mixed-language"],
  ["Quand un fichier CSV arrive dans la boîte de réception, move it to approved.", "rule.mixed-language"],
])("R30 case %# is refused with its own code", (text, code) => {
  expect(problem(text).code).toBe(code);
});

test("R32 each sentence that cannot be read has its own problem", () => {
  const outcome = compiler.compile({ text: `${start}mvoe it. Frobnicate the journal. Read it.` });
  expect(outcome.kind === "rejected" && outcome.problems.map(({ code }) => code)).toEqual([
    "rule.unknown-verb",
    "rule.unknown-verb",
  ]);
});

test("R32 what is wrong with one term is said once", () => {
  const outcome = compiler.compile({
    text: `${start}ask the owner for approval and then append the sum of "amonut" to journal.csv, then read the journal.`,
  });
  expect(outcome.kind === "rejected" && outcome.problems.map(({ code }) => code)).toEqual([
    "rule.unknown-column",
  ]);
});

test("R33 a column of a folder that declares none is taken as written, but not compared with money", () => {
  const elsewhere = 'When a CSV file arrives in reports, append a line with the sum of "net" to journal.csv.';
  expect(compiler.compile({ text: elsewhere }).kind).toBe("compiled");
  const compared = 'When a CSV file arrives in reports, if the sum of "net" is above 5 EUR, read it.';
  expect(problem(compared).code).toBe("rule.dimension");
});

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compileRule, ruleCompiler, type RuleOutcome } from "@writ/compiler/rule";
import { renderProgramText } from "@writ/compiler/render";
import { encodeProgram } from "@writ/core/program-codec";
import { checkProgram } from "@writ/core/program-check";
import { capabilities, catalog } from "./catalog.ts";

const compiler = ruleCompiler(catalog);
const example = (name: string): string =>
  readFileSync(new URL(`../../../examples/${name}`, import.meta.url), "utf8");

function compiled(text: string): Extract<RuleOutcome, { kind: "compiled" }> {
  const outcome = compiler.compile({ text });
  if (outcome.kind !== "compiled") throw new Error(JSON.stringify(outcome, null, 1));
  return outcome;
}

const english = compiled(example("invoices.en.rule"));
const french = compiled(example("invoices.fr.rule"));

test("R1 the story becomes this program", () => {
  expect(renderProgramText(english.program)).toBe(
    `
trigger    filesystem.file_arrived@1.0.0 folder = "inbox", pattern = "*.csv"
invariant  writes only within \`.\`
uses       csv.aggregate@1.0.0
uses       csv.append_row@1.0.0
uses       csv.read_table@1.0.0
uses       filesystem.move_file@1.0.0
s1   load csv.read_table@1.0.0 path = event.data.path → read_table_1
s2   load csv.aggregate@1.0.0 column = "amount", path = event.data.path → aggregate_2
s3   if aggregate_2.sum > 10000
     s4   ask accountant within 300000 ms
          s5   call filesystem.move_file@1.0.0 destination = "approved/" + event.data.name, source = event.data.path → move_file_5
     otherwise
     s6   call filesystem.move_file@1.0.0 destination = "approved/" + event.data.name, source = event.data.path → move_file_6
s7   call csv.append_row@1.0.0 path = "journal.csv", values = [event.data.name, aggregate_2.sum, event.time] → append_row_7
`.trim(),
  );
});

test("R2 the French twin is the same program, byte for byte", () => {
  expect(encodeProgram(french.program)).toEqual(encodeProgram(english.program));
  expect(french.source.language).toBe("fr");
  expect(french.tree).toEqual(english.tree);
});

test("R11 exactly what the story used of the workspace is frozen", () => {
  expect(english.program.workspace).toEqual({
    name: "invoices",
    zone: "Europe/Paris",
    profile: "local_worker",
    folders: [
      { name: "approved", path: "approved", access: "write" },
      { name: "inbox", path: "inbox", access: "write" },
    ],
    files: [{ name: "journal", path: "journal.csv", access: "write" }],
    roles: ["accountant"],
    columns: [
      {
        folder: "inbox",
        column: "amount",
        type: "decimal",
        dimension: "EUR",
        min: "-1000000000000",
        max: "1000000000000",
      },
    ],
    hosts: [],
  });
});

test("R12 steps, trigger and invariants are tied to their words", () => {
  const said = (key: string): string => {
    const [start, end] = english.source.spans[key] ?? [0, 0];
    return english.source.text.slice(start, end);
  };
  expect(said("trigger")).toBe("When a CSV file arrives in the inbox");
  expect(said("s1")).toBe("read it");
  expect(said("s2")).toBe('the sum of "amount"');
  expect(said("s3")).toBe('the sum of "amount" is above 10 000 EUR');
  expect(said("s6")).toBe("move it to approved");
  expect(said("invariant.0")).toBe("Never write outside the workspace");
});

test("K15 the program of a rule passes the structural checks and carries no approval of its own", () => {
  for (const { program } of [english, french]) expect(checkProgram(program, capabilities)).toEqual([]);
});

test("K6 another rule text is another program", () => {
  const text = example("invoices.en.rule");
  const bytes = (changed: string): string => encodeProgram(compiled(changed).program).join();
  const variants = [
    text,
    text.replace("10 000", "10 001"),
    text.replace("is above", "is at least"),
    text.replace("accountant", "operator"),
    text.replace("otherwise move it to approved", "otherwise move it to rejected"),
    text.replace("CSV file", "PDF file"),
    text.replace(", the sum and the time", " and the time"),
    text.replace(" Never write outside the workspace.", ""),
  ].map(bytes);
  expect(new Set(variants).size).toBe(variants.length);
});

test("K18 a rule has no step that asks a model", () => {
  expect(renderProgramText(english.program)).not.toContain("llm");
  expect(
    english.program.capabilities.every((id) => catalog.capabilities.some((known) => known.id === id)),
  ).toBe(true);
});

test("R2 the language can be told instead of detected, and one call does what a kept compiler does", () => {
  const text = example("invoices.fr.rule");
  const once = compileRule({ text, catalog, language: "fr", name: "invoices" });
  expect(once).toEqual({ ...french, source: { ...french.source, name: "invoices" } });
  expect(compileRule({ text, catalog, language: "en" }).kind).toBe("rejected");
});

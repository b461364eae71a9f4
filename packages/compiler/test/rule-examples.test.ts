import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ruleCompiler, type RuleOutcome } from "@writ/compiler/rule";
import { renderProgramText, renderTree } from "@writ/compiler/render";
import { checkProgram } from "@writ/core/program-check";
import { encodeProgram } from "@writ/core/program-codec";
import { capabilities, catalog } from "./catalog.ts";

const folder = new URL("../../../examples/rules/", import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".en.rule"))
  .map((name) => name.slice(0, -".en.rule".length))
  .sort();
const compiler = ruleCompiler(catalog);

function compiled(text: string): Extract<RuleOutcome, { kind: "compiled" }> {
  const outcome = compiler.compile({ text });
  if (outcome.kind !== "compiled") throw new Error(`${text}\n${JSON.stringify(outcome, null, 1)}`);
  return outcome;
}

const example = (name: string): string => readFileSync(new URL(`${name}.rule`, folder), "utf8");

test("R2 there are at least thirteen example rules, each with its twin", () => {
  expect(names.length).toBeGreaterThanOrEqual(13);
  expect(readdirSync(folder).filter((name) => name.endsWith(".fr.rule")).length).toBe(names.length);
});

test.each(names)("R2 the French twin of %s is the same program", (name) => {
  const english = compiled(example(`${name}.en`));
  const french = compiled(example(`${name}.fr`));
  expect(french.source.language).toBe("fr");
  expect(encodeProgram(french.program)).toEqual(encodeProgram(english.program));
  expect(checkProgram(english.program, capabilities)).toEqual([]);
});

test.each(names)("R1 %s becomes the program of its golden file", async (name) => {
  const { program, tree } = compiled(example(`${name}.en`));
  const shown = [
    renderProgramText(program),
    "",
    renderTree(tree, "en", catalog),
    renderTree(tree, "fr", catalog),
    "",
  ].join("\n");
  await expect(shown).toMatchFileSnapshot(new URL(`golden/rules/${name}.txt`, import.meta.url).pathname);
});

test.each(names)("R20 %s read back from its rendering is the same program", (name) => {
  const { tree, program } = compiled(example(`${name}.fr`));
  for (const language of ["en", "fr"] as const) {
    const again = compiled(renderTree(tree, language, catalog));
    expect(again.tree).toEqual(tree);
    expect(encodeProgram(again.program)).toEqual(encodeProgram(program));
  }
});

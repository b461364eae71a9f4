import fc from "fast-check";
import { expect, test } from "vitest";
import type { CapabilityId } from "@writ/core/ids";
import { capabilityId } from "@writ/core/ids";
import { priorities } from "@writ/core/event";
import { renderTree } from "@writ/compiler/render";
import { english } from "../src/language/english.ts";
import { french } from "../src/language/french.ts";
import { buildGrammar } from "../src/language/grammar.ts";
import { parseRule } from "../src/language/parse.ts";
import {
  plant,
  type Draft,
  type DraftAct,
  type DraftCondition,
  type DraftInvariant,
  type DraftStep,
  type DraftTerm,
  type DraftTrigger,
  type Operator,
} from "../src/language/tree.ts";
import { catalog } from "./catalog.ts";

const grammars = { en: buildGrammar(english, catalog), fr: buildGrammar(french, catalog) };
const id = (name: string): CapabilityId => capabilityId(`${name}@1.0.0`);

const text = fc.oneof(
  fc.constantFrom(
    "amount",
    "montant TTC",
    "a\u00a0b",
    "l'été",
    'say "yes"',
    "«x»",
    "x, then y",
    "10 000",
    "the",
  ),
  fc
    .string({ minLength: 1, maxLength: 8, unit: fc.constantFrom(..."abé 1.,;'’()%") })
    .filter((some) => some.trim() === some && some !== ""),
);
const quantity: fc.Arbitrary<DraftTerm> = fc
  .tuple(
    fc.constantFrom("0", "5", "999", "1000", "10000", "1234567.25", "0.001", "123456789012345678901.5"),
    fc.constantFrom("EUR", "USD", "Cel", "MBy", "kg", "%", null),
  )
  .map(([value, unit]) => ({ k: "quantity", value, unit }));
const noun: fc.Arbitrary<DraftTerm> = fc.oneof(
  fc.tuple(fc.constantFrom("sum", "min", "max", "count"), text).map(([field, column]) => ({
    k: "noun" as const,
    capability: id("csv.aggregate"),
    field,
    args: { column },
  })),
  fc.constant({ k: "noun" as const, capability: id("csv.read_table"), field: "rowCount", args: {} }),
);
const value: fc.Arbitrary<DraftTerm> = fc.oneof(
  noun,
  quantity,
  text.map((some) => ({ k: "text" as const, text: some })),
  fc.constantFrom("name", "path", "sizeBytes").map((field) => ({ k: "field" as const, field })),
  fc.constant({ k: "time" as const }),
);
const list: fc.Arbitrary<DraftTerm> = fc
  .array(value, { minLength: 1, maxLength: 3 })
  .map((of) => ({ k: "list", of }));
const folder: fc.Arbitrary<DraftTerm> = fc
  .constantFrom(...Object.keys(catalog.workspace.folders))
  .map((name) => ({ k: "place", of: "folder", name }));
const path: fc.Arbitrary<DraftTerm> = fc
  .constantFrom(
    "journal.csv",
    "a/b/c.txt",
    "../outside/",
    "two words.csv",
    "plain",
    "/etc/passwd",
    "été/x.csv",
  )
  .map((some) => ({ k: "path", path: some }));
const file: fc.Arbitrary<DraftTerm> = fc.oneof(
  fc.constant({ k: "file" as const }),
  fc.constant({ k: "place" as const, of: "file" as const, name: "journal" }),
  path,
);

const act: fc.Arbitrary<DraftAct> = fc.oneof(
  fc
    .tuple(fc.constantFrom("filesystem.move_file", "filesystem.copy_file"), file, fc.oneof(file, folder))
    .map(([name, source, destination]) => ({
      k: "act" as const,
      capability: id(name),
      args: { destination, source },
    })),
  fc
    .tuple(fc.constantFrom("filesystem.delete_file", "csv.read_table"), file)
    .map(([name, some]) => ({ k: "act" as const, capability: id(name), args: { path: some } })),
  fc
    .tuple(fc.constantFrom("filesystem.write_file", "filesystem.append_file"), value, file)
    .map(([name, content, some]) => ({
      k: "act" as const,
      capability: id(name),
      args: { content, path: some },
    })),
  fc.tuple(list, file).map(([values, some]) => ({
    k: "act" as const,
    capability: id("csv.append_row"),
    args: { path: some, values },
  })),
  fc
    .tuple(list, fc.constantFrom("http://127.0.0.1:3999/a", "https://example.org/?q=1,2."))
    .map(([body, url]) => ({
      k: "act" as const,
      capability: id("api_http.http_post"),
      args: { body_json: body, url: { k: "url" as const, url } },
    })),
);

const days = fc.subarray([0, 1, 2, 3, 4, 5, 6]).map((some) => (some.length === 7 ? [] : some));
const minute = fc.integer({ min: 0, max: 1439 });
const ms = fc.constantFrom(
  1,
  500,
  1000,
  60_000,
  90_000,
  3_600_000,
  5_400_000,
  86_400_000,
  604_800_000,
  1_209_600_000,
);
const operators: Operator[] = [">", ">=", "<", "<=", "=", "!=", "contains", "startsWith", "endsWith"];

const atom: fc.Arbitrary<DraftCondition> = fc.oneof(
  fc.tuple(value, fc.constantFrom(...operators), value).map(([left, operator, right]) => ({
    k: "cmp" as const,
    left,
    operator,
    right,
  })),
  fc.tuple(value, value, value).map(([of, low, high]) => ({ k: "between" as const, of, low, high })),
  fc.tuple(minute, minute, days).map(([from, to, some]) => ({ k: "clock" as const, from, to, days: some })),
);
const condition: fc.Arbitrary<DraftCondition> = fc.letrec<{ condition: DraftCondition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    atom,
    fc
      .tuple(
        fc.constantFrom("and" as const, "or" as const),
        fc.array(tie("condition"), { minLength: 2, maxLength: 3 }),
      )
      .map(([k, of]) => ({ k, of })),
    tie("condition").map((of) => ({ k: "not" as const, of })),
  ),
})).condition;

const step: fc.Arbitrary<DraftStep> = fc.letrec<{ step: DraftStep }>((tie) => {
  const block = fc.array(tie("step"), { minLength: 1, maxLength: 2 });
  return {
    step: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      act,
      ms.map((some) => ({ k: "wait" as const, ms: some })),
      fc.array(act, { minLength: 2, maxLength: 3 }).map((of) => ({ k: "par" as const, of })),
      fc
        .tuple(atom, block, fc.option(block))
        .map(([when, then, otherwise]) => ({ k: "if" as const, when, then, otherwise })),
      fc
        .tuple(
          fc.constantFrom(...Object.keys(catalog.workspace.roles)),
          fc.option(ms),
          block,
          fc.option(block),
        )
        .map(([role, withinMs, body, otherwise]) => ({
          k: "approve" as const,
          role,
          withinMs,
          body,
          otherwise,
        })),
    ),
  };
}).step;

const trigger: fc.Arbitrary<DraftTrigger> = fc.oneof(
  fc
    .tuple(
      fc.oneof(folder, path),
      fc.option(fc.constantFrom("*.csv", "*.pdf", "*.d4t", "in-*.txt")),
      fc.option(condition),
      fc.oneof(fc.constant(0), ms),
    )
    .map(([where, pattern, guard, holdMs]) => ({
      k: "event" as const,
      source: id("filesystem.file_arrived"),
      args: {
        folder: where,
        ...(pattern === null ? {} : { pattern: { k: "text" as const, text: pattern } }),
      },
      where: guard,
      holdMs,
    })),
  ms.map((some) => ({ k: "every" as const, ms: some })),
  fc.tuple(minute, days).map(([at, some]) => ({ k: "at" as const, minute: at, days: some })),
  fc.constant({ k: "request" as const }),
);
const invariant: fc.Arbitrary<DraftInvariant> = fc.oneof(
  fc.option(fc.oneof(folder, path)).map((place) => ({ k: "writesWithin" as const, place })),
  fc.oneof(folder, path).map((place) => ({ k: "neverWrites" as const, place })),
  fc.constantFrom("filesystem.delete_file", "csv.append_row").map((name) => ({
    k: "neverCalls" as const,
    capability: id(name),
  })),
  fc.constant({ k: "neverSends" as const }),
);
const draft: fc.Arbitrary<Draft> = fc.record({
  trigger,
  steps: fc.array(step, { minLength: 1, maxLength: 3 }),
  invariants: fc.array(invariant, { maxLength: 2 }),
  limits: fc.record({
    windows: fc.array(fc.record({ from: minute, to: minute, days }), { maxLength: 2 }),
    throttleMs: fc.oneof(fc.constant(0), ms),
    priority: fc.constantFrom(...priorities),
    failure: fc.record({
      retry: fc.integer({ min: 0, max: 9 }),
      then: fc.constantFrom("stop", "skip", "undo"),
    }),
  }),
});

for (const language of ["en", "fr"] as const) {
  test(`R20 what is rendered in ${language} reads back as the same tree, and as nothing else`, () => {
    fc.assert(
      fc.property(draft, (some) => {
        const { tree } = plant(some);
        const written = renderTree(tree, language, catalog);
        const parsed = parseRule(written, language === "en" ? english : french, grammars[language]);
        if (parsed.kind === "problems" && parsed.problems.every(({ code }) => code === "rule.too-complex"))
          return;
        const readings =
          parsed.kind === "readings" ? parsed.readings.map((reading) => reading.tree) : parsed.problems;
        expect(readings, written).toEqual([tree]);
      }),
      { numRuns: 80 },
    );
  });
}

import type { Approval } from "@writ/core/api";
import { expect, test } from "vitest";
import { exitCodeHelp, exitCodes } from "../src/exit-codes.ts";
import { table } from "../src/render/layout.ts";
import { renderCounterexamples, renderOutcome, renderProblems } from "../src/render/program.ts";
import { shown } from "../src/render/outside.ts";
import { renderApproval } from "../src/render/run.ts";

const hash = "ab".repeat(32);

test("O3 only lines of ours are kept, and no value of a program is one of them", () => {
  const answer = {
    message: "a\nb",
    excerpt: "a\tb\n\u001b^",
    graph: { text: "a\nb", label: "a\nb" },
    params: { excerpt: "a\nb", "k\n": 1, deep: [{ en: "a\nb" }] },
  };
  expect(shown(answer)).toEqual({
    message: "a⏎b",
    excerpt: "a    b\n<U+001B>^",
    graph: { text: "a\nb", label: "a⏎b" },
    params: { excerpt: "a⏎b", "k⏎": 1, deep: [{ en: "a⏎b" }] },
  });
});

test("O10 an approval of a run that has ended asks nobody any more", () => {
  const text = renderApproval(waiting, "cancelled");
  expect(text).not.toContain("must decide");
  expect(text).toContain("nobody decided, the run is cancelled");
  expect(renderApproval({ ...waiting, state: "approved" })).toContain("accountant was asked; approved");
});

test("O5 the help lists every exit code", () => {
  for (const code of Object.values(exitCodes)) expect(exitCodeHelp).toContain(`  ${code}  `);
});

test("O10 a counterexample shows values and underlined words of both texts", () => {
  const text = renderCounterexamples([
    {
      check: 2,
      name: "guards",
      summary: "The sum cannot be above 10 000 EUR and below 5 000 EUR at once.",
      values: [{ name: "sum of amount", value: "10000.01 EUR" }],
      path: ["read", "decide"],
      spans: [[3, 8]],
      excerpt: "If the sum is above\n       ^^^",
      other: { program: hash, name: "twin", excerpt: "never move\n      ^^^^" },
    },
  ]);
  expect(text).toBe(`The sum cannot be above 10 000 EUR and below 5 000 EUR at once.   [check 2, guards]

  If the sum is above
         ^^^

for example
  sum of amount = 10000.01 EUR

by way of read → decide

the other program: twin (abababababab)
  never move
        ^^^^`);
});

test("O10 a problem shows its place, suggestions and remedy; readings are numbered", () => {
  expect(
    renderProblems([
      {
        code: "rule.unknown-word",
        message: "Cannot read `movee`",
        remedy: "Use a known phrase",
        span: [0, 5],
        at: null,
        excerpt: "movee it\n^^^^^",
        suggestions: ["move"],
      },
    ]),
  ).toBe(
    "rule.unknown-word: Cannot read `movee`\n  movee it\n  ^^^^^\n  did you mean: move\n  Use a known phrase",
  );
  const readings = [
    { en: "A", fr: "B", difference: "scope of or" },
    { en: "C", fr: "D", difference: "scope of and" },
  ];
  expect(renderOutcome({ kind: "ambiguous", readings })).toContain(
    "2. C\n     D\n     differs: scope of and",
  );
});

const waiting: Approval = {
  id: "a_00000000",
  run: "r_00000000",
  step: "ask",
  program: hash,
  programName: "invoices",
  workspace: "invoices",
  role: "accountant",
  message: "Sum 11960.74 EUR",
  effects: [
    {
      step: "move",
      capability: "filesystem.move_file@1.0.0",
      params: { source: "inbox/a.csv", destination: "approved/a.csv" },
      later: {},
      targets: [
        { kind: "file", name: "inbox/a.csv", resolved: "/w/inbox/a.csv", does: "remove", state: hash },
      ],
      hash,
    },
  ],
  reason: "program",
  onExpiry: "reject",
  requestedAtMs: 0,
  expiresAtMs: 300_000,
  state: "waiting",
  mayDecide: true,
};

test("O10 an approval shows exactly what will be done", () => {
  const text = renderApproval(waiting);
  for (const part of [
    "accountant must decide (you may)",
    'source = "inbox/a.csv"',
    "/w/inbox/a.csv",
    "5 min",
    hash,
  ]) {
    expect(text).toContain(part);
  }
});

test("O10 columns line up", () => {
  expect(table(["a", "long"], [["wide cell", "x"]])).toBe("a          long\nwide cell  x");
});

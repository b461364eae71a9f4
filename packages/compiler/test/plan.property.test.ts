import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compilePlan } from "@writ/compiler/plan";
import { checkProgram } from "@writ/core/program-check";
import { encodeProgram } from "@writ/core/program-codec";
import { readJson, valueOf } from "../src/plan/json.ts";
import { capabilities, catalog } from "./plan-catalog.ts";

function parsed(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

test("N2 the reader reads what the platform's parser reads, as the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const reading = readJson(text);
      if (reading.kind === "read") expect(valueOf(reading.root)).toEqual(JSON.parse(text));
      // Numbers whose shortest text has more digits than a decimal may hold are the only values refused.
      else expect(reading.problem.code).toBe("plan.number");
    }),
    { numRuns: 500 },
  );
});

const jsonPiece = fc.constantFrom(
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  '"a"',
  "1",
  "-",
  "0",
  ".",
  "e",
  "true",
  "null",
  "\\",
  "\\u00",
  " ",
  "\n",
  "é",
);

test("N2 the reader accepts no text that is no JSON, and refuses JSON only for a reason of its own", () => {
  fc.assert(
    fc.property(
      fc.array(jsonPiece, { maxLength: 12 }).map((pieces) => pieces.join("")),
      (text) => {
        const reading = readJson(text);
        if (reading.kind === "read") expect(parsed(text)).toEqual({ value: valueOf(reading.root) });
        else if (reading.problem.code === "plan.json") expect(parsed(text)).toBeNull();
      },
    ),
    { numRuns: 3000 },
  );
});

const examples = new URL("../../../examples/plans/", import.meta.url);
const texts = readdirSync(examples)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readFileSync(new URL(name, examples), "utf8"));

test("N1 a damaged plan is compiled or refused, with a code, a place and a remedy, never a crash", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.nat(20),
      fc.oneof(
        fc.constantFrom("{{", "}}", "null", '"', "..", "result.", "99999999999999999999"),
        fc.string({ maxLength: 5 }),
      ),
      (text, place, removed, inserted) => {
        const at = place % text.length;
        const result = compilePlan({
          text: text.slice(0, at) + inserted + text.slice(at + removed),
          catalog,
        });
        if (result.kind === "compiled") {
          expect(checkProgram(result.program, capabilities)).toEqual([]);
          encodeProgram(result.program);
          return;
        }
        expect(result.problems.length).toBeGreaterThan(0);
        for (const { code, message, at: pointer, remedy } of result.problems) {
          expect(code).toMatch(/^(plan|program)\.[a-z-]+$/);
          expect(message.length * remedy.length).toBeGreaterThan(0);
          expect(pointer).toMatch(/^(\/|$)/);
        }
      },
    ),
    { numRuns: 1500 },
  );
});

interface Draft {
  readonly onError: string;
  readonly reads: readonly number[];
  readonly waits: readonly number[];
  readonly approval: boolean;
  readonly kind: "read" | "write";
}

const draft: fc.Arbitrary<Draft> = fc.record({
  onError: fc.constantFrom("abort", "continue", "skip", "retry", "rollback"),
  reads: fc.array(fc.nat(30), { maxLength: 2 }),
  waits: fc.array(fc.nat(30), { maxLength: 2 }),
  approval: fc.boolean(),
  kind: fc.constantFrom("read" as const, "write" as const),
});

test("N13 K99 any plan whose actions look back is ordered so that each follows what it needs", () => {
  fc.assert(
    fc.property(
      fc.array(draft, { minLength: 1, maxLength: 20 }),
      fc.constantFrom("sequential", "parallel"),
      (drafts, mode) => {
        const actions = drafts.map(({ onError, reads, waits, approval, kind }, i) => {
          const earlier = (picks: readonly number[]) => (i === 0 ? [] : picks.map((pick) => `a-${pick % i}`));
          const content = earlier(reads)
            .map((id) => `{{result.${id}.path}}`)
            .join(" ");
          return {
            id: `a-${i}`,
            module: "filesystem",
            action: kind === "read" ? "read_file" : "write_file",
            params: kind === "read" ? { path: `inbox/${content}x` } : { path: `reports/${i}`, content },
            depends_on: earlier(waits),
            on_error: onError,
            requires_approval: approval,
          };
        });
        const result = compilePlan({
          text: JSON.stringify({ protocol_version: "2.0", description: "x", mode, actions }),
          catalog,
        });
        expect(result.kind === "rejected" ? result.problems : []).toEqual([]);
        if (result.kind === "rejected") return;
        const { steps } = result.program.body;
        expect(checkProgram(result.program, capabilities)).toEqual([]);
        const places = new Map(steps.map(({ id }, place) => [id.replace("approve.", ""), place]));
        for (const [i, { depends_on, params }] of actions.entries()) {
          const needed = [
            ...depends_on,
            ...[...JSON.stringify(params).matchAll(/result\.(a-\d+)/g)].map(([, id = ""]) => id),
          ];
          for (const other of needed) {
            const [from, to] = [places.get(`a-${i}`) ?? -1, places.get(other) ?? -1];
            expect(to).toBeLessThan(from);
            const step = steps[from];
            expect(step?.after.map((id) => id.replace("approve.", ""))).toContain(other);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

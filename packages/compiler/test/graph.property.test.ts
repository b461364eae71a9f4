import fc from "fast-check";
import { expect, test } from "vitest";
import { drawGraph, graphColumnsMax } from "@writ/compiler/graph";
import { allSteps } from "@writ/core/program";
import { decodeProgram, encodeProgram } from "@writ/core/program-codec";
import { programArbitrary } from "@writ/testkit/program-arbitrary";

test("D3 any program is drawn within its columns, every step once, and equally from its bytes", () => {
  fc.assert(
    fc.property(programArbitrary, (program) => {
      const drawing = drawGraph(program);
      for (const line of drawing.split("\n")) expect([...line].length).toBeLessThanOrEqual(graphColumnsMax);
      const drawn = [...drawing.matchAll(/[├└]─ (step-\d+) {2}/g)].map(([, id = ""]) => id);
      const ids = allSteps(program.body).map(({ id }) => String(id));
      expect(drawn.length).toBe(ids.length);
      expect(new Set(drawn)).toEqual(new Set(ids));
      expect(drawGraph(decodeProgram(encodeProgram(program)))).toBe(drawing);
    }),
    { numRuns: 200 },
  );
});

import type { FaultTable } from "@writ/core/fault";

/** Why the JSON text of a program is refused. They are outcomes: `compileProgram` returns them in a list, it does not throw them. */
export const programTextFaults = {
  "program.field": { kind: "rejected", remedy: "Give the field a value of the named form." },
  "program.missing-field": { kind: "rejected", remedy: "Add the named field." },
  "program.unknown-field": {
    kind: "rejected",
    remedy: "Remove the field or use one of the names listed in the facts.",
  },
  "program.expression": {
    kind: "rejected",
    remedy:
      'Correct the CEL expression; a text that begins with `=` and is none is written {"literal": "=…"}.',
  },
} as const satisfies FaultTable;

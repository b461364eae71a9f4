// Problems a rule's text can have. They are outcomes, not exceptions; each has a code and a remedy, rendered with the fault tables.
import type { FaultTable } from "@writ/core/fault";
import type { Span } from "./language/tree.ts";

export const ruleFaults = {
  "rule.empty": {
    kind: "rejected",
    remedy: "Write a sentence such as `When a CSV file arrives in the inbox, read it.`",
  },
  "rule.too-long": { kind: "rejected", remedy: "Shorten the rule, or split it into several rules." },
  "rule.too-complex": { kind: "rejected", remedy: "Split the sentence into shorter sentences." },
  "rule.control-character": {
    kind: "rejected",
    remedy: "Remove the invisible character at the marked place.",
  },
  "rule.character": { kind: "rejected", remedy: "Remove the character, or put it inside quotes." },
  "rule.number": { kind: "rejected", remedy: "Write a number of at most 60 digits." },
  "rule.value": { kind: "rejected", remedy: "Keep values, times and nesting within the documented limits." },
  "rule.quote-open": { kind: "rejected", remedy: "Close the quotation mark." },
  "rule.syntax": { kind: "rejected", remedy: "Use one of the expected words at the marked place." },
  "rule.incomplete": { kind: "rejected", remedy: "Go on with one of the expected words." },
  "rule.unsupported": {
    kind: "rejected",
    remedy: "Say it another way: this version does not run the named construct.",
  },
  "rule.mixed-language": { kind: "rejected", remedy: "Write the whole rule in one language." },
  "rule.unknown-verb": {
    kind: "rejected",
    remedy: "Use a verb of the catalog; the closest ones are suggested.",
  },
  "rule.unknown-place": {
    kind: "rejected",
    remedy: "Name a folder or file of the workspace file, or add it there; a path is written in quotes.",
  },
  "rule.unknown-role": { kind: "rejected", remedy: "Name a role of the workspace file, or add it there." },
  "rule.unknown-unit": { kind: "rejected", remedy: "Use a known unit or currency." },
  "rule.unknown-column": {
    kind: "rejected",
    remedy: "Name a column declared under `tables` in the workspace file, or declare it there.",
  },
  "rule.unknown-field": { kind: "rejected", remedy: "Name a field that this event has." },
  "rule.unknown-source": { kind: "rejected", remedy: "Install the module that provides this event source." },
  "rule.no-trigger": {
    kind: "rejected",
    remedy: "Begin with what starts the rule, such as `When a file arrives in the inbox, …`.",
  },
  "rule.two-triggers": { kind: "rejected", remedy: "Write one rule for each trigger." },
  "rule.no-steps": { kind: "rejected", remedy: "Say what is to be done." },
  "rule.no-antecedent": { kind: "rejected", remedy: "Name the thing instead of `it` or `the …`." },
  "rule.otherwise-alone": { kind: "rejected", remedy: "Begin the sentence before with `if`." },
  "rule.unit-missing": { kind: "rejected", remedy: "Write the unit or currency after the number." },
  "rule.dimension": { kind: "rejected", remedy: "Compare amounts of one currency, or of one kind of unit." },
  "rule.type": { kind: "rejected", remedy: "Compare numbers with numbers and texts with texts." },
  "rule.path-kind": {
    kind: "rejected",
    remedy: "End a folder with `/`, or give a file its extension.",
  },
  "rule.missing-parameter": {
    kind: "rejected",
    remedy: "Use a phrase of the capability that says the parameter.",
  },
  "rule.file-elsewhere": {
    kind: "rejected",
    remedy: "Move the file after the approval was decided, or say what is to happen inside each alternative.",
  },
  "rule.file-gone": { kind: "rejected", remedy: "Use the file before it is deleted." },
  "rule.dependent-list": {
    kind: "rejected",
    remedy: "Say the order with `then` (`puis`): steps that use the same file cannot be done at once.",
  },
  "rule.conflicting-limits": { kind: "rejected", remedy: "Say each limit once." },
} as const satisfies FaultTable;

export type RuleProblemCode = keyof typeof ruleFaults;

export interface RuleProblem {
  readonly code: RuleProblemCode;
  readonly message: string;
  /** Characters of the text the problem is about. */
  readonly span: Span;
  /** What could stand there, from the catalog. */
  readonly expected: readonly string[];
  /** The closest of what is known. */
  readonly suggestions: readonly string[];
  readonly remedy: string;
}

export function ruleProblem(
  code: RuleProblemCode,
  message: string,
  span: Span,
  more: { readonly expected?: readonly string[]; readonly suggestions?: readonly string[] } = {},
): RuleProblem {
  return {
    code,
    message,
    span,
    expected: more.expected ?? [],
    suggestions: more.suggestions ?? [],
    remedy: ruleFaults[code].remedy,
  };
}

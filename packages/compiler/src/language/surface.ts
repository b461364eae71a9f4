// What a concrete grammar is: words and templates for every construct of the tree. Parser and renderer read the same tables.
import type { Language } from "@writ/core/capability";
import type { Priority } from "@writ/core/event";
import type { Operator } from "./tree.ts";

export type Construct =
  | "ruleSentence"
  | "stepsSentence"
  | "elseSentence"
  | "ruleInvariant"
  | "ruleLimit"
  | "onEvent"
  | "every"
  | "atTime"
  | "onRequest"
  | "onDays"
  | "eachDays"
  | "everyDay"
  | "weekdays"
  | "weekends"
  | "dayList"
  | "dayTail"
  | "then"
  | "else"
  | "refused"
  | "afterwards"
  | "separator"
  | "and"
  | "if"
  | "approve"
  | "approveElse"
  | "wait"
  | "group"
  | "or"
  | "and2"
  | "either"
  | "both"
  | "parens"
  | "not"
  | "compare"
  | "compareNot"
  | "compareTwice"
  | "between"
  | "clock"
  | "file"
  | "it"
  | "fieldOf"
  | "eventTime"
  | "folder"
  | "namedFile"
  | "role"
  | "list"
  | "listTail"
  | "withinWorkspace"
  | "within"
  | "neverWrites"
  | "neverSends"
  | "neverCalls"
  | "onlyBetween"
  | "throttle"
  | "priority"
  | "onFailure"
  | "stop"
  | "skip"
  | "undo"
  | "am"
  | "pm"
  | "hour"
  | "noon"
  | "midnight"
  | "money"
  | "oneOf";

export interface Surface {
  readonly language: Language;
  readonly articles: readonly string[];
  readonly templates: Readonly<Record<Construct, readonly string[]>>;
  readonly comparisons: Readonly<Record<Operator, readonly string[]>>;
  /** The comparison as it is said a second time, without its verb: `above 5 and below 10`. */
  readonly second: Readonly<Partial<Record<Operator, readonly string[]>>>;
  /** The comparison denied; `=` and `!=` deny each other. */
  readonly negated: Readonly<Partial<Record<Operator, readonly string[]>>>;
  /** Longest first. */
  readonly durations: readonly (readonly [number, readonly string[]])[];
  /** From Sunday. */
  readonly days: readonly (readonly string[])[];
  readonly priorities: Readonly<Record<Priority, readonly string[]>>;
  /** Words for fields of an event's data. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  /** Words that join a noun to what it is of (`sum of …`). */
  readonly prepositions: readonly string[];
  /** Nouns that take `la`, and units that take `toutes`. */
  readonly feminine: readonly string[];
  /** Wordings of the full language that this version refuses by name; `^` binds one to the sentence's beginning. */
  readonly unsupported: Readonly<Record<string, readonly string[]>>;
  /** Frequent words by which the language is recognised. */
  readonly common: readonly string[];
}

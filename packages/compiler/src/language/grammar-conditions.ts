// Conditions. Where and/or are mixed without parentheses, every grouping is a reading.
import { take, type GrammarBuilder } from "./builder.ts";
import type { Build, Fields } from "./chart.ts";
import { window } from "./grammar-times.ts";
import type { DraftCondition, DraftTerm, Operator, Span } from "./tree.ts";

export function conditions(builder: GrammarBuilder): void {
  const many =
    (k: "and" | "or"): Build =>
    (fields, span) => {
      const rest = take<DraftCondition | readonly DraftCondition[]>(fields, "b");
      return { k, of: [take<DraftCondition>(fields, "a"), ...(Array.isArray(rest) ? rest : [rest])], span };
    };
  const tail: Build = (fields) => {
    const rest = take<DraftCondition | readonly DraftCondition[]>(fields, "b");
    return [take<DraftCondition>(fields, "a"), ...(Array.isArray(rest) ? rest : [rest])];
  };
  const same: Build = (fields) => fields["of"];
  builder.template("Cond", "{Or:of}", same);
  builder.template("Cond", "{And2:of}", same);
  builder.template("Cond", "{Unit2:of}", same);
  builder.construct("Or", "or", many("or"));
  builder.construct("OrTail", "or", tail);
  builder.construct("And2", "and2", many("and"));
  builder.construct("AndTail", "and2", tail);
  builder.template("OrItem", "{And2:of}", same);
  builder.template("OrItem", "{Unit2:of}", same);
  builder.template("AndItem", "{Or:of}", same);
  builder.template("AndItem", "{Unit2:of}", same);
  builder.construct("Unit2", "either", many("or"));
  builder.construct("Unit2", "both", many("and"));
  builder.construct("Unit2", "parens", same);
  builder.construct("Unit2", "not", (fields, span) => ({ k: "not", of: fields["of"], span }));
  const compare = (fields: Fields, span: Span): DraftCondition => ({
    k: "cmp",
    left: take<DraftTerm>(fields, "left"),
    operator: take<Operator>(fields, "operator"),
    right: take<DraftTerm>(fields, "right"),
    span,
  });
  builder.construct("Unit2", "compare", compare);
  builder.construct("Unit2", "compareNot", (fields, span) => ({ k: "not", of: compare(fields, span), span }));
  builder.construct("Unit2", "compareTwice", (fields, span) => ({
    k: "and",
    of: [
      compare(fields, span),
      compare({ left: fields["left"], operator: fields["second"], right: fields["limit"] }, span),
    ],
    span,
  }));
  builder.construct("Unit2", "between", (fields, span) => ({
    k: "between",
    of: fields["of"],
    low: fields["low"],
    high: fields["high"],
    span,
  }));
  builder.construct("Unit2", "clock", (fields, span) => ({ k: "clock", ...window(fields), span }));
  const { comparisons, second, negated } = builder.surface;
  for (const [operator, templates] of Object.entries(comparisons))
    for (const text of templates) builder.template("Cmp", text, () => operator);
  for (const [operator, templates] of Object.entries(second))
    for (const text of templates ?? []) builder.template("CmpSecond", text, () => operator);
  for (const [operator, templates] of Object.entries(negated))
    for (const text of templates ?? []) builder.template("CmpNot", text, () => operator);
}

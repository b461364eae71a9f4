// The grammar of one language over one catalog: the constructs of the tree in that language's templates, and the catalog's phrases as
// productions. Nothing here knows a word of either language.
import type { Catalog } from "@writ/core/capability";
import { priorities, type Priority } from "@writ/core/event";
import { retryAttemptsMax } from "@writ/core/limits";
import { GrammarBuilder, take } from "./builder.ts";
import { compileGrammar, type Build, type Grammar, type Production } from "./chart.ts";
import { conditions } from "./grammar-conditions.ts";
import { times, window } from "./grammar-times.ts";
import { quantities, terms } from "./grammar-values.ts";
import type { Construct, Surface } from "./surface.ts";
import type { Token } from "./token.ts";
import type {
  DraftAct,
  DraftInvariant,
  DraftStep,
  DraftTerm,
  DraftTrigger,
  Limits,
  OnFailure,
  Span,
} from "./tree.ts";
import { vocabulary } from "./vocabulary.ts";

export type LimitPart =
  | { readonly l: "window"; readonly window: Limits["windows"][number] }
  | { readonly l: "throttle"; readonly ms: number }
  | { readonly l: "priority"; readonly priority: Priority }
  | { readonly l: "failure"; readonly failure: OnFailure };

export type Sentence =
  | { readonly s: "rule"; readonly trigger: DraftTrigger; readonly steps: readonly DraftStep[] }
  | { readonly s: "steps"; readonly steps: readonly DraftStep[] }
  | { readonly s: "else"; readonly steps: readonly DraftStep[] }
  | { readonly s: "invariant"; readonly invariant: DraftInvariant }
  | { readonly s: "limit"; readonly limit: LimitPart; readonly span: Span };

export function buildGrammar(surface: Surface, catalog: Catalog): Grammar {
  const builder = new GrammarBuilder(surface);
  for (const article of surface.articles) builder.words("Art", [article], article);
  sentences(builder);
  triggers(builder);
  times(builder);
  blocks(builder);
  conditions(builder);
  terms(builder);
  quantities(builder, catalog);
  invariants(builder);
  limits(builder);
  vocabulary(builder, catalog);
  return compileGrammar(withoutDuplicates(builder.productions));
}

/** One production for each way of writing; the same words twice with the same value would only be work. */
function withoutDuplicates(productions: readonly Production[]): readonly Production[] {
  const seen = new Map<string, Set<Build>>();
  return productions.filter((production) => {
    const key = `${production.left}→${production.right.map((part) => `${part.name}:${part.field ?? ""}`).join(" ")}`;
    const builds = seen.get(key);
    if (builds === undefined) {
      seen.set(key, new Set([production.build]));
      return true;
    }
    if (builds.has(production.build)) return false;
    builds.add(production.build);
    return true;
  });
}

function sentences(builder: GrammarBuilder): void {
  builder.construct(
    "Sentence",
    "ruleSentence",
    (fields) => ({
      s: "rule",
      trigger: take<DraftTrigger>(fields, "trigger"),
      steps: take<readonly DraftStep[]>(fields, "steps"),
    }),
    flavour("free"),
  );
  builder.construct(
    "Sentence",
    "stepsSentence",
    (fields) => ({ s: "steps", steps: fields["steps"] }),
    flavour("free"),
  );
  builder.construct(
    "Sentence",
    "elseSentence",
    (fields) => ({ s: "else", steps: fields["steps"] }),
    flavour("free"),
  );
  builder.construct("Sentence", "ruleInvariant", (fields) => ({ s: "invariant", invariant: fields["inv"] }));
  builder.construct("Sentence", "ruleLimit", (fields, span) => ({
    s: "limit",
    limit: fields["limit"],
    span,
  }));
}

function triggers(builder: GrammarBuilder): void {
  builder.construct("Trigger", "onEvent", (fields, span) => ({
    ...take<DraftTrigger>(fields, "source"),
    where: fields["where"] ?? null,
    holdMs: fields["hold"] ?? 0,
    span,
  }));
  builder.construct("Trigger", "every", (fields, span) => ({ k: "every", ms: fields["ms"], span }));
  builder.construct("Trigger", "atTime", (fields, span) => ({
    k: "at",
    minute: fields["minute"],
    days: fields["days"] ?? [],
    span,
  }));
  builder.construct("Trigger", "onRequest", (_fields, span) => ({ k: "request", span }));
}

/** Symbols of a block: in the `then` part of an `if`, `otherwise` answers the `if`, so an approval there says `if refused`. */
function flavour(kind: "free" | "in"): (symbol: string) => string {
  return (symbol) => {
    if (symbol === "Seq.in" || symbol === "Seq.free") return symbol;
    return symbol === "Seq" ? `Seq.${kind}` : symbol;
  };
}

function blocks(builder: GrammarBuilder): void {
  for (const name of ["Then", "Else", "Refused", "Afterwards", "Separator", "And"] as const) {
    const construct = name.toLowerCase() as Construct;
    builder.construct(name, construct, () => name);
  }
  const ifStep: Build = (fields, span) => [
    {
      k: "if",
      when: fields["when"],
      then: fields["then"],
      otherwise: fields["otherwise"] ?? null,
      span,
    },
  ];
  const approve: Build = (fields, span) => [
    {
      k: "approve",
      role: take<DraftTerm & { k: "role" }>(fields, "role").name,
      withinMs: fields["within"] ?? null,
      body: fields["body"],
      otherwise: fields["otherwise"] ?? null,
      span,
    },
  ];
  for (const kind of ["free", "in"] as const) {
    const rename = flavour(kind);
    const seq = `Seq.${kind}`;
    const both: Build = (fields) => [
      ...take<readonly DraftStep[]>(fields, "head"),
      ...take<readonly DraftStep[]>(fields, "rest"),
    ];
    const same: Build = (fields) => fields["head"];
    builder.template(seq, "{Simple:head}", same);
    builder.template(seq, `{Open.${kind}:head}`, same);
    builder.template(seq, `{Simple:head} {Separator} {${seq}:rest}`, both);
    // A step after an `if` may stand inside or after it: both readings are kept, and the question shows them. An approval there
    // says `if refused`, since an `otherwise` would answer the `if`.
    builder.template(seq, `{If.${kind}:head} {Separator} {Seq.in:rest}`, both);
    builder.template(`Open.${kind}`, `{If.${kind}:head}`, same);
    builder.construct(`If.${kind}`, "if", ifStep, rename);
    // An approval reaches to the end of its block: what follows in the sentence waits for it.
    builder.construct(`Open.${kind}`, "approve", approve, rename);
  }
  builder.construct("Open.free", "approveElse", approve, flavour("free"));
  builder.template("Simple", "{Act:act}", (fields) => [fields["act"]]);
  builder.template("Simple", "{Par:par}", (fields, span) => [{ k: "par", of: fields["par"], span }]);
  builder.construct("Simple", "wait", (fields, span) => [{ k: "wait", ms: fields["ms"], span }]);
  builder.construct("Simple", "group", (fields) => fields["steps"], flavour("free"));
  const acts: Build = (fields) => [
    take<DraftAct>(fields, "first"),
    ...[take<DraftAct | readonly DraftAct[]>(fields, "rest")].flat(),
  ];
  builder.template("Par", "{Act:first} {And} {Act:rest}", acts);
  builder.template("Par", "{Act:first} , {Par:rest}", acts);
}

function invariants(builder: GrammarBuilder): void {
  builder.construct("Inv", "withinWorkspace", (_fields, span) => ({ k: "writesWithin", place: null, span }));
  builder.construct("Inv", "within", (fields, span) => ({ k: "writesWithin", place: fields["place"], span }));
  builder.construct("Inv", "neverWrites", (fields, span) => ({
    k: "neverWrites",
    place: fields["place"],
    span,
  }));
  builder.construct("Inv", "neverSends", (_fields, span) => ({ k: "neverSends", span }));
  builder.construct("Inv", "neverCalls", (fields, span) => {
    const capability = fields["verb"] ?? fields["capability"];
    return capability === undefined ? undefined : { k: "neverCalls", capability, span };
  });
}

function limits(builder: GrammarBuilder): void {
  builder.construct("Limit", "onlyBetween", (fields) => ({ l: "window", window: window(fields) }));
  builder.construct("Limit", "throttle", (fields) => ({ l: "throttle", ms: fields["ms"] }));
  builder.construct("Limit", "priority", (fields) => ({ l: "priority", priority: fields["priority"] }));
  builder.construct("Limit", "onFailure", (fields) => {
    const retry = fields["retry"] === undefined ? 0 : Number(fields["retry"]);
    if (!Number.isInteger(retry) || retry >= retryAttemptsMax || (fields["retry"] !== undefined && retry < 1))
      return undefined;
    return { l: "failure", failure: { retry, then: fields["then"] ?? "stop" } };
  });
  for (const name of ["stop", "skip", "undo"] as const) builder.construct("Final", name, () => name);
  priorities.forEach((priority) => {
    for (const word of builder.surface.priorities[priority]) builder.words("PriorityWord", [word], priority);
  });
  builder.template(
    "PriorityWord",
    "#number:n",
    (fields) => priorities[Number(take<Token>(fields, "n").text)],
  );
}

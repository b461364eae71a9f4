// The grammar of one language over one catalog: the constructs of the tree in that language's templates, and the catalog's phrases as
// productions. Nothing here knows a word of either language.
import type { Catalog } from "@writ/core/capability";
import type { Priority } from "@writ/core/event";
import { priorities } from "@writ/core/event";
import { retryAttemptsMax } from "@writ/core/limits";
import { take, GrammarBuilder } from "./builder.ts";
import { compileGrammar, type Build, type Fields, type Grammar, type Production } from "./chart.ts";
import { dayMinutes, timesOf } from "./clock.ts";
import type { Construct, Surface } from "./surface.ts";
import { fold, type Token } from "./token.ts";
import type {
  DraftAct,
  DraftCondition,
  DraftInvariant,
  DraftStep,
  DraftTerm,
  DraftTrigger,
  Limits,
  OnFailure,
  Operator,
  Span,
} from "./tree.ts";
import { vocabulary } from "./vocabulary.ts";
import { currencyCodes, units, wordsOfCurrency } from "./quantity.ts";

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

function times(builder: GrammarBuilder): void {
  const { surface } = builder;
  builder.template("Time", "#time:t", (fields) => timesOf(Number(take<Token>(fields, "t").text)));
  const hours =
    (plus: number, max: number): Build =>
    (fields) => {
      const hour = Number(take<string>(fields, "n"));
      return Number.isInteger(hour) && hour <= max ? timesOf((hour + plus) * 60) : undefined;
    };
  builder.construct("Time", "am", hours(0, 11));
  builder.construct("Time", "pm", hours(12, 11));
  builder.construct("Time", "hour", hours(0, 24));
  builder.construct("Time", "noon", () => 720);
  builder.construct("Time", "midnight", () => 0);

  surface.days.forEach((words, day) => {
    for (const word of words) builder.words("Day", [word.toLowerCase()], [day]);
  });
  builder.construct("Weekdays", "weekdays", () => [1, 2, 3, 4, 5]);
  builder.construct("Days", "weekdays", () => [1, 2, 3, 4, 5]);
  builder.construct("Days", "weekends", () => [0, 6]);
  const days: Build = (fields) =>
    dayMinutes([fields["first"], fields["rest"], fields["only"]].flatMap((part) => (part ?? []) as number[]));
  builder.construct("Days", "dayList", days);
  builder.construct("Days.list", "dayTail", days);
  builder.construct("EveryDay", "everyDay", () => []);
  builder.construct("OnDays", "onDays", (fields) => fields["days"]);
  builder.construct("EachDays", "eachDays", (fields) => fields["days"]);

  for (const [ms, words] of surface.durations)
    for (const word of words) {
      builder.words("TimeUnit", [word], ms);
    }
  const duration: Build = (fields) => {
    const ms = Number(fields["n"]) * take<number>(fields, "unit");
    return Number.isSafeInteger(ms) && ms > 0 ? ms : undefined;
  };
  builder.template("Duration", "{Number:n} {TimeUnit:unit}", duration);
  builder.construct("Duration", "oneOf", (fields) => fields["ms"]);
  builder.template("Span", "{Number:n} {TimeUnit:unit}", duration);
  builder.template("Span", "{TimeUnit:unit}", (fields) => fields["unit"]);
  builder.template("Delay", "ART {Duration:ms}", (fields) => fields["ms"]);
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

function conditions(builder: GrammarBuilder): void {
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
  builder.construct("Unit2", "between", (fields, span) => ({
    k: "between",
    of: fields["of"],
    low: fields["low"],
    high: fields["high"],
    span,
  }));
  builder.construct("Unit2", "clock", (fields, span) => ({ k: "clock", ...window(fields), span }));
  const { comparisons, negated } = builder.surface;
  for (const [operator, templates] of Object.entries(comparisons))
    for (const text of templates) builder.template("Cmp", text, () => operator);
  for (const [operator, templates] of Object.entries(negated))
    for (const text of templates ?? []) builder.template("CmpNot", text, () => operator);
}

function terms(builder: GrammarBuilder): void {
  const file: Build = (_fields, span) => ({ k: "file", span });
  const it: Build = (_fields, span) => ({ k: "it", span });
  builder.construct("File", "file", file);
  builder.construct("File", "it", it);
  builder.construct("Field", "fieldOf", (fields, span) => ({ k: "field", field: fields["field"], span }));
  builder.construct("Value", "eventTime", (_fields, span) => ({ k: "time", span }));
  builder.template("Value", "{Field:of}", (fields) => fields["of"]);
  builder.template("Value", "{Noun:of}", (fields) => fields["of"]);
  builder.template("Value", "{Quantity:of}", (fields) => fields["of"]);
  builder.template("Value", "#quoted:text", (fields, span) => ({
    k: "text",
    text: take<Token>(fields, "text").text,
    span,
  }));
  const items: Build = (fields) => [
    take<DraftTerm>(fields, "first"),
    ...[take<DraftTerm | readonly DraftTerm[]>(fields, "rest")].flat(),
  ];
  builder.construct("List", "list", items);
  builder.construct("ListTail", "listTail", items);
  builder.template("List", "{Value:only}", (fields) => [fields["only"]]);
  builder.construct("Role", "role", (fields, span) => ({ k: "role", name: fields["name"], span }));
  builder.construct("Folder", "folder", (fields, span) => ({
    k: "place",
    of: "folder",
    name: fields["name"],
    span,
  }));
  builder.construct("NamedFile", "namedFile", (fields, span) => ({
    k: "place",
    of: "file",
    name: fields["name"],
    span,
  }));
  const path: Build = (fields, span) => ({ k: "path", path: take<Token>(fields, "path").text, span });
  builder.template("Path", "#path:path", path);
  builder.template("Path", "#quoted:path", path);
  for (const symbol of ["Folder", "NamedFile", "Path"])
    builder.template("Place", `{${symbol}:of}`, (fields) => fields["of"]);
  for (const symbol of ["File", "NamedFile", "Path"])
    builder.template("Arg.file", `{${symbol}:of}`, (fields) => fields["of"]);
  builder.template("Arg.keep", "{Arg.file:of}", (fields) => fields["of"]);
  builder.template("Arg.keep", "{Folder:of}", (fields) => fields["of"]);
  builder.template("Arg.folder", "{Folder:of}", (fields) => fields["of"]);
  builder.template("Arg.folder", "{Path:of}", (fields) => fields["of"]);
  builder.template("Arg.text", "{Value:of}", (fields) => fields["of"]);
  builder.template("Arg.list", "{List:of}", (fields, span) => ({ k: "list", of: fields["of"], span }));
  builder.template("Arg.role", "{Role:of}", (fields) => fields["of"]);
  const quoted: Build = (fields, span) => ({ k: "text", text: take<Token>(fields, "text").text, span });
  builder.template("Arg.quoted", "#quoted:text", quoted);
  builder.template("Arg.url", "#url:url", (fields, span) => ({
    k: "url",
    url: take<Token>(fields, "url").text,
    span,
  }));
  builder.template("Arg.url", "#quoted:url", (fields, span) => ({
    k: "url",
    url: take<Token>(fields, "url").text,
    span,
  }));
  builder.template("Arg.pattern", "#quoted:text", quoted);
  builder.template("Arg.pattern", "#word:text", (fields, span) => {
    const { raw } = take<Token>(fields, "text");
    return fileKind.test(raw) || knownKinds.has(raw)
      ? { k: "text", text: `*.${raw.toLowerCase()}`, span }
      : undefined;
  });
  builder.template("Arg.pattern", "#path:text", (fields, span) => {
    const { raw } = take<Token>(fields, "text");
    return /^\.[a-z0-9]{1,8}$/iu.test(raw) ? { k: "text", text: `*${raw.toLowerCase()}`, span } : undefined;
  });
}

const fileKind = /^[A-Z][A-Z0-9]{1,7}$/u;
/** Kinds of file that are understood in small letters; any other is written in capitals, or quoted (`"*.dat"`). */
const knownKinds = new Set("csv tsv txt json xml pdf xlsx xls docx zip log html md png jpg jpeg".split(" "));

function quantities(builder: GrammarBuilder, catalog: Catalog): void {
  const { language } = builder.surface;
  builder.template("Number", "#number:n", (fields) => take<Token>(fields, "n").text);
  builder.template("Number", "#other-number:n", (fields) => take<Token>(fields, "n").other);
  for (const { code, words } of units)
    for (const word of words[language])
      builder.words("Unit", [word.startsWith("°") ? word : fold(word)], code);
  for (const code of currencyCodes) builder.words("Unit", [code.toLowerCase()], code);
  for (const code of catalog.workspace.currencies) {
    builder.words("Unit", [code.toLowerCase()], code);
    for (const word of wordsOfCurrency(code, language)) {
      builder.words("Unit", [word], code);
      if (/[€$£¥]/u.test(word)) builder.words("Sign", [word], code);
    }
  }
  const quantity: Build = (fields, span) => ({
    k: "quantity",
    value: fields["value"],
    unit: fields["unit"] ?? null,
    span,
  });
  builder.construct("Quantity", "money", quantity);
  builder.template("Quantity", "{Number:value}", quantity);
}

function window(fields: Fields): { from: number; to: number; days: readonly number[] } {
  return {
    from: take<number>(fields, "from") % 1440,
    to: take<number>(fields, "to") % 1440,
    days: take<readonly number[] | undefined>(fields, "days") ?? [],
  };
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

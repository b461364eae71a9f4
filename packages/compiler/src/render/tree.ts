// The tree as sentences, from the templates that the parser reads: `parse(render(tree))` is `tree`, in both languages.
//   R20 A step inside a block that could be read as belonging elsewhere stands in parentheses.
import type { Catalog } from "@writ/core/capability";
import type { Construct, Surface } from "../language/surface.ts";
import { parseTemplate, templateFields, type Template } from "../language/template.ts";
import { paramKind, phraseTemplate } from "../language/vocabulary.ts";
import { conditionAt, invariantAt, stepAt, triggerAt } from "../language/nodes.ts";
import type { Limits, NodeKey, Operator, StepNode, Term, Tree } from "../language/tree.ts";
import { joinPieces, own, word, type Piece } from "./pieces.ts";
import {
  entityWords,
  quoted,
  writtenNumber,
  writtenPath,
  writtenTime,
  writtenAmount,
  writtenUnit,
  writtenUrl,
} from "./words.ts";

type Parts = Readonly<Record<string, readonly Piece[] | undefined>>;

export function sentencesOf(tree: Tree, surface: Surface, catalog: Catalog): readonly string[] {
  const writer = new Writer(tree, surface, catalog);
  return writer.sentences().map((pieces) => {
    const text = joinPieces(pieces, surface);
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  });
}

class Writer {
  readonly #tree: Tree;
  readonly #surface: Surface;
  readonly #catalog: Catalog;

  constructor(tree: Tree, surface: Surface, catalog: Catalog) {
    this.#tree = tree;
    this.#surface = surface;
    this.#catalog = catalog;
  }

  sentences(): readonly (readonly Piece[])[] {
    const { trigger, steps, invariants, limits } = this.#tree;
    const [first, ...rest] = steps;
    const start = this.#construct("ruleSentence", {
      trigger: this.#trigger(trigger),
      steps: first === undefined ? [] : this.#alone(first),
    });
    return [
      start,
      ...rest.map((key) => this.#construct("stepsSentence", { steps: this.#alone(key) })),
      ...this.#limits(limits),
      ...invariants.map((key) => this.#invariant(key)),
    ];
  }

  #construct(construct: Construct, parts: Parts): readonly Piece[] {
    return this.#fill(this.#surface.templates[construct].map(parseTemplate), parts);
  }

  /** The first template that has a place for every part that is given, and needs no other. */
  #fill(templates: readonly Template[], parts: Parts): readonly Piece[] {
    const given = Object.keys(parts).filter((part) => parts[part] !== undefined);
    const fitting = templates.find((template) => {
      const { needed, all } = templateFields(template);
      return needed.every((part) => given.includes(part)) && given.every((part) => all.includes(part));
    });
    return fitting === undefined ? [] : this.#write(fitting, parts);
  }

  #write(template: Template, parts: Parts): readonly Piece[] {
    return template.flatMap((part): readonly Piece[] => {
      switch (part.kind) {
        case "article":
          if (part.written === "") return [];
          return [part.written === null ? { kind: "article", text: "" } : word(part.written)];
        case "words":
          return part.use === "hidden" ? [] : [word(part.words[0] ?? "")];
        case "group":
          return part.fields.length > 0 && part.fields.every((name) => parts[name] !== undefined)
            ? this.#write(part.parts, parts)
            : [];
        case "part":
          if (part.field !== null) return parts[part.field] ?? [];
          return this.#construct(part.symbol.toLowerCase() as Construct, {});
      }
    });
  }

  #trigger(key: NodeKey): readonly Piece[] {
    const node = triggerAt(this.#tree, key);
    switch (node.k) {
      case "event": {
        const definition = this.#catalog.sources.find(({ id }) => id === node.source);
        if (definition === undefined) return [];
        return this.#construct("onEvent", {
          source: this.#phrase(
            definition.id,
            definition.phrases[this.#surface.language],
            node.args,
            (param) => paramKind(definition, param),
          ),
          hold: node.holdMs > 0 ? this.#duration(node.holdMs) : undefined,
          where: node.where === null ? undefined : this.#condition(node.where, "free"),
        });
      }
      case "every":
        return this.#recurring("every", node.ms);
      case "at":
        return this.#construct("atTime", {
          minute: [own(writtenTime(node.minute))],
          days: this.#onDays(node.days),
        });
      case "request":
        return this.#construct("onRequest", {});
    }
  }

  /** What has no phrase in this language is shown by its id: better than not at all. */
  #phrase(
    id: string,
    phrases: readonly string[],
    args: Readonly<Record<string, Term>>,
    kindOf: Parameters<typeof phraseTemplate>[2],
  ): readonly Piece[] {
    const templates = phrases.map((phrase) =>
      parseTemplate(phraseTemplate(phrase, this.#surface, kindOf).join(" ")),
    );
    const parts = Object.fromEntries(
      Object.entries(args).map(
        ([param, term]) => [param, this.#term(term, kindOf(param) === "pattern")] as const,
      ),
    );
    const pieces = this.#fill(templates, parts);
    return pieces.length > 0 ? pieces : [own(id)];
  }

  /** A step that is its own sentence: nothing after it can be taken for a part of it. */
  #alone(key: NodeKey): readonly Piece[] {
    const node = stepAt(this.#tree, key);
    if (node.k === "if") return this.#if(node);
    if (node.k === "approve") return this.#approve(node, false);
    return this.#step(key, false, false);
  }

  #step(key: NodeKey, mayApprove: boolean, isLast: boolean): readonly Piece[] {
    const node = stepAt(this.#tree, key);
    switch (node.k) {
      case "act": {
        const definition = this.#catalog.capabilities.find(({ id }) => id === node.capability);
        if (definition === undefined) return [];
        return this.#phrase(definition.id, definition.phrases[this.#surface.language], node.args, (param) =>
          paramKind(definition, param),
        );
      }
      case "wait":
        return this.#construct("wait", { ms: this.#duration(node.ms) });
      case "par":
        return node.of.flatMap((act, index) => {
          const joint =
            index === 0 ? [] : index === node.of.length - 1 ? this.#construct("and", {}) : [word(",")];
          return [...joint, ...this.#step(act, false, false)];
        });
      case "if":
        return this.#construct("group", { steps: this.#if(node) });
      case "approve":
        return mayApprove
          ? this.#approve(node, isLast)
          : this.#construct("group", { steps: this.#approve(node, false) });
    }
  }

  /** `isLast`: nothing but the sentence's end closes the block, so several steps take parentheses. */
  #block(keys: readonly NodeKey[], mayApprove: boolean, isLast: boolean): readonly Piece[] {
    const isGrouped = isLast && keys.length > 1;
    const pieces = keys.flatMap((key, index) => [
      ...(index === 0 ? [] : this.#construct("separator", {})),
      ...this.#step(key, mayApprove && index === keys.length - 1, isLast && !isGrouped),
    ]);
    return isGrouped ? this.#construct("group", { steps: pieces }) : pieces;
  }

  #if(node: Extract<StepNode, { k: "if" }>): readonly Piece[] {
    const { then, otherwise } = node;
    return this.#construct("if", {
      when: this.#condition(node.when, "free"),
      then: this.#block(then, true, otherwise === null),
      otherwise: otherwise === null ? undefined : this.#block(otherwise, true, true),
    });
  }

  #approve(node: Extract<StepNode, { k: "approve" }>, isLast: boolean): readonly Piece[] {
    const { body, otherwise } = node;
    return this.#construct("approve", {
      role: this.#term({ k: "role", name: node.role }),
      within: node.withinMs === null ? undefined : this.#duration(node.withinMs),
      body: this.#block(body, false, isLast && otherwise === null),
      otherwise: otherwise === null ? undefined : this.#block(otherwise, false, isLast),
    });
  }

  /** `closed` conditions stand inside another one: and, or and their kind take parentheses there. */
  #condition(key: NodeKey, place: "free" | "closed"): readonly Piece[] {
    const node = conditionAt(this.#tree, key);
    switch (node.k) {
      case "cmp":
        return this.#construct("compare", {
          left: this.#term(node.left),
          operator: this.#operator(node.operator, this.#surface.comparisons),
          right: this.#term(node.right),
        });
      case "between":
        return this.#construct("between", {
          of: this.#term(node.of),
          low: this.#term(node.low),
          high: this.#term(node.high),
        });
      case "clock":
        return this.#construct("clock", {
          from: [own(writtenTime(node.from))],
          to: [own(writtenTime(node.to))],
          days: this.#onDays(node.days),
        });
      case "and":
      case "or": {
        const joint = this.#surface.language === "en" ? node.k : node.k === "and" ? "et" : "ou";
        const pieces = node.of.flatMap((part, index) => [
          ...(index === 0 ? [] : [word(joint)]),
          ...this.#condition(part, "closed"),
        ]);
        return place === "free" ? pieces : [word("("), ...pieces, word(")")];
      }
      case "not": {
        const inner = conditionAt(this.#tree, node.of);
        if (inner.k === "cmp" && this.#surface.negated[inner.operator] !== undefined)
          return this.#construct("compareNot", {
            left: this.#term(inner.left),
            operator: this.#operator(inner.operator, this.#surface.negated),
            right: this.#term(inner.right),
          });
        return this.#construct("not", { of: this.#condition(node.of, "free") });
      }
    }
  }

  #operator(
    operator: Operator,
    table: Readonly<Partial<Record<Operator, readonly string[]>>>,
  ): readonly Piece[] {
    return this.#fill((table[operator] ?? []).map(parseTemplate), {});
  }

  #term(term: Term, isPattern = false): readonly Piece[] {
    const { language } = this.#surface;
    switch (term.k) {
      case "file":
        return this.#construct("file", {});
      case "field":
        return this.#construct("fieldOf", {
          field: [word(this.#surface.fields[term.field]?.[0] ?? term.field)],
        });
      case "time":
        return this.#construct("eventTime", {});
      case "noun":
        return this.#noun(term);
      case "text": {
        const kind = isPattern ? /^\*\.([a-z][a-z0-9]{1,7})$/u.exec(term.text) : null;
        return [own(kind === null ? quoted(term.text, language) : (kind[1] ?? "").toUpperCase())];
      }
      case "quantity": {
        const value = own(writtenAmount(term.value, term.unit, language));
        return term.unit === null ? [value] : [value, own(writtenUnit(term.unit, language))];
      }
      case "path":
        return [own(writtenPath(term.path, language))];
      case "url":
        return [own(writtenUrl(term.url, language))];
      case "place": {
        const all = term.of === "folder" ? this.#catalog.workspace.folders : this.#catalog.workspace.files;
        return this.#construct(term.of === "folder" ? "folder" : "namedFile", {
          name: [own(entityWords(all, term.name, language))],
        });
      }
      case "role":
        return this.#construct("role", {
          name: [own(entityWords(this.#catalog.workspace.roles, term.name, language))],
        });
      case "list": {
        const items = term.of.map((item) => this.#term(item));
        return items.flatMap((item, index) =>
          index === 0
            ? item
            : index === items.length - 1
              ? [word(language === "en" ? "and" : "et"), ...item]
              : [word(","), ...item],
        );
      }
    }
  }

  #noun(term: Extract<Term, { k: "noun" }>): readonly Piece[] {
    const definition = this.#catalog.capabilities.find(({ id }) => id === term.capability);
    const noun = definition?.nouns?.find(({ field }) => field === term.field);
    if (definition === undefined || noun === undefined) return [];
    const args = Object.fromEntries(
      Object.entries(term.args).map(([param, text]) => [param, { k: "text", text } as const]),
    );
    return [
      { kind: "article", text: "" },
      ...this.#phrase(definition.id, noun.phrases[this.#surface.language], args, () => "quoted"),
    ];
  }

  #duration(ms: number): readonly Piece[] {
    const [size, words] = this.#surface.durations.find(([unit]) => ms % unit === 0) ?? [1, ["ms"]];
    const count = ms / size;
    return [
      own(writtenNumber(String(count), this.#surface.language)),
      word((count === 1 ? words[1] : words[0]) ?? words[0] ?? ""),
    ];
  }

  /** A period: its last template for one unit (`every hour`), otherwise the first, or the second for a unit that is masculine. */
  #recurring(construct: "every" | "throttle", ms: number): readonly Piece[] {
    const [count, unit] = this.#duration(ms);
    const templates = this.#surface.templates[construct];
    const isOne = count?.text === "1";
    const { language, feminine } = this.#surface;
    const index = isOne
      ? templates.length - 1
      : language === "fr" && !feminine.includes(unit?.text ?? "")
        ? 1
        : 0;
    const said = [count, unit].slice(isOne ? 1 : 0).flatMap((piece) => (piece === undefined ? [] : [piece]));
    return this.#fill([templates[index] ?? ""].map(parseTemplate), { ms: said });
  }

  /** Undefined for every day. */
  #onDays(days: readonly number[]): readonly Piece[] | undefined {
    if (days.length === 0) return undefined;
    const said = days.join();
    if (said === "1,2,3,4,5") {
      const weekdays = this.#construct("weekdays", {});
      return (
        this.#fillSymbol("onDays", "Weekdays", weekdays) ?? this.#construct("onDays", { days: weekdays })
      );
    }
    if (said === "0,6") return this.#construct("onDays", { days: this.#construct("weekends", {}) });
    return this.#construct("onDays", { days: this.#dayList(days, "dayList") });
  }

  #fillSymbol(construct: Construct, symbol: string, days: readonly Piece[]): readonly Piece[] | null {
    const templates = this.#surface.templates[construct]
      .map(parseTemplate)
      .filter((template) => template.some((part) => part.kind === "part" && part.symbol === symbol));
    return templates.length === 0 ? null : this.#fill(templates, { days });
  }

  #dayList(days: readonly number[], construct: "dayList" | "dayTail"): readonly Piece[] {
    const [day = 0, ...rest] = days;
    const first = [own(this.#surface.days[day]?.[0] ?? "")];
    if (rest.length === 0) return first;
    const templates = this.#surface.templates[construct].map(parseTemplate);
    const wanted = rest.length === 1 ? "Day" : "Days.list";
    const fitting = templates.filter((template) =>
      template.some((part) => part.kind === "part" && part.field === "rest" && part.symbol === wanted),
    );
    return this.#fill(fitting, {
      first,
      rest: rest.length === 1 ? this.#dayList(rest, "dayList") : this.#dayList(rest, "dayTail"),
    });
  }

  #limits(limits: Limits): readonly (readonly Piece[])[] {
    const { windows, throttleMs, priority, failure } = limits;
    const sentences = windows.map(({ from, to, days }) =>
      this.#construct("onlyBetween", {
        from: [own(writtenTime(from))],
        to: [own(writtenTime(to))],
        days: this.#onDays(days),
      }),
    );
    if (throttleMs > 0) sentences.push(this.#recurring("throttle", throttleMs));
    if (priority !== "normal")
      sentences.push(
        this.#construct("priority", { priority: [word(this.#surface.priorities[priority][0] ?? priority)] }),
      );
    if (failure.retry > 0 || failure.then !== "stop")
      sentences.push(
        this.#construct("onFailure", {
          retry: failure.retry > 0 ? [own(String(failure.retry))] : undefined,
          then: this.#construct(failure.then, {}),
        }),
      );
    return sentences;
  }

  #invariant(key: NodeKey): readonly Piece[] {
    const node = invariantAt(this.#tree, key);
    switch (node.k) {
      case "writesWithin":
        return node.place === null
          ? this.#construct("withinWorkspace", {})
          : this.#construct("within", { place: this.#term(node.place) });
      case "neverWrites":
        return this.#construct("neverWrites", { place: this.#term(node.place) });
      case "neverCalls":
        return this.#construct("neverCalls", {
          capability: [own(node.capability.slice(0, node.capability.indexOf("@")))],
        });
      case "neverSends":
        return this.#construct("neverSends", {});
    }
  }
}

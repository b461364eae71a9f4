// The catalog as productions: phrases, nouns, sources, and the words for folders, files and roles. A new capability is speakable
// because it is in the catalog.
import type { CapabilityDefinition, Catalog, SourceDefinition } from "@writ/core/capability";
import { capabilityName } from "@writ/core/ids";
import type { Schema } from "@writ/core/schema";
import { take, type GrammarBuilder } from "./builder.ts";
import type { Build } from "./chart.ts";
import { foldWords, type Token } from "./token.ts";
import type { DraftTerm } from "./tree.ts";

type ParamKind =
  | "file"
  | "keep"
  | "folder"
  | "text"
  | "list"
  | "role"
  | "url"
  | "pattern"
  | "column"
  | "quoted";

interface Annotated {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly "x-path"?: "file" | "folder";
  readonly "x-path-name-of"?: string;
  readonly "x-host"?: boolean;
}

/** A schema's keywords as plain data. */
export function keywords(schema: Schema | undefined): Annotated {
  return (schema ?? {}) as Annotated;
}

export function propertyOf(schema: Schema, name: string): Schema | undefined {
  const { properties } = keywords(schema);
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** What may stand in a parameter's place. */
export function paramKind(definition: CapabilityDefinition | SourceDefinition, name: string): ParamKind {
  const resources = "resources" in definition ? definition.resources : [];
  if (resources.some((use) => use.param === name && use.kind === "person")) return "role";
  const schema = keywords(propertyOf("config" in definition ? definition.config : definition.params, name));
  if (schema["x-host"] === true) return "url";
  if (schema["x-path"] === "folder") return "folder";
  if (schema["x-path"] === "file") return schema["x-path-name-of"] === undefined ? "file" : "keep";
  if (name === "pattern") return "pattern";
  if (name === "column") return "column";
  const { type } = schema;
  if (type === "array" || type === "object" || type === undefined)
    return "x-decimal" in schema ? "text" : "list";
  return "text";
}

export function vocabulary(builder: GrammarBuilder, catalog: Catalog): void {
  const { language } = builder.surface;
  for (const definition of catalog.capabilities) {
    if (definition.internal === true) continue;
    for (const phrase of definition.phrases[language]) acts(builder, definition, phrase);
    for (const { field, phrases } of definition.nouns ?? [])
      for (const phrase of phrases[language]) nouns(builder, definition, field, phrase);
    for (const name of [capabilityName(definition.id), definition.id])
      builder.template("CapabilityName", "#path:id", (fields) => {
        const { text } = take<Token>(fields, "id");
        return text === name ? definition.id : undefined;
      });
  }
  saidNouns(builder, catalog);
  for (const definition of catalog.sources)
    for (const phrase of definition.phrases[language]) sources(builder, definition, phrase);
  places(builder, catalog);
  eventFields(builder, catalog);
  columns(builder, catalog);
}

/** A phrase as a template: words folded, articles optional, placeholders by kind. */
export function phraseTemplate(
  phrase: string,
  surface: GrammarBuilder["surface"],
  kindOf: (param: string) => ParamKind,
): readonly string[] {
  return phrase.split(" ").flatMap((item, index) => {
    const placeholder = /^\{(\w+)\}$/u.exec(item);
    if (placeholder !== null) return [`{Arg.${kindOf(placeholder[1] ?? "")}:${placeholder[1]}}`];
    const words = foldWords(item, surface.language).map((word) =>
      surface.articles.includes(word) ? `ART:${word}` : word,
    );
    // Phrases leave articles out: `read text of …` is also spoken `read the text of …`.
    return index === 1 && words.every((word) => !word.startsWith("ART")) ? ["ART~", ...words] : words;
  });
}

function acts(builder: GrammarBuilder, definition: CapabilityDefinition, phrase: string): void {
  const { surface } = builder;
  const items = phraseTemplate(phrase, surface, (param) => paramKind(definition, param));
  const build: Build = (fields, span) => ({
    k: "act",
    capability: definition.id,
    args: fields as Readonly<Record<string, DraftTerm>>,
    span,
  });
  builder.template("Act", items.join(" "), build);
  const [verb = "", second = "", ...rest] = items;
  const object = /^\{Arg\.(?:file|keep):(\w+)\}$/u.exec(second);
  if (surface.language === "fr" && object !== null) {
    const withIt: Build = (fields, span, tokens) => {
      const pronoun = tokens.find((token) => pronouns.has(token.text));
      return {
        k: "act",
        capability: definition.id,
        args: { ...fields, [object[1] ?? ""]: { k: "it", span: pronoun?.span ?? span } },
        span,
      };
    };
    builder.template("Act", [verb, "-le|-la", ...rest].join(" "), withIt);
    builder.template("Act", ["le|la", verb, ...rest].join(" "), withIt);
  }
  if (!ownVerbs.has(verb)) builder.words("Verb", [verb], definition.id);
}

const pronouns = new Set(["-le", "-la", "le", "la"]);
/** Verbs of the built-in invariants: what they forbid is wider than one capability. */
const ownVerbs = new Set(["write", "send", "écris", "écrire", "envoie", "envoyer"]);

function nouns(
  builder: GrammarBuilder,
  definition: CapabilityDefinition,
  field: string,
  phrase: string,
): void {
  const items = phraseTemplate(phrase, builder.surface, (param) => {
    const kind = paramKind(definition, param);
    return kind === "text" ? "quoted" : kind;
  });
  builder.template("Noun", ["ART", ...items].join(" "), (fields, span) => ({
    k: "noun",
    capability: definition.id,
    field,
    args: Object.fromEntries(
      Object.entries(fields).map(([name, term]) => [name, (term as { readonly text: string }).text]),
    ),
    span,
  }));
}

/** `the sum`, when it was spoken of before: the head of every noun phrase, with all it may stand for. */
function saidNouns(builder: GrammarBuilder, catalog: Catalog): void {
  const { surface } = builder;
  const heads = new Map<string, { capability: CapabilityDefinition["id"]; field: string }[]>();
  for (const { id, nouns: own } of catalog.capabilities)
    for (const { field, phrases } of own ?? [])
      for (const phrase of phrases[surface.language]) {
        const items = phrase.split(" ");
        const end = items.findIndex((item) => item.startsWith("{"));
        if (end < 1) continue;
        const words = items.slice(0, end).flatMap((item) => foldWords(item, surface.language));
        while (words.length > 1 && surface.prepositions.includes(words.at(-1) ?? "")) words.pop();
        const key = words.join(" ");
        const list = heads.get(key) ?? [];
        if (!list.some((known) => known.capability === id && known.field === field))
          list.push({ capability: id, field });
        heads.set(key, list);
      }
  for (const [words, meanings] of heads)
    builder.template("Noun", `ART ${words}`, (_fields, span) => ({ k: "said", nouns: meanings, span }));
}

function sources(builder: GrammarBuilder, definition: SourceDefinition, phrase: string): void {
  const items = phraseTemplate(phrase, builder.surface, (param) => paramKind(definition, param));
  builder.template("Source", items.join(" "), (fields) => ({
    k: "event",
    source: definition.id,
    args: fields as Readonly<Record<string, DraftTerm>>,
    where: null,
    holdMs: 0,
  }));
}

function places(builder: GrammarBuilder, catalog: Catalog): void {
  const { workspace } = catalog;
  entities(builder, "FolderWord", workspace.folders);
  entities(builder, "FileWord", workspace.files);
  entities(builder, "RoleWord", workspace.roles);
}

type Entities = Readonly<
  Record<string, { readonly words?: { readonly en?: readonly string[]; readonly fr?: readonly string[] } }>
>;

/** The words an entity is called by in a language, the one to write first; its key is always one of them. */
export function wordsOfEntity(
  entity: Entities[string] | undefined,
  key: string,
  language: "en" | "fr",
): readonly string[] {
  return [...(entity?.words?.[language] ?? []).filter((words) => isSpoken(words, language)), key];
}

/** A word list entry that reads as a path (`journal.csv`) is understood as that path. */
function isSpoken(words: string, language: "en" | "fr"): boolean {
  const folded = foldWords(words, language);
  return folded.length > 0 && !folded.some((word) => /[./"]/u.test(word));
}

function entities(builder: GrammarBuilder, left: string, all: Entities): void {
  const { language, articles } = builder.surface;
  const spoken = new Map<string, Set<string>>();
  const say = (words: readonly string[], key: string): void => {
    if (words.length === 0) return;
    const text = words.join(" ");
    spoken.set(text, (spoken.get(text) ?? new Set()).add(key));
  };
  const variants: [readonly string[], string][] = [];
  for (const [key, entity] of Object.entries(all))
    for (const words of wordsOfEntity(entity, key, language)) {
      const folded = foldWords(words, language);
      const bare = articles.includes(folded[0] ?? "") ? folded.slice(1) : folded;
      say(bare, key);
      const last = bare.at(-1) ?? "";
      variants.push([[...bare.slice(0, -1), last.endsWith("s") ? last.slice(0, -1) : `${last}s`], key]);
    }
  for (const [text, keys] of spoken) for (const key of keys) builder.words(left, text.split(" "), key);
  // Singular and plural of the last word, where nothing else is called so: understood, but never expected or suggested.
  const others = `${left}s`;
  let count = 0;
  for (const [words, key] of variants) {
    if (spoken.has(words.join(" "))) continue;
    builder.words(others, words, key);
    count++;
  }
  if (count > 0) builder.template(left, `{${others}:of}`, (fields) => fields["of"]);
}

/** Fields that events of the catalog have and the language has words for. */
function eventFields(builder: GrammarBuilder, catalog: Catalog): void {
  const present = new Set(
    catalog.sources.flatMap(({ event }) => Object.keys(keywords(event).properties ?? {})),
  );
  for (const [field, words] of Object.entries(builder.surface.fields))
    if (present.has(field)) for (const word of words) builder.words("FieldWord", [word], field);
}

/** Headings of declared columns need no quotes. */
function columns(builder: GrammarBuilder, catalog: Catalog): void {
  const { language } = builder.surface;
  const headings = Object.values(catalog.workspace.tables).flatMap((table) =>
    Object.entries(table.columns).flatMap(([column, { aliases = [] }]) => [column, ...aliases]),
  );
  for (const heading of new Set(headings))
    if (isSpoken(heading, language)) builder.words("ColumnWord", foldWords(heading, language), heading);
}

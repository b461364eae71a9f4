// What a sentence names: files, places, fields, texts, amounts.
import type { Catalog } from "@writ/core/capability";
import { take, type GrammarBuilder } from "./builder.ts";
import type { Build } from "./chart.ts";
import { currencyCodes, isCurrency, units, wordsOfCurrency } from "./quantity.ts";
import { fold, type Token } from "./token.ts";
import type { DraftTerm } from "./tree.ts";

export function terms(builder: GrammarBuilder): void {
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
  builder.template("Arg.column", "{Arg.quoted:of}", (fields) => fields["of"]);
  builder.template("Arg.column", "ART~ {ColumnWord:text}", (fields, span) => ({
    k: "text",
    text: fields["text"],
    span,
  }));
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

export function quantities(builder: GrammarBuilder, catalog: Catalog): void {
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
  const thousands: Build = (fields, span) =>
    isCurrency(take<string>(fields, "unit"))
      ? { k: "quantity", value: take<Token>(fields, "value").thousands, unit: fields["unit"], span }
      : undefined;
  builder.template("Quantity", "#thousands:value {Unit:unit}", thousands);
  builder.template("Quantity", "{Sign:unit} #thousands:value", thousands);
  builder.construct("Quantity", "money", quantity);
  builder.template("Quantity", "{Number:value}", quantity);
}

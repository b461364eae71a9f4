// Numbers, times, quotes, paths and names as each language writes them.
import type { Language } from "@writ/core/capability";
import { currencyCodes, isCurrency, units } from "../language/quantity.ts";
import { foldWords, tokenize, type TokenKind } from "../language/token.ts";
import { wordsOfEntity } from "../language/vocabulary.ts";

/** Digits in groups of three; the language's decimal mark. */
export function writtenNumber(value: string, language: Language): string {
  const [whole = "", fraction] = value.split(".");
  const space = language === "fr" ? "\u00a0" : " ";
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/gu, space);
  return fraction === undefined ? grouped : `${grouped}${language === "fr" ? "," : "."}${fraction}`;
}

/** Minutes of the day as `08:00`. */
export function writtenTime(minute: number): string {
  const two = (count: number): string => String(count).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

/** In the language's quotation marks, or in others when the text holds those. */
export function quoted(text: string, language: Language): string {
  const french: readonly [string, string, string] = ["«\u00a0", "\u00a0»", "»"];
  const marks: readonly (readonly [string, string, string])[] = [
    ['"', '"', '"'],
    ["“", "”", "”"],
    ["„", "“", "“"],
  ];
  const isTrimmed = !/^[\s\u00a0\u202f]|[\s\u00a0\u202f]$/u.test(text);
  const order = language === "fr" && isTrimmed ? [french, ...marks] : isTrimmed ? [...marks, french] : marks;
  const [open, close] = order.find(([, , end]) => !text.includes(end)) ?? marks[0] ?? ['"', '"'];
  return `${open}${text}${close}`;
}

function isToken(text: string, kind: TokenKind, language: Language): boolean {
  const result = tokenize(text, language);
  if (result.kind !== "tokens") return false;
  const [only, ...more] = result.tokens;
  return more.length === 0 && only?.kind === kind && only.text === text && only.span[1] === text.length;
}

/** Bare where that reads as one path, also before a comma or a full stop. */
export function writtenPath(path: string, language: Language): string {
  return isToken(path, "path", language) ? path : quoted(path, language);
}

export function writtenUrl(url: string, language: Language): string {
  return isToken(url, "url", language) ? url : quoted(url, language);
}

/** An amount of money has no lone tenth (`2 500.50 EUR`), and no three decimals that could be thousands (`1.1250 EUR`). */
export function writtenAmount(value: string, unit: string | null, language: Language): string {
  const isMoney = unit !== null && isCurrency(unit);
  const isFilled = /\.\d$|^-?[1-9]\d{0,2}\.\d{3}$/u.test(value);
  return writtenNumber(isMoney && isFilled ? `${value}0` : value, language);
}

export function writtenUnit(code: string, language: Language): string {
  if (isCurrency(code) && currencyCodes.includes(code)) return code;
  return units.find((unit) => unit.code === code)?.words[language][0] ?? code;
}

type Entities = Parameters<typeof wordsOfEntity>[0] extends infer Entity
  ? Readonly<Record<string, Exclude<Entity, undefined>>>
  : never;

/** The first words of the entity that no other entity is called by; its key when there are none. */
export function entityWords(all: Entities, key: string, language: Language): string {
  const same = (words: string): string => foldWords(words, language).join(" ");
  const mine = wordsOfEntity(all[key], key, language);
  const others = new Set(
    Object.entries(all)
      .filter(([other]) => other !== key)
      .flatMap(([other, entity]) => wordsOfEntity(entity, other, language).map(same)),
  );
  return mine.find((words) => !others.has(same(words))) ?? key;
}

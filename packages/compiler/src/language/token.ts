// Tokens: words, numbers, texts, paths and marks, each with its place in the rule's text. Contractions and elisions are taken apart
// (`du` → `de le`, `l'heure` → `le heure`, `file's` → `file 's`, `lis-le` → `lis -le`), so the grammars know one form of each word.
import type { Language } from "@writ/core/capability";
import type { Span } from "./tree.ts";

export type TokenKind = "word" | "number" | "quoted" | "path" | "url" | "time" | "mark";

export interface Token {
  readonly kind: TokenKind;
  /** Folded: NFC, lower case, straight apostrophe. A number in plain notation; a quoted text without its quotes. */
  readonly text: string;
  readonly raw: string;
  readonly span: Span;
  /** A number that can also be read another way (`10,000`): the other value. */
  readonly other?: string;
  /** What it is where the language's own decimal mark separates thousands, as in `10.000 EUR` by a European hand. Amounts of money only. */
  readonly thousands?: string;
}

type Tokens =
  | { readonly kind: "tokens"; readonly tokens: readonly Token[] }
  | { readonly kind: "quote-open"; readonly span: Span }
  | { readonly kind: "character"; readonly span: Span }
  | { readonly kind: "number"; readonly span: Span };

const numberLengthMax = 60;
const space = /[\s\u00a0\u202f\u2009]/u;
const url = /https?:\/\/[^\s"«»“”\u00a0\u202f]+/uy;
const clock = /(\d{1,2})(?::|h)(\d{2})(?![\d\p{L}])/uy;
const number = /[-−]?(?:\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+(?:[.,]\d+)?(?![\d])|\d+(?:[.,]\d+)*)/uy;
const path =
  /(?:\/|(?:\.{1,2}\/){1,64})?[\p{L}\p{N}_*][\p{L}\p{M}\p{N}_*@-]*(?:[./][\p{L}\p{M}\p{N}_*@-]+)*\/?|\.{1,2}\/|\.[\p{L}\p{N}]{1,8}(?![\p{L}\p{N}.])/uy;
const word = /\p{L}[\p{L}\p{M}\p{N}_]*(?:-[\p{L}\p{N}][\p{L}\p{M}\p{N}_]*)*/uy;
const mark = /°[CF]?|[€$£¥%,;.:()]|>=|<=|!=|[><=≥≤≠]/uy;
const elided: Readonly<Record<string, readonly string[]>> = {
  l: ["le"],
  d: ["de"],
  n: ["ne"],
  s: ["si"],
  c: ["ce"],
  j: ["je"],
  qu: ["que"],
  lorsqu: ["lorsque"],
  jusqu: ["jusque"],
};
const contracted: Readonly<Record<string, readonly string[]>> = {
  du: ["de", "le"],
  des: ["de", "les"],
  au: ["à", "le"],
  aux: ["à", "les"],
};
const quotes: Readonly<Record<string, string>> = { '"': '"', "“": "”", "«": "»", "„": "“" };

export function fold(text: string): string {
  return text.normalize("NFC").toLowerCase().replaceAll(/[’ʼ]/gu, "'");
}

/** Words of a phrase or of an entity as the grammar knows them. */
export function foldWords(text: string, language: Language): readonly string[] {
  const result = tokenize(text, language);
  return result.kind === "tokens" ? result.tokens.map((token) => token.text) : [];
}

export function tokenize(text: string, language: Language): Tokens {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const push = (
    kind: TokenKind,
    folded: string,
    length: number,
    also: Pick<Token, "other" | "thousands"> = {},
  ): void => {
    const span: Span = [at, at + length];
    tokens.push({
      kind,
      text: folded,
      raw: text.slice(at, at + length),
      span,
      ...also,
    });
  };

  while (at < text.length) {
    const character = text.charAt(at);
    if (space.test(character)) {
      at++;
      continue;
    }
    const closing = Object.hasOwn(quotes, character) ? quotes[character] : undefined;
    if (closing !== undefined) {
      const end = text.indexOf(closing, at + 1);
      if (end === -1) return { kind: "quote-open", span: [at, Math.min(text.length, at + 40)] };
      const inner = text.slice(at + 1, end);
      push(
        "quoted",
        character === "«" ? inner.replaceAll(/^[\s\u00a0\u202f]+|[\s\u00a0\u202f]+$/gu, "") : inner,
        end + 1 - at,
      );
      at = end + 1;
      continue;
    }
    const link = match(url);
    if (link !== null) {
      const address = link[0].replace(/[.,;:!?)]+$/u, "");
      push("url", address, address.length);
      at += address.length;
      continue;
    }
    const time = match(clock);
    if (time !== null && Number(time[1]) < 25 && Number(time[2]) < 60) {
      push("time", String(Number(time[1]) * 60 + Number(time[2])), time[0].length);
      at += time[0].length;
      continue;
    }
    const digits = match(number);
    const place = match(path);
    if (digits !== null && (place === null || !isPath(place[0]) || place[0].length <= digits[0].length)) {
      // A mark at the end belongs to the sentence; the pattern needs a digit after it, so it is never taken.
      const values = readNumber(digits[0], language);
      if (digits[0].length > numberLengthMax) return { kind: "number", span: [at, at + digits[0].length] };
      if (values === null) return { kind: "character", span: [at, at + digits[0].length] };
      const { value, ...also } = values;
      push("number", value, digits[0].length, also);
      at += digits[0].length;
      continue;
    }
    if (place !== null && isPath(place[0])) {
      push("path", place[0].normalize("NFC"), place[0].length);
      at += place[0].length;
      continue;
    }
    const letters = match(word);
    if (letters !== null) {
      at = pushWord(text, letters[0], at, language, tokens);
      continue;
    }
    const symbol = match(mark);
    if (symbol !== null) {
      push("mark", symbol[0], symbol[0].length);
      at += symbol[0].length;
      continue;
    }
    return { kind: "character", span: [at, at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)] };
  }
  return { kind: "tokens", tokens };
}

/** True for what only a path can be: it has a separator or an extension. `1.5` is a number and never gets here. */
function isPath(text: string): boolean {
  return text.includes("/") || (text.includes(".") && !/^\d+(\.\d+)?$/u.test(text));
}

function pushWord(text: string, raw: string, start: number, language: Language, tokens: Token[]): number {
  const end = start + raw.length;
  const folded = fold(raw);
  const put = (word: string, from: number, to: number): void => {
    tokens.push({ kind: "word", text: word, raw: text.slice(from, to), span: [from, to] });
  };
  const apostrophe = /['’ʼ]/u.test(text.charAt(end));
  if (language === "fr") {
    const whole = apostrophe && Object.hasOwn(elided, folded) ? elided[folded] : undefined;
    if (whole !== undefined) {
      for (const part of whole) put(part, start, end + 1);
      return end + 1;
    }
    const clitic = /^(.+)-(le|la|les)$/u.exec(folded);
    if (clitic !== null) {
      const [, verb = "", pronoun = ""] = clitic;
      put(verb, start, end - pronoun.length - 1);
      put(`-${pronoun}`, end - pronoun.length - 1, end);
      return end;
    }
    const parts = Object.hasOwn(contracted, folded) ? contracted[folded] : undefined;
    if (parts !== undefined) {
      for (const part of parts) put(part, start, end);
      return end;
    }
    put(folded, start, end);
    return apostrophe && folded === "aujourd" ? end + 1 : end;
  }
  const clock = /^clock(?![\p{L}\p{N}])/iu;
  if (apostrophe && folded === "o" && clock.test(text.slice(end + 1, end + 7))) {
    put("o'clock", start, end + 6);
    return end + 6;
  }
  put(folded, start, end);
  if (apostrophe && /^s(?![\p{L}\p{N}])/iu.test(text.slice(end + 1, end + 3))) {
    put("'s", end, end + 2);
    return end + 2;
  }
  return end;
}

/**
 * A language's own decimal mark (`.` in English, `,` in French) is always the decimal mark. The other one between groups of exactly
 * three digits may separate thousands or decimals: both values are kept. So it is with its own before exactly three digits, for amounts of
 * money alone: nobody owes thousandths, and many write `10.000 EUR` in any language. Null when the marks make no number.
 */
export function readNumber(
  raw: string,
  language: Language,
): ({ readonly value: string } & Pick<Token, "other" | "thousands">) | null {
  if (/^[-−]/u.test(raw)) {
    const positive = readNumber(raw.slice(1), language);
    if (positive === null) return null;
    const { value, other, thousands } = positive;
    const negative = (text: string): string => (text === "0" ? text : `-${text}`);
    return {
      value: negative(value),
      ...(other === undefined ? {} : { other: negative(other) }),
      ...(thousands === undefined ? {} : { thousands: negative(thousands) }),
    };
  }
  const text = raw.replaceAll(/[ \u00a0\u202f\u2009]/gu, "");
  const own = language === "en" ? "." : ",";
  const foreign = language === "en" ? "," : ".";
  const plain = (whole: string, fraction = ""): string => {
    const left = whole.replace(/^0+(?=\d)/u, "");
    const right = fraction.replace(/0+$/u, "");
    return right === "" ? left : `${left}.${right}`;
  };
  if (/^\d+$/u.test(text)) return { value: plain(text) };
  const own3 = new RegExp(`^([1-9]\\d{0,2})[${own}](\\d{3})$`, "u").exec(raw);
  if (own3 !== null) return { value: plain(own3[1] ?? "", own3[2]), thousands: own3.slice(1).join("") };
  const [whole = "", fraction, ...more] = text.split(own);
  if (more.length > 0) return null;
  if (!whole.includes(foreign)) return fraction?.includes(foreign) ? null : { value: plain(whole, fraction) };
  const groups = whole.split(foreign);
  const grouped =
    /^\d{1,3}$/u.test(groups[0] ?? "") && groups.slice(1).every((group) => /^\d{3}$/u.test(group));
  if (grouped && (groups.length > 2 || fraction !== undefined))
    return fraction?.includes(foreign) ? null : { value: plain(groups.join(""), fraction) };
  if (groups.length !== 2 || fraction !== undefined) return null;
  const decimal = plain(groups[0] ?? "", groups[1]);
  if (/[ \u00a0\u202f\u2009]/u.test(raw)) return { value: decimal };
  return grouped && groups[0] !== "0"
    ? { value: plain(groups.join("")), other: decimal }
    : { value: decimal };
}

import type { Language } from "@writ/core/capability";
import { english } from "./english.ts";
import { french } from "./french.ts";
import { fold } from "./token.ts";

/** The language whose frequent words occur most; English when neither does. Quoted texts do not count. */
export function detectLanguage(text: string): Language {
  const words = fold(text.slice(0, 4096).replaceAll(/"[^"]*"|«[^»]*»|“[^”]*”/gu, " ")).split(/[^\p{L}]+/u);
  const count = (common: readonly string[]): number => words.filter((word) => common.includes(word)).length;
  return count(french.common) > count(english.common) ? "fr" : "en";
}

// Pieces of a sentence and how they are put together: spaces, articles, contraction (`de le` → `du`) and elision (`le heure` → `l'heure`).
// Only the grammar's own words change form; what came from the rule or the workspace stays as it is.
import type { Language } from "@writ/core/capability";
import type { Surface } from "../language/surface.ts";

export interface Piece {
  readonly kind: "word" | "article" | "own" | "mark";
  readonly text: string;
}

export const word = (text: string): Piece => ({ kind: /^[,;:.()]$/u.test(text) ? "mark" : "word", text });
/** Text that is written exactly so: numbers, quoted texts, paths, names. */
export const own = (text: string): Piece => ({ kind: "own", text });

const vowel = /^(?:[aeiouyàâäéèêëîïôöùûüœ]|heure|homme|horaire|histori|hôte|huile)/iu;
const elidable: Readonly<Record<string, string>> = {
  le: "l'",
  la: "l'",
  de: "d'",
  ne: "n'",
  que: "qu'",
  lorsque: "lorsqu'",
};
const contractions: Readonly<Record<string, string>> = {
  "de le": "du",
  "de les": "des",
  "à le": "au",
  "à les": "aux",
};

export function joinPieces(pieces: readonly Piece[], surface: Surface): string {
  const { language } = surface;
  const resolved = pieces.map((piece, index) =>
    piece.kind === "article" ? word(article(pieces[index + 1], surface)) : piece,
  );
  const formed = language === "fr" ? french(resolved) : resolved;
  let text = "";
  formed.forEach((piece, index) => {
    const before = formed[index - 1];
    if (before !== undefined && needsSpace(before, piece, language)) text += " ";
    text += language === "fr" && piece.text === ";" ? "\u00a0;" : piece.text;
  });
  return text;
}

function article(next: Piece | undefined, { language, feminine }: Surface): string {
  if (language === "en") return "the";
  const first = next?.text.split(" ")[0] ?? "";
  return feminine.includes(first) ? "la" : "le";
}

function french(pieces: readonly Piece[]): readonly Piece[] {
  const out: Piece[] = [];
  for (let index = 0; index < pieces.length; index++) {
    const piece = pieces[index];
    if (piece === undefined) continue;
    const next = pieces[index + 1];
    const after = pieces[index + 2];
    if (piece.kind === "word" && next !== undefined) {
      const startsWithVowel = (other: Piece | undefined): boolean =>
        other !== undefined && other.kind !== "mark" && vowel.test(other.text);
      const contracted = contractions[`${piece.text} ${next.text}`];
      if (
        contracted !== undefined &&
        next.kind === "word" &&
        !(next.text === "le" && startsWithVowel(after))
      ) {
        out.push(word(contracted));
        index++;
        continue;
      }
      const short = elidable[piece.text];
      const isSi = piece.text === "si" && /^ils?$/u.test(next.text);
      if ((short !== undefined && startsWithVowel(next)) || isSi) {
        out.push(word(isSi ? "s'" : (short ?? "")));
        continue;
      }
    }
    out.push(piece);
  }
  return out;
}

function needsSpace(before: Piece, piece: Piece, language: Language): boolean {
  if (before.text.endsWith("'") && before.kind === "word" && language === "fr") return false;
  if (before.text === "(") return false;
  if (piece.kind === "mark") return piece.text === "(";
  if (piece.text === "'s" || piece.text.startsWith("-l")) return false;
  return true;
}

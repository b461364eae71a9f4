// File name patterns as languages, as file sources match them: `*` is any characters of a name, `?` one, the rest itself in capitals
// or small letters; a bare extension (`csv`) stands for `*.csv`.
import { allBut, chars, concat, star, wordAnyCase, type Regular } from "./regular.ts";

const inName = chars(allBut("/"));

export function patternLanguage(pattern: string): Regular {
  const whole = /^[A-Za-z0-9]+$/.test(pattern) ? `*.${pattern}` : pattern;
  return concat(
    ...[...whole].map((character) =>
      character === "*" ? star(inName) : character === "?" ? inName : wordAnyCase(character),
    ),
  );
}

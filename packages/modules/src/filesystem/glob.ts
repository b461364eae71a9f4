/**
 * Whether a name matches a pattern of `*` (any characters), `?` (one character) and itself, case ignored unless asked. Linear in
 * name times pattern: no pattern can make it hang.
 */
export function matchesGlob(name: string, pattern: string, isCaseSensitive = false): boolean {
  const text = [...(isCaseSensitive ? name : name.toLowerCase())];
  const wanted = [...(isCaseSensitive ? pattern : pattern.toLowerCase())];
  let at = 0;
  let star = -1;
  let starAt = 0;
  for (let index = 0; index < text.length;) {
    if (at < wanted.length && wanted[at] === "*") {
      star = at++;
      starAt = index;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === text[index])) {
      at++;
      index++;
    } else if (star !== -1) {
      at = star + 1;
      index = ++starAt;
    } else return false;
  }
  while (wanted[at] === "*") at++;
  return at === wanted.length;
}

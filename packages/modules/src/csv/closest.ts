/** The candidate with the fewest edits, or null when none is near (at most a third of the length, at least one). */
export function closest(wanted: string, candidates: readonly string[]): string | null {
  let best: { readonly name: string; readonly edits: number } | null = null;
  for (const name of candidates) {
    const edits = editsBetween(fold(wanted), fold(name));
    if (edits <= Math.max(1, Math.ceil(wanted.length / 3)) && (best === null || edits < best.edits)) {
      best = { name, edits };
    }
  }
  return best?.name ?? null;
}

/** Headings are compared without case, accents, and with runs of space, `_` and `-` as one space. */
export function fold(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[\s_-]+/g, " ")
    .trim();
}

/** Levenshtein distance, texts cut at 128 characters. */
function editsBetween(a: string, b: string): number {
  const to = Array.from(b.slice(0, 128));
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, left] of Array.from(a.slice(0, 128)).entries()) {
    const next = [i + 1];
    for (const [j, right] of to.entries()) {
      const replaced = (row[j] ?? 0) + (left === right ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

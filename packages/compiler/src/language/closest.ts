// The known words closest to one that is not known.

/** Edits (insert, remove, replace, swap of neighbours) between two words; optimal string alignment. */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const table = Array.from({ length: (a.length + 1) * width }, () => 0);
  const at = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = 0; i <= a.length; i++)
    for (let j = 0; j <= b.length; j++) {
      let best = i === 0 ? j : j === 0 ? i : Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1);
      if (i > 0 && j > 0) {
        const same = a.charAt(i - 1) === b.charAt(j - 1);
        best = Math.min(best, at(i - 1, j - 1) + (same ? 0 : 1));
        if (i > 1 && j > 1 && a.charAt(i - 1) === b.charAt(j - 2) && a.charAt(i - 2) === b.charAt(j - 1))
          best = Math.min(best, at(i - 2, j - 2) + 1);
      }
      table[i * width + j] = best;
    }
  return at(a.length, b.length);
}

const plain = (text: string): string => text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();

/** Up to three candidates within a third of the word's length, nearest first. */
export function closest(word: string, candidates: readonly string[]): readonly string[] {
  const target = plain(word.slice(0, 64));
  const limit = Math.max(1, Math.floor(target.length / 3));
  return [...new Set(candidates)]
    .filter((candidate) => candidate.length <= 64)
    .map((candidate) => ({ candidate, distance: editDistance(target, plain(candidate)) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}
